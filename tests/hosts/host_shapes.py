"""Host shapes, ways in which other people set up hosts, read from `shapes/*.yaml`: each is booted, secured
and checked.

A shape describes the differences from a Debian host with Prometheus and node_exporter, and the expected end
of a run: `verified` (secured, and all that was up before is up after) or `refused` (nothing has changed, and
the error names the cause).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

NEXT = pytest.StashKey["pytest.Item | None"]()
"""The test that comes after one in the same process."""
FOLDER = Path(__file__).resolve().parent / "shapes"
CONFIG = """\
global:
  scrape_interval: 1s
scrape_configs:
  - job_name: prometheus
    static_configs:
      - targets: ['localhost:9090']
  - job_name: node
    static_configs:
      - targets: ['localhost:9100']
"""
"""The prometheus.yml of a host that brings none of its own."""
PORTS = {
    "prometheus": 9090,
    "node_exporter": 9100,
    "alertmanager": 9093,
    "pushgateway": 9091,
    "blackbox_exporter": 9115,
}


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A shape of hosts, and the expected end of a run on them."""

    name: str
    why: str
    """Where such hosts come from, in a sentence."""
    suite: str = "bookworm"
    hosts: dict[str, tuple[str, ...]] = field(
        default_factory=lambda: {"srv1": ("prometheus", "node_exporter")}
    )
    """Names and the Debian programs on their disks."""
    setup: dict[str, str] = field(default_factory=dict)
    """A shell script for each host, run as root with `set -eu` and the hosts' addresses as $SRV1, $SRV2 and so on."""
    files: dict[str, dict[str, str]] = field(default_factory=dict)
    """Texts of files, by host and path; written before the script runs."""
    stack: dict[str, Any] = field(default_factory=dict)
    """Parts of the stack file: components, certificates. Left out, each program gets TLS and a password."""
    way: str = "ssh"
    """How the hosts are reached: ssh (as root), sudo (over SSH), local (Firescreen runs inside)."""
    ends: str = "verified"
    """verified; refused; rolled-back only where nothing can be known before, which `why` explains."""
    words: tuple[str, ...] = ()
    """Regular expressions that the words of a refusal have to match."""
    prometheus: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Where the Prometheus of a host is asked, as address:port/prefix; left out: port 9090, where one is installed."""
    endpoints: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Where a component is asked, by host/name; `own` stands for the host's address. Left out: its usual port."""
    touches: tuple[str, ...] = ()
    """Paths (fnmatch) that a run may change besides the usual ones."""
    living: tuple[str, ...] = ()
    """Paths (fnmatch) that the programs themselves write, such as a database in /opt."""
    restarts: tuple[str, ...] = ()
    """Units (fnmatch) that a run may restart besides the components' own."""
    unscraped: tuple[str, ...] = ()
    """Jobs whose targets are not waited for, since their interval is long."""
    works: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Shell commands by host that succeed before, after and after the undo."""
    bound: float = 100
    """Seconds that an apply may take."""

    @property
    def components(self) -> list[dict[str, Any]]:
        """Returns the stack's components in the form of its file."""
        given = self.stack.get("components")
        if given is not None:
            return list(given)
        return [
            {"host": host, "name": name, "protect": ["tls", "basic_auth"]}
            for host, programs in self.hosts.items()
            for name in programs
        ]

    def asked(self, host: str) -> tuple[str, ...]:
        """Returns the address of the Prometheus of a host."""
        usual = ("own:9090",) if "prometheus" in self.hosts[host] else ()
        return self.prometheus.get(host, usual)

    def secured(self, host: str) -> dict[str, tuple[str, ...]]:
        """Returns the addresses of a host's components that are to be protected, by name."""
        return {
            each["name"]: self.endpoints.get(f"{host}/{each['name']}", (f"own:{PORTS[each['name']]}",))
            for each in self.components
            if each["host"] == host and each.get("protect")
        }


@cache
def shapes() -> tuple[Shape, ...]:
    """Returns all shapes, in the order of files and lines."""
    reader = YAML(typ="safe")
    found = [_shape(dict(row)) for path in sorted(FOLDER.glob("*.yaml")) for row in reader.load(path)]
    names = [shape.name for shape in found]
    assert len(set(names)) == len(names), "two shapes have one name"
    return tuple(found)


def _shape(row: dict[str, Any]) -> Shape:
    """Returns the shape of a row: lists become tuples; a script or files without a host name belong to srv1."""
    hosts = row.get("hosts") or {"srv1": ["prometheus", "node_exporter"]}
    row["hosts"] = {name: tuple(programs or ()) for name, programs in hosts.items()}
    first = next(iter(row["hosts"]))
    if isinstance(row.get("setup"), str):
        row["setup"] = {first: row["setup"]}
    if any(isinstance(text, str) for text in row.get("files", {}).values()):
        row["files"] = {first: row["files"]}
    for key in ("prometheus", "works"):
        if key in row:
            given = row[key] if isinstance(row[key], dict) else {first: row[key]}
            row[key] = {name: _several(value) for name, value in given.items()}
    if "endpoints" in row:
        row["endpoints"] = {name: _several(value) for name, value in row["endpoints"].items()}
    for key in ("words", "touches", "living", "restarts", "unscraped"):
        if key in row:
            row[key] = _several(row[key])
    return Shape(**row)


def _several(value: object) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)  # type: ignore[arg-type]
