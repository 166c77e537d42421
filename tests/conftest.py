"""What the tests share: the real programs, a practice stack of one's own, a port that nothing uses."""

from __future__ import annotations

import functools
import gc
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from platformdirs import user_cache_path
from xdist.remote import Producer  # type: ignore[import-untyped]
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from tests.integration import stand
from wizard import binaries
from wizard import practice as practice_stack
from wizard.practice import PracticeStack

_LONG = (
    *("integration/test_export", "integration/test_kill", "integration/test_screen_commands"),
    *("integration/test_audit", "integration/test_lab_door", "screens/test_story", "integration/test_drift"),
    *("integration/test_order", "integration/test_upkeep_rules", "integration/test_go_verdict"),
    *("integration/test_rollout", "integration/test_walk", "integration/test_matrix"),
)
"""Files with runs of half a minute and more, longest first; measured with --durations=0."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests begin first and short ones fill the end: side by side, nobody waits for a last long one."""
    rooms = {name: number for number, name in enumerate(("integration", "screens", "unit"))}
    ranks = {name: number for number, name in enumerate(_LONG)}
    items.sort(
        key=lambda item: (
            item.get_closest_marker("slow") is None,
            ranks.get(f"{item.path.parent.name}/{item.path.stem}", len(ranks)),
            rooms.get(item.path.parent.name, 0),
        )
    )


def pytest_collection_finish() -> None:
    """What was imported and collected stays: looking through it for garbage takes a tenth of the tests' time."""
    gc.collect()
    gc.freeze()


class _Together(LoadScopeScheduling):  # type: ignore[misc]
    """Tests of a file that shares what it starts stay in one process; each other goes wherever one is free.

    xdist's own mark for that is lost with today's pytest, and whole files leave processors idle behind long ones.
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
    """Whether its tests share something, or real hosts of the folder's conftest, or would slow each other down."""
    text = file.read_text(encoding="utf-8")
    if "pytest.mark.spread" in text:
        return False
    return file.parent.name == "hosts" or 'scope="module"' in text or "pytest.mark.slow" in text


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """How tests are shared out with `-n`, in the order above."""
    config.option.loadscopereorder = False
    return _Together(config, log)


@pytest.fixture(scope="session")
def cache() -> Path:
    """Where fetched programs are kept from run to run: FIRESCREEN_CACHE, or the user's cache folder."""
    named = os.environ.get("FIRESCREEN_CACHE")
    return Path(named).absolute() if named else user_cache_path("firescreen")


@pytest.fixture(scope="session")
def prometheus(cache: Path) -> str:
    """Path of the real Prometheus; one that cannot be had fails the test with what was tried."""
    return binaries.find("prometheus", cache=cache).path


@pytest.fixture(scope="session")
def promtool(cache: Path) -> str:
    """Path of the real promtool."""
    return binaries.find("promtool", cache=cache).path


@pytest.fixture(scope="session")
def node_exporter(cache: Path) -> str:
    """Path of the real node_exporter."""
    return binaries.find("node_exporter", cache=cache).path


@pytest.fixture
def practice(tmp_path: Path, cache: Path) -> Iterator[PracticeStack]:
    """A practice stack in a workspace of its own (`Path(practice.folder).parent`); ended after the test."""
    workspace = tmp_path / "workspace"
    try:
        yield practice_stack.up(workspace, cache)
    finally:
        practice_stack.down(workspace, remove=True)


@pytest.fixture
def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on."""
    return stand.free_port()


@pytest.fixture
def own_host_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Locks hosts in the test's folder: this machine is a host of other tests too, which run at the same time."""
    from wizard.engine.hosts import Hosts

    monkeypatch.setattr(Hosts, "lock_path", lambda self, name: str(tmp_path / f"{name}.lock"))
