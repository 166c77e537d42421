"""The hosts of a lab for checks: their services, addresses and files.

A student's own file names are as good as ours: paths are taken from the flags of the running programs.
"""

from __future__ import annotations

import fnmatch
import posixpath
import socket
import tempfile
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from wizard import practice
from wizard.config_files import prometheus as scrape
from wizard.engine.hosts import Hosts
from wizard.engine.parallel import run_parallel
from wizard.errors import ConfigError, HostError, LabError
from wizard.model import FileState, Forward, Service, Stack

_MOST_FILES = 50
"""How many files of a folder are read; a student's has a handful."""


class LabHosts:
    """The hosts of a lab at one moment: what was found once is remembered until `forget`.

    Args:
        hosts: the connections; they are closed together with this object.
        stack: the stack of these hosts.
        notes: the folder for a student's notes.
        names: further names of a host, by its name here.
    """

    def __init__(
        self, hosts: Hosts, stack: Stack, *, notes: str, names: Mapping[str, str] | None = None
    ) -> None:
        self._hosts = hosts
        self._stack = stack
        self.notes = notes
        self._names = names or {}
        self._services: dict[str, tuple[Service, ...]] = {}
        self._targets: dict[str, scrape.Scraped | None] = {}
        self._read: dict[tuple[str, str], FileState | None] = {}
        self._listed: dict[str, tuple[str, ...]] = {}
        self._ahead: float | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hosts.__exit__(kind, error, trace)
        if self._folder is not None:
            self._folder.cleanup()

    def practises(self, component_key: str) -> bool:
        """Returns whether a component (or its host) belongs to the practice stack."""
        host = component_key.partition("/")[0]
        return any(spec.name == host and spec.connect == "practice" for spec in self._stack.hosts)

    def has(self, host: str) -> bool:
        """Returns whether there is such a host."""
        return any(spec.name == host for spec in self._stack.hosts)

    def service(self, component_key: str) -> Service:
        """Returns the service host/component.

        Raises:
            LabError: there is no such host here. HostError: there is no such component there now.
        """
        host, _, component = component_key.partition("/")
        if not self.has(host):
            raise LabError(f"there is no host '{host}' here", where=component_key)
        if host not in self._services:
            self._services[host] = self._hosts.services(host)
        for service in self._services[host]:
            if service.component == component:
                return service
        todo = "Start it there, or compare the classroom file with the hosts"
        if self.practises(host):
            todo = "Start the practice stack: firescreen practice up"
        raise HostError(f"there is no {component} on the host {host}", where=component_key, todo=todo)

    def prometheus(self) -> Service:
        """Returns the Prometheus of the stack; HostError if there is none now."""
        return self.service("prometheus/prometheus")

    def now(self) -> float:
        """Returns the time (unix) of Prometheus' clock, to which scrape times refer."""
        if self._ahead is None:
            self._ahead = self._hosts.connection("prometheus").clock() - time.time()
        return time.time() + self._ahead

    def here(self, component_key: str, path: str) -> str:
        """Returns a host's file for a probe on this machine; a copy, removed together with this object."""
        if self.practises(component_key) or not path:
            return path
        state = self.read(component_key, path)
        if state is None:
            return path  # the probe reports the missing file by the name that the person knows
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="firescreen-")
        copy = Path(self._folder.name) / f"{component_key}{path}".replace("/", "_")
        copy.touch(mode=0o600)
        copy.write_bytes(state.content)
        return str(copy)

    # -- addresses -----------------------------------------------------------------------------------------

    def scrape_address(self, component_key: str) -> str:
        """Returns host:port at which Prometheus scrapes a component: its certificate must contain that host."""
        service = self.service(component_key)
        if self.practises(component_key):
            return service.listen
        target = self.target(component_key)
        return target.address if target is not None else service.listen

    def way(self, component_key: str) -> dict[str, Any]:
        """Returns options of a probe from this machine, for a component whose name only Prometheus may know."""
        place, service = self.scrape_address(component_key), self.service(component_key)
        if service.forward is not None:
            return {"forward": service.forward}
        is_listen_address = place == service.listen
        return {
            "resolve": "" if is_listen_address else f"{place}:{service.listen.rpartition(':')[0].strip('[]')}"
        }

    def dial(self, forward: Forward, seconds: float) -> socket.socket:
        """See `Hosts.dial`."""
        return self._hosts.dial(forward, seconds)

    def target(self, component_key: str) -> scrape.Scraped | None:
        """Returns the target of a component in prometheus.yml or its file_sd files; None if no job scrapes it."""
        if component_key not in self._targets:
            self._targets[component_key] = self._target(component_key)
        return self._targets[component_key]

    def _target(self, component_key: str) -> scrape.Scraped | None:
        host = component_key.partition("/")[0]
        port = self.service(component_key).listen.rpartition(":")[2]
        names = {each.lower() for each in (host, self._names.get(host, ""), *self._hosts.names(host)) if each}
        names.add(self.service(component_key).listen.rpartition(":")[0].strip("[]"))
        loopback = {"localhost", "127.0.0.1", "::1"}
        names = names | loopback if host == "prometheus" else names - loopback
        for scraped in self._scraped_targets():
            place, _, scrape_port = scraped.address.rpartition(":")
            if scrape_port == port and place.strip("[]").lower() in names:
                return scraped
        return None

    def _scraped_targets(self) -> tuple[scrape.Scraped, ...]:
        path = self.prometheus().config_file
        folder, state = posixpath.dirname(path), self.read("prometheus/prometheus", path)
        if state is None:
            return ()
        connection, files = self._hosts.connection("prometheus"), dict[str, bytes | None]()
        try:
            for each in scrape.sd_files(state.content, folder):
                inner, pattern = posixpath.split(each)
                for name in fnmatch.filter(connection.names(inner), pattern)[:_MOST_FILES]:
                    found = self.read("prometheus/prometheus", posixpath.join(inner, name))
                    files[posixpath.join(inner, name)] = found.content if found else None
            return scrape.scraped_targets(state.content, folder=folder, files=files)
        except ConfigError:
            return ()

    def restart_command(self, component_key: str, action: str) -> str:
        """Returns the command that restarts or reloads a component."""
        service = self.service(component_key)
        if self.practises(component_key):
            host = component_key.partition("/")[0]
            return f"firescreen practice {action} {component_key if host in practice.MORE else service.component}"
        return f"systemctl {action} {service.unit}, on {service.host}"

    def log(self, component_key: str) -> str:
        """Returns where the log of a component is."""
        service = self.service(component_key)
        if self.practises(component_key):
            return f"{posixpath.dirname(service.flags.path)}/log"
        return f"journalctl -eu {service.unit}, on {service.host}"

    def meet(self) -> None:
        """Discovers the services of all hosts in parallel; an unreachable host is an error only when it is needed."""

        def services(name: str) -> None:
            with suppress(HostError):
                self._services[name] = self._hosts.services(name)

        run_parallel(services, [spec.name for spec in self._stack.hosts if spec.name not in self._services])

    def read(self, component_key: str, path: str) -> FileState | None:
        """Returns a file of a component's host, or None if it is missing or unreadable."""
        key = (component_key.partition("/")[0], path)
        if key not in self._read:
            try:
                self._read[key] = self._hosts.connection(key[0]).read(path)
            except HostError:
                self._read[key] = None
        return self._read[key]

    def fetch(self, component_key: str, paths: Iterable[str]) -> None:
        """Reads several files in one request, if the connection can."""
        host = component_key.partition("/")[0]
        wanted = [path for path in paths if (host, path) not in self._read]
        with suppress(HostError):  # otherwise each file is read alone
            found = self._hosts.connection(host).read_many(wanted)
            self._read |= {(host, path): state for path, state in found.items()}

    def home(self, component_key: str) -> str:
        """Returns the folder of a component's web configuration, or where it is expected."""
        service = self.service(component_key)
        return posixpath.dirname(service.web_config) if service.web_config else service.home

    @property
    def components(self) -> tuple[str, ...]:
        """Returns all components of the stack, as host/component."""
        return tuple(component.key for component in self._stack.components)

    def files(self, component_key: str, endings: tuple[str, ...] = ("",)) -> tuple[str, ...]:
        """Returns the files in the folder of a component's configuration whose names end like this."""
        if component_key not in self._listed:
            self._listed[component_key] = self._all_files(component_key)
        return tuple(path for path in self._listed[component_key] if path.endswith(endings))[:_MOST_FILES]

    def _all_files(self, component_key: str) -> tuple[str, ...]:
        home, connection = self.home(component_key), self._hosts.connection(component_key.partition("/")[0])
        # Private keys are often in a folder inside that of the configuration.
        found = [posixpath.join(home, name) for name in connection.names(home)]
        for path, info in connection.stat_many(found[:_MOST_FILES]).items():
            if info is not None and info.kind == "folder":
                found += [posixpath.join(path, name) for name in connection.names(path)]
        return tuple(found)

    def forget(self) -> None:
        """Forgets the content of files: they may have changed."""
        self._targets.clear()
        self._read.clear()
        self._listed.clear()
