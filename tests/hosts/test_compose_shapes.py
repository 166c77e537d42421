"""A project that uses many features of Compose at once is secured, verified and undone."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from compose_projects import SCRAPE, Project, project
from docker_hosts import Docker
from machines import Network

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(600)]

FILES = {
    "compose.yaml": """\
# Ours.
include:
  - exporters/compose.yaml
x-logging: &logging
  logging: {{driver: json-file}}
services:
  prometheus:
    <<: *logging
    extends: {{file: base.yaml, service: base}}
    image: {prometheus}
    volumes: ["./prometheus:/etc/prometheus"]
    ports: ["127.0.0.1:${{PORT}}:9090"]
""",
    "base.yaml": """\
services:
  base:
    restart: ${{RESTART:-no}}
    command:
      - --config.file=/etc/prometheus/prometheus.yml   # as in the image
      - --storage.tsdb.path=/prometheus
      - --log.level=${{LEVEL:-info}}
""",
    "site.yaml": """\
services:
  prometheus:
    environment: ["SITE=${{SITE-}}"]
    healthcheck:
      test: wget -qO- http://localhost:9090/-/healthy || exit 1
      interval: 1s
      retries: 3
""",
    "exporters/compose.yaml": """\
services:
  exporter:
    image: {exporter}
    profiles: [exporters]
    command: --collector.disable-defaults --collector.${{COLLECTOR:-time}}
    ports: ["127.0.0.1:9100:9100"]
    env_file: [variables]
""",
    "exporters/variables": "A=1\n",
    ".env": "PORT=9090\nRESTART=unless-stopped\nCOLLECTOR=uname\nSITE='a $dollar'\n",
}
CALL = ("-f", "compose.yaml", "-f", "site.yaml", "-p", "mon", "--profile", "exporters")


def test_extends_include_profiles_two_files_and_variables_at_once(
    docker: Docker, network: Network, tmp_path: Path
) -> None:
    images = {
        "prometheus": docker.image("prometheus"),
        "exporter": docker.image("node_exporter", user="65532"),
    }
    with project(docker, network, tmp_path, "trixie") as mine:
        mine.write("", SCRAPE.format(target="exporter:9100"))
        (mine.folder / "exporters").mkdir()
        for name, text in FILES.items():
            (mine.folder / name).write_text(text.format(**images) if name.endswith(".yaml") else text)
        try:
            docker.compose(*CALL, "up", "-d", folder=mine.folder, generation="trixie")
            mine.answers(9090, 9100)
            files, shape = mine.files(), mine.shape()
            done = mine.run("apply", str(mine.stack), "--yes", "--json")
            assert done["state"] == "proven"
            edited = {name for name in FILES if (mine.folder / name).read_bytes() != files[name][3]}
            assert edited == {"compose.yaml", "site.yaml", "exporters/compose.yaml"}
            is_healthy(mine)
            assert mine.run("plan", str(mine.stack), "--json")["changes"] == []
            # The user's own `up` has nothing to change either.
            boxes = {name: one["Id"] for name, one in mine.containers().items()}
            docker.compose(*CALL, "up", "-d", folder=mine.folder, generation="trixie")
            assert {name: one["Id"] for name, one in mine.containers().items()} == boxes
            mine.run("undo", "--yes")
            assert (mine.files(), mine.shape()) == (files, shape)
        finally:
            docker.compose(*CALL, "down", "-v", folder=mine.folder, generation="trixie")


def is_healthy(mine: Project) -> None:
    """Waits until Prometheus' own health check passes."""
    deadline = time.monotonic() + 60
    while True:
        health = mine.containers()["prometheus"]["State"]["Health"]
        if health["Status"] == "healthy":
            return
        assert time.monotonic() < deadline, health
        time.sleep(0.2)
