"""A container as the Docker daemon describes it: what the planner, the audit and the screens know of it."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from dataclasses import dataclass

_EVERYWHERE = ("", "0.0.0.0", "::")  # noqa: S104 - compared with, not bound to


@dataclass(frozen=True, slots=True)
class Mount:
    """What a container sees of its host.

    kind: bind, volume or tmpfs. source: the path on the host; '' for a tmpfs. target: the path in the container.
    """

    kind: str
    source: str
    target: str
    writable: bool = False


@dataclass(frozen=True, slots=True)
class PublishedPort:
    """A port of a container that the daemon publishes on the host; address '' for all addresses."""

    inside: int
    address: str
    port: int

    @property
    def is_everywhere(self) -> bool:
        """Whether it is reachable on every address of the host."""
        return self.address in _EVERYWHERE


@dataclass(frozen=True, slots=True)
class ContainerNetwork:
    """A network that a container is attached to, with the names by which others there find it."""

    name: str
    address: str = ""
    gateway: str = ""
    """The host's own address in that network; '' where it has none."""
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """What `docker inspect` says of the container that a component runs in."""

    name: str
    image: str
    """As it was named when the container was made, e.g. prom/prometheus:v3.5.0."""
    project: str = ""
    """The Compose project, or '' for a container that Compose did not make."""
    service: str = ""
    """The service of that project."""
    compose_files: tuple[str, ...] = ()
    """The absolute paths of the project's files, the one that counts last at the end."""
    folder: str = ""
    """The project's working directory."""
    uid: int = 0
    """The user number that its main process has on the host."""
    gid: int = 0
    """Likewise its group."""
    mounts: tuple[Mount, ...] = ()
    published: tuple[PublishedPort, ...] = ()
    networks: tuple[ContainerNetwork, ...] = ()
    network_mode: str = ""
    """bridge, host, none, container:ID or the name of a network."""
    inside_port: int = 0
    """The port that the component listens on in the container."""
    extra_hosts: tuple[tuple[str, str], ...] = ()
    """(name, address) of its own hosts file; host-gateway stands for the host."""
    healthcheck: tuple[str, ...] = ()
    """The words of its test, as the daemon has them; () for none."""
    health: str = ""
    """healthy, unhealthy, starting, or '' without a health check."""
    state: str = ""
    """running, restarting, exited, created or paused."""
    command: tuple[str, ...] = ()
    """Its own command (CMD), which is its image's where no Compose file says another."""
    run_options: tuple[str, ...] = ()
    """Of a container that no Compose file describes: the options of the `docker run` that makes its like."""
    compose: str = ""
    """The command that runs Compose there, such as 'docker compose'; '' where there is none."""
    engine: str = "docker"
    """The command that asks its engine, such as 'docker', 'docker -H unix:///run/user/1000/docker.sock' or 'podman'."""
    quadlet: str = ""
    """The `.container` file from which Podman has systemd run it; '' for none."""
    unit: str = ""
    """With Podman: the systemd unit that runs it, with its `.service`."""
    unchangeable: str = ""
    """Why Firescreen does not change it, a clause with the container as its subject; '' where it does."""
    pending: str = ""
    """What Compose would change about it by itself, likewise a clause; '' for nothing, or where it was not asked."""

    @property
    def words(self) -> str:
        """What it is, e.g. 'container monitoring-prometheus-1 (Compose project monitoring, service prometheus)'."""
        if self.quadlet:
            return f"container {self.name} (quadlet {posixpath.basename(self.quadlet)})"
        if not self.is_compose:
            return f"container {self.name}"
        return f"container {self.name} (Compose project {self.project}, service {self.service})"

    @property
    def is_compose(self) -> bool:
        """Whether a Compose file describes it."""
        return bool(self.project and self.service)

    @property
    def is_described(self) -> bool:
        """Whether a file that can be edited describes it: a Compose file, or a quadlet."""
        return self.is_compose or bool(self.quadlet)

    @property
    def file(self) -> str:
        """The file that describes it and counts last; '' for none."""
        return self.quadlet or (self.compose_files[-1] if self.compose_files else "")

    @property
    def engine_title(self) -> str:
        """What its engine is called: Docker or Podman."""
        return "Podman" if self.engine.split()[-1:] == ["podman"] else "Docker"

    @property
    def command_words(self) -> list[str]:
        """The words before what its engine is asked."""
        return self.engine.split()

    @property
    def has_own_network(self) -> bool:
        """Whether its loopback address is another than the host's."""
        return self.network_mode != "host"

    @property
    def is_reachable(self) -> bool:
        """Whether its host reaches the component at a place that stays when the container is made anew."""
        return not self.has_own_network or any(each.inside == self.inside_port for each in self.published)

    @property
    def own_names(self) -> tuple[str, ...]:
        """Its names in its networks: service, aliases, container name; () in the host's network and Docker's own."""
        return self._best_first(alias for network in self.networks for alias in network.aliases)

    @property
    def is_root(self) -> bool:
        """Whether its main process runs as root on the host."""
        return self.uid == 0

    def mount_of(self, path: str) -> Mount | None:
        """The mount that holds an absolute path of the container; None where that lies in its image."""
        held = [each for each in self.mounts if _within(path, each.target)]
        return max(held, key=lambda each: len(each.target), default=None)

    def on_host(self, path: str) -> str:
        """The host's path of what the container has at an absolute path; '' where that lies in its image."""
        mount = self.mount_of(path)
        if mount is None or not mount.source:
            return ""
        rest = posixpath.normpath(path)[len(mount.target.rstrip("/")) :].lstrip("/")
        return posixpath.join(mount.source, rest) if rest else mount.source

    def inside(self, path: str) -> str:
        """The container's path of what the host has at an absolute path; '' where the container does not have it."""
        held = [each for each in self.mounts if each.source and _within(path, each.source)]
        mount = max(held, key=lambda each: len(each.source), default=None)
        if mount is None:
            return ""
        rest = posixpath.normpath(path)[len(mount.source.rstrip("/")) :].lstrip("/")
        return posixpath.join(mount.target, rest) if rest else mount.target

    def sees(self, path: str) -> bool:
        """Whether an absolute path leads to the same file in the container as on the host."""
        return self.on_host(path) == path

    def names_in(self, other: Container) -> tuple[str, ...]:
        """The names and addresses by which another container reaches this one through a network of both."""
        shared = {each.name for each in other.networks}
        found: list[str] = []
        for network in self.networks:
            if network.name in shared:
                found += network.aliases
        found += [each.address for each in self.networks if each.name in shared]
        if other.name == self.name:
            found += ["localhost", "127.0.0.1"]
        return self._best_first(filter(None, found))

    def _best_first(self, names: Iterable[str]) -> tuple[str, ...]:
        """Each once; the service's name, which stays whatever the container is called, before all."""
        return tuple(sorted(dict.fromkeys(names), key=lambda name: name != self.service))


def _within(path: str, folder: str) -> bool:
    clean = folder.rstrip("/")
    return posixpath.normpath(path) == clean or posixpath.normpath(path).startswith(f"{clean}/")
