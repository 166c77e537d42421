"""A component that connects to others, with the facts about it and the path of each of its files. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from wizard.config_files import prometheus as scrape
from wizard.errors import ConfigError
from wizard.model import ContentKind, HostFacts, OwnFiles, Role, Service, UserSpec
from wizard.planner import container_names, identity
from wizard.planner.client_endpoints import Place, locate_errors, places
from wizard.planner.participant import Participant
from wizard.planner.server_facts import Server
from wizard.planner.service_folders import comes_after, config_folder, file_stem


@dataclass(frozen=True, slots=True)
class Client(Participant):
    """A component that connects to others: a Prometheus by its jobs, a blackbox exporter by its modules."""

    role: ClassVar[Role] = Role.CLIENT
    host: HostFacts
    service: Service
    own: OwnFiles
    beside: tuple[Service, ...] = ()
    """Further instances that read the same configuration: an edit changes them as well."""

    @property
    def component(self) -> str:
        """The name of its component."""
        return self.service.component

    @property
    def instance(self) -> str:
        """The unit if this is not the usual instance on its host; '' otherwise."""
        return self.service.instance

    @property
    def place(self) -> str:
        """Its name in the ids of steps for a Prometheus: the host, or for a further instance the key."""
        return self.key if self.service.instance else self.service.host

    @property
    def stem(self) -> str:
        """The prefix of its own files' names."""
        return file_stem(self.service.component, self.service.instance)

    def _own(self, name: str) -> str:
        """The path of a file beside its configuration, with a name of its own if another client's file has that path."""
        shared = self.service.instance or comes_after(self.host, self.service, config_folder)
        return posixpath.join(self.own_folder, f"{self.stem}-{name}" if shared else name)

    @property
    def folder(self) -> str:
        """The folder of its configuration."""
        return posixpath.dirname(self.service.config_file)

    @property
    def own_folder(self) -> str:
        """The folder of its CA bundle, certificate and password: that of its configuration.

        A container has a folder for them, mounted under the same path as on its host.
        """
        return self.service.home if self.service.container is not None else self.folder

    @property
    def pair(self) -> tuple[str, str]:
        """The certificate and key that it presents to servers, if Firescreen creates them."""
        name = f"{self.stem}-client"
        return tuple(posixpath.join(self.own_folder, f"{name}.{end}") for end in ("crt", "key"))  # type: ignore[return-value]

    @property
    def spare_pair(self) -> tuple[str, str]:
        """The pair's paths if those of `pair` are taken, or in use during a replacement."""
        name = f"{self.stem}-client-2"
        return tuple(posixpath.join(self.own_folder, f"{name}.{end}") for end in ("crt", "key"))  # type: ignore[return-value]

    @property
    def names(self) -> tuple[str, ...]:
        """The names in its certificate: the component, and the component on its host."""
        component = self.service.component.replace("_", "-")
        host = self.service.host.replace("_", "-")
        return tuple(dict.fromkeys((component, f"{component}.{host}")))

    @property
    def owner(self) -> str:
        """The owner of its files, as for a server."""
        return "root" if self.host.root else self.host.user

    @property
    def group(self) -> str:
        """The group that may read its files: the service's, or root's if the service's exists only while it runs."""
        return "root" if self.service.dynamic else self.service.group

    def trust_file(self, server: Server, *, own_ca: bool) -> str:
        """The CA bundle for a server: one's own CA, or the server's pinned certificate."""
        name = "firescreen-ca.crt" if own_ca else f"{server.label}.crt"
        return self._own(name)

    def place_trust(self, place: str) -> str:
        """The CA bundle of a place whose servers have a pinned certificate each."""
        name = re.sub(r"[^A-Za-z0-9._-]", "-", place)
        return self._own(f"firescreen-{name}.crt")

    def password_file(self, user: UserSpec) -> str:
        """The file with the password, which it reads at every request."""
        plain = self.service.component == "prometheus" and not self.service.instance
        return posixpath.join(self.own_folder, f"{'' if plain else f'{self.stem}-'}{user.name}.password")

    def means(self, address: str, server: Server, *, scheme: str = "") -> bool:
        """Whether host:port in this client's configuration means that server, as seen from the client's host."""
        own = identity.Listener(self.host, self.service)
        return container_names.means(self.service, own, address, server.listener, scheme=scheme)

    def target_of(self, server: Server) -> str:
        """host:port by which this client will scrape a server that it does not scrape yet."""
        own = identity.Listener(self.host, self.service)
        return container_names.target(self.service, own, server.listener, server.address)

    @property
    def known_places(self) -> tuple[Place, ...]:
        """Its places; none if its configuration cannot be parsed, which the planner reports with the line."""
        try:
            return self.places()
        except ConfigError:
            return ()

    @property
    def config_kind(self) -> ContentKind:
        """The kind of content of its configuration."""
        prometheus = self.service.component == "prometheus"
        return ContentKind.PROMETHEUS_CONFIG if prometheus else ContentKind.BLACKBOX_CONFIG

    @property
    def content(self) -> bytes:
        """Its configuration as read; b'' if there is none."""
        state = self.host.files.get(self.service.config_file)
        return state.content if state is not None else b""

    @property
    def texts(self) -> dict[str, bytes]:
        """Its configuration as read, by path: the main file, then the included ones; {} if there is none.

        Raises:
            ConfigError: it cannot be parsed.
        """
        if self.host.files.get(self.service.config_file) is None:
            return {}
        found = {self.service.config_file: self.content}
        if self.service.component == "prometheus":
            files = self._files
            with locate_errors(self.host.spec.name, self.service.config_file):
                included = scrape.included_files(self.content, folder=self.folder, files=files)
            found |= {
                on_host(self.service, path): content
                for path in included
                if (content := files[path]) is not None
            }
        return found

    @property
    def _files(self) -> dict[str, bytes | None]:
        found = {path: state.content if state else None for path, state in self.host.files.items()}
        box = self.service.container
        inside = ((box.inside(path), content) for path, content in found.items()) if box is not None else ()
        return found | {path: content for path, content in inside if path}

    def resolve(self, place: Place, named: str) -> str:
        """The absolute path of a file that a place names: relative paths begin at the file with the place."""
        return on_host(self.service, posixpath.join(posixpath.dirname(place.path) or self.folder, named))

    def places(self, texts: Mapping[str, bytes] | None = None) -> tuple[Place, ...]:
        """The places of its configuration as read, or of `texts` (all of it, by path).

        Raises:
            ConfigError: it cannot be parsed.
        """
        files = self._files
        major = 2 if self.service.version.startswith("2.") else 3
        found: list[Place] = []
        for path, content in (self.texts if texts is None else texts).items():
            own = path == self.service.config_file
            folder = self.folder if own else posixpath.dirname(path)
            with locate_errors(self.host.spec.name, path):
                mine = places(self.service.component, content, folder=folder, files=files, major=major)
            found += mine if own else (replace(each, path=path) for each in mine if each.kind == "job")
        return tuple(found)


def on_host(service: Service, path: str) -> str:
    """The host's path of a file that a component names by an absolute path: a container has other paths."""
    box = service.container
    return (box.on_host(path) if box is not None else "") or path
