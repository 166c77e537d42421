"""Containers of Compose stay secured: renewed while they run; changed or stopped ones are reported and restored."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from compose_projects import SCRAPE, Project, project
from docker_hosts import Docker
from machines import Network
from test_containers import COMPOSE

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(900)]


def test_containers_are_renewed_and_restored(docker: Docker, network: Network, tmp_path: Path) -> None:
    images = {
        "prometheus": docker.image("prometheus"),
        "exporter": docker.image("node_exporter", user="65532"),
    }
    with project(docker, network, tmp_path, "sid") as mine:
        mine.write(COMPOSE.format(**images), SCRAPE.format(target="exporter:9100"))
        mine.up(9090, 19100)
        mine.run("apply", str(mine.stack), "--yes")
        assert drift(mine) == set()
        made, key = ids(mine), mine.folder / "firescreen-exporter/node_exporter.key"
        before = key.stat()
        assert len(mine.run("renew", str(mine.stack), "--yes", "--json")["renewed"]) == 2
        assert ids(mine) == made, "no container was made anew"
        renewed = key.with_name("node_exporter-firescreen.key").stat()
        assert [(each.st_mode, each.st_uid, each.st_gid) for each in (before, renewed)].count(
            (renewed.st_mode, renewed.st_uid, renewed.st_gid)
        ) == 2
        assert drift(mine) == set()

        compose = mine.folder / "compose.yaml"
        verified = compose.read_text()
        line = "- --collector.disable-defaults"
        compose.write_text(verified.replace(line, f"{line}\n      - --log.level=debug"))
        mine.compose("up", "-d")
        mine.compose("stop", "exporter")
        at = next(
            number for number, text in enumerate(compose.read_text().splitlines(), 1) if "debug" in text
        )
        assert drift(mine) == {
            ("file", "", f"{compose}:{at}", "1 line added: - --log.level=debug"),
            ("service", "node_exporter", "", "the service does not run"),
        }
        refused = mine.run("plan", str(mine.stack), code=2)
        assert "Start it (docker start mon-exporter-1)" in " ".join(refused.split())
        mine.run("drift", str(mine.stack), "--restore", "--yes")
        assert compose.read_text() == verified
        assert drift(mine) == set()


def drift(mine: Project) -> set[tuple[str, str, str, str]]:
    """Returns the differences: kind, component, path, line and text, without those that follow from another."""
    ended = mine.start("drift", str(mine.stack), "--json")
    assert ended.returncode in (0, 3), ended.stderr
    found = json.loads(ended.stdout)["differences"]
    return {
        (
            each["kind"],
            each["component"] if not each["path"] else "",
            f"{each['path']}:{each['line']}" if each["path"] else "",
            each["what"],
        )
        for each in found
        if each["kind"] not in ("stack", "answer")
    }


def ids(mine: Project) -> dict[str, str]:
    return {name: str(one["Id"]) for name, one in mine.containers().items()}
