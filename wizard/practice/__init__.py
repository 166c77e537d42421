"""The practice stack: real programs on loopback addresses, each with a folder that serves as its host.

It needs no root, listens on this machine only, uses no port that is taken, and keeps running after the wizard ends. A
new stack that cannot be started completely is removed again.
"""

from __future__ import annotations

import fcntl
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from wizard.connections.practice import PracticeConnection
from wizard.errors import FirescreenError, InputError, LockedError, ProgramUnavailableError, ServiceError
from wizard.model import RECOMMENDED, ComponentSpec, HostSpec, Stack
from wizard.practice import addresses
from wizard.practice.layout import configuration, lay_out
from wizard.practice.record import (
    BESIDE,
    FIRST,
    MORE,
    WHOLE,
    PracticeHost,
    PracticeStack,
    host_ports,
    load,
    practice_components,
)
from wizard.service_managers import supervised

if TYPE_CHECKING:
    from wizard.binaries import Program

__all__ = [
    "BESIDE",
    "FIRST",
    "MORE",
    "WHOLE",
    "PracticeHost",
    "PracticeStack",
    "control_service",
    "down",
    "host_specs",
    "load",
    "stack",
    "status",
    "up",
]

_Result = TypeVar("_Result")
_ANSWER = 60.0
"""Seconds within which every component must answer."""


def up(
    workspace: Path,
    cache: Path,
    *,
    suite: str = "",
    components: Sequence[str] = (),
    hosts: Sequence[str] = (),
    progress: Callable[[str], None] | None = None,
) -> PracticeStack:
    """Starts the stack, or the parts of it that are down, and returns it.

    Args:
        workspace: the workspace; the stack is in its folder `practice`.
        cache: where downloaded programs are stored, see `binaries.find`.
        suite: use programs of this suite of the distribution; '' keeps the stack's present one.
        components: names of components to add to the present ones and `FIRST`, e.g. `WHOLE`. Scrape jobs for new
            components are added to Prometheus' configuration; a person's own edits are kept.
        hosts: names of further hosts, each with a node_exporter: srv2, srv3.
        progress: called with a line of text for each step.

    Raises:
        InputError: a component cannot run in the practice stack, or there is no such further host.
        ConfigError: Prometheus' configuration cannot be extended.
        ProgramUnavailableError: a program is not installed and cannot be downloaded; nothing was created.
        ServiceError: a program does not keep running or does not answer; a new stack is removed again.
        LockedError: another process is starting or stopping the stack.
    """
    # Imported late: `status` and `control_service`, which a lab's commands call often, do not need it.
    from wizard import binaries

    say = progress or (lambda _: None)
    root = _root(workspace)
    for name in components:
        if name not in practice_components():
            raise InputError(
                f"the practice stack has no {name!r}", todo=f"Choose from {', '.join(practice_components())}."
            )
    for name in hosts:
        if name not in MORE:
            raise InputError(
                f"the practice stack has no host {name!r}", todo=f"Choose from {', '.join(MORE)}."
            )
    with _lock_stack(root):
        before = load(root)
        suite = suite or (before.suite if before else "")
        wanted = {*FIRST, *components, *(before.components if before else ())}
        needed = (*(each for each in practice_components() if each in wanted), "promtool")
        found = binaries.find_all(needed, cache=cache, suite=suite, progress=say)
        if BESIDE.keys() & {name for name, (component, _) in host_ports().items() if component in wanted}:
            # The lab about a reverse proxy needs Prometheus' web pages, which Debian's build reads from its package.
            with suppress(ProgramUnavailableError):
                found["prometheus"] = binaries.find("prometheus-web", cache=cache, suite=suite, progress=say)
        try:
            return _bring_up(root, before, suite=suite, found=found, hosts=hosts, say=say)
        except BaseException:
            if before is None:
                _stop_all(root)
                shutil.rmtree(root, ignore_errors=True)
            raise


def status(workspace: Path) -> PracticeStack | None:
    """The stack with the present state of its hosts; None if there is none."""
    stack = load(_root(workspace))
    return _with_activity(stack) if stack else None


