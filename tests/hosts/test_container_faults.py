"""What goes wrong while containers are secured: each fault is rolled back, or refused before anything is touched."""

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
from docker_stand import Docker
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
    """A project with Prometheus and an exporter that it scrapes, up; trixie's Compose."""
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
    """Files and containers are afterwards as they were, and everything runs and answers."""
    files, shape = mine.files(), mine.shape()
    yield
    assert mine.files() == files
    assert mine.shape() == shape
    mine.answers(9090, 9100)


def failed(mine: Project, **more: Any) -> dict[str, Any]:
    """What an apply says that did not succeed."""
    said: dict[str, Any] = mine.run("apply", str(mine.stack), "--yes", "--json", code=1, **more)
    return said


def test_a_compose_file_that_changed_since_the_preview_is_not_written(mine: Project) -> None:
    compose = mine.folder / "compose.yaml"
    before, shape = compose.read_bytes(), mine.shape()
    said = failed(mine, tampered=("append", str(compose)))
    assert (said["state"], said["error"]["title"]) == ("failed", "A file changed since the preview")
    assert str(compose) in said["error"]["where"]
    assert compose.read_bytes() == before + b"# mine\n", "the owner's change stays"
    assert mine.shape() == shape
    mine.answers(9090, 9100)


def test_a_daemon_that_restarts_in_the_middle(mine: Project) -> None:
    with nothing_changed(mine):
        with daemon_restart(mine.docker):
            said = failed(mine)
        assert said["state"] == "rolled-back"


@contextmanager
def daemon_restart(docker: Docker) -> Iterator[None]:
    """Restarts the daemon as soon as it makes a container."""
    done = []

    def wait(said: IO[str]) -> None:
        if said.readline():
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


def test_a_port_that_somebody_takes_meanwhile(mine: Project, network: Network) -> None:
    with nothing_changed(mine):
        with squatter(network, 9100):
            said = failed(mine)
            assert said["state"] == "failed"
            assert "address already in use" in said["error"]["what"]
            assert "firescreen recover --yes" in said["error"]["todo"]
        recovered = mine.run("recover", "--yes", "--json")
        assert [each["state"] for each in recovered["runs"]] == ["undone"], recovered


@contextmanager
def squatter(network: Network, port: int) -> Iterator[None]:
    """Takes a port as soon as it is free, and holds it."""
    ended, took = threading.Event(), []

    def take() -> None:
        with network.entered(), socket.socket() as mine:
            # What a connection of the one before left behind does not keep Docker off either.
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


def test_an_edit_that_was_not_brought_up_is_not_brought_up_for_its_owner(mine: Project) -> None:
    compose = mine.folder / "compose.yaml"
    text = compose.read_text()
    compose.write_text(text.replace('["--collector.disable-defaults"]', '["--collector.uname"]'))
    files, identity = mine.files(), mine.containers()["exporter"]["Id"]
    for words in (("plan",), ("apply", "--yes")):
        said = mine.run(words[0], str(mine.stack), *words[1:], code=2)
        assert "container mon-exporter-1 does not run as its Compose files say now" in said
        assert "docker compose up -d exporter" in said
    assert mine.files() == files
    assert mine.containers()["exporter"]["Id"] == identity
    mine.compose("up", "-d", "exporter")
    mine.answers(9100)
    assert mine.run("plan", str(mine.stack), "--json", code=3)["changes"]


def test_an_image_that_was_pulled_anew_is_not_taken_in_passing(mine: Project) -> None:
    name = mine.containers()["exporter"]["Config"]["Image"]
    mine.docker.docker("tag", name, "local/kept:1")
    mine.docker.docker("tag", mine.docker.image("node_exporter", suite="sid"), name)
    try:
        said = mine.run("plan", str(mine.stack), code=2)
        assert f"container mon-exporter-1 was made of an older image than {name} is now" in said
    finally:
        mine.docker.docker("tag", "local/kept:1", name)


def test_a_variable_that_changed_since_the_preview_is_not_brought_up(mine: Project) -> None:
    """A file that the run does not write itself, and that Compose reads with the others."""
    compose, variables = mine.folder / "compose.yaml", mine.folder / ".env"
    compose.write_text(compose.read_text().replace("unless-stopped", "${RESTART:-on-failure}"))
    variables.write_text("RESTART=unless-stopped\n")
    with nothing_changed(mine):
        said = failed(mine, tampered=("empty", str(variables)))
        variables.write_text("RESTART=unless-stopped\n")
    assert "does not run as its Compose files say now" in said["error"]["what"]
    assert said["error"]["title"] == "A file changed since the preview"


def test_a_folder_that_the_container_s_user_cannot_read(mine: Project) -> None:
    place = mine.folder / "firescreen-exporter"
    place.mkdir(mode=0o700)
    with nothing_changed(mine):
        said = mine.run("apply", str(mine.stack), "--yes", code=1)
        assert "mon-exporter-1 did not stay up: its program ended with exit code 1" in said
        assert "web.yml: permission denied" in said, "its own last words"


def test_a_disk_that_is_full(mine: Project) -> None:
    with nothing_changed(mine), small_disk(mine, size="4k"):
        said = mine.run("apply", str(mine.stack), "--yes", code=2)
        assert "is full: 4096 bytes are free, and at least 8192 are needed" in said
    with nothing_changed(mine), small_disk(mine, size="1m") as place:
        said = failed(mine, tampered=("fill", str(place)))
        assert said["state"] == "rolled-back", said
        assert "the disk is full" in said["error"]["what"], said


@contextmanager
def small_disk(mine: Project, *, size: str) -> Iterator[Path]:
    """The exporter's files go to a disk of their own, as the daemon's host sees it."""
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
    said = mine.run("apply", str(mine.stack), "--yes", code=2)
    # Right after a start, until its program has ended once more, it counts as running; nobody answers there.
    refusals = ("does not stay up: it is started again and again", "does not answer at", "is not running")
    assert any(each in said for each in refusals), said
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
        said = mine.run("plan", str(mine.stack), "--json", code=3)
        assert [each["unit"] for each in said["warnings"] if each["id"] == "not-in-stack"] == [
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
