"""Complete runs over SSH on a host whose folders belong to the service's user, as tutorials leave them.

The stack is secured and restored; a run is refused before any change where root's writes would be redirected;
access control lists of a file are kept after a run and after its undo.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from machines import Machine, Network
from test_safe_paths import SWAPPER

from wizard.engine import Engine
from wizard.errors import FirescreenError, HostError
from wizard.model import ComponentSpec, HostSpec, Protection, Stack
from wizard.workspace import Workspace

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(600)]

LOGINS = (("root", ""), ("admin", "sudo"))
EVERYTHING = (
    "find /etc/node_exporter /etc/prometheus /etc/default /etc/systemd/system /srv /etc/planted* -xdev "
    "\\( -type f -o -type d -o -type l \\) -printf '%p %y %m %U:%G %l ' "
    "\\( -type f -exec sha256sum {} ';' -o -printf '\\n' \\) | sort; "
    "find /etc/prometheus/ /etc/node_exporter -type f | sort | xargs getfacl -np; true"
)


@pytest.fixture(scope="module")
def host(network: Network) -> Iterator[Machine]:
    with Machine("bookworm", "srv1", network) as machine:
        machine.check(["systemctl", "start", "systemd-user-sessions"])
        machine.check(
            "mkdir -p /etc/planted && echo precious > /etc/planted.conf && chmod 600 /etc/planted.conf && "
            "cp -p /etc/planted.conf /etc/planted/secret && echo open > /etc/planted/open && chmod 666 /etc/planted/open"
        )
        yield machine


@pytest.fixture
def folder(host: Machine) -> Iterator[Machine]:
    """Makes /etc/node_exporter with the service's user as its owner."""
    host.check("rm -rf /etc/node_exporter && install -d -o prometheus -g prometheus /etc/node_exporter")
    yield host
    host.check("rm -rf /etc/node_exporter")


def stack(spec: HostSpec, *protect: Protection) -> Stack:
    parts = ("node_exporter", "prometheus")
    return Stack(
        hosts=(spec,),
        components=tuple(ComponentSpec(host="srv1", name=name, protect=protect) for name in parts),
    )


@contextmanager
def engine_at(path: Path, network: Network) -> Iterator[Engine]:
    workspace = Workspace(path)
    workspace.ensure()
    engine = Engine(workspace)
    try:
        with network.entered():
            yield engine
    finally:
        engine.close()


@pytest.mark.parametrize(("user", "become"), LOGINS)
def test_a_folder_of_the_services_user_is_secured_and_restored(
    folder: Machine, network: Network, tmp_path: Path, user: str, become: str
) -> None:
    # Users with rights by an access control list keep them, and the folder's default list gives nobody new rights.
    folder.check(
        "chown prometheus:prometheus /etc/node_exporter && chmod 640 /etc/prometheus/prometheus.yml && "
        "chgrp prometheus /etc/prometheus/prometheus.yml && setfacl -m u:admin:rw /etc/prometheus/prometheus.yml && "
        "setfacl -d -m u:guest:rwx,g::rwx /etc/node_exporter"
    )
    before = folder.check(EVERYTHING)
    acl = folder.check("getfacl -np /etc/prometheus/prometheus.yml")
    assert "user:1" in acl
    with engine_at(tmp_path, network) as engine:
        outcome = engine.apply(engine.plan(stack(folder.spec(user=user, become=become), "tls", "basic_auth")))
        assert outcome.state == "proven", outcome.error
        assert folder.check("getfacl -np /etc/prometheus/prometheus.yml") == acl
        assert folder.run("test -r /etc/prometheus/prometheus.yml", user="admin").returncode == 0
        assert folder.run("test -w /etc/prometheus/prometheus.yml", user="prometheus").returncode == 1
        for name in ("web.yml", "node_exporter.key", "node_exporter.crt"):
            listed = folder.check(["getfacl", "-np", f"/etc/node_exporter/{name}"])
            assert "user:1" not in listed, "nobody reads a key by what the folder gives new files"
        assert engine.undo().state == "undone"
    assert folder.check(EVERYTHING) == before
    folder.check("setfacl -b /etc/prometheus/prometheus.yml")


LED_ASTRAY = {
    "a link": "ln -s /etc/planted.conf web.yml && chown -h prometheus web.yml",
    "root's link": "ln -s /etc/planted.conf web.yml",
    "a hard link": "ln /etc/planted.conf web.yml",
    "a pipe": "mkfifo web.yml && chown prometheus web.yml",
}


