"""Containers that each generation's Compose would recreate: none after `up`, and those edited or pulled since."""

from __future__ import annotations

from pathlib import Path

import pytest
from compose_projects import project
from docker_hosts import GENERATIONS, Docker
from machines import Network

from wizard.engine.hosts import Hosts
from wizard.model import HostSpec
from wizard.service_managers import docker_discovery
from wizard.service_managers.compose_state import compose_state
from wizard.service_managers.registry import manager_of
from wizard.workspace import Workspace

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(600)]

COMPOSE = """\
version: "3.7"
services:
  prometheus:
    image: {prometheus}
    profiles: [monitoring]
  plain:
    image: {exporter}
    command: --collector.disable-defaults --collector.${{COLLECTOR:-uname}}
  needs:
    image: {exporter}
    depends_on: [plain]
    env_file: [variables]
  shares:
    image: {exporter}
    network_mode: service:plain
    command: --web.listen-address=:9200
"""


@pytest.mark.parametrize("generation", GENERATIONS)
def test_the_containers_that_compose_would_recreate(
    docker: Docker, network: Network, tmp_path: Path, generation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in docker.environment(generation).items():
        monkeypatch.setenv(name, value)
    image = docker.image("node_exporter")
    text = COMPOSE.format(prometheus=docker.image("prometheus"), exporter=image)
    with project(docker, network, tmp_path, generation) as mine:
        mine.write(text)
        (mine.folder / "variables").write_text("A=1\n")
        mine.compose("--profile", "monitoring", "up", "-d")
        with Hosts(Workspace(tmp_path), (HostSpec(name="here", connect="local"),)) as hosts:
            connection = hosts.connection("here")
            found = {
                each.container.service: each
                for each in docker_discovery.discover(connection, ())
                if each.container is not None and each.container.project == "mon"
            }
            assert set(found) == {"prometheus", "plain", "needs", "shares"}

            def states() -> dict[str, str]:
                seen = {
                    name: compose_state(connection, each.container)
                    for name, each in found.items()
                    if each.container is not None
                }
                assert {(each.is_running, each.has_image) for each in seen.values()} == {(True, True)}
                return {name: each.difference for name, each in seen.items() if each.difference}

            assert states() == {}
            # A dependent service is not recreated by a reload either, nor by the comparison afterwards.
            before = mine.containers()
            for name in ("needs", "prometheus"):
                manager_of(found[name]).reload(connection, found[name])
            assert {name: one["Id"] for name, one in mine.containers().items()} == {
                name: one["Id"] for name, one in before.items()
            }

            (mine.folder / ".env").write_text("COLLECTOR=time\n")
            edited = "does not run as its Compose files say now"
            assert states()["plain"] == edited
            (mine.folder / ".env").unlink()
            (mine.folder / "variables").write_text("A=2\n")
            assert states() == {"needs": edited}
            (mine.folder / "variables").write_text("A=1\n")
            assert states() == {}

            docker.docker("tag", image, "local/kept:2")
            docker.docker("tag", docker.image("pushgateway"), image)
            try:
                pulled = f"was made of an older image than {image} is now"
                assert states() == dict.fromkeys(("plain", "needs", "shares"), pulled)
            finally:
                docker.docker("tag", "local/kept:2", image)

            (mine.folder / "compose.yaml").write_text(text.replace("depends_on:", "depends_onn:"))
            assert "Compose files that Compose rejects" in states()["plain"]
            (mine.folder / "compose.yaml").write_text(text)
            mine.compose("--profile", "monitoring", "down", "--timeout", "1")
