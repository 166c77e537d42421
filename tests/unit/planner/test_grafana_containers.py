"""Grafana in a container: paths of its data sources and files on the host and in the container."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

from wizard.model import ComponentSpec, Container, Facts, FileState, HostFacts, HostSpec, Mount, Stack
from wizard.planner import grafana

BOX = Container(
    name="mon-grafana-1",
    image="grafana/grafana:11.0.0",
    gid=0,
    mounts=(Mount("bind", "/srv/mon/grafana", "/etc/grafana/provisioning"),),
)
SOURCES = "/srv/mon/grafana/datasources"
HOST = HostFacts(spec=HostSpec(name="here", connect="local"), root=True, grafana=(BOX,))


def containerised_grafana(host: HostFacts) -> grafana.Grafana:
    found = [one for one in grafana.clients(Facts(hosts={"here": host})) if one.service.container is not None]
    (client,) = found
    return client


def test_its_files_lie_where_its_data_sources_are_mounted() -> None:
    client = containerised_grafana(HOST)
    assert (client.datasources, client.folder) == (SOURCES, f"{SOURCES}/firescreen")
    assert client.service.group == "root"
    path = f"{SOURCES}/firescreen/firescreen-ca.crt"
    assert client.inside(path) == "/etc/grafana/provisioning/datasources/firescreen/firescreen-ca.crt"
    assert client.restart_command == "docker restart mon-grafana-1"
    folders = grafana.wanted_folders(Facts(hosts={"here": HOST}))["here"]
    assert {SOURCES, f"{SOURCES}/firescreen", "/etc/grafana/provisioning/datasources"} <= set(folders)


def test_what_a_data_source_names_is_read_on_the_host() -> None:
    ca = FileState(b"the CA")
    here = replace(HOST, files={f"{SOURCES}/ca.crt": ca, f"{SOURCES}/ours.yaml": FileState(b"{}")})
    client = containerised_grafana(here)
    assert [path for path, _ in client.files] == [f"{SOURCES}/ours.yaml"]
    assert (
        grafana.setting_content(client, "$__file{/etc/grafana/provisioning/datasources/ca.crt}") == b"the CA"
    )


def test_without_a_folder_of_the_host_there_is_nothing_to_edit() -> None:
    for mounts in (
        (),
        (Mount("volume", "/var/lib/docker/volumes/g/_data", "/etc/grafana"),),
        (Mount("bind", "/srv/ours.yaml", "/etc/grafana/provisioning/datasources/ours.yaml"),),
    ):
        host = replace(HOST, grafana=(replace(BOX, mounts=mounts),))
        found = grafana.clients(Facts(hosts={"here": host}))
        assert all(one.service.container is None for one in found)
        asked = cast(Any, SimpleNamespace(spec=ComponentSpec(host="here", name="prometheus")))
        _, (warning,) = grafana.look(
            Stack(hosts=(HOST.spec,), components=()), Facts(hosts={"here": host}), [asked]
        )
        assert warning.id == "grafana-by-hand" and "mon-grafana-1" in warning.what
