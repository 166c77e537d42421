"""Rootless Docker: the containers of a user's own daemon, secured by root on that host."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from compose_projects import SCRAPE, STACK, Project
from machines import Network
from rootless_docker import RootlessDocker
from sshd import Person
from test_containers import COMPOSE

from tests.processes import run_program

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(900)]


class Rootless(Project):
    """The project, with Firescreen as root on that host, which has to find the daemon itself."""

    def start(self, *words: str, fault: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
        variables = {**os.environ, **self.docker.environment(self.generation)}
        variables.pop("DOCKER_HOST")
        argv = [*self.docker.enter, sys.executable, "-m", "screens", "--workspace", str(self.workspace)]
        return run_program([*argv, *words], env=variables, timeout=400)


def test_a_project_of_a_users_own_daemon_is_secured_and_undone(network: Network, tmp_path: Path) -> None:
    with Person() as person, RootlessDocker(network, person) as docker:
        images = {"prometheus": docker.image("prometheus"), "exporter": docker.image("node_exporter")}
        mine = Rootless(docker, network, person.home, "sid")
        # Root's own file, which the user can read and not change.
        mine.folder = Path("/tmp", f"project-{person.name}", "mon")
        mine.workspace, mine.stack = tmp_path / "workspace", tmp_path / "stack.yaml"
        mine.write(COMPOSE.format(**images), SCRAPE.format(target="exporter:9100"), STACK)
        try:
            mine.up(9090, 19100)
            files, shape = mine.files(), mine.shape()
            seen = mine.scan(code=3)
            assert {name: each["state"] for name, each in seen.items()} == {
                "node_exporter": "open",
                "prometheus": "open",
            }
            box = seen["prometheus"]["container"]
            assert box["engine"] == f"docker -H unix:///run/user/{person.uid}/docker.sock"
            nobody = docker.nobody
            assert box["uid"] == nobody
            done = mine.run("apply", str(mine.stack), "--yes", "--json")
            assert done["state"] == "proven"
            key = (mine.folder / "firescreen-exporter/node_exporter.key").stat()
            assert (key.st_mode & 0o777, key.st_uid, key.st_gid) == (0o640, 0, nobody)
            assert mine.run("plan", str(mine.stack), "--json")["changes"] == []
            mine.run("undo", "--yes")
            assert mine.files() == files
            assert mine.shape() == shape

            text = (mine.folder / "compose.yaml").read_text()
            closed = text.replace('    ports:\n      - "19100:9100"\n', "")
            assert closed != text
            (mine.folder / "compose.yaml").write_text(closed)
            mine.compose("up", "-d")
            refused = mine.run("plan", str(mine.stack), code=2)
            assert "publishes no port for node_exporter and has no address of its own" in refused
        finally:
            mine.compose("down", "-v")
            shutil.rmtree(mine.folder.parent)


def test_its_folder_is_removed_with_it(network: Network, tmp_path: Path) -> None:
    with Person() as person, RootlessDocker(network, person) as docker:
        assert "rootless" in docker.docker("info")
        home = person.home
    assert not home.exists()
    assert not docker.folder.exists()
