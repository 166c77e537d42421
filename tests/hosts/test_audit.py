"""The audit on real systemd hosts: sockets of all addresses, packages, modes and owners, and a user without rights."""

from __future__ import annotations

import json
from typing import Any

import pytest
from machines import Machine

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(600)]

FIRESCREEN = "/opt/firescreen/bin/firescreen"
STACK = """\
version: 1
hosts:
  here: {connect: local}
components:
  - {host: here, name: node_exporter, protect: [tls, basic_auth]}
  - {host: here, name: prometheus, protect: [tls, basic_auth]}
"""
LEFT = {"CRT-06", "AUT-04", "CFG-04", "CVE-01", "CVE-02"}
"""What Firescreen leaves on a host that it has secured, and is so."""


def audit(machine: Machine, *words: str, code: int, user: str = "root") -> Any:
    ended = machine.run([FIRESCREEN, "audit", *words, "--json"], timeout=240, user=user)
    assert ended.returncode == code, f"{ended.returncode}\n{ended.stdout}\n{ended.stderr}"
    return json.loads(ended.stdout)


def found(report: Any) -> set[tuple[str, str]]:
    return {(each["id"], each["component"]) for each in report["findings"]}


def test_a_real_host_open_secured_and_with_faults(machine: Machine) -> None:
    before = audit(machine, code=3)
    assert before["could_not_check"] == []
    assert found(before) >= {
        (check, component)
        for check in ("EXP-01", "EXP-02", "EXP-03")
        for component in ("node_exporter", "prometheus")
    }
    package = machine.check("dpkg-query -W -f '${Package} ${Version}' prometheus").strip()
    for each in before["findings"]:
        if each["id"].startswith("CVE"):
            assert not each["certain"] and each["evidence"].startswith("possibly: ")
            assert each["component"] != "prometheus" or package in each["evidence"]

    machine.check(["tee", "/root/stack.yaml"], stdin=STACK)
    ended = machine.run([FIRESCREEN, "apply", "/root/stack.yaml", "--yes"], timeout=240)
    assert ended.returncode == 0, ended.stderr
    state = (
        "find /etc -xdev -type f -exec sha256sum {} + | sort; find /etc -xdev -printf '%p %m %u %g\\n' | sort"
    )
    files = machine.run(state, timeout=60).stdout
    secured = audit(machine, "/root/stack.yaml", code=3)
    assert secured["could_not_check"] == [] and {check for check, _ in found(secured)} <= LEFT
    assert secured["score"] > before["score"]
    assert machine.run(state, timeout=60).stdout == files, "an audit changes nothing"

    machine.check("chmod 0644 /etc/node_exporter/*.key && chmod 0755 /etc/node_exporter")
    faulty = audit(machine, "/root/stack.yaml", code=3)
    (key,) = (each for each in faulty["findings"] if each["id"] == "FIL-01")
    assert key["file"].startswith("/etc/node_exporter/") and "mode 0644" in key["evidence"]
    assert key["step"] == "secure here/node_exporter"
    machine.check("chmod 0640 /etc/node_exporter/*.key")
    assert found(audit(machine, "/root/stack.yaml", code=3)) == found(secured)

    # Without rights, each file that cannot be read is named, and the checks that it keeps from looking; the others look.
    machine.check("cp /root/stack.yaml /tmp && useradd -m student")
    readable = audit(machine, "/tmp/stack.yaml", code=3, user="student")
    assert not {each["id"] for each in readable["could_not_check"]} & {"CFG-01", "CFG-04", "CRT-06"}, readable
    assert "CRT-06" in {check for check, _ in found(readable)}, "prometheus.yml is there for everyone to read"
    assert all("/etc/node_exporter" in why or "/etc/prometheus" in why for why in reasons(readable)), readable
    machine.check("chmod 0640 /etc/prometheus/prometheus.yml")
    without_rights = audit(machine, "/tmp/stack.yaml", code=1, user="student")
    new = reasons(without_rights) - reasons(readable)
    assert new and all("/etc/prometheus/prometheus.yml" in why for why in new), new
    missed = without_rights["could_not_check"]
    assert any("permission denied" in each["why"].lower() for each in missed)
    assert {each["id"] for each in missed} >= {"CFG-01", "CRT-06"}, "what reads a configuration is no pass"
    assert without_rights["checked"] > 10, "what is asked on the wire is checked all the same"


def reasons(report: Any) -> set[str]:
    return {each["why"] for each in report["could_not_check"]}
