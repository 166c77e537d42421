"""A lab on the real hosts of a classroom: the same steps and checks, typed and looked at where they belong.

Promises: what the hosts held when the lab began is kept before anything is done, and comes back with a reset; a lab
that would begin on another one's files says so and puts those back first.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
import shlex
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from wizard import assets
from wizard.components import component as find_component
from wizard.engine import Engine
from wizard.engine.hosts import Hosts
from wizard.engine.outcome import silent
from wizard.errors import InputError, LabError
from wizard.labs import (
    file_transfer,
    session,
    shell,
    snapshot,
    state,
)
from wizard.labs import (
    reset as resetting,
)
from wizard.labs.classroom import Classroom
from wizard.labs.content import Lab, LabStep, find
from wizard.labs.inspection import Look
from wizard.labs.session import Emit, InHandError, LabSession
from wizard.model import CertificateSpec, ComponentSpec, Event, FileState, Protection, Service, Stack
from wizard.redact import plain
from wizard.service_managers import flags
from wizard.service_managers.registry import manager_of
from wizard.workspace import Workspace

_PROMETHEUS = "prometheus/prometheus"
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_.-]{1,80}")
_INTERVAL = re.compile(rb"^\s*scrape_interval:\s*['\"]?(\d+)(s|m)\b", re.MULTILINE)
_LONGEST_INTERVAL = 60.0


def in_the_way(workspace: Workspace, lab_id: str, classroom: Classroom) -> str:
    """What beginning or going on with a lab would put back on the hosts, as a sentence; '' for nothing."""
    lab, folder = find(lab_id), folder_of(workspace, classroom)
    held = resetting.holder(folder)
    if held in ("", lab.id):
        return ""
    other, theirs = find(held), state.load(folder / f"{held}.json")
    if theirs is None or not theirs.done or (held == lab.follows and theirs.complete(other)):
        return ""
    done = len(theirs.done)
    return f"the hosts are in the lab '{other.title}', with {done} of {len(other.steps)} steps done"


def folder_of(workspace: Workspace, classroom: Classroom) -> Path:
    """Where it is kept how far the labs of one classroom are: of one student's hosts, if they are many."""
    name = hashlib.sha256(f"{classroom.path.absolute()} {classroom.campus}".encode()).hexdigest()[:12]
    return workspace.labs / f"hosts-{name}"


