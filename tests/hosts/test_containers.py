"""Components in containers of Docker Compose: found, secured, verified, rolled back and undone on a real daemon."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest
from compose_projects import SCRAPE, STACK, project
from docker_hosts import Docker
from machines import Network

from wizard.engine import container_addresses
from wizard.engine.hosts import Hosts
from wizard.model import Facts, HostFacts, HostSpec, Probe
from wizard.service_managers import docker_discovery, docker_run
from wizard.service_managers.container_engines import Engine
from wizard.workspace import Workspace

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(900)]

COMPOSE = """\
# Our monitoring.
version: "3"
services:
  prometheus:
    image: {prometheus}
    volumes:
      - ./prometheus:/etc/prometheus   # ours
    ports: ["127.0.0.1:9090:9090"]
    healthcheck:
      test: ["CMD", "nc", "-w", "5", "127.0.0.1", "9090"]
      interval: 1s
  exporter:
    image: {exporter}
    command:
      - --collector.disable-defaults
    ports:
      - "19100:9100"
"""


def test_a_project_is_secured_verified_and_undone(docker: Docker, network: Network, tmp_path: Path) -> None:
    images = {
        "prometheus": docker.image("prometheus"),
        "exporter": docker.image("node_exporter", user="65532"),
    }
    with project(docker, network, tmp_path, "bookworm") as mine:
        mine.write(COMPOSE.format(**images), SCRAPE.format(target="exporter:9100"))
        mine.up(9090, 19100)
        seen = mine.scan(code=3)
        assert {name: each["state"] for name, each in seen.items()} == {
            "node_exporter": "open",
            "prometheus": "open",
        }
        box = seen["node_exporter"]["container"]
        assert (box["project"], box["service"], box["uid"]) == ("mon", "exporter", 65532)
        assert seen["node_exporter"]["version"]
        assert seen["node_exporter"]["address"] == "127.0.0.1:19100"

        files, shape = mine.files(), mine.shape()
        vault = tmp_path / "vault"
        vault.write_text("correct horse\n")
        words = ("export", str(mine.stack), "--to", "ansible", str(tmp_path / "playbook"))
        refused = " ".join(mine.run(*words, "--vault-password-file", str(vault), code=2).split())
        assert "runs in container mon_exporter_1, and containers cannot be exported to a playbook" in refused
        assert "secure the container with `firescreen" in refused
        assert not (tmp_path / "playbook").exists()
        done = mine.run("apply", str(mine.stack), "--yes", "--json")
        assert done["state"] == "proven"
        assert {probe["component"] for probe in done["probes"]} == {"node_exporter", "prometheus"}
        assert sum(probe["expect"] == "up" and probe["ok"] for probe in done["probes"]) == 2
        key = (mine.folder / "firescreen-exporter/node_exporter.key").stat()
        assert (key.st_mode & 0o777, key.st_uid) == (0o640, 0)
        boxes = mine.containers()
        texts = json.dumps(boxes) + (mine.folder / "compose.yaml").read_text()
        secret = (mine.workspace / "users/prometheus.password").read_text()
        assert secret not in texts
        assert "$2y$" not in texts
        assert mine.run("plan", str(mine.stack), "--json")["changes"] == []
        assert {each["state"] for each in mine.scan(code=0).values()} == {"secured"}

        mine.run("undo", "--yes")
        assert mine.files() == files
        assert mine.shape() == shape
        assert {each["state"] for each in mine.scan(code=3).values()} == {"open"}


MIXED = """\
services:
  prometheus:
    image: {prometheus}
    volumes:
      - ./prometheus/prometheus.yml:/etc/prometheus/prometheus.yml
    ports: ["127.0.0.1:9090:9090"]
    extra_hosts: ["host.docker.internal:host-gateway"]
  exporter:
    image: local/gone:1
    pull_policy: never
    network_mode: host
    command: --collector.disable-defaults