def control_service(workspace: Path, name: str, action: Literal["restart", "reload"]) -> None:
    """Restarts or reloads a service of the stack.

    Args:
        workspace: the workspace of the practice stack.
        name: the service, with its host if several hosts have one: node_exporter, srv2/node_exporter.
        action: what to do.

    Raises:
        InputError: there is no such service.
        ServiceError: it does not keep running, or rejects its configuration.
    """
    known = load(_root(workspace))
    for host in known.hosts if known else ():
        connection = host.connection()
        for service in supervised.discover(connection, host.folder):
            if name in (service.unit, f"{host.name}/{service.unit}"):
                act = supervised.restart if action == "restart" else supervised.reload
                act(connection, service)
                return
    raise InputError(
        f"there is no practice service '{name}'", todo="List them with: firescreen practice status"
    )


def down(workspace: Path, *, remove: bool = False) -> None:
    """Stops all processes of the stack, in whatever state they are; with `remove`, also deletes its folder.

    The containers of a lab are stopped too, see `compose_project`.

    Raises:
        ServiceError: a process does not end; the folder is kept then.
        LockedError: another process is starting or stopping the stack.
    """
    root = _root(workspace)
    if root.is_dir():
        with _lock_stack(root):
            _stop_all(root)
            if remove:
                shutil.rmtree(root)
    if (containers := root.parent / "compose").is_dir():
        from wizard.practice import compose_project

        compose_project.down(containers, remove=remove)


def stack(workspace: Path) -> Stack:
    """The practice stack with the recommended protection for all components."""
    known = load(_root(workspace))
    addresses_by_host = {host.name: host.address for host in known.hosts} if known else {}
    present = known.components if known else FIRST
    places = [
        (name, component)
        for name, (component, _) in host_ports().items()
        if name not in BESIDE
        and (name in addresses_by_host if known else component in present and name not in MORE)
    ]
    return Stack(
        hosts=tuple(
            HostSpec(name=name, connect="practice", address=addresses_by_host.get(name, ""))
            for name, _ in places
        ),
        components=tuple(
            ComponentSpec(
                host=name,
                name=component,
                protect=RECOMMENDED,
            )
            for name, component in places
        ),
    )


def host_specs(workspace: Path) -> tuple[HostSpec, ...]:
    """The hosts of `stack`, and those of programs that are no components (the reverse proxy)."""
    known = load(_root(workspace))
    more = [host for host in known.hosts if host.name in BESIDE] if known else []
    return (
        *stack(workspace).hosts,
        *(HostSpec(name=host.name, connect="practice", address=host.address) for host in more),
    )


def _bring_up(
    root: Path,
    before: PracticeStack | None,
    *,
    suite: str,
    found: Mapping[str, Program],
    hosts: Sequence[str],
    say: Callable[[str], None],
) -> PracticeStack:
    running = {host.name for host in _with_activity(before).hosts if host.active} if before else set()
    old_config = configuration(before).read_bytes() if before and "prometheus" in running else b""
    tries = 5
    while True:
        planned = _plan_stack(root, before, running, suite=suite, found=found, hosts=hosts)
        lay_out(root, before, planned)
        try:
            _start_all(planned, before, say)
            break
        except ServiceError as problem:
            tries -= 1
            # Another stack may have taken the port between the check and the start.
            if not tries or "address already in use" not in " ".join(problem.log):
                raise
            # Programs that have started use the addresses of this attempt: stop them, so that they get the new ones.
            for host in planned.hosts:
                if host.name not in running:
                    supervised.stop(host.connection(), host.service_folder)
            before = planned
    if old_config and old_config != configuration(planned).read_bytes():
        _reload(planned.host("prometheus"))
    _run_parallel(planned, _wait)
    return _with_activity(planned)


def _start_all(planned: PracticeStack, before: PracticeStack | None, say: Callable[[str], None]) -> None:
    for host in planned.hosts:
        say(f"Starting {host.component} on {host.name} ({host.listen})")
    _run_parallel(planned, lambda host: _start(host, changed=_differs(before, host)))


def _run_parallel(planned: PracticeStack, act: Callable[[PracticeHost], _Result]) -> list[_Result]:
    """Runs `act` for all hosts in parallel; raises the first error after all have ended."""
    with ThreadPoolExecutor(len(planned.hosts)) as pool:
        return [future.result() for future in [pool.submit(act, host) for host in planned.hosts]]


