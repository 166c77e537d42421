"""Output of container engines about containers and quadlets is parsed; tests/hosts uses real engines."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.unit.engine.memory import MemoryConnection, completed
from wizard.model import Completed, Container
from wizard.service_managers import container_engines, podman_compose
from wizard.service_managers.container_engines import Engine, Quadlet

ONE = {"Id": "1", "Config": {"Labels": {"PODMAN_SYSTEMD_UNIT": "exporter.service"}}}
PATH = "/etc/containers/systemd/exporter.container"


@pytest.mark.parametrize(
    ("text", "overrides"),
    [
        ("[Service]\nRestart=always\n[Container]\nEnvironment=A=1\nVolume=/a:/b\n", False),
        ("[Container]\n# Exec=x\n[Service]\nExec=x\n", False),
        ("[Container]\nEnvironment=A=1 \\\nExec=x\n", False),
        ("[Container]\nExec=--collector.uname\n", True),
        ("[Container]\nHealthCmd=none\n", True),
        ("[Container]\nExec=\n", True),
    ],
)
def test_a_drop_in_with_the_edited_setting_is_reported(text: str, overrides: bool) -> None:
    found = Quadlet(PATH, (("/etc/a.conf", "[Unit]\n"), ("/etc/b.conf", text)))
    assert found.overriding == ("/etc/b.conf" if overrides else "")


@pytest.mark.parametrize(
    ("engine", "systemctl"),
    [
        (Engine("podman", "", (ONE,)), "systemctl"),
        (Engine("podman", "", (ONE,), "ada"), "systemctl --user"),
        (Engine("runuser -u ada -- podman", "", (ONE,), "ada"), "runuser -u ada -- systemctl --user"),
    ],
)
def test_a_quadlet_is_queried_from_its_users_systemd(engine: Engine, systemctl: str) -> None:
    asked = []

    def sh(_text: str, *words: str) -> Completed:
        asked.append(words)
        return completed(
            f"\x1eexporter.service\x1f{PATH}\x1f/etc/a.conf\x1d[Unit]\n\x1eother.service\x1f/x.service"
        )

    connection = MemoryConnection("srv1", programs={"sh": sh})
    assert container_engines.quadlets(connection, engine) == {
        "exporter.service": Quadlet(PATH, (("/etc/a.conf", "[Unit]\n"),))
    }
    assert asked == [(systemctl, "exporter.service")]


def test_a_rootless_podman_container_is_refused_with_its_unit_or_project() -> None:
    unit = Container(name="x", image="x", unit="exporter.service", quadlet=PATH)
    assert "the unit exporter.service (systemctl --user) of the user ada" in podman_compose.refusal(
        unit, {}, "ada"
    )
    project = Container(name="x", image="x", project="mon", service="exporter")
    assert "the project mon of the user ada" in podman_compose.refusal(project, {}, "ada")
    assert podman_compose.refusal(Container(name="x", image="x"), {}, "ada") == ""
    assert podman_compose.refusal(unit, {}, "") == ""


@pytest.mark.parametrize(("kernel", "enforces"), [("1", True), ("0", False), (None, False)])
def test_selinux_counts_as_enforcing_by_the_kernels_report(kernel: str | None, enforces: bool) -> None:
    connection = MemoryConnection(
        "srv1", programs={"cat": lambda _: completed(kernel) if kernel is not None else completed(code=1)}
    )
    assert container_engines.enforces_selinux(connection) is enforces


@pytest.mark.parametrize(
    ("mode", "environment", "reason"),
    [(0o600, {}, "denied"), (0o666, {}, ""), (0o600, {"DOCKER_HOST": "x"}, "")],
)
def test_an_unwritable_engine_socket_is_reported_as_denied(
    mode: int, environment: dict[str, str], reason: str
) -> None:
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as server:
        Path(folder).chmod(0o755)
        server.bind(path := f"{folder}/docker.sock")
        Path(path).chmod(mode if os.geteuid() == 0 else mode & 0o066)

        def sh(text: str, *words: str) -> Completed:
            assert words == ("/var/run/docker.sock",)
            user = 65534 if os.geteuid() == 0 else None
            ended = subprocess.run(
                ["sh", "-c", text, "sh", path],
                user=user,
                env=environment,
                capture_output=True,
                text=True,
                check=True,
            )
            assert ended.stdout.strip() == reason
            return completed(ended.stdout)

        assert container_engines.is_denied(MemoryConnection("srv1", programs={"sh": sh})) is bool(reason)
