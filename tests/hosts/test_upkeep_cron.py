"""The timer without systemd: Debian's own cron runs the installed line, and a renewal happens."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest
from docker_hosts import packages
from machines import FIRESCREEN, Machine

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(600)]

METRICS = "/root/firescreen.prom"
# systemd's sockets and the folder by which programs detect it are hidden from cron and all that it starts.
WITHOUT_SYSTEMD = "mount -t tmpfs tmpfs /run/systemd && exec /usr/sbin/cron -f -L 5"
AGE = """
from datetime import UTC, datetime, timedelta
from pathlib import Path
from wizard.certificates import issue
root = Path("/root/.local/share/firescreen")
shown = root / "practice/srv1/etc/node_exporter/node_exporter.crt"
old = issue.summary(shown.read_bytes())
new = issue.issue(
    ca_cert=(root / "ca/ca.crt").read_bytes(), ca_key=(root / "ca/ca.key").read_bytes(),
    key_pem=shown.with_suffix(".key").read_bytes(), names=old.names, days=1, common_name="srv1",
    now=datetime.now(UTC) - timedelta(days=1) + timedelta(minutes=9),
)
with shown.open("r+b") as file:
    file.truncate()
    file.write(new)
"""
SECONDS_LEFT = """
import sys, time
from pathlib import Path
from wizard.certificates import issue
from wizard.config_files import web_config
folder = Path("/root/.local/share/firescreen/practice/srv1/etc/node_exporter")
shown = folder / web_config.parse((folder / "web.yml").read_bytes()).cert_file
print(issue.summary(shown.read_bytes()).not_after - time.time())
"""


def test_cron_renews_where_there_is_no_systemd(fleet: Callable[..., list[Machine]]) -> None:
    (machine,) = fleet("bookworm", 1, programs=("prometheus", "node_exporter"))
    machine.check("systemctl stop prometheus prometheus-node-exporter")
    tree = packages(("cron",), "bookworm")
    files = subprocess.run(["tar", "-C", tree, "-c", "."], capture_output=True, check=True).stdout
    machine.check("tar -x -C / --keep-directory-symlink --no-same-owner", stdin=files)
    machine.check("mkdir -p /var/spool/cron/crontabs /etc/cron.d")
    cron = machine.check(
        ["sh", "-c", f"unshare -m sh -c '{WITHOUT_SYSTEMD}' </dev/null >/root/cron.log 2>&1 & echo $!"]
    )

    def firescreen(*words: str, code: int = 0) -> Any:
        inside = ["nsenter", "-t", cron.strip(), "-m", "--", FIRESCREEN, *words, "--json"]
        ended = machine.run(inside, timeout=240)
        assert ended.returncode == code, f"{words}: {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
        return json.loads(ended.stdout)

    machine.check(["nsenter", "-t", cron.strip(), "-m", "--", FIRESCREEN, "practice", "up"], timeout=120)
    assert firescreen("apply", "practice", "--yes")["ok"]
    installed = firescreen("upkeep", "install", "practice", "--metrics", METRICS, "--yes")
    assert installed["ok"]
    status = firescreen("upkeep", "status", "practice")
    (line,) = status["files"]
    assert status["installed"] and line.startswith("/etc/cron.d/firescreen-"), status
    assert firescreen("upkeep", "install", "practice", "--metrics", METRICS, "--yes")["state"] == "nothing"
    assert firescreen("upkeep", "remove", "practice", "--yes")["state"] == "applied"
    assert machine.run(["test", "-e", line]).returncode != 0
    firescreen("undo", "--yes")

    # As written, but every minute instead of every six hours.
    machine.check(f"sed -i 's/^[0-9]* [*]\\/6 [*] [*] [*] /* * * * * /' {line}")
    assert "* * * * * root " in machine.check(["cat", line])
    assert machine.python(AGE).returncode == 0
    assert float(machine.python(SECONDS_LEFT).stdout) < 600
    deadline = time.monotonic() + 200
    while (
        float(machine.python(SECONDS_LEFT).stdout) < 300 * 86400
        or machine.run(["test", "-s", METRICS]).returncode
    ):
        assert time.monotonic() < deadline, machine.run(
            "cat /root/cron.log; journalctl -n 30 --no-pager"
        ).stdout
        time.sleep(1)
    machine.check(["rm", line])
    assert machine.check(["stat", "-c", "%a", METRICS]).strip() == "644"
    metrics = machine.read(METRICS).decode()
    assert "firescreen_renewal_failures_total" in metrics and 'role="server"' in metrics
    assert all(each["ok"] for each in firescreen("verify", "practice")["probes"])
    machine.run(
        ["nsenter", "-t", cron.strip(), "-m", "--", FIRESCREEN, "practice", "down", "--remove"], timeout=60
    )