def _reload(host: PracticeHost) -> None:
    connection = host.connection()
    for service in supervised.discover(connection, host.folder):
        supervised.reload(connection, service)


def _plan_stack(
    root: Path,
    before: PracticeStack | None,
    running: Collection[str],
    *,
    suite: str,
    found: Mapping[str, Program],
    hosts: Sequence[str],
) -> PracticeStack:
    """Plans hosts, programs and addresses; hosts keep their present address if they run or it is free."""
    wanted = {*hosts, *(host.name for host in before.hosts)} if before else set(hosts)
    names = [
        name
        for name, (component, _) in host_ports().items()
        if component in found and (name not in MORE or name in wanted)
    ]
    places = addresses.choose(names, before, running=running, for_whom=str(root))
    made = tuple(
        PracticeHost(
            name=name,
            address=places[name][0],
            port=places[name][1],
            component=component,
            program=found[component].path,
            version=found[component].version,
            folder=str(root / name),
        )
        for name in names
        for component in (host_ports()[name][0],)
    )
    return PracticeStack(folder=str(root), suite=suite, promtool=found["promtool"].path, hosts=made)


def _start(host: PracticeHost, *, changed: bool) -> None:
    connection = host.connection()
    supervised.start(connection, host.service_folder)
    if changed:
        for service in supervised.discover(connection, host.folder):
            supervised.restart(connection, service)


def _differs(before: PracticeStack | None, host: PracticeHost) -> bool:
    """Whether a host's program or version differs from the one in `before`, so that its process must be restarted."""
    if before is None or host.name not in {each.name for each in before.hosts}:
        return False
    old = before.host(host.name)
    return (old.program, old.version) != (host.program, host.version)


def _wait(host: PracticeHost) -> None:
    """Waits until the component answers; 400 (HTTPS required) and 401 count as answers."""
    import urllib.error
    import urllib.request

    # For loopback addresses: without the proxy from the environment.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    path = "-/ready" if host.component in ("prometheus", "alertmanager") else "metrics"
    # A person may have moved it to another address, see `PracticeHost.loopback`.
    services = supervised.discover(host.connection(), host.folder)
    listen = next((service.listen for service in services), host.listen)
    listen = host.listen if host.name in BESIDE else listen
    deadline = time.monotonic() + _ANSWER
    reason = "no answer"
    while time.monotonic() < deadline:
        try:
            with opener.open(f"http://{listen}/{path}", timeout=2):
                return
        except urllib.error.HTTPError as refused:
            with refused:
                if refused.code != 503:
                    return
                reason = "503, not ready yet"
        except OSError as problem:
            reason = str(getattr(problem, "reason", problem))
        time.sleep(0.02)
    log = supervised.status(host.connection(), host.service_folder).get("log", [])
    raise ServiceError(
        f"{host.component} does not answer within {_ANSWER:.0f} seconds: {reason}",
        where=f"{host.name} ({listen})",
        todo=f"Read {host.service_folder}/log.",
        log=tuple(map(str, log))[-20:],
    )


def _stop_all(root: Path) -> None:
    """Stops every service below `root`; continues if one does not stop, and raises the first error at the end."""
    problems: list[FirescreenError] = []
    for spec in sorted(root.glob("*/services/*/service.json")):
        host = spec.parents[2]
        try:
            supervised.stop(PracticeConnection(host.name, host), str(spec.parent))
        except FirescreenError as problem:
            problems.append(problem)
    if problems:
        raise problems[0]


def _with_activity(known: PracticeStack) -> PracticeStack:
    def with_state(host: PracticeHost) -> PracticeHost:
        state = supervised.status(host.connection(), host.service_folder).get("state")
        return replace(host, active=state == "running")

    return replace(known, hosts=tuple(_run_parallel(known, with_state)))


def _root(workspace: Path) -> Path:
    return workspace.absolute() / "practice"


@contextmanager
def _lock_stack(root: Path) -> Iterator[None]:
    """Locks the stack while it is started or stopped."""
    root.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (root.parent / "practice.lock").open("a") as file:
        deadline = time.monotonic() + 60
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise LockedError(
                        "another process starts or stops the practice stack",
                        where=str(root),
                        todo="Wait until it is done, then try again.",
                    ) from None
            time.sleep(0.05)
        yield
