"""A Compose project on a test's own dockerd, with Firescreen beside that daemon."""

from __future__ import annotations

import base64
import json
import os
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from docker_hosts import Docker
from machines import Network

from tests.processes import run_program

_ROOT = Path(__file__).parents[2]
_FAULT_INJECTION = Path(__file__).with_name("fault_injection.py")
STACK = """\
version: 1
hosts: {here: {connect: local}}
components:
  - {host: here, name: node_exporter, protect: [tls, basic_auth], service: docker, project: mon, container: exporter}
  - {host: here, name: prometheus, protect: [tls, basic_auth], service: docker, project: mon}
"""
SCRAPE = """\
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: prometheus
    static_configs: [{{targets: ['localhost:9090']}}]
  - job_name: node
    static_configs:
      - targets: ['{target}']
"""
ALL = """\
services:
  prometheus:
    image: {prometheus}
    volumes: ["./prometheus:/etc/prometheus"]
    ports: ["9090:9090"]
  alertmanager:
    image: {alertmanager}
    command:
      - --config.file=/etc/alertmanager/alertmanager.yml
      - --storage.path=/alertmanager
      - --cluster.listen-address=
    ports: ["127.0.0.1:9093:9093"]
  exporter:
    image: {node_exporter}
    ports: ["127.0.0.1:9100:9100"]
  push:
    image: {pushgateway}
    ports: ["127.0.0.1:9091:9091"]
  blackbox:
    image: {blackbox_exporter}
    volumes: ["./blackbox:/etc/blackbox_exporter"]
    ports: ["127.0.0.1:9115:9115"]
"""
SCRAPE_ALL = """\
global: {scrape_interval: 1s}
alerting:
  alertmanagers:
    - static_configs: [{targets: ['alertmanager:9093']}]
scrape_configs:
  - job_name: all
    static_configs: [{targets: ['localhost:9090', 'exporter:9100', 'push:9091', 'alertmanager:9093', 'blackbox:9115']}]
  - job_name: probed
    metrics_path: /probe
    params: {module: [http_2xx]}
    static_configs: [{targets: ['http://exporter:9100/metrics']}]
    relabel_configs:
      - {source_labels: [__address__], target_label: __param_target}
      - {source_labels: [__param_target], target_label: instance}
      - {target_label: __address__, replacement: 'blackbox:9115'}
"""
PORTS = {
    "prometheus": 9090,
    "alertmanager": 9093,
    "node_exporter": 9100,
    "pushgateway": 9091,
    "blackbox_exporter": 9115,
}
LEVELS: Mapping[str, tuple[str, ...]] = {
    "TLS": ("tls",),
    "TLS + password": ("tls", "basic_auth"),
    "mutual TLS": ("tls", "client_cert"),
    "mutual TLS + password": ("tls", "basic_auth", "client_cert"),
}


def stack_of(components: Iterable[str], protect: Sequence[str], others: Iterable[str] = ()) -> str:
    """Returns the stack file of these components in containers on this host; the others stay unprotected."""
    lines = [
        f"  - {{host: here, name: {name}, protect: [{', '.join(wanted)}], service: docker}}"
        for names, wanted in ((components, protect), (others, ()))
        for name in names
    ]
    return "\n".join([*STACK.splitlines()[:3], *lines, ""])