class HostSession(LabSession):
    """A lab on real hosts; see `begun`.

    Args:
        engine: whose connections are used.
        lab: as loaded.
        classroom: its hosts, which can be reached.
    """

    def __init__(self, engine: Engine, lab: Lab, classroom: Classroom) -> None:
        self._classroom = classroom
        self._known: dict[str, str] = {}
        self._versions: dict[str, str] = {}
        self._homes: dict[str, str] = {}
        self._interval = 15.0
        super().__init__(engine, lab)

    @classmethod
    def begun(
        cls, engine: Engine, lab: Lab, classroom: Classroom, say: Callable[[str], None], *, anew: bool
    ) -> HostSession:
        """Begins the lab on the hosts, or goes on where the student was.

        Raises:
            InputError: it cannot be done there. InHandError: see `LabSession.open`. NeededError: a host asks for
                something. HostError: one cannot be reached. LabError: what the lab needs is not there.
        """
        workspace = engine.workspace.ensure()
        _refuse(lab, classroom)
        words = "" if anew else in_the_way(workspace, lab.id, classroom)
        if words:
            raise InHandError(
                f"{words}; that would be put back to its beginning first",
                where=classroom.title,
                todo=f"finish that first, or give it up: firescreen lab start {lab.id} --anew",
            )
        say(f"looking at the hosts of {classroom.title}")
        engine.reach(classroom.hosts)
        folder = folder_of(workspace, classroom)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / "notes").mkdir(mode=0o700, exist_ok=True)
        known, held = state.load(folder / f"{lab.id}.json"), resetting.holder(folder)
        if held != lab.id and not (known is not None and known.complete(lab)):
            _settle(engine, lab, classroom, say)
        return cls(engine, lab, classroom)

    # -- what is known -------------------------------------------------------------------------------------

    @property
    def where(self) -> str:
        """On which hosts it is done, for a person."""
        return self._classroom.title

    @property
    def on_real_hosts(self) -> bool:
        """It is."""
        return True

    def terminal(self, place: str) -> str:
        """On which host, and how one gets there."""
        spec = self._classroom.host(place)
        if spec is None or spec.connect == "local":
            return "this machine" if spec is None else f"{place}, which is this machine"
        if spec.connect == "ssh":
            there = f"{spec.user}@{spec.address}" if spec.user else spec.address
            return f"{place} (ssh {there}{', then sudo -s' if spec.become else ''})"
        holder = f" on {spec.via}" if spec.via else ""
        return f"{place} (incus exec {spec.instance or place} -- bash{holder})"

    @property
    def patience(self) -> float:
        """Prometheus has to have scraped once more, and carries a new scheme over within ten seconds."""
        return session.PATIENCE + self._interval

    # -- doing ---------------------------------------------------------------------------------------------

    def begin(self, step_id: str) -> None:
        """No lab for real hosts puts a fault in."""
        self.lab.step(step_id)

    def type(self, step_id: str) -> Iterator[shell.Typed]:
        """Types the commands of a step, each on its host.

        Raises:
            FirescreenError: there is no such step, or a host cannot be reached.
        """
        with self._connections() as hosts:
            yield from shell.run_there(self.lab.step(step_id), hosts, self._ready)

    def reset(self, emit: Emit = silent) -> None:
        """Puts the hosts back to the beginning of the lab; all steps count as not done.

        Raises:
            FirescreenError: what they were like is not known, a host cannot be reached, or a service does not come
                up again.
        """
        with self._lock:
            known = self._state
        _unwind(self._engine, self._classroom, lambda _: None, until=self._raw.id)
        _put_back(self._engine, self._raw, self._classroom, known, emit)
        resetting.hold(folder_of(self._engine.workspace, self._classroom), self._raw.id)
        self._fill()
        with self._lock:
            self._keep(self._fresh())

    # -- inside --------------------------------------------------------------------------------------------

    def _connections(self) -> Hosts:
        return self._engine.connections(self._classroom.hosts)

    @property
    def _ready(self) -> Mapping[tuple[str, str], str]:
        known = self._known
        return {
            (role, known[f"{role}.restart"]): f"{known[f'{role}.address']}/{known[f'{role}.port']}"
            for role in self._homes
        }

    def _state_file(self) -> Path:
        return folder_of(self._engine.workspace, self._classroom) / f"{self._raw.id}.json"

    def _look(self) -> Look:
        return _look(self._engine, self._raw, self._classroom)

    def _stack(self, protect: tuple[Protection, ...]) -> Stack:
        return _stack(self._raw, self._classroom, protect)

    def _fill(self) -> None:
        with self._look() as look, self._connections() as hosts:
            self._learn(look, hosts)
        fitted = tuple(self._step(step) for step in self._raw.steps)
        raw = replace(self._raw, steps=fitted)
        roles = ((name, name.partition(".")[0]) for name in raw.placeholders())
        absent = {name: role for name, role in roles if role != "lab" and self._classroom.host(role) is None}
        filled = raw.filled({**absent, **self._known})
        self.lab = replace(filled, steps=tuple(session.fitted(step, self._versions) for step in filled.steps))

    def _fresh(self) -> state.LabState:
        return state.LabState(started=time.time())

    def _gone(self, known: state.LabState) -> bool:
        return resetting.holder(folder_of(self._engine.workspace, self._classroom)) not in ("", self._raw.id)

    def _step(self, step: LabStep) -> LabStep:
        """The step as it is done here: its commands with their places, or why there is nothing to do."""
        roles = {step.host, *(check.of.partition("/")[0] for check in step.checks if check.of)}
        for command in step.on_hosts:
            there = command.copy
            roles |= {there.source, there.target} if there else {command.on or step.host}
        absent = sorted(role for role in roles if self._classroom.host(role) is None)
        if absent:
            words = f"this classroom has no host {' and '.join(absent)}"
            text = (
                f"*{words[:1].upper()}{words[1:]}. Read it and go on: there is nothing to do.*\n\n{step.text}"
            )
            return replace(step, missing=words, text=text, commands=(), answer=(), places=())
        typed = tuple(self._typed(step))
        return replace(
            step,
            commands=tuple(text for _, text in typed),
            places=tuple(place for place, _ in typed),
        )

    def _typed(self, step: LabStep) -> Iterator[tuple[str, str]]:
        specs = {host.name: host for host in self._classroom.hosts}
        for command in step.on_hosts:
            if command.copy is not None:
                yield from file_transfer.words(command.copy, specs, self._homes)
            else:
                yield command.on or step.host, command.text

    def _learn(self, look: Look, hosts: Hosts) -> None:
        """What the placeholders stand for on these hosts."""
        folder = folder_of(self._engine.workspace, self._classroom)
        found = {
            "lab.notes": str(folder / "notes"),
            "lab.examples": str(assets.path("examples")),
        }
        for of in _components(self._raw, self._classroom):
            role = of.partition("/")[0]
            service = look.service(of)
            if not manager_of(service).has_units:
                raise LabError(
                    f"{service.component} on {role} is not run by systemd ({service.kind or 'by hand'})",
                    where=of,
                    todo="a lab on real hosts restarts it with systemctl; do the lab on the practice stack",
                )
            self._versions[of] = service.version
            self._homes[role] = service.home
            found |= self._values_of(look, of, hosts)
        promtool = hosts.promtool("prometheus", (look.prometheus(),))
        config = look.read(_PROMETHEUS, look.prometheus().config_file)
        self._interval = _interval(config)
        usual = not promtool or promtool.rpartition("/")[0] in ("/usr/bin", "/usr/local/bin")
        self._known = found | {"lab.promtool": "promtool" if usual else promtool}

    def _values_of(self, look: Look, of: str, hosts: Hosts) -> Mapping[str, str]:
        role = of.partition("/")[0]
        service, spec = look.service(of), self._classroom.host(role)
        assert spec is not None
        asked, _, port = look.asked(of).rpartition(":")
        address = _address((asked, spec.address, service.listen.rpartition(":")[0], *hosts.names(role)))
        if not address:
            raise LabError(
                f"the address of {role} is not known", where=of, todo="add it to the classroom file: address:"
            )
        target = look.target(of)
        called = (address, asked, self._classroom.names.get(role, ""), role)
        names = dict.fromkeys(each.strip("[]") for each in called if each)
        # localhost is no name to put into a certificate that others look at, unless it is asked for by that.
        reload = "systemctl daemon-reload && " if service.flags.kind == "dropin" else ""
        user = f"{spec.user}@" if spec.user else ""
        return {
            f"{role}.address": address,
            f"{role}.asked": asked.strip("[]"),
            f"{role}.port": port,
            f"{role}.listen": f"[{address}]:{port}" if ":" in address else f"{address}:{port}",
            f"{role}.home": service.home,
            f"{role}.from": f"{user}{spec.address or role}:{service.home}",
            f"{role}.flags": service.flags.path,
            f"{role}.addflag": _addflag(look, hosts, of),
            f"{role}.log": f"journalctl -eu {service.unit}",
            f"{role}.group": service.group,
            f"{role}.san": ",".join(f"{_kind(name)}:{name}" for name in names),
            f"{role}.job": target.job if target and _PLAIN_NAME.fullmatch(target.job) else "node",
            f"{role}.targets": _targets(target.source if target else "", look.prometheus()),
            f"{role}.version": service.version,
            f"{role}.restart": f"{reload}systemctl restart {service.unit}",
            f"{role}.reload": f"systemctl reload {service.unit}",
        }


