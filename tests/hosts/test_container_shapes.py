"""Projects with several files, profiles, `extends`, variables and CRLF, and containers beside systemd."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from compose_projects import Project, project
from docker_hosts import Docker
from machines import ENDPOINT, Machine, Network

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(600)]

MAIN = """\
# The first of two files.
x-usual: &usual
  labels: {{team: "$$ops"}}
  restart: "no"
services:
  prometheus:
    <<: *usual
    image: ${{IMAGE:-{prometheus}}}
    volumes:
      - ./prometheus/prometheus.yml:/etc/prometheus/prometheus.yml:ro   # one file
      - data:/prometheus
    ports: ["127.0.0.1:${{PORT:-9090}}:9090"]
  exporter:
    extends: {{file: common.yaml, service: exporter}}
    profiles: [metrics]
volumes: {{data: {{}}}}
"""
MORE = """\
services:
  exporter:
    command: "--collector.disable-defaults --collector.${COLLECTOR:-uname}"
    user: "1001:1001"
"""
COMMON = """\
services:
  exporter:
    image: {exporter}
    expose: ["9100"]
    ports: ["127.0.0.1:9100:9100"]
"""
SCRAPE = """\
global: {scrape_interval: 1s}
scrape_configs:
  - {job_name: prometheus, static_configs: [{targets: ['localhost:9090']}]}
  - {job_name: node, static_configs: [{targets: ['exporter:9100']}]}
"""
STACK = """\
version: 1
hosts: {here: {connect: local}}
components:
  - {host: here, name: node_exporter, protect: [tls, basic_auth], service: docker, project: mon}
  - {host: here, name: prometheus, protect: [tls, basic_auth], service: docker, project: mon}
"""


class TwoFileProject(Project):
    """A project that needs two files and a profile."""

    def compose(self, *words: str) -> str:
        """Returns the Compose options for both files and the profile."""
        call = ("-f", "compose.yaml", "-f", "more.yaml", "-p", "mon", "--profile", "metrics")
        return self.docker.compose(*call, *words, folder=self.folder, generation=self.generation)


@pytest.mark.parametrize("generation", ["sid"])
def test_two_files_a_profile_extends_and_variables(
    docker: Docker, network: Network, tmp_path: Path, generation: str
) -> None:
    images = {"prometheus": docker.image("prometheus"), "exporter": docker.image("node_exporter")}
    mine = TwoFileProject(docker, network, tmp_path, generation)
    mine.write(MAIN.format(**images).replace("\n", "\r\n"), SCRAPE, STACK)
    (mine.folder / "more.yaml").write_text(MORE)
    (mine.folder / "common.yaml").write_text(COMMON.format(**images))
    try:
        mine.up(9090, 9100)
        files, shape = mine.files(), mine.shape()
        deadline = time.monotonic() + 60
        while not mine.query("up{job='node'} == 1"):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        begin = time.time()
        done = mine.run("apply", str(mine.stack), "--yes", "--json")
        assert done["state"] == "proven"
        main = (mine.folder / "compose.yaml").read_bytes()
        assert main.count(b"\r\n") == main.count(b"\n"), "each line ends as it did"
        assert b"${IMAGE:-" in main and b"${PORT:-9090}" in main and b'"$$ops"' in main
        key = (mine.folder / "firescreen-exporter/node_exporter.key").stat()
        assert (key.st_gid, key.st_mode & 0o777) == (1001, 0o640)
        kept = mine.query(f"up{{job='node'}} @ {begin:.3f}", ("tls", "basic_auth"))
        assert kept and kept[0]["value"][1] == "1", "the volume with the samples of before is still the same"
        assert mine.run("plan", str(mine.stack), "--json")["changes"] == []
        mine.run("undo", "--yes")
        assert (mine.files(), mine.shape()) == (files, shape)
    finally:
        mine.compose("down", "-v")


MIXED = """\
services:
  prometheus:
    image: {prometheus}
    volumes: ["./prometheus:/etc/prometheus"]
    ports: ["127.0.0.1:9090:9090"]
  exporter:
    image: {exporter}
    ports: ["9100:9100"]
"""
BOTH = """\
version: 1
hosts:
  here: {{connect: local}}
  srv1: {{connect: ssh, address: {address}, user: root, identity_file: {key}, known_hosts: {known}}}
components:
  - {{host: here, name: node_exporter, protect: [tls, basic_auth], service: docker, project: mon}}
  - {{host: here, name: prometheus, protect: [tls, basic_auth], service: docker, project: mon}}
  - {{host: srv1, name: node_exporter, protect: [tls, basic_auth]}}
  - {{host: srv1, name: prometheus, protect: [tls, basic_auth]}}
"""


def test_containers_and_services_of_systemd_are_one_stack(
    docker: Docker, network: Network, tmp_path: Path
) -> None:
    """Each Prometheus scrapes both exporters: the one in a container a systemd service, and vice versa."""
    images = {"prometheus": docker.image("prometheus"), "exporter": docker.image("node_exporter")}
    with (
        Machine("bookworm", "srv1", network, programs=("node_exporter", "prometheus")) as srv1,
        project(docker, network, tmp_path, "sid") as mine,
    ):
        spec = srv1.spec()
        there = f"'{srv1.address}:9100'"
        stack = BOTH.format(address=srv1.address, key=spec.identity_file, known=spec.known_hosts)
        mine.write(
            MIXED.format(**images), SCRAPE.replace("'exporter:9100'", f"'exporter:9100', {there}"), stack
        )
        outside = SCRAPE.replace("'exporter:9100'", f"'{ENDPOINT}:9100', {there}")
        srv1.push("/etc/prometheus/prometheus.yml", outside.encode())
        srv1.check(["systemctl", "restart", "prometheus"])
        mine.up(9090, 9100)
        files, shape = mine.files(), mine.shape()
        done = mine.run("apply", str(mine.stack), "--yes", "--json")
        assert done["state"] == "proven"
        up = [(each["host"], each["component"]) for each in done["probes"] if each["expect"] == "up"]
        assert len(up) == 6 and all(each["ok"] for each in done["probes"])
        assert mine.run("plan", str(mine.stack), "--json")["changes"] == []
        mine.run("undo", "--yes")
        assert (mine.files(), mine.shape()) == (files, shape)
        assert srv1.check(["cat", "/etc/prometheus/prometheus.yml"]) == outside
