"""The workshop's setting: node_exporter on srv1, and Prometheus in a container that srv1 holds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from incus_hosts import Incus, Instance
from machines import Machine, Network
from test_over_ssh import CONFIG, engine_for, etc

from wizard.model import ComponentSpec, Protection, Stack

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(600)]

SUMS = ["sh", "-c", "find /etc -type f -exec stat -c '%a %U:%G' {} + -exec sha256sum {} + | sort -k 2"]


def test_a_container_on_the_host_itself_is_reached_through_it(
    incus: Incus, instance: Instance, network: Network, tmp_path: Path
) -> None:
    # As in a workshop: node_exporter on srv1, Prometheus in a container that srv1 holds.
    with Machine("bookworm", "srv1", network, programs=("node_exporter",), bound=incus.bound) as srv1:
        config = CONFIG.replace("srv1:9100", f"{srv1.address}:9100")
        old = instance.check(["cat", "/etc/prometheus/prometheus.yml"])
        instance.check(["sh", "-c", "cat > /etc/prometheus/prometheus.yml"], stdin=config)
        instance.check(["systemctl", "restart", "prometheus"])
        try:
            before = instance.check(SUMS), etc(srv1)
            with engine_for(tmp_path, network, {}) as engine:
                level: tuple[Protection, ...] = ("tls", "basic_auth", "client_cert")
                held = replace(instance.spec, via="srv1")
                stack = Stack(
                    hosts=(srv1.spec(), held),
                    components=(
                        ComponentSpec(host="srv1", name="node_exporter", protect=level),
                        ComponentSpec(host=held.name, name="prometheus", protect=level),
                    ),
                )
                outcome = engine.apply(engine.plan(stack))
                assert outcome.state == "proven", (outcome.error, getattr(outcome.error, "log", ""))
                assert not engine.plan(stack).changes
                assert engine.undo().state == "undone"
            assert (instance.check(SUMS), etc(srv1)) == before
        finally:
            instance.check(["sh", "-c", "cat > /etc/prometheus/prometheus.yml"], stdin=old)
            instance.check(["systemctl", "restart", "prometheus"])
