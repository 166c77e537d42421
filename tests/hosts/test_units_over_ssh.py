"""Unusual units over SSH as an administrator with sudo: a reload by http, a cron job, and a dynamic user."""

from __future__ import annotations

from pathlib import Path

import bases
import pytest
from machines import Machine, Network
from test_over_ssh import engine_for, etc, pair  # noqa: F401 - a fixture

from wizard.model import ComponentSpec, Stack

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(900)]


@pytest.mark.parametrize(
    ("suite", "user", "password"), [("bookworm", "operator", bases.PASSWORD), ("sid", "admin", "")]
)
def test_unusual_units_are_secured_and_restored(
    pair: tuple[Machine, Machine],  # noqa: F811
    network: Network,
    tmp_path: Path,
    suite: str,
    user: str,
    password: str,
) -> None:
    srv1, prometheus = pair
    dynamic = "/etc/systemd/system/prometheus-node-exporter.service.d/zz-late.conf"
    lines = ["[Service]", "DynamicUser=yes", "User=", "EnvironmentFile=", "ExecStart="]
    srv1.push(dynamic, "\n".join([*lines, "ExecStart=/usr/bin/prometheus-node-exporter\n"]).encode())
    srv1.check("systemctl daemon-reload && systemctl restart prometheus-node-exporter")
    curl = b"[Service]\nExecReload=\nExecReload=/usr/bin/curl -s -X POST http://prometheus:9090/-/reload\n"
    prometheus.push("/etc/systemd/system/prometheus.service.d/reload.conf", curl)
    prometheus.push("/etc/cron.d/watch", b"* * * * * root curl -sf http://srv1:9100/metrics\n")
    prometheus.check("systemctl daemon-reload && systemctl restart prometheus")
    before = [etc(machine) for machine in pair]
    specs = [machine.spec(user=user, become="sudo") for machine in pair]
    stack = Stack(
        hosts=tuple(specs),
        components=(
            ComponentSpec(host="srv1", name="node_exporter", protect=("tls", "basic_auth", "client_cert")),
            ComponentSpec(host="prometheus", name="prometheus", protect=("tls", "basic_auth")),
        ),
    )
    with engine_for(tmp_path, network, {spec.name: password for spec in specs} if password else {}) as engine:
        plan = engine.plan(stack)
        warnings = [warning.what for warning in plan.warnings if warning.id == "asked-by-http"]
        assert len(warnings) == 1
        assert warnings[0].startswith("prometheus:/etc/cron.d/watch:1 uses http for node_exporter")
        outcome = engine.apply(plan)
        assert outcome.state == "proven", (outcome.error, getattr(outcome.error, "log", ""))
        key = srv1.root / "etc/node_exporter/node_exporter.key"
        assert (key.stat().st_mode & 0o777, key.stat().st_uid, key.stat().st_gid) == (0o600, 0, 0)
        flags = srv1.root / "etc/systemd/system/prometheus-node-exporter.service.d/zz-late.firescreen.conf"
        assert "/run/credentials/" in flags.read_text()
        assert not engine.plan(stack).changes
        prometheus.check("systemctl reload prometheus")
        assert "kill" in prometheus.check("systemctl show -p ExecReload prometheus")
        assert engine.undo().state == "undone"
    assert [etc(machine) for machine in pair] == before
    for machine in pair:
        assert not machine.check("systemctl list-units --state=failed --plain --no-legend 'prometheus*'")
