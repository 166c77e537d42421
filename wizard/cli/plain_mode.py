"""The plain mode, `firescreen --plain`: the wizard as a dialog in lines, for screen readers and pipes."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

import wizard
from wizard.cli.options import engine, stack_of
from wizard.cli.plain_dialog import Leave, ask, choose, complain, say
from wizard.cli.plain_labs import choose_lab
from wizard.cli.plain_wizard import PlainWizard
from wizard.errors import FirescreenError, InputError

if TYPE_CHECKING:
    from wizard.model import Stack
    from wizard.workspace import Workspace


def open_plain(workspace: Workspace, stack: str) -> int:
    """Runs the dialog; returns the exit code.

    Args:
        workspace: of the CA, the journal and the practice stack.
        stack: a stack file, 'practice', or '' to ask what to do.
    """
    say(f"Firescreen {wizard.__version__}, plain mode.")
    say("Type an answer and press Enter. A question mark explains a question. The letter q leaves.")
    conversation = None
    try:
        if not stack:
            stack = _choose_start()
            if stack == "lab":
                return choose_lab(workspace)
        if stack == "practice":
            _start_practice(workspace)
        chosen: Stack | None = stack_of(stack, workspace) if stack != "here" else None
        conversation = PlainWizard(engine(workspace, chosen), chosen)
        return conversation.carry_out()
    except FirescreenError as error:
        complain(error)
        return _end(conversation, error.exit_code)
    except Leave as leave:
        if leave.why:
            say(leave.why)
        return _end(conversation, leave.exit_code)
    except (KeyboardInterrupt, click.exceptions.Abort):
        say("Stopped.")
        return _end(conversation, 130)


def _end(conversation: PlainWizard | None, exit_code: int) -> int:
    """Says what is left of a dialog that ended early; returns the exit code."""
    if conversation is None or not conversation.began:
        say("Nothing was changed.")
        return exit_code
    say("The applied changes are kept.")
    return conversation.exit_code if conversation.outcome is not None else exit_code


def _choose_start() -> str:
    """Asks what to do: returns 'here', 'practice', 'lab', or the name of a stack file."""
    wanted = choose(
        "What do you want to do?",
        (
            ("here", "Secure the components on this machine"),
            ("practice", "Try it on the practice stack, real programs on this machine without root"),
            ("file", "Secure the hosts of a stack file"),
            ("lab", "Do a lab, an exercise with checks and hints"),
        ),
        "here",
        explain=lambda: (
            "Firescreen scans, asks how to protect each component, and shows a plan.",
            "It asks again before it changes anything.",
        ),
    )
    return _stack_file() if wanted == "file" else wanted


def _stack_file() -> str:
    from wizard.inventory.stack_file import load

    name = ""

    def take(line: str) -> None:
        nonlocal name
        if not line:
            raise InputError("a file name is needed", todo="Type the path of a stack file")
        name = os.path.expanduser(line)  # noqa: PTH111 - the name of no user stays as it was typed
        load(Path(name))  # an unreadable file is asked for again here

    ask(
        "Which stack file? Type its path.",
        take,
        explain=lambda: ("A stack file names hosts, components and their protection.",),
    )
    return name


def _start_practice(workspace: Workspace) -> None:
    """Starts the practice stack, if it is not running and the person agrees."""
    from wizard import practice

    running = practice.status(workspace.root)
    if running is not None and all(host.active for host in running.hosts):
        say("The practice stack runs.")
        return
    say(
        "The practice stack does not run. It is Prometheus and a node_exporter, in the workspace, without root."
    )
    if choose("Start it?", (("yes", "Start the practice stack"), ("no", "Leave")), "yes") == "no":
        raise Leave
    workspace.ensure()
    practice.up(workspace.root, workspace.cache, progress=lambda text: say(f"{text}."))
    say("The practice stack runs. To stop it, type: firescreen practice down")


def run(workspace: Workspace, stack: str) -> None:
    """Runs the plain mode, and exits."""
    sys.exit(open_plain(workspace, stack))
