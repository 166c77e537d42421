"""A job whose parts are shared through YAML anchors is divided; its targets keep their labels in a real Prometheus."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.integration.loopback_programs import free_port, prometheus_server
from wizard import binaries
from wizard.config_files import prometheus

RULES = """
      - source_labels: [__address__]
        target_label: __param_target
      - source_labels: [__param_target]
        target_label: instance
      - {source_labels: [job], target_label: was}
      - target_label: __address__
        replacement: 127.0.0.1:9
"""
PROBE = "    metrics_path: /probe\n    params: {module: [http_2xx]}\n"
FIRST = f"  - job_name: web\n{PROBE}    static_configs:\n      - targets: [https://a.example, https://b.example]\n"
SECOND = f"""  - job_name: other
{PROBE}    static_configs:
      - targets:
          - https://c.example   # the third
          - https://d.example
        labels:
          team: x
      - targets: [https://e.example]
      - targets: [https://f.example]
        labels: {{job: own, team: y}}
"""
SHARED = {
    "an anchor in the job": (
        f"scrape_configs:\n{FIRST}    relabel_configs: &bb{RULES}{SECOND}    relabel_configs: *bb\n",
        "web",
        ["https://b.example"],
    ),
    "an alias in the job": (
        f"scrape_configs:\n{FIRST}    relabel_configs: &bb   # shared{RULES}{SECOND}    relabel_configs: *bb\n",
        "other",
        ["https://c.example"],
    ),
    "an alias and several groups": (
        f"scrape_configs:\n{FIRST}    relabel_configs: &bb{RULES}{SECOND}    relabel_configs: *bb\n",
        "other",
        ["https://d.example", "https://e.example", "https://f.example"],
    ),
    "anchors of everything": (
        (
            "scrape_configs:\n"
            "  - job_name: web\n    params: &p {module: [&m http_2xx]}\n    metrics_path: &path /probe\n"
            f"    static_configs:\n      - targets: [https://a.example, https://b.example]\n    relabel_configs: &bb{RULES}"
            "  - job_name: more\n    params: *p\n    metrics_path: *path\n    relabel_configs: *bb\n"
            "    static_configs: [{targets: [https://g.example]}]\n"
        ),
        "web",
        ["https://a.example"],
    ),
    "rules in a merge key": (
        f"scrape_configs:\n{FIRST}    <<: &bb\n     relabel_configs:{RULES}{SECOND}    <<: *bb\n",
        "other",
        ["https://c.example"],
    ),
    "in one line": (
        (
            "scrape_configs: [{job_name: web, metrics_path: /probe, relabel_configs: &bb [{source_labels: [__address__], "
            "target_label: instance}, {target_label: __address__, replacement: '127.0.0.1:9'}], static_configs: "
            "[{targets: [a.example, b.example]}]}, {job_name: other, relabel_configs: *bb, static_configs: "
            "[{targets: [c.example, d.example]}]}]\n"
        ),
        "other",
        ["d.example"],
    ),
}


def _labels(program: str, folder: Path, content: bytes, count: int) -> list[dict[str, Any]]:
    """Returns the labels of Prometheus' targets, without the name of the scrape pool."""
    port = free_port()
    with prometheus_server(program, folder, port, content.decode()):
        for _ in range(200):
            try:
                url = f"http://127.0.0.1:{port}/api/v1/targets?state=active"
                with urllib.request.urlopen(url, timeout=5) as answer:
                    found = json.load(answer)["data"]["activeTargets"]
            except (OSError, urllib.error.URLError):
                found = []
            if len(found) == count:
                return sorted(
                    ({"labels": each["labels"], "url": each["scrapeUrl"]} for each in found), key=json.dumps
                )
            time.sleep(0.1)
    raise AssertionError(found)


@pytest.mark.parametrize("suite", [pytest.param("bookworm", marks=pytest.mark.matrix), "sid"])
@pytest.mark.parametrize("name", SHARED)
def test_a_divided_job_keeps_the_labels_of_its_targets(
    name: str, suite: str, cache: Path, tmp_path: Path
) -> None:
    text, job, moved = SHARED[name]
    before = text.encode()
    after = prometheus.split_job(before, job=job, targets=moved, new_job="divided")
    found = {each.name: each for each in prometheus.jobs(after)}
    assert found["divided"].targets == tuple(moved)
    assert not set(found[job].targets) & set(moved)
    program = binaries.find("prometheus", cache=cache, suite=suite).path
    count = sum(len(each.targets) for each in prometheus.jobs(before))
    assert _labels(program, tmp_path, after, count) == _labels(program, tmp_path, before, count)
    # The anchor is in its old place, and every other job is unchanged.
    assert after.decode().count("&") == before.decode().count("&")
    assert [line for line in before.decode().splitlines() if "&bb" in line] == [
        line for line in after.decode().splitlines() if "&bb" in line
    ] or "\n" not in before.decode().strip()
