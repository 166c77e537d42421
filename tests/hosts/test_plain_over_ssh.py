"""The plain mode over SSH, with answers from a pipe: two hosts scanned, secured, verified and undone, with sudo's password."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import bases
import pytest
from machines import Machine, Network, booted
from test_over_ssh import CONFIG, etc

from wizard.inventory.stack_file import dump
from wizard.model import ComponentSpec, Stack

NAMES = (("srv1", "node_exporter"), ("prometheus", "prometheus"))

pytestmark = [pytest.mark.hosts, pytest.mark.spread, pytest.mark.timeout(600)]


@pytest.fixture
def pair(network: Network) -> Iterator[tuple[Machine, Machine]]:
    """Boots srv1 with node_exporter and prometheus with Prometheus, both open to logins of users."""
    srv1 = Machine("bookworm", "srv1", network, programs=("node_exporter",))
    prometheus = Machine("bookworm", "prometheus", network, programs=("prometheus",))
    with booted([srv1, prometheus]):
        prometheus.push("/etc/prometheus/prometheus.yml", CONFIG.encode())
        prometheus.check(["systemctl", "restart", "prometheus"])
        for machine in (srv1, prometheus):
            machine.check(["systemctl", "start", "systemd-user-sessions"])
        yield srv1, prometheus


def test_two_hosts_are_secured_verified_and_undone_by_lines_from_a_pipe(
    pair: tuple[Machine, Machine], network: Network, tmp_path: Path
) -> None:
    hosts = tuple(machine.spec(user="operator", become="sudo") for machine in pair)
    components = tuple(ComponentSpec(host=host, name=name) for host, name in NAMES)
    file = tmp_path / "stack.yaml"
    file.write_text(dump(Stack(hosts=hosts, components=components)))
    before = [etc(machine) for machine in pair]
    # sudo's password, for both hosts; TLS + password twice; the default for each other question; apply; undo.
    answers = (bases.PASSWORD, "yes", "TLS + password", "3", *[""] * 5, "yes", "2")
    argv = [*network.enter, sys.executable, "-m", "screens", "--workspace", str(tmp_path / "workspace")]
    ended = subprocess.run(
        [*argv, "--plain", str(file)],
        input="".join(f"{line}\n" for line in answers),
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "1000"},  # one sentence per line
        timeout=300,
        check=False,
    )
    output = ended.stdout + ended.stderr
    assert ended.returncode == 0, output
    assert "\x1b" not in output
    assert bases.PASSWORD not in output
    lines = ended.stdout.splitlines()
    assert "2 of 2 components unprotected." in lines
    for name in ("srv1", "prometheus"):
        assert lines.count(f"{name} is verified.") == 1
    assert "Verified: 12 probes ended as expected." in lines
    assert lines.index("Applied and verified.") < lines.index("Undoing.") < lines.index("Undone.")
    assert [etc(machine) for machine in pair] == before
