"""The labs for a list, with the progress of each. Blocks: it reads files."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from screens.engine_client.client import EngineClient
    from wizard.labs import Lab
    from wizard.labs.classroom import Classroom
    from wizard.labs.finished_labs import Mark


def lab_list(client: EngineClient) -> tuple[tuple[Lab, ...], Classroom | None, Mapping[str, Mark], str]:
    """Returns the labs, their classroom (None for the practice stack), the mark of each by its id, and an obstacle.

    The obstacle is why no lab in containers can be done here, '' if they can.

    Raises:
        ClassroomError: the classroom file cannot be used.
    """
    from wizard.labs import finished_labs
    from wizard.labs.classroom import progress_folder
    from wizard.practice import compose_project

    labs, room = client.labs(), client.classroom()
    marks = finished_labs.marks(progress_folder(client.engine.workspace, room), labs)
    missing = compose_project.why_unavailable() if any(lab.docker for lab in labs) else ""
    return labs, room, marks, missing
