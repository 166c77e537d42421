"""Where everything goes: the paths and rights of each file that a plan may read or write. Pure.

One place decides them, so that the planner, the list of files to read and the words for a person agree.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain

from wizard.components import component as find_component
from wizard.configs import blackbox, web
from wizard.configs import prometheus as scrape
from wizard.errors import ConfigError, InputError
from wizard.model import (
    WORKSPACE,
    ComponentSpec,
    Facts,
    FlagPlace,
    HostFacts,
    OwnFiles,
    Service,
    Stack,
    UserSpec,
)
from wizard.steps.places import Place, places

_BARE = ("web.yml", "prometheus.yml", "blackbox.yml", "cluster.yml")
"""How the configurations' readers, who see no path, call their files."""

LOOPBACK = ("localhost", "127.0.0.1", "::1")
TOOLS = ("prometheus", "alertmanager")
"""The components that a tool of their own asks: promtool, amtool."""


@contextmanager
def located(host: str, path: str) -> Iterator[None]:
    """Names host and path in errors about a file whose content alone was looked at: `web.yml:3` says too little."""
    try:
        yield
    except ConfigError as error:
        name, _, line = error.where.partition(":")
        if name not in _BARE:
            raise
        where = f"{host}:{path}:{line}" if line else f"{host}:{path}"
        raise ConfigError(error.what, where=where, todo=error.todo) from error


@dataclass(frozen=True, slots=True)
class Server:
    """A component that is to be protected, with what is known of it."""

    spec: ComponentSpec
    host: HostFacts
    service: Service

    @property
    def key(self) -> str:
        """`host/component`."""
        return self.spec.key

    @property
    def label(self) -> str:
        """A name for files: host-component."""
        return f"{self.spec.host}-{self.spec.name}"

    @property
    def owner(self) -> str:
        """Who owns its files: root, or without root the user it runs as."""
        return "root" if self.host.root else self.host.user

    @property
    def group(self) -> str:
        """The group that may read its files: the service's."""
        return self.service.group

    @property
    def home(self) -> str:
        """The folder for its web configuration, key and certificate."""
        return posixpath.dirname(self.service.web_config) if self.service.web_config else self.service.home

    @property
    def homes(self) -> tuple[str, ...]:
        """The home and the two folders above it, outermost first: a new host's may all be missing."""
        above = posixpath.dirname(self.home)
        return tuple(path for path in (posixpath.dirname(above), above, self.home) if path not in ("", "/"))

    @property
    def web_file(self) -> str:
        """Its web configuration: the one that it runs with, or web.yml in its home."""
        return self.service.web_config or posixpath.join(self.home, self._own("web.yml"))

    def _own(self, name: str) -> str:
        """A file's name in its home, with the component's before it where another component lives or writes there.

        Debian keeps Alertmanager's and the blackbox exporter's configuration in /etc/prometheus.
        """
        others = [each for each in self.host.services if each.component != self.spec.name]
        guest = self.home != find_component(self.spec.name).home
        taken = any(each.web_config == posixpath.join(self.home, name) for each in others)
        if taken or (guest and any(each.home == self.home for each in others)):
            return f"{self.spec.name}-{name}"
        return name

    @property
    def pair(self) -> tuple[str, str]:
        """Certificate and key, if new ones are made."""
        return tuple(posixpath.join(self.home, f"{self.spec.name}.{end}") for end in ("crt", "key"))  # type: ignore[return-value]

    @property
    def spare_pair(self) -> tuple[str, str]:
        """Certificate and key where `pair` is taken by files of the person's own."""
        return tuple(  # type: ignore[return-value]
            posixpath.join(self.home, f"{self.spec.name}-firescreen.{end}") for end in ("crt", "key")
        )

    @property
    def client_ca(self) -> str:
        """What it checks its clients' certificates against, where nothing of the person's own does."""
        return posixpath.join(self.home, self._own("client-ca.crt"))

    @property
    def cluster_file(self) -> str:
        """Alertmanager: the TLS configuration of the gossip between its peers."""
        flag = find_component(self.spec.name).cluster_flag(self.service.version)
        return self.service.flag(flag) or posixpath.join(self.home, "cluster-tls.yml")

    @property
    def cluster_pair(self) -> tuple[str, str]:
        """Certificate and key of the gossip, for both roles that a peer plays."""
        return tuple(posixpath.join(self.home, f"cluster.{end}") for end in ("crt", "key"))  # type: ignore[return-value]

    @property
    def cluster_ca(self) -> str:
        """What the peers check each other against."""
        return posixpath.join(self.home, "cluster-ca.crt")

    def named(self, path: str) -> str:
        """A file of the home as the web configuration names it: absolute, but for a host that we cannot see."""
        return posixpath.basename(path) if self.host.spec.connect == "manual" else path

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self.service.listen.rpartition(":")[2] or find_component(self.spec.name).default_port)

    @property
    def address(self) -> str:
        """address:port as a probe from this machine reaches it."""
        host = self.service.listen.rpartition(":")[0] or self.host.spec.address or "127.0.0.1"
        return f"{host}:{self.port}"


