"""The server of a target if components run in containers: service names, container and published ports, the host."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wizard.model import (
    Container,
    ContainerNetwork,
    HostFacts,
    HostSpec,
    PublishedPort,
    Service,
)
from wizard.planner.container_names import means, target
from wizard.planner.identity import Listener

NET = ContainerNetwork("mon", "172.18.0.3", "172.18.0.1", ("exporter", "mon-exporter-1"))
EXPORTER = Service(
    host="srv1",
    component="node_exporter",
    manager="docker",
    unit="mon-exporter-1",
    listen="127.0.0.1:19100",
    sockets=("0.0.0.0:19100",),
    container=Container(
        name="mon-exporter-1",
        image="x",
        networks=(NET,),
        published=(PublishedPort(9100, "0.0.0.0", 19100),),
        inside_port=9100,
    ),
)
PROMETHEUS = Service(
    host="srv1",
    component="prometheus",
    manager="docker",
    unit="mon-prometheus-1",
    listen="127.0.0.1:9090",
    container=Container(
        name="mon-prometheus-1",
        image="x",
        networks=(ContainerNetwork("mon", "172.18.0.2", "172.18.0.1", ("prometheus",)),),
        extra_hosts=(("host.docker.internal", "host-gateway"),),
        inside_port=9090,
    ),
)
ON_HOST = replace(
    EXPORTER,
    unit="node_exporter",
    manager="systemd",
    listen="127.0.0.1:9100",
    sockets=("*:9100",),
    container=None,
)


def host(*services: Service) -> HostFacts:
    return HostFacts(
        spec=HostSpec(name="srv1", connect="local"), names=("srv1", "192.0.2.1"), services=services
    )


@pytest.mark.parametrize(
    ("address", "meant"),
    [
        ("exporter:9100", True),
        ("mon-exporter-1:9100", True),
        ("172.18.0.3:9100", True),
        ("exporter:19100", False),  # in the container network, the container's port counts
        ("localhost:9100", False),  # Prometheus itself
        ("127.0.0.1:19100", False),
        ("host.docker.internal:19100", True),
        ("host.docker.internal:9100", False),
        ("172.18.0.1:19100", True),
        ("192.0.2.1:19100", True),  # published on all addresses
        ("prometheus:9100", False),
    ],
)
def test_a_container_scrapes_another_container_by_service_name(address: str, *, meant: bool) -> None:
    known = host(PROMETHEUS, EXPORTER)
    assert means(PROMETHEUS, Listener(known, PROMETHEUS), address, Listener(known, EXPORTER)) is meant


@pytest.mark.parametrize(
    ("address", "meant"),
    [
        ("host.docker.internal:9100", True),
        ("172.18.0.1:9100", True),
        ("192.0.2.1:9100", True),
        ("localhost:9100", False),
        ("exporter:9100", False),
    ],
)
def test_a_container_scrapes_its_host(address: str, *, meant: bool) -> None:
    known = host(PROMETHEUS, ON_HOST)
    assert means(PROMETHEUS, Listener(known, PROMETHEUS), address, Listener(known, ON_HOST)) is meant


def test_a_loopback_listener_is_unreachable_from_a_container() -> None:
    closed = replace(ON_HOST, sockets=("127.0.0.1:9100",))
    known = host(PROMETHEUS, closed)
    asked = means(
        PROMETHEUS, Listener(known, PROMETHEUS), "host.docker.internal:9100", Listener(known, closed)
    )
    assert not asked


@pytest.mark.parametrize(
    ("address", "meant"),
    [
        ("localhost:19100", True),
        ("172.18.0.3:9100", True),
        ("localhost:9100", False),
        ("exporter:9100", False),
    ],
)
def test_the_host_scrapes_a_container_by_its_published_port(address: str, *, meant: bool) -> None:
    asker = replace(PROMETHEUS, container=None, manager="systemd")
    known = host(asker, EXPORTER)
    assert means(asker, Listener(known, asker), address, Listener(known, EXPORTER)) is meant


def test_a_containers_loopback_address_is_the_container() -> None:
    known = host(PROMETHEUS, EXPORTER)
    own = Listener(known, PROMETHEUS)
    assert means(PROMETHEUS, own, "localhost:9090", own)


def test_a_container_in_the_host_network_scrapes_like_the_host() -> None:
    box = PROMETHEUS.container
    assert box is not None
    asker = replace(PROMETHEUS, container=replace(box, network_mode="host", networks=()))
    known = host(asker, ON_HOST)
    assert means(asker, Listener(known, asker), "localhost:9100", Listener(known, ON_HOST))


def test_a_new_job_has_the_address_as_seen_from_the_container() -> None:
    here = host(EXPORTER, PROMETHEUS, ON_HOST)
    own = Listener(here, PROMETHEUS)

    def asked(server: Service, asker: Service = PROMETHEUS) -> str:
        return target(asker, own, Listener(here, server), server.listen)

    assert asked(EXPORTER) == "exporter:9100"
    assert asked(PROMETHEUS) == "prometheus:9090"
    assert asked(ON_HOST) == "host.docker.internal:9100"
    assert asked(EXPORTER, ON_HOST) == "127.0.0.1:19100"
    alone = replace(EXPORTER.container, networks=())  # type: ignore[type-var]
    assert asked(replace(EXPORTER, container=alone)) == "host.docker.internal:19100"
    closed = replace(PROMETHEUS, container=replace(PROMETHEUS.container, extra_hosts=()))  # type: ignore[type-var]
    assert asked(ON_HOST, closed) == "172.18.0.1:9100"
    far = Listener(replace(here, spec=HostSpec(name="srv2", connect="ssh")), ON_HOST)
    assert target(PROMETHEUS, own, far, "192.0.2.9:9100") == "192.0.2.9:9100"


def test_a_container_without_published_ports_is_named_as_in_its_network() -> None:
    closed = replace(EXPORTER, container=replace(EXPORTER.container, published=()))  # type: ignore[type-var]
    assert closed.container is not None and not closed.container.is_reachable
    assert closed.container.own_names == ("exporter", "mon-exporter-1")