"""


def test_a_failed_run_is_rolled_back_and_the_host_is_a_target_too(
    docker: Docker, network: Network, tmp_path: Path
) -> None:
    images = {"prometheus": docker.image("prometheus"), "exporter": docker.image("node_exporter")}
    docker.docker("tag", images["exporter"], "local/gone:1")
    with project(docker, network, tmp_path, "trixie") as mine:
        mine.write(MIXED.format(**images), SCRAPE.format(target="host.docker.internal:9100"))
        mine.up(9090, 9100)
        files, shape = mine.files(), mine.shape()
        docker.docker("rmi", "local/gone:1")
        failed = mine.run("apply", str(mine.stack), "--yes", "--json", code=1)
        assert failed["state"] == "rolled-back"
        assert "Docker did not recreate mon-exporter-1" in failed["error"]["what"]
        assert mine.files() == files
        assert mine.shape() == shape

        docker.docker("tag", images["exporter"], "local/gone:1")
        done = mine.run("apply", str(mine.stack), "--yes", "--json")
        assert done["state"] == "proven"
        assert mine.run("plan", str(mine.stack), "--json")["changes"] == []
        mine.run("undo", "--yes")
        assert mine.files() == files
        assert mine.shape() == shape


def test_the_docker_run_command_recreates_an_equal_container(docker: Docker, tmp_path: Path) -> None:
    image = docker.image("node_exporter")
    first = ["run", "-d", "--name", "lone", "--publish", "127.0.0.1:9111:9100", "--restart", "unless-stopped"]
    more = [
        "--volume",
        f"{tmp_path}:/host:ro",
        "--pid",
        "host",
        "--cap-add",
        "SYS_TIME",
        "--env",
        "COLOUR=secret",
    ]
    docker.docker(*first, *more, "--memory", "256m", image, "--path.rootfs=/host")
    try:
        before = json.loads(docker.docker("inspect", "lone"))[0]
        box = docker_discovery.container(
            before, owner=(65534, 65534), engine=Engine("docker", "", (before,)), inside_port=9100
        )
        commands = docker_run.lines(
            box, ["--path.rootfs=/host", "--web.config.file=/srv/x/web.yml"], folder="/srv/x"
        )
        assert "secret" not in "\n".join(commands)
        text = "COLOUR=secret; export COLOUR\n" + "\n".join(commands)
        env = {**os.environ, **docker.environment()}
        subprocess.run(["sh", "-e", "-c", text], env=env, check=True, capture_output=True, timeout=120)
        after = json.loads(docker.docker("inspect", "lone"))[0]
        assert after["Args"] == ["--path.rootfs=/host", "--web.config.file=/srv/x/web.yml"]
        assert sorted(after["HostConfig"].pop("Binds")) == ["/srv/x:/srv/x:ro", f"{tmp_path}:/host:ro"]
        before["HostConfig"].pop("Binds")
        assert after["HostConfig"] == before["HostConfig"]
        assert after["Config"]["Env"] == before["Config"]["Env"]
    finally:
        for name in ("lone", "lone-before"):
            with suppress(RuntimeError):
                docker.docker("rm", "-f", "-v", name)


CLOSED = """\
services:
  prometheus:
    image: {prometheus}
    volumes: ["./prometheus:/etc/prometheus"]
    ports: ["127.0.0.1:9090:9090"]
  exporter:
    image: {exporter}
  push:
    image: {push}
"""


def test_a_container_without_published_port_is_verified_at_its_address(
    docker: Docker, network: Network, tmp_path: Path
) -> None:
    images = {
        "prometheus": docker.image("prometheus"),
        "exporter": docker.image("node_exporter"),
        "push": docker.image("pushgateway"),
    }
    stack = STACK + "  - {host: here, name: pushgateway, protect: [tls, basic_auth], service: docker}\n"
    with project(docker, network, tmp_path, "sid") as mine:
        mine.write(CLOSED.format(**images), SCRAPE.format(target="exporter:9100"), stack)
        mine.up(9090)
        files, shape = mine.files(), mine.shape()
        seen = mine.scan(code=3)
        assert {each["state"] for each in seen.values()} == {"open"}
        assert seen["node_exporter"]["address"].endswith(":9100")
        done = mine.run("apply", str(mine.stack), "--yes", "--json")
        assert done["state"] == "proven"
        assert {each["component"] for each in done["probes"]} == {
            "node_exporter",
            "prometheus",
            "pushgateway",
        }
        assert mine.run("plan", str(mine.stack), "--json")["changes"] == []
        (certificate,) = (mine.folder / "firescreen-push").glob("*.crt")
        told = subprocess.run(
            ["openssl", "x509", "-in", certificate, "-noout", "-ext", "subjectAltName"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert "DNS:push" in told
        assert seen["pushgateway"]["address"].partition(":")[0] not in told
        mine.run("undo", "--yes")
        assert mine.files() == files
        assert mine.shape() == shape


def test_a_container_with_another_address_is_probed_there(
    docker: Docker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Docker may assign another address when it recreates a container; here it is attached again with a given
    address.
    """
    for name, value in docker.environment().items():
        monkeypatch.setenv(name, value)
    docker.docker("network", "create", "--subnet", "10.77.0.0/24", "moving")
    try:
        docker.docker("run", "-d", "--name", "moved", "--network", "moving", docker.image("node_exporter"))
        spec = HostSpec(name="here", connect="local")
        with Hosts(Workspace(tmp_path), (spec,)) as hosts:
            service = next(
                each
                for each in docker_discovery.discover(hosts.connection("here"), ())
                if each.unit == "moved"
            )
            assert service.listen == "10.77.0.2:9100"
            facts = Facts(hosts={"here": HostFacts(spec=spec, services=(service,))})
            probe = Probe(
                id="x",
                host="here",
                component="node_exporter",
                name="x",
                client="x",
                expect="200",
                url="https://10.77.0.2:9100/metrics",
                server_name="moved",
            )
            assert container_addresses.current([probe], facts, hosts) == [probe]
            docker.docker("network", "disconnect", "moving", "moved")
            docker.docker("network", "connect", "--ip", "10.77.0.9", "moving", "moved")
            (now,) = container_addresses.current([probe], facts, hosts)
            assert (now.url, now.server_name) == ("https://10.77.0.9:9100/metrics", "moved")
    finally:
        docker.docker("rm", "-f", "-v", "moved")
        docker.docker("network", "rm", "moving")


