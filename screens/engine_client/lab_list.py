"""The labs for a list, with how far each is. Blocks: it reads files."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from screens.engine_client.client import EngineClient
    from wizard.labs import Lab
    from wizard.labs.classroom import Classroom
    from wizard.labs.finished import Mark


def lab_list(client: EngineClient) -> tuple[tuple[Lab, ...], Classroom | None, Mapping[str, Mark]]:
    """The labs, the classroom that they are done on (None for the practice stack), and the mark of each by its id.

    Raises:
        ClassroomError: the classroom file cannot be used.
    """
    from wizard.labs import finished
    from wizard.labs.classroom import progress_folder

    labs, room = client.labs(), client.classroom()
    return labs, room, finished.marks(progress_folder(client.engine.workspace, room), labs)
