"""The facts about a reverse proxy as data, and the values that its template gets."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from wizard.model import ProxyProgram, SignIn


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendTLS:
    """How the proxy connects to a component over TLS; paths are absolute, on the proxy's host."""

    name: str
    """The DNS name that the component's certificate must have."""
    trust: str
    """The CA file with which that certificate is verified."""
    certificate: str
    """The client certificate that the proxy presents."""
    key: str
    bundle: str = ""
    """The file with client certificate and key, for a proxy that requires both in one; or ''."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """One component behind a front door, as input of a proxy's template."""

    prefix: str
    """'/prometheus', or '' for the whole name."""
    backend: str
    """host:port at which the proxy connects to it."""
    tls: BackendTLS | None = None
    """None for plain http, on the loopback address."""
    blocked: tuple[str, ...] = ()
    """Paths, with the prefix, at which the proxy answers 403."""
    own_login: bool = False
    """Whether the backend requires the login: the proxy requires none, and passes on the login that clients send."""
    websocket: bool = False
    """Whether clients open WebSockets there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """A front door as input of a proxy's template; paths are absolute, on the host."""

    name: str
    port: int
    ipv6: bool
    """Whether the host has IPv6 addresses to listen on."""
    version: str
    """The proxy's version."""
    certificate: str
    key: str
    openings: tuple[Opening, ...]
    bundle: str = ""
    """The file with certificate and key, for a proxy that requires both in one; or ''."""
    passwords: str = ""
    """The file with users and hashes, or ''."""
    hashes: tuple[tuple[str, str], ...] = ()
    """The users with their hashes, for a proxy that has them in its configuration."""
    client_ca: str = ""
    """The CA file with which client certificates are verified, or ''."""
    max_body_size: int = 16
    hsts_days: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    timeout: int = 130
    sign_in: SignIn | None = None
    """How people sign in; None if they have passwords."""
    callback: str = ""
    """URL to which the OpenID provider redirects them afterwards."""
    signed_out: str = ""
    """URL of the page after signing out."""
    secrets: str = ""
    """The file with the client secret and the key of the sessions."""
    provider_ca: str = ""
    """The CA file with which the provider's certificate is verified, or '' for the host's own list."""
    rate_limit: int = 0
    """Requests a second from one address, averaged over 10 s; 0 for no limit."""
    cors: tuple[str, ...] = ()
    """The origins whose pages may read responses."""
    inside: bool = False
    """Whether it is in a site that a person wrote."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """A front door as registered at an OpenID provider: the input for the file with the secrets."""

    settings: SignIn
    callback: str
    secret: str
    """The client secret, as the provider displays it."""
    key: str
    """A random text that encrypts sessions: 32 bytes in base64 for URLs, without padding."""
    provider_ca: str = ""
    """As in `Door`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInClient:
    """The program or module that makes a reverse proxy a client of an OpenID provider."""

    title: str
    todo: str
    """What to do to install it."""
    secrets: Callable[[Registration], str]
    """The text of the file with the secrets."""
    key: Callable[[str], str]
    """The key in such a file, or ''."""
    needed: tuple[tuple[str, str], ...] = ()
    """As `Proxy.needed`, for sign-in. The proxy is restarted after they were added; the reason is in each module."""
    unit: str = ""
    """The systemd unit of a program beside the proxy, without `.service`; its command line has the path of the file."""
    files: tuple[tuple[str, str], ...] = ()
    """Files of ours that the proxy runs for it, as (path, text)."""
    claims: bool = True
    """Whether it can check claims other than e-mail address and groups."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedFile:
    """Functions from text to text for front doors in the main configuration itself, for a proxy without includes."""

    merged: Callable[[str, Sequence[Door]], str]
    """Returns the main configuration with exactly these front doors."""
    own_lines: Callable[[str], range]
    """Returns the numbers of the lines that are ours, from 1 on."""
    others_ports: Callable[[str], Mapping[int, int]]
    """Returns the ports on which its other sections listen, each with its line number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """One reverse proxy, for all its packages."""

    name: ProxyProgram
    title: str
    unit: str
    """The systemd unit, without `.service`."""
    programs: tuple[str, ...]
    """Paths of the executable, the usual one first."""
    version: tuple[str, ...]
    """The arguments that make the program print its version."""
    main: str
    """Its usual main configuration."""
    home: str
    """The folder for certificates, keys and passwords of front doors."""
    group: str
    """The group that reads certificate and key."""
    password_group: Callable[[str], str]
    """Returns the group that reads the passwords, from the text of the main configuration."""
    site: str
    """The path of a front door's configuration, with `{name}` in the place of its name."""
    included: str
    """The pattern by which the main configuration must include `site`."""
    render: Callable[[Door], str]
    """Returns the configuration of a front door."""
    shadow: Callable[[str, str], str]
    """Returns the main configuration (text) with another file (path) included, to check it before it is in place."""
    shadow_script: str
    """The same as a shell script, from standard input to standard output; `$1` is the path of the other file."""
    check: tuple[str, ...]
    """The command that checks a configuration, with `{program}` and `{main}` in the place of the paths."""
    render_inside: Callable[[Door], str] | None = None
    """Returns the locations of a front door for a site that a person wrote, which includes them. None if unsupported."""
    render_outside: Callable[[Door], str] | None = None
    """Returns the settings that such a front door needs outside of that site, in our file at `site`; None for nothing."""
    certificates_inside: bool = False
    """Whether such a site can require client certificates for our paths, and serve its other paths as before."""
    import_line: str = ""
    """The line to add to the main configuration so that it includes `site`; '' if the packages have it."""
    shared: SharedFile | None = None
    """How front doors are written if `site` is the main configuration; None otherwise."""
    bundle_before: tuple[int, ...] = ()
    """The version before which it requires certificate and key in one file; () for never."""
    hashes_in_site: bool = False
    """Whether the users are in the configuration itself, which others must not read then."""
    needed: tuple[tuple[str, str], ...] = ()
    """The files without which it cannot be a front door, each with the file to copy it from."""
    sign_in: SignInClient | None = None
    """The program or module for sign-in at an OpenID provider; None if it has none."""
    only_port: int = 0
    """The only port on which its package makes it listen; 0 for any."""
    lacks: tuple[tuple[str, str], ...] = ()
    """The settings of a front door that it does not support, each with the reason as a clause."""
    bundles_client_pair: bool = False
    """Whether it requires its client certificate and key in one file."""
    names_backends: bool = False
    """Whether it verifies a component only by the name in its address, which therefore must not be an IP address."""
    forks: bool = True
    """Whether a reload starts new processes below the main one."""
    exporters: bool = False
    """Whether it serves exporters' metrics only, at one port without names: see `planner.front_doors.exporter_door`."""
    no_certificate: str = "400"
    """How a client without an accepted certificate is rejected, see `Probe.expect`."""

    def cannot(self, setting: str) -> str:
        """Why it does not support a setting of a front door, as a clause; '' if it does."""
        return dict(self.lacks).get(setting, "")

    def wants_bundle(self, version: str) -> bool:
        """Whether that version requires certificate and key in one file; True for an unknown version."""
        found = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
        return bool(self.bundle_before) and found < self.bundle_before

    def version_in(self, output: str) -> str:
        """The version in the program's own output, e.g. '1.22.1'; '' if there is none."""
        found = re.search(r"\d+\.\d+(?:\.\d+)?", output)
        return found[0] if found else ""
