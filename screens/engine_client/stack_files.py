"""Writes the current stack of the wizard to a stack file. May block."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from screens.state import Session
    from wizard.engine import Engine
    from wizard.model import Plan, Stack


def write(engine: Engine, session: Session, name: str) -> Path:
    """Writes the stack to a new file, whose name a person typed.

    Raises:
        InputError: the file exists already, or cannot be written.
    """
    from wizard.inventory import stack_file

    path = Path(name).expanduser().absolute()
    stack_file.write(_stack(engine, session), path)
    return path


def timer_plan(engine: Engine, session: Session, name: str) -> tuple[str, Plan]:
    """Returns how commands name this stack, and the plan of a timer that keeps it secured.

    Args:
        name: a stack file, which is written unless it exists; '' for the stack's own file, or the practice stack.

    Raises:
        FirescreenError: the file cannot be read or written, a host cannot be read, or no timer can be installed here.
    """
    from wizard.inventory import stack_file
    from wizard.upkeep import timer_installation

    stack = session.standing
    assert stack is not None
    if name:
        path = Path(name).expanduser().absolute()
        stack = stack_file.load(path if path.exists() else write(engine, session, name))
    found = timer_installation.timer_of(engine, stack, own=False)
    return found.stack, timer_installation.plan_of(engine, found)


def _stack(engine: Engine, session: Session) -> Stack:
    """Returns the present stack: that of its file or of the person's answers, otherwise as it was found."""
    from wizard.engine.present_stack import present_stack

    stack, scan = session.standing, session.scan
    assert stack is not None and scan is not None
    present = present_stack(replace(scan, stack=stack), engine.workspace.runs)
    if session.place != "file" and not session.touched:
        return present
    own = {login.key for login in stack.client_logins}
    more = tuple(login for login in present.client_logins if login.key not in own)
    return replace(stack, client_logins=(*stack.client_logins, *more))
