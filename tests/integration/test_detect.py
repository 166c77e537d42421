"""Detection on this machine, with real programs that the test starts, and systemd's answers as text."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from wizard.components import component
from wizard.configs import unit
from wizard.hosts.local import LocalConnection
from wizard.model import FlagPlace
from wizard.services import _show, detect, processes

SHOW = """\
Id=node_exporter.service
LoadState=loaded
FragmentPath=/etc/systemd/system/node_exporter.service
DropInPaths=/etc/systemd/system/node_exporter.service.d/override.conf
ProtectHome=yes
PrivateTmp=yes
InaccessiblePaths=-/srv/secret

Id=gone.service
LoadState=not-found
"""
NODE = component("node_exporter")


def place(
    body: str,
    texts: dict[str, str | None],
    *,
    origin: str = "/etc/systemd/system/node_exporter.service",
) -> FlagPlace:
    read = unit.parse(f"# {origin}\n[Service]\n{body}\n")
    return _show.flag_place(NODE, _show.blocks(SHOW)[0], read, _show.variables(read, texts))


def test_the_sandbox_is_read_from_systemd() -> None:
    shown = _show.blocks(SHOW)
    assert [one["Id"] for one in shown] == ["node_exporter.service", "gone.service"]
    assert _show.paths(shown[0])[1].endswith("override.conf")
    assert _show.hidden(shown[0]) == ("/home", "/root", "/run/user", "/tmp", "/var/tmp", "/srv/secret")
    assert _show.hidden(shown[1]) == ()


DROPIN = "/etc/systemd/system/node_exporter.service.d/50-firescreen.conf"


@pytest.mark.parametrize(
    ("body", "texts", "wanted"),
    [
        (
            "EnvironmentFile=/etc/default/x\nExecStart=/usr/bin/node_exporter $ARGS",
            {"/etc/default/x": 'ARGS=""'},
            FlagPlace("envfile", "/etc/default/x", "ARGS"),
        ),
        (  # the file may not exist yet
            "EnvironmentFile=-/etc/sysconfig/node_exporter\nExecStart=/usr/bin/node_exporter $OPTIONS",
            {"/etc/sysconfig/node_exporter": None},
            FlagPlace("envfile", "/etc/sysconfig/node_exporter", "OPTIONS"),
        ),
        (  # the later file wins, so that is where it is set
            "EnvironmentFile=/a\nEnvironmentFile=/b\nExecStart=/usr/bin/node_exporter $NODE_EXPORTER_OPTS",
            {"/a": "NODE_EXPORTER_OPTS=--x", "/b": "NODE_EXPORTER_OPTS=--y"},
            FlagPlace("envfile", "/b", "NODE_EXPORTER_OPTS"),
        ),
        ("ExecStart=/usr/local/bin/node_exporter --a", {}, FlagPlace("dropin", DROPIN)),
        (  # in braces it would arrive as one argument
            "EnvironmentFile=/a\nExecStart=/usr/local/bin/node_exporter ${ARGS}",
            {"/a": "ARGS=--x"},
            FlagPlace("dropin", DROPIN),
        ),
        (  # a new line in the file would override what the unit sets
            "Environment=ARGS=--x\nEnvironmentFile=-/a\nExecStart=/usr/local/bin/node_exporter $ARGS",
            {"/a": None},
            FlagPlace("dropin", DROPIN),
        ),
        (  # it would be there twice
            "EnvironmentFile=/a\nExecStart=/usr/bin/node_exporter --web.config.file=/old $ARGS",
            {"/a": "ARGS=--x"},
            FlagPlace("dropin", DROPIN),
        ),
        ("ExecStart=/bin/sh -c 'exec node_exporter'", {}, FlagPlace("manual")),
        ("ExecStart=/a\nExecStart=/b", {}, FlagPlace("manual")),
    ],
)
def test_where_the_flag_goes(body: str, texts: dict[str, str | None], wanted: FlagPlace) -> None:
    assert place(body, texts) == wanted


def test_a_drop_in_that_sorts_behind_ours_does_not_win() -> None:
    found = place("ExecStart=/usr/bin/node_exporter", {}, origin=f"{DROPIN.rpartition('/')[0]}/override.conf")
    assert found.path.rpartition("/")[2] > "override.conf"


@pytest.fixture
def running(node_exporter: str, tmp_path: Path) -> Iterator[tuple[int, int]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with (tmp_path / "log").open("wb") as log:
        child = subprocess.Popen(
            [
                node_exporter,
                f"--web.listen-address=127.0.0.1:{port}",
                "--log.level=error",
                "--collector.textfile.directory=/a b",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", port)) == 0:
                    break
        yield child.pid, port
    finally:
        child.terminate()
        child.wait(20)


def test_a_bare_process_is_found_with_its_arguments_and_version(running: tuple[int, int]) -> None:
    pid, port = running
    (service,) = [one for one in detect.discover(LocalConnection("here")) if one.pid == pid]
    assert (service.component, service.manager, service.kind) == ("node_exporter", "manual", "process")
    assert service.listen == f"127.0.0.1:{port}"
    assert service.flag("collector.textfile.directory") == "/a b"
    assert service.version[:2] in ("1.", "2.")
    assert service.flags == FlagPlace("manual")
    assert service.active


def test_the_practice_stacks_own_programs_are_left_out(running: tuple[int, int], node_exporter: str) -> None:
    pid, _ = running
    folder = str(Path(node_exporter).resolve().parent)
    found = detect.discover(LocalConnection("here"), practice_folder=folder)
    assert pid not in [one.pid for one in found]


def test_what_runs_a_process_is_read_from_its_cgroup() -> None:
    record = "7\x1fprom:prom\x1f{}\x1f/usr/bin/prometheus\x1fprometheus\x1f--a\x1f"
    known = (component("prometheus"),)

    def of(cgroup: str) -> tuple[str, bool]:
        found = processes._process(record.format(cgroup), known)
        assert found is not None
        assert found.arguments == ("--a",)
        return found.unit, found.container

    assert of("0::/system.slice/prometheus.service ") == ("prometheus.service", False)
    assert of("12:pids:/system.slice/p.service 0::/system.slice/p.service ") == ("p.service", False)
    assert of("0::/user.slice/user-0.slice/user@0.service/app.slice/x.service ") == ("", False)
    assert of("0::/system.slice/docker-0123abcd.scope ") == ("", True)
    assert of("0::/machine.slice/libpod-0123.scope/container ") == ("", True)
    assert of("0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-1.scope ") == ("", True)
