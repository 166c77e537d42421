"""What tests of the engine share: a service manager in memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.unit.engine.memory import MemoryManager, Site, site
from wizard.model import Connect
from wizard.service_managers import registry


@pytest.fixture
def manager() -> Iterator[MemoryManager]:
    """Registered while a test runs."""
    made = MemoryManager()
    registry.register(made)
    try:
        yield made
    finally:
        registry.unregister(made.name)


@pytest.fixture
def make_site(tmp_path: Path, manager: MemoryManager) -> Callable[..., Site]:
    """Makes a site of hosts with these names."""

    def made(*names: str, connect: Connect = "ssh") -> Site:
        return site(tmp_path, manager, *names, connect=connect)

    return made


@pytest.fixture(autouse=True)
def _quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test here cuts the power, and a busy disk takes its time."""
    monkeypatch.setattr(os, "fsync", lambda number: None)
