"""What goes wrong in containers, made for real: each text that Docker, Compose or a program then says is explained."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from compose_projects import Project, project
from docker_stand import Docker
from machines import Network

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(600)]

HASH = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi"
BROKEN = """\
version: "3"
services:
  exporter:
    image: {exporter}
    environment: {{HASH: "{hash}"}}
"""
SERVICES = """\
services:
  prometheus:
    image: {prometheus}
    volumes: ["./prometheus:/etc/prometheus"]
    ports: ["9090:9090"]
  folder:
    image: {prometheus}
    volumes: ["./missing.yml:/etc/prometheus/prometheus.yml"]
  closed:
    image: {exporter}
    command: --web.config.file=/web.yml
    volumes: ["./web.yml:/web.yml:ro"]
  unhealthy:
    image: {exporter}
    command: --web.config.file=/web.yml
    volumes: ["./readable.yml:/web.yml:ro"]
    healthcheck:
      test: ["CMD", "wget", "-qO-", "http://localhost:9100/metrics"]
      interval: 1s
      retries: 1
  waiting:
    image: {exporter}
    depends_on: {{unhealthy: {{condition: service_healthy}}}}
"""
SCRAPE = """\
global: {scrape_interval: 1s}
scrape_configs:
  - job_name: node
    static_configs: [{targets: ['localhost:9100']}]
"""
STACK = """\
version: 1
hosts: {here: {connect: local}}
components:
  - {host: here, name: prometheus, protect: [], service: docker, project: mon}
"""


def said(docker: Docker, mine: Project, *words: str) -> str:
    """All that Compose writes, whether it likes the file or not."""
    base = ["docker-compose"] if mine.generation == "bookworm" else ["docker", "compose"]
    ended = subprocess.run(
        [*base, "-f", "compose.yaml", "-p", "mon", *words],
        cwd=mine.folder,
        env={**os.environ, **docker.environment(mine.generation)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return ended.stdout + ended.stderr


def log(docker: Docker, name: str, sign: str) -> str:
    """The first line of a container's log with a sign in it."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        ended = subprocess.run(
            ["docker", "logs", name],
            env={**os.environ, **docker.environment()},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        for line in (ended.stdout + ended.stderr).splitlines():
            if sign in line:
                return line
        time.sleep(0.2)
    raise AssertionError(f"{name} does not say {sign}")


def explained(mine: Project, text: str, *more: str) -> str:
    """The cause that Firescreen names first."""
    found: dict[str, Any] = mine.run("explain", text, "--json", *more)
    return str(found["id"])


@pytest.mark.parametrize("generation", ["bookworm", "sid"])
def test_a_hash_in_a_compose_file_or_env_file(
    docker: Docker, network: Network, tmp_path: Path, generation: str
) -> None:
    image = docker.image("node_exporter")
    mine = Project(docker, network, tmp_path, generation)
    mine.write(BROKEN.format(exporter=image, hash=HASH))
    assert "container-hash-dollar" in explained(mine, said(docker, mine, "config"), "--no-ask")

    (mine.folder / "compose.yaml").write_text(BROKEN.format(exporter=image, hash="${HASH}"))
    (mine.folder / ".env").write_text(f"HASH={HASH}\n")
    told = said(docker, mine, "config")
    if HASH not in told.replace("$$", "$"):  # 1.29 takes the file as it stands
        assert "container-variable-unset" in explained(mine, told, "--no-ask") or (
            "container-hash-dollar" in explained(mine, told, "--no-ask")
        )


def test_folders_users_healthchecks_and_addresses(docker: Docker, network: Network, tmp_path: Path) -> None:
    images = {"prometheus": docker.image("prometheus"), "exporter": docker.image("node_exporter")}
    with project(docker, network, tmp_path, "sid") as mine:
        mine.write(SERVICES.format(**images), SCRAPE, STACK)
        for name, mode in (("web.yml", 0o600), ("readable.yml", 0o644)):
            (mine.folder / name).write_text(f"basic_auth_users: {{me: '{HASH}'}}\n")
            (mine.folder / name).chmod(mode)
        told = said(docker, mine, "up", "-d", "folder").splitlines()[-1]
        assert "container-mount-type" in explained(mine, told, "--no-ask")
        assert (mine.folder / "missing.yml").is_dir()
        told = said(docker, mine, "up", "-d", "closed", "prometheus", "waiting")
        assert "container-unhealthy" in explained(mine, told.splitlines()[-1], "--no-ask")
        line = log(docker, "mon-closed-1", "permission denied")
        found = mine.run("explain", line, "--json", "--no-ask")
        assert "readable" in json.dumps(found) or "owner" in json.dumps(found)

        with network.entered():
            docker.wait_for("http://127.0.0.1:9090/-/ready")
            deadline = time.monotonic() + 30
            error = ""
            while not error and time.monotonic() < deadline:
                targets = json.loads(docker.wait_for("http://127.0.0.1:9090/api/v1/targets"))
                error = "".join(each["lastError"] for each in targets["data"]["activeTargets"])
                time.sleep(0.2)
        assert "connection refused" in error
        assert "localhost-in-container" in explained(mine, error, "--stack", str(mine.stack))

        audit = mine.run("audit", str(mine.stack), "--json", code=3)
        evidence = [each["evidence"] for each in audit["findings"]]
        assert any("publishes its port 9090 as 9090 on all addresses" in each for each in evidence)
