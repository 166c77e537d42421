"""The results of runs and scans."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, cast

from wizard.errors import FirescreenError
from wizard.model import (
    Attempt,
    Container,
    Event,
    Facts,
    Finding,
    HealthReport,
    HostState,
    Protection,
    Proxies,
    Stack,
    instance_key,
)
from wizard.plurals import count_noun

ExposureState: TypeAlias = Literal["open", "partly", "secured", "down"]
State = Literal[
    "proven",
    "applied",
    "changed",
    "partly",
    "nothing",
    "rolled-back",
    "undone",
    "forgotten",
    "failed",
    "cancelled",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostOutcome:
    """How a run ended on one host."""

    host: str
    state: HostState
    error: FirescreenError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended.

    States: `proven`: verified. `changed`: all changes are made, and Prometheus' view of its targets is verified later.
    `applied`: all changes are made, and there is nothing to verify. `rolled-back`: the run failed, and the previous
    state is restored and running. `partly`: some hosts were rolled back or left out, and the others are verified;
    `hosts` says which.
    """

    run: str
    state: State
    attempts: tuple[Attempt, ...] = ()
    error: FirescreenError | None = None
    summary: tuple[str, ...] = ()
    """Lines that say what was created, where it is, when it expires, and what to do next."""
    hosts: tuple[HostOutcome, ...] = ()
    """The hosts that the plan changes, in the stack's order."""
    health: HealthReport | None = None
    """The comparison of targets, rules and so on before and after the run; None if they were not compared."""

    @property
    def ok(self) -> bool:
        """Whether the run succeeded on all hosts."""
        good = ("proven", "applied", "changed", "nothing", "undone", "forgotten")
        return self.error is None and self.state in good


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """How well a component is protected, determined from its responses and not from its configuration files."""

    host: str
    component: str
    address: str
    version: str
    manager: str
    unit: str
    tls: bool
    password: bool
    client_certificate: bool
    state: ExposureState
    words: str
    instance: str = ""
    """'' for the default instance of the component on its host; the `unit` of a further one."""
    through: str = ""
    """The host through whose SSH connection it was probed; '' if it was probed directly."""
    container: Container | None = field(default=None, repr=False)
    """The container that it runs in; None if it runs in none, or the container engine cannot be queried."""
    valid_from: float = 0.0
    """Unix time from which its certificate is valid; 0 if it presented none. `valid_until` likewise."""
    valid_until: float = 0.0
    scraped_by: tuple[str, ...] = ()
    """The Prometheus servers and jobs that scrape it, e.g. 'monitor/prometheus (job node)'."""

    @property
    def key(self) -> str:
        """`host/component`, or `host/component/unit` for a further instance, as in a stack."""
        return instance_key(self.host, self.component, self.instance)

    def level(self, wanted: tuple[Protection, ...]) -> tuple[Protection, ...]:
        """The protection that the component has.

        Args:
            wanted: its protection in the stack, which decides whether a server with client certificates also requires
                a password if the scan could not read its configuration: such a server rejects the probe before it
                asks for one.
        """
        if not self.tls:
            return ()
        password = self.password or (self.client_certificate and "basic_auth" in wanted)
        parts = {"tls": True, "basic_auth": password, "client_cert": self.client_certificate}
        return tuple(cast("Protection", name) for name, is_on in parts.items() if is_on)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundProxy:
    """A reverse proxy that runs as a systemd unit, with the names and ports of its sites."""

    host: str
    name: str
    version: str
    unit: str
    running: bool
    sites: tuple[tuple[str, int], ...] = ()
    """(name, port) of each site; the name is '' for the default site of a port."""

    @property
    def words(self) -> str:
        """Version, state and sites as one line for a person."""
        if not self.running:
            return f"{self.version}, installed, does not run"
        named = [f"{name or 'any name'}:{port}" for name, port in self.sites]
        shown = f": {', '.join(named[:4])}{' …' if len(named) > 4 else ''}" if named else ""
        return f"{self.version}, reverse proxy, {count_noun(len(named), 'site')}{shown}"


_REMARKS = (
    *("host-away", "containers-not-shown", "not-found", "not-in-stack", "out-of-reach"),
    "powerful-endpoint-open",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """The result of a scan: which components run where, and how they are protected."""

    stack: Stack
    facts: Facts = field(repr=False)
    exposures: tuple[Exposure, ...]
    findings: tuple[Finding, ...]

    @property
    def proxies(self) -> tuple[FoundProxy, ...]:
        """The reverse proxies on the hosts."""
        found = []
        for host in self.facts.hosts.values():
            known = self.facts.proxies.get(host.spec.name, Proxies())
            for proxy in host.proxies:
                sites = [(each.name, each.port) for each in known.sites if each.program == proxy.component]
                found.append(
                    FoundProxy(
                        host=host.spec.name,
                        name=proxy.component,
                        version=proxy.version,
                        unit=proxy.unit,
                        running=proxy.active,
                        sites=tuple(dict.fromkeys(sites)),
                    )
                )
        return tuple(found)

    @property
    def remarks(self) -> tuple[Finding, ...]:
        """The findings that no exposure shows: missing components, unreachable hosts, administrative endpoints."""
        return tuple(each for each in self.findings if each.id in _REMARKS)


@dataclass(frozen=True, slots=True, kw_only=True)
class InventoryItem:
    """A certificate or a user of the inventory."""

    kind: Literal["authority", "certificate", "user"]
    name: str
    for_whom: str
    host: str
    path: str
    mode: int
    not_after: float
    """Unix time; 0 if it does not expire."""
    note: str
    not_before: float = 0.0
    """Unix time; 0 if unknown."""


def error_fields(error: FirescreenError) -> tuple[str, str, str, str]:
    """The fields of an error for an event: title, what, where, todo."""
    return error.title, error.what, error.where, error.todo


def silent(_: Event) -> None:
    """Ignores an event."""


def finish(outcome: Outcome, emit: Callable[[Event], None]) -> Outcome:
    """Emits the event that a run has finished, and returns the outcome."""
    emit(
        Event(
            run=outcome.run,
            kind="finished",
            state=outcome.state,
            text="\n".join(outcome.summary),
            error=error_fields(outcome.error) if outcome.error else None,
        )
    )
    return outcome