def refuse_out_of_reach(service: Service) -> None:
    """What cannot be asked cannot be proven, and would be put back.

    Raises:
        InputError: it is in a place that this machine does not reach.
    """
    if service.out_of_reach:
        raise InputError(
            f"{service.component} on {service.host} cannot be asked from here, so that nothing could be proven: "
            f"{service.out_of_reach}",
            where=f"{service.host}/{service.component}",
            todo="run Firescreen on that host itself (connect: local), or let it be reached from here",
        )


@dataclass(frozen=True, slots=True)
class Client:
    """A component that asks others: a Prometheus by its jobs, a blackbox exporter by its modules."""

    host: HostFacts
    service: Service
    own: OwnFiles

    @property
    def key(self) -> str:
        """`host/component`."""
        return f"{self.service.host}/{self.service.component}"

    @property
    def folder(self) -> str:
        """Where its configuration lies, and with it what it needs to be let in."""
        return posixpath.dirname(self.service.config_file)

    @property
    def pair(self) -> tuple[str, str]:
        """The certificate and key that it shows to servers, if they are made here."""
        name = f"{self.service.component}-client"
        return tuple(posixpath.join(self.folder, f"{name}.{end}") for end in ("crt", "key"))  # type: ignore[return-value]

    @property
    def spare_pair(self) -> tuple[str, str]:
        """The same where `pair` is taken, or in use while it is replaced."""
        name = f"{self.service.component}-client-2"
        return tuple(posixpath.join(self.folder, f"{name}.{end}") for end in ("crt", "key"))  # type: ignore[return-value]

    @property
    def names(self) -> tuple[str, ...]:
        """The names in its certificate: what it is, and where."""
        component = self.service.component.replace("_", "-")
        host = self.service.host.replace("_", "-")
        return tuple(dict.fromkeys((component, f"{component}.{host}")))

    @property
    def owner(self) -> str:
        """As for a server."""
        return "root" if self.host.root else self.host.user

    def trust_file(self, server: Server, *, own_ca: bool) -> str:
        """The CA bundle for a server: one's own CA, or the server's pinned certificate."""
        name = "firescreen-ca.crt" if own_ca else f"{server.label}.crt"
        return posixpath.join(self.folder, name)

    def place_trust(self, place: str) -> str:
        """The bundle of a place whose servers have pinned certificates of their own each."""
        name = re.sub(r"[^A-Za-z0-9._-]", "-", place)
        return posixpath.join(self.folder, f"firescreen-{name}.crt")

    def password_file(self, user: UserSpec) -> str:
        """The file that the password is read from at every request."""
        whose = "" if self.service.component == "prometheus" else f"{self.service.component}-"
        return posixpath.join(self.folder, f"{whose}{user.name}.password")

    def names_of(self, server: Server) -> tuple[str, ...]:
        """Every name under which a job here may mean that server.

        `localhost` in a job means the server only where both are on one host.
        """
        same = server.host.spec.name == self.host.spec.name
        own = (server.spec.host, server.host.spec.address, server.service.listen.rpartition(":")[0])
        names = dict.fromkeys(name for name in (*own, *server.host.names) if name)
        if same:
            return tuple(dict.fromkeys((*names, *LOOPBACK)))
        if server.host.spec.connect == "practice":
            return tuple(names)  # its 'hosts' are loopback addresses, each of its own
        return tuple(name for name in names if name not in LOOPBACK and not name.startswith("127."))

    def means(self, address: str, server: Server) -> bool:
        """Whether host:port, as this client has it, is that server."""
        name, _, port = address.rpartition(":")
        return port == str(server.port) and name.strip("[]") in self.names_of(server)

    @property
    def content(self) -> bytes:
        """Its configuration as it was read; b'' if there is none."""
        state = self.host.files.get(self.service.config_file)
        return state.content if state is not None else b""

    def places(self, content: bytes | None = None) -> tuple[Place, ...]:
        """The places of its configuration: as it was read, or of `content` in its stead; () if there is none.

        Raises:
            ConfigError: it cannot be read.
        """
        state = self.host.files.get(self.service.config_file)
        if content is None and state is None:
            return ()
        text = self.content if content is None else content
        files = {path: found.content if found else None for path, found in self.host.files.items()}
        major = 2 if self.service.version.startswith("2.") else 3
        with located(self.host.spec.name, self.service.config_file):
            return places(self.service.component, text, folder=self.folder, files=files, major=major)


