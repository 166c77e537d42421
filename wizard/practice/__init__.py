"""The practice stack: real programs on loopback 'hosts' with a folder each, to try things on.

Promises: nothing of it needs root, nothing listens beyond this machine, no port that is in use is taken, it
outlives the wizard, and what could not be brought up whole is taken down again.
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
"""Seconds until all must answer."""


def up(
    workspace: Path,
    cache: Path,
    *,
    suite: str = "",
    components: Sequence[str] = (),
    hosts: Sequence[str] = (),
    progress: Callable[[str], None] | None = None,
) -> PracticeStack:
    """Brings the stack up, or what of it is down; the same stack again when it is up already.

    Args:
        workspace: the stack lies in its folder `practice`.
        cache: where fetched programs are kept, see `binaries.find`.
        suite: programs of another suite of the distribution; '' keeps what the stack has.
        components: names of those that it is to have besides what it has and `FIRST`, e.g. `WHOLE`. Prometheus
            learns to scrape what is new; what a person wrote in its configuration stays.
        hosts: names of further hosts, each with a node_exporter: srv2, srv3.
        progress: told in a few words what is being done.

    Raises:
        InputError: a component cannot run in the practice stack, or there is no such further host.
        ConfigError: Prometheus' configuration cannot be added to.
        ProgramUnavailableError: a program can be neither found nor fetched; nothing was made.
        ServiceError: a program does not stay up or does not answer; a stack that was new is gone again.
        LockedError: somebody else brings it up or down.
    """
    # Not needed by who only asks or restarts: a lab's commands do that by the dozen.
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
            # A proxy is in front of web pages; Debian's Prometheus reads them from a folder of its package.
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
    """The stack with what of it runs now; None if there is none."""
    stack = load(_root(workspace))
    return _with_activity(stack) if stack else None


def control_service(workspace: Path, name: str, action: Literal["restart", "reload"]) -> None:
    """Restarts or reloads one of its services.

    Args:
        workspace: whose practice stack.
        name: of a service, with its host where several have one: node_exporter, srv2/node_exporter.
        action: what to do.

    Raises:
        InputError: there is no such service.
        ServiceError: it does not stay up, or refuses its configuration.
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
    """Ends all processes of the stack, in whatever state they are, and with `remove` its folder too.

    The containers of a lab end with it, see `compose_project`.

    Raises:
        ServiceError: one does not end; the folder is left then.
        LockedError: somebody else brings it up or down.
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
    there_at = {host.name: host.address for host in known.hosts} if known else {}
    there = known.components if known else FIRST
    places = [
        (name, component)
        for name, (component, _) in host_ports().items()
        if name not in BESIDE and (name in there_at if known else component in there and name not in MORE)
    ]
    return Stack(
        hosts=tuple(
            HostSpec(name=name, connect="practice", address=there_at.get(name, "")) for name, _ in places
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
    """How each practice host is reached: those of `stack`, and one whose program is no component."""
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
    asked = configuration(before).read_bytes() if before and "prometheus" in running else b""
    tries = 5
    while True:
        planned = _plan_stack(root, before, running, suite=suite, found=found, hosts=hosts)
        lay_out(root, before, planned)
        try:
            _start_all(planned, before, say)
            break
        except ServiceError as problem:
            tries -= 1
            # Another stack may have taken the port between the look and the start.
            if not tries or "address already in use" not in " ".join(problem.log):
                raise
            # What has started nevertheless reads the addresses of this attempt: it starts with those of the next.
            for host in planned.hosts:
                if host.name not in running:
                    supervised.stop(host.connection(), host.service_folder)
            before = planned
    if asked and asked != configuration(planned).read_bytes():
        _reload(planned.host("prometheus"))
    _together(planned, _wait)
    return _with_activity(planned)


def _start_all(planned: PracticeStack, before: PracticeStack | None, say: Callable[[str], None]) -> None:
    for host in planned.hosts:
        say(f"Starting {host.component} on {host.name} ({host.listen})")
    _together(planned, lambda host: _start(host, changed=_differs(before, host)))


def _together(planned: PracticeStack, act: Callable[[PracticeHost], _Result]) -> list[_Result]:
    """Runs `act` for all hosts in parallel; raises the first error when all have ended."""
    with ThreadPoolExecutor(len(planned.hosts)) as pool:
        return [done.result() for done in [pool.submit(act, host) for host in planned.hosts]]


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
    """The planned stack: hosts keep addresses that are their own or free."""
    asked = {*hosts, *(host.name for host in before.hosts)} if before else set(hosts)
    names = [
        name
        for name, (component, _) in host_ports().items()
        if component in found and (name not in MORE or name in asked)
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
    """Whether a process of `before` would run with another program than `host` is to."""
    if before is None or host.name not in {each.name for each in before.hosts}:
        return False
    old = before.host(host.name)
    return (old.program, old.version) != (host.program, host.version)


def _wait(host: PracticeHost) -> None:
    """Waits until the component answers, also with 400 (HTTPS needed) or 401."""
    import urllib.error
    import urllib.request

    # Loopback only: neither a proxy nor another scheme comes into it.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    path = "-/ready" if host.component in ("prometheus", "alertmanager") else "metrics"
    # A person may have moved it, see `PracticeHost.loopback`.
    listen = next((one.listen for one in supervised.discover(host.connection(), host.folder)), host.listen)
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
    """Stops every service below `root`; goes on after one that does not stop, then raises its error."""
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

    return replace(known, hosts=tuple(_together(known, with_state)))


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
