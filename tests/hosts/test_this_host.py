"""'This host' mode on real systemd hosts: node_exporter and the Prometheus beside it are secured, verified, undone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from machines import FIRESCREEN, STACK, Machine

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(900)]


# Every file that a run may change, with its mode, owner and content.
PRINT = (
    "find /etc/prometheus /etc/default /etc/node_exporter /etc/systemd/system /root/.local /home -xdev "
    "\\( -type f -o -type d \\) -not -path '*/runs/*' -not -name lock -printf '%p %m %u %g ' "
    "\\( -type f -exec sha256sum {} ';' -o -printf '\\n' \\) 2>/dev/null | sort"
)


def firescreen(machine: Machine, *words: str, code: int = 0, user: str = "root") -> Any:
    """Runs Firescreen inside and returns its JSON."""
    ended = machine.run([FIRESCREEN, *words], timeout=240, user=user)
    assert ended.returncode == code, f"{words}: {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
    return json.loads(ended.stdout) if ended.stdout.strip() else None


def files(machine: Machine) -> str:
    """Returns a fingerprint of all files that a run may change; makes the workspace's own folders first."""
    return machine.run(PRINT, timeout=60).stdout


def up(machine: Machine, *curl: str, scheme: str = "http") -> dict[str, str]:
    """Returns job -> value of up, from Prometheus."""
    ended = machine.check(["curl", "-s", *curl, f"{scheme}://localhost:9090/api/v1/query?query=up"])
    return {row["metric"]["job"]: row["value"][1] for row in json.loads(ended)["data"]["result"]}


def test_secured_verified_and_undone(machine: Machine) -> None:
    machine.push("/root/stack.yaml", STACK.encode())
    seen = firescreen(machine, "scan", "--json", code=3)
    assert {row["component"]: row["state"] for row in seen["components"]} == {
        "node_exporter": "open",
        "prometheus": "open",
    }
    firescreen(machine, "history", "--json")
    machine.run([FIRESCREEN, "recover", "--yes"])
    before = files(machine)
    assert "prometheus.yml" in before

    assert firescreen(machine, "plan", "/root/stack.yaml", "--json", code=3)["changes"]
    assert files(machine) == before, "a plan writes nothing"

    done = firescreen(machine, "apply", "/root/stack.yaml", "--yes", "--json")
    assert done["state"] == "proven"
    assert {probe["component"] for probe in done["probes"]} == {"node_exporter", "prometheus"}
    assert all(probe["ok"] for probe in done["probes"])
    workspace = "/root/.local/share/firescreen"
    curl = ("--cacert", f"{workspace}/ca/ca.crt", "--config", f"{workspace}/users/prometheus.curl")
    assert set(up(machine, *curl, scheme="https").values()) == {"1"}
    for path, mode in (
        ("/etc/node_exporter/web.yml", "640 root prometheus"),
        ("/etc/node_exporter/node_exporter.key", "640 root prometheus"),
        ("/etc/prometheus/prometheus.password", "640 root prometheus"),
    ):
        assert machine.check(["stat", "-c", "%a %U %G", path]).strip() == mode
    for probe in done["probes"]:
        if probe["outcome"].isdigit():
            assert machine.run(probe["curl"]).stdout.strip() == probe["outcome"]

    firescreen(machine, "plan", "/root/stack.yaml", "--json", code=0)
    assert firescreen(machine, "verify", "/root/stack.yaml", "--json")["ok"]
    firescreen(machine, "undo", "--yes", "--json")
    assert files(machine) == before
    assert machine.check(["systemctl", "is-active", "prometheus", "prometheus-node-exporter"])
    assert set(up(machine)) >= {"prometheus", "node"}


def test_with_sudo(machine: Machine) -> None:
    machine.check(
        "id worker >/dev/null 2>&1 || useradd -m worker; echo 'worker ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/worker"
    )
    stack = STACK.replace("connect: local", "connect: local, become: sudo").replace(
        "  - {host: here, name: prometheus, protect: [tls, basic_auth]}\n",
        "  - {host: here, name: prometheus}\n",
    )
    machine.push("/home/worker/stack.yaml", stack.encode())
    machine.run([FIRESCREEN, "recover", "--yes"], user="worker")
    before = files(machine)
    done = firescreen(machine, "apply", "/home/worker/stack.yaml", "--yes", "--json", user="worker")
    assert done["state"] == "proven"
    assert (
        machine.check(["stat", "-c", "%a %U %G", "/etc/node_exporter/web.yml"]).strip()
        == "640 root prometheus"
    )
    ca = "/home/worker/.local/share/firescreen/ca/ca.key"
    assert machine.check(["stat", "-c", "%a %U", ca]).strip() == "600 worker"
    firescreen(machine, "undo", "--yes", "--json", user="worker")
    assert files(machine) == before


