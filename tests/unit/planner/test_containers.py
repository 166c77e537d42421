"""Containers that a plan changes or refuses, with a remedy."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wizard.errors import InputError
from wizard.model import Container, Mount, PublishedPort, Service
from wizard.planner import containers, gaps

BOX = Container(
    name="mon-exporter-1",
    image="x",
    project="mon",
    service="exporter",
    inside_port=9100,
    published=(PublishedPort(9100, "127.0.0.1", 9100),),
)
SERVICE = Service(
    host="srv1", component="node_exporter", manager="docker", unit=BOX.name, active=True, container=BOX
)


def test_published_and_host_network_containers_are_changed() -> None:
    containers.refuse_unknown_client(SERVICE)
    containers.refuse_unknown_client(replace(SERVICE, container=None))
    containers.refuse_unknown_client(
        replace(SERVICE, container=replace(BOX, published=(), network_mode="host"))
    )


@pytest.mark.parametrize(
    ("service", "reason"),
    [
        (replace(SERVICE, container=replace(BOX, unchangeable="does not run")), "does not run"),
        (
            replace(SERVICE, container=replace(BOX, published=())),
            "publishes no port for node_exporter and has no",
        ),
        (
            replace(
                SERVICE,
                web_config="/srv/web/web.yml",
                container=replace(BOX, mounts=(Mount("bind", "/srv/web", "/etc/web"),)),
            ),
            "under another path inside",
        ),
    ],
)
def test_containers_that_cannot_be_changed_or_verified_are_refused(service: Service, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as refused:
        containers.refuse_unchangeable(service)
    assert refused.value.todo


def test_a_client_container_without_a_compose_file_is_refused() -> None:
    alone = replace(SERVICE, container=replace(BOX, project="", service=""))
    containers.refuse_unchangeable(alone)
    with pytest.raises(InputError, match="no Compose file or quadlet describes"):
        containers.refuse_unknown_client(alone)


def test_recreating_a_client_container_for_its_folder_is_reported() -> None:
    asking = replace(SERVICE, component="prometheus", home="/srv/mon/firescreen-prometheus")
    (gap,) = gaps.of_recreation(asking)
    assert gap.sentence.startswith("srv1/prometheus gets a folder for its files")
    assert gap.sentence.endswith("it scrapes nothing for about 7 s")
    has_it = replace(BOX, mounts=(Mount("bind", "/srv/mon", "/srv/mon"),))
    assert gaps.of_recreation(replace(asking, container=has_it)) == ()
    assert gaps.of_recreation(replace(asking, container=None)) == ()
    (gap,) = gaps.of_recreation(replace(asking, component="blackbox_exporter"))
    assert gap.sentence.endswith("it is down for about 1 s")


def test_a_container_that_differs_from_its_compose_file_is_refused() -> None:
    containers.refuse_pending((SERVICE, replace(SERVICE, container=None)))
    edited = replace(
        BOX, pending="does not run as its Compose files say now", compose_files=("/srv/mon/compose.yaml",)
    )
    with pytest.raises(InputError, match="recreating it would apply that difference too") as caught:
        containers.refuse_pending((SERVICE, replace(SERVICE, container=edited)))
    assert caught.value.where == "srv1/node_exporter: /srv/mon/compose.yaml"
