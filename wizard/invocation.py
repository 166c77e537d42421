"""Completes the commands in printed texts so that they work when a person types them.

Texts in the code say `firescreen undo`; printed ones also have the workspace if it is not the default one, and the path
of the program if the shell would not find it (e.g. after `make run`).
"""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from pathlib import Path

from wizard.workspace import Workspace

COMMANDS = (
    "apply|audit|cert|completion|docs|drift|explain|export|hash|history|inventory|lab|plan|practice|probe|recover|renew"
    "|scan|serve|undo|upkeep|verify"
)
_COMMAND = re.compile(rf"(?<![\w/.-])firescreen (?=(?:{COMMANDS})\b)")


def as_typed(text: str, workspace: Workspace) -> str:
    """The text with Firescreen's commands completed by program path and workspace, so that they work in any folder.

    Args:
        text: a text with commands like `firescreen undo --yes`.
        workspace: the workspace for the commands.
    """
    if "firescreen " not in text:
        return text
    option = "" if workspace.is_usual else f"--workspace {shlex.quote(str(workspace.root))} "
    start = f"{program()} {option}"
    return _COMMAND.sub(lambda _: start, text)


def program() -> str:
    """`firescreen` if the shell finds the running program by that name, else its path in shell syntax."""
    running = Path(sys.argv[0])
    if running.name != "firescreen":
        return "firescreen"  # run as a module, or by a test
    found = shutil.which("firescreen")
    if found and Path(found).resolve() == running.resolve():
        return "firescreen"
    # Not resolved, because a link created by pipx or uv stays valid when the version behind it changes.
    return for_shell(running.absolute())


def for_shell(path: Path) -> str:
    """A path in shell syntax: quoted if necessary, else as `~/…` if it is below the home folder."""
    quoted = shlex.quote(str(path))
    try:
        below = path.relative_to(Path.home())
    except (ValueError, RuntimeError):  # RuntimeError: the home folder is unknown
        return quoted
    return f"~/{below}" if quoted == str(path) else quoted
