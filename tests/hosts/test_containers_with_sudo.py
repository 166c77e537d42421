"""A user without access to Docker but with sudo: containers of this machine are secured and undone by `become: sudo`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from compose_projects import SCRAPE, STACK, Project
from docker_hosts import Docker
from machines import Network
from sshd import Person
from test_containers import COMPOSE

from tests.processes import run_program

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(600)]

_ROOT = Path(__file__).parents[2]


class WithSudo(Project):
    """A project on the daemon's host, where an unprivileged user runs Firescreen."""

    person: Person

    def start(self, *words: str, fault: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
        """Runs Firescreen as the user; the daemon has its default socket."""
        assert not fault, "only as root"
        who = ["runuser", "-u", self.person.name, "--", "env", f"HOME={self.person.home}"]
        program = [sys.executable, "-m", "screens", "--workspace", str(self.workspace)]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("DOCKER_")}
        return run_program(
            [*self.docker.enter, *who, *program, *words],
            env={**kept, "PYTHONPATH": str(_ROOT)},
            cwd=self.person.home,
            stdin=subprocess.DEVNULL,
            timeout=300,
        )


def test_a_user_with_sudo_secures_containers_of_this_machine(
    docker: Docker, network: Network, tmp_path: Path
) -> None:
    images = {"prometheus": docker.image("prometheus"), "exporter": docker.image("node_exporter")}
    docker.install("sid")
    docker.socket.chmod(0o600)
    with Person(sudoers="USER ALL=(ALL) NOPASSWD: ALL") as person, docker.open_home():
        mine = WithSudo(docker, network, tmp_path, "sid")
        mine.person, mine.workspace = person, person.home / "workspace"
        mine.stack = person.home / "stack.yaml"
        stack = STACK.replace("{connect: local}", "{connect: local, become: sudo}")
        mine.write(COMPOSE.format(**images), SCRAPE.format(target="exporter:9100"), stack)
        try:
            mine.up(9090, 19100)
            files, shape = mine.files(), mine.shape()
            seen = mine.scan(code=3)
            assert {name: each["state"] for name, each in seen.items()} == {
                "node_exporter": "open",
                "prometheus": "open",
            }
            assert mine.run("apply", str(mine.stack), "--yes", "--json")["state"] == "proven"
            assert mine.run("plan", str(mine.stack), "--json")["changes"] == []
            mine.run("undo", "--yes")
            assert (mine.files(), mine.shape()) == (files, shape)
            mine.stack.write_text(STACK)
            assert mine.scan(code=3) == {}, "without sudo, Docker tells nothing of its containers"
        finally:
            mine.compose("down", "-v")
            docker.socket.chmod(0o660)
