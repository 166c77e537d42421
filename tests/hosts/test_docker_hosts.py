"""Tests of docker_hosts.py: real containers of each component, as each uid, with each generation of Compose."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from docker_hosts import GENERATIONS, Docker
from machines import Network

COMPOSE = """\
version: "3"
services:
  prometheus:
    image: {prometheus}
    ports: ["127.0.0.1:9090:9090"]
  exporter:
    image: {exporter}
    ports: ["9100:9100"]
"""


@pytest.mark.parametrize("generation", GENERATIONS)
def test_each_compose_starts_containers_that_answer_and_find_each_other(
    docker: Docker, network: Network, tmp_path: Path, generation: str
) -> None:
    images = {
        "prometheus": docker.image("prometheus"),
        "exporter": docker.image("node_exporter", user="65532"),
    }
    (tmp_path / "compose.yaml").write_text(COMPOSE.format(**images))
    call = ("-f", "compose.yaml", "-p", f"stand-{generation}")
    docker.compose(*call, "up", "-d", folder=tmp_path, generation=generation)
    try:
        found = json.loads(docker.docker("inspect", *docker.docker("ps", "-q").split()))
        labels = {one["Config"]["Labels"]["com.docker.compose.service"]: one for one in found}
        assert set(labels) == {"prometheus", "exporter"}
        assert labels["exporter"]["Config"]["User"] == "65532"
        with network.entered():
            for port in (9090, 9100):
                assert docker.wait_for(f"http://127.0.0.1:{port}/metrics")
        inside = ("exec", labels["prometheus"]["Id"], "wget", "-qO-", "http://exporter:9100/metrics")
        assert "node_cpu_seconds_total" in docker.docker(*inside)
    finally:
        docker.compose(*call, "down", "-v", folder=tmp_path, generation=generation)
    assert not docker.docker("ps", "-aq")


@pytest.mark.parametrize("component", ["alertmanager", "blackbox_exporter", "pushgateway"])
def test_every_component_runs_as_root_too(docker: Docker, component: str) -> None:
    name = docker.docker("run", "-d", docker.image(component, user="")).strip()
    try:
        assert json.loads(docker.docker("inspect", name))[0]["State"]["Running"]
    finally:
        docker.docker("rm", "-f", "-v", name)


def test_hosts_in_the_network_still_reach_each_other(docker: Docker, network: Network) -> None:
    """A daemon that enables forwarding itself drops unknown packets, also those on the hosts' bridge."""
    ping = subprocess.run(
        [*network.enter, "iptables", "-S", "FORWARD"],
        env=docker.engine_environment(),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "-P FORWARD ACCEPT" in ping
    assert "DOCKER-USER" in ping, "it is the daemon's table that was read"
