"""The matrix: five components, four levels, programs of three generations, from unprotected to protected and back.

One run secures a practice stack and so covers five cells. `make matrix` makes all runs, and reports the
number of cells (tests/integration/matrix_coverage.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.full_stack import LEVELS, SUITES, Levels, full_stack
from tests.integration.snapshot import differences, snapshot
from wizard import practice
from wizard.engine import Engine, Exposure


@dataclass(frozen=True)
class Run:
    """One practice stack from unprotected to protected and back."""

    name: str
    suite: str
    levels: Levels

    @property
    def cells(self) -> tuple[str, ...]:
        """Returns component, level and suite of each cell of the matrix that it covers."""
        names = {kinds: name for name, kinds in LEVELS.items()}
        return tuple(
            f"{component}/{names[kinds]}/{self.suite}" for component, kinds in self.levels.items() if kinds
        )


def _all_runs() -> tuple[Run, ...]:
    runs = [
        Run(f"{suite}-{name}", suite, dict.fromkeys(practice.WHOLE, kinds))
        for suite in SUITES
        for name, kinds in LEVELS.items()
    ]
    runs += [
        Run(f"bookworm-{component}-alone", "bookworm", {component: LEVELS["both"]})
        for component in practice.WHOLE
    ]
    # Each component has another level, one of them none; each generation a different assignment.
    kinds = [*LEVELS.values(), ()]
    for shift, suite in enumerate(SUITES):
        mixed = {
            component: kinds[(index + 2 * shift) % len(kinds)]
            for index, component in enumerate(practice.WHOLE)
        }
        runs.append(Run(f"{suite}-mixed", suite, mixed))
    return tuple(runs)


ALL = {run.name: run for run in _all_runs()}


def test_the_runs_cover_every_cell() -> None:
    covered = {cell for run in ALL.values() for cell in run.cells}
    assert covered == {
        f"{component}/{level}/{suite}" for component in practice.WHOLE for level in LEVELS for suite in SUITES
    }
    assert len(covered) == 60


@pytest.mark.matrix
@pytest.mark.parametrize("name", ALL)
def test_apply_is_verified_and_undone(
    name: str,
    tmp_path: Path,
    cache: Path,
    record_property: Callable[[str, object], None],
) -> None:
    run = ALL[name]
    with full_stack(tmp_path / "workspace", cache, suite=run.suite) as running_stack:
        versions = {host.component: host.version for host in running_stack.practice.hosts}
        before = snapshot(running_stack.root)
        stack = running_stack.stack(run.levels)
        plan = running_stack.engine.plan(stack)
        assert differences(before, snapshot(running_stack.root)) == [], "a plan writes nothing"

        outcome = running_stack.engine.apply(plan)
        running_stack.check_verified(outcome, stack)
        now = time.time()

        asked = {(each.probe.component, each.probe.client): each.outcome for each in outcome.attempts}
        assert asked.items() >= expected(run.levels).items(), versions
        seen = {each.component: protection(each) for each in running_stack.engine.scan(stack).exposures}
        assert {component: kinds for component, kinds in seen.items() if kinds} == {
            component: frozenset(kinds) for component, kinds in run.levels.items() if kinds
        }
        running_stack.wait_until_all_up(now)
        running_stack.wait_for_alert(now)
        running_stack.wait_for_probe_success(now)
        again = running_stack.engine.plan(stack)
        assert [change.diff() for change in again.changes] == [], "a second plan has nothing to do"
        assert Engine(running_stack.engine.workspace).plan(stack).probes, "and the proof can be made again"

        running_stack.undo()
        running_stack.levels = {}
        assert differences(before, snapshot(running_stack.root)) == [], "every file is as it was"
        running_stack.wait_until_all_up(time.time())
        running_stack.wait_for_alert(time.time())
    record_property("cells", ",".join(run.cells))
    record_property("run", name)


def protection(seen: Exposure) -> frozenset[str]:
    """Returns the protection of a component as a scan reports it."""
    parts = {"tls": seen.tls, "basic_auth": seen.password, "client_cert": seen.client_certificate}
    return frozenset(name for name, there in parts.items() if there)


def expected(levels: Levels) -> dict[tuple[str, str], str]:
    """Returns (component, client) -> expected result, written down here independently of the plan."""
    wanted: dict[tuple[str, str], str] = {}
    for component, kinds in levels.items():
        if not kinds:
            continue
        ends = {"right client": "200", "no TLS": "400", "no CA": "untrusted", "Prometheus itself": "up"}
        if "basic_auth" in kinds:
            ends |= {"no password": "401", "wrong password": "401"}
        if "client_cert" in kinds:
            ends |= {"no client certificate": "refused", "stranger's certificate": "refused"}
        wanted |= {(component, client): end for client, end in ends.items()}
    if levels.get("prometheus"):
        wanted["prometheus", "blackbox exporter"] = "200"
    return wanted
