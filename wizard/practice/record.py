"""What the practice stack is made of, and the record of it in practice.json."""

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
"""Each host that the labs and the wizard know, with its component and the usual port."""
MORE = ("srv2", "srv3")
"""Hosts that are started only when a lab names them."""
BESIDE: Mapping[str, str] = {"door": "prometheus"}
"""A second program on the host of another one, with its address: a reverse proxy, for the lab about one."""
FIRST = ("node_exporter", "prometheus")
"""The components that every practice stack has."""
WHOLE = tuple(component for name, (component, _) in PORTS.items() if name not in {*MORE, *BESIDE})
"""The components of the whole stack, for the labs."""


@cache
def host_ports() -> Mapping[str, tuple[str, int]]:
    """`PORTS`, and a host for each further component that can run alone, named after the component."""
    known = {component for component, _ in PORTS.values()}
    further = [one for one in all_components() if one.packages and one.name not in known]
    return {**PORTS, **{one.name.replace("_", "-"): (one.name, one.default_port) for one in further}}


def practice_components() -> tuple[str, ...]:
    """Every component that a practice stack can have, in the order of their hosts."""
    return tuple(dict.fromkeys(component for component, _ in host_ports().values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class PracticeHost:
    """One host of the stack with the component that runs on it."""

    name: str
    address: str
    port: int
    component: str
    program: str
    version: str
    folder: str
    """Absolute path; its files are in etc/ and services/ below it."""
    active: bool = False

    @property
    def listen(self) -> str:
        """As address:port."""
        return f"{self.address}:{self.port}"

    @property
    def loopback(self) -> str:
        """Where it can listen for programs of its own host alone, as address:port: 127.0.0.1 on a real host."""
        head, _, last = self.address.rpartition(".")
        # Without addresses of their own (macOS) all hosts share 127.0.0.1, and the port has to differ.
        return f"{self.address}:{self.port + 1}" if head == "127.0.0" else f"{head}.1{last:0>2}:{self.port}"

    @property
    def service_folder(self) -> str:
        """Where its arguments, log and state lie."""
        return f"{self.folder}/services/{self.component}"

    def connection(self) -> PracticeConnection:
        """A connection to it; nothing is opened."""
        return PracticeConnection(self.name, self.folder, address=self.address)


@dataclass(frozen=True, slots=True, kw_only=True)
class PracticeStack:
    """What is where; `suite` is '' for the machine's own programs."""

    folder: str
    suite: str
    promtool: str
    hosts: tuple[PracticeHost, ...]

    @property
    def active(self) -> bool:
        """Whether all of it runs."""
        return all(host.active for host in self.hosts)

    @property
    def components(self) -> tuple[str, ...]:
        """The components that it has."""
        return tuple(host.component for host in self.hosts)

    def host(self, name: str) -> PracticeHost:
        """The host of that name; KeyError if there is none."""
        return {host.name: host for host in self.hosts}[name]


def load(root: Path) -> PracticeStack | None:
    """The stack in `root`, or None if there is none.

    Raises:
        InputError: its record cannot be used.
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
    """The record, as JSON."""
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