class Project:
    """A running Compose project, with Firescreen on the daemon's host."""

    def __init__(self, docker: Docker, network: Network, folder: Path, generation: str) -> None:
        self.docker, self.generation = docker, generation
        self.folder = folder / "mon"
        self.workspace = folder / "workspace"
        self.network = network
        self.stack = folder / "stack.yaml"

    def write(self, compose: str, scrape: str = "", stack: str = STACK) -> None:
        """Writes its files."""
        (self.folder / "prometheus").mkdir(parents=True)
        (self.folder / "compose.yaml").write_text(compose)
        (self.folder / "prometheus/prometheus.yml").write_text(scrape)
        self.stack.write_text(stack)

    def write_all(self, images: Mapping[str, str]) -> None:
        """Writes a project with all five components; each is scraped, and the blackbox exporter probes a target."""
        self.write(ALL.format(**images), SCRAPE_ALL, stack_of(PORTS, ()))
        (self.folder / "blackbox").mkdir()
        (self.folder / "blackbox/config.yml").write_text("modules:\n  http_2xx:\n    prober: http\n")

    def up(self, *ports: int) -> None:
        """Starts the project, and waits until its ports answer."""
        self.compose("up", "-d")
        self.answers(*ports)

    def answers(self, *ports: int) -> None:
        """Waits until each of these ports serves metrics by plain HTTP."""
        with self.network.entered():
            for port in ports:
                self.docker.wait_for(f"http://127.0.0.1:{port}/metrics", seconds=120)

    def compose(self, *words: str) -> str:
        """Runs this generation's Compose in the project."""
        call = ("-f", "compose.yaml", "-p", "mon")
        return self.docker.compose(*call, *words, folder=self.folder, generation=self.generation)

    def start(self, *words: str, fault: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
        """Runs Firescreen to its end, with any exit code.

        Args:
            fault: what to make fail during the run, see `fault_injection.py`.
        """
        program = [str(_FAULT_INJECTION), *fault, "--"] if fault else ["-m", "screens"]
        return run_program(
            [*self.docker.enter, sys.executable, *program, "--workspace", str(self.workspace), *words],
            env={**os.environ, **self.docker.environment(self.generation), "PYTHONPATH": str(_ROOT)},
            stdin=subprocess.DEVNULL,
            timeout=400,
        )

    def run(self, *words: str, code: int = 0, fault: Sequence[str] = ()) -> Any:
        """Runs Firescreen, which must exit with that code, and returns its JSON."""
        ended = self.start(*words, fault=fault)
        output = f"{ended.stdout[-3000:]}\n{ended.stderr[-3000:]}"
        assert ended.returncode == code, f"{words}: {ended.returncode}\n{output}"
        return json.loads(ended.stdout) if "--json" in words else ended.stdout + ended.stderr

    def ask(self, port: int, path: str, protect: Sequence[str] = ()) -> Any:
        """Returns a component's answer as JSON, requested by Python's own client with the credentials of its level."""
        request = urllib.request.Request(f"{'https' if protect else 'http'}://127.0.0.1:{port}{path}")
        context = None
        if protect:
            context = ssl.create_default_context(cafile=str(self.workspace / "ca/ca.crt"))
        if context is not None and "client_cert" in protect:
            folder = self.workspace / "clients"
            context.load_cert_chain(folder / "firescreen.crt", folder / "firescreen.key")
        if "basic_auth" in protect:
            password = (self.workspace / "users/prometheus.password").read_text()
            login = base64.b64encode(f"prometheus:{password}".encode()).decode()
            request.add_header("Authorization", f"Basic {login}")
        with (
            self.network.entered(),
            urllib.request.urlopen(request, timeout=5, context=context) as answer,
        ):
            return json.loads(answer.read())

    def query(self, expression: str, protect: Sequence[str] = ()) -> list[dict[str, Any]]:
        """Returns the result of a query to Prometheus."""
        path = f"/api/v1/query?query={quote(expression, safe='')}"
        return list(self.ask(PORTS["prometheus"], path, protect)["data"]["result"])

    def targets(self, protect: Sequence[str] = ()) -> dict[str, str]:
        """Returns the health of each target from Prometheus."""
        found = self.ask(PORTS["prometheus"], "/api/v1/targets?state=active", protect)["data"][
            "activeTargets"
        ]
        return {each["scrapeUrl"]: each["health"] for each in found}

    def scan(self, *, code: int) -> dict[str, Any]:
        """Returns the components of the project in a scan, by name: other tests' components are on this machine too."""
        found = self.run("scan", str(self.stack), "--json", code=code)["components"]
        return {
            each["component"]: each for each in found if each.get("container", {}).get("project") == "mon"
        }

    def files(self) -> dict[str, tuple[int, int, int, bytes]]:
        """Returns all files in the project's folder, with mode, owner and content."""
        return {
            str(path.relative_to(self.folder)): (
                path.stat().st_mode,
                path.stat().st_uid,
                path.stat().st_gid,
                path.read_bytes() if path.is_file() else b"",
            )
            for path in sorted(self.folder.rglob("*"))
        }

    def containers(self, project: str = "mon") -> dict[str, Any]:
        """Returns `docker inspect` of each container of a project, by service."""
        label = f"label=com.docker.compose.project={project}"
        found = json.loads(
            self.docker.docker("inspect", *self.docker.docker("ps", "-aq", "--filter", label).split())
        )
        return {one["Config"]["Labels"]["com.docker.compose.service"]: one for one in found}

    def shape(self) -> dict[str, Any]:
        """Returns the properties of the containers that an undo must restore."""
        return {
            name: (
                one["Path"],
                one["Args"],
                sorted(one["HostConfig"]["Binds"] or ()),
                one["Config"].get("Healthcheck"),
            )
            for name, one in self.containers().items()
        }


@contextmanager
def project(docker: Docker, network: Network, folder: Path, generation: str) -> Iterator[Project]:
    """Yields a project and removes its containers afterwards."""
    made = Project(docker, network, folder, generation)
    try:
        yield made
    finally:
        if (made.folder / "compose.yaml").exists():
            made.compose("down", "-v")
