"""Where everything goes: the paths and rights of each file that a plan may read or write. Pure.

One place decides them, so that the planner, the list of files to read and the words for a person agree.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain

from wizard.components import component as find_component
from wizard.config_files import blackbox, unit_settings, web_config
from wizard.config_files import prometheus as scrape
from wizard.errors import ConfigError, InputError
from wizard.model import (
    MANUAL,
    WORKSPACE,
    Change,
    ComponentSpec,
    ContentKind,
    Facts,
    FlagPlace,
    HostFacts,
    OwnFiles,
    PlannedStep,
    Role,
    Service,
    Stack,
    StepKind,
    UserSpec,
)
from wizard.planner import identity
from wizard.planner.client_endpoints import Place, places

_BARE = ("web.yml", "prometheus.yml", "blackbox.yml", "cluster.yml")
"""How the configurations' readers, who see no path, call their files."""

LOOPBACK = ("localhost", "127.0.0.1", "::1")
_ASKING = ("prometheus", "blackbox_exporter")
"""The components that ask others by a configuration of their own."""
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
        """`host/component`, of a further instance `host/component/unit`."""
        return self.spec.key

    @property
    def title(self) -> str:
        """Its component's name, with the unit of a further instance."""
        return f"{self.spec.name} ({self.spec.unit})" if self.spec.unit else self.spec.name

    @property
    def label(self) -> str:
        """A name for files: host-component."""
        return f"{self.spec.host}-{self.stem}"

    @property
    def stem(self) -> str:
        """What the names of its own files begin with: no two instances on a host share one."""
        return _stem(self.spec.name, self.spec.unit)

    def _own(self, name: str) -> str:
        """The path of a file of its home, under a name of its own where another service has the same home."""
        plain = posixpath.join(self.home, name)
        others = [each for each in self.host.services if each.key != self.service.key]
        shared = (
            self.spec.unit
            or _comes_after(self.host, self.service, _home)
            or any(each.web_config == plain for each in others)
        )
        return posixpath.join(self.home, f"{self.stem}-{name}") if shared else plain

    @property
    def owner(self) -> str:
        """Who owns its files: root, or without root the user it runs as."""
        return "root" if self.host.root else self.host.user

    @property
    def credentials(self) -> str:
        """The folder in which systemd hands it copies of its files; '' where it reads them itself."""
        return self.service.credentials

    @property
    def group(self) -> str:
        """The group that may read its files: the service's."""
        return "root" if self.credentials else self.service.group

    @property
    def secret_mode(self) -> int:
        """The mode of what only it and root may read."""
        return 0o600 if self.credentials else 0o640

    @property
    def web_flag_value(self) -> str:
        """Its web configuration as the service sees it."""
        name = posixpath.basename(self.web_file)
        return posixpath.join(self.credentials, name) if self.credentials else self.web_file

    @property
    def home(self) -> str:
        """The folder for its web configuration, key and certificate."""
        return _home(self.service)

    @property
    def homes(self) -> tuple[str, ...]:
        """The home and the two folders above it, outermost first: a new host's may all be missing."""
        above = posixpath.dirname(self.home)
        return tuple(path for path in (posixpath.dirname(above), above, self.home) if path not in ("", "/"))

    @property
    def flag_folders(self) -> tuple[str, ...]:
        """The folders of the file with its flags that may have to be made, outermost first."""
        place = self.service.flags
        folder = posixpath.dirname(place.path)
        above = posixpath.dirname(folder)
        match place.kind:
            case "dropin":
                return (folder,)
            case "envfile":
                return tuple(path for path in (above, folder) if path not in ("", "/"))
        return ()

    @property
    def own_dropins(self) -> tuple[str, ...]:
        """The additions to its unit that are there and ours, but for that with its flags."""
        folder = f"/etc/systemd/system/{self.service.unit}.service.d/"
        paths = [path for path, _ in unit_settings.split_files(self.service.unit_text)]
        return tuple(
            path for path in paths if path.startswith(folder) and "firescreen-" in path.removeprefix(folder)
        )

    @property
    def web_file(self) -> str:
        """Its web configuration: the one that it runs with, or web.yml in its home."""
        return self.service.web_config or self._own("web.yml")

    @property
    def pair(self) -> tuple[str, str]:
        """Certificate and key, if new ones are made."""
        return tuple(posixpath.join(self.home, f"{self.stem}.{end}") for end in ("crt", "key"))  # type: ignore[return-value]

    @property
    def spare_pair(self) -> tuple[str, str]:
        """Certificate and key where `pair` is taken by files of the person's own."""
        return tuple(  # type: ignore[return-value]
            posixpath.join(self.home, f"{self.stem}-firescreen.{end}") for end in ("crt", "key")
        )

    @property
    def client_ca(self) -> str:
        """What it checks its clients' certificates against, where nothing of the person's own does."""
        return self._own("client-ca.crt")

    @property
    def cluster_file(self) -> str:
        """Alertmanager: the TLS configuration of the gossip between its peers."""
        flag = find_component(self.spec.name).cluster_flag(self.service.version)
        return self.service.flag(flag) or self._own("cluster-tls.yml")

    @property
    def cluster_pair(self) -> tuple[str, str]:
        """Certificate and key of the gossip, for both roles that a peer plays."""
        return tuple(self._own(f"cluster.{end}") for end in ("crt", "key"))  # type: ignore[return-value]

    @property
    def cluster_ca(self) -> str:
        """What the peers check each other against."""
        return self._own("cluster-ca.crt")

    def named(self, path: str) -> str:
        """A file of the home as the web configuration names it: absolute, but where the service sees a copy of it."""
        return posixpath.basename(path) if self.host.spec.connect == "manual" or self.credentials else path

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self.service.listen.rpartition(":")[2] or find_component(self.spec.name).default_port)

    @property
    def listener(self) -> identity.Listener:
        """Where it accepts connections: what a target is compared with."""
        return identity.Listener(self.host, self.service)

    @property
    def address(self) -> str:
        """address:port as a probe from this machine reaches it."""
        host = self.service.listen.rpartition(":")[0] or self.host.spec.address or "127.0.0.1"
        return f"{host}:{self.port}"

    def step(
        self, kind: StepKind, *, title: str, why: str, changes: Iterable[Change], step_id: str = ""
    ) -> PlannedStep:
        """A step that is about this server; its id is made of kind and key where none is given."""
        return PlannedStep(
            id=step_id or f"{kind}:{self.key}",
            kind=kind,
            title=title,
            host=self.host.spec.name,
            why=why,
            changes=tuple(changes),
            role=Role.SERVER,
            component=self.spec.name,
            instance=self.spec.unit,
        )


