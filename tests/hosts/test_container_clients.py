"""Clients in containers beside the scrape jobs: remote write and read, alerts, blackbox modules; their data
still arrives.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from compose_projects import PORTS, Project, project
from docker_hosts import Docker
from machines import Network

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(600)]

COMPOSE = """\
services:
  prometheus:
    image: {prometheus}
    command:
      - --config.file=/etc/prometheus/prometheus.yml
      - --storage.tsdb.path=/prometheus
      - --rules.alert.resend-delay=1s
    volumes: ["./prometheus:/etc/prometheus"]
    ports: ["127.0.0.1:9090:9090"]
  receiver:
    image: {prometheus}
    command:
      - --config.file=/etc/prometheus/prometheus.yml
      - --storage.tsdb.path=/prometheus
      - --web.enable-remote-write-receiver
    volumes: ["./receiver:/etc/prometheus"]
    ports: ["127.0.0.1:9190:9090"]
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
  blackbox:
    image: {blackbox_exporter}
    volumes: ["./blackbox:/etc/blackbox_exporter"]
    ports: ["127.0.0.1:9115:9115"]
"""
SCRAPE = """\
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [rules.yml]
alerting:
  alertmanagers:
    - static_configs: [{targets: ['alertmanager:9093']}]
remote_write:
  - url: http://receiver:9090/api/v1/write   # kept for long
remote_read:
  - url: http://receiver:9090/api/v1/read
    read_recent: true
scrape_configs:
  - job_name: all
    static_configs: [{targets: ['localhost:9090', 'exporter:9100', 'receiver:9090', 'alertmanager:9093', 'blackbox:9115']}]
  - job_name: probed
    metrics_path: /probe
    params: {module: [http_2xx]}
    static_configs: [{targets: ['http://exporter:9100/metrics']}]
    relabel_configs:
      - {source_labels: [__address__], target_label: __param_target}
      - {source_labels: [__param_target], target_label: instance}
      - {target_label: __address__, replacement: 'blackbox:9115'}
"""
RULES = """\
groups:
  - name: always
    rules: [{alert: Always, expr: vector(1)}]
"""
STACK = """\
version: 1
hosts: {here: {connect: local}}
components:
  - {host: here, name: prometheus, protect: [tls, basic_auth], service: docker, project: mon, container: prometheus}
  - {host: here, name: prometheus, protect: [tls, basic_auth], service: docker, project: mon, container: receiver, unit: mon-receiver-1}
  - {host: here, name: alertmanager, protect: [tls, basic_auth], service: docker, project: mon}
  - {host: here, name: node_exporter, protect: [tls, basic_auth], service: docker, project: mon}
  - {host: here, name: blackbox_exporter, protect: [tls, basic_auth], service: docker, project: mon}
"""
LOGIN = ("tls", "basic_auth")


def test_samples_alerts_and_probe_results_still_arrive(
    docker: Docker, network: Network, tmp_path: Path
) -> None:
    images = {name: docker.image(name) for name in PORTS}
    with project(docker, network, tmp_path, "sid") as mine:
        mine.write(COMPOSE.format(**images), SCRAPE, STACK)
        (mine.folder / "prometheus/rules.yml").write_text(RULES)
        for name, text in (
            ("receiver/prometheus.yml", "scrape_configs: []\n"),
            ("blackbox/config.yml", "modules:\n  http_2xx:\n    prober: http\n"),
        ):
            (mine.folder / name).parent.mkdir()
            (mine.folder / name).write_text(text)
        mine.up(9090, 9190, 9093, 9100, 9115)
        until(lambda: has_arrived(mine, time.time() - 5, ()))
        files, shape = mine.files(), mine.shape()

        done = mine.run("apply", str(mine.stack), "--yes", "--json")
        assert done["state"] == "proven"
        since = time.time()
        until(lambda: has_arrived(mine, since, LOGIN))
        written = (mine.folder / "prometheus/prometheus.yml").read_text()
        assert "url: https://receiver:9090/api/v1/write   # kept for long" in written
        assert mine.run("plan", str(mine.stack), "--json")["changes"] == []

        mine.run("undo", "--yes")
        assert (mine.files(), mine.shape()) == (files, shape)
        since = time.time()
        until(lambda: has_arrived(mine, since, ()))


def has_arrived(mine: Project, since: float, protect: tuple[str, ...]) -> bool:
    """Returns whether samples, alerts and probe results from after `since` have arrived."""
    written = mine.ask(9190, "/api/v1/query?query=max(timestamp(up))", protect)["data"]["result"]
    alerts = mine.ask(9093, "/api/v2/alerts", protect)
    newest = mine.query("max(timestamp(probe_success==1))", protect)
    return (
        bool(written and newest)
        and float(written[0]["value"][1]) > since
        and float(newest[0]["value"][1]) > since
        and any(each["labels"]["alertname"] == "Always" for each in alerts)
    )


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Waits until the condition holds; a server that does not answer yet is asked again."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if condition():
                return
            problem = "not yet"
        except OSError as error:
            problem = str(error)
        assert time.monotonic() < deadline, problem
        time.sleep(0.3)
