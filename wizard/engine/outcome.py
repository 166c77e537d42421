"""How a run ended, and what a scan found."""

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

    `rolled-back`: it failed, and what was there before is back and running. `partly`: that is so on some hosts, and
    the others are verified; `hosts` says which. `proven`: verified. `changed`: everything is changed, and Prometheus' own view of it is
    left to a later verification.
    """

    run: str
    state: State
    attempts: tuple[Attempt, ...] = ()
    error: FirescreenError | None = None
    summary: tuple[str, ...] = ()
    """What was made, where it is, when it expires, what to do next: a line each."""
    hosts: tuple[HostOutcome, ...] = ()
    """Each host that was to be changed, in the stack's order."""
    health: HealthReport | None = None
    """Whether what worked before works now; None where that was not compared."""

    @property
    def ok(self) -> bool:
        """Whether all hosts are as they should be now."""
        good = ("proven", "applied", "changed", "nothing", "undone", "forgotten")
        return self.error is None and self.state in good


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """How well a component is protected, by what it answers on the wire and not by what a file says."""

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
    """'' for the usual one of its component on its host; of a further one its `unit`."""
    through: str = ""
    """The host through whose SSH connection it was probed, since this machine cannot reach it; '' for directly."""
    container: Container | None = field(default=None, repr=False)
    """The container that it runs in; None for none, or where no daemon can be asked."""
    valid_from: float = 0.0
    """Unix time at which its certificate begins to be valid; 0 where none was shown. `valid_until` likewise."""
    valid_until: float = 0.0
    scraped_by: tuple[str, ...] = ()
    """Each Prometheus that scrapes it, as `host/component`, and the job: 'monitor/prometheus (job node)'."""

    @property
    def key(self) -> str:
        """`host/component`, of a further instance `host/component/unit`: as a stack names it."""
        return instance_key(self.host, self.component, self.instance)

    def level(self, wanted: tuple[Protection, ...]) -> tuple[Protection, ...]:
        """The protection that the component has.

        A server that rejects clients without a certificate never asks for a password: where the scan could not read
        its configuration, the level that is `wanted` says it.
        """
        if not self.tls:
            return ()
        password = self.password or (self.client_certificate and "basic_auth" in wanted)
        parts = {"tls": True, "basic_auth": password, "client_cert": self.client_certificate}
        return tuple(cast("Protection", name) for name, there in parts.items() if there)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundProxy:
    """A reverse proxy that a host's systemd knows, with the names and ports that it answers to."""

    host: str
    name: str
    version: str
    unit: str
    running: bool
    sites: tuple[tuple[str, int], ...] = ()
    """(name, port) of each site; the name is '' for all that no other site has."""

    @property
    def words(self) -> str:
        """Its version, whether it runs, and its sites, for a person."""
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
    """What runs where, and how it is protected."""

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
            for one in host.proxies:
                sites = [(each.name, each.port) for each in known.sites if each.program == one.component]
                found.append(
                    FoundProxy(
                        host=host.spec.name,
                        name=one.component,
                        version=one.version,
                        unit=one.unit,
                        running=one.active,
                        sites=tuple(dict.fromkeys(sites)),
                    )
                )
        return tuple(found)

    @property
    def remarks(self) -> tuple[Finding, ...]:
        """The findings beside the exposures: what is missing or unreachable, and powerful endpoints."""
        return tuple(each for each in self.findings if each.id in _REMARKS)


@dataclass(frozen=True, slots=True, kw_only=True)
class InventoryItem:
    """A certificate or a user of the inventory: what it is for, where it is, until when."""

    kind: Literal["authority", "certificate", "user"]
    name: str
    for_whom: str
    host: str
    path: str
    mode: int
    not_after: float
    """Unix time; 0 for what does not expire."""
    note: str
    not_before: float = 0.0
    """Unix time; 0 where that is not known."""


def error_fields(error: FirescreenError) -> tuple[str, str, str, str]:
    """An error as an event carries it: title, what, where, todo."""
    return error.title, error.what, error.where, error.todo


def silent(_: Event) -> None:
    """Ignores an event."""


def finish(outcome: Outcome, emit: Callable[[Event], None]) -> Outcome:
    """Tells that a run is over, and how."""
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
