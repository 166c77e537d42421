"""The commands of lab packs. What a pack types is shown before anything of it is kept or played."""

from __future__ import annotations

import shlex
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wizard.cli import output
from wizard.cli.lab_play import played, stop
from wizard.errors import FirescreenError, InputError
from wizard.redact import plain

if TYPE_CHECKING:
    from wizard.labs.packs import Pack
    from wizard.workspace import Workspace

a_folder = click.argument("folder", type=click.Path(path_type=Path))


@click.command()
@a_folder
def new(folder: Path) -> None:
    """Begin a pack of your own: FOLDER is made, with a small lab that works, to change."""
    from wizard import assets

    with output.explained():
        try:
            shutil.copytree(assets.path("examples/lab-pack"), folder)
        except FileExistsError:
            raise InputError(
                "there is something already", where=str(folder), todo="name a new folder"
            ) from None
        except OSError as error:
            raise InputError(
                f"it cannot be made: {error.strerror}", where=str(folder), todo="name another"
            ) from error
        output.say(f"Made {plain(str(folder), 400)}. Read the README.md in it, change the lab, then:")
        output.say(f"  firescreen lab check-pack {shlex.quote(str(folder))}")


@click.command()
@a_folder
@click.option("--yes", is_flag=True, help="Do not ask: what it types was read before.")
@click.pass_obj
def add(workspace: Workspace, folder: Path, yes: bool) -> None:
    """Add the labs of a pack: a FOLDER with a lab, or with several.

    It is inspected, all that it types and places is shown, and you are asked. What was shown is kept: a later
    change in FOLDER counts when you add it again.
    """
    from wizard.labs import packs

    with output.explained():
        pack = _sound(packs.look(folder, workspace))
        _agree(pack, yes=yes, ask="Add it?", words="These labs may type this for you, as you:")
        packs.add(pack, workspace)
        ids = ", ".join(each.id for each in pack.labs)
        output.say(f"Added: {ids}. Begin with: firescreen lab start {pack.labs[0].id}")
        output.say(f"To take it out again: firescreen lab remove {pack.name}")


@click.command()
@click.argument("pack")
@click.pass_obj
def remove(workspace: Workspace, pack: str) -> None:
    """Take a PACK out again, by its name in `lab list`, and how far its labs are. Reports stay."""
    from wizard.labs import packs

    with output.explained():
        packs.remove(pack, workspace)
        output.say(f"The pack {pack} is gone.")


@click.command(name="check-pack")
@a_folder
@click.option("--yes", is_flag=True, help="Do not ask before playing it.")
@click.option("--no-play", is_flag=True, help="Only inspect it: runs nothing.")
@click.option("--suite", default="", help="Take the programs from this suite of the distribution.")
@click.pass_obj
def check_pack(workspace: Workspace, folder: Path, yes: bool, no_play: bool, suite: str) -> None:
    """Prove a pack that you wrote: FOLDER is inspected, then each lab is played, done for you and by hand.

    Every step has to be open before and done after. It plays on a practice stack of its own, which is gone
    afterwards. Exit 0: it can be handed out. 1: a step does not hold. 2: something has to be corrected.
    """
    from wizard.labs import packs

    signal.signal(signal.SIGTERM, stop)
    with output.explained():
        pack = _sound(packs.read(folder, taken=_own_ids()))
        steps = sum(len(each.steps) for each in pack.labs)
        output.say(f"✓ inspected: {len(pack.labs)} lab(s), {steps} steps, nothing to correct", colour="green")
        if no_play:
            return
        _agree(
            pack,
            yes=yes,
            ask="Play it?",
            words="It will type and place this, as you, on a practice stack on this machine:",
        )
        sys.exit(0 if _played(pack, workspace, suite) else 1)


def _own_ids() -> frozenset[str]:
    from wizard.labs import labs

    return frozenset(each.id for each in labs())


def _played(pack: Pack, workspace: Workspace, suite: str) -> bool:
    """Both ways; whether every step held."""
    from wizard.labs import packs, play

    with packs.staged(pack) as folder:
        for by_hand in (False, True):
            if not play.play(
                workspace,
                [each.id for each in pack.labs],
                by_hand=by_hand,
                keep=False,
                say=played,
                progress=lambda text: output.say(f"  … {plain(text, 300)}"),
                suite=suite,
                packs=folder,
            ):
                return False
    output.say(
        f"✓ {pack.name}: every step fails before and passes after, done for you and by hand", colour="green"
    )
    return True


def _sound(pack: Pack) -> Pack:
    """The pack, if there is nothing to correct; else all of it is told, and the command ends with 2."""
    if not pack.problems:
        return pack
    for problem in pack.problems:
        _told(problem)
    count = len(pack.problems)
    output.say(
        f"{count} {'thing has' if count == 1 else 'things have'} to be corrected. Nothing was run.", bold=True
    )
    sys.exit(2)


def _told(problem: FirescreenError) -> None:
    output.say(f"✗ {plain(problem.where, 600)}", colour="red")
    output.say(f"    {plain(problem.what, 600)}")
    if problem.todo:
        output.say(f"    → {plain(problem.todo, 600)}")


def _agree(pack: Pack, *, yes: bool, ask: str, words: str) -> None:
    """Shows all that a pack types and places, and asks.

    Raises:
        InputError: nobody is there to say yes.
    """
    output.say(words, bold=True)
    for line in pack.shows:
        output.say(line)
    if yes:
        return
    if not sys.stdin.isatty():
        raise InputError(
            "nobody is there to agree to this", where=str(pack.source), todo="read it, then take --yes"
        )
    if not click.confirm(ask, err=True):
        raise click.Abort
