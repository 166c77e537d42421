"""Plans as golden files: each kind of stack, the facts about its hosts, and its plan.

FIRESCREEN_GOLDEN=1 writes the `.plan` files anew; a reviewer then sees in the diff what changed in which plan.
"""

from __future__ import annotations

import os
from collections import Counter

import pytest

from tests.unit.planner import plan_cases
from wizard import passwords, planner
from wizard.redact import Secret

LEAST = 40


def _cases_that_complete() -> list[str]:
    """Returns the cases whose applied plan leaves nothing to do.

    Not among them: refusals, replacements on demand (planned again each time), and parts of a stack (the rest remains).
    """
    found = []
    for name in plan_cases.names():
        case = plan_cases.case(name)
        kept = plan_cases.FOLDER / f"{name}.plan"
        refused = kept.exists() and kept.read_text(encoding="utf-8").startswith("refused")
        if not (case.answers.renew or case.keep or refused):
            found.append(name)
    return found


@pytest.mark.parametrize("name", plan_cases.names())
def test_the_plan_equals_the_golden_file(name: str) -> None:
    found = plan_cases.plan_as_text(name)
    kept = plan_cases.FOLDER / f"{name}.plan"
    if os.environ.get("FIRESCREEN_GOLDEN"):
        kept.write_text(found, encoding="utf-8")
    assert found == kept.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", _cases_that_complete())
def test_nothing_remains_of_an_applied_plan(name: str) -> None:
    case = plan_cases.case(name)
    plan = plan_cases.plan_of(name)
    after = plan_cases.facts_after_plan(plan, plan.facts)
    again = planner.plan(case.stack, plan_cases.with_requested_files(case.stack, after), case.answers)
    assert [change.title() for change in again.changes] == []


def test_a_shared_hash_is_compared_at_most_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once to see whether the password is new, and once for the file: the comparison is slow by design."""
    case, plan = plan_cases.case("both-password"), plan_cases.plan_of("both-password")
    facts = plan_cases.with_requested_files(case.stack, plan_cases.facts_after_plan(plan, plan.facts))
    compared: Counter[str] = Counter()
    matches = passwords.matches

    def counted(password: Secret, hashed: str) -> bool:
        compared[hashed] += 1
        return matches(password, hashed)

    monkeypatch.setattr(passwords, "matches", counted)
    planner.plan(case.stack, facts, case.answers)
    assert set(compared.values()) == {2}


def test_each_kind_of_plan_has_a_case() -> None:
    assert len(plan_cases.names()) >= LEAST
    stray = {path.stem for path in plan_cases.FOLDER.glob("*.plan")} - set(plan_cases.names())
    assert not stray
