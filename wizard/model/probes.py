"""The requests that verify a stack, how each must end, and how it did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from wizard.model.stack import HostSpec, instance_key
from wizard.redact import Secret


@dataclass(frozen=True, slots=True)
class Forward:
    """A way to a server by way of an SSH connection, as `ssh -L` makes one: its host connects to the server.

    host: whose connection. place: address:port as that host reaches the server, e.g. 127.0.0.1:9100.
    """

    host: HostSpec
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One request as a client would make it, and how it must end.

    `kind`: 'http' asks `url`; 'page' asks `url` and the first script or style sheet that the page names;
    'sign_in' asks `url` as a browser does and must be led ('302') to the sign-in of an OpenID provider; 'up' asks the
    Prometheus at `url` whether it scrapes `instance`; 'login' looks at the metrics of one at `url`, for whether the
    remote_write endpoint or Alertmanager `instance` accepts what it sends.
    `expect` is an HTTP status ('200', '401', '400'), 'untrusted' (the client must refuse the server's
    certificate), 'refused' (the server must refuse the client's certificate, or its absence), 'closed' (no connection may
    come about), 'up' or, of 'login', 'accepted'.
    """

    id: str
    host: str
    component: str
    name: str
    """e.g. 'a wrong password is rejected'"""
    client: str
    """The row of the verification matrix, e.g. 'wrong password'."""
    expect: str
    url: str
    kind: Literal["http", "page", "sign_in", "up", "login"] = "http"
    ca_file: str = ""
    """Path of the CA bundle on this machine; '' with https: the system's roots."""
    cert_file: str = ""
    key_file: str = ""
    server_name: str = ""
    resolve: str = ""
    """HOST:PORT:ADDR as curl's --resolve."""
    forward: Forward | None = None
    """How the host and port of `url` are reached where this machine cannot do it itself."""
    user: str = ""
    password: Secret | None = None
    unit: str = ""
    """Of a further instance of `component` on its host, its unit; '' for the usual one."""
    curl_config: str = ""
    """Path of the curl config file (0600) that holds user and password for the printed command."""
    insecure: bool = False
    instance: str = ""
    job: str = ""
    asker: str = ""
    """`host/component` of what is asked about another: of 'up' a Prometheus, of a probing a blackbox exporter."""
    instance_label: str = ""
    """The label `instance` of its series, where relabelling gives it another than host:port; `job_label` likewise."""
    job_label: str = ""
    agent: bool = False
    """For 'up': whether the Prometheus is one in agent mode, which answers no queries; for the printed command."""
    holds: str = ""
    """A text that the answer must hold; without it the outcome is 'other' and not the status.

    For 'login', a pattern of the metrics that tell. For 'sign_in', parameters that the address of the provider must
    have, as in a query: 'client_id=…&redirect_uri=…'.
    """
    not_before: float = 0.0
    """Unix time; for 'up', a scrape that began earlier counts as not made yet."""
    timeout: float = 5.0

    @property
    def server(self) -> str:
        """What is asked: `host/component`, of a further instance `host/component/unit`."""
        return instance_key(self.host, self.component, self.unit)

    @property
    def wanted(self) -> bool:
        """Whether this request must get through."""
        return self.expect in ("200", "up", "accepted")


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateSummary:
    """A certificate in six lines; the texts are from outside: draw them with `redact.plain`."""

    subject: str
    issuer: str
    names: tuple[str, ...]
    not_before: float
    not_after: float
    key: str
    """e.g. 'EC P-256', 'RSA 2048', 'Ed25519'"""
    usage: tuple[str, ...]
    """server, client, CA"""
    fingerprint: str
    """SHA-256, hexadecimal with colons"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsReport:
    """What the handshake agreed on and what the server showed."""

    version: str
    cipher: str
    chain: tuple[CertificateSummary, ...]
    steps: tuple[str, ...] = ()
    """The handshake, a line each, for a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """How a probe ended. Never an exception: a refusal is an outcome."""

    probe: Probe
    ok: bool
    """Whether it ended as expected."""
    outcome: str
    """An HTTP status, 'untrusted', 'refused', 'up', 'down', 'plain' (http where https was asked), 'other' (an answer
    without the text that it must hold, or a page whose script cannot be loaded), 'closed' (no connection, where none may
    be), 'accepted' (what is sent arrives), 'unknown' (nothing was sent) or 'error'."""
    status: int = 0
    reason: str = ""
    """The text that Prometheus would show, e.g. 'x509: certificate signed by unknown authority'."""
    detail: str = ""
    tls: TlsReport | None = None
    timings: Mapping[str, float] = field(default_factory=dict)
    """Seconds: connect, tls, total."""
    scrape_url: str = ""
    """Of 'up': the URL by which Prometheus scrapes the target now."""
    pending: bool = False
    """Of 'up': whether Prometheus has not scraped the target since `Probe.not_before`."""
    excused: str = ""
    """Why a probe that did not end as expected does not count against the run, or ''."""
    body: str = ""
    """At most 2,000 characters of the answer, made harmless."""
    curl: str = ""

    @property
    def failed(self) -> bool:
        """Whether it did not end as expected, and that counts."""
        return not self.ok and not self.excused
