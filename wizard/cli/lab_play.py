"""The command `lab play`: does a whole lab, from its first to its last step."""

from __future__ import annotations

import signal
import sys
import textwrap
from typing import TYPE_CHECKING, NoReturn

import click

from wizard.cli import output
from wizard.redact import plain

if TYPE_CHECKING:
    from wizard.labs.play import Line
    from wizard.workspace import Workspace


@click.command()
@click.argument("lab_id", metavar="[LAB]", required=False, default="")
@click.option("--all", "everything", is_flag=True, help="Play all labs")
@click.option("--by-hand", is_flag=True, help="Run the commands that students see, instead of the engine")
@click.option("--keep", is_flag=True, help="Keep the practice stack running at the end")
@click.option("--suite", default="", help="Use the programs of this Debian suite, e.g. trixie")
@click.pass_obj
def play(workspace: Workspace, lab_id: str, everything: bool, by_hand: bool, keep: bool, suite: str) -> None:
    """Do a whole lab, and check each step before and after it.

    Without LAB, plays the first lab and those that continue it: a node_exporter, from unprotected to TLS + password.
    Uses a practice stack of its own and removes it at the end; a lab in progress is not changed.

    \b
    Examples:
      firescreen lab play
      firescreen lab play mutual-tls --by-hand
    """
    from wizard.labs import labs
    from wizard.labs import play as player

    if everything and lab_id:
        raise click.UsageError("Name a lab, or use --all.")
    signal.signal(signal.SIGTERM, stop)
    with output.print_errors():
        done = player.play(
            workspace,
            [each.id for each in labs(workspace.packs)] if everything else [lab_id] if lab_id else [],
            by_hand=by_hand,
            keep=keep,
            suite=suite,
            say=print_line,
            progress=lambda text: output.say(f"  … {plain(text, 300)}"),
        )
    sys.exit(0 if done else 1)


def stop(*_: object) -> NoReturn:
    """Stops the play, as Ctrl+C does."""
    raise KeyboardInterrupt


def print_line(line: Line) -> None:
    """Prints a line of a play with its mark and its colour."""
    marks = {"ok": "✓ ", "bad": "✗ ", "made": "+ ", "not-yet": "· "}
    colours = {"ok": "green", "bad": "red", "step": "cyan", "command": "yellow"}
    indent = line.text[: len(line.text) - len(line.text.lstrip())]
    text, mark = line.text.lstrip(), marks.get(line.kind, "")
    shown = [line.text]
    if mark:
        first, rest = indent + mark, indent + " " * len(mark)
        shown = textwrap.wrap(
            text,
            80,
            initial_indent=first,
            subsequent_indent=rest,
            break_long_words=False,
            break_on_hyphens=False,
        )
    for part in shown:
        click.secho(
            part, fg=colours.get(line.kind), bold=line.kind in ("title", "step"), dim=line.kind == "output"
        )
