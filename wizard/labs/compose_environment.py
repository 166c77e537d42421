"""Labs on containers: a separate Compose project in this machine's Docker; see `compose_project`.

Other containers and the practice stack are never changed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from wizard.engine import Engine
from wizard.engine.hosts import Hosts
from wizard.errors import InputError
from wizard.labs import placeholders, shell, snapshot, state
from wizard.labs.compose_inspection import ComposeLook, services_as_hosts
from wizard.labs.content import Lab, LabStep
from wizard.labs.environment import Emit, LabEnvironment, Say
from wizard.labs.inspection import Look
from wizard.labs.shell import Typed
from wizard.labs.snapshot import Places
from wizard.labs.state import LabState
from wizard.model import CertificateSpec, ComponentSpec, Event, HostSpec, Protection, Stack
from wizard.practice import compose_project
from wizard.practice.compose_project import SERVICES, ComposeProject
from wizard.redact import fingerprint

_HOST = "prometheus"
"""The host whose connection reads and writes the project's files; they are all on this machine."""


class ComposeEnvironment(LabEnvironment):
    """Containers in this machine's Docker; see `LabEnvironment`."""

    title = "containers of this machine"
    has_real_hosts = False

    def __init__(self, engine: Engine) -> None:
        place = engine.workspace.compose
        super().__init__(engine, engine.workspace.labs, place)
        self._place = place

    def require(self, lab: Lab) -> None:
        """Rejects the lab if no container can be run.

        Raises:
            InputError: Docker or its Compose is missing, does not answer, or does not permit this user.
        """
        compose_project.require()

    def conflict(self, lab: Lab) -> str:
        """Returns what starting or resuming this lab would discard, a sentence without a full stop; '' for nothing."""
        current = state.current_lab(self._place)
        progress = self._progress(current) if current not in ("", lab.id) else None
        if progress is None or not progress.done:
            return ""
        return f"the containers are in the lab '{current}', with {len(progress.done)} steps done"

    def prepare(self, lab: Lab, say: Say, *, tools: bool, suite: str) -> bool:
        """Starts the containers, new ones if the lab begins; returns whether it begins."""
        begins = state.current_lab(self._place) != lab.id or compose_project.load(self._place) is None
        workspace = self._engine.workspace
        if begins:
            compose_project.down(self._place, remove=True)
        compose_project.up(self._place, workspace.cache, suite=suite, progress=say)
        if begins:
            self._notes.mkdir(mode=0o700, exist_ok=True)
            with self._connections() as hosts:
                snapshot.save(self._snapshot_file(lab), snapshot.take(hosts, self._places()))
            self.state_file(lab).unlink(missing_ok=True)
            state.set_current_lab(self._place, lab.id)
        if tools:
            shell.prepare(workspace, say)
        return begins

    def fill(self, lab: Lab) -> Lab:
        """Returns the lab with the project's folder and addresses filled in."""
        return lab.fill_placeholders(placeholders.compose_values(self._project(), str(self._notes)))

    def stack(self, lab: Lab, protect: tuple[Protection, ...]) -> Stack:
        """Returns this machine with the components in the project's containers, protected as given."""
        project = self._project().name
        return Stack(
            hosts=(HostSpec(name="localhost", connect="local"),),
            components=tuple(
                ComponentSpec(
                    host="localhost",
                    name=component,
                    protect=protect,
                    service="docker",
                    project=project,
                    container=service,
                )
                for service, (component, _) in SERVICES.items()
            ),
            certificates=CertificateSpec(issued_by=cast(Any, lab.certificates)),
        )

    def look(self, lab: Lab) -> Look:
        """Returns a new view of the containers, for checks."""
        return ComposeLook(self._connections(), self._project(), notes=str(self._notes))

    def new_state(self) -> LabState:
        """Returns the progress of a lab that begins now."""
        return LabState(started=time.time(), beginning=self.fingerprints())

    def is_stale(self, lab: Lab, lab_state: LabState) -> bool:
        """Returns whether the project is missing or in another lab."""
        return state.current_lab(self._place) != lab.id

    def place_fault(self, lab: Lab, step: LabStep) -> None:
        """Does nothing: no lab on containers has a fault."""

    def fingerprints(self) -> dict[str, str]:
        """Returns fingerprint and mode of every file of the project, by its path there."""
        folder = self._project().folder
        with self._connections() as hosts:
            taken = snapshot.take(hosts, self._places())
        return {
            str(Path(path).relative_to(folder)): f"{fingerprint(file.content)} {file.mode:04o}"
            for path, file in taken[_HOST].files.items()
            if Path(path).is_relative_to(folder)
        }

    def type_commands(self, step: LabStep) -> Iterator[Typed]:
        """Runs the commands of a step as they are shown, in one shell."""
        workspace = self._engine.workspace
        if not shell.is_ready(workspace):
            shell.prepare(workspace, lambda _: None)
        yield from shell.run(step, workspace, folder=self._project().folder)

    def reset(self, lab: Lab, lab_state: LabState, emit: Emit) -> None:
        """Restores the project's files and recreates its containers."""
        emit(Event(run="", kind="log", text="restoring the files of the project"))
        with self._connections() as hosts:
            snapshot.restore(hosts, snapshot.load(self._snapshot_file(lab)))
        emit(Event(run="", kind="log", text="making the containers anew"))
        compose_project.make_anew(self._project())

    def terminal(self, place: str) -> str:
        """Returns the text for any terminal of this machine."""
        return f"another terminal, for {place}"

    @property
    def _notes(self) -> Path:
        return self._place / "notes"

    def _places(self) -> dict[str, Places]:
        return {_HOST: Places((self._project().folder, str(self._notes)))}

    def _connections(self) -> Hosts:
        return self._engine.connections(services_as_hosts().hosts)

    def _project(self) -> ComposeProject:
        project = compose_project.load(self._place)
        if project is None:
            raise InputError(
                "the project of the lab in containers is gone",
                where=str(self._place),
                todo="Begin the lab again: firescreen lab start compose",
            )
        return project
