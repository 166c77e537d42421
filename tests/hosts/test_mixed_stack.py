"""Containers and systemd in one stack: each Prometheus scrapes an exporter of the other kind; one run secures all."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from compose_projects import Project, project
from docker_hosts import Docker
from machines import ENDPOINT, Machine, Network

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(600)]

COMPOSE = """\
services:
  prometheus:
    image: {prometheus}
    volumes: ["./prometheus:/etc/prometheus"]
    ports: ["127.0.0.1:9090:9090"]
  exporter:
    image: {exporter}
    ports: ["9100:9100"]
"""
SCRAPE = """\
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: prometheus
    static_configs: [{{targets: ['localhost:9090']}}]
  - job_name: elsewhere
    static_configs: [{{targets: ['{target}:9100']}}]
"""


def test_a_container_scrapes_systemd_and_systemd_scrapes_a_container(
    docker: Docker, network: Network, tmp_path: Path
) -> None:
    images = {
        "prometheus": docker.image("prometheus"),
        "exporter": docker.image("node_exporter", user="65532"),
    }
    with (
        Machine("bookworm", "srv1", network) as machine,
        project(docker, network, tmp_path, "trixie") as mine,
    ):
        mine.write(COMPOSE.format(**images), SCRAPE.format(target=machine.address), stack_of(machine))
        machine.push("/etc/prometheus/prometheus.yml", SCRAPE.format(target=ENDPOINT).encode())
        machine.check("systemctl restart prometheus")
        mine.up(9090, 9100)
        files, shape, theirs = mine.files(), mine.shape(), machine.read("/etc/prometheus/prometheus.yml")

        done = mine.run("apply", str(mine.stack), "--yes", "--json")
        assert done["state"] == "proven"
        up = {
            (each["host"], each["component"])
            for each in done["probes"]
            if each["expect"] == "up" and each["ok"]
        }
        assert up == {(host, name) for host in ("here", "srv1") for name in ("prometheus", "node_exporter")}
        in_container, under_systemd = (
            mine.files()["prometheus/prometheus.yml"][3],
            machine.read("/etc/prometheus/prometheus.yml"),
        )
        for text in (in_container, under_systemd):
            assert text.count(b"scheme: https") == text.count(b"password_file:") == 2
        assert mine.run("plan", str(mine.stack), "--json")["changes"] == []
        everywhere_up(mine, machine)

        mine.run("undo", "--yes")
        assert (mine.files(), mine.shape()) == (files, shape)
        assert machine.read("/etc/prometheus/prometheus.yml") == theirs


def stack_of(machine: Machine) -> str:
    """Returns the container host's components and the systemd host's, each with TLS and a password."""
    spec = machine.spec()
    srv1 = {
        "connect": "ssh",
        "address": spec.address,
        "user": spec.user,
        "identity_file": spec.identity_file,
        "known_hosts": spec.known_hosts,
    }
    components: list[dict[str, Any]] = [
        {"host": host, "name": name, "protect": ["tls", "basic_auth"]}
        for host in ("here", "srv1")
        for name in ("prometheus", "node_exporter")
    ]
    for each in components[:2]:
        each["service"] = "docker"
    # JSON is YAML.
    return json.dumps(
        {"version": 1, "hosts": {"here": {"connect": "local"}, "srv1": srv1}, "components": components}
    )


def everywhere_up(mine: Project, machine: Machine) -> None:
    """Waits until the Prometheus in its container, queried by Python's own client, has both of its targets up
    by HTTPS.
    """
    deadline = time.monotonic() + 60
    while True:
        found = mine.targets(("tls", "basic_auth"))
        if set(found.values()) == {"up"}:
            break
        assert time.monotonic() < deadline, found
        time.sleep(0.2)
    assert set(found) == {"https://localhost:9090/metrics", f"https://{machine.address}:9100/metrics"}
