"""Each command's help says what the command does, in texts that are not truncated."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from wizard.cli import firescreen

RUNNER = CliRunner()


def subcommands(command: click.Command) -> dict[str, click.Command]:
    """The commands of a group, by name."""
    if not isinstance(command, click.Group):
        return {}
    context = click.Context(command)
    found = {name: command.get_command(context, name) for name in command.list_commands(context)}
    return {name: inner for name, inner in found.items() if inner is not None}


def groups(command: click.Command, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words that call each group of commands."""
    if isinstance(command, click.Group):
        yield words
        for name, inner in subcommands(command).items():
            yield from groups(inner, (*words, name))


def with_subcommands(command: click.Command) -> Iterator[click.Command]:
    """A command and all its subcommands."""
    yield command
    for inner in subcommands(command).values():
        yield from with_subcommands(inner)


def commands_with_names(
    command: click.Command, words: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Each subcommand with the words that call it."""
    for name, inner in subcommands(command).items():
        yield (*words, name), inner
        yield from commands_with_names(inner, (*words, name))


@pytest.mark.parametrize("words", list(groups(firescreen)), ids=" ".join)
def test_no_short_help_is_truncated(words: tuple[str, ...]) -> None:
    shown = RUNNER.invoke(firescreen, [*words, "--help"], prog_name="firescreen").output
    assert "Commands:" in shown and "..." not in shown.partition("Commands:")[2]


def test_each_command_and_option_has_a_help_text() -> None:
    for command in with_subcommands(firescreen):
        assert command.hidden or command.help, command.name
        for option in command.params:
            if isinstance(option, click.Option):
                assert option.help and not option.help.endswith("."), (command.name, option.name)


def test_stack_is_explained_wherever_it_is_named() -> None:
    shown = RUNNER.invoke(firescreen, ["--help"]).output
    assert "STACK is a stack file" in " ".join(shown.split())
    for each in with_subcommands(firescreen):
        if not each.hidden and any(
            one.name == "stack" for one in each.params if isinstance(one, click.Argument)
        ):
            assert "STACK is a stack file" in (each.help or ""), each.name


LEAVES = [words for words, command in commands_with_names(firescreen) if not isinstance(command, click.Group)]


@pytest.mark.parametrize("words", LEAVES, ids=" ".join)
def test_each_command_has_valid_examples_within_80_columns(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("server.crt", "server.key", "/etc/node_exporter/node_exporter.crt"):
        (tmp_path / Path(name).name).touch()
    monkeypatch.chdir(tmp_path)
    shown = RUNNER.invoke(firescreen, [*words, "--help"], prog_name="firescreen").output
    examples = shown.partition("Example")[2].partition("\n\n")[0].replace("\\\n", " ")
    assert max(map(len, shown.splitlines())) <= 80
    lines = [line.strip() for line in examples.splitlines() if " firescreen " in f" {line}"]
    assert lines
    for line in lines:
        typed = shlex.split(
            line.rpartition("| ")[2].partition(" > ")[0].partition(" < ")[0].partition("   ")[0]
        )
        assert tuple(typed[1 : len(words) + 1]) == words
        context: click.Context | None = None
        command: click.Command = firescreen
        for word in words:
            context = click.Context(command, parent=context, info_name=word)
            assert isinstance(command, click.Group)
            command = subcommands(command)[word]
        given = [Path(each).name if each.startswith("/etc/") else each for each in typed[len(words) + 1 :]]
        command.make_context(words[-1], given, parent=context)


@pytest.mark.parametrize(
    ("shell", "function"), [("bash", "complete"), ("zsh", "compdef"), ("fish", "complete")]
)
def test_completion_prints_a_script_for_each_shell(shell: str, function: str) -> None:
    shown = RUNNER.invoke(firescreen, ["completion", shell])
    assert shown.exit_code == 0 and function in shown.stdout and "_FIRESCREEN_COMPLETE" in shown.stdout
    assert RUNNER.invoke(firescreen, ["completion", "tcsh"]).exit_code == 2