def refuse_out_of_reach(service: Service) -> None:
    """What cannot be asked cannot be proven, and would be put back.

    Raises:
        InputError: it is in a place that this machine does not reach.
    """
    if service.out_of_reach:
        raise InputError(
            f"{service.component} on {service.host} cannot be asked from here, so that nothing could be proven: "
            f"{service.out_of_reach}",
            where=service.key,
            todo="run Firescreen on that host itself (connect: local), or let it be reached from here",
        )


@dataclass(frozen=True, slots=True)
class Client:
    """A component that asks others: a Prometheus by its jobs, a blackbox exporter by its modules."""

    host: HostFacts
    service: Service
    own: OwnFiles
    beside: tuple[Service, ...] = ()
    """Further instances that read the same configuration: they take an edit of it as well."""

    @property
    def key(self) -> str:
        """`host/component`, of a further instance `host/component/unit`."""
        return self.service.key

    @property
    def place(self) -> str:
        """Where it stands, in the ids of what is made for a Prometheus: its host, of a further instance its key."""
        return self.key if self.service.instance else self.service.host

    @property
    def stem(self) -> str:
        """What the names of its own files begin with."""
        return _stem(self.service.component, self.service.instance)

    def _own(self, name: str) -> str:
        """The path of a file beside its configuration, under a name of its own where another client's lies there."""
        shared = self.service.instance or _comes_after(self.host, self.service, _config_folder)
        return posixpath.join(self.folder, f"{self.stem}-{name}" if shared else name)

    @property
    def folder(self) -> str:
        """Where its configuration lies, and with it what it needs to be let in."""
        return posixpath.dirname(self.service.config_file)

    @property
    def pair(self) -> tuple[str, str]:
        """The certificate and key that it shows to servers, if they are made here."""
        name = f"{self.stem}-client"
        return tuple(posixpath.join(self.folder, f"{name}.{end}") for end in ("crt", "key"))  # type: ignore[return-value]

    @property
    def spare_pair(self) -> tuple[str, str]:
        """The same where `pair` is taken, or in use while it is replaced."""
        name = f"{self.stem}-client-2"
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

    @property
    def group(self) -> str:
        """The group that may read its files: the service's; root's where that exists only while it runs."""
        return "root" if self.service.dynamic else self.service.group

    def trust_file(self, server: Server, *, own_ca: bool) -> str:
        """The CA bundle for a server: one's own CA, or the server's pinned certificate."""
        name = "firescreen-ca.crt" if own_ca else f"{server.label}.crt"
        return self._own(name)

    def place_trust(self, place: str) -> str:
        """The bundle of a place whose servers have pinned certificates of their own each."""
        name = re.sub(r"[^A-Za-z0-9._-]", "-", place)
        return self._own(f"firescreen-{name}.crt")

    def password_file(self, user: UserSpec) -> str:
        """The file that the password is read from at every request."""
        plain = self.service.component == "prometheus" and not self.service.instance
        return posixpath.join(self.folder, f"{'' if plain else f'{self.stem}-'}{user.name}.password")

    def means(self, address: str, server: Server, *, scheme: str = "") -> bool:
        """Whether host:port, as this client has it, is that server as seen from the client's host."""
        return identity.means(self.host, address, server.listener, scheme=scheme)

    def step(
        self, kind: StepKind, *, title: str, why: str, changes: Iterable[Change], step_id: str = ""
    ) -> PlannedStep:
        """A step that is about this client; its id is made of kind and key where none is given."""
        return PlannedStep(
            id=step_id or f"{kind}:{self.key}",
            kind=kind,
            title=title,
            host=self.host.spec.name,
            why=why,
            changes=tuple(changes),
            role=Role.CLIENT,
            component=self.service.component,
            instance=self.service.instance,
        )

    @property
    def config_kind(self) -> ContentKind:
        """What its configuration is."""
        prometheus = self.service.component == "prometheus"
        return ContentKind.PROMETHEUS_CONFIG if prometheus else ContentKind.BLACKBOX_CONFIG

    @property
    def content(self) -> bytes:
        """Its configuration as it was read; b'' if there is none."""
        state = self.host.files.get(self.service.config_file)
        return state.content if state is not None else b""

    @property
    def texts(self) -> dict[str, bytes]:
        """Its configuration as it was read, by path: its own file, then those that it includes; {} if there is none.

        Raises:
            ConfigError: it cannot be read.
        """
        if self.host.files.get(self.service.config_file) is None:
            return {}
        found = {self.service.config_file: self.content}
        if self.service.component == "prometheus":
            files = self._files
            with located(self.host.spec.name, self.service.config_file):
                included = scrape.included_files(self.content, folder=self.folder, files=files)
            found |= {path: content for path in included if (content := files[path]) is not None}
        return found

    @property
    def _files(self) -> dict[str, bytes | None]:
        return {path: found.content if found else None for path, found in self.host.files.items()}

    def resolve(self, place: Place, named: str) -> str:
        """The absolute path of a file that a place names: relative paths begin where the place stands."""
        return posixpath.join(posixpath.dirname(place.path) or self.folder, named)

    def places(self, texts: Mapping[str, bytes] | None = None) -> tuple[Place, ...]:
        """The places of its configuration: as it was read, or as `texts` (by path, all of it) has it.

        Raises:
            ConfigError: it cannot be read.
        """
        files = self._files
        major = 2 if self.service.version.startswith("2.") else 3
        found: list[Place] = []
        for path, content in (self.texts if texts is None else texts).items():
            own = path == self.service.config_file
            folder = self.folder if own else posixpath.dirname(path)
            with located(self.host.spec.name, path):
                mine = places(self.service.component, content, folder=folder, files=files, major=major)
            found += mine if own else (replace(each, path=path) for each in mine if each.kind == "job")
        return tuple(found)


