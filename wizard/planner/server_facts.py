"""A component to protect, with the facts about it and the path of each of its files. Pure."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import ClassVar

from wizard.components import component as find_component
from wizard.config_files import unit_settings
from wizard.errors import InputError
from wizard.model import (
    Change,
    ComponentSpec,
    ContentKind,
    FileState,
    HostFacts,
    MakeFolder,
    ManualCommand,
    Role,
    Service,
    Stack,
)
from wizard.planner import identity, manual_commands
from wizard.planner.participant import Participant
from wizard.planner.service_folders import comes_after, file_stem, home_folder


@dataclass(frozen=True, slots=True)
class Server(Participant):
    """A component to protect, with the facts about it."""

    role: ClassVar[Role] = Role.SERVER
    spec: ComponentSpec
    host: HostFacts
    service: Service

    @property
    def component(self) -> str:
        """The component's name."""
        return self.spec.name

    @property
    def instance(self) -> str:
        """The unit if this is not the usual instance on its host; '' otherwise."""
        return self.spec.unit

    @property
    def title(self) -> str:
        """The component's name, with the unit of a further instance."""
        return f"{self.spec.name} ({self.spec.unit})" if self.spec.unit else self.spec.name

    @property
    def label(self) -> str:
        """host-component, for file names."""
        return f"{self.spec.host}-{self.stem}"

    @property
    def stem(self) -> str:
        """The prefix of its own files' names, different for each instance on a host."""
        return file_stem(self.spec.name, self.spec.unit)

    def _own(self, name: str) -> str:
        """The path of a file in its home, with a name of its own if another service has the same home."""
        plain = posixpath.join(self.home, name)
        others = [each for each in self.host.services if each.key != self.service.key]
        shared = (
            self.spec.unit
            or comes_after(self.host, self.service, home_folder)
            or any(each.web_config == plain for each in others)
        )
        return posixpath.join(self.home, f"{self.stem}-{name}") if shared else plain

    @property
    def owner(self) -> str:
        """The owner of its files: root, or the user it runs as if Firescreen has no root."""
        return "root" if self.host.root else self.host.user

    @property
    def credentials(self) -> str:
        """The folder in which systemd passes copies of its files to it; '' if it reads the files itself."""
        return self.service.credentials

    @property
    def group(self) -> str:
        """The group that may read its files: the service's."""
        return "root" if self.credentials else self.service.group

    @property
    def secret_mode(self) -> int:
        """The mode of files that only it and root may read."""
        return 0o600 if self.credentials else 0o640

    @property
    def web_flag_value(self) -> str:
        """The path of its web configuration as the service sees it."""
        name = posixpath.basename(self.web_file)
        return posixpath.join(self.credentials, name) if self.credentials else self.web_file

    @property
    def home(self) -> str:
        """The folder for its web configuration, key and certificate."""
        return home_folder(self.service)

    @property
    def homes(self) -> tuple[str, ...]:
        """The home and the two folders above it, outermost first: on a new host all may be missing."""
        above = posixpath.dirname(self.home)
        return tuple(path for path in (posixpath.dirname(above), above, self.home) if path not in ("", "/"))

    @property
    def flag_folders(self) -> tuple[str, ...]:
        """The folders above the file with its flags that may be missing, outermost first."""
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
        """Firescreen's existing drop-ins of its unit, apart from the one with its flags."""
        folder = f"/etc/systemd/system/{self.service.unit}.service.d/"
        paths = [path for path, _ in unit_settings.split_files(self.service.unit_text)]
        return tuple(
            path for path in paths if path.startswith(folder) and "firescreen-" in path.removeprefix(folder)
        )

    @property
    def web_file(self) -> str:
        """Its web configuration: the present one, or web.yml in its home."""
        return self.service.web_config or self._own("web.yml")

    @property
    def pair(self) -> tuple[str, str]:
        """The paths of certificate and key if Firescreen creates them."""
        return tuple(posixpath.join(self.home, f"{self.stem}.{end}") for end in ("crt", "key"))  # type: ignore[return-value]

    @property
    def spare_pair(self) -> tuple[str, str]:
        """The paths of certificate and key if the person's own files have those of `pair`."""
        return tuple(  # type: ignore[return-value]
            posixpath.join(self.home, f"{self.stem}-firescreen.{end}") for end in ("crt", "key")
        )

    @property
    def client_ca(self) -> str:
        """The CA bundle for its clients' certificates, unless the person has one."""
        return self._own("client-ca.crt")

    @property
    def cluster_file(self) -> str:
        """For Alertmanager: the TLS configuration of the gossip between peers."""
        flag = find_component(self.spec.name).cluster_flag(self.service.version)
        return self.service.flag(flag) or self._own("cluster-tls.yml")

    @property
    def cluster_pair(self) -> tuple[str, str]:
        """Certificate and key for the gossip, used by a peer as client and as server."""
        return tuple(self._own(f"cluster.{end}") for end in ("crt", "key"))  # type: ignore[return-value]

    @property
    def cluster_ca(self) -> str:
        """The CA bundle by which the peers verify each other."""
        return self._own("cluster-ca.crt")

    def behind_doors(self, stack: Stack) -> bool:
        """Whether a front door of the stack leads to it."""
        return not self.spec.unit and bool(stack.doors_to(self.spec.host, self.spec.name))

    def path_in_web_config(self, path: str) -> str:
        """A file of the home as its web configuration names it: absolute, unless the service sees a copy of the file."""
        return posixpath.basename(path) if self.host.spec.connect == "manual" or self.credentials else path

    @property
    def port(self) -> int:
        """The port on which it listens."""
        return int(self.service.listen.rpartition(":")[2] or find_component(self.spec.name).default_port)

    @property
    def listener(self) -> identity.Listener:
        """The addresses at which it accepts connections, with which targets are compared."""
        return identity.Listener(self.host, self.service)

    @property
    def address(self) -> str:
        """address:port at which a probe from this machine reaches it."""
        host = self.service.listen.rpartition(":")[0] or self.host.spec.address or "127.0.0.1"
        return f"{host}:{self.port}"

    def dropin(self, path: str, after: FileState, *, why: str) -> tuple[Change, ...]:
        """The changes that write a drop-in of its unit and create the folder; () if it is up to date."""
        before = self.host.files.get(path)
        if before is not None and before.content == after.content:
            return ()
        folder = posixpath.dirname(path)
        made: tuple[Change, ...] = ()
        if folder != posixpath.dirname(self.service.flags.path):
            made = self.system_folder(folder, why="systemd reads additions to a unit from this folder.")
        typed = (*manual_commands.text(path, after), ManualCommand(argv=("systemctl", "daemon-reload")))
        return (*made, self.write(path, after, ContentKind.SERVICE_FLAGS, why=why, by_hand=typed))

    def system_folder(self, path: str, *, why: str) -> tuple[MakeFolder, ...]:
        """The change that creates a folder of root on its host; () if it exists."""
        if self.host.folders.get(path) is not None:
            return ()
        host = self.host.spec.name
        return (manual_commands.make_folder(host, path, mode=0o755, owner="root", group="root", why=why),)


def refuse_out_of_reach(service: Service) -> None:
    """Refuses a service that probes cannot reach: it cannot be verified, so its change would be rolled back.

    Raises:
        InputError: its address is not reachable from this machine.
    """
    if service.out_of_reach:
        raise InputError(
            f"{service.component} on {service.host} cannot be reached from this machine, so that it could not be verified: "
            f"{service.out_of_reach}",
            where=service.key,
            todo="Run Firescreen on that host itself (connect: local), or let it be reached from here",
        )