def _refuse(lab: Lab, classroom: Classroom) -> None:
    """What keeps a lab from being done in a classroom.

    Raises:
        InputError: there is something.
    """
    if not lab.real_hosts:
        from wizard.labs.content import labs

        others = ", ".join(each.id for each in labs() if each.real_hosts)
        raise InputError(
            f"the lab '{lab.title}' is done on the practice stack only",
            where=classroom.title,
            todo=f"on real hosts: {others}; for the practice stack: firescreen lab start {lab.id} --practice",
        )
    for role in dict.fromkeys(("prometheus", lab.steps[0].host)):
        if classroom.host(role) is None:
            raise InputError(
                f"this classroom has no host '{role}', which the lab '{lab.title}' needs",
                where=str(classroom.path),
                todo=f"add it under hosts: {role}: {{connect: ssh, address: …}}",
            )


def _settle(engine: Engine, lab: Lab, classroom: Classroom, say: Callable[[str], None]) -> None:
    """Brings the hosts to where the lab begins, and keeps what they hold then."""
    folder = folder_of(engine.workspace, classroom)
    held = resetting.holder(folder)
    former = state.load(folder / f"{held}.json") if held else None
    follows = bool(held) and held == lab.follows and former is not None and former.complete(find(held))
    if lab.begin and lab.follows and not follows:
        before = find(lab.follows)
        raise InputError(
            f"on real hosts, this lab goes on where '{before.title}' ends",
            where=classroom.title,
            todo=f"do that one first, or have it done: firescreen lab solve {before.id} {before.steps[-1].id}",
        )
    if follows:
        say(f"This lab goes on where '{find(held).title}' ended")
    else:
        _unwind(engine, classroom, say)
        if lab.expects:
            say(lab.expects)
    with _look(engine, lab, classroom) as look, engine.connections(classroom.hosts) as hosts:
        services = _services(look, lab, classroom)
        snapshot.save(folder / f"{lab.id}.beginning", snapshot.look(hosts, services))
    resetting.hold(folder, lab.id)
    (folder / f"{lab.id}.json").unlink(missing_ok=True)


def _unwind(engine: Engine, classroom: Classroom, say: Callable[[str], None], *, until: str = "") -> None:
    """Puts back the lab in hand, and those that it went on from; not `until`, nor what came before that."""
    folder = folder_of(engine.workspace, classroom)
    held = resetting.holder(folder)
    while held and held != until:
        other, known = find(held), state.load(folder / f"{held}.json")
        if known is not None and (folder / f"{held}.beginning").exists():
            say(f"putting back what the lab '{other.title}' changed")
            _put_back(engine, other, classroom, known, silent)
            (folder / f"{held}.json").unlink()
        held = other.follows


