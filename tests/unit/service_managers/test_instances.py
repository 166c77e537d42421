"""Several services of one component on a host: the default instance, and names in a stack file."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wizard.engine import proposed_components
from wizard.errors import StackError
from wizard.inventory import stack_file
from wizard.model import ComponentSpec, ContentKind, FileState, HostFacts, HostSpec, Service, WriteFile
from wizard.planner.server_facts import Server
from wizard.service_managers import instances

USUAL = Service(
    host="one",
    component="prometheus",
    manager="systemd",
    unit="prometheus",
    listen="127.0.0.1:9090",
    home="/etc/prometheus",
    active=True,
)
PUBLIC = replace(USUAL, unit="prometheus-public", listen="127.0.0.1:9095")
BARE = Service(host="one", component="node_exporter", manager="manual", unit="node_exporter", active=True)

STACK = """\
version: 1
hosts: {one: {connect: local}}
components:
  - {host: one, name: prometheus, protect: [tls]}
  - {host: one, name: prometheus, unit: prometheus-public.service, protect: [tls]}
"""


def labels(services: tuple[Service, ...]) -> dict[str, str]:
    return {service.unit: service.instance for service in services}


def test_the_default_instance_keeps_its_name_and_others_use_their_unit() -> None:
    found = instances.label_instances([PUBLIC, USUAL])
    assert labels(found) == {"prometheus": "", "prometheus-public": "prometheus-public"}
    assert [service.key for service in found] == ["one/prometheus/prometheus-public", "one/prometheus"]


def test_a_single_instance_is_the_default_whatever_its_unit() -> None:
    assert labels(instances.label_instances([PUBLIC])) == {"prometheus-public": ""}


def test_a_running_instance_is_preferred_to_a_stopped_one() -> None:
    found = instances.label_instances([replace(USUAL, active=False), PUBLIC])
    assert labels(found) == {"prometheus": "prometheus", "prometheus-public": ""}


def test_an_instance_named_by_its_unit_is_never_the_default() -> None:
    named = {"prometheus": {"", "prometheus"}}
    assert labels(instances.label_instances([USUAL, PUBLIC], named)) == {
        "prometheus": "prometheus",
        "prometheus-public": "",
    }


def test_bare_processes_are_distinguished_by_their_ports() -> None:
    two = [replace(BARE, listen="127.0.0.1:9101"), replace(BARE, listen="127.0.0.1:9100")]
    apart = instances.with_distinct_units(two)
    assert [service.unit for service in apart] == ["node_exporter-9101", "node_exporter-9100"]
    assert labels(instances.label_instances(apart)) == {
        "node_exporter-9100": "",
        "node_exporter-9101": "node_exporter-9101",
    }
    same = instances.with_distinct_units([replace(BARE, listen="127.0.0.1:9100")] * 2)
    assert len({service.unit for service in same}) == 2


def test_a_stack_names_two_instances_by_their_units() -> None:
    read = stack_file.parse(STACK, source="x")
    assert [each.key for each in read.components] == ["one/prometheus", "one/prometheus/prometheus-public"]
    assert stack_file.parse(stack_file.dump(read), source="x") == read
    assert [each.unit for each in proposed_components(instances.label_instances([USUAL, PUBLIC]))] == [
        "",
        "prometheus-public",
    ]


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("unit: prometheus-public.service, ", "", "is listed twice"),
        ("unit: prometheus-public.service", "unit: 'a b'", "'a b'"),
        ("unit: prometheus-public.service", "unti: x", "unti"),
        ("connect: local", "connect: manual, address: x", "`connect: manual`"),
    ],
)
def test_an_invalid_unit_is_an_error_with_its_line(old: str, new: str, what: str) -> None:
    with pytest.raises(StackError) as error:
        stack_file.parse(STACK.replace(old, new), source="x")
    assert what in f"{error.value}" and "x:" in error.value.where


def test_no_two_instances_share_a_file() -> None:
    host = HostFacts(spec=HostSpec(name="one", connect="local"), services=(USUAL, PUBLIC))
    units = ("", "prometheus-public", "prometheus@a", "b", "prometheus:x", "prometheus\\x2dx")
    servers = [Server(ComponentSpec(host="one", name="prometheus", unit=unit), host, USUAL) for unit in units]
    places = [
        (
            one.web_file,
            *one.pair,
            *one.spare_pair,
            one.client_ca,
            one.cluster_file,
            *one.cluster_pair,
            one.label,
        )
        for one in servers
    ]
    flat = [path for paths in places for path in paths]
    assert len(set(flat)) == len(flat)
    assert servers[0].web_file == "/etc/prometheus/web.yml", "the usual one's stay where they were"


def test_two_components_in_one_folder_have_separate_web_configurations() -> None:
    alerts = replace(USUAL, component="alertmanager", unit="prometheus-alertmanager")
    host = HostFacts(spec=HostSpec(name="one", connect="local"), services=(alerts, USUAL))
    files = [
        Server(ComponentSpec(host="one", name=one.component), host, one).web_file for one in (USUAL, alerts)
    ]
    assert files == ["/etc/prometheus/web.yml", "/etc/prometheus/alertmanager-web.yml"]
    assert (
        WriteFile(
            host="one",
            path=files[0],
            before=None,
            after=FileState(b""),
            why="",
            content_kind=ContentKind.SERVICE_FLAGS,
        ).kind
        == "create"
    )
