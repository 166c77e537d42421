"""A pytest plugin for `make matrix`: reports how many cells of the matrix were verified, and fails if one is missing."""

from __future__ import annotations

import pytest

CELLS = 60
"""5 components, 4 levels, programs of 3 generations."""


class _CoverageReport:
    """Collects the cells that passed runs of tests/integration/test_matrix.py record as covered."""

    def __init__(self) -> None:
        self.cells: set[str] = set()
        self.runs: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call" or not report.passed:
            return
        recorded = dict(report.user_properties)
        if "cells" in recorded:
            self.cells |= set(str(recorded["cells"]).split(","))
            self.runs.add(str(recorded["run"]))

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if not hasattr(session.config, "workerinput") and len(self.cells) < CELLS and not session.exitstatus:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.write_line(
            f"matrix: {len(self.cells)} of {CELLS} squares (5 components x 4 levels x 3 generations) proven "
            f"in {len(self.runs)} runs",
            red=len(self.cells) < CELLS,
            green=len(self.cells) == CELLS,
        )


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(_CoverageReport(), "matrix-coverage")
