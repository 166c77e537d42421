"""The entry point: opens the wizard or starts the command line. Only this module knows both.

The few arguments that open the wizard are read here without a parser: importing the command line's parser and
everything it needs would delay the first frame. All other arguments, mistakes and --help included, go to the command
line.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wizard.labs.board.board import Board
    from wizard.workspace import Workspace


def direct(words: Sequence[str]) -> tuple[str, bool, str] | None:
    """Returns stack, practice and workspace folder if the arguments open the wizard, otherwise None."""
    stack, practice, folder = "", False, ""
    left = list(words)
    while left:
        word = left.pop(0)
        if word == "--practice":
            practice = True
        elif word == "--workspace" and left:
            folder = left.pop(0)
        elif word.startswith("--workspace="):
            folder = word.partition("=")[2]
        elif not stack and (word == "practice" and not left):
            practice = True
        elif not stack and word.endswith((".yaml", ".yml")):
            stack = word
        else:
            return None
    return stack, practice, folder


def open_wizard(stack: str, practice: bool, workspace: Workspace) -> int:
    """Opens the wizard for the command line and returns its exit code."""
    return _open(stack if stack != "practice" else "", practice or stack == "practice", str(workspace.root))


def _open(stack: str, practice: bool, folder: str) -> int:
    from pathlib import Path

    from screens.app import run

    return run(
        stack=Path(stack) if stack else None,
        practice=practice,
        workspace=Path(os.path.expanduser(folder)).absolute() if folder else None,  # noqa: PTH111 - Path's own raises
    )


def serve_wizard(
    workspaces: tuple[Workspace, ...], stack: str, say: Callable[[str], None], **options: Any
) -> int:
    """Serves the wizard to browsers for the command line and returns its exit code."""
    from screens.web_server import Serving, serve

    return serve(Serving(workspaces=workspaces, stack=stack, **options), say)


def open_board(board: Board, workspace: Workspace) -> int:
    """Opens the board of a class for the command line and returns its exit code."""
    from screens.board_app import run

    return run(board, workspace.root)


def main() -> None:
    """Runs the console script `firescreen`."""
    words = direct(sys.argv[1:])
    # In a browser there is no terminal: textual-serve sets a Textual driver of its own.
    served = os.environ.get("TEXTUAL_DRIVER", "").endswith(":WebDriver")
    drawable = sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    if words is not None and (served or drawable):
        sys.exit(_open(*words))
    from wizard import cli

    cli.main(open_wizard, serve_wizard, open_board)


if __name__ == "__main__":
    main()
