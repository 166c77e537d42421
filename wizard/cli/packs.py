"""The commands for lab packs. All commands of a pack are shown before it is added or played."""

from __future__ import annotations

import shlex
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wizard.cli import output
from wizard.cli.lab_play import print_line, stop
from wizard.errors import FirescreenError, InputError
from wizard.plurals import count_noun
from wizard.redact import plain

if TYPE_CHECKING:
    from wizard.labs.packs import Pack
    from wizard.workspace import Workspace

a_folder = click.argument("folder", type=click.Path(path_type=Path))


@click.command()
@a_folder
def new(folder: Path) -> None:
    """Create a lab pack in FOLDER, with a small lab to change.

    \b
    Example:
      firescreen lab new my-labs
    """
    from wizard import assets

    with output.print_errors():
        try:
            shutil.copytree(assets.path("examples/lab-pack"), folder)
        except FileExistsError:
            raise InputError(
                "the folder exists already", where=str(folder), todo="Choose a new folder"
            ) from None
        except OSError as error:
            raise InputError(
                f"the folder cannot be created: {error.strerror}",
                where=str(folder),
                todo="Choose another folder",
            ) from error
        output.say(f"Created {plain(str(folder), 400)}. Read the README.md in it, change the lab, then:")
        output.say(f"  firescreen lab check-pack {shlex.quote(str(folder))}")


@click.command()
@a_folder
@click.option("--yes", is_flag=True, help="Do not ask before the pack is added")
@click.pass_obj
def add(workspace: Workspace, folder: Path, yes: bool) -> None:
    """Add the labs of a pack from FOLDER.

    Inspects the pack, shows all commands and files of its labs, and asks. Firescreen keeps a copy of what was shown:
    add the pack again after changes in FOLDER.

    \b
    Example:
      firescreen lab add my-labs
    """
    from wizard.labs import packs

    with output.print_errors():
        pack = _sound(packs.look(folder, workspace))
        _agree(pack, yes=yes, ask="Add the pack?", words="These labs can run these commands as your user:")
        packs.add(pack, workspace)
        ids = ", ".join(each.id for each in pack.labs)
        output.say(f"Added: {ids}. Start with: firescreen lab start {pack.labs[0].id}")
        output.say(f"Remove it with: firescreen lab remove {pack.name}")


@click.command()
@click.argument("pack")
@click.pass_obj
def remove(workspace: Workspace, pack: str) -> None:
    """Remove a lab pack, and the progress of its labs.

    PACK is its name in `firescreen lab list`. Reports are kept.

    \b
    Example:
      firescreen lab remove my-labs
    """
    from wizard.labs import packs

    with output.print_errors():
        packs.remove(pack, workspace)
        output.say(f"The pack {pack} is removed.")


@click.command(name="check-pack")
@a_folder
@click.option("--yes", is_flag=True, help="Do not ask before the labs are played")
@click.option("--no-play", is_flag=True, help="Only inspect the pack: run nothing")
@click.option("--suite", default="", help="Use the programs of this Debian suite, e.g. trixie")
@click.pass_obj
def check_pack(workspace: Workspace, folder: Path, yes: bool, no_play: bool, suite: str) -> None:
    """Test a lab pack that you wrote.

    Inspects FOLDER, then plays each lab twice: with the engine, and with the commands that students see. Each step
    must fail its check before and pass it after. Uses a practice stack of its own and removes it at the end.

    Exit 0: the pack works. 1: a step does not work. 2: the pack has errors.

    \b
    Examples:
      firescreen lab check-pack my-labs
      firescreen lab check-pack my-labs --no-play
    """
    from wizard.labs import packs

    signal.signal(signal.SIGTERM, stop)
    with output.print_errors():
        pack = _sound(packs.read(folder, taken=_own_ids()))
        steps = sum(len(each.steps) for each in pack.labs)
        output.say(
            f"✓ inspected: {count_noun(len(pack.labs), 'lab')}, {count_noun(steps, 'step')}, no errors",
            colour="green",
        )
        if no_play:
            return
        _agree(
            pack,
            yes=yes,
            ask="Play the labs?",
            words="These commands will run as your user, on a practice stack on this machine:",
        )
        sys.exit(0 if _play(pack, workspace, suite) else 1)


def _own_ids() -> frozenset[str]:
    from wizard.labs import labs

    return frozenset(each.id for each in labs())


def _play(pack: Pack, workspace: Workspace, suite: str) -> bool:
    """Plays the pack with the engine and with its commands; returns whether every step worked."""
    from wizard.labs import packs, play

    with packs.stage_pack(pack) as folder:
        for by_hand in (False, True):
            if not play.play(
                workspace,
                [each.id for each in pack.labs],
                by_hand=by_hand,
                keep=False,
                say=print_line,
                progress=lambda text: output.say(f"  … {plain(text, 300)}"),
                suite=suite,
                packs=folder,
            ):
                return False
    output.say(
        f"✓ {pack.name}: every check fails before its step and passes after it, both ways", colour="green"
    )
    return True


def _sound(pack: Pack) -> Pack:
    """Returns the pack if it has no errors; otherwise prints them and exits with 2."""
    if not pack.problems:
        return pack
    for problem in pack.problems:
        _print_error(problem)
    count = len(pack.problems)
    output.say(f"{count} {'error' if count == 1 else 'errors'}. Nothing was run.", bold=True)
    sys.exit(2)


def _print_error(problem: FirescreenError) -> None:
    output.say(f"✗ {plain(problem.where, 600)}", colour="red")
    output.say(f"    {plain(problem.what, 600)}")
    if problem.todo:
        output.say(f"    → {plain(problem.todo, 600)}")


def _agree(pack: Pack, *, yes: bool, ask: str, words: str) -> None:
    """Shows all commands and files of a pack, and asks.

    Raises:
        InputError: there is no terminal to ask at.
    """
    output.say(words, bold=True)
    for line in pack.shows:
        output.say(line)
    if yes:
        return
    if not sys.stdin.isatty():
        raise InputError(
            "there is no terminal to ask at",
            where=str(pack.source),
            todo="Read the commands above, then add --yes",
        )
    if not click.confirm(ask, err=True):
        raise click.Abort
