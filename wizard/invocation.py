"""How a person starts this Firescreen, so that a command that it prints works where it is typed.

Texts in the code say `firescreen undo`; what a person reads also names the workspace where it is not the usual one, and
the program where the shell would not find it, as after `make run`.
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
    """A text whose commands of Firescreen find the program and the workspace, typed in any folder.

    Args:
        text: it names commands as `firescreen undo --yes`.
        workspace: the one that they are about.
    """
    if "firescreen " not in text:
        return text
    option = "" if workspace.is_usual else f"--workspace {shlex.quote(str(workspace.root))} "
    start = f"{program()} {option}"
    return _COMMAND.sub(lambda _: start, text)


def program() -> str:
    """`firescreen` where the shell finds the program that runs, else its path for the shell, from the home as `~/…`."""
    running = Path(sys.argv[0])
    if running.name != "firescreen":
        return "firescreen"  # run as a module, or by a test
    found = shutil.which("firescreen")
    if found and Path(found).resolve() == running.resolve():
        return "firescreen"
    # Not resolved: a link of pipx or uv stays what it is when the version behind it changes.
    return for_shell(running.absolute())


def for_shell(path: Path) -> str:
    """A path as it is typed: quoted where needed, `~/…` below the home where not."""
    quoted = shlex.quote(str(path))
    try:
        below = path.relative_to(Path.home())
    except (ValueError, RuntimeError):  # RuntimeError: nobody's home is known
        return quoted
    return f"~/{below}" if quoted == str(path) else quoted