def by_host(found: Iterable[tuple[str, tuple[str, ...]]]) -> dict[str, tuple[str, ...]]:
    """(host, paths) put together by host."""
    together: dict[str, tuple[str, ...]] = {}
    for host, paths in found:
        together[host] = (*together.get(host, ()), *paths)
    return together


def _home(service: Service) -> str:
    return posixpath.dirname(service.web_config) if service.web_config else service.home


def _config_folder(service: Service) -> str:
    return posixpath.dirname(service.config_file) if service.component in _ASKING else ""


def _comes_after(host: HostFacts, service: Service, folder: Callable[[Service], str]) -> bool:
    """Whether another service of a host has the same folder and goes first there: Prometheus, then by name."""

    def rank(each: Service) -> tuple[bool, str, str]:
        return each.component != "prometheus", each.component, each.instance

    mine = folder(service)
    return any(mine and folder(each) == mine and rank(each) < rank(service) for each in host.services)


def _stem(component: str, unit: str) -> str:
    if not unit:
        return component
    # A template's instance (prometheus@a) may hold what a file name should not.
    safe = re.sub(r"[^A-Za-z0-9_.@-]", lambda found: f"_{ord(found[0]):x}", unit)
    return safe if re.match(rf"{re.escape(component)}[-_@.]", safe) else f"{component}-{safe}"


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
        service = host.service(spec.name, spec.unit)
        if service is None:
            unit = f" in a unit {spec.unit}" if spec.unit else ""
            raise InputError(
                f"there is no {spec.name}{unit} on {spec.host}",
                where=stack.source or spec.host,
                todo=f"install and start it (unmask its unit, where that is masked), or take {spec.key} out of the stack",
            )
        # What starts its program in a way of its own cannot be given a flag from here.
        unset = not service.is_manual and service.flags.kind == "manual" and not service.web_config
        if spec.service == "manual" or unset:
            service = replace(
                service, manager=MANUAL, kind=service.kind or "process", flags=FlagPlace("manual")
            )
        found.append(Server(spec, host, service))
    return tuple(found)


