"""The lab in containers on a real dockerd: by hand and done for the student, reset to the byte, with no leftovers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import bases
import pytest
from docker_hosts import Docker

from tests.processes import run_program
from wizard import binaries

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(600)]

_ROOT = Path(__file__).parents[2]
_UID = 4242
"""A student, who may use Docker and nothing else."""


class Student:
    """A student with a workspace on the daemon's host."""

    def __init__(self, docker: Docker, folder: Path, generation: str, *, uid: int) -> None:
        self._docker = docker
        self._generation = generation
        self._uid = uid
        self.workspace = folder / "workspace"

    def run(self, *words: str, code: int = 0) -> str:
        """Runs Firescreen as the student; it must exit with that code."""
        who = ["setpriv", "--reuid", str(self._uid), "--regid", str(self._uid), "--clear-groups"]
        environment = self._docker.environment(self._generation)
        ended = run_program(
            [
                *self._docker.enter,
                *(who if self._uid else ()),
                *(sys.executable, "-m", "screens", "--workspace", str(self.workspace), *words),
            ],
            env={
                **os.environ,
                **environment,
                "PATH": f"{Path(sys.executable).parent}:{environment['PATH']}",
                "PYTHONPATH": str(_ROOT),
                "FIRESCREEN_CACHE": str(bases.cache() / "programs"),
                "HOME": str(self.workspace.parent),
            },
            stdin=subprocess.DEVNULL,
            timeout=400,
        )
        output = f"{ended.stdout[-4000:]}\n{ended.stderr[-3000:]}"
        assert ended.returncode == code, f"{words}: {ended.returncode}\n{output}"
        return ended.stdout + ended.stderr

    def files(self) -> dict[str, tuple[int, bytes]]:
        """Returns every file of the lab's project, with its mode."""
        project = next((self.workspace / "compose").glob("firescreen-lab-*"))
        return {
            str(path.relative_to(project)): (path.stat().st_mode, path.read_bytes())
            for path in sorted(project.rglob("*"))
            if path.is_file()
        }


@contextmanager
def student(docker: Docker, generation: str, *, uid: int = 0) -> Iterator[Student]:
    """Yields a student whose folder is removed afterwards; with a uid, that user's group owns the daemon's socket."""
    folder = Path(tempfile.mkdtemp(prefix="firescreen-student-"))
    before = docker.socket.stat()
    for name in ("node_exporter", "prometheus", "promtool", "htpasswd", "busybox"):
        binaries.find(name, cache=bases.cache() / "programs")  # the daemon's host has no route out
    try:
        if uid:
            os.chown(folder, uid, uid)
            os.chown(docker.socket, 0, uid)
            docker.folder.chmod(0o755)
        with docker.open_home() if uid else nullcontext():
            yield Student(docker, folder, generation, uid=uid)
    finally:
        os.chown(docker.socket, before.st_uid, before.st_gid)
        shutil.rmtree(folder, ignore_errors=True)


def everything(docker: Docker) -> dict[str, list[str]]:
    """Returns the daemon's containers, networks, images and volumes."""
    return {
        "containers": sorted(docker.docker("ps", "-aq", "--no-trunc").split()),
        "networks": sorted(docker.docker("network", "ls", "-q", "--no-trunc").split()),
        "images": sorted(docker.docker("images", "-q", "--no-trunc").split()),
        "volumes": sorted(docker.docker("volume", "ls", "-q").split()),
    }


@pytest.mark.parametrize(("generation", "by_hand"), [("sid", True), ("bookworm", False)], ids=str)
def test_each_step_is_not_done_before_and_done_after(docker: Docker, generation: str, by_hand: bool) -> None:
    other = docker.docker("run", "-d", docker.image("node_exporter")).strip()
    began = everything(docker)
    with student(docker, generation) as one:
        output = one.run("lab", "play", "compose", *(["--by-hand"] if by_hand else []))
        assert "All 5 steps are done" in output
        assert not list((one.workspace / "play").glob("*"))
    assert everything(docker) == began
    assert json.loads(docker.docker("inspect", other))[0]["State"]["Running"]
    docker.docker("rm", "-f", other)


def test_a_student_without_root_does_the_lab_and_resets_it_to_the_byte(docker: Docker) -> None:
    with student(docker, "sid", uid=_UID) as one:
        began = everything(docker)
        one.run("lab", "start", "compose")
        files = one.files()
        output = one.run("lab", "check", "compose", "files", code=1)
        assert "there is no certificate with its private key" in output
        assert "SAN" in one.run("lab", "hint", "compose", "files")
        assert "the container of prometheus is healthy" in one.run("lab", "solve", "compose", "itself")
        assert one.files() != files
        one.run("lab", "reset", "compose")
        assert one.files() == files
        again = one.run("lab", "check", "compose", "mount", code=1)
        assert "still answers plain HTTP" in again
        one.run("practice", "down", "--remove")
        assert everything(docker) == began
        assert not (one.workspace / "compose").exists()


def test_without_permission_for_docker_the_lab_says_so(docker: Docker) -> None:
    with student(docker, "sid", uid=_UID) as one:
        docker.socket.chmod(0o600)
        try:
            sentence = "the lab in containers needs Docker and its Compose: this user may not use Docker"
            output = one.run("lab", "start", "compose", code=2)
            assert sentence in output
            assert sentence in one.run("lab", "list")
            assert sentence in one.run("practice", "status")
        finally:
            docker.socket.chmod(0o660)
