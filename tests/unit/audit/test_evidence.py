"""The table of all checks: the test with real programs, their generations, and the case in which nothing is found.

The table is made from the rows that those tests use as cases. FIRESCREEN_GOLDEN=1 writes tests/unit/data/audit_evidence.txt.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.audit_host_coverage import GENERATIONS, SHOWN
from tests.integration.full_stack import SUITES
from tests.integration.test_audit_matrix import FAULTS
from wizard.audit import CHECKS

TESTS = Path(__file__).parents[2]
TABLE = TESTS / "unit/data/audit_evidence.txt"
NOT_OF_A_GENERATION = {
    "CVE-03": "Grafana is in no suite of Debian",
    "GRF-01": "Grafana is in no suite of Debian",
}
"""Checks that use no program of the three generations; their files, units and packages are real."""


def evidence_for(check: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Returns the tests that cause and fix the fault of a check, and the generations of their programs."""
    if any(row[0] == check for row in FAULTS):
        yield "test_audit_matrix", () if check in NOT_OF_A_GENERATION else SUITES
    if check in SHOWN:
        yield SHOWN[check]


def labs() -> tuple[str, ...]:
    """The generations whose finished labs are audited."""
    played = (TESTS / f"integration/test_labs_{suite}.py" for suite in GENERATIONS)
    return tuple(
        path.stem.rpartition("_")[2]
        for path in played
        if re.search(rf'suite="{path.stem.rpartition("_")[2]}", by_hand=False', path.read_text())
    )


def table() -> str:
    head = "# check: the test that shows its fault, and silence when it is mended (generations); silent on finished labs of\n"
    rows = []
    for check in CHECKS:
        evidence_rows = "; ".join(
            f"{test} ({', '.join(of) or 'no generation'})" for test, of in evidence_for(check.id)
        )
        rows.append(f"{check.id}: {evidence_rows} | {', '.join(labs())}\n")
    return head + "".join(rows)


@pytest.mark.parametrize("check", [check.id for check in CHECKS])
def test_each_check_is_tested_with_real_programs_of_three_generations(check: str) -> None:
    evidence_rows = list(evidence_for(check))
    assert evidence_rows, (
        f"{check}: a row in FAULTS of tests/integration/test_audit_matrix.py, or in tests/integration/audit_host_coverage.py"
    )
    generations = {suite for _, of in evidence_rows for suite in of}
    if check in NOT_OF_A_GENERATION:
        assert not generations
    else:
        assert generations == set(GENERATIONS)


@pytest.mark.parametrize("check", SHOWN)
def test_the_named_host_tests_exist_and_check_finding_and_silence(check: str) -> None:
    """Each named test checks once that the fault is found, and once that nothing is found without it."""
    name = SHOWN[check][0]
    (source,) = (
        text for path in TESTS.glob("hosts/test_*.py") if f"def {name}(" in (text := path.read_text())
    )
    if check.startswith(("CVE", "PRX")) or check == "GRF-01":
        assert f'"{check}"' in source and ("== {}" in source or "== set()" in source), (
            "silent on all of its group"
        )
    else:
        assert source.count(f'"{check}"') >= 2


def test_the_finished_labs_are_audited_in_all_generations() -> None:
    assert labs() == GENERATIONS == SUITES


def test_the_table_equals_the_golden_file() -> None:
    if os.environ.get("FIRESCREEN_GOLDEN"):
        TABLE.write_text(table())
    assert TABLE.read_text() == table()