def servers(stack: Stack, facts: Facts) -> tuple[Server, ...]:
    """The components that are to be protected.

    Raises:
        InputError: one of them was not found on its host.
    """
    found = []
    for spec in stack.components:
        if not spec.protect or spec.host in facts.away:
            continue
        host = facts.hosts[spec.host]
        service = host.service(spec.name)
        if service is None:
            raise InputError(
                f"there is no {spec.name} on {spec.host}",
                where=stack.source or spec.host,
                todo=f"install and start it (unmask its unit, where that is masked), or take {spec.key} out of the stack",
            )
        if spec.service == "manual":
            service = replace(
                service, manager="manual", kind=service.kind or "process", flags=FlagPlace("manual")
            )
        found.append(Server(spec, host, service))
    return tuple(found)


def as_server(client: Client) -> Server:
    """A client as something that is asked itself: for telling whether an address means it."""
    spec = ComponentSpec(host=client.host.spec.name, name=client.service.component)
    return Server(spec, client.host, client.service)


def scrapers(stack: Stack, facts: Facts) -> tuple[Client, ...]:
    """Every Prometheus of the stack's hosts whose configuration is known."""
    return _clients(stack, facts, "prometheus")


def probers(stack: Stack, facts: Facts) -> tuple[Client, ...]:
    """Every blackbox exporter of the stack's hosts whose configuration is known."""
    return _clients(stack, facts, "blackbox_exporter")


def _clients(stack: Stack, facts: Facts, component: str) -> tuple[Client, ...]:
    own = {spec.host: spec.files for spec in stack.components if spec.name == component}
    return tuple(
        Client(host, service, own.get(host.spec.name, OwnFiles()))
        for host in facts.hosts.values()
        if (service := host.service(component)) is not None and service.config_file
    )


def workspace_path(facts: Facts, *parts: str) -> str:
    """A path in Firescreen's own folder."""
    return posixpath.join(facts.workspace, *parts)


def ca_pair(facts: Facts) -> tuple[str, str]:
    """Certificate and key of one's own CA."""
    return workspace_path(facts, "ca", "ca.crt"), workspace_path(facts, "ca", "ca.key")


def user_files(facts: Facts, user: UserSpec) -> tuple[str, str]:
    """Password and curl config of a user."""
    return (
        workspace_path(facts, "users", f"{user.name}.password"),
        workspace_path(facts, "users", f"{user.name}.curl"),
    )


def wrong_user_file(facts: Facts, user: UserSpec) -> str:
    """A curl config with a wrong password, for the probe that must be refused."""
    return workspace_path(facts, "users", f"{user.name}-wrong.curl")


def probe_pair(facts: Facts) -> tuple[str, str]:
    """Certificate and key that the probes show where a server asks for one."""
    return workspace_path(facts, "clients", "firescreen.crt"), workspace_path(
        facts, "clients", "firescreen.key"
    )


def stranger_pair(facts: Facts) -> tuple[str, str]:
    """A pair that no server has reason to believe, for the probe that must be refused."""
    return workspace_path(facts, "clients", "stranger.crt"), workspace_path(facts, "clients", "stranger.key")


def other_pair(facts: Facts) -> tuple[str, str]:
    """A pair of one's own CA with a name that no server allows, for the probe that must be refused."""
    return workspace_path(facts, "clients", "other.crt"), workspace_path(facts, "clients", "other.key")


def shared_pair(facts: Facts) -> tuple[str, str]:
    """The one pair of all nodes, where the person chose that."""
    return workspace_path(facts, "shared", "node.crt"), workspace_path(facts, "shared", "node.key")


def tools_file(facts: Facts, server: Server) -> str:
    """What promtool or amtool takes as --http.config.file to ask a server."""
    return workspace_path(facts, "tools", f"{server.label}.yml")


