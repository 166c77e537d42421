"""The wizard, opened on the board of a class."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from textual.app import SystemCommand
from textual.screen import Screen

from screens.app import FirescreenApp
from screens.engine_client.client import EngineClient
from screens.routes import Route

if TYPE_CHECKING:
    from pathlib import Path

    from wizard.labs.board.board import Board


class BoardApp(FirescreenApp):
    """Opens the board above Home. Escape goes to Home, Ctrl+P goes back to the board, Ctrl+Q closes.

    Args:
        board: the class.
        workspace: the instructor's.
    """

    def __init__(self, board: Board, workspace: Path) -> None:
        super().__init__(stack=None, practice=False, client=EngineClient(workspace, None))
        self._board = board

    def on_ready(self) -> None:
        """Opens the board immediately; the scan of this machine continues in the background."""
        super().on_ready()
        self._open_board()

    def go_home(self) -> None:
        """Says how to return to the board when it is left."""
        if self._on_board:
            self.notify("The class goes on. Back to the board: Ctrl+P, 'Class board'.")
        super().go_home()

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Yields all commands of the wizard, and one for the board."""
        yield from super().get_system_commands(screen)
        yield SystemCommand("Class board", "How far each student of the class is", self._open_board)

    @property
    def _on_board(self) -> bool:
        from screens.board.screen import BoardPage

        return isinstance(self.screen, BoardPage)

    def _open_board(self) -> None:
        if not self._on_board:
            super().go_home()
            self.open_page(Route.BOARD, self._board)


def run(board: Board, workspace: Path) -> int:
    """Opens the board on this terminal and returns the exit code."""
    app = BoardApp(board, workspace)
    try:
        code = app.run()
    finally:
        board.close()
    return app.return_code or code or 0
