"""Ways to get Firescreen: on the newest Python without a network, at a first start without one, as a container image."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import bases
import pytest
from docker_hosts import Docker
from machines import Machine, Network
from wheelhouse import own_wheel, wheels

from tests.integration.terminal import Terminal
from tests.processes import run_program
from wizard import practice

pytestmark = [pytest.mark.hosts, pytest.mark.spread, pytest.mark.timeout(900)]

OFFLINE = "export PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels UV_NO_INDEX=1 UV_FIND_LINKS=/wheels UV_OFFLINE=1 HOME=/home/new"
WAYS = {
    "pip": "python3 -m venv ~/venv && ~/venv/bin/pip -q install /wheels/firescreen-*.whl && ~/venv/bin/firescreen",
    "pipx": "python3 -m venv ~/tools && ~/tools/bin/pip -q install pipx && "
    "~/tools/bin/pipx install --quiet /wheels/firescreen-*.whl >/dev/null && ~/.local/bin/firescreen",
    "uv tool": "/wheels/uv tool install -q --python python3 /wheels/firescreen-*.whl && ~/.local/bin/firescreen",
    "uvx": "/wheels/uv tool run -q --python python3 --from /wheels/firescreen-*.whl firescreen",
    "pipx from the repository": "python3 -m venv ~/tools && ~/tools/bin/pip -q install pipx && "
    "~/tools/bin/pipx install --quiet /wheels/source >/dev/null && ~/.local/bin/firescreen",
    "uv tool from the repository": "/wheels/uv tool install -q --python python3 /wheels/source && "
    "~/.local/bin/firescreen",
    "uvx from the repository": "/wheels/uv tool run -q --python python3 --from /wheels/source firescreen",
}


@pytest.fixture(scope="module")
def newest(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a folder with wheels for Python 3.14, `uv`, and the repository."""
    folder = tmp_path_factory.mktemp("wheels")
    for wheel in wheels("3.14", "pipx", "pip").iterdir():
        shutil.copy(wheel, folder)
    own_wheel(folder)
    shutil.copy(Path(sys.executable).parent / "uv", folder)
    _checkout(folder / "source")
    return folder


def _checkout(folder: Path) -> None:
    """Copies the files of this checkout that git knows, in their present state."""
    listed = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = run_program(listed, cwd=bases.PROJECT, check=True).stdout
    for name in filter(None, names.split("\0")):
        if (source := bases.PROJECT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, folder / name)


def test_it_installs_on_python_3_14_from_a_wheel_and_from_the_repository(
    newest: Path, network: Network
) -> None:
    with Machine("sid", "newest", network, bound={str(newest): "/wheels"}) as machine:
        assert machine.check(["python3", "--version"]).startswith("Python 3.14")
        for way, typed in WAYS.items():
            # An empty home each time; a build writes beside the sources, which are mounted read-only here.
            fresh = "rm -rf /home/new /tmp/source && mkdir /home/new && cp -r /wheels/source /tmp/source"
            line = typed.replace("/wheels/source", "/tmp/source")
            version = machine.check(f"{OFFLINE}; {fresh}; cd; {line} --version", timeout=300)
            assert version.startswith("firescreen, version "), way
            command = line.rpartition("&& ")[2]
            topics = machine.check(f"{OFFLINE}; cd; {command} docs", timeout=120)
            assert len(topics.splitlines()) >= 5, way


def test_a_first_start_without_a_network_says_what_practice_needs_and_how_to_copy_it(
    network: Network, tmp_path: Path, cache: Path
) -> None:
    settings = {"HOME": str(tmp_path), "FIRESCREEN_CACHE": str(tmp_path / "cache"), "TERM": "xterm-256color"}
    argv = [*network.enter, sys.executable, "-m", "screens", "--workspace", str(tmp_path / "workspace")]
    window = Terminal(tmp_path, (80, 24), argv, settings)
    try:
        window.until("Practise")
        window.press("p")
        window.until("A program is missing", "not here: node_exporter,", "Do Install them")
    finally:
        window.close()
    refused = run_program([*argv, "practice", "up"], env=settings | {"PATH": "/usr/bin:/bin"}, timeout=120)
    assert refused.returncode == 1
    for words in (
        "node_exporter, prometheus, promtool",
        "apt install prometheus-node-exporter prometheus",
        "copy the folder",
    ):
        assert words in refused.stderr
    # As the error says: with the cache of a machine with a network.
    settings["FIRESCREEN_CACHE"] = str(cache)
    try:
        started = run_program(
            [*argv, "practice", "up"], env=settings | {"PATH": "/usr/bin:/bin"}, timeout=120
        )
        assert started.returncode == 0, started.stderr
    finally:
        practice.down(tmp_path / "workspace", remove=True)


def test_the_container_image_is_built_and_used(network: Network, tmp_path: Path) -> None:
    context = tmp_path / "context"
    _checkout(context)
    shutil.copytree(wheels("3.11"), context / "wheels")
    with Docker(network) as docker:
        docker.docker("import", str(bases.archive("bookworm")), "local/base", timeout=300)
        arguments = {"BASE": "local/base", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/source/wheels"}
        given = [word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")]
        docker.docker(
            "build",
            "-q",
            "-f",
            str(context / "Containerfile"),
            "-t",
            "firescreen",
            *given,
            str(context),
            timeout=600,
        )
        run = ("run", "--rm", "-v", "data:/data", "firescreen")
        assert docker.docker(*run, "--version").startswith("firescreen, version ")
        assert len(docker.docker(*run, "docs").splitlines()) >= 5
        docker.docker(*run, "cert", "ca", "ca")
        assert "Firescreen CA" in docker.docker(*run, "cert", "inspect", "ca/ca.crt"), "the volume keeps it"
        who = docker.docker("run", "--rm", "--entrypoint", "id", "firescreen", "-u").strip()
        assert who == "10001"
        window = Terminal(
            tmp_path, (80, 24), ["docker", "run", "--rm", "-it", "firescreen"], docker.environment()
        )
        try:
            window.until("What to do next", "Practise")
            window.press("q")
        finally:
            window.close()
