"""The output of `docker inspect` is parsed; tests/hosts uses real daemons."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import pytest

from wizard.components import component
from wizard.journal_reader import _read_service
from wizard.model import Container, ContainerNetwork, Mount, PublishedPort, Service
from wizard.service_managers import docker_discovery, podman_compose
from wizard.service_managers.container_engines import Engine
from wizard.service_managers.docker import up_command

INSPECTED: dict[str, Any] = {
    "Id": "79b269665fbb" + "0" * 52,
    "Name": "/mon-prometheus-1",
    "Image": "sha256:1",
    "Path": "/bin/prometheus",
    "Args": ["--config.file=/etc/prometheus/prometheus.yml", "--web.listen-address=:9091"],
    "RestartCount": 0,
    "State": {"Status": "running", "Running": True, "Pid": 0, "Health": {"Status": "healthy"}},
    "Config": {
        "Image": "prom/prometheus:v2.53.3",
        "Healthcheck": {"Test": ["CMD", "wget", "-qO-", "http://localhost:9091/-/healthy"]},
        "Labels": {
            "com.docker.compose.project": "mon",
            "com.docker.compose.service": "prometheus",
            "com.docker.compose.project.working_dir": "/srv/mon",
            # compose 1.29 keeps the paths as they were typed
            "com.docker.compose.project.config_files": "compose.yaml,/srv/more.yaml",
        },
    },
    "HostConfig": {"NetworkMode": "mon_default", "ExtraHosts": ["host.docker.internal:host-gateway"]},
    "Mounts": [
        {"Type": "bind", "Source": "/srv/mon/prometheus", "Destination": "/etc/prometheus", "RW": True},
        {
            "Type": "volume",
            "Name": "data",
            "Source": "/var/lib/docker/volumes/data/_data",
            "Destination": "/prometheus",
            "RW": True,
        },
    ],
    "NetworkSettings": {
        "Ports": {
            "9091/tcp": [{"HostIp": "0.0.0.0", "HostPort": "9090"}, {"HostIp": "::", "HostPort": "9090"}],
            "9091/udp": [{"HostIp": "0.0.0.0", "HostPort": "9090"}],
            "9093/tcp": None,
        },
        "Networks": {
            "mon_default": {
                "Aliases": ["mon-prometheus-1", "prometheus", "79b269665fbb"],
                "IPAddress": "172.18.0.3",
                "Gateway": "172.18.0.1",
            }
        },
    },
}


def docker_container() -> Container:
    return docker_discovery.container(
        INSPECTED,
        owner=(65534, 65534),
        engine=Engine("docker", "docker compose", (INSPECTED,)),
        inside_port=9091,
    )


def test_a_container_is_read_from_docker_inspect() -> None:
    found = docker_container()
    assert (found.name, found.project, found.service) == ("mon-prometheus-1", "mon", "prometheus")
    assert found.compose_files == ("/srv/mon/compose.yaml", "/srv/more.yaml")
    assert found.published == (PublishedPort(9091, "0.0.0.0", 9090), PublishedPort(9091, "::", 9090))
    assert found.networks == (
        ContainerNetwork("mon_default", "172.18.0.3", "172.18.0.1", ("mon-prometheus-1", "prometheus")),
    )
    assert found.extra_hosts == (("host.docker.internal", "host-gateway"),)
    assert found.health == "healthy"
    assert not found.is_root


def test_paths_are_mapped_by_the_nearest_mount() -> None:
    found = docker_container()
    assert found.on_host("/etc/prometheus/web.yml") == "/srv/mon/prometheus/web.yml"
    assert found.on_host("/etc/prometheus") == "/srv/mon/prometheus"
    assert found.on_host("/etc/prometheus-2/web.yml") == ""
    mount = found.mount_of("/prometheus/x")
    assert mount is not None
    assert mount.kind == "volume"
    same = Container(name="x", image="x", mounts=(Mount("bind", "/srv/a", "/srv/a"),))
    assert same.sees("/srv/a/web.yml")
    assert not found.sees("/etc/prometheus/web.yml")


def test_container_names_resolve_in_shared_networks_only() -> None:
    other = Container(name="a", image="x", networks=(ContainerNetwork("mon_default"),))
    stranger = Container(name="b", image="x", networks=(ContainerNetwork("else"),))
    assert docker_container().names_in(other) == ("prometheus", "mon-prometheus-1", "172.18.0.3")
    assert docker_container().names_in(stranger) == ()
    assert "localhost" in docker_container().names_in(docker_container())


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("prom/prometheus:v2.53.3", "2.53.3"),
        ("registry:5000/prom/node-exporter:1.8", "1.8"),
        ("prom/prometheus:v3.10.0-distroless", "3.10.0"),
        ("prom/prometheus:latest", ""),
        ("registry:5000/prom/prometheus", ""),
        ("prom/prometheus@sha256:00", ""),
        ("own:20240101", ""),
    ],
)
def test_a_version_is_read_from_an_image_tag(image: str, version: str) -> None:
    assert docker_discovery.tag_version(image) == version


@pytest.mark.parametrize(
    ("path", "arguments", "image", "component"),
    [
        ("/bin/node_exporter", [], "x", "node_exporter"),
        ("/bin/sh", ["-c", "/bin/node_exporter"], "x", "node_exporter"),
        ("/sbin/tini", ["--", "/bin/alertmanager", "--a"], "x", "alertmanager"),
        ("/entrypoint.py", [], "quay.io/prometheus/blackbox_exporter:v1", "blackbox_exporter"),
        ("/bin/nginx", [], "nginx:1", ""),
    ],
)
def test_the_component_of_a_container_is_recognised(
    path: str, arguments: list[str], image: str, component: str
) -> None:
    one = {"Path": path, "Args": arguments, "Config": {"Image": image}}
    found = docker_discovery.component_of(one, None)
    assert (found.name if found else "") == component


def test_compose_commands_name_one_service_of_the_same_project() -> None:
    words = up_command(docker_container())
    assert words == [
        *("docker", "compose", "-f", "/srv/mon/compose.yaml", "-f", "/srv/more.yaml", "-p", "mon"),
        *("--project-directory", "/srv/mon", "up", "-d", "--no-deps", "prometheus"),
    ]


@pytest.mark.parametrize(
    ("version", "installed", "compose", "why"),
    [
        ("1.6.0", "podman compose\npodman-compose", "podman-compose", ""),
        ("1.10.2", "podman-compose", "podman-compose", ""),
        ("1.6.0", "podman compose", "", "the Compose that made it is not installed"),
        (
            "1.3.0",
            "podman-compose",
            "podman-compose",
            "takes its whole project down for a change of one service",
        ),
        ("", "podman compose\npodman-compose", "podman compose", ""),
        ("", "podman-compose", "", "the Compose that made it is not installed"),
    ],
)
def test_the_compose_implementation_of_podman_is_recognised(
    version: str, installed: str, compose: str, why: str
) -> None:
    labels = {**INSPECTED["Config"]["Labels"], "com.docker.compose.project.config_files": "compose.yaml"}
    if version:
        labels["io.podman.compose.version"] = version
    one = {**INSPECTED, "Config": {**INSPECTED["Config"], "Labels": labels}}
    known = component("prometheus")
    engine = Engine("podman", installed, (one,))
    service = docker_discovery._service(
        "here", known, one, None, version="", owner=(0, 0), engine=engine, quadlet=None, several=False
    )
    found = service.container
    assert found is not None
    assert (found.compose, found.engine_title) == (compose, "Podman")
    assert why in found.unchangeable if why else not found.unchangeable
    if compose == "podman-compose":
        assert up_command(found)[:5] == ["podman-compose", "-f", "/srv/mon/compose.yaml", "-p", "mon"]


def test_podman_compose_uses_the_first_files_folder_as_project_folder() -> None:
    elsewhere = replace(docker_container(), compose_files=("/srv/more.yaml",), compose="podman-compose")
    assert "lies elsewhere" in podman_compose.refusal(elsewhere, {"io.podman.compose.version": "1.6.0"}, "")


def test_a_container_is_restored_from_the_journal() -> None:
    service = Service(
        host="here",
        component="prometheus",
        manager="docker",
        unit="mon-prometheus-1",
        container=docker_container(),
    )
    assert _read_service(asdict(service)) == service
