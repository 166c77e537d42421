"""The engine client's calls about labs: the labs, their packs, and the hosts on which they are done."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wizard.engine import Engine
    from wizard.labs import Lab, LabSession
    from wizard.labs.classroom import Classroom
    from wizard.labs.packs import Pack


class LabClient:
    """The engine calls about labs. Every method may block: call it through `FirescreenApp.ask`."""

    @property
    def engine(self) -> Engine:
        """Returns the engine, made on first use."""
        raise NotImplementedError

    def labs(self) -> tuple[Lab, ...]:
        """Returns the labs: Firescreen's own, and those that the person added."""
        from wizard import labs

        return labs.labs(self.engine.workspace.packs)

    def pack(self, folder: Path) -> Pack:
        """Inspects the lab pack in a folder; nothing of it is run or stored."""
        from wizard.labs import packs

        return packs.look(folder, self.engine.workspace)

    def add_pack(self, pack: Pack) -> None:
        """Stores a pack as it was inspected."""
        from wizard.labs import packs

        packs.add(pack, self.engine.workspace)

    def lab(self, lab: str, say: Callable[[str], None], *, anew: bool = False) -> LabSession:
        """Prepares a lab: starts its practice stack and tools, and resumes the person's progress.

        Args:
            anew: whether another lab or run on the practice stack may be ended, see `in_the_way`.
        """
        from wizard.labs import LabSession

        return LabSession.open(self.engine, lab, progress=say, anew=anew, classroom=self.classroom())

    def classroom(self) -> Classroom | None:
        """Returns the real hosts on which labs are done; None for the practice stack. Raises `ClassroomError`."""
        from wizard.labs import classroom

        return classroom.last_classroom(self.engine.workspace)

    def take_classroom(self, file: str, campus: int) -> Classroom:
        """Does labs on the hosts of a classroom file from now on. Raises `ClassroomError` with file and line.

        Args:
            campus: the student's number; 0 if none was typed.
        """
        from wizard.labs import classroom

        chosen = classroom.load(Path(file).expanduser(), campus)
        classroom.remember(self.engine.workspace, chosen)
        return chosen

    def leave_classroom(self) -> None:
        """Does labs on the practice stack from now on."""
        from wizard.labs import classroom

        classroom.remember(self.engine.workspace, None)

    def in_the_way(self, lab: str) -> str:
        """Returns what starting a lab would end on the practice stack; '' for nothing."""
        from wizard.labs.catalogue import find
        from wizard.labs.session import environment_for

        wanted = find(lab, self.engine.workspace.packs)
        return environment_for(self.engine, self.classroom(), wanted).conflict(wanted)
