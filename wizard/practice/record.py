"""The hosts and components of the practice stack, and its record in practice.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from wizard.components import all_components
from wizard.connections.practice import PracticeConnection
from wizard.errors import InputError

PORTS: Mapping[str, tuple[str, int]] = {
    "srv1": ("node_exporter", 9100),
    "prometheus": ("prometheus", 9090),
    "alertmanager": ("alertmanager", 9093),
    "pushgateway": ("pushgateway", 9091),
    "blackbox": ("blackbox_exporter", 9115),
    "srv2": ("node_exporter", 9100),
    "srv3": ("node_exporter", 9100),
    "door": ("caddy", 8443),
}
"""Component and default port of each host in the labs and the wizard."""
MORE = ("srv2", "srv3")
"""Hosts that are only started if a lab names them."""
BESIDE: Mapping[str, str] = {"door": "prometheus"}
"""Programs that share the address of another host: the reverse proxy of a lab, with Prometheus' address."""
FIRST = ("node_exporter", "prometheus")
"""The components that every practice stack has."""
WHOLE = tuple(component for name, (component, _) in PORTS.items() if name not in {*MORE, *BESIDE})
"""The components of the complete stack, for the labs."""


@cache
def host_ports() -> Mapping[str, tuple[str, int]]:
    """`PORTS` plus a host for each further component that can run by itself, named after the component."""
    known = {component for component, _ in PORTS.values()}
    further = [each for each in all_components() if each.packages and each.name not in known]
    return {**PORTS, **{each.name.replace("_", "-"): (each.name, each.default_port) for each in further}}


def practice_components() -> tuple[str, ...]:
    """Every component that a practice stack can have, in the order of their hosts."""
    return tuple(dict.fromkeys(component for component, _ in host_ports().values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class PracticeHost:
    """One host of the practice stack and the component that runs on it."""

    name: str
    address: str
    port: int
    component: str
    program: str
    version: str
    folder: str
    """Absolute path of the folder that serves as the host; it contains etc/, services/ and data/."""
    active: bool = False

    @property
    def listen(self) -> str:
        """Its address:port."""
        return f"{self.address}:{self.port}"

    @property
    def loopback(self) -> str:
        """The address:port on which only programs of its own host should reach it: it stands for 127.0.0.1."""
        head, _, last = self.address.rpartition(".")
        # On macOS, all hosts share 127.0.0.1, so the port has to differ instead of the address.
        return f"{self.address}:{self.port + 1}" if head == "127.0.0" else f"{head}.1{last:0>2}:{self.port}"

    @property
    def service_folder(self) -> str:
        """The folder with its arguments, log and state."""
        return f"{self.folder}/services/{self.component}"

    def connection(self) -> PracticeConnection:
        """A connection object for the host; opens nothing yet."""
        return PracticeConnection(self.name, self.folder, address=self.address)


@dataclass(frozen=True, slots=True, kw_only=True)
class PracticeStack:
    """The hosts of a practice stack. `suite` is '' if it uses the programs of this machine."""

    folder: str
    suite: str
    promtool: str
    hosts: tuple[PracticeHost, ...]

    @property
    def active(self) -> bool:
        """Whether all hosts run."""
        return all(host.active for host in self.hosts)

    @property
    def components(self) -> tuple[str, ...]:
        """The components of its hosts, in order."""
        return tuple(host.component for host in self.hosts)

    def host(self, name: str) -> PracticeHost:
        """The host with a name; raises KeyError if there is none."""
        return {host.name: host for host in self.hosts}[name]


def load(root: Path) -> PracticeStack | None:
    """Reads the stack in `root`; None if there is none.

    Raises:
        InputError: its record cannot be read.
    """
    path = root / "practice.json"
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        hosts = tuple(
            PracticeHost(name=name, folder=str(root / name), **data["hosts"][name])
            for name, (component, _) in host_ports().items()
            if name in data["hosts"] or (component in FIRST and name not in MORE)
        )
        return PracticeStack(folder=str(root), suite=data["suite"], promtool=data["promtool"], hosts=hosts)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise InputError(
            f"the record of the practice stack cannot be used: {type(problem).__name__}: {problem}",
            where=str(path),
            todo=f"End the practice stack, remove {root}, and bring it up anew.",
        ) from None


def dump(planned: PracticeStack) -> str:
    """The record of a stack as JSON."""
    hosts = {
        host.name: {
            "address": host.address,
            "port": host.port,
            "component": host.component,
            "program": host.program,
            "version": host.version,
        }
        for host in planned.hosts
    }
    data = {"suite": planned.suite, "promtool": planned.promtool, "hosts": hosts}
    return json.dumps(data, indent=2) + "\n"
