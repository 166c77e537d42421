"""The requests that verify a stack, with their expected and actual results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from wizard.model.stack import HostSpec, instance_key
from wizard.redact import Secret


@dataclass(frozen=True, slots=True)
class Forward:
    """A tunnel to a server through an SSH connection, like `ssh -L`: the host opens the connection to the server.

    host: the host of the SSH connection. place: address:port as seen from that host, e.g. 127.0.0.1:9100.
    """

    host: HostSpec
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One request as a client would make it, and its expected result.

    `kind`: 'http' requests `url`. 'page' requests `url` and the first script or style sheet of the page. 'sign_in'
    requests `url` like a browser and expects a redirect ('302') to the sign-in of an OpenID provider. 'up' queries the
    Prometheus at `url` for the state of the target `instance`. 'login' checks in the metrics of the Prometheus at `url`
    whether the remote_write endpoint or Alertmanager `instance` accepts what it sends.
    `expect` is an HTTP status ('200', '401', '400'), 'untrusted' (the client must reject the server's certificate),
    'refused' (the server must reject the client's certificate, or its absence), 'closed' (no connection is possible),
    'up' or, for 'login', 'accepted'.
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
    """Path of the CA bundle on this machine; '' for the system's root CAs."""
    cert_file: str = ""
    key_file: str = ""
    server_name: str = ""
    resolve: str = ""
    """HOST:PORT:ADDR like curl's --resolve."""
    forward: Forward | None = None
    """The tunnel to host and port of `url`, if this machine cannot connect directly."""
    user: str = ""
    password: Secret | None = None
    unit: str = ""
    """The unit of a further instance of `component` on its host; '' for the default one."""
    curl_config: str = ""
    """Path of a curl config file (0600) with user and password, for the printed command."""
    insecure: bool = False
    instance: str = ""
    job: str = ""
    asker: str = ""
    """`host/component` of the server that is queried about another one: a Prometheus ('up') or a blackbox exporter."""
    instance_label: str = ""
    """The label `instance` of its series, if relabelling changes it from host:port; `job_label` likewise."""
    job_label: str = ""
    agent: bool = False
    """For 'up': whether the Prometheus is in agent mode, which answers no queries; for the printed command."""
    holds: str = ""
    """A text that the response must contain; otherwise the outcome is 'other' instead of the status.

    For 'login', a pattern of the relevant metrics. For 'sign_in', query parameters that the provider's URL must have:
    'client_id=…&redirect_uri=…'.
    """
    not_before: float = 0.0
    """Unix time; for 'up', scrapes that began earlier are ignored."""
    timeout: float = 5.0

    @property
    def server(self) -> str:
        """The probed server: `host/component`, or `host/component/unit` for a further instance."""
        return instance_key(self.host, self.component, self.unit)

    @property
    def wanted(self) -> bool:
        """Whether the request is expected to succeed."""
        return self.expect in ("200", "up", "accepted")


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateSummary:
    """The main fields of a certificate. The texts are from outside: show them with `redact.plain`."""

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
    """The result of a TLS handshake: version, cipher, and the certificates that the server presented."""

    version: str
    cipher: str
    chain: tuple[CertificateSummary, ...]
    steps: tuple[str, ...] = ()
    """The steps of the handshake, one line each, for a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """The result of a probe. Failures are results too, never exceptions."""

    probe: Probe
    ok: bool
    """Whether it ended as expected."""
    outcome: str
    """An HTTP status, 'untrusted', 'refused', 'up', 'down', 'plain' (http instead of https), 'other' (a response without
    the required text, or a page whose script cannot be loaded), 'closed' (no connection, as expected), 'accepted'
    (deliveries arrive), 'unknown' (nothing was sent) or 'error'."""
    status: int = 0
    reason: str = ""
    """The text that Prometheus would show, e.g. 'x509: certificate signed by unknown authority'."""
    detail: str = ""
    tls: TlsReport | None = None
    timings: Mapping[str, float] = field(default_factory=dict)
    """Seconds: connect, tls, total."""
    scrape_url: str = ""
    """For 'up': the URL by which Prometheus scrapes the target now."""
    pending: bool = False
    """For 'up': whether Prometheus has not scraped the target since `Probe.not_before`."""
    excused: str = ""
    """Why a failed probe does not count as a failure of the run, or ''."""
    body: str = ""
    """At most 2,000 characters of the response, with control characters made visible."""
    curl: str = ""

    @property
    def failed(self) -> bool:
        """Whether it did not end as expected and is not excused."""
        return not self.ok and not self.excused
