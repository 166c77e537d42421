"""The facts about a reverse proxy that the rest of Firescreen asks for, as data, and what its template is given."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from wizard.model import ProxyProgram, SignIn


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendTLS:
    """How the proxy asks a component over TLS; paths are absolute, on the proxy's host."""

    name: str
    """The DNS name that the component's certificate must have."""
    trust: str
    """What that certificate is verified against."""
    certificate: str
    """The client certificate that the proxy shows."""
    key: str
    bundle: str = ""
    """The file with client certificate and key, for a proxy that wants both in one; or ''."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """One component behind a front door, as the template of a proxy needs it."""

    prefix: str
    """'/prometheus', or '' for the whole name."""
    backend: str
    """host:port at which the proxy asks it."""
    tls: BackendTLS | None = None
    """None for plain http, on the loopback address."""
    blocked: tuple[str, ...] = ()
    """Paths, prefix included, that are answered with 403."""
    own_login: bool = False
    """Whether the backend asks for the login: the proxy asks for none, and passes on what clients send."""
    websocket: bool = False
    """Whether clients open WebSockets there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """A front door as the template of a proxy needs it; paths are absolute, on the host."""

    name: str
    port: int
    ipv6: bool
    """Whether the host has IPv6 addresses to listen on."""
    version: str
    """Of the proxy."""
    certificate: str
    key: str
    openings: tuple[Opening, ...]
    bundle: str = ""
    """The file with certificate and key, for a proxy that wants both in one; or ''."""
    passwords: str = ""
    """The file with users and hashes, or ''."""
    hashes: tuple[tuple[str, str], ...] = ()
    """The same, for a proxy that has them in its configuration."""
    client_ca: str = ""
    """What client certificates are checked against, or ''."""
    max_body_size: int = 16
    hsts_days: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    timeout: int = 130
    sign_in: SignIn | None = None
    """How people sign in, or None for people with a password."""
    callback: str = ""
    """URL to which the OpenID provider sends them back."""
    signed_out: str = ""
    """URL at which they are after signing out."""
    secrets: str = ""
    """The file with the client's secret and the key of its sessions."""
    provider_ca: str = ""
    """What the provider's certificate is checked against, or '' for the host's own list."""
    rate_limit: int = 0
    """Requests a second from one address, over 10 s; 0 for any number."""
    cors: tuple[str, ...] = ()
    """The origins whose pages may read responses."""
    inside: bool = False
    """Whether it stands in a site that a person wrote."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """A front door as an OpenID provider knows it: what the file with the secrets is made of."""

    settings: SignIn
    callback: str
    secret: str
    """Of the client, as the provider shows it."""
    key: str
    """A random text that encrypts sessions: 32 bytes in base64 for URLs, without padding."""
    provider_ca: str = ""
    """As in `Door`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInClient:
    """What makes a reverse proxy a client of an OpenID provider."""

    title: str
    todo: str
    """What to do to have it."""
    secrets: Callable[[Registration], str]
    """The text of the file with the secrets."""
    key: Callable[[str], str]
    """The key in such a file, or ''."""
    needed: tuple[tuple[str, str], ...] = ()
    """As `Proxy.needed`, where people sign in. The proxy is restarted once they are there: see each."""
    unit: str = ""
    """The systemd unit of a program beside the proxy, without `.service`; its command line names the file."""
    files: tuple[tuple[str, str], ...] = ()
    """Files of ours that the proxy runs for it, each path with its text."""
    claims: bool = True
    """Whether it can check claims other than e-mail address and groups."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedFile:
    """How front doors stand in the main configuration itself, for a proxy that includes no others; texts in, text out."""

    merged: Callable[[str, Sequence[Door]], str]
    """The main configuration with exactly these front doors."""
    own_lines: Callable[[str], range]
    """The numbers of the lines that are ours, from 1 on."""
    others_ports: Callable[[str], Mapping[int, int]]
    """The ports that its other sections listen on, each with the number of its line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """One reverse proxy, across its packagings."""

    name: ProxyProgram
    title: str
    unit: str
    """The systemd unit, without `.service`."""
    programs: tuple[str, ...]
    """Paths of the executable, the usual one first."""
    version: tuple[str, ...]
    """The words after the program that make it print its version."""
    main: str
    """Its usual main configuration."""
    home: str
    """The folder for certificates, keys and passwords of front doors."""
    group: str
    """Who reads certificate and key, besides root."""
    password_group: Callable[[str], str]
    """Who reads the passwords, besides root, from the text of the main configuration."""
    site: str
    """The path of a front door's configuration; `{name}` stands for its name."""
    included: str
    """The pattern by which the main configuration must include `site`."""
    render: Callable[[Door], str]
    """The configuration of a front door."""
    shadow: Callable[[str, str], str]
    """The main configuration (text) with another file (path) taken in, for checking that before it is in place."""
    shadow_script: str
    """The same for a shell, from standard input to standard output; `$1` is the path of the other file."""
    check: tuple[str, ...]
    """The command that checks a configuration; `{program}` and `{main}` stand for the paths of both."""
    render_inside: Callable[[Door], str] | None = None
    """The locations of a front door in a site that a person wrote: what that site includes. None where it cannot."""
    render_outside: Callable[[Door], str] | None = None
    """What such a front door needs outside of that site, in a file of ours at `site`; None for nothing."""
    certificates_inside: bool = False
    """Whether it can ask clients of such a site for certificates, and serve those with another at its other paths as before."""
    import_line: str = ""
    """What is added to the main configuration so that it includes `site`; '' where packagings do it."""
    shared: SharedFile | None = None
    """Where `site` is the main configuration: how front doors stand in it."""
    bundle_before: tuple[int, ...] = ()
    """The version before which it wants certificate and key in one file; () for never."""
    hashes_in_site: bool = False
    """Whether the users stand in the configuration itself, which others must not read then."""
    needed: tuple[tuple[str, str], ...] = ()
    """Files without which it cannot be a front door, each with the file that it is a copy of."""
    sign_in: SignInClient | None = None
    """By what people sign in at an OpenID provider; None where they cannot."""
    only_port: int = 0
    """The one port that its packaging has it listen on; 0 for any."""
    lacks: tuple[tuple[str, str], ...] = ()
    """The settings of a front door that it cannot do, each with why, as a clause."""
    bundles_client_pair: bool = False
    """Whether it wants its client certificate and key in one file."""
    names_backends: bool = False
    """Whether it verifies a component by the name in its address alone, which then is no IP address."""
    forks: bool = True
    """Whether a reload starts new processes below the main one."""
    exporters: bool = False
    """Whether it serves metrics of exporters alone, at one port and without names: see `planner.front_doors.exporter_door`."""
    no_certificate: str = "400"
    """How a client without an accepted certificate is rejected, see `Probe.expect`."""

    def cannot(self, setting: str) -> str:
        """Why it cannot do a setting of a front door, as a clause; '' where it can."""
        return dict(self.lacks).get(setting, "")

    def wants_bundle(self, version: str) -> bool:
        """Whether that version wants certificate and key in one file; one that is not known does."""
        found = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
        return bool(self.bundle_before) and found < self.bundle_before

    def version_in(self, said: str) -> str:
        """The version in what the program prints of itself, e.g. '1.22.1'; '' if there is none."""
        found = re.search(r"\d+\.\d+(?:\.\d+)?", said)
        return found[0] if found else ""
