"""Where everything goes: the paths and rights of each file that a plan may read or write. Pure.

One place decides them, so that the planner, the list of files to read and the words for a person agree.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, replace

from wizard.components import component as find_component
from wizard.configs import prometheus as scrape
from wizard.configs import web
from wizard.errors import ConfigError, InputError
from wizard.model import WORKSPACE, ComponentSpec, Facts, FlagPlace, HostFacts, Service, Stack, UserSpec

LOOPBACK = ("localhost", "127.0.0.1", "::1")


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
        return self.service.web_config or posixpath.join(self.home, "web.yml")

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


@dataclass(frozen=True, slots=True)
class Scraper:
    """A Prometheus whose scrape jobs are clients of the servers."""

    host: HostFacts
    service: Service

    @property
    def folder(self) -> str:
        """Where its configuration lies, and with it what its jobs need."""
        return posixpath.dirname(self.service.config_file)

    @property
    def owner(self) -> str:
        """As for a server."""
        return "root" if self.host.root else self.host.user

    def trust_file(self, server: Server, *, own_ca: bool) -> str:
        """The CA bundle for a server: one's own CA, or the server's pinned certificate."""
        name = "firescreen-ca.crt" if own_ca else f"{server.label}.crt"
        return posixpath.join(self.folder, name)

    def password_file(self, user: UserSpec) -> str:
        """The file that the job reads the password from at every scrape."""
        return posixpath.join(self.folder, f"{user.name}.password")

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


def servers(stack: Stack, facts: Facts) -> tuple[Server, ...]:
    """The components that are to be protected.

    Raises:
        InputError: one of them was not found on its host.
    """
    found = []
    for spec in stack.components:
        if not spec.protect:
            continue
        host = facts.hosts[spec.host]
        service = host.service(spec.name)
        if service is None:
            raise InputError(
                f"there is no {spec.name} on {spec.host}",
                where=stack.source or spec.host,
                todo=f"install and start it, or take {spec.key} out of the stack",
            )
        if spec.service == "manual":
            service = replace(
                service, manager="manual", kind=service.kind or "process", flags=FlagPlace("manual")
            )
        found.append(Server(spec, host, service))
    return tuple(found)


def scrapers(facts: Facts) -> tuple[Scraper, ...]:
    """Every Prometheus of the stack whose configuration is known."""
    return tuple(
        Scraper(host, service)
        for host in facts.hosts.values()
        if (service := host.service("prometheus")) is not None and service.config_file
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


def trust_copy(facts: Facts, server: Server) -> str:
    """What the probes trust for a server."""
    return workspace_path(facts, "trust", f"{server.label}.crt")


def wanted_files(stack: Stack, facts: Facts) -> dict[str, tuple[str, ...]]:
    """Paths to read, by host, given what is known so far; asked again until nothing new is wanted.

    Files name other files (a web configuration its key), so this takes a few rounds.
    """
    wanted: dict[str, list[str]] = {WORKSPACE: list(ca_pair(facts))}
    for user in stack.users:
        wanted[WORKSPACE] += [*user_files(facts, user), wrong_user_file(facts, user)]
        if user.file:
            wanted[WORKSPACE].append(posixpath.abspath(user.file))
    for server in servers(stack, facts):
        wanted[WORKSPACE].append(trust_copy(facts, server))
        paths = [server.web_file, *server.pair, *server.spare_pair]
        if server.service.flags.path:
            paths.append(server.service.flags.path)
        paths += _named_in_web_config(server)
        wanted.setdefault(server.spec.host, []).extend(paths)
    for scraper in scrapers(facts):
        paths = [scraper.service.config_file]
        paths += [scraper.password_file(user) for user in stack.users]
        for server in servers(stack, facts):
            paths += [scraper.trust_file(server, own_ca=own) for own in (True, False)]
        paths += _named_in_jobs(scraper)
        wanted.setdefault(scraper.host.spec.name, []).extend(paths)
    return {host: tuple(dict.fromkeys(paths)) for host, paths in wanted.items()}


def wanted_folders(stack: Stack, facts: Facts) -> dict[str, tuple[str, ...]]:
    """Folders whose existence matters, by host."""
    wanted: dict[str, list[str]] = {
        WORKSPACE: [workspace_path(facts, name) for name in ("ca", "users", "trust")]
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


def _named_in_jobs(scraper: Scraper) -> list[str]:
    state = scraper.host.files.get(scraper.service.config_file)
    if state is None:
        return []
    try:
        jobs = scrape.jobs(state.content)
    except ConfigError:
        return []
    named = [
        name
        for job in jobs
        for name in (
            job.tls.get("ca_file", ""),
            job.tls.get("cert_file", ""),
            job.tls.get("key_file", ""),
            job.basic_auth.get("password_file", ""),
        )
    ]
    return [posixpath.join(scraper.folder, name) for name in named if name]
