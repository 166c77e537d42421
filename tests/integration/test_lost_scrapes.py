"""The cost of a change in scrapes, read from Prometheus' own samples at an interval of one second."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.full_stack import (
    JOBS,
    LEVELS,
    START,
    FullStack,
    LostScrapes,
    full_stack,
    lost_scrapes_by_job,
)
from wizard import practice
from wizard.model import Answers, Stack

pytestmark = pytest.mark.matrix

WITHOUT_PROMETHEUS = tuple(name for name in practice.WHOLE if name != "prometheus")


@dataclass
class Cost:
    """Makes changes, and measures the scrapes that each loses; the figures go to the report of the run."""

    running_stack: FullStack
    record: Callable[[str, object], None]

    def lost_during(self, name: str, stack: Stack, *, renew: str = "") -> dict[str, LostScrapes]:
        """Returns the scrapes lost while a plan was applied: job -> scrapes."""
        engine = self.running_stack.engine
        plan = engine.plan(stack, Answers(renew=frozenset({renew} if renew else ())))
        assert plan.changes, f"{name}: there is something to do"
        begin = time.time()
        outcome = engine.apply(plan)
        end = time.time()
        self.running_stack.check_verified(outcome, stack)
        return self._lost(name, begin, end)

    def lost_during_undo(self, name: str, stack: Stack) -> dict[str, LostScrapes]:
        """Returns the scrapes lost while the newest run was undone; the stack then has the levels of `stack`."""
        begin = time.time()
        outcome = self.running_stack.engine.undo()
        assert (outcome.state, outcome.error) == ("undone", None)
        self.running_stack.levels = {each.name: each.protect for each in stack.components if each.protect}
        # Prometheus may need ten seconds for changes that an undo did not wait for.
        return self._lost(name, begin, time.time() + 10)

    def _lost(self, name: str, begin: float, end: float) -> dict[str, LostScrapes]:
        found = lost_scrapes_by_job(self.running_stack, begin, end)
        assert found.keys() == JOBS.keys()
        self.record(
            name, {job: (each.failed, each.late, each.missing, each.widest) for job, each in found.items()}
        )
        return found


@pytest.mark.parametrize("suite", ["bookworm", "sid"])
def test_enabling_tls_and_a_password_loses_at_most_one_scrape_per_target(
    suite: str, tmp_path: Path, cache: Path, record_property: Callable[[str, object], None]
) -> None:
    with full_stack(tmp_path / "workspace", cache, suite=suite) as running_stack:
        cost = Cost(running_stack, record_property)
        others = running_stack.stack(dict.fromkeys(WITHOUT_PROMETHEUS, LEVELS["password"]))
        found = cost.lost_during("http to https", others)
        # The reload that adds the login aborts a scrape that is running at this moment, see below.
        assert {job: each for job, each in found.items() if each.failed > 1} == {}
        assert {job: each for job, each in found.items() if each.missing - each.late > 1} == {}
        assert found["prometheus"].scrapes == 0

        # Prometheus' own flags need a restart, during which it scrapes nothing: this gap is in all series at once.
        # Beyond it nobody is missed but itself, once, when its job turns before it does, and the scrape that is running
        # as it stops, which it aborts: 2.42 and 3.5 did so in 3 and 4 of 8 stops with a target that takes half a second.
        everything = running_stack.stack(dict.fromkeys(practice.WHOLE, LEVELS["password"]))
        assert "prometheus/prometheus restarts: it scrapes nothing for about 7 s" in (
            [gap.sentence for gap in running_stack.engine.plan(everything).gaps]
        )
        found = cost.lost_during("Prometheus itself", everything)
        rejected = {job: each.failed - each.aborted for job, each in found.items()}
        assert {job: count for job, count in rejected.items() if count > (job == "prometheus")} == {}
        assert sum(each.aborted for each in found.values()) <= 1
        assert max(each.widest for each in found.values()) <= START

        found = cost.lost_during_undo("Prometheus itself, undone", others)
        assert max(each.widest for each in found.values()) <= START
        found = cost.lost_during_undo("http to https, undone", running_stack.stack({}))
        assert {job: each for job, each in found.items() if each.failed > 1} == {}
        assert {job: each for job, each in found.items() if each.missing - each.late > 1} == {}


def test_changes_to_a_stack_with_tls_lose_no_scrape(
    tmp_path: Path, cache: Path, record_property: Callable[[str, object], None]
) -> None:
    with full_stack(tmp_path / "workspace", cache) as running_stack:
        running_stack.apply(running_stack.stack(dict.fromkeys(practice.WHOLE, LEVELS["tls"])))
        running_stack.wait_until_all_up(time.time())
        cost = Cost(running_stack, record_property)
        for name, level in (("adding a password", "password"), ("adding client certificates", "both")):
            found = cost.lost_during(name, running_stack.stack(dict.fromkeys(practice.WHOLE, LEVELS[level])))
            check_no_scrape_lost(name, found)
        stack = running_stack.stack(dict.fromkeys(practice.WHOLE, LEVELS["both"]))
        for renew in ("certificates", "passwords", "ca"):
            before = secrets_in_use(running_stack)
            found = cost.lost_during(f"replacing {renew}", stack, renew=renew)
            check_no_scrape_lost(renew, found)
            assert replaced(before, secrets_in_use(running_stack)) == REPLACED[renew]
            assert running_stack.engine.plan(stack).changes == (), "and nothing is left to do"


def check_no_scrape_lost(name: str, found: dict[str, LostScrapes]) -> None:
    """Checks that no scrape was rejected and none is missing.

    A reload of a changed job aborts the scrape that is running at this moment, whatever changed in the job;
    on a busy machine that can be one sample of one of the six targets, and no more.
    """
    assert {job: each for job, each in found.items() if each.failed} == {}, name
    missing = {job: each for job, each in found.items() if each.missing}
    # A scrape that takes its whole second makes Prometheus skip the next one.
    assert sum(max(0, each.missing - each.late) for each in missing.values()) <= 1, (name, missing)


REPLACED = {
    "certificates": {"server", "client"},
    "passwords": {"password"},
    "ca": {"ca", "server", "client"},
}


def secrets_in_use(running_stack: FullStack) -> dict[str, bytes]:
    """Returns the certificates, keys and passwords in use, from the files."""
    served = b"".join(sorted(file_named_by(running_stack, name, "cert_file") for name in practice.WHOLE))
    config = running_stack.file("prometheus", "prometheus.yml").read_text()
    shown = {
        line.split(":", 1)[1].strip().strip("'\"") for line in config.splitlines() if "cert_file:" in line
    }
    return {
        "server": served,
        "client": b"".join(Path(name).read_bytes() for name in sorted(shown)),
        "ca": (running_stack.root / "ca" / "ca.crt").read_bytes(),
        "password": running_stack.file("prometheus", "prometheus.password").read_bytes(),
    }


def file_named_by(running_stack: FullStack, component: str, key: str) -> bytes:
    """Returns a file that a web configuration names."""
    text = running_stack.file(component, "web.yml").read_text()
    (line,) = (line for line in text.splitlines() if f" {key}:" in line and "client" not in line)
    return (running_stack.etc(component) / line.split(":", 1)[1].strip().strip("'\"")).read_bytes()


def replaced(before: dict[str, bytes], after: dict[str, bytes]) -> set[str]:
    """Returns which of them differ."""
    return {name for name in before if before[name] != after[name]}
