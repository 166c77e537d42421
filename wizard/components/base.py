"""Defines `Component`: the facts about a component that the rest of Firescreen needs, as data.

A fact that depends on the version is a table of (first version, value), oldest first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import urlsplit

ByVersion: TypeAlias = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One program that Firescreen secures, across its packagings."""

    name: str
    title: str
    default_port: int
    programs: tuple[str, ...]
    """Names of the executable, upstream's first."""
    units: tuple[str, ...]
    """Names of the systemd unit in the common packages, without `.service`."""
    variables: tuple[str, ...]
    """Names of the environment variables in which packages keep its flags."""
    web_flags: ByVersion
    """The flag (without dashes) that names the web configuration."""
    toolkits: ByVersion
    """The version of exporter-toolkit that it is built with, which decides what a web configuration may contain."""
    first_safe_version: str
    """The first version that fixes CVE-2022-46146, a bypass of basic authentication."""
    home: str
    """The usual folder for its web configuration, certificate and key."""
    config_flag: str = ""
    """The flag that names its own configuration file, or '' if it has none."""
    image: str = ""
    """Its official container image."""
    reload_by: str = ""
    """The signal that reloads its configuration, or ''. Changes of web.yml need no signal."""
    reload_done: str = ""
    """The log message after a successful reload of its configuration."""
    reload_refused: str = ""
    """The log message if it refuses the new configuration and keeps the old one."""
    url_flag: str = ""
    """The flag (without dashes) for the address that it uses in the links that it sends, or ''."""
    cluster_flags: ByVersion = ()
    """The flag (without dashes) that names the TLS configuration for the gossip between its peers."""
    open_flags: tuple[tuple[str, str], ...] = ()
    """Flags (without dashes) that enable dangerous endpoints, each with a sentence on what clients can do then."""
    gossip: tuple[str, str, int] = ("", "", 0)
    """The flags (without dashes) for the gossip's listen address and for its peers, and the usual port."""
    api_path: str = ""
    """A path of its API, below its prefix, that answers 200; '' if the component cannot be served below a path."""
    prefix_flags: tuple[str, ...] = ()
    """Flags (without dashes) whose value, a path or a URL, is the prefix of all its paths; the first one set counts."""
    path_flag: str = ""
    """The flag (without dashes) that sets the path of its metrics, or ''."""
    packages: tuple[str, ...] = ()
    """Names of its Debian package, from which the practice stack takes it; () if it cannot run alone."""
    practice_arguments: tuple[str, ...] = ()
    """Its arguments in the practice stack besides the address; `{data}` and `{home}` stand for its own folders."""
    practice_files: tuple[tuple[str, str], ...] = ()
    """Files in `{home}` that it needs to start in the practice stack: (name, text)."""
    proxy: bool = False
    """Whether it passes requests on to exporters: it is set up as a reverse proxy and is no component of a stack."""
    scraped: bool = True
    """Whether Prometheus scrapes it."""
    asks_others: bool = False
    """Whether it connects to other components and so needs their CA, password and perhaps a client certificate."""
    restart_seconds: float = 1.0
    """Roughly how long a restart interrupts it: until it answers again, and for Prometheus until it scrapes again."""
    other_clients: tuple[str, ...] = ()
    """Clients other than Prometheus that Firescreen does not configure: they need the new credentials too."""

    @property
    def is_exporter(self) -> bool:
        """Whether it only serves metrics to Prometheus and has no other clients."""
        return self.scraped and not self.other_clients

    def web_flag(self, version: str = "") -> str:
        """The flag for its web configuration, without dashes; '' if that version has none.

        An unknown version ('') counts as the newest.
        """
        return _at(self.web_flags, version)

    def cluster_flag(self, version: str = "") -> str:
        """The flag for the gossip's TLS configuration, without dashes; '' if that version has none."""
        return _at(self.cluster_flags, version)

    def toolkit(self, version: str = "") -> str:
        """The version of exporter-toolkit that it is built with, e.g. '0.8.2'; '' if it has none."""
        return _at(self.toolkits, version)

    def known_toolkit(self, version: str = "") -> str:
        """As `toolkit`, but '' for versions newer than the newest listed one: their toolkit may be newer too."""
        newest = numbers(self.toolkits[-1][0])[:2] if self.toolkits else (0, 0)
        return self.toolkit(version) if version and numbers(version)[:2] <= newest else ""

    def prefix(self, flag: Callable[[str], str]) -> str:
        """The path prefix of everything that it serves, e.g. '/prometheus'; '' for none.

        Args:
            flag: returns the value of a flag of the service, '' if the flag is not set.
        """
        value = next(filter(None, map(flag, self.prefix_flags)), "")
        # As in Go, a value without a scheme is a path as a whole.
        bare = (urlsplit(value).path if "://" in value else value).strip("/")
        return f"/{bare}" if bare else ""

    def metrics_path(self, flag: Callable[[str], str]) -> str:
        """The path of its metrics, e.g. '/metrics'; `flag` as for `prefix`."""
        own = flag(self.path_flag) if self.path_flag else ""
        return f"{self.prefix(flag)}/{(own or 'metrics').lstrip('/')}"

    def open_features(self, arguments: Sequence[str]) -> tuple[tuple[str, str], ...]:
        """The `open_flags` that the arguments of a service switch on."""
        return tuple(
            (flag, means)
            for flag, means in self.open_flags
            if any(argument in (f"--{flag}", f"--{flag}=true") for argument in arguments)
        )

    def safe(self, version: str) -> bool:
        """Whether this version has reliable basic authentication (CVE-2022-46146); an unknown one counts as safe."""
        return not version or numbers(version) >= numbers(self.first_safe_version)

    def matches(self, program: str) -> bool:
        """Whether an executable with this path or name is the component."""
        base = re.split(r"[/\\]", program)[-1].lower().removesuffix(".exe")
        return base in self.programs


def numbers(version: str) -> tuple[int, int, int]:
    """Parses a version for comparisons: '2.42.0+ds' becomes (2, 42, 0). A missing part counts as 0."""
    found = [int(part) for part in re.findall(r"\d+", re.split(r"[^0-9.v]", version.strip())[0])[:3]]
    major, minor, patch = [*found, 0, 0, 0][:3]
    return major, minor, patch


def _at(table: ByVersion, version: str) -> str:
    if not version:
        return table[-1][1] if table else ""
    result = ""
    for first, value in table:
        if numbers(version) >= numbers(first):
            result = value
    return result
