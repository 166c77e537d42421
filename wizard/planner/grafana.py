"""Grafana's end: provisioned data sources that query a server of the stack, and the edits so that it accepts them.

Grafana reads them only at its start, and Firescreen does not restart it: the plan says so. A data source that cannot be
edited becomes a warning and stops nothing, since Grafana only displays data.
"""

from __future__ import annotations

import fnmatch
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from wizard import endpoints
from wizard.config_files import grafana, web_config
from wizard.errors import ConfigError
from wizard.model import (
    Container,
    ContentKind,
    Facts,
    FileState,
    Finding,
    HostFacts,
    OwnFiles,
    Service,
    Stack,
)
from wizard.planner import paths as layout
from wizard.planner.client_endpoints import Place
from wizard.planner.client_facts import Client, on_host
from wizard.planner.server_facts import Server
from wizard.redact import plain

UNIT = "grafana-server"
READS = "Grafana reads it at its next start."
_FILES = "*.y*ml"
_INSIDE = "/etc/grafana/provisioning/datasources"
"""The folder of the data sources in Grafana's images."""
_ASKED = ("prometheus", "alertmanager")
"""The components that a data source can query."""


class Grafana(Client):
    """The Grafana of one host: a client whose places are data sources."""

    __slots__ = ()

    @property
    def config_kind(self) -> ContentKind:
        """The kind of content of its configuration."""
        return ContentKind.DATA_SOURCES

    @property
    def home(self) -> str:
        """Its folder, /etc/grafana."""
        return posixpath.dirname(self.service.config_file)

    @property
    def folder(self) -> str:
        """The folder of its copies of CA, certificate and password; in a container, the mount with its data sources."""
        return (
            self.service.home
            if self.service.container is not None
            else posixpath.join(self.home, "firescreen")
        )

    @property
    def datasources(self) -> str:
        """The folder of its data sources on the host."""
        if self.service.container is not None:
            return posixpath.dirname(self.service.home)
        return posixpath.join(self.home, "provisioning", "datasources")

    @property
    def restart_command(self) -> str:
        """The command with which a person restarts it, so that it reads its data sources."""
        box = self.service.container
        return f"{box.engine} restart {box.name}" if box is not None else f"systemctl restart {UNIT}"

    def inside(self, path: str) -> str:
        """The path of a host's file as Grafana sees it."""
        box = self.service.container
        return (box.inside(path) if box is not None else "") or path

    @property
    def files(self) -> tuple[tuple[str, FileState], ...]:
        """Its provisioning files with their paths, in order."""
        folder = self.datasources
        return tuple(
            (path, state)
            for path, state in sorted(self.host.files.items())
            if state is not None
            and posixpath.dirname(path) == folder
            and fnmatch.fnmatch(posixpath.basename(path), _FILES)
        )

    def places(self, texts: Mapping[str, bytes] | None = None) -> tuple[Place, ...]:
        """Its data sources, from all files that can be parsed."""
        return tuple(place_of(source) for _, source in _readable(self))


@dataclass(frozen=True, slots=True)
class Asking:
    """A data source that queries a server of the stack."""

    client: Grafana
    path: str
    source: grafana.DataSource
    address: str
    server: Server


# -- facts --------------------------------------------------------------------------------------------------


def wanted_files(stack: Stack, facts: Facts) -> dict[str, tuple[str, ...]]:
    """The paths to read, by host, as for `required_files.wanted_files`."""
    wanted: dict[str, dict[str, None]] = {}
    for client in clients(facts):
        paths = [posixpath.join(client.datasources, _FILES)]
        if client.files:
            paths += [*client.pair, *client.spare_pair]
            paths += [client.password_file(user) for user in stack.users]
            paths += [
                client.trust_file(server, own_ca=own)
                for server in layout.servers(stack, facts)
                for own in (True, False)
            ]
        for _, source in _readable(client):
            paths += [on_host(client.service, path) for path in map(named_file, source.says.values()) if path]
        wanted.setdefault(client.host.spec.name, {}).update(dict.fromkeys(filter(None, paths)))
    return {name: tuple(paths) for name, paths in wanted.items()}


def wanted_folders(facts: Facts) -> dict[str, tuple[str, ...]]:
    """The folders whose existence and group to check, by host."""
    wanted: dict[str, tuple[str, ...]] = {}
    for client in clients(facts):
        name = client.host.spec.name
        wanted[name] = (*wanted.get(name, ()), client.datasources, client.folder)
    return wanted


def look(
    stack: Stack, facts: Facts, servers: Sequence[Server]
) -> tuple[tuple[Asking, ...], tuple[Finding, ...]]:
    """The data sources that query these servers, and findings about those that cannot be edited."""
    found: list[Asking] = []
    warnings: list[Finding] = []
    for client in clients(facts) if servers else ():
        host = client.host.spec.name
        for path, state in client.files:
            try:
                sources = grafana.datasources(state.content)
            except ConfigError as error:
                warnings.append(_manual_finding(host, f"{path} cannot be read: {error.what}"))
                continue
            for source in sources:
                address = _address(source.url)
                server = next((each for each in servers if client.means(address, each)), None)
                if server is None or server.spec.name not in _ASKED:
                    continue
                what = plain(f"data source {source.name} in {path}")
                if source.access == "direct":
                    reason = "is requested by the browser of the reader, which needs the credentials itself"
                    warnings.append(_manual_finding(host, f"{what} {reason}"))
                    continue
                try:
                    _try_edit(stack, state.content, source, server)
                except ConfigError as error:
                    warnings.append(_manual_finding(host, f"{what} cannot be changed: {error.what}"))
                    continue
                found.append(Asking(client, path, source, address, server))
    if any(each.spec.name in _ASKED for each in servers):
        warnings += [
            _manual_finding(
                name,
                f"Grafana in container {box.name} has its data sources in no folder of the host that it mounts",
            )
            for name, host in facts.hosts.items()
            for box in host.grafana
            if not _mounted_provisioning_folder(box)
        ]
    return tuple(found), tuple(warnings)


