"""Labs on the real hosts of a classroom: the same steps and checks, with each command typed on its own host.

A snapshot of the hosts is stored before a lab changes anything, and a reset restores it. A lab that would begin with
the changed files of another lab says so and restores them first.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, cast

from wizard import assets
from wizard.components import component as find_component
from wizard.engine import Engine, service_control
from wizard.engine.hosts import Hosts
from wizard.engine.outcome import silent
from wizard.engine.parallel import run_parallel
from wizard.errors import InputError, LabError
from wizard.labs import file_transfer, lab_runs, placeholders, shell, snapshot, state
from wizard.labs.catalogue import find, labs
from wizard.labs.classroom import Classroom, progress_folder
from wizard.labs.content import Lab, LabStep
from wizard.labs.environment import (
    PATIENCE,
    Emit,
    LabEnvironment,
    Say,
    fit_versions,
    inner_events,
    without_commands,
)
from wizard.labs.inspection import Look
from wizard.labs.shell import Typed
from wizard.labs.state import LabState
from wizard.model import CertificateSpec, ComponentSpec, Event, FileState, Protection, Service, Stack
from wizard.service_managers.registry import manager_of

_PROMETHEUS = "prometheus/prometheus"
_INTERVAL = re.compile(rb"^\s*scrape_interval:\s*['\"]?(\d+)(s|m)\b", re.MULTILINE)
_LONGEST_INTERVAL = 60.0


class RealHosts(LabEnvironment):
    """The hosts of a classroom; see `LabEnvironment`.

    Args:
        engine: whose connections are used.
        classroom: its hosts.
    """

    has_real_hosts = True

    def __init__(self, engine: Engine, classroom: Classroom) -> None:
        folder = progress_folder(engine.workspace, classroom)
        super().__init__(engine, folder, folder)
        self.title = classroom.title
        self._classroom = classroom
        self._values: dict[str, str] = {}
        self._versions: dict[str, str] = {}
        self._homes: dict[str, str] = {}

    def require(self, lab: Lab) -> None:
        """Rejects a lab that cannot be done in this classroom.

        Raises:
            InputError: it cannot.
        """
        if not lab.real_hosts:
            others = ", ".join(each.id for each in labs() if each.real_hosts)
            raise InputError(
                f"the lab '{lab.title}' works on the practice stack only",
                where=self.title,
                todo=f"Choose a lab for real hosts ({others}), or the practice stack: "
                f"firescreen lab start {lab.id} --practice",
            )
        for role in dict.fromkeys(("prometheus", lab.steps[0].host)):
            if self._classroom.host(role) is None:
                raise InputError(
                    f"this classroom has no host '{role}', which the lab '{lab.title}' needs",
                    where=str(self._classroom.path),
                    todo=f"Add it under hosts: {role}: {{connect: ssh, address: …}}",
                )

    def conflict(self, lab: Lab) -> str:
        """Returns what starting or resuming this lab would discard, a sentence without a full stop; '' for nothing."""
        current = state.current_lab(self._folder)
        if current in ("", lab.id):
            return ""
        other, progress = find(current), self._progress(current)
        if progress is None or not progress.done or (current == lab.follows and progress.complete(other)):
            return ""
        return (
            f"the hosts of {self.title} are in the lab '{other.title}', "
            f"with {len(progress.done)} of {len(other.steps)} steps done"
        )

    def prepare(self, lab: Lab, say: Say, *, tools: bool, suite: str) -> bool:
        """Connects to the hosts and stores a snapshot of them, or resumes the student's progress."""
        say(f"Connecting to the hosts of {self.title}")
        self._engine.reach(self._classroom.hosts)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self._folder / "notes").mkdir(mode=0o700, exist_ok=True)
        lab_state = self._progress(lab.id)
        if state.current_lab(self._folder) != lab.id and not (
            lab_state is not None and lab_state.complete(lab)
        ):
            self._settle(lab, say)
        return False  # a fault that needs waiting is placed on the practice stack only

    def fill(self, lab: Lab) -> Lab:
        """Returns the lab with these hosts' addresses and folders, and with the host of each command."""
        with self.look(lab) as look, self._connections() as hosts:
            self._learn_values(lab, look, hosts)
        lab = replace(lab, steps=tuple(self._place_commands(step) for step in lab.steps))
        roles = ((name, name.partition(".")[0]) for name in lab.placeholders())
        absent = {name: role for name, role in roles if role != "lab" and self._classroom.host(role) is None}
        filled = lab.fill_placeholders({**absent, **self._values})
        return replace(filled, steps=tuple(fit_versions(step, self._versions) for step in filled.steps))

    def stack(self, lab: Lab, protect: tuple[Protection, ...]) -> Stack:
        """Returns the classroom with the components of the lab protected as given."""
        components = []
        for component_key in self._components(lab):
            host, _, name = component_key.partition("/")
            others = find_component(name).other_clients
            components.append(ComponentSpec(host=host, name=name, protect=() if others else protect))
        return Stack(
            hosts=self._classroom.hosts,
            components=tuple(components),
            certificates=CertificateSpec(issued_by=cast(Any, lab.certificates)),
            source=str(self._classroom.path),
        )

    def look(self, lab: Lab) -> Look:
        """Returns a new view of the hosts of the classroom."""
        stack = self.stack(lab, ("tls", "basic_auth"))
        notes, names = str(self._folder / "notes"), self._classroom.names
        look = Look(self._engine.connections(stack.hosts), stack, notes=notes, names=names)
        look.meet()
        return look

    def new_state(self) -> LabState:
        """Returns the progress of a lab that begins now."""
        return LabState(started=time.time())

    def is_stale(self, lab: Lab, lab_state: LabState) -> bool:
        """Returns whether the hosts are in another lab."""
        return state.current_lab(self._folder) not in ("", lab.id)

    def place_fault(self, lab: Lab, step: LabStep) -> None:
        """Does nothing: no lab for real hosts has a fault."""

    def type_commands(self, step: LabStep) -> Iterator[Typed]:
        """Runs the commands of a step, each on its host."""
        known = self._values
        sockets = {
            (role, known[f"{role}.restart"]): f"{known[f'{role}.address']}/{known[f'{role}.port']}"
            for role in self._homes
        }
        with self._connections() as hosts:
            yield from shell.run_there(step, hosts, sockets)

    def reset(self, lab: Lab, lab_state: LabState, emit: Emit) -> None:
        """Restores the hosts to the beginning of the lab; also ends the labs that continued it."""
        self._end_labs(lambda _: None, until=lab.id)
        self._restore(lab, lab_state, emit)
        state.set_current_lab(self._folder, lab.id)

    def terminal(self, place: str) -> str:
        """Returns the host, and how to log in there."""
        spec = self._classroom.host(place)
        if spec is None or spec.connect == "local":
            return "this machine" if spec is None else f"{place}, which is this machine"
        if spec.connect == "ssh":
            there = f"{spec.user}@{spec.address}" if spec.user else spec.address
            return f"{place} (ssh {there}{', then sudo -s' if spec.become else ''})"
        holder = f" on {spec.via}" if spec.via else ""
        return f"{place} (incus exec {spec.instance or place} -- bash{holder})"

    # -- the steps -----------------------------------------------------------------------------------------

    def _place_commands(self, step: LabStep) -> LabStep:
        """Returns the step with its commands and the hosts on which they are typed, or as a text to read."""
        roles = {step.host, *(check.of.partition("/")[0] for check in step.checks if check.of)}
        for command in step.on_hosts:
            there = command.copy
            roles |= {there.source, there.target} if there else {command.on or step.host}
        absent = sorted(role for role in roles if self._classroom.host(role) is None)
        if absent:
            return without_commands(step, f"this classroom has no host {' and '.join(absent)}")
        typed = tuple(self._typed_commands(step))
        return replace(
            step,
            commands=tuple(text for _, text in typed),
            places=tuple(place for place, _ in typed),
        )

    def _typed_commands(self, step: LabStep) -> Iterator[tuple[str, str]]:
        specs = {host.name: host for host in self._classroom.hosts}
        for command in step.on_hosts:
            if command.copy is not None:
                yield from file_transfer.words(command.copy, specs, self._homes)
            else:
                yield command.on or step.host, command.text

    def _learn_values(self, lab: Lab, look: Look, hosts: Hosts) -> None:
        """Determines the values of the placeholders on these hosts."""
        found = {"lab.notes": str(self._folder / "notes"), "lab.examples": str(assets.path("examples"))}
        for component_key in self._components(lab):
            role = component_key.partition("/")[0]
            service = look.service(component_key)
            if not manager_of(service).has_units:
                raise LabError(
                    f"{service.component} on {role} is not run by systemd ({service.kind or 'manually'})",
                    where=component_key,
                    todo="Do the lab on the practice stack: a lab on real hosts restarts services with systemctl",
                )
            self._versions[component_key] = service.version
            self._homes[role] = service.home
            found |= placeholders.real_host_values(look, component_key, hosts, self._classroom)
        promtool = hosts.promtool("prometheus", (look.prometheus(),))
        # Prometheus must have scraped once more, and needs up to ten seconds to use a new scheme.
        config = look.read(_PROMETHEUS, look.prometheus().config_file)
        self.check_patience = PATIENCE + _interval(config)
        is_usual = not promtool or promtool.rpartition("/")[0] in ("/usr/bin", "/usr/local/bin")
        self._values = found | {"lab.promtool": "promtool" if is_usual else promtool}

    def _components(self, lab: Lab) -> tuple[str, ...]:
        """Returns host/component of everything that the lab checks here; always with Prometheus."""
        named = (check.of for step in lab.steps for check in step.checks if check.of)
        there = {host.name for host in self._classroom.hosts}
        return tuple(
            component_key
            for component_key in dict.fromkeys((*named, _PROMETHEUS))
            if component_key.partition("/")[0] in there
        )

    # -- the hosts -----------------------------------------------------------------------------------------

    def _connections(self) -> Hosts:
        return self._engine.connections(self._classroom.hosts)

    def _settle(self, lab: Lab, say: Say) -> None:
        """Brings the hosts to the beginning of the lab, and stores a snapshot of them."""
        current = state.current_lab(self._folder)
        former = self._progress(current) if current and current == lab.follows else None
        follows = former is not None and former.complete(find(current))
        if lab.begin and lab.follows and not follows:
            before = find(lab.follows)
            raise InputError(
                f"on real hosts, this lab goes on where '{before.title}' ends",
                where=self.title,
                todo=f"Do that lab first, or let Firescreen do it: "
                f"firescreen lab solve {before.id} {before.steps[-1].id}",
            )
        if follows:
            say(f"This lab goes on where '{find(current).title}' ended")
        else:
            self._end_labs(say)
            if lab.expects:
                say(lab.expects)
        with self.look(lab) as look, self._connections() as hosts:
            services = self._services(lab, look)
            places = {name: snapshot.places_of(found) for name, found in services.items()}
            snapshot.save(self._snapshot_file(lab), snapshot.take(hosts, places))
        state.set_current_lab(self._folder, lab.id)
        self.state_file(lab).unlink(missing_ok=True)

    def _end_labs(self, say: Say, *, until: str = "") -> None:
        """Resets the current lab and the labs that it continues, the newest first; stops at `until`."""
        current = state.current_lab(self._folder)
        while current and current != until:
            other, lab_state = find(current), self._progress(current)
            if lab_state is not None and self._snapshot_file(other).exists():
                say(f"Restoring what the lab '{other.title}' changed")
                self._restore(other, lab_state, silent)
                self.state_file(other).unlink()
            current = other.follows

    def _restore(self, lab: Lab, lab_state: LabState, emit: Emit) -> None:
        """Restores the snapshot of a lab, and restarts the services of hosts with changes."""
        snapshots = snapshot.load(self._snapshot_file(lab))
        forced = frozenset(host.name for host in self._classroom.hosts)
        lab_runs.undo_runs(self._engine, lab_state.runs, inner_events(emit), forced=forced)
        emit(Event(run="", kind="log", text="restoring the hosts"))
        with self.look(lab) as look, self._connections() as hosts:
            services = self._services(lab, look)
            changed = snapshot.restore(hosts, snapshots)

            def restart(name: str) -> None:
                # Newer versions read passwords and client certificates only when they start.
                for service in services.get(name, ()):
                    service_control.restart(hosts.connection(name), service)

            run_parallel(restart, [name for name, paths in changed.items() if paths])

    def _services(self, lab: Lab, look: Look) -> Mapping[str, list[Service]]:
        found: dict[str, list[Service]] = {}
        for component_key in self._components(lab):
            found.setdefault(component_key.partition("/")[0], []).append(look.service(component_key))
        return found


def _interval(config: FileState | None) -> float:
    """Returns the longest scrape interval in seconds."""
    found = _INTERVAL.findall(config.content) if config else []
    seconds = [int(number) * (60 if unit == b"m" else 1) for number, unit in found]
    return min(float(max(seconds, default=60)), _LONGEST_INTERVAL)
