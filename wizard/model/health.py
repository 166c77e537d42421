"""What works on the hosts before a run: what each Prometheus reports, and what each reverse proxy passes on.

Frozen data of the standard library only: the plan tells of it, and verification compares with it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from wizard.model.front_door import ProxyProgram
from wizard.model.probes import Probe

Health: TypeAlias = Literal["up", "down", "unknown"]

_SCHEME = re.compile(r"^https?(?=://|$)")


def identity(labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Labels, sorted, the same before and after a change from http to https."""
    return tuple(sorted((name, _SCHEME.sub("", value)) for name, value in labels.items()))


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetHealth:
    """One active target as its Prometheus reports it; every text is masked and on one line."""

    pool: str
    """The name of its job in the configuration; where Prometheus does not say it, the label `job`."""
    labels: Mapping[str, str]
    address: str
    """host:port before relabelling."""
    url: str
    health: Health
    error: str = ""
    scraped: float = 0.0
    """Unix time of the last scrape by the Prometheus host's clock; 0 for never."""
    interval: float = 60.0
    timeout: float = 10.0
    """Both in seconds, as they are in effect."""
    discovered: bool = False
    """Whether a service discovery that is no file found it: it may vanish for reasons of its own."""

    @property
    def place(self) -> str:
        """Its URL without the scheme: the same before and after a change from http to https."""
        return self.url.partition("://")[2]

    @property
    def endpoint(self) -> str:
        """host:port that is connected to, after relabelling."""
        return self.place.partition("/")[0].partition("?")[0]

    @property
    def identity(self) -> tuple[tuple[str, str], ...]:
        """Its labels, without what http and https make of them."""
        return identity(self.labels)

    @property
    def name(self) -> str:
        """As a person names it."""
        return f"{self.labels.get('instance') or self.endpoint} (job {self.labels.get('job') or self.pool})"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertmanagerHealth:
    """One Alertmanager that a Prometheus sends to: `status` is what it answers to a plain request, 0 for nothing."""

    url: str
    status: int = 0

    @property
    def place(self) -> str:
        """Its host:port: the same before and after a change of scheme or of the path below which it is served."""
        return self.url.partition("://")[2].partition("/")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationHealth:
    """What a Prometheus has sent to one Alertmanager since it started: alerts, and requests that failed.

    Newer versions count the alerts of requests that failed; `sent` counts them too.
    """

    url: str
    sent: float
    errors: float

    @property
    def place(self) -> str:
        """Its host:port."""
        return self.url.partition("://")[2].partition("/")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleHealth:
    """One rule that a Prometheus has loaded."""

    group: str
    """File and name of its group."""
    name: str
    health: Literal["ok", "err", "unknown"]
    error: str = ""
    evaluated: float = 0.0
    interval: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteWriteHealth:
    """One remote_write queue: samples delivered and samples dropped since Prometheus started."""

    name: str
    url: str
    delivered: float
    """May be a batch ahead: an attempt counts when it begins."""
    failed: float
    pending: float = 0.0
    """Samples in its shards: waiting, or in an attempt that has not ended."""
    newest: float = 0.0
    """Unix time of the newest sample that an endpoint took or rejected for good; 0 while nothing got through."""

    @property
    def works(self) -> bool:
        """Whether more samples were delivered than dropped."""
        return self.newest > 0 and self.delivered > 0 and self.failed <= self.delivered

    def is_ahead_of(self, other: RemoteWriteHealth) -> bool:
        """Whether more was delivered than at another moment, and more of it than was dropped since.

        What is pending may not have arrived: an endpoint that rejects everything has an attempt going most of the time.
        """
        arrived = self.delivered - self.pending - other.delivered
        return arrived > max(0.0, self.failed - other.failed) and self.newest > other.newest

    @property
    def place(self) -> str:
        """Its URL without the scheme."""
        return self.url.partition("://")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbedHealth:
    """One series of `probe_success`: whether a blackbox exporter gets through to what it probes."""

    labels: Mapping[str, str]
    success: bool
    at: float
    """Unix time of the sample's evaluation, by the Prometheus host's clock."""

    @property
    def identity(self) -> tuple[tuple[str, str], ...]:
        """Its labels, without what http and https make of them."""
        return identity(self.labels)

    @property
    def endpoint(self) -> str:
        """host:port of what is probed, where its label `instance` says it."""
        bare = _SCHEME.sub("", self.labels.get("instance", "")).removeprefix("://")
        return bare.partition("/")[0]

    @property
    def name(self) -> str:
        """As a person names it."""
        return f"{self.labels.get('instance', 'what it probes')} (job {self.labels.get('job', '')})"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrometheusHealth:
    """What one Prometheus reports of itself and of what it talks to."""

    host: str
    component: str = "prometheus"
    unanswered: str = ""
    """Why it could not be asked, or ''. All else is then empty and says nothing."""
    targets: tuple[TargetHealth, ...] = ()
    alertmanagers: tuple[AlertmanagerHealth, ...] = ()
    rules: tuple[RuleHealth, ...] = ()
    reloaded: bool | None = None
    """Whether its last reload succeeded; None where it does not say."""
    loaded: float = 0.0
    """Unix time at which it read its configuration, by its host's clock; 0 where it does not say."""
    remote_writes: tuple[RemoteWriteHealth, ...] = ()
    probed: tuple[ProbedHealth, ...] = ()
    """What blackbox exporters say of what they probe, as this Prometheus has stored it."""

    @property
    def key(self) -> str:
        """`host/component`."""
        return f"{self.host}/{self.component}"

    @property
    def outdated(self) -> tuple[TargetHealth, ...]:
        """Targets that were up by the configuration of before: Prometheus keeps what it knew of them until it scrapes."""
        return tuple(each for each in self.targets if each.health == "up" and each.scraped < self.loaded)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyRoute:
    """One directive of a reverse proxy that passes requests to host:port, and the site that it belongs to."""

    host: str
    program: ProxyProgram
    file: str
    line: int
    upstream: str
    """host:port as the configuration has it."""
    scheme: Literal["http", "https", "tcp"]
    """How it asks the upstream."""
    text: str = ""
    """The line that names the upstream."""
    site: str = ""
    """A name by which the site is asked; '' for any."""
    port: int = 80
    tls: bool = False
    """Whether the site itself is asked by https."""
    path: str = "/"
    authorization: bool = False
    """Whether it sends an Authorization header of its own."""

    @property
    def where(self) -> str:
        """`host:file:line`."""
        return f"{self.host}:{self.file}:{self.line}"

    @property
    def url(self) -> str:
        """What a client of the site asks for."""
        usual = 443 if self.tls else 80
        port = "" if self.port == usual else f":{self.port}"
        return f"{'https' if self.tls else 'http'}://{self.site or 'localhost'}{port}{self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxySite:
    """One name that a reverse proxy answers to, on one port; `name` is '' for every other name."""

    program: ProxyProgram
    name: str
    port: int
    file: str
    line: int
    certificates: str = ""
    """file:line at which clients are asked for certificates, in the site or for all of them; '' for none of a person's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxies:
    """The reverse proxies of one host: their routes, and what of their configurations could not be read."""

    routes: tuple[ProxyRoute, ...] = ()
    sites: tuple[ProxySite, ...] = ()
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyAnswer:
    """What a site behind a reverse proxy answers: an HTTP status, 0 for nothing, None where it cannot be asked."""

    route: ProxyRoute
    status: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What worked at one moment."""

    taken: float = 0.0
    prometheis: tuple[PrometheusHealth, ...] = ()
    proxies: tuple[ProxyAnswer, ...] = ()

    def of(self, key: str) -> PrometheusHealth | None:
        """What the Prometheus `host/component` reported."""
        return next((each for each in self.prometheis if each.key == key), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenClient:
    """Something that asks a server of the plan and will be rejected after it: it needs the person's consent.

    key: `HOST/CLIENT/COMPONENT`, what a stack file's `accept_broken` names.
    """

    key: str
    host: str
    """Where the client runs."""
    client: str
    """e.g. nginx, or 'job nodes' of a Prometheus."""
    server: str
    """`host/component` that it asks."""
    component: str
    """The component of that."""
    where: tuple[str, ...]
    """`host:file:line` of each place that asks."""
    lines: tuple[str, ...] = ()
    """What to change there, line by line."""
    job: str = ""
    """Of a Prometheus' job, its name."""
    routes: tuple[ProxyRoute, ...] = ()
    targets: tuple[TargetHealth, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A Prometheus of the stack and how it is asked itself: `before` the plan, and `after`; the first that works."""

    host: str
    component: str = "prometheus"
    before: tuple[Probe, ...] = field(default=(), repr=False)
    after: tuple[Probe, ...] = field(default=(), repr=False)
    remote_writes: tuple[str, ...] = ()
    """What it must deliver samples to after the plan: URLs without the scheme."""
    alertmanagers: tuple[str, ...] = ()
    """host:port of what must accept its alerts after the plan."""

    @property
    def key(self) -> str:
        """`host/component`."""
        return f"{self.host}/{self.component}"


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthReport:
    """How what worked before a run stands after it, a sentence each."""

    up_before: int = 0
    """Targets that were up before."""
    broken: tuple[str, ...] = ()
    down_before: tuple[str, ...] = ()
    """What was down before and still is, with its reason."""
    accepted: tuple[str, ...] = ()
    not_checked: tuple[str, ...] = ()
    """What could not be looked at, with the reason."""
