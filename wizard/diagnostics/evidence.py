"""Collects the settings of both ends of a connection that failed.

The sources are the error text, the scrape jobs of the Prometheus in question, and the discovered services. Only
addresses of discovered services are ever connected to, whatever addresses a pasted line contains.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlsplit

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from wizard import endpoints
from wizard.components import component as find_component
from wizard.connections.base import Connection
from wizard.model import Forward, Service
from wizard.probes import Dial
from wizard.redact import Secret

_MAX_BYTES: Final = 4 << 20
"""Length of a configuration file that is parsed at most."""
_URL: Final = re.compile(r"\bhttps?://[^\s\"'<>]{1,300}")
_DIAL: Final = re.compile(
    r"(?:dial tcp |Failed to connect to |connection to )(?P<host>[\w.-]{1,253}|\[[0-9a-f:.]{2,45}\])"
    r"(?: port |:)(?P<port>\d{1,5})"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The settings of both ends of one connection.

    Unknown settings are empty or None; questions about them are not answered. Paths are absolute, on the host whose
    configuration names them.
    """

    url: str = ""
    client: Connection | None = None
    """The host that the client runs on, with its files."""
    known: bool = False
    """Whether the client's settings (files, user) are known: an empty `ca_file` then means that it uses none."""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    server_name: str = ""
    user: str = ""
    password: Secret | None = None
    password_file: str = ""
    proxy: str = ""
    patience: float = 10.0
    """Seconds that the client waits for an answer."""
    contained: bool = False
    """Whether the client runs in a container with a network of its own, whose localhost is the container."""
    forward: Forward | None = None
    """How to connect to a server that this machine cannot reach directly."""
    dial: Dial | None = None
    """Connects through `forward`."""
    server: Connection | None = None
    service: Service | None = None
    log: Callable[[], tuple[str, ...]] = tuple
    """Returns the last lines of the server's log, oldest first."""
    container_difference: Callable[[], str] = str
    """Returns how the server's container differs from its present Compose files; '' for no difference."""


def of_job(
    content: bytes, *, folder: str, address: str, client: Connection, job: str = ""
) -> Evidence | None:
    """Reads the settings that Prometheus uses for a server; None if its configuration does not name the server.

    Args:
        content: a prometheus.yml; its scrape jobs, alertmanagers and remote_write blocks are searched.
        folder: absolute path of the folder that contains it.
        address: host:port as in the configuration; with a `job`, '' for its first target.
        client: the host that Prometheus runs on.
        job: searches only the scrape job (or remote_write block) with this name.
    """
    for block, url in _clients_and_urls(content):
        scheme, _, location = url.partition("://")
        endpoint = endpoints.split(location.partition("/")[0], scheme)
        name = block.get("job_name", block.get("name"))
        if (address and endpoint != endpoints.split(address, scheme)) or (job and name != job):
            continue
        tls, login = _block(block, "tls_config"), _block(block, "basic_auth")
        password = login.get("password")
        return Evidence(
            url=url,
            client=client,
            known=True,
            ca_file=_path(folder, tls.get("ca_file")),
            cert_file=_path(folder, tls.get("cert_file")),
            key_file=_path(folder, tls.get("key_file")),
            server_name=str(tls.get("server_name") or ""),
            user=str(login.get("username") or ""),
            password=Secret(str(password)) if password else None,
            password_file=_path(folder, login.get("password_file")),
            proxy=str(block.get("proxy_url") or ""),
        )
    return None


def urls(text: str) -> Mapping[str, str]:
    """Returns the http(s) URLs in an error text, by host:port; the first one for each."""
    urls_by_address: dict[str, str] = {}
    for match in _URL.finditer(text[:65536]):
        url = match[0].rstrip(",.;:)")
        try:
            parts = urlsplit(url)
            port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError:
            continue
        if parts.hostname:
            urls_by_address.setdefault(f"{parts.hostname}:{port}", url)
    return urls_by_address


def addresses(text: str) -> tuple[str, ...]:
    """Returns the host:port of every server in an error text, without duplicates."""
    found = list(urls(text))
    found += [f"{match['host'].strip('[]')}:{match['port']}" for match in _DIAL.finditer(text[:65536])]
    return tuple(dict.fromkeys(found))


def url_of(service: Service) -> str:
    """Returns the URL of a service's metrics, by its web configuration and its flags."""
    scheme = "https" if service.web_config else "http"
    return f"{scheme}://{service.listen}{find_component(service.component).metrics_path(service.flag)}"


def at_server(
    evidence: Evidence,
    server: Connection,
    service: Service,
    log: Callable[[], tuple[str, ...]],
    dial: Dial | None = None,
) -> Evidence:
    """Adds the server to the evidence about a client."""
    return replace(
        evidence,
        server=server,
        service=service,
        log=log,
        url=evidence.url or url_of(service),
        forward=service.forward,
        dial=dial,
    )


def _clients_and_urls(content: bytes) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Returns the blocks of a prometheus.yml that connect to servers, one for each URL, with that URL."""
    try:
        document = YAML(typ="safe").load(content[:_MAX_BYTES])
    except (YAMLError, ValueError, RecursionError):
        return
    if not isinstance(document, dict):
        return
    for job in _blocks(document, "scrape_configs"):
        yield from ((job, _url(job, target, "metrics_path", "/metrics")) for target in _targets(job))
    for alertmanager in _blocks(_block(document, "alerting"), "alertmanagers"):
        yield from (
            (alertmanager, _url(alertmanager, target, "path_prefix", "/"))
            for target in _targets(alertmanager)
        )
    yield from ((block, str(block.get("url", ""))) for block in _blocks(document, "remote_write"))


def _blocks(parent: Mapping[str, Any], name: str) -> Iterator[Mapping[str, Any]]:
    """Returns the mappings in the list `name` of a block; none if the configuration has no such list."""
    items = parent.get(name)
    yield from (item for item in (items if isinstance(items, list) else ()) if isinstance(item, dict))


def _url(block: Mapping[str, Any], target: str, path_key: str, default_path: str) -> str:
    return f"{block.get('scheme', 'http')}://{target}{block.get(path_key, default_path)}"


def _targets(job: Mapping[str, Any]) -> Iterator[str]:
    for group in _blocks(job, "static_configs"):
        targets = group.get("targets")
        yield from (str(target) for target in (targets if isinstance(targets, list) else ()))


def _block(parent: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Returns the mapping `name` of a block; empty if the configuration has no such mapping."""
    block = parent.get(name)
    return block if isinstance(block, dict) else {}


def _path(folder: str, value: object) -> str:
    return posixpath.join(folder, str(value)) if value else ""
