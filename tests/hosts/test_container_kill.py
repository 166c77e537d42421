"""The wizard is killed while it secures containers: `recover` restores files and containers, whenever it was killed.

After some lines of the journal in `make test-hosts`, those of a container's restart among them; with
FIRESCREEN_CONTAINER_KILLS=1 after each line.
"""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path
from typing import Any

import pytest
from compose_projects import SCRAPE, Project, project, stack_of
from docker_hosts import Docker
from machines import Network

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(3600)]

COMPOSE = """\
services:
  prometheus:
    image: {prometheus}
    volumes: ["./prometheus:/etc/prometheus"]
    ports: ["127.0.0.1:9090:9090"]
  exporter:
    image: {exporter}
    command: ["--collector.disable-defaults"]
    ports: ["127.0.0.1:9100:9100"]
"""
EVERY = int(os.environ.get("FIRESCREEN_CONTAINER_KILLS", "6"))
"""One of how many lines."""
SIGKILLED = -9


def test_killed_after_lines_of_the_journal_and_while_compose_works(
    docker: Docker, network: Network, tmp_path: Path
) -> None:
    images = {
        "prometheus": docker.image("prometheus"),
        "exporter": docker.image("node_exporter", user="65532"),
    }
    stack = stack_of(("node_exporter",), ("tls", "basic_auth"), ("prometheus",))
    with project(docker, network, tmp_path, "sid") as mine:
        mine.write(COMPOSE.format(**images), SCRAPE.format(target="exporter:9100"), stack)
        mine.up(9090, 9100)
        before = mine.files(), mine.shape()
        for kind in ("create", "die"):
            assert is_killed(mine, "event", kind)
            recovered(mine, before, kind)
        last = 0
        for line in itertools.count(EVERY, EVERY):
            if not is_killed(mine, "kill", str(line)):
                break
            if has_finished(mine):
                mine.run("verify", str(mine.stack))
                mine.run("undo", "--yes")
            recovered(mine, before, str(line))
            last = line
        assert last > 30


def is_killed(mine: Project, *fault: str) -> bool:
    """Returns whether an apply was killed; otherwise it must succeed."""
    ended = mine.start("apply", str(mine.stack), "--yes", fault=fault)
    assert ended.returncode in (0, SIGKILLED), (fault, ended.stderr[-3000:])
    return ended.returncode == SIGKILLED


def has_finished(mine: Project) -> bool:
    """Returns whether the run had verified everything when it was killed, so that nothing is left to recover."""
    mine.run("recover", "--yes")
    runs: list[dict[str, Any]] = json.loads(mine.start("history", "--json").stdout)
    return bool(runs) and runs[0]["state"] == "proven"


def recovered(mine: Project, before: tuple[Any, Any], when: str) -> None:
    """Recovers; everything must be as before, and answer."""
    mine.run("recover", "--yes")
    assert (mine.files(), mine.shape()) == before, when
    mine.answers(9090, 9100)
