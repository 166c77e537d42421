"""Several servers with node_exporter and a Prometheus that scrapes them, with a real plan and hosts in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.unit.engine.memory import MemoryConnection, MemoryManager, Site, attempt, completed
from tests.unit.planner import plan_cases
from wizard import planner, probes
from wizard.inventory import stack_file
from wizard.model import Answers, Attempt, Plan, Probe
from wizard.workspace import Workspace


@dataclass
class Wire:
    """Replaces the network: answers probes as the plan expects, except for broken hosts."""

    broken: set[str] = field(default_factory=set)
    """Hosts whose servers do not answer an authorised client."""
    silent: set[str] = field(default_factory=set)
    """host:port of servers that accept no connection."""
    asked: list[Probe] = field(default_factory=list)
    answer: Callable[[Probe], Attempt | None] = lambda probe: None

    def run(self, probe: Probe, **_: object) -> Attempt:
        """Answers one probe."""
        self.asked.append(probe)
        own = self.answer(probe)
        if own is not None:
            return own
        if probe.host in self.broken and probe.wanted and probe.kind == "http":
            return attempt(probe, "error", reason="connect: connection refused", curl="curl it")
        return attempt(probe, scrape_url="https://x")

    def install(self, monkeypatch: pytest.MonkeyPatch) -> Wire:
        """Replaces the functions that use the network."""
        monkeypatch.setattr(probes, "run", self.run)
        monkeypatch.setattr(probes, "wait", self.run)
        monkeypatch.setattr(probes, "answers", lambda address, seconds: address not in self.silent)
        return self


def fleet(folder: Path, manager: MemoryManager, count: int = 3) -> tuple[Site, Plan]:
    """Makes servers srv1, srv2 … and a Prometheus, and a plan that secures the servers. `manager` must be registered."""
    plan = _make_plan(count)
    connections = {
        name: MemoryConnection(
            name,
            {path: state for path, state in known.files.items() if state is not None},
            {"promtool": lambda *words: completed("SUCCESS")},
        )
        for name, known in plan.facts.hosts.items()
    }
    return Site(Workspace(folder / "workspace").ensure(), plan.stack.hosts, connections, manager), plan


@cache
def _make_plan(count: int) -> Plan:
    """Makes the plan only once, as its keys and hashes are slow."""
    names = [f"srv{number + 1}" for number in range(count)]
    hosts: dict[str, Any] = {
        name: {"connect": "ssh", "address": f"192.0.2.{10 + number}", "user": "root"}
        for number, name in enumerate([*names, "prometheus"])
    }
    users = {"prometheus": {"password": "generate", "cost": 4}}  # a higher cost makes the hash slow
    components = [{"host": name, "name": "node_exporter", "protect": ["tls", "basic_auth"]} for name in names]
    targets = ", ".join(f"'{name}:9100'" for name in names)
    described: dict[str, Any] = {
        name: {
            "names": [name],
            "folders": ["/etc", "/etc/default"],
            "services": [
                {
                    "component": "node_exporter",
                    "version": "1.9.0",
                    "manager": "memory",
                    "listen": f"{name}:9100",
                }
            ],
            "files": {"/etc/default/prometheus-node-exporter": 'ARGS=""\n'},
        }
        for name in names
    }
    described["prometheus"] = {
        "names": ["prometheus"],
        "promtool": "/usr/bin/promtool",
        "folders": ["/etc", "/etc/default", "/etc/prometheus"],
        "services": [
            {
                "component": "prometheus",
                "version": "3.5.0",
                "manager": "memory",
                "listen": "192.0.2.99:9090",
                "config_file": "/etc/prometheus/prometheus.yml",
            }
        ],
        "files": {
            "/etc/default/prometheus": 'ARGS=""\n',
            "/etc/prometheus/prometheus.yml": f"scrape_configs:\n  - job_name: node\n    static_configs:\n      - targets: [{targets}]\n",
        },
    }
    wanted = stack_file.parse(
        plan_cases._yaml({"version": 1, "hosts": hosts, "components": components, "users": users}),
        source="firescreen.yaml",
    )
    facts = plan_cases.with_requested_files(wanted, plan_cases._facts(wanted, described, {}, {}))
    return replace(planner.plan(wanted, facts, Answers()), watched=())
