"""Containers that differ from their Compose files: reported in a plan, and refused before it is applied."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.engine.memory import MemoryManager, Site, completed, site
from wizard.engine import pending_edits
from wizard.errors import FileChangedError
from wizard.model import Completed, Container, Facts, PlannedStep, RunService, StepKind

BOX = Container(
    name="mon-exporter-1",
    image="x:1",
    project="mon",
    service="exporter",
    compose="docker compose",
    compose_files=("/srv/mon/compose.yaml",),
    folder="/srv/mon",
)
ABC, ABD = "abc" + 61 * "0", "abd" + 61 * "0"
BEFORE = f"/mon-exporter-1 true sha256:1 {ABC}\n"
HASHES, LEFT = f"{BEFORE}\x1fx:1 sha256:1\n\x1f0\x1f", " Container mon-exporter-1  Running\n"
ANEW = " DRY-RUN MODE -  Container mon-exporter-1  Recreate\n Container mon-exporter-1  Running\n"


@pytest.fixture
def host(tmp_path: Path) -> Site:
    return site(tmp_path, MemoryManager(), "srv1")


def set_answers(host: Site, hashes: str, dry_run: str = "") -> None:
    """Sets the answers of the container engine and of Compose on that host."""

    def sh(text: str, *words: str) -> Completed:
        assert words[0] == "/srv/mon"
        return completed(dry_run if "--dry-run" in text else hashes)

    host.connections["srv1"].programs["sh"] = sh


def facts(host: Site, box: Container = BOX) -> Facts:
    return host.facts({"srv1": (host.service("srv1", container=box),)})


def pending(host: Site, box: Container = BOX) -> str:
    """Returns the report about the container."""
    found = pending_edits.with_pending(host.plan(()).stack, facts(host, box), host.hosts())
    (service,) = found.hosts["srv1"].services
    assert service.container is not None
    return service.container.pending


@pytest.mark.parametrize(
    ("hashes", "dry_run", "expected"),
    [
        (f"{HASHES}exporter {ABC}", "", ""),
        (f"{HASHES}exporter {ABD}", "", "does not run as its Compose files say now"),
        (f"{HASHES}exporter {ABD}", f"{ANEW}\x1f{ANEW}", "does not run as its Compose files say now"),
        # Only one of the two options leaves dependencies alone.
        (f"{HASHES}exporter {ABD}", f"{ANEW}\x1f{LEFT}", ""),
        (f"{HASHES}exporter {ABD}", f"{LEFT}\x1f{ANEW}", ""),
        (f"{HASHES}prometheus {ABC}", f"{LEFT}\x1f{LEFT}", ""),
        (
            f"{BEFORE}\x1fx:1 sha256:1\n\x1f15\x1f/srv/mon/compose.yaml: no such key",
            "",
            "has Compose files that Compose rejects: /srv/mon/compose.yaml: no such key",
        ),
        (
            f"{BEFORE}\x1fx:1 sha256:2\n\x1f0\x1fexporter {ABC}",
            "",
            "was made of an older image than x:1 is now",
        ),
        # Without its image the difference is unknown; a stopped container is refused elsewhere.
        (f"{BEFORE}\x1fx:1 \n\x1f0\x1fexporter {ABD}", "", ""),
        (BEFORE.replace("true", "false") + f"\x1fx:1 sha256:1\n\x1f0\x1fexporter {ABD}", "", ""),
        ("", "", ""),
    ],
)
def test_pending_changes_of_compose_are_detected(
    host: Site, hashes: str, dry_run: str, expected: str
) -> None:
    set_answers(host, hashes, dry_run)
    assert pending(host) == expected


def test_only_compose_containers_are_checked(host: Site) -> None:
    host.connections["srv1"].programs["sh"] = lambda *_: pytest.fail("asked")
    assert pending(host, replace(BOX, project="")) == ""
    assert pending(host, replace(BOX, compose="")) == ""
    assert pending(host, replace(BOX, unchangeable="does not run")) == ""


def test_an_edit_after_planning_is_refused_before_any_change(host: Site) -> None:
    service = host.service("srv1", container=BOX)
    turn = RunService(host="srv1", service=service, action="restart", why="")
    step = PlannedStep(id="x", kind=StepKind.RESTART, title="x", host="srv1", why="", changes=(turn,))
    set_answers(host, f"{HASHES}exporter {ABC}")
    pending_edits.refuse(host.plan((step,)), host.hosts())
    set_answers(host, f"{HASHES}exporter {ABD}")
    with pytest.raises(FileChangedError, match="does not run as its Compose files say now") as caught:
        pending_edits.refuse(host.plan((step,)), host.hosts())
    assert "/srv/mon/compose.yaml" in caught.value.where
    assert "docker compose up -d exporter" in caught.value.todo
