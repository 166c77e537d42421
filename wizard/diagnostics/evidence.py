"""What is known of a connection that failed: what the client uses, and what serves at the other end.

Made from the line of text itself, the scrape jobs of the Prometheus that is asked about, and the services that were
found: only addresses of services that were found are ever asked, whatever a pasted line says.
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

_LIMIT: Final = 4 << 20
_URL: Final = re.compile(r"\bhttps?://[^\s\"'<>]{1,300}")
_DIAL: Final = re.compile(
    r"(?:dial tcp |Failed to connect to |connection to )(?P<host>[\w.-]{1,253}|\[[0-9a-f:.]{2,45}\])"
    r"(?: port |:)(?P<port>\d{1,5})"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Both ends of one connection. What is not known is empty or None, and is not asked about.

    Paths are those of the host that names them, absolute.
    """

    url: str = ""
    client: Connection | None = None
    """Where the client runs: its files lie there."""
    known: bool = False
    """Whether what the client uses (files, user) is known: an empty `ca_file` then means that it has none."""
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
    """How the server is asked where this machine cannot reach it itself."""
    dial: Dial | None = None
    """Makes the connections of `forward`."""
    server: Connection | None = None
    service: Service | None = None
    log: Callable[[], tuple[str, ...]] = tuple
    """The last lines that the server wrote, oldest first."""
    container_difference: Callable[[], str] = str
    """How the server's container differs from what its Compose files say now; '' where it does not."""


def of_job(
    content: bytes, *, folder: str, address: str, client: Connection, job: str = ""
) -> Evidence | None:
    """What Prometheus uses for `address` (host:port), or None if its configuration does not name it.

    Args:
        content: a prometheus.yml; its scrape jobs, alertmanagers and remote_write blocks are looked through.
        folder: absolute path of the folder that it stands in.
        address: as the configuration says it; with a `job`, '' for its first target.
        client: the host that Prometheus runs on.
        job: only the scrape job (or remote_write block) of that name.
    """
    for row, url in _clients_and_urls(content):
        scheme, _, rest = url.partition("://")
        place = endpoints.split(rest.partition("/")[0], scheme)
        named = row.get("job_name", row.get("name"))
        if (address and place != endpoints.split(address, scheme)) or (job and named != job):
            continue
        tls, login = _block(row, "tls_config"), _block(row, "basic_auth")
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
            proxy=str(row.get("proxy_url") or ""),
        )
    return None


def urls(text: str) -> Mapping[str, str]:
    """Every http(s) address that an error text names, by its host:port."""
    found: dict[str, str] = {}
    for match in _URL.finditer(text[:65536]):
        url = match[0].rstrip(",.;:)")
        try:
            parts = urlsplit(url)
            port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError:
            continue
        if parts.hostname:
            found.setdefault(f"{parts.hostname}:{port}", url)
    return found


def addresses(text: str) -> tuple[str, ...]:
    """host:port of every server that an error text names, each once."""
    found = list(urls(text))
    found += [f"{match['host'].strip('[]')}:{match['port']}" for match in _DIAL.finditer(text[:65536])]
    return tuple(dict.fromkeys(found))


def url_of(service: Service) -> str:
    """Where a service is asked for its metrics, as it is meant to be."""
    scheme = "https" if service.web_config else "http"
    return f"{scheme}://{service.listen}{find_component(service.component).metrics_path(service.flag)}"


def at_server(
    evidence: Evidence,
    server: Connection,
    service: Service,
    log: Callable[[], tuple[str, ...]],
    dial: Dial | None = None,
) -> Evidence:
    """The same with what serves at the other end."""
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
    """Every block that asks somebody, with each address that it asks."""
    try:
        document = YAML(typ="safe").load(content[:_LIMIT])
    except (YAMLError, ValueError, RecursionError):
        return
    if not isinstance(document, dict):
        return
    for row in _rows(document, "scrape_configs"):
        yield from ((row, _url(row, target, "metrics_path", "/metrics")) for target in _targets(row))
    for row in _rows(_block(document, "alerting"), "alertmanagers"):
        yield from ((row, _url(row, target, "path_prefix", "/")) for target in _targets(row))
    yield from ((row, str(row.get("url", ""))) for row in _rows(document, "remote_write"))


def _rows(block: Mapping[str, Any], name: str) -> Iterator[Mapping[str, Any]]:
    rows = block.get(name)
    yield from (row for row in (rows if isinstance(rows, list) else ()) if isinstance(row, dict))


def _url(row: Mapping[str, Any], target: str, key: str, usual: str) -> str:
    return f"{row.get('scheme', 'http')}://{target}{row.get(key, usual)}"


def _targets(row: Mapping[str, Any]) -> Iterator[str]:
    for group in _rows(row, "static_configs"):
        targets = group.get("targets")
        yield from (str(each) for each in (targets if isinstance(targets, list) else ()))


def _block(row: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = row.get(name)
    return found if isinstance(found, dict) else {}


def _path(folder: str, value: object) -> str:
    return posixpath.join(folder, str(value)) if value else ""
