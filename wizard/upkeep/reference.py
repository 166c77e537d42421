"""The last verified state of a stack, with which drift is determined. Contains digests, never contents.

Each line of a file is stored as a keyed digest: a change can be located by its line, but the reference does not reveal
what a file contains.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from wizard import ownfiles
from wizard.certificates import issue
from wizard.config_files import unit_settings
from wizard.errors import CertificateError, ConfigError, HostError
from wizard.model import Facts, FileState, HostFacts, PathInfo, Service, Stack
from wizard.planner import paths
from wizard.upkeep.record import folder
from wizard.workspace import Workspace

FORMAT = 1
_FILE = "verified.json"


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A file: mode and owner, the keyed digest of each line, and the fingerprint if it is a certificate."""

    mode: int
    owner: str
    group: str
    lines: tuple[str, ...]
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class KnownService:
    """A service and how it ran."""

    unit: str
    active: bool
    arguments: tuple[str, ...]
    user: str
    group: str
    sockets: tuple[str, ...]
    unit_files: Mapping[str, tuple[str, ...]]
    """The digests of the lines of its unit file and drop-ins, by path."""


@dataclass(frozen=True, slots=True)
class KnownHost:
    """A host: folders by path as (mode, owner, group), services by key, and names of scrape jobs."""

    files: Mapping[str, KnownFile | None] = field(default_factory=dict)
    """The files by path; None if there was none."""
    folders: Mapping[str, tuple[int, str, str] | None] = field(default_factory=dict)
    services: Mapping[str, KnownService] = field(default_factory=dict)
    jobs: tuple[str, ...] = ()
    callers: tuple[str, ...] = ()
    """The lines of scripts, cron jobs and units that send requests by plain http, each after its path and a newline."""


@dataclass(frozen=True, slots=True)
class Reference:
    """All hosts of a stack at one moment (Unix time)."""

    at: float
    key: str
    hosts: Mapping[str, KnownHost]


def new_key() -> str:
    """Generates a key for the digests of a reference."""
    return secrets.token_hex(16)


def make_reference(stack: Stack, facts: Facts, key: str) -> Reference:
    """Converts the facts read from the hosts to a reference."""
    jobs = _jobs(stack, facts)
    hosts = {
        name: KnownHost(
            files={path: known_file(state, key) for path, state in host.files.items()},
            folders={path: known_folder(info) for path, info in host.folders.items()},
            services={service.key: known_service(service, key) for service in _running_services(host)},
            jobs=jobs.get(name, ()),
            callers=tuple(sorted({f"{caller.path}\n{caller.text}" for caller in host.callers})),
        )
        for name, host in facts.hosts.items()
    }
    return Reference(at=time.time(), key=key, hosts=hosts)


def _running_services(host: HostFacts) -> tuple[Service, ...]:
    """The services of a host; of several with the same key, the running one."""
    found: dict[str, Service] = {}
    for service in host.services:
        if service.key not in found or service.active:
            found[service.key] = service
    return tuple(found.values())


def _jobs(stack: Stack, facts: Facts) -> dict[str, tuple[str, ...]]:
    """The names of the scrape jobs on each host."""
    found: dict[str, tuple[str, ...]] = {}
    for client in paths.scrapers(stack, facts):
        try:
            names = tuple(place.name for place in client.places() if place.kind == "job")
        except ConfigError:
            continue
        host = client.host.spec.name
        found[host] = (*found.get(host, ()), *names)
    return found


def known_file(state: FileState | None, key: str) -> KnownFile | None:
    """Converts a file to the form in a reference."""
    if state is None:
        return None
    fingerprint = ""
    if b"BEGIN CERTIFICATE" in state.content and b"PRIVATE KEY" not in state.content:
        try:
            fingerprint = issue.summary(state.content).fingerprint
        except CertificateError:
            fingerprint = "unreadable"
    return KnownFile(state.mode, state.owner, state.group, digests(state.content, key), fingerprint)


def known_folder(info: PathInfo | None) -> tuple[int, str, str] | None:
    """Converts a folder to the form in a reference: (mode, owner, group)."""
    return (info.mode, info.owner, info.group) if info is not None else None


def known_service(service: Service, key: str) -> KnownService:
    """Converts a service to the form in a reference."""
    return KnownService(
        unit=service.unit,
        active=service.active,
        arguments=service.arguments,
        user=service.user,
        group=service.group,
        sockets=tuple(sorted(service.sockets)),
        unit_files={
            path: digests(text.encode("utf-8", "surrogateescape"), key)
            for path, text in unit_settings.split_files(service.unit_text)
            if path
        },
    )


def digests(content: bytes, key: str) -> tuple[str, ...]:
    """The keyed digest of each line, shortened: two different lines have the same digest with a probability of 2^-48."""
    return tuple(
        hmac.new(key.encode(), line, hashlib.sha256).hexdigest()[:12]
        for line in content.splitlines(keepends=True)
    )


def save(workspace: Workspace, stack: Stack, reference: Reference) -> None:
    """Writes a reference to the workspace.

    Raises:
        HostError: the file cannot be written.
    """
    place = folder(workspace, stack)
    try:
        for each in (workspace.root, workspace.upkeep, place):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
        content = json.dumps({"format": FORMAT, **asdict(reference)})
        ownfiles.replace(place / _FILE, content, durable=True)
    except OSError as error:
        raise HostError(
            f"the verified state cannot be written: {error.strerror}", where=str(place / _FILE)
        ) from error


def load(workspace: Workspace, stack: Stack) -> Reference | None:
    """Reads the reference of a stack; None if it is missing or unreadable."""
    try:
        data = json.loads((folder(workspace, stack) / _FILE).read_text(encoding="utf-8"))
        if data["format"] != FORMAT:
            return None
        hosts = {str(name): _host(host) for name, host in data["hosts"].items()}
        return Reference(at=float(data["at"]), key=str(data["key"]), hosts=hosts)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _host(data: Mapping[str, Any]) -> KnownHost:
    return KnownHost(
        files={path: _file(each) for path, each in data["files"].items()},
        folders={
            path: (each[0], each[1], each[2]) if each else None for path, each in data["folders"].items()
        },
        services={key: _service(each) for key, each in data["services"].items()},
        jobs=tuple(data["jobs"]),
        callers=tuple(data["callers"]),
    )


def _file(data: Mapping[str, Any] | None) -> KnownFile | None:
    return KnownFile(**{**data, "lines": tuple(data["lines"])}) if data is not None else None


def _service(data: Mapping[str, Any]) -> KnownService:
    listed = {name: tuple(data[name]) for name in ("arguments", "sockets")}
    files = {path: tuple(lines) for path, lines in data["unit_files"].items()}
    return KnownService(**{**data, **listed, "unit_files": files})