def askers(asking: Sequence[Asking], server: Server) -> tuple[Client, ...]:
    """The Grafanas that query a server."""
    clients_by_key = {each.client.key: each.client for each in asking if each.server.key == server.key}
    return tuple(clients_by_key.values())


def clients(facts: Facts) -> Iterator[Grafana]:
    """Yields a client for each host that may have a Grafana; its files tell whether there is one."""
    for name, host in facts.hosts.items():
        if host.spec.connect == "practice":
            home = layout.workspace_path(facts, "practice", name, "etc", "grafana")
        elif host.root:
            home = (
                "/etc/grafana"  # as in the packages of Debian, of the RPM distributions and of Grafana itself
            )
        else:
            continue  # without root, its files can be neither read nor written
        service = Service(
            host=name,
            component="grafana",
            manager="manual",
            unit=UNIT,
            config_file=posixpath.join(home, "grafana.ini"),
            group=_group(host, home),
        )
        yield Grafana(host, service, OwnFiles())
        if host.root:
            yield from _in_containers(host)


def _in_containers(host: HostFacts) -> Iterator[Grafana]:
    """Yields the Grafanas in containers whose data sources are in a mounted folder of the host."""
    for box in host.grafana:
        folder = _mounted_provisioning_folder(box)
        if not folder:
            continue
        service = Service(
            host=host.spec.name,
            component="grafana",
            manager="manual",
            kind="container",
            unit=box.name,
            instance=box.name if len(host.grafana) > 1 else "",
            config_file=posixpath.join(folder, "grafana.ini"),
            home=posixpath.join(folder, "firescreen"),
            group=str(box.gid) if box.gid else "root",
            container=box,
        )
        yield Grafana(host, service, OwnFiles())


def _mounted_provisioning_folder(box: Container) -> str:
    """The host's folder of its data sources; '' if they are in the image or a volume, or mounted as single files."""
    mount = box.mount_of(_INSIDE)
    return box.on_host(_INSIDE) if mount is not None and mount.kind == "bind" else ""


def _group(host: HostFacts, home: str) -> str:
    """The group by which Grafana reads its files: that of its folder, which its package sets."""
    if not host.root:
        return host.group
    folder = host.folders.get(posixpath.join(home, "provisioning", "datasources"))
    return folder.group if folder is not None and folder.group != "root" else "grafana"


def _readable(client: Grafana) -> Iterator[tuple[str, grafana.DataSource]]:
    for path, state in client.files:
        try:
            sources = grafana.datasources(state.content)
        except ConfigError:
            continue  # `look` reports it
        yield from ((path, source) for source in sources)


def _address(url: str) -> str:
    """host:port of a URL; '' if it has none, or has a variable in its place."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    except ValueError:
        return ""
    return (
        endpoints.join_host_port(parts.hostname, port) if parts.hostname and port and "$" not in url else ""
    )


def place_of(source: grafana.DataSource) -> Place:
    """A data source as a `Place`, like those of all clients."""
    tls_paths = {
        "ca_file": named_file(source.says.get("tlsCACert", "")) if source.is_on("tlsAuthWithCACert") else "",
        "cert_file": named_file(source.says.get("tlsClientCert", "")) if source.is_on("tlsAuth") else "",
        "key_file": named_file(source.says.get("tlsClientKey", "")) if source.is_on("tlsAuth") else "",
    }
    user = source.says.get("basicAuthUser", "") if source.is_on("basicAuth") else ""
    return Place(
        kind="datasource",
        name=plain(f"data source {source.name}"),
        addresses=(_address(source.url),),
        scheme=urlsplit(source.url).scheme if _address(source.url) else "",
        tls={key: path for key, path in tls_paths.items() if path},
        basic_auth={"username": user} if user else {},
    )


def named_file(value: str) -> str:
    """The path in `$__file{path}`, or ''."""
    return value[8:-1] if value.startswith("$__file{/") and value.endswith("}") else ""


def setting_content(client: Client, value: str) -> bytes | None:
    """The content of the file that a setting names, or the setting's own text; None if only Grafana can resolve it."""
    path = named_file(value)
    if path:
        state = client.host.files.get(on_host(client.service, path))
        return state.content if state is not None else b""
    return None if "$" in value else value.encode()


def _try_edit(stack: Stack, content: bytes, source: grafana.DataSource, server: Server) -> None:
    """Tries the later edit of a data source, and raises ConfigError if it is impossible."""
    state = server.host.files.get(server.web_file)
    users = web_config.parse(state.content).users if state is not None else {}
    user = stack.users[0].name if "basic_auth" in server.spec.protect or users else ""
    grafana.secure_datasource(
        content, name=source.name, ca="/c", cert="/c", key="/c", user=user, password_file="/p" if user else ""
    )


def _manual_finding(host: str, what: str) -> Finding:
    return Finding(
        id="grafana-by-hand",
        host=host,
        component="grafana",
        what=what,
        why="Its requests will be rejected as soon as the server changes.",
        remediation="Give it https, the CA certificate and the credentials that the server asks for",
    )


# -- edits --------------------------------------------------------------------------------------------------
