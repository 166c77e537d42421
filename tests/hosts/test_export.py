"""An export on real hosts: Ansible secures new ones so that `verify` succeeds, and finds nothing to change
after ours.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from machines import Machine, Network
from test_over_ssh import engine_for, etc, pair

from tests.processes import run_program
from tests.tools import ansible_runs
from wizard.engine import Engine
from wizard.inventory.stack_file import load
from wizard.model import ComponentSpec, Protection, Stack

__all__ = ["pair"]

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(900)]

PASSWORD = "a vault's long password"
FULL: tuple[Protection, ...] = ("tls", "basic_auth", "client_cert")


def stack_of(machines: tuple[Machine, Machine], *, user: str, become: str) -> Stack:
    return Stack(
        hosts=tuple(machine.spec(user=user, become=become) for machine in machines),
        components=(
            ComponentSpec(host="srv1", name="node_exporter", protect=FULL),
            ComponentSpec(host="prometheus", name="prometheus", protect=FULL),
        ),
    )


def proven(engine: Engine, stack: Stack) -> None:
    attempts = engine.verify(stack)
    assert len(attempts) > 10
    assert [attempt for attempt in attempts if not attempt.ok] == []
    assert engine.plan(stack).changes == ()


@pytest.mark.parametrize(("suite", "user", "become"), [("sid", "admin", "sudo")])
def test_ansible_secures_fresh_hosts_and_a_second_run_changes_nothing(
    pair: tuple[Machine, Machine], network: Network, tmp_path: Path, suite: str, user: str, become: str
) -> None:
    # One folder belongs to the service's user, which is common: its owner could redirect root's writes.
    pair[0].check(
        "install -d -o prometheus -g prometheus /etc/node_exporter && echo precious > /etc/planted.conf"
    )
    fresh = [etc(machine) for machine in pair]
    stack = stack_of(pair, user=user, become=become)
    with engine_for(tmp_path / "workspace", network, {}) as engine:
        folder = ansible_runs.export(engine, stack, tmp_path / "playbook", PASSWORD)
        assert [etc(machine) for machine in pair] == fresh, "an export touches no host"

        pair[0].check("ln -s /etc/planted.conf /etc/node_exporter/web.yml")
        refused = ansible_runs.run(folder, PASSWORD, enter=network.enter)
        assert refused.code != 0
        assert "left alone" in refused.output
        pair[0].check("rm /etc/node_exporter/web.yml")
        assert [etc(machine) for machine in pair] == fresh

        # The user has changed a file before: nothing is written, on the other host neither.
        pair[1].check(
            "cp -p /etc/prometheus/prometheus.yml /root/kept && echo '# mine' >> /etc/prometheus/prometheus.yml"
        )
        theirs = [etc(machine) for machine in pair]
        refused = ansible_runs.run(folder, PASSWORD, enter=network.enter)
        assert refused.code != 0 and "Neither what it was when this was exported" in refused.output
        assert [etc(machine) for machine in pair] == theirs
        pair[1].check("cp -p /root/kept /etc/prometheus/prometheus.yml")

        ran = ansible_runs.run(folder, PASSWORD, enter=network.enter)
        assert ran.code == 0, ran.output
        assert min(ran.by_host.values()) > 0
        proven(engine, stack)
        again = ansible_runs.run(folder, PASSWORD, enter=network.enter)
        assert (again.code, again.changed) == (0, 0), again.output
    for machine in pair:
        assert not list((machine.root / "etc").rglob("*firescreen-check*"))
        assert not list((machine.root / "etc").rglob("ca.key")), "the CA's key travelled"


def _make_unusual(srv1: Machine, prometheus: Machine) -> None:
    """Makes a user that exists only while the service runs, and a reload by http: both need additions to the units."""
    srv1.push(
        "/etc/systemd/system/prometheus-node-exporter.service.d/owner.conf",
        b"[Service]\nDynamicUser=yes\nUser=\n",
    )
    prometheus.push(
        "/etc/systemd/system/prometheus.service.d/reload.conf",
        b"[Service]\nExecReload=\nExecReload=/usr/bin/curl -s -X POST http://localhost:9090/-/reload\n",
    )
    srv1.check("systemctl daemon-reload && systemctl restart prometheus-node-exporter")
    prometheus.check("systemctl daemon-reload && systemctl restart prometheus")


@pytest.mark.parametrize("odd", [False, True], ids=["debian", "odd-units"])
@pytest.mark.parametrize("suite", ["bookworm"])
def test_ansible_changes_nothing_after_our_apply_and_restores_new_hosts(
    pair: tuple[Machine, Machine], network: Network, tmp_path: Path, suite: str, odd: bool
) -> None:
    if odd:
        _make_unusual(*pair)
    stack = stack_of(pair, user="root", become="")
    for machine in pair:
        machine.check(["cp", "-a", "/etc", "/root/etc"])
    with engine_for(tmp_path / "workspace", network, {}) as engine:
        outcome = engine.apply(engine.plan(stack))
        assert outcome.state == "proven", outcome.error
        done = [etc(machine) for machine in pair]
        folder = ansible_runs.export(engine, stack, tmp_path / "playbook", PASSWORD)
        looked = ansible_runs.run(folder, PASSWORD, arguments=["--check", "--diff"], enter=network.enter)
        assert (looked.code, looked.changed) == (0, 0), looked.output
        assert [etc(machine) for machine in pair] == done

        # Its inventory is a source of hosts for Firescreen.
        found = tmp_path / "found.yaml"
        command = [
            *network.enter,
            sys.executable,
            "-m",
            "screens",
            "--workspace",
            str(tmp_path / "other"),
            "scan",
        ]
        options = ["--hosts", str(folder / "inventory.yml"), "--write", str(found)]
        ended = run_program([*command, *options], timeout=120)
        assert ended.returncode in (0, 3), ended.stderr
        assert load(found).hosts == stack.hosts
        assert [each.key for each in load(found).components] == [
            "srv1/node_exporter",
            "prometheus/prometheus",
        ]

        # The hosts are installed anew: the same export restores them to the byte.
        for machine in pair:
            machine.check("rm -rf /etc/node_exporter /etc/prometheus && cp -a /root/etc/. /etc/")
            machine.check(
                "systemctl restart prometheus prometheus-node-exporter 2>/dev/null || systemctl restart prometheus || systemctl restart prometheus-node-exporter"
            )
        ran = ansible_runs.run(
            folder, PASSWORD, arguments=["-e", "firescreen_replace=true"], enter=network.enter
        )
        assert ran.code == 0 and ran.changed > 0, ran.output
        assert [etc(machine) for machine in pair] == done
        proven(engine, stack)
