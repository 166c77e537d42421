"""Real faults in containers: each error text of Docker, Compose or a program is explained."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from compose_projects import Project, project
from docker_hosts import Docker
from machines import Network

from tests.processes import run_program

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


def compose_error(docker: Docker, mine: Project, *words: str) -> str:
    """Returns the output of Compose, whether it accepts the file or not."""
    base = ["docker-compose"] if mine.generation == "bookworm" else ["docker", "compose"]
    ended = run_program(
        [*base, "-f", "compose.yaml", "-p", "mon", *words],
        cwd=mine.folder,
        env={**os.environ, **docker.environment(mine.generation)},
        timeout=120,
    )
    return ended.stdout + ended.stderr


def log(docker: Docker, name: str, sign: str) -> str:
    """Returns the first line of a container's log that contains `sign`."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        ended = run_program(["docker", "logs", name], env={**os.environ, **docker.environment()}, timeout=30)
        for line in (ended.stdout + ended.stderr).splitlines():
            if sign in line:
                return line
        time.sleep(0.2)
    raise AssertionError(f"{name} does not say {sign}")


def diagnosed_cause(mine: Project, text: str, *more: str) -> str:
    """Returns the first cause that Firescreen names."""
    found: dict[str, Any] = mine.run("explain", text, "--json", *more)
    return str(found["id"])


@pytest.mark.parametrize("generation", ["bookworm", "sid"])
def test_a_hash_in_a_compose_file_or_env_file(
    docker: Docker, network: Network, tmp_path: Path, generation: str
) -> None:
    image = docker.image("node_exporter")
    mine = Project(docker, network, tmp_path, generation)
    mine.write(BROKEN.format(exporter=image, hash=HASH))
    assert "container-hash-dollar" in diagnosed_cause(mine, compose_error(docker, mine, "config"), "--no-ask")

    (mine.folder / "compose.yaml").write_text(BROKEN.format(exporter=image, hash="${HASH}"))
    (mine.folder / ".env").write_text(f"HASH={HASH}\n")
    error_text = compose_error(docker, mine, "config")
    if generation == "bookworm":  # 1.29 accepts the file unchanged
        assert HASH in error_text.replace("$$", "$")
        return
    assert HASH not in error_text.replace("$$", "$"), "a part of the hash was taken for a variable"
    assert diagnosed_cause(mine, error_text, "--no-ask") in (
        "container-variable-unset",
        "container-hash-dollar",
    )


def test_folders_users_healthchecks_and_addresses(docker: Docker, network: Network, tmp_path: Path) -> None:
    images = {"prometheus": docker.image("prometheus"), "exporter": docker.image("node_exporter")}
    with project(docker, network, tmp_path, "sid") as mine:
        mine.write(SERVICES.format(**images), SCRAPE, STACK)
        for name, mode in (("web.yml", 0o600), ("readable.yml", 0o644)):
            (mine.folder / name).write_text(f"basic_auth_users: {{me: '{HASH}'}}\n")
            (mine.folder / name).chmod(mode)
        error_text = compose_error(docker, mine, "up", "-d", "folder").splitlines()[-1]
        assert "container-mount-type" in diagnosed_cause(mine, error_text, "--no-ask")
        assert (mine.folder / "missing.yml").is_dir()
        error_text = compose_error(docker, mine, "up", "-d", "closed", "prometheus", "waiting")
        assert "container-unhealthy" in diagnosed_cause(mine, error_text.splitlines()[-1], "--no-ask")
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
        assert "localhost-in-container" in diagnosed_cause(mine, error, "--stack", str(mine.stack))

        audit = mine.run("audit", str(mine.stack), "--json", code=3)
        evidence = [each["evidence"] for each in audit["findings"]]
        assert any("publishes its port 9090 as 9090 on all addresses" in each for each in evidence)


