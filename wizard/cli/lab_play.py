"""`lab play`: a whole lab from its first to its last step, in plain lines."""

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
@click.option("--all", "everything", is_flag=True, help="Play every lab.")
@click.option("--by-hand", is_flag=True, help="Run the commands that a student sees, as printed.")
@click.option("--keep", is_flag=True, help="Leave its practice stack running.")
@click.option("--suite", default="", help="Take the programs from this suite of the distribution.")
@click.pass_obj
def play(workspace: Workspace, lab_id: str, everything: bool, by_hand: bool, keep: bool, suite: str) -> None:
    """Do a lab from its first to its last step, in plain lines.

    Each step has to be open before and done after. Without LAB it is the first, with those that go on from it:
    a node_exporter, from open to closed. It plays on a practice stack of its own, which is gone afterwards: a lab that you are doing is not touched.
    """
    from wizard.labs import labs
    from wizard.labs import play as player

    if everything and lab_id:
        raise click.UsageError("name a lab, or take --all")
    signal.signal(signal.SIGTERM, stop)
    with output.explained():
        done = player.play(
            workspace,
            [each.id for each in labs(workspace.packs)] if everything else [lab_id] if lab_id else [],
            by_hand=by_hand,
            keep=keep,
            suite=suite,
            say=played,
            progress=lambda text: output.say(f"  … {plain(text, 300)}"),
        )
    sys.exit(0 if done else 1)


def stop(*_: object) -> NoReturn:
    """Ends as Ctrl+C does."""
    raise KeyboardInterrupt


def played(line: Line) -> None:
    """A line of a play, with its sign and its colour."""
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
