"""Hosts, services and connections in memory, so that the engine runs without programs and network.

Journals and the lock of the workspace are on the real disk, in a folder of the test.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock

from wizard.connections.base import Connection, refuse_tag
from wizard.connections.credentials import Access
from wizard.engine import Engine, host_lock
from wizard.engine.hosts import Hosts
from wizard.errors import HostError, ServiceError
from wizard.model import (
    WORKSPACE,
    Attempt,
    Completed,
    ComponentSpec,
    Connect,
    ContentKind,
    Event,
    Examined,
    Facts,
    FileState,
    FlagPlace,
    HostFacts,
    HostSpec,
    MakeFolder,
    PathInfo,
    Plan,
    PlannedStep,
    Probe,
    Role,
    RunService,
    Service,
    Stack,
    StepKind,
    WriteFile,
)
from wizard.service_managers.base import Answers, Ask
from wizard.service_managers.process_list import Process
from wizard.workspace import Workspace

Program = Callable[..., Completed]


def completed(stdout: str = "", code: int = 0, stderr: str = "") -> Completed:
    """The result of a program."""
    return Completed((), code, stdout, stderr)


class MemoryConnection(Connection):
    """A host whose files are a dictionary.

    Args:
        programs: functions in place of programs, by name; called with the arguments.
    """

    def __init__(
        self,
        name: str,
        files: Mapping[str, bytes | FileState] | None = None,
        programs: Mapping[str, Program] | None = None,
        *,
        user: str = "root",
    ) -> None:
        super().__init__(name)
        self.files: dict[str, FileState] = {}
        for path, content in (files or {}).items():
            self.files[path] = content if isinstance(content, FileState) else FileState(content)
        self.folders: dict[str, tuple[int, str, str]] = {}
        self.programs = dict(programs or {})
        self.user = user
        self.log: list[tuple[str, str]] = []
        """The changes on this host in order: (operation, path)."""
        self.faults: dict[tuple[str, str], Exception] = {}
        """Errors to raise, by (operation, path)."""
        self.before: Callable[[str, str], None] = lambda operation, path: None
        """Called before each operation that changes something."""
        self.closed = 0

    @property
    def is_local(self) -> bool:  # type: ignore[override]
        """Whether the host is this machine."""
        return self.name == "here"

    def _change(self, operation: str, path: str) -> None:
        self.before(operation, path)
        self._fail(operation, path)
        self.log.append((operation, path))

    def _fail(self, operation: str, path: str) -> None:
        fault = self.faults.get((operation, path)) or self.faults.get((operation, "*"))
        if fault is not None:
            raise fault

    def host_names(self) -> tuple[str, ...]:
        """The name of the host."""
        return (self.name,)

    def identity(self) -> tuple[str, str, bool]:
        """The user of the connection; root by default."""
        self._fail("identity", self.name)
        return self.user, self.user, self.user == "root"

    def read(self, path: str) -> FileState | None:
        """The file, or None."""
        self._fail("read", path)
        return self.files.get(path)

    def stat(self, path: str) -> PathInfo | None:
        """The file or folder at a path, or None."""
        self._fail("stat", path)
        if path in self.folders:
            return PathInfo("folder", *self.folders[path], 0)
        state = self.files.get(path)
        if state is None:
            return None
        return PathInfo("file", state.mode, state.owner, state.group, len(state.content))

    def names(self, folder: str) -> tuple[str, ...]:
        """Names of the files in a folder."""
        return tuple(
            sorted(posixpath.basename(path) for path in self.files if posixpath.dirname(path) == folder)
        )

    def examine(self, paths: Iterable[str]) -> dict[str, Examined]:
        """All paths are writable."""
        return {path: Examined() for path in paths}

    def stage(self, path: str, state: FileState, *, tag: str) -> str:
        """Writes a file beside the path."""
        self._change("stage", path)
        staged = self.staged_name(path, tag=tag)
        self.files[staged] = state
        return staged

    def staged_name(self, path: str, *, tag: str) -> str:
        """The name of the staged file, as on a real host."""
        refuse_tag(tag, path)
        return posixpath.join(posixpath.dirname(path), f".{posixpath.basename(path)}.firescreen-{tag}")

    def commit(self, staged: str, path: str) -> None:
        """Renames the staged file to its path."""
        self._change("commit", path)
        self.files[path] = self.files.pop(staged)

    def remove(self, path: str) -> None:
        """Removes a file."""
        if path in self.files:
            self._change("remove", path)
            del self.files[path]

    def make_folder(self, path: str, *, mode: int, owner: str, group: str) -> None:
        """Makes one folder."""
        self._change("make folder", path)
        self.folders.setdefault(path, (mode, owner, group))

    def remove_folder(self, path: str) -> bool:
        """Removes an empty folder."""
        if any(posixpath.dirname(each) == path for each in (*self.files, *self.folders)):
            return False
        self._change("remove folder", path)
        self.folders.pop(path, None)
        return True

    def set_folder_rights(self, path: str, *, mode: int, owner: str, group: str) -> None:
        """Sets owner and mode of a folder."""
        self.folders[path] = (mode, owner, group)

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = 30.0) -> Completed:
        """Runs a program of `programs`; an unknown one ends with code 127."""
        self._fail("run", argv[0])
        program = self.programs.get(posixpath.basename(argv[0]))
        return program(*argv[1:]) if program is not None else completed(code=127)

    def run_script(self, text: str, *arguments: str, timeout: float = 30.0) -> Completed:
        """Runs the scripts of the host lock itself, and others by the program `sh`."""
        self._fail("script", arguments[0] if arguments else "")
        if text == host_lock._MARK:
            path, line = arguments
            if path in self.files:
                return completed(code=2, stderr="sh: cannot create: File exists")
            self.files[path] = FileState(f"{line}\n".encode())
            return completed()
        if text == host_lock._FREE:
            path, line = arguments
            if self.files.get(path) == FileState(f"{line}\n".encode()):
                del self.files[path]
            return completed()
        program = self.programs.get("sh")
        return program(text, *arguments) if program is not None else completed()

    def close(self) -> None:
        """Counts how often the connection was closed."""
        self.closed += 1


class MemoryManager:
    """A service manager whose services run unless a test stops them."""

    name = "memory"
    has_units = False

    def __init__(self) -> None:
        self.actions: list[tuple[str, str, str]] = []
        """The restarts and reloads in order: (action, host, unit)."""
        self.down: set[tuple[str, str]] = set()
        """(host, unit) of stopped services."""
        self.faults: dict[tuple[str, str], list[Exception]] = {}
        """Errors to raise by (action, unit), once each."""
        self.before: Callable[[str, Service], None] = lambda action, service: None
        self.services: dict[str, tuple[Service, ...]] = {}
        """The services by host."""
        self._lock = Lock()

    def discover(self, connection: Connection, running: tuple[Process, ...]) -> tuple[Service, ...]:
        """The services that the test has set."""
        return self.services.get(connection.name, ())

    def describe(self, connection: Connection, service: Service) -> Service:
        """The service, unchanged."""
        return service

    def set_flag(
        self, service: Service, *, wanted: Mapping[str, str], current: FileState | None
    ) -> FileState:
        """Writes one line for each flag."""
        text = "".join(f"--{name}={value}\n" for name, value in wanted.items())
        return FileState(text.encode())

    def flag_commands(
        self, service: Service, *, wanted: Mapping[str, str], current: FileState | None
    ) -> tuple[str, ...]:
        """None."""
        return ()

    def restart(self, connection: Connection, service: Service, *, answers: Answers | None = None) -> None:
        """Records the restart; the service runs afterwards unless the test sets an error."""
        self._turn("restart", service)
        self.down.discard((service.host, service.unit))

    def reload(self, connection: Connection, service: Service, *, ask: Ask | None = None) -> None:
        """Records the reload."""
        self._turn("reload", service)

    def _turn(self, action: str, service: Service) -> None:
        self.before(action, service)
        with self._lock:
            self.actions.append((action, service.host, service.unit))
            faults = self.faults.get((action, service.unit)) or []
            if faults:
                if action == "restart":
                    self.down.add((service.host, service.unit))
                raise faults.pop(0)

    def is_active(self, connection: Connection, service: Service) -> bool:
        """Whether the service is not in `down`."""
        return (service.host, service.unit) not in self.down

    def address(self, connection: Connection, service: Service) -> str:
        return service.listen

    def logs(self, connection: Connection, service: Service, lines: int = 20) -> tuple[str, ...]:
        """One line."""
        return (f"{service.unit} says hello",)

    def manual_commands(self, service: Service, action: str, *, workspace: str = "") -> tuple[str, ...]:
        """None."""
        return ()


class MemoryHosts(Hosts):
    """The connections of a test."""

    def __init__(
        self, workspace: Workspace, specs: tuple[HostSpec, ...], known: Mapping[str, MemoryConnection]
    ) -> None:
        super().__init__(workspace, specs, Access(), {})
        self.known = known

    def _connect(self, name: str) -> Connection:
        return self.known[name]


@dataclass
class Site:
    """Hosts with one service each in memory, and a workspace on the disk."""

    workspace: Workspace
    specs: tuple[HostSpec, ...]
    connections: dict[str, MemoryConnection]
    manager: MemoryManager
    events: list[Event] = field(default_factory=list)

    def hosts(self, specs: tuple[HostSpec, ...] = ()) -> MemoryHosts:
        """The connections."""
        return MemoryHosts(self.workspace, specs or self.specs, self.connections)

    def engine(self) -> MemoryEngine:
        """An engine with only these hosts."""
        return MemoryEngine(self)

    def emit(self, event: Event) -> None:
        """Records an event."""
        self.events.append(event)

    def events_of_kind(self, kind: str) -> list[Event]:
        """The events of a kind."""
        return [event for event in self.events if event.kind == kind]

    def files(self) -> dict[str, dict[str, FileState]]:
        """The present files of all hosts."""
        return {name: dict(each.files) for name, each in self.connections.items()}

    def service(self, host: str, component: str = "node_exporter", **more: object) -> Service:
        """The service on a host."""
        made = Service(
            host=host,
            component=component,
            manager="memory",
            unit=f"{component}-{host}",
            version="1.9.0",
            listen="127.0.0.1:1",
            active=True,
            flags=FlagPlace("argfile", f"/etc/{component}.flags"),
            home=f"/etc/{component}",
        )
        return replace(made, **more)  # type: ignore[arg-type]

    def facts(self, services: Mapping[str, tuple[Service, ...]] | None = None) -> Facts:
        """The facts about the hosts."""
        found = services or {spec.name: (self.service(spec.name),) for spec in self.specs}
        known = {
            spec.name: HostFacts(
                spec=spec,
                names=(spec.name,),
                root=True,
                user="root",
                group="root",
                services=found.get(spec.name, ()),
                files=dict(self.connections[spec.name].files),
            )
            for spec in self.specs
        }
        own = HostFacts(spec=HostSpec(name=WORKSPACE, connect="local"), user="ada", group="ada")
        return Facts(hosts={WORKSPACE: own, **known}, workspace="/workspace")

    def plan(self, steps: Sequence[PlannedStep], probes: Sequence[Probe] = (), **more: object) -> Plan:
        """A plan with these steps for the hosts."""
        stack = Stack(
            hosts=self.specs,
            components=tuple(
                ComponentSpec(host=spec.name, name="node_exporter", protect=("tls",)) for spec in self.specs
            ),
        )
        made = Plan(stack=stack, facts=self.facts(), steps=tuple(steps), probes=tuple(probes))
        return replace(made, **more)  # type: ignore[arg-type]


class MemoryEngine(Engine):
    """An engine that connects to the hosts of a site."""

    def __init__(self, site: Site) -> None:
        self.site = site
        super().__init__(site.workspace)

    def connections(self, specs: tuple[HostSpec, ...]) -> Hosts:
        """The connections of the site."""
        return self.site.hosts(specs)


def site(folder: Path, manager: MemoryManager, *names: str, connect: Connect = "ssh") -> Site:
    """Makes hosts with these names, each with the file /etc/old."""
    specs = tuple(HostSpec(name=name, connect=connect, address="127.0.0.1") for name in names or ("srv1",))
    connections = {
        name: MemoryConnection(name, {"/etc/old": b"old\n"} if name != WORKSPACE else {})
        for name in (WORKSPACE, *(spec.name for spec in specs))
    }
    return Site(Workspace(folder / "workspace").ensure(), specs, connections, manager)


OLD = FileState(b"old\n")


def edit(host: str, path: str = "/etc/old", after: bytes | None = b"new\n", **more: object) -> WriteFile:
    """A change of the file that each host has; with `after` None, its removal."""
    made = WriteFile(
        host=host,
        path=path,
        before=OLD,
        after=FileState(after) if after is not None else None,
        why="",
        content_kind=ContentKind.SERVICE_FLAGS,
    )
    return replace(made, **more)  # type: ignore[arg-type]


def create(host: str, path: str, content: bytes = b"made\n", **more: object) -> WriteFile:
    """A new file."""
    made = WriteFile(
        host=host,
        path=path,
        before=None,
        after=FileState(content),
        why="",
        content_kind=ContentKind.SERVICE_FLAGS,
    )
    return replace(made, **more)  # type: ignore[arg-type]


def folder(host: str, path: str) -> MakeFolder:
    """A new folder."""
    return MakeFolder(host=host, path=path, mode=0o750, owner="root", group="root", why="")


def service_action(service: Service, action: str = "restart", **more: object) -> RunService:
    """A restart or reload of a service."""
    made = RunService(host=service.host, service=service, action=action, why="")  # type: ignore[arg-type]
    return replace(made, **more)  # type: ignore[arg-type]


def step(
    *changes: WriteFile | MakeFolder | RunService,
    stage: int = 0,
    name: str = "",
    kind: StepKind = StepKind.WEB_CONFIG,
    role: Role = Role.SERVER,
) -> PlannedStep:
    """One step with these changes."""
    host = changes[0].host
    return PlannedStep(
        id=name or f"web:{host}/node_exporter",
        kind=kind,
        role=role,
        component="node_exporter",
        title="a step",
        host=host,
        why="",
        changes=tuple(changes),
        stage=stage,
    )


def probe(host: str, expect: str = "200", **more: object) -> Probe:
    """One request to a host's node_exporter."""
    made = Probe(
        id=f"{host}/{expect}",
        host=host,
        component="node_exporter",
        name=f"a request to {host}",
        client="the right client" if expect == "200" else "a wrong client",
        expect=expect,
        url=f"https://{host}.invalid:9100/metrics",
    )
    return replace(made, **more)  # type: ignore[arg-type]


def attempt(probe: Probe, outcome: str = "", **more: object) -> Attempt:
    """The result of a probe; by default the expected one."""
    result = outcome or probe.expect
    made = Attempt(probe=probe, ok=result == probe.expect, outcome=result)
    return replace(made, **more)  # type: ignore[arg-type]


def service_error(what: str = "it did not come up") -> ServiceError:
    """A service that fails."""
    return ServiceError(what, where="the unit")


def host_error(what: str = "the disk is full") -> HostError:
    """A host that fails."""
    return HostError(what, where="/etc")