OPEN = """\
services:
  prometheus:
    image: {prometheus}
    volumes: ["./prometheus:/etc/prometheus"]
    ports: ["127.0.0.1:9090:9090"]
  restarted:
    image: {exporter}
    ports: ["127.0.0.1:9101:9100"]
  wrapped:
    image: {exporter}
    entrypoint: ["sh", "-c", "exec /bin/node_exporter"]
    command: ["--web.config.file=/web/web.yml"]
    volumes: ["./web:/web:ro"]
    ports: ["127.0.0.1:9102:9100"]
  encrypted:
    image: {exporter}
    command: ["--web.config.file=/web/web.yml"]
    volumes: ["./web:/web:ro"]
    ports: ["127.0.0.1:9103:9100"]
  unreadable:
    image: {prometheus}
    volumes: ["./closed.yml:/etc/prometheus/prometheus.yml"]
"""
CHANGED = """\
    command: ["--web.config.file=/web/web.yml"]
    volumes: ["./web:/web:ro"]
"""
SECURE = """\
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: node
    scheme: https
    static_configs: [{{targets: [{targets}]}}]
"""
EXPORTER = (
    "  - {host: here, name: node_exporter, protect: [], service: docker, project: mon, container: NAME}\n"
)


@pytest.mark.parametrize("generation", ["sid"])
def test_flags_without_effect_files_and_an_unknown_ca(
    docker: Docker, network: Network, tmp_path: Path, generation: str
) -> None:
    images = {"prometheus": docker.image("prometheus"), "exporter": docker.image("node_exporter")}
    with project(docker, network, tmp_path, generation) as mine:
        targets = ", ".join(f"'{name}:9100'" for name in ("restarted", "wrapped", "encrypted"))
        mine.write(OPEN.format(**images), SECURE.format(targets=targets), STACK)
        pair(mine.folder / "web", "encrypted")
        (mine.folder / "closed.yml").touch(mode=0o600)
        mine.compose("up", "-d")
        # Flag and mount are added later; the container is only restarted.
        text = (mine.folder / "compose.yaml").read_text()
        at = text.index("  wrapped:")
        (mine.folder / "compose.yaml").write_text(text[:at] + CHANGED + text[at:])
        mine.compose("restart", "restarted")
        with network.entered():
            docker.wait_for("http://127.0.0.1:9101/metrics")
            errors = scrape_errors(docker, 3)
        said_of = {
            name: next(each for each in errors if f"//{name}:" in each)
            for name in ("restarted", "wrapped", "encrypted")
        }
        for name, cause in (
            ("restarted", "container-not-recreated"),
            ("wrapped", "container-command-ignored"),
        ):
            assert "HTTP response to HTTPS client" in said_of[name]
            mine.stack.write_text(STACK + EXPORTER.replace("NAME", name))
            assert diagnosed_cause(mine, said_of[name], "--stack", str(mine.stack)) == cause
        found = mine.run("explain", said_of["encrypted"], "--json", "--no-ask")
        assert "ca_file" in json.dumps(found)
        line = log(docker, next(iter(named(docker, "unreadable"))), "permission denied")
        found = mine.run("explain", line, "--json", "--no-ask")
        assert "uid" in json.dumps(found)


def pair(folder: Path, name: str) -> None:
    """Returns a web configuration that every uid may read, with a self-signed certificate."""
    folder.mkdir()
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]
    command += ["-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "crt.pem")]
    subprocess.run([*command, *files], check=True, capture_output=True, timeout=30)
    (folder / "web.yml").write_text("tls_server_config: {cert_file: crt.pem, key_file: key.pem}\n")
    for each in folder.iterdir():
        each.chmod(0o644)


def scrape_errors(docker: Docker, count: int) -> list[str]:
    """Returns the last error of each target, once there are that many."""
    deadline = time.monotonic() + 60
    while True:
        targets = json.loads(docker.wait_for("http://127.0.0.1:9090/api/v1/targets"))["data"]["activeTargets"]
        errors = [str(each["lastError"]) for each in targets if each["lastError"]]
        settled = [each for each in errors if "refused" not in each and "reset" not in each]
        if len(settled) >= count:
            return settled
        assert time.monotonic() < deadline, errors
        time.sleep(0.3)


def named(docker: Docker, service: str) -> list[str]:
    """Returns the containers of a service of the project."""
    words = ("ps", "-a", "--format", "{{.Names}}", "--filter", f"label=com.docker.compose.service={service}")
    return docker.docker(*words).split()
