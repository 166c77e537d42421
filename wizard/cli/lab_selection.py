"""The lab, the step and the hosts of a command: their options and arguments, and how they are opened."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from wizard.cli import output
from wizard.cli.options import connect, engine
from wizard.errors import InputError
from wizard.redact import plain

if TYPE_CHECKING:
    from wizard.labs import Lab, LabSession, LabStep
    from wizard.labs.classroom import Classroom
    from wizard.workspace import Workspace

Command = TypeVar("Command", bound=Callable[..., object])


def on_hosts(command: Command) -> Command:
    """Adds the options for the hosts on which labs are done; see `chosen_classroom`."""

    def keep_option(context: click.Context, option: click.Parameter, value: object) -> None:
        context.meta[f"firescreen.{option.name}"] = value

    kept: dict[str, Any] = {"expose_value": False, "callback": keep_option}
    command = click.option("--practice", is_flag=True, help="Do labs on the practice stack again", **kept)(
        command
    )
    campus = click.IntRange(1, 9999)
    command = click.option("--campus", type=campus, help="Your campus number in the classroom file", **kept)(
        command
    )
    return click.option(
        "--classroom",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Do labs on the real hosts of this classroom file from now on",
        **kept,
    )(command)


def open_session(
    workspace: Workspace,
    lab_id: str,
    *,
    tools: bool = True,
    anew: bool = False,
    progress: Callable[[str], None] | None = None,
) -> LabSession:
    """Opens a lab on the chosen hosts; the current lab if `lab_id` is ''.

    Args:
        progress: gets lines of progress; by default they are printed on standard error.
    """
    from wizard.labs import LabSession

    workspace.ensure()
    machine, room = engine(workspace), chosen_classroom(workspace)
    if room is not None:
        connect(machine, room.hosts)  # prompts for passwords and host keys
    return LabSession.open(
        machine,
        lab_id or current_lab_id(workspace),
        progress=progress or (lambda text: output.say(f"  … {plain(text, 300)}")),
        tools=tools,
        anew=anew,
        classroom=room,
    )


def chosen_classroom(workspace: Workspace) -> Classroom | None:
    """Returns the classroom from the command line or the last one used; None for the practice stack.

    Raises:
        InputError: the classroom file is invalid, or the student's number is missing.
    """
    from wizard.labs import classroom

    options = click.get_current_context().meta
    file, campus = options.get("firescreen.classroom"), options.get("firescreen.campus") or 0
    if options.get("firescreen.practice"):
        if file or campus:
            raise click.UsageError("Use either --classroom FILE or --practice.")
        classroom.remember(workspace, None)
        return None
    if file is None and not campus:
        try:
            return classroom.last_classroom(workspace)
        except InputError as error:
            error.todo = f"{error.todo}. Or use the practice stack: --practice"
            raise
    before = classroom.place_of(workspace)
    if file is None:
        file = before[0] if before else None
        if file is None:
            raise click.UsageError("--campus needs --classroom FILE.")
    if not campus and before and before[0] == file.absolute():
        campus = before[1]
    chosen = classroom.load(file, campus)
    classroom.remember(workspace, chosen)
    return chosen


def current_lab_id(workspace: Workspace) -> str:
    """Returns the lab that the hosts are in, else the first unfinished lab; '' if all are finished."""
    from wizard.labs import labs
    from wizard.labs.classroom import progress_folder
    from wizard.labs.state import load, newest_lab
    from wizard.practice import compose_project

    room = chosen_classroom(workspace)
    folder = progress_folder(workspace, room)
    labs_by_id = {each.id: each for each in labs(workspace.packs) if room is None or each.real_hosts}
    states = {each: load(folder / f"{each}.json") for each in labs_by_id}
    undone = [each for each, state in states.items() if state is None or not state.complete(labs_by_id[each])]
    current = newest_lab(*((workspace.practice, workspace.compose) if room is None else (folder,)))
    if current in undone:
        return current
    able = (each for each in undone if not labs_by_id[each].docker or not compose_project.why_unavailable())
    return next(able, next(iter(labs_by_id)) if room else "")


def open_step(
    workspace: Workspace, named: tuple[str, ...], *, tools: bool = False, anew: bool = False
) -> tuple[LabSession, LabStep | None]:
    """Opens the lab and the step that the arguments name, in any order; the current lab and step by default.

    Raises:
        InputError: an argument names neither a lab nor a step.
    """
    from wizard.labs import find, labs

    lab_ids = {each.id for each in labs(workspace.packs)}
    step_names = [word for word in named if word not in lab_ids]
    if len(step_names) > 1 or len(named) - len(step_names) > 1:
        raise InputError(
            "at most one lab and one step can be named",
            where=" ".join(named),
            todo="List the labs with: firescreen lab list",
        )
    lab_id = next((word for word in named if word in lab_ids), "") or current_lab_id(workspace)
    # Checked before the practice stack starts: a wrong name must not start it.
    step = _step_id(find(lab_id, workspace.packs), step_names[0]) if step_names else ""
    session = open_session(workspace, lab_id, tools=tools, anew=anew)
    return session, session.lab.step(step) if step else session.current


def _step_id(lab: Lab, named: str) -> str:
    """Returns the id of the step that a number or an id names.

    Raises:
        InputError: there is no such step.
    """
    if named.isdecimal() and 1 <= int(named) <= len(lab.steps):
        return lab.steps[int(named) - 1].id
    return lab.step(named).id
