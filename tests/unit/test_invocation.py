"""A printed command works as typed: it contains the path of the program and the workspace where these are needed."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import pytest

from wizard import invocation
from wizard.cli import firescreen
from wizard.workspace import Workspace


@pytest.fixture
def usual(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("FIRESCREEN_WORKSPACE", str(tmp_path / "usual"))
    return Workspace(tmp_path / "usual")


def installed(folder: Path) -> Path:
    program = folder / "bin" / "firescreen"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return program


def test_the_default_workspace_needs_no_option(usual: Workspace) -> None:
    text = "Undo with: firescreen undo --yes. The previous files are kept."
    assert invocation.as_typed(text, usual) == text


def test_another_workspace_is_named_in_each_command(usual: Workspace, tmp_path: Path) -> None:
    other = Workspace(tmp_path / "my work")
    text = invocation.as_typed("Run: firescreen recover --yes, then firescreen verify a.yaml", other)
    option = f"--workspace '{tmp_path}/my work'"
    assert text == f"Run: firescreen {option} recover --yes, then firescreen {option} verify a.yaml"


@pytest.mark.parametrize(
    "text",
    [
        "Firescreen undoes it",
        "a firescreen stands before it",
        "/etc/node_exporter/firescreen undo",
        "apt install firescreen",
        "firescreen --help",
    ],
)
def test_text_that_is_no_command_is_unchanged(text: str, usual: Workspace, tmp_path: Path) -> None:
    assert invocation.as_typed(text, Workspace(tmp_path / "other")) == text


def test_a_program_outside_path_is_named_with_its_path(
    usual: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = installed(tmp_path / "clone" / ".venv")
    monkeypatch.setattr(sys, "argv", [str(program)])
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("HOME", str(tmp_path / "elsewhere"))
    assert invocation.as_typed("firescreen undo", usual) == f"{program} undo"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert invocation.as_typed("firescreen undo", usual) == "~/clone/.venv/bin/firescreen undo"
    monkeypatch.setenv("PATH", f"{program.parent}:/bin")
    assert invocation.as_typed("firescreen undo", usual) == "firescreen undo"
    # Another installation of Firescreen would not know the runs of this one.
    other = installed(tmp_path / "other")
    monkeypatch.setenv("PATH", f"{other.parent}:/bin")
    assert invocation.as_typed("firescreen undo", usual).startswith("~/clone/")


def test_a_path_with_blanks_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = installed(tmp_path / "my clone")
    monkeypatch.setattr(sys, "argv", [str(program)])
    monkeypatch.setenv("HOME", str(tmp_path))
    assert invocation.program() == f"'{program}'"


def test_each_command_of_the_command_line_is_known() -> None:
    with click.Context(firescreen) as context:
        commands = {name: firescreen.get_command(context, name) for name in firescreen.list_commands(context)}
    named = {name for name, command in commands.items() if command is not None and not command.hidden}
    assert named == set(invocation.COMMANDS.split("|"))
