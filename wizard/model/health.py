"""The health of a stack at one moment: what each Prometheus reports, and the responses behind each reverse proxy.

Only frozen dataclasses of the standard library. Plans report the health, and verification compares with it.
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
    """The labels, sorted and without http or https in their values, so that a change of scheme makes no difference."""
    return tuple(sorted((name, _SCHEME.sub("", value)) for name, value in labels.items()))


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetHealth:
    """One active target as its Prometheus reports it; every text is redacted and on one line."""

    pool: str
    """The name of its job in the configuration; if Prometheus does not report it, the label `job`."""
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
    """Effective values in seconds."""
    discovered: bool = False
    """Whether it comes from a service discovery other than files: it may disappear for reasons of its own."""

    @property
    def place(self) -> str:
        """Its URL without the scheme, which stays the same if http changes to https."""
        return self.url.partition("://")[2]

    @property
    def endpoint(self) -> str:
        """host:port to which Prometheus connects, after relabelling."""
        return self.place.partition("/")[0].partition("?")[0]

    @property
    def identity(self) -> tuple[tuple[str, str], ...]:
        """Its labels without the scheme, see `identity`."""
        return identity(self.labels)

    @property
    def name(self) -> str:
        """Its name for a person."""
        return f"{self.labels.get('instance') or self.endpoint} (job {self.labels.get('job') or self.pool})"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertmanagerHealth:
    """One Alertmanager to which a Prometheus sends; `status` is its HTTP status without credentials, 0 for no answer."""

    url: str
    status: int = 0

    @property
    def place(self) -> str:
        """Its host:port, which stays the same if scheme or path prefix change."""
        return self.url.partition("://")[2].partition("/")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationHealth:
    """Counters of a Prometheus for one Alertmanager since it started: alerts sent, and errors.

    `sent` includes alerts whose request failed. `errors` counts failed requests, or in newer versions their alerts.
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
    """File and name of its rule group."""
    name: str
    health: Literal["ok", "err", "unknown"]
    error: str = ""
    evaluated: float = 0.0
    interval: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteWriteHealth:
    """Counters of one remote_write queue: samples delivered and dropped since Prometheus started."""

    name: str
    url: str
    delivered: float
    """May be one batch too high, because Prometheus counts samples when it begins to send them."""
    failed: float
    pending: float = 0.0
    """Samples in its shards: waiting, or being sent."""
    newest: float = 0.0
    """Unix time of the newest sample that the endpoint accepted or finally rejected; 0 if there is none yet."""

    @property
    def works(self) -> bool:
        """Whether more samples were delivered than dropped."""
        return self.newest > 0 and self.delivered > 0 and self.failed <= self.delivered

    def is_ahead_of(self, other: RemoteWriteHealth) -> bool:
        """Whether samples were delivered since an earlier moment, and more than were dropped.

        Pending samples are subtracted: they may not have arrived, since an endpoint that rejects everything has an
        attempt in progress most of the time.
        """
        arrived = self.delivered - self.pending - other.delivered
        return arrived > max(0.0, self.failed - other.failed) and self.newest > other.newest

    @property
    def place(self) -> str:
        """Its URL without the scheme."""
        return self.url.partition("://")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbedHealth:
    """One series of `probe_success`: whether a blackbox exporter's probe of a target succeeds."""

    labels: Mapping[str, str]
    success: bool
    at: float
    """Unix time of the sample's evaluation, by the Prometheus host's clock."""

    @property
    def identity(self) -> tuple[tuple[str, str], ...]:
        """Its labels without the scheme, see `identity`."""
        return identity(self.labels)

    @property
    def endpoint(self) -> str:
        """host:port of the probed target, from its label `instance`."""
        bare = _SCHEME.sub("", self.labels.get("instance", "")).removeprefix("://")
        return bare.partition("/")[0]

    @property
    def name(self) -> str:
        """Its name for a person."""
        return f"{self.labels.get('instance', 'what it probes')} (job {self.labels.get('job', '')})"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrometheusHealth:
    """The health that one Prometheus reports about itself, its targets and the servers to which it sends."""

    host: str
    component: str = "prometheus"
    unanswered: str = ""
    """Why it could not be queried; '' if it could. If set, the other fields are empty."""
    targets: tuple[TargetHealth, ...] = ()
    alertmanagers: tuple[AlertmanagerHealth, ...] = ()
    rules: tuple[RuleHealth, ...] = ()
    reloaded: bool | None = None
    """Whether its last reload succeeded; None if unknown."""
    loaded: float = 0.0
    """Unix time at which it loaded its configuration, by its host's clock; 0 if unknown."""
    remote_writes: tuple[RemoteWriteHealth, ...] = ()
    probed: tuple[ProbedHealth, ...] = ()
    """The results of blackbox exporters that this Prometheus has stored."""

    @property
    def key(self) -> str:
        """`host/component`."""
        return f"{self.host}/{self.component}"

    @property
    def outdated(self) -> tuple[TargetHealth, ...]:
        """Targets whose state 'up' is older than the loaded configuration: Prometheus keeps it until the next scrape."""
        return tuple(each for each in self.targets if each.health == "up" and each.scraped < self.loaded)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyRoute:
    """One directive of a reverse proxy that passes requests to host:port, with the site that it belongs to."""

    host: str
    program: ProxyProgram
    file: str
    line: int
    upstream: str
    """host:port as written in the configuration."""
    scheme: Literal["http", "https", "tcp"]
    """How the proxy connects to the upstream."""
    text: str = ""
    """The line with the upstream."""
    site: str = ""
    """A name of the site; '' for any."""
    port: int = 80
    tls: bool = False
    """Whether the site itself is served by https."""
    path: str = "/"
    authorization: bool = False
    """Whether the proxy sends its own Authorization header to the upstream."""

    @property
    def where(self) -> str:
        """`host:file:line`."""
        return f"{self.host}:{self.file}:{self.line}"

    @property
    def url(self) -> str:
        """The URL that clients of the site request."""
        usual = 443 if self.tls else 80
        port = "" if self.port == usual else f":{self.port}"
        return f"{'https' if self.tls else 'http'}://{self.site or 'localhost'}{port}{self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxySite:
    """One name and port of a reverse proxy's site; `name` is '' for the default site."""

    program: ProxyProgram
    name: str
    port: int
    file: str
    line: int
    certificates: str = ""
    """file:line of a person's setting that requires client certificates, for this site or all sites; '' if none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxies:
    """The reverse proxies of one host: routes, sites, and messages about configurations that could not be read."""

    routes: tuple[ProxyRoute, ...] = ()
    sites: tuple[ProxySite, ...] = ()
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyAnswer:
    """The HTTP status of a proxied site; 0 for no answer, None if it cannot be requested."""

    route: ProxyRoute
    status: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """The health of a stack at one moment (`taken`, Unix time)."""

    taken: float = 0.0
    prometheis: tuple[PrometheusHealth, ...] = ()
    proxies: tuple[ProxyAnswer, ...] = ()

    def of(self, key: str) -> PrometheusHealth | None:
        """The health of the Prometheus with the key `host/component`, or None."""
        return next((each for each in self.prometheis if each.key == key), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenClient:
    """A client of a server in the plan that will be rejected after the run, which needs the person's consent.

    key: `HOST/CLIENT/COMPONENT`, as in `accept_broken` of a stack file.
    """

    key: str
    host: str
    """The host of the client."""
    client: str
    """e.g. nginx, or 'job nodes' of a Prometheus."""
    server: str
    """`host/component` of the server."""
    component: str
    """The component of the server."""
    where: tuple[str, ...]
    """`host:file:line` of each place that connects to the server."""
    lines: tuple[str, ...] = ()
    """What to change there, line by line."""
    job: str = ""
    """The job's name, if the client is a job of a Prometheus."""
    routes: tuple[ProxyRoute, ...] = ()
    targets: tuple[TargetHealth, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A Prometheus of the stack, with probes (the first that works is used) for its API `before` and `after` the run."""

    host: str
    component: str = "prometheus"
    before: tuple[Probe, ...] = field(default=(), repr=False)
    after: tuple[Probe, ...] = field(default=(), repr=False)
    remote_writes: tuple[str, ...] = ()
    """The endpoints to which it must deliver samples after the run, as URLs without the scheme."""
    alertmanagers: tuple[str, ...] = ()
    """host:port of the Alertmanagers that must accept its alerts after the run."""

    @property
    def key(self) -> str:
        """`host/component`."""
        return f"{self.host}/{self.component}"


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthReport:
    """The comparison of the health before and after a run; the texts are one sentence each."""

    up_before: int = 0
    """Number of targets that were up before."""
    broken: tuple[str, ...] = ()
    down_before: tuple[str, ...] = ()
    """Targets that were down before and still are, with the reason."""
    accepted: tuple[str, ...] = ()
    not_checked: tuple[str, ...] = ()
    """What could not be checked, with the reason."""
