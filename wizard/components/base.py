"""The facts about a component that the rest of Firescreen asks for, as data.

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
    """Names of the systemd unit, without `.service`, in the packagings that are about."""
    variables: tuple[str, ...]
    """Names of the environment variable that packagings put its flags in."""
    web_flags: ByVersion
    """The flag (without dashes) that names the web configuration."""
    toolkits: ByVersion
    """The exporter-toolkit that it is built with: it decides what a web configuration may say."""
    first_safe_version: str
    """The first version without CVE-2022-46146, by which basic authentication could be bypassed."""
    home: str
    """The usual folder for its web configuration, certificate and key."""
    config_flag: str = ""
    """The flag that names its own configuration file, or '' if it has none."""
    image: str = ""
    """Its official container image."""
    reload_by: str = ""
    """The signal that reloads its configuration, or ''. web.yml needs none."""
    reload_done: str = ""
    """What it logs when it has reloaded its configuration."""
    reload_refused: str = ""
    """What it logs when it refuses the new configuration and keeps the old."""
    url_flag: str = ""
    """The flag (without dashes) for the address that it writes into the links that it sends, or ''."""
    cluster_flags: ByVersion = ()
    """The flag (without dashes) that names the TLS configuration of the gossip between its peers."""
    open_flags: tuple[tuple[str, str], ...] = ()
    """Flags (without dashes) that open endpoints with power, each with one sentence on what they let anyone do."""
    gossip: tuple[str, str, int] = ("", "", 0)
    """The flags (without dashes) for the address of that gossip and for its peers, and its usual port."""
    api_path: str = ""
    """A page of its API, below its prefix, that answers 200; '' for what cannot be served below a path."""
    prefix_flags: tuple[str, ...] = ()
    """Flags (without dashes), each a path or a URL, that put all it serves below a path; the first given counts."""
    path_flag: str = ""
    """The flag (without dashes) that moves its metrics, or ''."""
    packages: tuple[str, ...] = ()
    """Names that Debian's package has had: the practice stack takes it from there; () where it cannot run alone."""
    practice_arguments: tuple[str, ...] = ()
    """Its arguments in the practice stack besides the address; `{data}` and `{home}` stand for folders of its own."""
    practice_files: tuple[tuple[str, str], ...] = ()
    """Files that it needs to start there, in `{home}`: (name, text)."""
    proxy: bool = False
    """Whether it passes requests on to exporters: it is set up as a front door, and is no component of a stack."""
    scraped: bool = True
    """Whether Prometheus scrapes it."""
    asks_others: bool = False
    """Whether it asks other components and so needs their CA, password and perhaps a client certificate."""
    restart_seconds: float = 1.0
    """About how long a restart interrupts it: until it answers again, and scrapes again if it is a Prometheus."""
    other_clients: tuple[str, ...] = ()
    """Who queries it besides Prometheus and what Firescreen configures: they need the new credentials too."""

    @property
    def is_exporter(self) -> bool:
        """Whether it serves metrics to Prometheus, and nothing that others ask."""
        return self.scraped and not self.other_clients

    def web_flag(self, version: str = "") -> str:
        """The flag for its web configuration, without dashes; '' if that version has none.

        An unknown version ('') is taken for the newest.
        """
        return _at(self.web_flags, version)

    def cluster_flag(self, version: str = "") -> str:
        """The flag for the gossip's TLS configuration, without dashes; '' if that version has none."""
        return _at(self.cluster_flags, version)

    def toolkit(self, version: str = "") -> str:
        """The exporter-toolkit's version in it, e.g. '0.8.2'; '' where it has none."""
        return _at(self.toolkits, version)

    def known_toolkit(self, version: str = "") -> str:
        """As `toolkit`; '' too for a version that is newer than the newest listed one, which may have a newer one."""
        newest = numbers(self.toolkits[-1][0])[:2] if self.toolkits else (0, 0)
        return self.toolkit(version) if version and numbers(version)[:2] <= newest else ""

    def prefix(self, flag: Callable[[str], str]) -> str:
        """The path below which all of it is served, e.g. '/prometheus'; '' for none.

        Args:
            flag: gives the value of one of the service's flags; '' for one that it does not have.
        """
        said = next((value for name in self.prefix_flags if (value := flag(name))), "")
        # As Go reads it: what has no scheme is all path.
        bare = (urlsplit(said).path if "://" in said else said).strip("/")
        return f"/{bare}" if bare else ""

    def metrics_path(self, flag: Callable[[str], str]) -> str:
        """Where its metrics are, e.g. '/metrics'; `flag` as for `prefix`."""
        own = flag(self.path_flag) if self.path_flag else ""
        return f"{self.prefix(flag)}/{(own or 'metrics').lstrip('/')}"

    def open_features(self, arguments: Sequence[str]) -> tuple[tuple[str, str], ...]:
        """Those of `open_flags` that a service's arguments switch on."""
        return tuple(
            (flag, means)
            for flag, means in self.open_flags
            if any(argument in (f"--{flag}", f"--{flag}=true") for argument in arguments)
        )

    def safe(self, version: str) -> bool:
        """Whether basic authentication can be relied on (CVE-2022-46146); an unknown version counts as safe."""
        return not version or numbers(version) >= numbers(self.first_safe_version)

    def matches(self, program: str) -> bool:
        """Whether a path or name of an executable is this component."""
        base = re.split(r"[/\\]", program)[-1].lower().removesuffix(".exe")
        return base in self.programs


def numbers(version: str) -> tuple[int, int, int]:
    """'2.42.0+ds' as (2, 42, 0), for comparing; a part that is missing counts as 0."""
    found = [int(part) for part in re.findall(r"\d+", re.split(r"[^0-9.v]", version.strip())[0])[:3]]
    major, minor, patch = [*found, 0, 0, 0][:3]
    return major, minor, patch


def _at(table: ByVersion, version: str) -> str:
    if not version:
        return table[-1][1] if table else ""
    held = ""
    for first, value in table:
        if numbers(version) >= numbers(first):
            held = value
    return held