@pytest.mark.parametrize(("user", "become"), LOGINS)
def test_root_does_not_follow_planted_links_and_nothing_changes(
    folder: Machine, network: Network, tmp_path: Path, user: str, become: str
) -> None:
    wanted = stack(folder.spec(user=user, become=become), "tls")
    with engine_at(tmp_path, network) as engine:
        for words in LED_ASTRAY.values():
            folder.check(f"cd /etc/node_exporter && {words}")
            before = folder.check(EVERYTHING)
            with pytest.raises(HostError) as refused:
                engine.plan(wanted)
            assert "srv1:/etc/node_exporter/web.yml" in refused.value.where
            assert "left alone" in refused.value.what
            assert refused.value.todo
            assert "precious" not in str(refused.value)
            assert len(engine.scan(wanted).exposures) == 2, "looking at what runs goes on"
            assert folder.check(EVERYTHING) == before
            folder.check("rm /etc/node_exporter/web.yml")
        # Between the plan and the run, and between the run and its undo.
        plan = engine.plan(wanted)
        folder.check("ln -s /etc/planted.conf /etc/node_exporter/web.yml")
        before = folder.check(EVERYTHING)
        outcome = engine.apply(plan)
        assert outcome.error is not None
        assert "link" in outcome.error.what
        assert folder.check(EVERYTHING) == before
        folder.check("rm /etc/node_exporter/web.yml")
        before = folder.check(EVERYTHING)
        assert engine.apply(engine.plan(wanted)).state == "proven"
        folder.check("cd /etc/node_exporter && mv web.yml kept && ln -s /etc/planted.conf web.yml")
        secured = folder.check(EVERYTHING)
        undone = engine.undo()
        assert undone.error is not None
        assert "link" in undone.error.what
        assert folder.check(EVERYTHING) == secured
        folder.check("cd /etc/node_exporter && mv kept web.yml")
        assert engine.undo().state == "undone"
        assert folder.check(EVERYTHING) == before


def test_links_of_root_keep_working(host: Machine, network: Network, tmp_path: Path) -> None:
    host.check("mv /etc/prometheus /srv/prometheus && ln -s /srv/prometheus /etc/prometheus")
    try:
        before = host.check(EVERYTHING)
        with engine_at(tmp_path, network) as engine:
            assert engine.apply(engine.plan(stack(host.spec(), "tls"))).state == "proven"
            assert host.check("readlink /etc/prometheus").strip() == "/srv/prometheus"
            assert engine.undo().state == "undone"
        assert host.check(EVERYTHING) == before
    finally:
        host.check("rm /etc/prometheus && mv /srv/prometheus /etc/prometheus")


def test_an_immutable_file_is_refused_before_any_change(
    host: Machine, network: Network, tmp_path: Path
) -> None:
    # An overlay accepts the immutable flag only for a file of its upper layer.
    host.check("touch -c /etc/prometheus/prometheus.yml && chattr +i /etc/prometheus/prometheus.yml")
    try:
        before = host.check(EVERYTHING)
        with (
            engine_at(tmp_path, network) as engine,
            pytest.raises(FirescreenError, match="immutable") as refused,
        ):
            engine.plan(stack(host.spec(), "tls"))
        assert "chattr -i" in refused.value.todo
        assert host.check(EVERYTHING) == before
    finally:
        host.check("chattr -i /etc/prometheus/prometheus.yml")


def test_an_acl_that_cannot_be_copied_is_refused_before_any_change(
    host: Machine, network: Network, tmp_path: Path
) -> None:
    host.check("setfacl -m u:admin:rw /etc/prometheus/prometheus.yml && mv /usr/bin/getfacl /usr/bin/away")
    try:
        with (
            engine_at(tmp_path, network) as engine,
            pytest.raises(HostError, match="carried over") as refused,
        ):
            engine.plan(stack(host.spec(), "tls"))
        assert "acl" in refused.value.todo
    finally:
        host.check("mv /usr/bin/away /usr/bin/getfacl; setfacl -b /etc/prometheus/prometheus.yml")


def test_complete_runs_while_paths_are_swapped(folder: Machine, network: Network, tmp_path: Path) -> None:
    wanted = stack(folder.spec(), "tls", "basic_auth")
    outside = (
        "find /etc /root /srv -xdev -not -path '/etc/node_exporter*' -not -path '*/firescreen*' -type f "
        "-printf '%p %U:%G %m ' -exec sha256sum {} +"
    )
    with engine_at(tmp_path, network) as engine:
        plan = engine.plan(wanted)
        before = folder.check(outside)
        owner = ["runuser", "-u", "prometheus", "--", "/usr/bin/python3", "-c", SWAPPER]
        words = [*folder.inside, *owner, "/etc/node_exporter", "/etc/planted", "3"]
        states = []
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as swapper:
            assert swapper.stdin
            assert swapper.stdout
            try:
                assert swapper.stdout.readline() == b"ready\n"
                for _ in range(3):
                    outcome = engine.apply(plan)
                    states.append(outcome.state)
                    if outcome.run:
                        engine.recover() if outcome.state == "failed" else engine.undo()
            finally:
                swapper.stdin.close()
                swapper.wait(20)
        folder.check("rm -rf /etc/node_exporter && install -d -o prometheus /etc/node_exporter")
        engine.recover()
        assert folder.check(outside) == before, states
