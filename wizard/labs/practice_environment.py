"""Labs on the practice stack of a workspace."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from wizard import practice
from wizard.account import account
from wizard.engine import Engine
from wizard.engine.hosts import Hosts
from wizard.errors import FirescreenError
from wizard.labs import fixtures, lab_runs, placeholders, shell, snapshot, state
from wizard.labs.catalogue import find, labs
from wizard.labs.content import Lab, LabStep
from wizard.labs.environment import Emit, LabEnvironment, Say, fit_versions, inner_events
from wizard.labs.inspection import Look
from wizard.labs.shell import Typed
from wizard.labs.snapshot import ConfigSnapshot, Places
from wizard.labs.state import LabState
from wizard.model import CertificateSpec, Event, FileState, Protection, Stack
from wizard.practice import PracticeHost
from wizard.redact import fingerprint
from wizard.service_managers import supervised

_FIRST_FILES = frozenset({"prometheus.yml", "rules.yml", "alertmanager.yml", "blackbox.yml", "Caddyfile"})
"""Configuration files of a new practice stack."""


class PracticeEnvironment(LabEnvironment):
    """The practice stack of the engine's workspace; see `LabEnvironment`."""

    title = "the practice stack"
    has_real_hosts = False

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine, engine.workspace.labs, engine.workspace.practice)
        self._root = engine.workspace.practice
        self._packs = engine.workspace.packs

    def require(self, lab: Lab) -> None:
        """Accepts every lab: all can be done on the practice stack."""

    def conflict(self, lab: Lab) -> str:
        """Returns what starting or resuming this lab would discard, a sentence without a full stop; '' for nothing."""
        current = self._current_lab()
        if practice.load(self._root) is None or current == lab.id:
            return ""
        lab_state = self._progress(lab.id)
        if lab_state is not None and lab_state.complete(lab):
            return ""
        if not current:
            return "" if self._is_pristine() else "something was set up on the practice stack"
        other, progress = find(current, self._packs), self._progress(current)
        if progress is None or not progress.done or progress.complete(other):
            return ""
        return (
            f"the practice stack is in the lab '{other.title}', "
            f"with {len(progress.done)} of {len(other.steps)} steps done"
        )

    def prepare(self, lab: Lab, say: Say, *, tools: bool, suite: str) -> bool:
        """Starts the practice stack, a new one if the lab needs that; returns whether the lab begins now."""
        begins = self._settle(lab, say, suite=suite)
        if tools:
            shell.prepare(self._engine.workspace, say)
        return begins

    def fill(self, lab: Lab) -> Lab:
        """Returns the lab with the practice hosts' addresses and folders filled in."""
        practice_stack = practice.load(self._root)
        versions = (
            {f"{host.name}/{host.component}": host.version for host in practice_stack.hosts}
            if practice_stack
            else {}
        )
        filled = lab.fill_placeholders(placeholders.practice_values(self._engine.workspace))
        return replace(filled, steps=tuple(fit_versions(step, versions) for step in filled.steps))

    def stack(self, lab: Lab, protect: tuple[Protection, ...]) -> Stack:
        """Returns the practice stack with all components except Prometheus protected as given."""
        wanted = practice.stack(self._engine.workspace.root)
        return replace(
            wanted,
            components=tuple(
                replace(component, protect=() if component.name == "prometheus" else protect)
                for component in wanted.components
            ),
            certificates=CertificateSpec(issued_by=cast(Any, lab.certificates)),
        )

    def look(self, lab: Lab) -> Look:
        """Returns a new view of the practice hosts."""
        stack = self.stack(lab, ("tls", "basic_auth"))
        stack = replace(stack, hosts=practice.host_specs(self._engine.workspace.root))
        return Look(self._engine.connections(stack.hosts), stack, notes=str(self._root / "notes"))

    def new_state(self) -> LabState:
        """Returns the progress of a lab that begins now, with the fingerprints of its files."""
        return LabState(started=time.time(), beginning=self.fingerprints())

    def is_stale(self, lab: Lab, lab_state: LabState) -> bool:
        """Returns whether the stack was recreated, used by another lab, or completely undone."""
        if state.current_lab(self._root) not in ("", lab.id):
            return True
        return bool(lab_state.done) and self.fingerprints() == lab_state.beginning

    def place_fault(self, lab: Lab, step: LabStep) -> None:
        """Restores the beginning of the lab and places the fault of a step."""
        workspace = self._engine.workspace
        self._restore(lab, restart_all=False)
        values = placeholders.practice_values(workspace)
        fixtures.place(step.fault, workspace, values, strict=False, foreign=lab.foreign)

    def type_commands(self, step: LabStep) -> Iterator[Typed]:
        """Runs the commands of a step as printed, in one shell."""
        workspace = self._engine.workspace
        if not shell.is_ready(workspace):
            shell.prepare(workspace, lambda _: None)
        yield from shell.run(step, workspace)

    def reset(self, lab: Lab, lab_state: LabState, emit: Emit) -> None:
        """Undoes what the lab did; recreates the practice stack if that is impossible."""
        is_current = state.current_lab(self._root) == lab.id and self._snapshot_file(lab).exists()
        if is_current and lab_runs.undo_runs(self._engine, lab_state.runs, inner_events(emit)):
            self._restore(lab, restart_all=True)
            return
        emit(Event(run="", kind="log", text="making the practice stack anew"))
        self.state_file(lab).unlink(missing_ok=True)
        state.set_current_lab(self._root, "")
        self._settle(lab, lambda text: emit(Event(run="", kind="log", text=text)))

    def terminal(self, place: str) -> str:
        """Returns the text for any terminal of this machine."""
        return f"another terminal, for {place}"

    # -- the stack -----------------------------------------------------------------------------------------

    def _current_lab(self) -> str:
        """Returns the lab that the practice stack is in; '' for none, or for one that no longer exists."""
        current = state.current_lab(self._root)
        return current if current and any(lab.id == current for lab in labs(self._packs)) else ""

    def _settle(self, lab: Lab, say: Say, *, suite: str = "") -> bool:
        """Brings the practice stack to the state of the lab, or begins the lab; returns whether it begins."""
        lab_state, current = self._progress(lab.id), self._current_lab()
        before = practice.load(self._root)
        if before is not None and (current == lab.id or (lab_state is not None and lab_state.complete(lab))):
            self._start(say, suite=suite)
            return False
        former = self._progress(current) if current and current == lab.follows else None
        follows = former is not None and former.complete(find(current, self._packs))
        needs_nothing = not (lab.begin or lab.components or lab.hosts)
        is_new = before is None or (not current and self._is_pristine())
        if follows or (needs_nothing and is_new):
            self._start(say, suite=suite)
            if follows:
                say(f"This lab goes on where '{find(current, self._packs).title}' ended")
        else:
            self._make_anew(lab, say, suite=suite)
            self._forget_unfinished(current)
        workspace = self._engine.workspace
        state.set_current_lab(self._root, lab.id)
        (self._root / "notes").mkdir(mode=0o700, exist_ok=True)
        snapshot.save(self._snapshot_file(lab), self._take())
        (workspace.labs / f"{lab.id}.json").unlink(missing_ok=True)
        return True

    def _forget_unfinished(self, lab_id: str) -> None:
        """Removes the progress of a lab whose files are lost, so that no list shows lost steps as done."""
        lab_state = self._progress(lab_id) if lab_id else None
        if lab_state is not None and not lab_state.complete(find(lab_id, self._packs)):
            (self._folder / f"{lab_id}.json").unlink(missing_ok=True)

    def _start(self, say: Say, *, suite: str) -> None:
        workspace = self._engine.workspace
        practice.up(workspace.root, workspace.cache, suite=suite, progress=say)

    def _make_anew(self, lab: Lab, say: Say, *, suite: str) -> None:
        """Removes the practice stack, starts a new one with what the lab needs, and places the lab's beginning."""
        workspace = self._engine.workspace
        practice_stack = practice.status(workspace.root)
        if practice_stack is not None:
            self._engine.practice_down()
        try:
            practice.up(
                workspace.root,
                workspace.cache,
                suite=suite or (practice_stack.suite if practice_stack else ""),
                components=lab.components,
                hosts=lab.hosts,
                progress=say,
            )
        except FirescreenError as error:
            error.todo = error.todo or "Run: firescreen practice up"
            raise
        if lab.begins:
            say(lab.begins)
        values = placeholders.practice_values(workspace)
        fixtures.place(lab.begin, workspace, values, strict=True, foreign=lab.foreign)

    def _is_pristine(self) -> bool:
        """Returns whether nothing was secured or added on the practice hosts since they were created."""
        files = (path for path in self._root.glob("*/etc/**/*") if path.is_file())
        arguments = self._root.glob("*/services/*/arguments")
        return all(path.name in _FIRST_FILES for path in files) and not any(
            "web.config" in path.read_text(encoding="utf-8", errors="replace") for path in arguments
        )

    # -- its files -----------------------------------------------------------------------------------------

    def _connections(self) -> Hosts:
        return self._engine.connections(practice.host_specs(self._engine.workspace.root))

    def _take(self) -> dict[str, ConfigSnapshot]:
        practice_stack = practice.load(self._root)
        assert practice_stack is not None
        places = {
            host.name: Places((f"{host.folder}/etc",), (f"{host.service_folder}/arguments",))
            for host in practice_stack.hosts
        }
        asks = places["prometheus"]
        places["prometheus"] = replace(asks, folders=(*asks.folders, str(self._root / "notes")))
        with self._connections() as hosts:
            return snapshot.take(hosts, places)

    def fingerprints(self) -> dict[str, str]:
        """Returns fingerprint and mode of every file that a lab may change, by its path in the practice folder."""
        return {
            str(Path(path).relative_to(self._root)): f"{fingerprint(file.content)} {file.mode:04o}"
            for host in self._take().values()
            for path, file in host.files.items()
        }

    def _restore(self, lab: Lab, *, restart_all: bool) -> None:
        """Restores the files of the lab's beginning, and makes the programs read them.

        Raises:
            FirescreenError: a file cannot be written, or a program does not start.
        """
        path = self._snapshot_file(lab)
        kept = self._read_folder(path) if path.is_dir() else snapshot.load(path)
        with self._connections() as hosts:
            changed = snapshot.restore(hosts, kept)
        practice_stack = practice.load(self._root)
        for host in practice_stack.hosts if practice_stack else ():
            mine = [path for path in changed.get(host.name, ()) if path.startswith(f"{host.folder}/")]
            _refresh(host, mine, restart=restart_all)

    def _read_folder(self, copy: Path) -> dict[str, ConfigSnapshot]:
        """Reads the snapshot of an earlier version: a folder with a copy of each file."""
        found = self._take()
        owner, group = account()
        files = {
            str(self._root / path.relative_to(copy)): FileState(
                path.read_bytes(), path.stat().st_mode & 0o7777, owner, group
            )
            for path in copy.rglob("*")
            if path.is_file()
        }
        return {
            name: replace(now, files={path: files[path] for path in files if _is_in(path, now.places)})
            for name, now in found.items()
        }


def _is_in(path: str, places: Places) -> bool:
    return path in places.files or any(path.startswith(f"{folder}/") for folder in places.folders)


def _refresh(host: PracticeHost, changed: list[str], *, restart: bool) -> None:
    """Starts the program of a host, or makes it reload changed files."""
    connection = host.connection()
    is_running = supervised.status(connection, host.service_folder).get("state") == "running"
    # A reload keeps the discovered targets. But flags, and in newer versions passwords, take effect only at a restart.
    needs_restart = restart or any(path.endswith(("/arguments", ".password")) for path in changed)
    reload = host.component == "prometheus" and not needs_restart and is_running
    if is_running and not (restart or changed or reload):
        return
    supervised.start(connection, host.service_folder)
    for service in supervised.discover(connection, host.folder):
        (supervised.reload if reload else supervised.restart)(connection, service)
