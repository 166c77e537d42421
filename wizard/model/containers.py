"""A container as its engine describes it, for the planner, the audit and the screens."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from dataclasses import dataclass

_EVERYWHERE = ("", "0.0.0.0", "::")  # noqa: S104 - compared with, not bound to


@dataclass(frozen=True, slots=True)
class Mount:
    """A mount of a container.

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
    """A network that a container is attached to, with the container's names in it (`aliases`)."""

    name: str
    address: str = ""
    gateway: str = ""
    """The host's address in that network; '' if it has none."""
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """The container that a component runs in, from `docker inspect` or `podman inspect`."""

    name: str
    image: str
    """The image name with which the container was created, e.g. prom/prometheus:v3.5.0."""
    project: str = ""
    """The Compose project; '' if Compose did not create the container."""
    service: str = ""
    """The service in that project."""
    compose_files: tuple[str, ...] = ()
    """The absolute paths of the project's files; later ones override earlier ones."""
    folder: str = ""
    """The project's working directory."""
    uid: int = 0
    """The user id of its main process on the host."""
    gid: int = 0
    """The group id of its main process on the host."""
    mounts: tuple[Mount, ...] = ()
    published: tuple[PublishedPort, ...] = ()
    networks: tuple[ContainerNetwork, ...] = ()
    network_mode: str = ""
    """'bridge', 'host', 'none', 'container:ID' or the name of a network."""
    inside_port: int = 0
    """The port on which the component listens in the container."""
    extra_hosts: tuple[tuple[str, str], ...] = ()
    """(name, address) entries of its hosts file; host-gateway stands for the host."""
    healthcheck: tuple[str, ...] = ()
    """The words of its health check's test; () for none."""
    health: str = ""
    """'healthy', 'unhealthy', 'starting', or '' without a health check."""
    state: str = ""
    """'running', 'restarting', 'exited', 'created' or 'paused'."""
    command: tuple[str, ...] = ()
    """Its command (CMD): that of the Compose file, or else of the image."""
    run_options: tuple[str, ...] = ()
    """For a container without a Compose file: the options for `docker run` that create an equal one."""
    compose: str = ""
    """The command that runs Compose on its host, e.g. 'docker compose'; '' if there is none."""
    engine: str = "docker"
    """The command of its engine, e.g. 'docker', 'docker -H unix:///run/user/1000/docker.sock' or 'podman'."""
    quadlet: str = ""
    """The `.container` file from which Podman creates its systemd unit; '' for none."""
    unit: str = ""
    """With Podman: the systemd unit that runs it, including `.service`."""
    unchangeable: str = ""
    """Why Firescreen cannot change it, as a clause with the container as subject; '' if it can."""
    pending: str = ""
    """What Compose would change when it recreates the container, as such a clause; '' if nothing, or not checked."""

    @property
    def words(self) -> str:
        """Its name for a person, e.g. 'container monitoring-prometheus-1 (Compose project monitoring, service prometheus)'."""
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
        """Whether a file describes it that can be edited: a Compose file or a quadlet."""
        return self.is_compose or bool(self.quadlet)

    @property
    def file(self) -> str:
        """The quadlet, or the last Compose file, which overrides the others; '' for none."""
        return self.quadlet or (self.compose_files[-1] if self.compose_files else "")

    @property
    def engine_title(self) -> str:
        """The name of its engine: Docker or Podman."""
        return "Podman" if self.engine.split()[-1:] == ["podman"] else "Docker"

    @property
    def command_words(self) -> list[str]:
        """The words of the engine's command."""
        return self.engine.split()

    @property
    def has_own_network(self) -> bool:
        """Whether it has a network namespace of its own, and with it another loopback address than the host."""
        return self.network_mode != "host"

    @property
    def is_reachable(self) -> bool:
        """Whether its host reaches the component at an address that stays the same if the container is recreated."""
        return not self.has_own_network or any(each.inside == self.inside_port for each in self.published)

    @property
    def own_names(self) -> tuple[str, ...]:
        """Its names in its networks: service, aliases, container name; () in the host's and Docker's default network."""
        return self._best_first(alias for network in self.networks for alias in network.aliases)

    @property
    def is_root(self) -> bool:
        """Whether its main process runs as root on the host."""
        return self.uid == 0

    def mount_of(self, path: str) -> Mount | None:
        """The mount that contains an absolute path in the container; None if the path is in its image."""
        containing = [each for each in self.mounts if _within(path, each.target)]
        return max(containing, key=lambda each: len(each.target), default=None)

    def on_host(self, path: str) -> str:
        """The path on the host for an absolute path in the container; '' if that is in its image."""
        mount = self.mount_of(path)
        if mount is None or not mount.source:
            return ""
        rest = posixpath.normpath(path)[len(mount.target.rstrip("/")) :].lstrip("/")
        return posixpath.join(mount.source, rest) if rest else mount.source

    def inside(self, path: str) -> str:
        """The path in the container for an absolute path on the host; '' if it is not mounted."""
        containing = [each for each in self.mounts if each.source and _within(path, each.source)]
        mount = max(containing, key=lambda each: len(each.source), default=None)
        if mount is None:
            return ""
        rest = posixpath.normpath(path)[len(mount.source.rstrip("/")) :].lstrip("/")
        return posixpath.join(mount.target, rest) if rest else mount.target

    def sees(self, path: str) -> bool:
        """Whether an absolute path leads to the same file in the container as on the host."""
        return self.on_host(path) == path

    def names_in(self, other: Container) -> tuple[str, ...]:
        """The names and addresses by which another container reaches this one through a shared network."""
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
        """The names without duplicates; the service's name comes first, because it does not depend on the container."""
        return tuple(sorted(dict.fromkeys(names), key=lambda name: name != self.service))


def _within(path: str, folder: str) -> bool:
    clean = folder.rstrip("/")
    return posixpath.normpath(path) == clean or posixpath.normpath(path).startswith(f"{clean}/")
