"""The wizard that opens on the board of a class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from screens.app import FirescreenApp
from screens.engine_client.client import EngineClient
from screens.routes import Route

if TYPE_CHECKING:
    from pathlib import Path

    from wizard.labs.board.board import Board


class BoardApp(FirescreenApp):
    """Opens the board above Home. Escape goes on to Home, Ctrl+Q leaves.

    Args:
        board: the class.
        workspace: the instructor's.
    """

    def __init__(self, board: Board, workspace: Path) -> None:
        super().__init__(stack=None, practice=False, client=EngineClient(workspace, None))
        self._board = board

    def on_ready(self) -> None:
        """Opens the board at once; the scan of this machine goes on behind it."""
        super().on_ready()
        self.open_page(Route.BOARD, self._board)


def run(board: Board, workspace: Path) -> int:
    """Opens the board on this terminal and returns the exit code."""
    app = BoardApp(board, workspace)
    try:
        code = app.run()
    finally:
        board.close()
    return app.return_code or code or 0
