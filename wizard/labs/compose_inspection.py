"""A lab's containers for checks: by their Compose services, with the files that they mount."""

from __future__ import annotations

import posixpath
import re
import socket
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from wizard.config_files import prometheus as scrape
from wizard.engine.hosts import Hosts
from wizard.errors import HostError
from wizard.labs.inspection import Look
from wizard.model import FileState, Forward, HostSpec, Service, Stack
from wizard.model.containers import Container
from wizard.practice.compose_project import SERVICES, ComposeProject
from wizard.service_managers import discovery

_HASH = re.compile(r"\$2[aby]\$")


class ComposeLook(Look):
    """The containers of a project; each of its services is a host of the lab.

    Args:
        hosts: connections to this machine, one for each service.
        project: the Compose project.
        notes: the folder for a student's notes.
    """

    def __init__(self, hosts: Hosts, project: ComposeProject, *, notes: str) -> None:
        super().__init__(hosts, services_as_hosts(), notes=notes)
        self._project = project
        self.meet()

    def meet(self) -> None:
        """Finds the project's containers, all at once and no others.

        Raises:
            HostError: Docker or this machine is unreachable.
        """
        found = discovery.discover(self._hosts.connection("prometheus"))
        boxes = [each for each in found if each.container and each.container.project == self._project.name]
        for name in SERVICES:
            self._services[name] = tuple(
                replace(each, host=name)
                for each in boxes
                if each.container and each.container.service == name
            )

    def box(self, component_key: str) -> Container:
        """Returns the container of a component.

        Raises:
            HostError: there is none now.
        """
        found = self.service(component_key).container
        assert found is not None
        return found

    def service(self, component_key: str) -> Service:
        """See `LabHosts.service`."""
        try:
            return super().service(component_key)
        except HostError as error:
            error.todo = f"In {self._project.folder}, run: {self._project.compose} up -d"
            raise

    def scrape_address(self, component_key: str) -> str:
        """Returns host:port at which Prometheus scrapes a component from its own container."""
        target = self.target(component_key)
        return target.address if target is not None else self.service(component_key).listen

    def way(self, component_key: str) -> dict[str, Any]:
        """Returns options of a probe that use the published port: names of services are unknown outside the project."""
        role = component_key.partition("/")[0]
        return {"forward": Forward(HostSpec(name=role, connect="local"), self._project.addresses[role])}

    def dial(self, forward: Forward, seconds: float) -> socket.socket:
        """Opens a connection to a published port of this machine."""
        address, _, port = forward.place.rpartition(":")
        return socket.create_connection((address, int(port)), timeout=seconds)

    def _target(self, component_key: str) -> scrape.Scraped | None:
        role, box = component_key.partition("/")[0], self.box(component_key)
        names = {role, box.name, *(alias for each in box.networks for alias in (*each.aliases, each.address))}
        if role == "prometheus":
            names |= {"localhost", "127.0.0.1"}
        for one in self._scraped_targets():
            place, _, port = one.address.rpartition(":")
            if port == str(box.inside_port) and place.strip("[]").lower() in names:
                return one
        return None

    def read(self, component_key: str, path: str) -> FileState | None:
        """Returns a file by its path on the host or in the container."""
        services = self._services.get(component_key.partition("/")[0], ())
        box = services[0].container if services else None
        return super().read(component_key, (box.on_host(path) if box is not None else "") or path)

    def restart_command(self, component_key: str, action: str) -> str:
        """Returns the command that recreates a container or makes its program reload."""
        role = component_key.partition("/")[0]
        words = "up -d --no-deps" if action == "restart" else "kill -s HUP"
        return f"{self._project.compose} {words} {role}"

    def log(self, component_key: str) -> str:
        """Returns the command that shows the log of a container."""
        return f"{self._project.compose} logs {component_key.partition('/')[0]}"

    def home(self, component_key: str) -> str:
        """Returns the folder of its web configuration, of its configuration, or else of the project."""
        service = self.service(component_key)
        named = service.web_config or service.config_file
        return posixpath.dirname(named) if named else self._project.folder

    def secrets_outside(self, component_key: str) -> tuple[str, ...]:
        """Returns where a hash or the password of Prometheus is visible: the Compose file, or `docker inspect`."""
        password = self.client(component_key).password
        texts_by_source: Mapping[str, str] = {
            "compose.yaml": (Path(self._project.folder) / "compose.yaml").read_text("utf-8", "replace"),
            "docker inspect": self._inspect(component_key),
        }
        return tuple(
            name
            for name, text in texts_by_source.items()
            if _HASH.search(text) or (password is not None and password.reveal() in text)
        )

    def _inspect(self, component_key: str) -> str:
        box = self.box(component_key)
        words = [*box.command_words, "inspect", box.name]
        return self._hosts.connection(component_key.partition("/")[0]).run(words, timeout=30).stdout


def services_as_hosts() -> Stack:
    """Returns a stack in which each service of the project is a host, as steps and checks name them."""
    return Stack(hosts=tuple(HostSpec(name=name, connect="local") for name in SERVICES), components=())
