"""Facts that a plan needs, on real hosts: folders that a unit names, slow stops, agents, byte order marks."""

from __future__ import annotations

import codecs

import pytest
from machines import FIRESCREEN, STACK, Machine
from test_this_host import files, firescreen

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(900)]

NODE = "prometheus-node-exporter"
ALONE = STACK.split("  - {host: here, name: prometheus", maxsplit=1)[0]


def dropin(machine: Machine, unit: str, *lines: str) -> None:
    path = f"/etc/systemd/system/{unit}.service.d/test.conf"
    machine.push(path, "\n".join(["[Service]", *lines, ""]).encode())
    machine.check(f"systemctl daemon-reload && systemctl restart {unit}")
    machine.run([FIRESCREEN, "recover", "--yes"])


def test_the_folder_of_an_environment_file_is_created_and_removed(machine: Machine) -> None:
    # As in upstream's example unit, on a system without that folder.
    dropin(
        machine,
        NODE,
        "EnvironmentFile=",
        "EnvironmentFile=-/etc/sysconfig/monitoring/node_exporter",
        "ExecStart=",
        f"ExecStart=/usr/bin/{NODE} $OPTIONS",
    )
    machine.push("/root/stack.yaml", ALONE.encode())
    before = files(machine)
    planned = firescreen(machine, "plan", "/root/stack.yaml", "--json", code=3)
    made = [row["path"] for row in planned["changes"] if row["kind"] == "folder"]
    assert {"/etc/sysconfig", "/etc/sysconfig/monitoring"} <= set(made)
    assert firescreen(machine, "apply", "/root/stack.yaml", "--yes", "--json")["state"] == "proven"
    assert b"--web.config" in machine.read("/etc/sysconfig/monitoring/node_exporter")
    firescreen(machine, "undo", "--yes", "--json")
    assert files(machine) == before
    assert machine.run("test -e /etc/sysconfig").returncode != 0


AGENT = """\
global: {scrape_interval: 2s}
scrape_configs:
  - job_name: node
    static_configs: [{targets: [localhost:9100]}]
remote_write:
  - url: http://192.0.2.1:9/write
"""


def test_an_agent_that_is_slow_to_stop_is_waited_for(machine: Machine) -> None:
    machine.push("/etc/prometheus/prometheus.yml", AGENT.encode())
    helped = machine.run("prometheus --help 2>&1").stdout
    switch = "--agent" if "--[no-]agent" in helped else "--enable-feature=agent"
    # Debian's unit never kills it, and this one waits 5 s; the agent tries for longer to send its remaining samples.
    dropin(
        machine,
        "prometheus",
        "TimeoutStopSec=5",
        "ExecStart=",
        f"ExecStart=/usr/bin/prometheus {switch} --config.file=/etc/prometheus/prometheus.yml "
        "--storage.agent.path=/var/lib/prometheus/agent --storage.remote.flush-deadline=15s $ARGS",
    )
    machine.push("/root/stack.yaml", STACK.encode())
    before = files(machine)
    planned = firescreen(machine, "plan", "/root/stack.yaml", "--json", code=3)
    assert [text for text in planned["gaps"] if "up to 15 s to stop" in text], planned["gaps"]
    done = firescreen(machine, "apply", "/root/stack.yaml", "--yes", "--json")
    assert done["state"] == "proven"
    assert any(probe["outcome"] == "up" for probe in done["probes"])
    assert "/api/v1/targets" in str(done)
    assert "promtool query" not in str(done)
    firescreen(machine, "undo", "--yes", "--json")
    assert files(machine) == before
    assert machine.check(["systemctl", "is-active", "prometheus"])


def test_a_byte_order_mark_is_refused_before_any_change(machine: Machine) -> None:
    machine.check(
        "install -d /etc/own && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 9 "
        "-subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout /etc/own/tls.key "
        "-out /etc/own/tls.crt && chgrp prometheus /etc/own/* && chmod 640 /etc/own/*"
    )
    machine.push("/etc/own/tls.crt", codecs.BOM_UTF8 + machine.read("/etc/own/tls.crt"))
    stack = ALONE.replace(
        "protect: [tls, basic_auth]",
        "protect: [tls, basic_auth], names: [localhost], files: {cert_file: /etc/own/tls.crt, key_file: /etc/own/tls.key}",
    )
    machine.push("/root/stack.yaml", (stack + "certificates: {issued_by: files}\n").encode())
    machine.run([FIRESCREEN, "recover", "--yes"])
    before = files(machine)
    ended = machine.run([FIRESCREEN, "plan", "/root/stack.yaml"], timeout=120)
    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert "byte order mark" in ended.stderr
    assert files(machine) == before
    # The advice in the error helps.
    todo = next(line for line in ended.stderr.splitlines() if "sed -i" in line)
    machine.check("sed -i" + todo.partition("sed -i")[2])
    firescreen(machine, "plan", "/root/stack.yaml", "--json", code=3)
