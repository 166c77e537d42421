"""Containers of Podman's quadlets in a plan: the edited file, and warnings."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wizard.config_files import compose
from wizard.errors import ConfigError
from wizard.model import (
    ComponentSpec,
    Container,
    Facts,
    FileState,
    HostFacts,
    HostSpec,
    Mount,
    Service,
    WriteFile,
)
from wizard.planner import compose_edits, containers
from wizard.planner.server_facts import Server

PATH = "/etc/containers/systemd/exporter.container"
BOX = Container(
    name="exporter",
    image="localhost/node-exporter:1",
    engine="podman",
    quadlet=PATH,
    unit="exporter.service",
    inside_port=9100,
    network_mode="host",
    mounts=(Mount("volume", f"/var/lib/containers/storage/volumes/{'0a' * 32}/_data", "/data"),),
)
SERVICE = Service(
    host="srv1", component="node_exporter", manager="quadlet", unit="exporter", active=True, container=BOX
)
HOST = HostFacts(spec=HostSpec(name="srv1", connect="local"), services=(SERVICE,))
WANTED = compose.Change(flags={"web.config.file": "/etc/firescreen/exporter/web.yml"})


def test_a_quadlet_file_is_read_and_edited() -> None:
    assert compose_edits.wanted_files(Facts(hosts={"srv1": HOST})) == {"srv1": (PATH,)}
    text = b"[Container]\nImage=x\nExec=--collector.disable-defaults\n"
    here = replace(HOST, files={PATH: FileState(text)})
    edits = compose_edits.ComposeEdits((), ())
    found = edits._quadlet(here, BOX, WANTED)
    assert found == {PATH: text[:-1] + b" --web.config.file=/etc/firescreen/exporter/web.yml\n"}
    again = replace(HOST, files={PATH: FileState(found[PATH])})
    assert edits._quadlet(again, BOX, WANTED) == {}


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "is not there any more"), (b"[Service]\n", "no section")]
)
def test_a_refusal_names_the_quadlet_file(content: bytes | None, reason: str) -> None:
    here = replace(HOST, files={PATH: FileState(content) if content is not None else None})
    with pytest.raises(ConfigError, match=reason) as refused:
        compose_edits.ComposeEdits((), ())._quadlet(here, BOX, WANTED)
    assert PATH in refused.value.where and refused.value.todo


def test_data_in_an_anonymous_volume_is_warned_about() -> None:
    (finding,) = containers.lost_volumes(SERVICE)
    assert finding.id == "anonymous-volume" and "/data" in finding.what and PATH in finding.remediation
    made = replace(BOX, quadlet="", compose="podman-compose", service="exporter")
    (finding,) = containers.lost_volumes(replace(SERVICE, container=made))
    assert "podman-compose gives it a new one" in finding.why
    kept = replace(BOX, mounts=(Mount("volume", "/var/lib/containers/storage/volumes/data/_data", "/data"),))
    assert containers.lost_volumes(replace(SERVICE, container=kept)) == ()
    assert containers.lost_volumes(replace(SERVICE, container=replace(BOX, quadlet=""))) == ()


def test_a_quadlet_can_be_changed_as_a_client_too() -> None:
    containers.refuse_unknown_client(SERVICE)
    assert BOX.words == "container exporter (quadlet exporter.container)"
    assert BOX.file == PATH


COMPOSE = "/srv/mon/compose.yaml"


@pytest.mark.parametrize(("enforced", "option"), [(True, ":ro,Z"), (False, ":ro")])
@pytest.mark.parametrize("described", ["quadlet", "compose"])
def test_the_mounted_folder_is_labelled_where_selinux_is_enforced(
    described: str, enforced: bool, option: str
) -> None:
    """The label is private (Z): no other container can use the folder."""
    box, path, text = BOX, PATH, "[Container]\nImage=x\n"
    if described == "compose":
        path, text = COMPOSE, "services:\n  exporter:\n    image: x\n"
        box = replace(
            BOX, quadlet="", project="mon", service="exporter", compose_files=(path,), folder="/srv/mon"
        )
    service = replace(SERVICE, container=box, home="/srv/firescreen")
    host = replace(HOST, services=(service,), selinux=enforced, files={path: FileState(text.encode())})
    server = Server(ComponentSpec(host="srv1", name="node_exporter"), host, service)
    step = compose_edits.ComposeEdits((), ())._step(server, service, WANTED)
    assert step is not None
    written = next(each for each in step.changes if isinstance(each, WriteFile))
    assert written.after is not None
    words = written.after.content.decode().replace('"', "").split()
    assert any(word.endswith(f"/srv/firescreen:/srv/firescreen{option}") for word in words), words
