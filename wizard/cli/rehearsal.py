"""The command `lab rehearse`: plays the labs on a class's real hosts beforehand."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wizard.cli import output
from wizard.cli.options import ask_to_confirm, connect, engine, yes
from wizard.errors import FirescreenError, InputError
from wizard.plurals import count_noun
from wizard.redact import plain, redact

if TYPE_CHECKING:
    from wizard.labs.rehearsal import Rehearsed
    from wizard.workspace import Workspace


@click.command()
@click.argument("labs_named", metavar="[LAB]...", nargs=-1)
@click.option(
    "--classroom",
    "file",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Classroom file with the hosts of the class",
)
@click.option(
    "--campus", multiple=True, type=click.IntRange(1, 9999), help="Only this campus number; repeatable"
)
@yes
@click.pass_obj
def rehearse(
    workspace: Workspace, labs_named: tuple[str, ...], file: Path, campus: tuple[int, ...], yes: bool
) -> None:
    """Play the labs on a class's real hosts before the day.

    Does each lab that real hosts can do, on each campus of the classroom file, as Firescreen does it for a student;
    then restores the hosts. Says which host is not ready, and why. Exit 1: a host or a lab is not ready.

    \b
    Examples:
      firescreen lab rehearse --classroom classroom.yaml
      firescreen lab rehearse node-tls --classroom classroom.yaml --campus 3
    """
    from wizard.labs import classroom

    with output.print_errors():
        _check_names(labs_named)
        numbers = campus or classroom.campuses(file)
        if not yes:
            there = (
                f"on {len(numbers)} campuses"
                if len(numbers) > 1
                else f"on the hosts of {plain(file.name, 100)}"
            )
            ask_to_confirm(f"Play the labs {there}, and restore the hosts?", todo="Agree with --yes")
        results = [found for number in numbers for found in _campus(workspace, file, number, labs_named)]
        bad = [found for found in results if not found.ok]
        output.say(
            f"{len(bad)} of {count_noun(len(results), 'result')} not ready." if bad else "All is ready.",
            bold=True,
        )
        sys.exit(1 if bad else 0)


def _check_names(names: tuple[str, ...]) -> None:
    """Raises InputError for an unknown lab, or one that real hosts do not support: it would be skipped silently."""
    from wizard.labs import find, labs

    for name in names:
        if not find(name).real_hosts:
            raise InputError(
                f"the lab '{plain(name, 60)}' is done on the practice stack alone",
                todo=f"Choose from: {', '.join(lab.id for lab in labs() if lab.real_hosts)}",
            )


def _campus(workspace: Workspace, file: Path, number: int, chosen: tuple[str, ...]) -> list[Rehearsed]:
    from wizard.labs import classroom
    from wizard.labs.rehearsal import Rehearsed
    from wizard.labs.rehearsal import rehearse as play

    room = classroom.load(file, number)
    own = type(workspace)(workspace.root / "rehearsal" / f"{number:04}")
    machine = engine(own.ensure())
    results = []
    try:
        for spec in room.hosts:
            try:
                connect(machine, (spec,))
            except FirescreenError as error:
                results.append(
                    Rehearsed(
                        campus=number,
                        host=spec.name,
                        ok=False,
                        why=redact(plain(error.what, 300)),
                        todo=error.todo,
                    )
                )
                _print(results[-1])
        if not results:
            for found in play(machine, room, chosen, lambda text: output.say(f"  … {plain(text, 300)}")):
                results.append(found)
                _print(found)
    except FirescreenError as error:
        output.complain(error)
        results.append(Rehearsed(campus=number, host="", ok=False, why=error.what, todo=error.todo))
    return results


def _print(found: Rehearsed) -> None:
    where = f"campus {found.campus}: " if found.campus else ""
    what = found.lab if found.ok else " on ".join(filter(None, (found.lab, found.host)))
    output.show(f"{'✓' if found.ok else '✗'} {where}{what}{'' if found.ok else f': {found.why}'}")
    if found.todo and not found.ok:
        output.show(f"    {plain(found.todo, 300)}")
