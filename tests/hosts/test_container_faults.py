"""Faults while containers are secured: each run is rolled back, or refused before any change."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest
from compose_projects import SCRAPE, Project, project
from docker_hosts import Docker
from machines import Network

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(600)]

COMPOSE = """\
services:
  prometheus:
    image: {prometheus}
    restart: unless-stopped
    volumes: ["./prometheus:/etc/prometheus"]
    ports: ["127.0.0.1:9090:9090"]
  exporter:
    image: {exporter}
    restart: unless-stopped
    command: ["--collector.disable-defaults"]
    ports: ["127.0.0.1:9100:9100"]
"""


@pytest.fixture
def mine(docker: Docker, network: Network, tmp_path: Path) -> Iterator[Project]:
    """Yields a running project with Prometheus and an exporter that it scrapes, with trixie's Compose."""
    images = {
        "prometheus": docker.image("prometheus"),
        "exporter": docker.image("node_exporter", user="65532"),
    }
    with project(docker, network, tmp_path, "trixie") as made:
        made.write(COMPOSE.format(**images), SCRAPE.format(target="exporter:9100"))
        made.up(9090, 9100)
        yield made


@contextmanager
def nothing_changed(mine: Project) -> Iterator[None]:
    """Checks that files and containers are unchanged afterwards, and that all run and answer."""
    files, shape = mine.files(), mine.shape()
    yield
    assert mine.files() == files
    assert mine.shape() == shape
    mine.answers(9090, 9100)


def failed(mine: Project, **more: Any) -> dict[str, Any]:
    """Returns the error of an apply that failed."""
    outcome: dict[str, Any] = mine.run("apply", str(mine.stack), "--yes", "--json", code=1, **more)
    return outcome


def test_a_compose_file_that_changed_since_the_plan_is_not_written(mine: Project) -> None:
    compose = mine.folder / "compose.yaml"
    before, shape = compose.read_bytes(), mine.shape()
    outcome = failed(mine, fault=("append", str(compose)))
    assert (outcome["state"], outcome["error"]["title"]) == ("failed", "A file changed since the preview")
    assert str(compose) in outcome["error"]["where"]
    assert compose.read_bytes() == before + b"# mine\n", "the owner's change stays"
    assert mine.shape() == shape
    mine.answers(9090, 9100)


def test_a_daemon_that_restarts_during_the_run(mine: Project) -> None:
    with nothing_changed(mine):
        with daemon_restart(mine.docker):
            outcome = failed(mine)
        assert outcome["state"] == "rolled-back"


@contextmanager
def daemon_restart(docker: Docker) -> Iterator[None]:
    """Restarts the daemon as soon as it creates a container."""
    done = []

    def wait(stream: IO[str]) -> None:
        if stream.readline():
            docker.restart()
            done.append(True)

    words = ["docker", "events", "--filter", "event=create", "--format", "{{.Actor.Attributes.name}}"]
    with subprocess.Popen(words, env=docker.environment(), stdout=subprocess.PIPE, text=True) as events:
        assert events.stdout is not None
        thread = threading.Thread(target=wait, args=(events.stdout,))
        thread.start()
        try:
            yield
        finally:
            events.terminate()
            thread.join(90)
    assert done, "it was restarted"


def test_a_port_that_is_taken_meanwhile(mine: Project, network: Network) -> None:
    with nothing_changed(mine):
        with squatter(network, 9100):
            outcome = failed(mine)
            assert outcome["state"] == "failed"
            assert "address already in use" in outcome["error"]["what"]
            assert "firescreen recover --yes" in outcome["error"]["todo"]
        recovered = mine.run("recover", "--yes", "--json")
        assert [each["state"] for each in recovered["runs"]] == ["undone"], recovered


@contextmanager
def squatter(network: Network, port: int) -> Iterator[None]:
    """Takes a port as soon as it is free, and holds it."""
    ended, took = threading.Event(), []

    def take() -> None:
        with network.entered(), socket.socket() as mine:
            # The remains of the previous connection do not stop Docker either.
            mine.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            while not ended.is_set():
                try:
                    mine.bind(("127.0.0.1", port))
                    mine.listen()
                    took.append(port)
                    break
                except OSError:
                    time.sleep(0.001)
            ended.wait()

    thread = threading.Thread(target=take)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(20)
    assert took, "the port was free for a moment"


def test_a_pending_edit_of_the_user_is_not_applied(mine: Project) -> None:
    compose = mine.folder / "compose.yaml"
    text = compose.read_text()
    compose.write_text(text.replace('["--collector.disable-defaults"]', '["--collector.uname"]'))
    files, identity = mine.files(), mine.containers()["exporter"]["Id"]
    for words in (("plan",), ("apply", "--yes")):
        output = mine.run(words[0], str(mine.stack), *words[1:], code=2)
        assert "container mon-exporter-1 does not run as its Compose files say now" in output
        assert "docker compose up -d exporter" in output
    assert mine.files() == files
    assert mine.containers()["exporter"]["Id"] == identity
    mine.compose("up", "-d", "exporter")
    mine.answers(9100)
    assert mine.run("plan", str(mine.stack), "--json", code=3)["changes"]


