"""Each command says in its help what it does, in texts that are shown whole."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from wizard.cli import firescreen

RUNNER = CliRunner()


def groups(command: click.Command, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of each group of commands."""
    if isinstance(command, click.Group):
        yield words
        for name, inner in command.commands.items():
            yield from groups(inner, (*words, name))


def every(command: click.Command) -> Iterator[click.Command]:
    """A command and all below it."""
    yield command
    for inner in command.commands.values() if isinstance(command, click.Group) else ():
        yield from every(inner)


@pytest.mark.parametrize("words", list(groups(firescreen)), ids=" ".join)
def test_no_short_help_is_cut_off(words: tuple[str, ...]) -> None:
    shown = RUNNER.invoke(firescreen, [*words, "--help"], prog_name="firescreen").output
    assert "Commands:" in shown and "..." not in shown.partition("Commands:")[2]


def test_each_command_and_option_has_a_help_text() -> None:
    for command in every(firescreen):
        assert command.hidden or command.help, command.name
        for option in command.params:
            if isinstance(option, click.Option):
                assert option.help and not option.help.endswith("."), (command.name, option.name)


def test_stack_is_explained_once() -> None:
    shown = RUNNER.invoke(firescreen, ["--help"]).output
    assert "STACK is a stack file" in " ".join(shown.split())
    assert not [
        each.name for each in every(firescreen) if "STACK is" in (each.help or "") and each is not firescreen
    ]


@pytest.mark.parametrize(
    "name", ["scan", "plan", "apply", "verify", "undo", "probe", "explain", "export", "serve"]
)
def test_each_main_command_has_an_example(name: str) -> None:
    assert f"firescreen {name}" in (firescreen.commands[name].help or "").partition("Example")[2]


@pytest.mark.parametrize(
    ("shell", "function"), [("bash", "complete"), ("zsh", "compdef"), ("fish", "complete")]
)
def test_completion_prints_a_script_for_each_shell(shell: str, function: str) -> None:
    shown = RUNNER.invoke(firescreen, ["completion", shell])
    assert shown.exit_code == 0 and function in shown.stdout and "_FIRESCREEN_COMPLETE" in shown.stdout
    assert RUNNER.invoke(firescreen, ["completion", "tcsh"]).exit_code == 2


def test_the_script_completes_commands_in_bash(tmp_path: Path) -> None:
    bash = shutil.which("bash")
    assert bash
    program = tmp_path / "firescreen"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m screens "$@"\n')
    program.chmod(0o700)
    script = r"""
. <(firescreen completion bash)
COMP_WORDS=(firescreen ver) COMP_CWORD=1
_firescreen_completion firescreen ver
printf '%s\n' "${COMPREPLY[@]}"
"""
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    ended = subprocess.run(
        [bash, "-c", script], capture_output=True, text=True, timeout=60, check=False, env=environment
    )
    assert ended.stdout.split() == ["verify"], ended.stderr
