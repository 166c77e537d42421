"""The places in a client's configuration that connect to a server, in one form: jobs, alertmanagers, remote_*, modules.

Pure: reads the bytes of a configuration, and returns them with one place secured.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from wizard.config_files import blackbox
from wizard.config_files import prometheus as scrape
from wizard.errors import ConfigError

PlaceKind = Literal["job", "alertmanagers", "remote_write", "remote_read", "module", "datasource"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One place of a configuration."""

    kind: PlaceKind
    name: str
    """The name of the job or module, or the title of the block."""
    targets: tuple[scrape.Scraped, ...] = ()
    """The targets of a job after relabeling."""
    addresses: tuple[str, ...] = ()
    """host:port of every server to which it connects."""
    static: bool = True
    """Whether all of these servers are known."""
    scheme: str = "http"
    tls: Mapping[str, str] = field(default_factory=dict)
    basic_auth: Mapping[str, str] = field(default_factory=dict)
    other_auth: str = ""
    block: scrape.ClientBlock | None = None
    path: str = ""
    """The file with the place, if that is not the client's main file (scrape_config_files); absolute."""

    @property
    def how(self) -> str:
        """The place's name for people: 'job node', 'alertmanagers 1'."""
        return f"{self.kind} {self.name}" if self.kind in ("job", "module") else self.name


def places(
    component: str, content: bytes, *, folder: str, files: Mapping[str, bytes | None], major: int = 3
) -> tuple[Place, ...]:
    """All places of a client's configuration, without those of the files that it includes.

    Args:
        component: prometheus or blackbox_exporter.
        folder: the configuration's folder: relative paths begin there.
        files: the target lists that it names, by absolute path.
        major: major version of Prometheus: relabeling sees other labels in 2 than in 3.

    Raises:
        ConfigError: it cannot be parsed.
    """
    if component == "blackbox_exporter":
        return tuple(
            Place(
                kind="module",
                name=module.name,
                scheme="https",
                tls=module.tls,
                basic_auth=module.basic_auth,
                other_auth=module.other_auth,
            )
            for module in blackbox.modules(content)
            if module.prober == "http"
        )
    found = []
    scraped = scrape.scraped_targets(content, folder=folder, files=files, major=major)
    unknown = {name for name, _ in scrape.unknown_jobs(content, folder=folder, files=files)}
    for job in scrape.jobs(content):
        targets = tuple(target for target in scraped if target.job == job.name)
        found.append(
            Place(
                kind="job",
                name=job.name,
                targets=targets,
                addresses=tuple(dict.fromkeys(target.address for target in targets)),
                static=job.name not in unknown,
                scheme=job.scheme,
                tls=job.tls,
                basic_auth=job.basic_auth,
                other_auth=job.other_auth,
            )
        )
    found += [
        Place(
            kind=block.kind,
            name=block.title,
            addresses=block.targets,
            static=block.static,
            scheme=block.scheme,
            tls=block.tls,
            basic_auth=block.basic_auth,
            other_auth=block.other_auth,
            block=block,
        )
        for block in scrape.clients(content, folder=folder, files=files)
    ]
    return tuple(found)


def secure(
    content: bytes,
    place: Place,
    *,
    ca_file: str,
    pair: tuple[str, str] = ("", ""),
    login: tuple[str, str] = ("", ""),
) -> bytes:
    """The configuration with one place on https: it verifies with `ca_file` and sends its credentials.

    Args:
        pair: certificate and key that it presents.
        login: user name, and the file with the password.

    Raises:
        ConfigError: see `config_files.prometheus.secure_job`.
    """
    wanted = {
        "ca_file": ca_file,
        "cert_file": pair[0],
        "key_file": pair[1],
        "username": login[0],
        "password_file": login[1],
    }
    if place.kind == "job":
        return scrape.secure_job(content, job=place.name, scheme="https", **wanted)
    if place.kind == "module":
        return blackbox.secure_module(content, module=place.name, **wanted)
    assert place.block is not None
    return scrape.secure_client(content, place.block, **wanted)


_BARE = ("web.yml", "prometheus.yml", "blackbox.yml", "cluster.yml")
"""The names by which the configurations' parsers, which see no path, call their files."""


@contextmanager
def locate_errors(host: str, path: str) -> Iterator[None]:
    """Adds host and path to errors about a file's content: `web.yml:3` alone says too little."""
    try:
        yield
    except ConfigError as error:
        name, _, line = error.where.partition(":")
        if name not in _BARE:
            raise
        where = f"{host}:{path}:{line}" if line else f"{host}:{path}"
        raise ConfigError(error.what, where=where, todo=error.todo) from error
