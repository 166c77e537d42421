"""Fixtures for tests of the engine: a service manager and hosts in memory."""

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
    """A service manager in memory, registered while a test runs."""
    made = MemoryManager()
    registry.register(made)
    try:
        yield made
    finally:
        registry.unregister(made.name)


@pytest.fixture
def make_site(tmp_path: Path, manager: MemoryManager) -> Callable[..., Site]:
    """Returns a function that makes a site of hosts with the given names."""

    def made(*names: str, connect: Connect = "ssh") -> Site:
        return site(tmp_path, manager, *names, connect=connect)

    return made


@pytest.fixture(autouse=True)
def _quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turns fsync off: these tests do not depend on it, and it is slow on a busy disk."""
    monkeypatch.setattr(os, "fsync", lambda number: None)