def test_a_newly_pulled_image_is_not_used(mine: Project) -> None:
    name = mine.containers()["exporter"]["Config"]["Image"]
    mine.docker.docker("tag", name, "local/kept:1")
    mine.docker.docker("tag", mine.docker.image("node_exporter", suite="sid"), name)
    try:
        output = mine.run("plan", str(mine.stack), code=2)
        assert f"container mon-exporter-1 was made of an older image than {name} is now" in output
    finally:
        mine.docker.docker("tag", "local/kept:1", name)


def test_a_variable_that_changed_since_the_plan_is_not_applied(mine: Project) -> None:
    """A file that the run does not write itself, and that Compose reads with the others."""
    compose, variables = mine.folder / "compose.yaml", mine.folder / ".env"
    compose.write_text(compose.read_text().replace("unless-stopped", "${RESTART:-on-failure}"))
    variables.write_text("RESTART=unless-stopped\n")
    with nothing_changed(mine):
        outcome = failed(mine, fault=("empty", str(variables)))
        variables.write_text("RESTART=unless-stopped\n")
    assert "does not run as its Compose files say now" in outcome["error"]["what"]
    assert outcome["error"]["title"] == "A file changed since the preview"


def test_a_folder_that_the_container_s_user_cannot_read(mine: Project) -> None:
    place = mine.folder / "firescreen-exporter"
    place.mkdir(mode=0o700)
    with nothing_changed(mine):
        output = mine.run("apply", str(mine.stack), "--yes", code=1)
        assert "mon-exporter-1 did not stay up: its program ended with exit code 1" in output
        assert "web.yml: permission denied" in output, "its own last words"


def test_a_disk_that_is_full(mine: Project) -> None:
    with nothing_changed(mine), small_disk(mine, size="4k"):
        result = mine.run("apply", str(mine.stack), "--yes", code=2)
        assert "is full: 4096 bytes are free, and at least 8192 are needed" in result
    with nothing_changed(mine), small_disk(mine, size="1m") as place:
        result = failed(mine, fault=("fill", str(place)))
        assert result["state"] == "rolled-back", result
        assert "the disk is full" in result["error"]["what"], result


@contextmanager
def small_disk(mine: Project, *, size: str) -> Iterator[Path]:
    """Puts the exporter's files on a small disk of their own in the daemon's mount namespace."""
    place = mine.folder / "firescreen-exporter"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0750", "tmpfs", str(place)]
    subprocess.run([*mine.docker.enter, *mount], check=True, timeout=20)
    try:
        yield place
    finally:
        subprocess.run([*mine.docker.enter, "umount", "-l", str(place)], check=True, timeout=20)
        place.rmdir()


def test_a_container_in_a_restart_loop(mine: Project) -> None:
    compose = mine.folder / "compose.yaml"
    compose.write_text(compose.read_text().replace("--collector.disable-defaults", "--no.such.flag"))
    mine.compose("up", "-d")
    deadline = time.monotonic() + 30
    while mine.containers()["exporter"]["State"]["Status"] != "restarting":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    files = mine.files()
    output = mine.run("apply", str(mine.stack), "--yes", code=2)
    # Right after a start it counts as running until its program has ended again; its port does not answer.
    refusals = ("does not stay up: it is started again and again", "does not answer at", "is not running")
    assert any(each in output for each in refusals), output
    assert mine.files() == files


def test_of_two_projects_with_the_same_service_one_is_changed(
    mine: Project, docker: Docker, network: Network, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    text = COMPOSE.format(prometheus="", exporter=docker.image("node_exporter"))
    text = "services:\n" + text[text.index("  exporter:") :].replace(":9100:", ":9200:")
    (other / "compose.yaml").write_text(text)
    call = ("-f", "compose.yaml", "-p", "other")
    docker.compose(*call, "up", "-d", folder=other, generation="trixie")
    try:
        mine.answers(9200)
        identity = mine.containers("other")["exporter"]["Id"]
        named = mine.stack.read_text()
        mine.stack.write_text(named.replace(", project: mon, container: exporter", "", 1))
        plan = mine.run("plan", str(mine.stack), "--json", code=3)
        assert [each["unit"] for each in plan["warnings"] if each["id"] == "not-in-stack"] == [
            "other-exporter-1"
        ]

        mine.stack.write_text(named)
        with nothing_changed(mine):
            assert mine.run("apply", str(mine.stack), "--yes", "--json")["state"] == "proven"
            mine.answers(9200)
            mine.run("undo", "--yes")
        assert (other / "compose.yaml").read_text() == text
        assert mine.containers("other")["exporter"]["Id"] == identity
    finally:
        docker.compose(*call, "down", "-v", folder=other, generation="trixie")
