"""Fixtures of all tests (real programs, a practice stack, a free port), and how tests are distributed to workers."""

from __future__ import annotations

import functools
import gc
import os
import re
from collections.abc import Generator, Iterator
from pathlib import Path

import hypothesis
import pytest
from platformdirs import user_cache_path
from xdist.remote import Producer  # type: ignore[import-untyped]
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from tests.integration import loopback_programs
from wizard import binaries
from wizard import practice as practice_stack
from wizard.errors import ServiceError
from wizard.practice import PracticeStack

# No limit to the time of an example: these tests also run on busy machines.
hypothesis.settings.register_profile("firescreen", deadline=None)
hypothesis.settings.load_profile("firescreen")

_LONG = (
    *("integration/test_export", "integration/test_kill", "integration/test_screen_commands"),
    *(
        "integration/test_audit",
        "integration/test_lab_door",
        "screens/test_main_workflow",
        "integration/test_drift",
    ),
    *("integration/test_lost_scrapes", "integration/test_upkeep_rules", "integration/test_go_verdict"),
    *("integration/test_rollout", "integration/test_first_session", "integration/test_matrix"),
)
"""Files with runs of half a minute and more, longest first; measured with --durations=0."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Starts with the long tests and ends with short ones, so that all workers finish at about the same time."""
    folder_ranks = {name: number for number, name in enumerate(("integration", "screens", "unit"))}
    ranks = {name: number for number, name in enumerate(_LONG)}
    items.sort(
        key=lambda item: (
            item.get_closest_marker("slow") is None,
            ranks.get(f"{item.path.parent.name}/{item.path.stem}", len(ranks)),
            folder_ranks.get(item.path.parent.name, 0),
        )
    )


def pytest_collection_finish() -> None:
    """Excludes imported and collected objects, which all stay, from garbage collection: that took a tenth of the tests' time."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    call: pytest.CallInfo[object],
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Prints what the program logged where a service did not start: the error itself names only its exit code."""
    report = yield
    problem = call.excinfo and call.excinfo.value
    if isinstance(problem, ServiceError) and problem.log:
        report.sections.append(("Log of the program", "\n".join(problem.log)))
    return report


class _SharedFileScheduling(LoadScopeScheduling):  # type: ignore[misc]
    """Runs the tests of a file with shared fixtures in one process, and every other test in any free one.

    xdist's own mark for that does not work with the present pytest, and distributing complete files leaves processors
    idle at the end of long ones.
    """

    def _split_scope(self, nodeid: str) -> str:
        name, _, test = nodeid.partition("::")
        if not _shares(self.config.rootpath / name):
            return nodeid
        # Hosts of one of Debian's suites are shared by the tests of that suite alone.
        suite = _SUITE.search(test.partition("[")[2])
        return f"{name}::{suite[0]}" if suite else name


_SUITE = re.compile(r"\b(bookworm|trixie|sid)\b")


@functools.cache
def _shares(file: Path) -> bool:
    """Returns whether its tests share a fixture, or real hosts of the folder's conftest, or would slow each other down."""
    text = file.read_text(encoding="utf-8")
    if "pytest.mark.spread" in text:
        return False
    return file.parent.name == "hosts" or 'scope="module"' in text or "pytest.mark.slow" in text


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Returns the scheduler for `-n`, which keeps the order above."""
    config.option.loadscopereorder = False
    return _SharedFileScheduling(config, log)


@pytest.fixture(scope="session")
def cache() -> Path:
    """Returns the cache of fetched programs: FIRESCREEN_CACHE, or the user's cache folder."""
    named = os.environ.get("FIRESCREEN_CACHE")
    return Path(named).absolute() if named else user_cache_path("firescreen")


@pytest.fixture(scope="session")
def prometheus(cache: Path) -> str:
    """Returns the path of the real Prometheus; fails the test with the attempts if there is none."""
    return binaries.find("prometheus", cache=cache).path


@pytest.fixture(scope="session")
def promtool(cache: Path) -> str:
    """Returns the path of the real promtool."""
    return binaries.find("promtool", cache=cache).path


@pytest.fixture(scope="session")
def node_exporter(cache: Path) -> str:
    """Returns the path of the real node_exporter."""
    return binaries.find("node_exporter", cache=cache).path


@pytest.fixture
def practice(tmp_path: Path, cache: Path) -> Iterator[PracticeStack]:
    """Yields a practice stack in a workspace of its own (`Path(practice.folder).parent`); removes it after the test."""
    workspace = tmp_path / "workspace"
    try:
        yield practice_stack.up(workspace, cache)
    finally:
        practice_stack.down(workspace, remove=True)


@pytest.fixture
def free_port() -> int:
    """Returns a port of 127.0.0.1 that nothing listens on."""
    return loopback_programs.free_port()


@pytest.fixture
def own_host_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts host locks into the test's folder: concurrent tests use this machine as a host too."""
    from wizard.engine.hosts import Hosts

    monkeypatch.setattr(Hosts, "lock_path", lambda self, name: str(tmp_path / f"{name}.lock"))