def known_hosts(facts: Facts) -> tuple[HostFacts, ...]:
    """The hosts of the stack that could be read, without the workspace."""
    return tuple(host for name, host in facts.hosts.items() if name != WORKSPACE)


def as_server(client: Client) -> Server:
    """A client as something that is asked itself: for telling whether an address means it."""
    spec = ComponentSpec(
        host=client.host.spec.name, name=client.service.component, unit=client.service.instance
    )
    return Server(spec, client.host, client.service)


def scrapers(stack: Stack, facts: Facts) -> tuple[Client, ...]:
    """Every Prometheus of the stack's hosts whose configuration is known, and that runs or is named there."""
    return _clients(stack, facts, "prometheus")


def probers(stack: Stack, facts: Facts) -> tuple[Client, ...]:
    """Every blackbox exporter of the stack's hosts whose configuration is known, and that runs or is named there."""
    return _clients(stack, facts, "blackbox_exporter")


def _clients(stack: Stack, facts: Facts, component: str) -> tuple[Client, ...]:
    own = {spec.key: spec.files for spec in stack.components if spec.name == component}
    found: dict[tuple[str, str], Client] = {}
    for host in facts.hosts.values():
        instances = dict.fromkeys(each.instance for each in host.services if each.component == component)
        for instance in sorted(instances):
            service = host.service(component, instance)
            if service is None or not service.config_file:
                continue
            if not service.active and service.key not in own:
                continue  # left over from a package, say: it asks nobody
            place = host.spec.name, service.config_file
            first = found.get(place)
            found[place] = (
                Client(host, service, own.get(service.key, OwnFiles()))
                if first is None
                else replace(first, beside=(*first.beside, service))
            )
    return tuple(found.values())


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
        paths += server.own_dropins
        paths += _named_in_web_config(server)
        wanted.setdefault(server.spec.host, []).extend(paths)
    for client in (*scrapers(stack, facts), *probers(stack, facts)):
        paths = [client.service.config_file, *client.pair, *client.spare_pair]
        paths += _included(client)
        paths += [client.password_file(user) for user in stack.users]
        for server in servers(stack, facts):
            paths += [client.trust_file(server, own_ca=own) for own in (True, False)]
        paths += _named_by_client(client)
        paths += _own_files(client.own)
        wanted[WORKSPACE].append(trust_copy(facts, as_server(client)))
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
        folders += server.flag_folders
        wanted.setdefault(server.spec.host, []).extend(folders)
    return {host: tuple(dict.fromkeys(paths)) for host, paths in wanted.items()}