def _put_back(engine: Engine, lab: Lab, classroom: Classroom, known: state.LabState, emit: Emit) -> None:
    kept = snapshot.load(folder_of(engine.workspace, classroom) / f"{lab.id}.beginning")
    forced = frozenset(host.name for host in classroom.hosts)
    resetting.undo_runs(engine, known.runs, session.inner(emit), forced=forced)
    emit(Event(run="", kind="log", text="putting the hosts back"))
    with _look(engine, lab, classroom) as look, engine.connections(classroom.hosts) as hosts:
        snapshot.put_back(hosts, kept, _services(look, lab, classroom))


def _services(look: Look, lab: Lab, classroom: Classroom) -> dict[str, list[Service]]:
    found: dict[str, list[Service]] = {}
    for of in _components(lab, classroom):
        found.setdefault(of.partition("/")[0], []).append(look.service(of))
    return found


def _look(engine: Engine, lab: Lab, classroom: Classroom) -> Look:
    stack = _stack(lab, classroom, ("tls", "basic_auth"))
    notes = folder_of(engine.workspace, classroom) / "notes"
    look = Look(engine.connections(stack.hosts), stack, notes=str(notes), names=classroom.names)
    look.meet()
    return look


def _components(lab: Lab, classroom: Classroom) -> tuple[str, ...]:
    """host/component of all that the lab looks at here; Prometheus is always among it."""
    named = (check.of for step in lab.steps for check in step.checks if check.of)
    there = {host.name for host in classroom.hosts}
    return tuple(of for of in dict.fromkeys((*named, _PROMETHEUS)) if of.partition("/")[0] in there)


def _stack(lab: Lab, classroom: Classroom, protect: tuple[Protection, ...]) -> Stack:
    components = []
    for of in _components(lab, classroom):
        host, _, name = of.partition("/")
        others = find_component(name).asked_by_others
        components.append(ComponentSpec(host=host, name=name, protect=() if others else protect))
    return Stack(
        hosts=classroom.hosts,
        components=tuple(components),
        certificates=CertificateSpec(issued_by=cast(Any, lab.certificates)),
        source=str(classroom.path),
    )


def _addflag(look: Look, hosts: Hosts, of: str) -> str:
    """What a person types to give a service the flag in `$flag`."""
    service = look.service(of)
    place = service.flags
    path = shlex.quote(place.path)
    if place.kind == "envfile":
        state = look.read(of, place.path)
        lines = state.content.decode("utf-8", "replace").splitlines() if state else []
        if not any(line.startswith(f"{place.variable}=") for line in lines):
            return f'echo "{place.variable}=\\"$flag\\"" >> {path}'
        return f'sed -i "s|^{place.variable}=[\\"\']\\?|&$flag |" {path}'
    if place.kind == "dropin":
        whole = hosts.described(service)
        current: FileState | None = look.read(of, place.path)
        planned = flags.plan_flag(
            whole, flag="firescreen", value="here", current=current, unit_text=whole.unit_text
        )
        text = planned.content.decode("utf-8", "replace").rstrip("\n")
        written = re.sub(r"([$`\\])", r"\\\1", text).replace("--firescreen=here", "$flag")
        folder = shlex.quote(str(Path(place.path).parent))
        return f"mkdir -p {folder}\ncat > {path} <<END\n{plain(written, 4000)}\nEND"
    raise LabError(
        f"the flags of {service.unit} are not in a file that can be edited",
        where=of,
        todo="do the lab on the practice stack",
    )


def _address(candidates: tuple[str, ...]) -> str:
    """The first that is an address others can reach; else that of the first name that can be looked up."""
    for each in candidates:
        try:
            if not ipaddress.ip_address(each.strip("[]")).is_loopback:
                return each.strip("[]")
        except ValueError:
            continue
    for each in candidates:
        try:
            found = socket.getaddrinfo(each, None, proto=socket.IPPROTO_TCP)[0][4][0]
            if not ipaddress.ip_address(str(found)).is_loopback:
                return str(found)
        except (OSError, ValueError):
            continue
    return ""


def _kind(name: str) -> str:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return "DNS"
    return "IP"


def _targets(source: str, prometheus: Service) -> str:
    """The list of targets that Prometheus watches."""
    return source if source.startswith("/") else f"{prometheus.home}/targets.d/node.yml"


def _interval(config: FileState | None) -> float:
    """The longest time between two scrapes, in seconds."""
    found = _INTERVAL.findall(config.content) if config else []
    seconds = [int(number) * (60 if unit == b"m" else 1) for number, unit in found]
    return min(float(max(seconds, default=60)), _LONGEST_INTERVAL)
