"""The practice stack: real programs on loopback 'hosts' with a folder each, for whoever has nothing yet.

Promises: nothing of it needs root, nothing listens beyond this machine, no port that is in use is taken, it
outlives the wizard, and what could not be brought up whole is taken down again.
"""

from __future__ import annotations

import fcntl
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from wizard import binaries
from wizard.errors import FirescreenError, LockedError, ServiceError
from wizard.hosts import loopback
from wizard.hosts.practice import PracticeConnection
from wizard.model import ComponentSpec, HostSpec, Stack
from wizard.practice.layout import lay_out
from wizard.practice.record import PORTS, PracticeHost, PracticeStack, load
from wizard.services import process

__all__ = ["PracticeHost", "PracticeStack", "down", "stack", "status", "up"]

_ANSWER = 20.0
"""Seconds until both must answer."""


def up(
    workspace: Path,
    cache: Path,
    *,
    suite: str = "",
    progress: Callable[[str], None] | None = None,
) -> PracticeStack:
    """Brings the stack up, or what of it is down; the same stack again when it is up already.

    Args:
        workspace: the stack lies in its folder `practice`.
        cache: where fetched programs are kept, see `binaries.find`.
        suite: programs of another suite of the distribution; '' keeps what the stack has.
        progress: told in a few words what is being done.

    Raises:
        ProgramsError: a program can be neither found nor fetched; nothing was made.
        ServiceError: a program does not stay up or does not answer; a stack that was new is gone again.
        LockedError: somebody else brings it up or down.
    """
    say = progress or (lambda _: None)
    root = _root(workspace)
    with _locked(root):
        before = load(root)
        suite = suite or (before.suite if before else "")
        found = {
            name: binaries.find(name, cache=cache, suite=suite, progress=say)
            for name in ("prometheus", "promtool", "node_exporter")
        }
        try:
            return _bring_up(root, before, suite=suite, found=found, say=say)
        except BaseException:
            if before is None:
                _stop_all(root)
                shutil.rmtree(root, ignore_errors=True)
            raise


def status(workspace: Path) -> PracticeStack | None:
    """The stack with what of it runs now; None if there is none."""
    stack = load(_root(workspace))
    return _with_activity(stack) if stack else None


def down(workspace: Path, *, remove: bool = False) -> None:
    """Ends all processes of the stack, in whatever state they are, and with `remove` its folder too.

    Raises:
        ServiceError: one does not end; the folder is left then.
        LockedError: somebody else brings it up or down.
    """
    root = _root(workspace)
    if not root.is_dir():
        return
    with _locked(root):
        _stop_all(root)
        if remove:
            shutil.rmtree(root)


def stack(workspace: Path) -> Stack:
    """What a newcomer practises on: node_exporter encrypted and with a password, Prometheus still open."""
    known = load(_root(workspace))
    addresses = {host.name: host.address for host in known.hosts} if known else {}
    return Stack(
        hosts=tuple(
            HostSpec(name=name, connect="practice", address=addresses.get(name, "")) for name in PORTS
        ),
        components=(
            ComponentSpec(host="srv1", name="node_exporter", protect=("tls", "basic_auth")),
            ComponentSpec(host="prometheus", name="prometheus"),
        ),
    )


def _bring_up(
    root: Path,
    before: PracticeStack | None,
    *,
    suite: str,
    found: Mapping[str, binaries.Program],
    say: Callable[[str], None],
) -> PracticeStack:
    tries = 5
    while True:
        planned = _planned(root, before, suite=suite, found=found)
        lay_out(root, before, planned)
        try:
            for host in planned.hosts:
                say(f"Starting {host.component} on {host.name} ({host.listen})")
                _start(host, changed=before is not None and _differs(before, host))
            break
        except ServiceError as problem:
            tries -= 1
            # Another stack may have taken the port between the look and the start.
            if not tries or "address already in use" not in " ".join(problem.log):
                raise
            before = planned
    for host in planned.hosts:
        _wait(host)
    return _with_activity(planned)


def _planned(
    root: Path, before: PracticeStack | None, *, suite: str, found: Mapping[str, binaries.Program]
) -> PracticeStack:
    """The stack as it is to be: addresses are kept where they are one's own or free."""
    places: dict[str, tuple[str, int]] = {}
    if before:
        running = {host.name for host in _with_activity(before).hosts if host.active}
        for host in before.hosts:
            if host.name in running or loopback.is_free(host.address, host.port):
                places[host.name] = (host.address, host.port)
    wanted = [name for name in PORTS if name not in places]
    if wanted:
        chosen = loopback.choose([port for _, port in PORTS.values()], for_whom=str(root))
        places |= {name: place for name, place in zip(PORTS, chosen, strict=True) if name in wanted}
    hosts = tuple(
        PracticeHost(
            name=name,
            address=places[name][0],
            port=places[name][1],
            component=component,
            program=found[component].path,
            version=found[component].version,
            folder=str(root / name),
        )
        for name, (component, _) in PORTS.items()
    )
    return PracticeStack(folder=str(root), suite=suite, promtool=found["promtool"].path, hosts=hosts)


def _start(host: PracticeHost, *, changed: bool) -> None:
    connection = host.connection()
    process.start(connection, host.service_folder)
    if changed:
        for service in process.discover(connection, host.folder):
            process.restart(connection, service)


def _differs(before: PracticeStack, host: PracticeHost) -> bool:
    """Whether a process of `before` would run with another program than `host` is to."""
    old = before.host(host.name)
    return (old.program, old.version) != (host.program, host.version)


def _wait(host: PracticeHost) -> None:
    """Back when it answers, in plain HTTP or by saying that it wants HTTPS or a password."""
    # Loopback only: neither a proxy nor another scheme comes into it.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    path = "-/ready" if host.component == "prometheus" else "metrics"
    deadline = time.monotonic() + _ANSWER
    reason = "no answer"
    while time.monotonic() < deadline:
        try:
            with opener.open(f"http://{host.listen}/{path}", timeout=2):
                return
        except urllib.error.HTTPError as refused:
            with refused:
                if refused.code != 503:
                    return
                reason = "503, not ready yet"
        except OSError as problem:
            reason = str(getattr(problem, "reason", problem))
        time.sleep(0.02)
    log = process.status(host.connection(), host.service_folder).get("log", [])
    raise ServiceError(
        f"{host.component} does not answer within {_ANSWER:.0f} seconds: {reason}",
        where=f"{host.name} ({host.listen})",
        todo=f"Look at {host.service_folder}/log.",
        log=tuple(map(str, log))[-20:],
    )


def _stop_all(root: Path) -> None:
    """Ends every service folder below `root`; goes on after one that does not end, then says so."""
    problems: list[FirescreenError] = []
    for spec in sorted(root.glob("*/services/*/service.json")):
        host = spec.parents[2]
        try:
            process.stop(PracticeConnection(host.name, host), str(spec.parent))
        except FirescreenError as problem:
            problems.append(problem)
    if problems:
        raise problems[0]


def _with_activity(known: PracticeStack) -> PracticeStack:
    hosts = (
        replace(
            host,
            active=process.status(host.connection(), host.service_folder).get("state") == "running",
        )
        for host in known.hosts
    )
    return replace(known, hosts=tuple(hosts))


def _root(workspace: Path) -> Path:
    return workspace.absolute() / "practice"


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    """Holds the stack for one who brings it up or down."""
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
                        "the practice stack is being brought up or down by another process",
                        where=str(root),
                        todo="Wait until it is done, then try again.",
                    ) from None
            time.sleep(0.05)
        yield