def _named_in_web_config(server: Server) -> list[str]:
    state = server.host.files.get(server.web_file)
    if state is None:
        return []
    try:
        config = web_config.parse(state.content)
    except ConfigError:
        return []  # the planner says so, with the place
    named = (config.cert_file, config.key_file, config.client_ca_file)
    return [posixpath.join(server.home, name) for name in named if name]


def _own_files(files: OwnFiles) -> list[str]:
    named = (files.cert_file, files.key_file, files.ca_file)
    return [
        name for name in (*named, files.client_cert_file, files.client_key_file, files.client_ca_file) if name
    ]


def _included(client: Client) -> list[str]:
    """The paths and globs of the files that a client's configuration includes."""
    if client.service.component != "prometheus" or not client.content:
        return []
    try:
        return list(scrape.included_patterns(client.content, client.folder))
    except ConfigError:
        return []  # the planner says so, with the place


def _named_by_client(client: Client) -> list[str]:
    """The files that a client's configuration names: CAs, pairs, passwords, lists of targets, its own bundles."""
    try:
        texts = client.texts
    except ConfigError:
        return []
    return [name for path, content in texts.items() for name in _named_in(client, path, content)]


def _named_in(client: Client, path: str, content: bytes) -> list[str]:
    folder = posixpath.dirname(path)
    try:
        if client.service.component == "blackbox_exporter":
            modules = blackbox.modules(content)
            named = [client.place_trust(f"module {module.name}") for module in modules]
            said = [(module.tls, module.basic_auth) for module in modules]
        else:
            jobs, blocks = scrape.jobs(content), scrape.clients(content)
            named = [*scrape.sd_files(content, folder)]
            named += [client.place_trust(f"job {job.name}") for job in jobs]
            named += [client.place_trust(block.title) for block in blocks]
            said = [(job.tls, job.basic_auth) for job in jobs]
            said += [(block.tls, block.basic_auth) for block in blocks]
    except ConfigError:
        return []
    named += [tls.get(key, "") for tls, _ in said for key in ("ca_file", "cert_file", "key_file")]
    named += [basic.get("password_file", "") for _, basic in said]
    return [posixpath.join(folder, name) for name in named if name]


def config_files(facts: Facts, service: Service) -> tuple[str, ...]:
    """The files of a service's configuration: its own, and those that it includes."""
    try:
        found = tuple(Client(facts.hosts[service.host], service, OwnFiles()).texts)
    except ConfigError:
        found = ()
    return found or (service.config_file,)