CHECKED = """\
services:
  prometheus:
    image: {prometheus}
    volumes: ["./prometheus:/etc/prometheus"]
    ports: ["127.0.0.1:9090:9090"]
    healthcheck:
      test: ["CMD", "promtool", "check", "healthy", "--url=http://localhost:9090"]
      interval: 1s
"""
ALONE = """\
global: {scrape_interval: 1s}
scrape_configs:
  - job_name: prometheus
    static_configs: [{targets: ['prometheus:9090']}]
"""


def test_promtool_in_a_healthcheck_logs_in_by_a_file(
    docker: Docker, network: Network, tmp_path: Path
) -> None:
    level = "  - {host: here, name: prometheus, protect: [tls, basic_auth, client_cert], service: docker}\n"
    with project(docker, network, tmp_path, "sid") as mine:
        mine.write(
            CHECKED.format(prometheus=docker.image("prometheus", suite="sid")),
            ALONE,
            STACK.partition("components:")[0] + "components:\n" + level,
        )
        mine.up(9090)
        files, shape = mine.files(), mine.shape()
        done = mine.run("apply", str(mine.stack), "--yes", "--json")
        assert done["state"] == "proven"
        login = (mine.folder / "firescreen-prometheus/healthcheck.yml").read_text()
        secret = (mine.workspace / "users/prometheus.password").read_text().strip()
        assert "password_file:" in login and secret not in login
        deadline = time.monotonic() + 30
        while mine.containers()["prometheus"]["State"]["Health"]["Status"] != "healthy":
            assert time.monotonic() < deadline, mine.containers()["prometheus"]["State"]["Health"]
            time.sleep(0.2)
        assert mine.run("plan", str(mine.stack), "--json")["changes"] == []
        mine.run("undo", "--yes")
        assert mine.files() == files
        assert mine.shape() == shape


WITH_GRAFANA = """\
services:
  prometheus:
    image: {prometheus}
    volumes: ["./prometheus:/etc/prometheus"]
    ports: ["127.0.0.1:9090:9090"]
  grafana:
    image: grafana/grafana:11.0.0
    user: "472:0"
    entrypoint: ["sleep", "3600"]
    volumes: ["./grafana:/etc/grafana/provisioning"]
"""
SOURCES = """\
apiVersion: 1
datasources:
  - name: Metrics   # ours
    type: prometheus
    url: http://prometheus:9090
"""


def test_data_sources_of_a_grafana_in_a_container_are_updated(
    docker: Docker, network: Network, tmp_path: Path
) -> None:
    """No registry of these tests has Grafana: a program with its uid reads the files that its data source names."""
    docker.docker("tag", docker.image("node_exporter"), "grafana/grafana:11.0.0")
    level = "  - {host: here, name: prometheus, protect: [tls, basic_auth, client_cert], service: docker}\n"
    with project(docker, network, tmp_path, "sid") as mine:
        mine.write(
            WITH_GRAFANA.format(prometheus=docker.image("prometheus")),
            ALONE,
            STACK.partition("components:")[0] + "components:\n" + level,
        )
        folder = mine.folder / "grafana/datasources"
        folder.mkdir(parents=True)
        (folder / "ours.yaml").write_text(SOURCES)
        mine.up(9090)
        files, shape = mine.files(), mine.shape()
        planned = mine.run("plan", str(mine.stack), "--json", code=3)
        assert "docker restart mon-grafana-1" in json.dumps(planned["warnings"])
        done = mine.run("apply", str(mine.stack), "--yes", "--json")
        assert done["state"] == "proven"
        text = (folder / "ours.yaml").read_text()
        assert "name: Metrics   # ours" in text and "url: https://prometheus:9090" in text
        named = re.findall(r"\$__file\{([^}]+)\}", text)
        assert len(named) == 4 and all(each.startswith("/etc/grafana/provisioning/") for each in named)
        for each in named:
            assert docker.docker("exec", "mon-grafana-1", "cat", each)
        assert mine.run("plan", str(mine.stack), "--json")["changes"] == []
        mine.run("undo", "--yes")
        assert mine.files() == files
        assert mine.shape() == shape
