"""Compose projects of Podman, with podman-compose and with Docker's Compose: secured, verified and undone, or
refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from machines import Network
from podman_hosts import Podman

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(900)]

COMPOSE = """\
# Our monitoring.
services:
  prometheus:
    image: localhost/prometheus:1
    volumes: ["./prometheus:/etc/prometheus"]
    ports: ["127.0.0.1:9090:9090"]
  exporter:
    image: localhost/node-exporter:1
    command: ["--collector.disable-defaults"]   # ours
    ports: ["127.0.0.1:9100:9100"]
"""
SCRAPE = """\
global: {scrape_interval: 1s}
scrape_configs:
  - job_name: prometheus
    static_configs: [{targets: ['localhost:9090']}]
  - job_name: node
    static_configs: [{targets: ['exporter:9100']}]
"""
STACK = """\
version: 1
hosts: {here: {connect: local}}
components:
  - {host: here, name: node_exporter, protect: [tls, basic_auth], service: docker}
  - {host: here, name: prometheus, protect: [tls, basic_auth], service: docker}
"""
FOLDER = "/srv/mon"
COMMANDS = ("podman-compose", "podman compose")


@pytest.fixture(scope="module")
def pod(network: Network) -> Iterator[Podman]:
    """Returns a host with Podman and both kinds of Compose."""
    with Podman(network) as pod:
        pod.image("prometheus")
        pod.image("node_exporter")
        pod.push("/root/stack.yaml", STACK.encode())
        yield pod


def files(pod: Podman) -> str:
    """Returns mode, owner and digest of every file of the project."""
    return pod.check(
        f"cd {FOLDER} && find . -printf '%m %u %g %p\\n' | sort; find . -type f -exec sha256sum {{}} + | sort"
    )


def shape(pod: Podman) -> list[Any]:
    """Returns the properties of the containers that an undo must restore."""
    found = json.loads(pod.check("podman inspect $(podman ps -aq)"))
    return sorted(
        (one["Name"], one["Args"], [bind for bind in one["HostConfig"]["Binds"] if bind.startswith("/")])
        for one in found
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_a_project_of_podman_is_secured_verified_and_undone(pod: Podman, command: str) -> None:
    if command == "podman compose":
        pod.install_compose()
    pod.push(f"{FOLDER}/compose.yaml", COMPOSE.encode())
    pod.push(f"{FOLDER}/prometheus/prometheus.yml", SCRAPE.encode())
    pod.check(f"cd {FOLDER} && {command} -p mon up -d", timeout=120)
    try:
        pod.check("curl -s --retry 40 --retry-delay 1 --retry-all-errors http://127.0.0.1:9090/-/ready")
        secure_and_undo(pod)
        refuse_pending(pod, command)
    finally:
        pod.check(f"cd {FOLDER} && {command} -p mon down -v && rm -r {FOLDER}", timeout=120)


def secure_and_undo(pod: Podman) -> None:
    seen = pod.firescreen("scan", "/root/stack.yaml", "--json", code=3)["components"]
    boxes = {each["component"]: each["container"] for each in seen}
    assert {each["state"] for each in seen} == {"open"}
    assert {(box["engine"], box["project"], box["unchangeable"]) for box in boxes.values()} == {
        ("podman", "mon", "")
    }
    before, was = files(pod), shape(pod)
    done = pod.firescreen("apply", "/root/stack.yaml", "--yes", "--json")
    assert done["state"] == "proven"
    assert {each["component"] for each in done["probes"]} == {"node_exporter", "prometheus"}
    assert sum(each["expect"] == "up" and each["ok"] for each in done["probes"]) == 2
    secret = pod.check("cat /root/.local/share/firescreen/users/*.password").strip()
    texts = pod.check("podman inspect $(podman ps -aq)") + pod.read(f"{FOLDER}/compose.yaml").decode()
    assert secret and secret not in texts and "$2y$" not in texts
    assert pod.firescreen("plan", "/root/stack.yaml", "--json")["changes"] == []
    pod.firescreen("undo", "--yes")
    assert (files(pod), shape(pod)) == (before, was)


def refuse_pending(pod: Podman, command: str) -> None:
    edited = COMPOSE.replace("disable-defaults", "uname")
    pod.push(f"{FOLDER}/compose.yaml", edited.encode())
    output = pod.firescreen("plan", "/root/stack.yaml", code=2)
    assert "does not run as its Compose files say now" in output
    assert f"{command} up -d exporter" in output
    pod.push(f"{FOLDER}/compose.yaml", COMPOSE.encode())
