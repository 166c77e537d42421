"""The lab about a front door: what is nearly right is refused with the words that help, what is right is accepted."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from wizard import practice as practice_stack
from wizard.engine import Engine
from wizard.labs import CheckResult, LabSession, shell
from wizard.workspace import Workspace

pytestmark = pytest.mark.matrix

PATIENCE = 30.0


class Student:
    """Somebody who does the lab, with the files that count."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.session = LabSession.open(Engine(workspace), "door")
        known = practice_stack.load(workspace.practice)
        assert known is not None
        self.door, self.prometheus = known.host("door"), known.host("prometheus")
        self.caddyfile = Path(self.door.folder) / "etc" / "caddy" / "Caddyfile"
        self.flags = Path(self.prometheus.service_folder) / "arguments"
        self.config = Path(self.prometheus.folder) / "etc" / "prometheus" / "prometheus.yml"

    def type(self, step: str) -> None:
        """The commands of a step, as printed."""
        assert [each for each in shell.run(self.session.lab.step(step), self.workspace) if each.code] == []

    def write(self, path: Path, text: str) -> None:
        """Another text for a file, which its program reads by a restart."""
        path.write_text(text)
        name = "caddy" if path == self.caddyfile else "prometheus"
        practice_stack.control_service(self.workspace.root, name, "restart")

    def change(self, path: Path, old: str, new: str) -> str:
        """Another text for the first place of a file where `old` is; returns the file as it was."""
        text = path.read_text()
        assert old in text
        self.write(path, text.replace(old, new, 1))
        return text

    def check(self, step: str, *, patience: float = 0.0) -> CheckResult:
        return self.session.check(step, patience=patience)

    def refused(self, step: str, words: str, *, patience: float = 0.0) -> None:
        result = self.check(step, patience=patience)
        assert not result.ok and re.search(words, result.what), result
        assert result.todo


@pytest.fixture
def student(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Student]:
    """A student at the beginning of the lab."""
    monkeypatch.setenv("FIRESCREEN_CACHE", str(cache))
    workspace = Workspace(tmp_path / "workspace")
    try:
        yield Student(workspace.ensure())
    finally:
        practice_stack.down(workspace.root, remove=True)
        shutil.rmtree(workspace.root, ignore_errors=True)


def test_what_is_nearly_right_is_refused_at_each_step(student: Student) -> None:
    half_a_note(student)
    half_a_prefix(student)
    half_a_login(student)
    a_way_past_the_door(student)
    a_wrong_password(student)
    all_of_it_stays_after_a_night(student)


def half_a_note(student: Student) -> None:
    (student.workspace.practice / "notes" / "half.txt").write_text("status 200 at http://elsewhere/\n")
    student.refused("half", "no note contains it yet")
    student.type("half")
    assert student.check("half").ok


def half_a_prefix(student: Student) -> None:
    student.change(student.caddyfile, "handle_path", "handle")
    student.refused("pair", "page with what it loads.*404")
    student.change(student.caddyfile, "handle /prometheus", "handle_path /prometheus")
    flags = student.flags.read_text()
    url = f"--web.external-url=https://{student.door.listen}/prometheus/\n"
    student.write(student.flags, flags + url)
    student.refused("pair", "page with what it loads.*(30[127]|redirect)")
    # Removed at the door and known to Prometheus: the other way to do it, but its own scrape is not at fault then.
    student.write(student.flags, f"{flags}{url}--web.route-prefix=/\n")
    assert student.check("pair", patience=PATIENCE).ok
    student.write(student.flags, flags)
    student.type("pair")
    config = student.change(student.config, "    metrics_path: /prometheus/metrics\n", "")
    student.refused("pair", "Prometheus cannot scrape .*404", patience=4.0)
    student.write(student.config, config)
    assert student.check("pair", patience=PATIENCE).ok


def half_a_login(student: Student) -> None:
    plain = student.caddyfile.read_text()
    student.type("password")
    whole = student.caddyfile.read_text()
    student.write(student.caddyfile, plain)
    student.refused("password", "plain HTTP: expected 400, but the result is 200")
    login = next(line for line in whole.splitlines() if "basic" in line)
    page_only = login.replace("{", "/prometheus/*graph {")
    student.write(student.caddyfile, whole.replace(login, page_only))
    student.refused("password", r"without a password \(.*\): expected 401, but the result is 200")
    student.write(student.caddyfile, whole)
    assert student.check("password").ok
    assert student.check("pair").ok, "an earlier step stays done"


def a_way_past_the_door(student: Student) -> None:
    old, loopback = student.prometheus.listen, student.prometheus.loopback
    student.refused("hidden", "an address of the host that others reach")
    flags = student.change(student.flags, f"={old}", f"={student.prometheus.address}:9191")
    student.refused("hidden", f"listens at {student.prometheus.address}:9191, an address")
    student.write(student.flags, flags.replace(f"={old}", f"={loopback}"))
    student.refused("hidden", "Prometheus cannot scrape")
    student.change(student.config, old, loopback)
    student.refused("hidden", "page with what it loads.*502", patience=4.0)
    student.change(student.caddyfile, old, loopback)
    assert student.check("hidden", patience=PATIENCE).ok


def a_wrong_password(student: Student) -> None:
    student.refused("machine", "no password of the user prometheus yet")
    student.type("machine")
    password = student.config.parent / "prometheus.password"
    right = password.read_text()
    password.write_text("guess")
    student.refused("machine", "the API .*: expected 200, but the result is .*401")
    password.write_text(right)
    config = student.change(student.config, "username: prometheus", "username: somebody")
    student.refused("machine", "not yet: Prometheus scrapes itself through the door", patience=3.0)
    student.write(student.config, config)
    assert student.check("machine", patience=PATIENCE).ok


def all_of_it_stays_after_a_night(student: Student) -> None:
    practice_stack.down(student.workspace.root)
    again = LabSession.open(Engine(student.workspace), "door")
    for step in again.lab.steps:
        assert again.check(step.id, patience=PATIENCE).ok, step.id
    again.reset()
    assert not again.done
    assert "route-prefix" not in student.flags.read_text()
    assert "handle_path" in student.caddyfile.read_text()
