"""A stack made by hand: five components on three hosts, its plan of forty-two steps, connections and probe results."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tests.screens.helpers import QuietEngine
from wizard.engine import Exposure, Outcome, Scan
from wizard.model import (
    Answers,
    Arrow,
    Attempt,
    ComponentSpec,
    ContentKind,
    Event,
    Facts,
    FileState,
    Gap,
    HostFacts,
    HostSpec,
    MakeFolder,
    ManualCommand,
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

PLACES = (
    ("srv1", "node_exporter", "127.0.0.2:9100"),
    ("srv1", "pushgateway", "127.0.0.2:9091"),
    ("srv2", "blackbox_exporter", "127.0.0.3:9115"),
    ("monitor", "alertmanager", "127.0.0.1:9093"),
    ("monitor", "prometheus", "127.0.0.1:9090"),
)
HOSTS = ("srv1", "srv2", "monitor")
CLIENTS = {
    "right client": "200",
    "no TLS": "400",
    "no CA": "untrusted",
    "no password": "401",
    "wrong password": "401",
    "no client certificate": "refused",
    "stranger's certificate": "refused",
    "another name": "refused",
}


def five(protect: tuple[Any, ...] = ("tls", "basic_auth")) -> Stack:
    """Returns a stack of five components on three hosts."""
    return Stack(
        hosts=tuple(HostSpec(name=name, connect="practice") for name in HOSTS),
        components=tuple(ComponentSpec(host=host, name=name, protect=protect) for host, name, _ in PLACES),
    )


def service(host: str, name: str, listen: str) -> Service:
    """Returns one of its running services."""
    return Service(
        host=host, component=name, manager="process", unit=name, version="1.0.0", listen=listen, active=True
    )


def facts() -> Facts:
    """Returns the facts of the three hosts."""
    return Facts(
        {
            host: HostFacts(
                spec=HostSpec(name=host, connect="practice"),
                names=(host,),
                root=True,
                services=tuple(service(*place) for place in PLACES if place[0] == host),
            )
            for host in HOSTS
        }
    )


def exposures(state: str = "open") -> tuple[Exposure, ...]:
    """Returns the level of each component as a scan measures it; `state` is open or secured."""
    secured = state == "secured"
    words = "encrypted; a password is asked for" if secured else "anyone can read everything: no TLS"
    return tuple(
        Exposure(
            host=host,
            component=name,
            address=listen,
            version="1.0.0",
            manager="process",
            unit=name,
            tls=secured,
            password=secured,
            client_certificate=False,
            state="secured" if secured else "open",
            words=words,
        )
        for host, name, listen in PLACES
    )


def steps() -> tuple[PlannedStep, ...]:
    """Returns 42 steps: the workspace first, seven for each component, then those of clients, restarts and reloads."""
    planned_steps = [
        _step(StepKind.CA, "ca", "Make a certificate authority", "workspace"),
        _step(StepKind.USER, "user", "Set the password", "workspace"),
    ]
    for host, name, _ in PLACES:
        key = f"{host}/{name}"
        planned_steps += [
            _step(
                StepKind.SERVER_CERTIFICATE,
                f"certificate:{key}",
                f"Create key and certificate for {name}",
                host,
                name,
            ),
            _step(
                StepKind.CLIENT_CERTIFICATE,
                f"client-certificate:{key}",
                f"Make a client certificate for {name}",
                host,
                name,
            ),
            _step(StepKind.TRUST, f"ca-copy:{key}", f"Bring the CA certificate to {name}", host, name),
            _step(StepKind.WEB_CONFIG, f"web:{key}", f"Write the web configuration of {name}", host, name),
            _step(StepKind.FLAGS, f"flag:{key}", f"Tell {name} to use it", host, name),
            _step(StepKind.WEB_CONFIG, f"check:{key}", f"Look once more at {name}", host, name),
        ]
    planned_steps += [
        _step(
            StepKind.TRUST,
            "trust:monitor:/prometheus/ca.crt",
            "Give Prometheus the CA certificate",
            "monitor",
            "prometheus",
        ),
        _step(
            StepKind.CLIENT_PASSWORD,
            "password:monitor/prometheus",
            "Give Prometheus the password",
            "monitor",
            "prometheus",
        ),
        _step(
            StepKind.SCRAPE_CONFIG,
            "job:monitor",
            "Switch Prometheus to https",
            "monitor",
            "prometheus",
        ),
        _service_step("reload:monitor", "monitor", "prometheus", "reload"),
    ]
    planned_steps += [
        _service_step(f"switch:{host}/{name}", host, name, "restart") for host, name, _ in PLACES
    ]
    planned_steps.append(
        _step(
            StepKind.SCRAPE_CONFIG,
            "alerts:monitor",
            "Tell Prometheus where the alerts go",
            "monitor",
            "prometheus",
        )
    )
    return tuple(planned_steps)


def _step(kind: StepKind, name: str, title: str, host: str, component: str = "") -> PlannedStep:
    state = FileState(f"# {title}\nscheme: https\n".encode())
    path = f"/etc/{name.replace(':', '/').lstrip('/')}"
    return PlannedStep(
        id=name,
        kind=kind,
        title=title,
        host=host,
        role=Role.SERVER if component else Role.WORKSPACE,
        component=component,
        why=f"Why: {title}.",
        changes=(
            MakeFolder(host=host, path="/etc/x", mode=0o750, owner="root", group="root", why="a place"),
            WriteFile(
                host=host,
                path=path,
                before=None,
                after=state,
                why="because",
                content_kind=ContentKind.WEB_CONFIG,
                by_hand=(ManualCommand(argv=("install", "/dev/stdin", path)),),
            ),
        ),
    )


def _service_step(name: str, host: str, component: str, action: Any) -> PlannedStep:
    running = service(host, component, "127.0.0.1:1")
    change = RunService(
        host=host, service=running, action=action, why="now", by_hand=(f"systemctl {action} {component}",)
    )
    return PlannedStep(
        id=name,
        kind=StepKind.RESTART if action == "restart" else StepKind.RELOAD,
        title=f"{action.capitalize()} {component}",
        host=host,
        why="now",
        changes=(change,),
        role=Role.SERVER if action == "restart" else Role.CLIENT,
        component=component,
    )


def arrows() -> tuple[Arrow, ...]:
    """Returns the connections: Prometheus to all components and itself; blackbox_exporter to Pushgateway,
    unencrypted.
    """
    scraped = [
        Arrow(
            client_host="monitor",
            client="prometheus",
            server_host=host,
            server=name,
            how="alertmanagers" if name == "alertmanager" else f"job {name.removesuffix('_exporter')}",
            address=listen,
            encrypted=True,
            server_shows=f"{host}, {listen.partition(':')[0]} (signed by your CA)",
            client_checks="/etc/prometheus/firescreen/ca.crt",
            client_shows="/etc/prometheus/firescreen/client.crt" if name != "alertmanager" else "",
            server_checks=f"/etc/{name}/client-ca.crt" if name != "alertmanager" else "",
            user="prometheus",
            probe=f"{host}/{name}/up@monitor/{name}",
        )
        for host, name, listen in PLACES
    ]
    plain = Arrow(
        client_host="srv2",
        client="blackbox_exporter",
        server_host="srv1",
        server="pushgateway",
        how="module http_2xx",
        address="srv1:9091",
    )
    return (*scraped, plain)


def attempts(*, wrong: frozenset[str] = frozenset()) -> tuple[Attempt, ...]:
    """Returns an attempt per client and target, as expected, except the probes whose ids are in `wrong`."""
    results = []
    for host, name, listen in PLACES:
        for client, expect in CLIENTS.items():
            probe = Probe(
                id=f"{host}/{name}/{client.replace(' ', '-')}",
                host=host,
                component=name,
                name=f"{client} at {name}",
                client=client,
                expect=expect,
                url=f"https://{listen}/metrics",
            )
            results.append(_attempt(probe, wrong))
        up = Probe(
            id=f"{host}/{name}/up@monitor/{name}",
            host=host,
            component=name,
            name=f"Prometheus scrapes it (job {name})",
            client="Prometheus itself",
            expect="up",
            kind="up",
            url="https://127.0.0.1:9090",
            instance=listen,
            job=name,
        )
        results.append(_attempt(up, wrong))
    return tuple(results)


def _attempt(probe: Probe, wrong: frozenset[str]) -> Attempt:
    bad = probe.id in wrong
    other = "down" if probe.kind == "up" else "401" if probe.wanted else "200"
    return Attempt(
        probe=probe,
        ok=not bad,
        outcome=other if bad else probe.expect,
        reason="it was otherwise" if bad else "",
        curl=f"curl {probe.url}",
    )


def plan(*, planned_steps: tuple[PlannedStep, ...] | None = None) -> Plan:
    """Returns the plan of these steps."""
    return Plan(
        stack=five(),
        facts=facts(),
        steps=steps() if planned_steps is None else planned_steps,
        probes=tuple(attempt.probe for attempt in attempts()),
        arrows=arrows(),
        gaps=(
            *(
                Gap(
                    message="is down for about 1 s: at most one scrape is lost",
                    seconds=1.0,
                    host=host,
                    component=name,
                )
                for host, name, _ in PLACES[:4]
            ),
            Gap(
                message="is not interrupted: it reads the new configuration by itself",
                host="monitor",
                component="prometheus",
            ),
        ),
    )


class ExampleEngine(QuietEngine):
    """Scans and plans this stack, and answers each probe as expected.

    Args:
        state: the level of every component in a scan: open or secured.
        planned_steps: the steps of every plan; None for all.
    """

    def __init__(self, *, state: str = "open", planned_steps: tuple[PlannedStep, ...] | None = None) -> None:
        super().__init__()
        self.state, self.planned_steps = state, planned_steps
        self.planned: list[Stack] = []
        self.proven: list[tuple[str, ...]] = []
        self.practised: list[bool] = []
        self.wrong: frozenset[str] = frozenset()

    def scan(self, stack: Stack | None = None, **_: object) -> Scan:
        """Returns all five components."""
        return Scan(stack=stack or five(), facts=facts(), exposures=exposures(self.state), findings=())

    def practice(self, progress: object = None, *, suite: str = "", whole: bool = False) -> Stack:
        """Returns this stack at once."""
        self.practised.append(whole)
        return five()

    def plan(self, wanted: Stack, answers: Answers | None = None, **_: object) -> Plan:
        """Returns the plan of this module."""
        self.planned.append(wanted)
        return replace(plan(planned_steps=self.planned_steps), stack=wanted)

    def run_probes(
        self, planned: Plan, emit: Callable[[Event], None], cancel: threading.Event | None = None
    ) -> tuple[Attempt, ...]:
        """Emits a result for each probe of the plan."""
        wanted = {probe.id for probe in planned.probes}
        self.proven.append(tuple(sorted(wanted)))
        found = tuple(attempt for attempt in attempts(wrong=self.wrong) if attempt.probe.id in wanted)
        for count, attempt in enumerate(found, start=1):
            emit(Event(run="", kind="probe", attempt=attempt, done=count, total=len(found), state="done"))
        emit(Event(run="", kind="finished", state="proven"))
        return found

    def complete(self, *_: object) -> Outcome | None:
        """Does nothing: no run waits for its verification."""
        return None
