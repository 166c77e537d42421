"""Units without a user of their own, on real hosts: DynamicUser=yes, and nobody."""

from __future__ import annotations

import pytest
from machines import FIRESCREEN, STACK, Machine
from test_this_host import files, firescreen

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(900)]

NODE = "prometheus-node-exporter"
ALONE = STACK.split("  - {host: here, name: prometheus", maxsplit=1)[0]
WITH_CLIENT = STACK.replace(
    "node_exporter, protect: [tls, basic_auth]", "node_exporter, protect: [tls, client_cert]"
).replace(
    "  - {host: here, name: prometheus, protect: [tls, basic_auth]}", "  - {host: here, name: prometheus}"
)


def owned(machine: Machine, unit: str, *lines: str) -> None:
    machine.push(
        f"/etc/systemd/system/{unit}.service.d/owner.conf", "\n".join(["[Service]", *lines, ""]).encode()
    )
    machine.check(f"systemctl daemon-reload && systemctl restart {unit}")
    machine.run([FIRESCREEN, "recover", "--yes"])


@pytest.mark.parametrize("dropin", [False, True], ids=["variable", "drop-in"])
def test_a_dynamic_user_gets_credentials(machine: Machine, dropin: bool) -> None:
    lines = ["DynamicUser=yes", "User="]
    if dropin:
        lines += ["EnvironmentFile=", "ExecStart=", f"ExecStart=/usr/bin/{NODE}"]
    owned(machine, NODE, *lines)
    machine.push("/root/stack.yaml", ALONE.encode())
    before = files(machine)
    done = firescreen(machine, "apply", "/root/stack.yaml", "--yes", "--json")
    assert done["state"] == "proven"
    for path in ("web.yml", "node_exporter.key"):
        assert (
            machine.check(["stat", "-c", "%a %U %G", f"/etc/node_exporter/{path}"]).strip() == "600 root root"
        )
    shown = machine.check(f"tr '\\0' ' ' < /proc/$(systemctl show -p MainPID --value {NODE})/cmdline")
    assert f"--web.config.file=/run/credentials/{NODE}.service/web.yml" in shown
    for reader in ("nobody", "prometheus", "guest"):
        seen = machine.run(
            f"cat /etc/node_exporter/node_exporter.key /run/credentials/{NODE}.service/*", user=reader
        )
        assert seen.returncode != 0
        assert not seen.stdout
    firescreen(machine, "plan", "/root/stack.yaml", "--json", code=0)
    assert firescreen(machine, "verify", "/root/stack.yaml", "--json")["ok"]
    # A new certificate takes effect at the next start, so the service is restarted.
    asked = ("openssl s_client -connect 127.0.0.1:9100 </dev/null 2>/dev/null | openssl x509 -noout -serial",)
    serial = machine.check(*asked)
    renewed = firescreen(
        machine, "apply", "/root/stack.yaml", "--yes", "--json", "--renew", "here/node_exporter"
    )
    assert renewed["state"] == "proven"
    assert machine.check(*asked) != serial
    firescreen(machine, "undo", "--yes", "--json")
    assert machine.check(*asked) == serial
    firescreen(machine, "undo", "--yes", "--json")
    assert files(machine) == before
    assert machine.check(["curl", "-sf", "-o", "/dev/null", "http://localhost:9100/metrics"]) == ""


def test_a_client_ca_is_a_credential_too(machine: Machine) -> None:
    owned(machine, NODE, "DynamicUser=yes", "User=")
    machine.push("/root/stack.yaml", WITH_CLIENT.encode())
    before = files(machine)
    assert firescreen(machine, "apply", "/root/stack.yaml", "--yes", "--json")["state"] == "proven"
    firescreen(machine, "plan", "/root/stack.yaml", "--json", code=0)
    firescreen(machine, "undo", "--yes", "--json")
    assert files(machine) == before


def test_the_shared_user_nobody_is_reported(machine: Machine) -> None:
    owned(machine, NODE, "User=nobody")
    machine.check(["systemd-run", "--unit=neighbour", "-p", "User=nobody", "/bin/sleep", "600"])
    machine.push("/root/stack.yaml", ALONE.encode())
    planned = firescreen(machine, "plan", "/root/stack.yaml", "--json", code=3)
    (warning,) = [row["what"] for row in planned["warnings"] if row["id"] == "key-readable-by-others"]
    assert "sleep" in warning
    assert "/etc/node_exporter/node_exporter.key" in warning
    assert firescreen(machine, "apply", "/root/stack.yaml", "--yes", "--json")["state"] == "proven"


def test_a_client_without_a_user_is_refused_before_any_change(machine: Machine) -> None:
    owned(
        machine,
        "prometheus",
        "DynamicUser=yes",
        "User=promdyn",
        "StateDirectory=prom",
        "ExecStart=",
        "ExecStart=/usr/bin/prometheus --storage.tsdb.path=/var/lib/prom --config.file=/etc/prometheus/prometheus.yml",
    )
    machine.push("/root/stack.yaml", STACK.encode())
    before = files(machine)
    ended = machine.run([FIRESCREEN, "apply", "/root/stack.yaml", "--yes"], timeout=240)
    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert "DynamicUser" in ended.stderr
    assert "useradd" in ended.stderr
    assert files(machine) == before