def test_a_user_without_permissions_gets_an_error_and_nothing_changes(machine: Machine) -> None:
    machine.check("id nobodyspecial >/dev/null 2>&1 || useradd -m nobodyspecial")
    machine.push("/home/nobodyspecial/stack.yaml", STACK.encode())
    before = machine.check("find /etc -xdev -type f -printf '%p %m %s\\n' | sort")
    ended = machine.run(
        [FIRESCREEN, "apply", "/home/nobodyspecial/stack.yaml", "--yes"], timeout=120, user="nobodyspecial"
    )
    assert ended.returncode == 1
    assert "sudo" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert machine.check("find /etc -xdev -type f -printf '%p %m %s\\n' | sort") == before


def test_a_key_that_the_service_cannot_read_is_rolled_back(machine: Machine) -> None:
    # A folder of the user's own that only root may enter.
    machine.check("install -d -m 0700 -o root -g root /etc/node_exporter")
    machine.push("/root/stack.yaml", STACK.split("  - {host: here, name: prometheus", maxsplit=1)[0].encode())
    machine.run([FIRESCREEN, "recover", "--yes"])
    before = files(machine)
    ended = machine.run([FIRESCREEN, "apply", "/root/stack.yaml", "--yes"], timeout=240)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "permission denied" in ended.stderr
    assert files(machine) == before
    assert machine.check(["systemctl", "is-active", "prometheus-node-exporter"])
    assert machine.check(["curl", "-sf", "-o", "/dev/null", "http://localhost:9100/metrics"]) == ""


FULL = "mount -t tmpfs -o size=16k,mode=750 tmpfs {0} && chgrp prometheus {0} && dd if=/dev/zero of={0}/filler bs=1k count=100 2>/dev/null; true"


def test_a_full_disk_is_an_error(machine: Machine) -> None:
    machine.check("install -d -m 0750 -o root -g prometheus /etc/node_exporter")
    machine.check(FULL.format("/etc/node_exporter"))
    machine.push("/root/stack.yaml", STACK.split("  - {host: here, name: prometheus", maxsplit=1)[0].encode())
    machine.run([FIRESCREEN, "recover", "--yes"])
    before = files(machine)
    ended = machine.run([FIRESCREEN, "apply", "/root/stack.yaml", "--yes"], timeout=240)
    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert "full" in ended.stderr
    assert files(machine) == before
    assert machine.check("find /etc/node_exporter -type f").strip() == "/etc/node_exporter/filler"
    assert machine.check(["curl", "-sf", "-o", "/dev/null", "http://localhost:9100/metrics"]) == ""


def test_a_full_workspace_changes_nothing(machine: Machine) -> None:
    machine.check("install -d -m 0700 /root/small")
    machine.check(FULL.format("/root/small").replace("16k", "64k"))
    machine.push("/root/stack.yaml", STACK.encode())
    before = files(machine)
    ended = machine.run(
        [FIRESCREEN, "--workspace", "/root/small/ws", "apply", "/root/stack.yaml", "--yes"], timeout=240
    )
    assert ended.returncode in (1, 2), ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
    assert "full" in ended.stderr or "No space left" in ended.stderr
    assert files(machine) == before


def test_a_read_only_folder_is_an_error(machine: Machine) -> None:
    machine.push("/root/stack.yaml", STACK.encode())
    machine.run([FIRESCREEN, "recover", "--yes"])
    before = files(machine)
    machine.check("mount --bind /etc/prometheus /etc/prometheus && mount -o remount,ro,bind /etc/prometheus")
    ended = machine.run([FIRESCREEN, "apply", "/root/stack.yaml", "--yes"], timeout=240)
    machine.check("umount /etc/prometheus")
    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert "read-only" in ended.stderr.lower()
    assert files(machine) == before
    assert machine.check(["systemctl", "is-active", "prometheus", "prometheus-node-exporter"])