def trust_copy(facts: Facts, server: Server) -> str:
    """What the probes trust for a server."""
    return workspace_path(facts, "trust", f"{server.label}.crt")


def wanted_files(stack: Stack, facts: Facts) -> dict[str, tuple[str, ...]]:
    """Paths to read, by host, given what is known so far; asked again until nothing new is wanted.

    Files name other files (a web configuration its key), so this takes a few rounds.
    """
    pairs = (ca_pair(facts), probe_pair(facts), stranger_pair(facts), other_pair(facts), shared_pair(facts))
    wanted: dict[str, list[str]] = {WORKSPACE: [*chain.from_iterable(pairs)]}
    for user in stack.users:
        wanted[WORKSPACE] += [*user_files(facts, user), wrong_user_file(facts, user)]
        if user.file:
            wanted[WORKSPACE].append(posixpath.abspath(user.file))
    for server in servers(stack, facts):
        wanted[WORKSPACE].append(trust_copy(facts, server))
        if server.spec.name in TOOLS:
            wanted[WORKSPACE].append(tools_file(facts, server))
        paths = [server.web_file, *server.pair, *server.spare_pair, server.client_ca]
        paths += _own_files(server.spec.files)
        if server.spec.cluster_tls:
            paths += [server.cluster_file, *server.cluster_pair, server.cluster_ca]
        if server.service.flags.path:
            paths.append(server.service.flags.path)
        paths += _named_in_web_config(server)
        wanted.setdefault(server.spec.host, []).extend(paths)
    for client in (*scrapers(stack, facts), *probers(stack, facts)):
        paths = [client.service.config_file, *client.pair, *client.spare_pair]
        paths += [client.password_file(user) for user in stack.users]
        for server in servers(stack, facts):
            paths += [client.trust_file(server, own_ca=own) for own in (True, False)]
        paths += _named_by_client(client)
        paths += _own_files(client.own)
        wanted.setdefault(client.host.spec.name, []).extend(paths)
    return {host: tuple(dict.fromkeys(paths)) for host, paths in wanted.items()}


def wanted_folders(stack: Stack, facts: Facts) -> dict[str, tuple[str, ...]]:
    """Folders whose existence matters, by host."""
    wanted: dict[str, list[str]] = {
        WORKSPACE: [
            workspace_path(facts, name) for name in ("ca", "users", "trust", "clients", "shared", "tools")
        ]
    }
    for server in servers(stack, facts):
        folders = list(server.homes)
        if server.service.flags.kind == "dropin":
            folders.append(posixpath.dirname(server.service.flags.path))
        wanted.setdefault(server.spec.host, []).extend(folders)
    return {host: tuple(dict.fromkeys(paths)) for host, paths in wanted.items()}


def _named_in_web_config(server: Server) -> list[str]:
    state = server.host.files.get(server.web_file)
    if state is None:
        return []
    try:
        config = web.parse(state.content)
    except ConfigError:
        return []  # the planner says so, with the place
    named = (config.cert_file, config.key_file, config.client_ca_file)
    return [posixpath.join(server.home, name) for name in named if name]


def _own_files(files: OwnFiles) -> list[str]:
    named = (files.cert_file, files.key_file, files.ca_file)
    return [
        name for name in (*named, files.client_cert_file, files.client_key_file, files.client_ca_file) if name
    ]


def _named_by_client(client: Client) -> list[str]:
    """The files that a client's configuration names: CAs, pairs, passwords, lists of targets, its own bundles."""
    state = client.host.files.get(client.service.config_file)
    if state is None:
        return []
    try:
        if client.service.component == "blackbox_exporter":
            modules = blackbox.modules(state.content)
            named = [client.place_trust(f"module {module.name}") for module in modules]
            said = [(module.tls, module.basic_auth) for module in modules]
        else:
            jobs, blocks = scrape.jobs(state.content), scrape.clients(state.content)
            named = [*scrape.sd_files(state.content, client.folder)]
            named += [client.place_trust(f"job {job.name}") for job in jobs]
            named += [client.place_trust(block.title) for block in blocks]
            said = [(job.tls, job.basic_auth) for job in jobs]
            said += [(block.tls, block.basic_auth) for block in blocks]
    except ConfigError:
        return []
    named += [tls.get(key, "") for tls, _ in said for key in ("ca_file", "cert_file", "key_file")]
    named += [basic.get("password_file", "") for _, basic in said]
    return [posixpath.join(client.folder, name) for name in named if name]
