"""The timer on real systemd hosts: it renews certificates that live minutes, and no scrape is lost."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from machines import FIRESCREEN, STACK, Machine

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(900)]

WORKSPACE = "/root/.local/share/firescreen"
METRICS = "/var/lib/prometheus/node-exporter/firescreen-stack.prom"
FOLDER = "/etc/node_exporter"
AGE = """
from datetime import UTC, datetime, timedelta
from pathlib import Path
from wizard.certificates import issue
from wizard.config_files import web_config
shown = Path(web_config.parse(Path("/etc/node_exporter/web.yml").read_bytes()).cert_file)
old = issue.summary(shown.read_bytes())
new = issue.issue(
    ca_cert=Path("WORKSPACE/ca/ca.crt").read_bytes(), ca_key=Path("WORKSPACE/ca/ca.key").read_bytes(),
    key_pem=shown.with_suffix(".key").read_bytes(), names=old.names, days=1, common_name="here",
    now=datetime.now(UTC) - timedelta(days=1) + timedelta(minutes=3),
)
with shown.open("r+b") as file:
    file.truncate()
    file.write(new)
""".replace("WORKSPACE", WORKSPACE)


def firescreen(machine: Machine, *words: str, code: int = 0) -> Any:
    """Runs Firescreen inside and returns its JSON."""
    ended = machine.run([FIRESCREEN, *words, "--json"], timeout=240)
    assert ended.returncode == code, f"{words}: {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
    return json.loads(ended.stdout)


def until(check: Callable[[], Any], what: str, *, limit: float = 150) -> Any:
    """Waits until `look` returns a true value, and returns it."""
    deadline = time.monotonic() + limit
    while not (found := check()):
        assert time.monotonic() < deadline, what
        time.sleep(0.5)
    return found


def ends(machine: Machine) -> float:
    """Returns when node_exporter's certificate expires (Unix time)."""
    shown = machine.check(
        "openssl s_client -connect localhost:9100 </dev/null 2>/dev/null | openssl x509 -noout -enddate"
    )
    stamp = shown.strip().removeprefix("notAfter=")
    return float(machine.check(["date", "-d", stamp, "+%s"]))


def niceness(machine: Machine) -> str:
    """Returns node_exporter's nice value under systemd: without Nice= it is systemd's own, i.e. that of this
    test run.
    """
    shown = machine.check(
        ["systemctl", "show", "-p", "Nice,NeedDaemonReload", "--value", "prometheus-node-exporter"]
    )
    return ",".join(shown.split())


def query(machine: Machine, expression: str) -> list[dict[str, Any]]:
    """Returns the result of a query to Prometheus."""
    curl = ["--cacert", f"{WORKSPACE}/ca/ca.crt", "--config", f"{WORKSPACE}/users/prometheus.curl"]
    asked = ["--data-urlencode", f"query={expression}", "https://localhost:9090/api/v1/query"]
    return list(json.loads(machine.check(["curl", "-sG", *curl, *asked]))["data"]["result"])


@pytest.mark.parametrize("machine", ["bookworm"], indirect=True)
def test_the_timer_renews_and_no_scrape_is_lost(machine: Machine) -> None:
    machine.push("/root/stack.yaml", STACK.encode())
    machine.check("sed -i 's/scrape_interval: .*/scrape_interval: 1s/; s/scrape_timeout: .*/scrape_timeout: 1s/' "
                  "/etc/prometheus/prometheus.yml && systemctl reload prometheus")  # fmt: skip
    assert firescreen(machine, "apply", "/root/stack.yaml", "--yes")["ok"]
    begun = float(machine.check(["date", "+%s.%N"]))

    words = ("upkeep", "install", "/root/stack.yaml", "--calendar", "*:*:0/15", "--delay", "0")
    refused = machine.run([FIRESCREEN, *words], timeout=120)
    assert refused.returncode == 2 and "--yes is missing" in refused.stderr
    assert "firescreen-" not in machine.check("ls /etc/systemd/system")
    installed = firescreen(machine, *words, "--yes")
    assert installed["state"] == "applied", installed
    assert firescreen(machine, *words, "--yes")["state"] == "nothing"
    status = firescreen(machine, "upkeep", "status", "/root/stack.yaml")
    assert status["installed"] and status["active"], status
    unit = status["unit"].removesuffix(".timer")
    machine.check(
        f"systemd-analyze verify /etc/systemd/system/{unit}.service /etc/systemd/system/{unit}.timer"
    )

    def wrote() -> bool:
        return machine.run(["test", "-s", METRICS]).returncode == 0

    try:
        until(wrote, "the timer did not fire")
    except AssertionError:
        print(machine.run(f"journalctl -u {unit}.service --no-pager | tail -40").stdout)
        raise
    assert machine.check(["stat", "-c", "%a", METRICS]).strip() == "644"
    judged = machine.run(f"promtool check metrics < {METRICS}")
    assert (judged.returncode, judged.stdout, judged.stderr) == (0, "", ""), judged
    assert firescreen(machine, "upkeep", "status", "/root/stack.yaml")["ok"], "nothing due is a success"

    rights = machine.check(f"stat -c '%a %U %G' {FOLDER}/node_exporter.crt {FOLDER}/node_exporter.key")
    assert machine.python(AGE).returncode == 0
    assert ends(machine) < time.time() + 300
    until(lambda: ends(machine) > time.time() + 300 * 86400, "the certificate was not renewed")
    assert (
        machine.check(f"stat -c '%a %U %G' {FOLDER}/node_exporter.crt {FOLDER}/node_exporter.key") == rights
    )
    span = int(float(machine.check(["date", "+%s"])) - begun)
    lowest = {row["metric"]["job"]: row["value"][1] for row in query(machine, f"min_over_time(up[{span}s])")}
    assert lowest == {"prometheus": "1", "node": "1"}
    exported = f'firescreen_certificate_not_after_seconds{{role="server"}} > {time.time() + 300 * 86400:.0f}'
    until(lambda: query(machine, exported), "node_exporter does not export the metrics", limit=60)

    # Two at once: one renews, and the other waits and finds nothing due.
    assert machine.python(AGE).returncode == 0
    both = machine.check(
        f"{FIRESCREEN} renew /root/stack.yaml --due --yes --json >/tmp/one 2>/dev/null & one=$!; "
        f"{FIRESCREEN} renew /root/stack.yaml --due --yes --json >/tmp/two 2>/dev/null; two=$?; wait $one; echo $? $two",
        timeout=240,
    )
    assert both.split() == ["0", "0"]

    removed = firescreen(machine, "upkeep", "remove", "/root/stack.yaml", "--yes")
    assert removed["state"] == "applied"
    gone = firescreen(machine, "upkeep", "status", "/root/stack.yaml", code=1)
    assert not gone["installed"] and not gone["active"]
    firescreen(machine, "undo", "--yes")
    back = firescreen(machine, "upkeep", "status", "/root/stack.yaml")
    assert back["installed"] and back["active"]
    firescreen(machine, "upkeep", "remove", "/root/stack.yaml", "--yes")
    assert machine.run(["systemctl", "is-active", f"{unit}.timer"]).returncode != 0

    # A foreign change is named.
    assert firescreen(machine, "drift", "/root/stack.yaml", "--adopt", "--yes")["differences"] == []
    assert firescreen(machine, "drift", "/root/stack.yaml")["differences"] == []
    nice = niceness(machine)
    dropin = "/etc/systemd/system/prometheus-node-exporter.service.d/local.conf"
    machine.push(dropin, b"[Service]\nNice=19\n")
    machine.check("systemctl daemon-reload")
    assert niceness(machine) != nice
    machine.check(f"chown nobody:nogroup {FOLDER}/node_exporter.key")
    machine.check("sed -i 's/^ARGS=\"/ARGS=\"--no-collector.arp /' /etc/default/prometheus-node-exporter")
    machine.check("systemctl stop prometheus-node-exporter")
    named = {
        (each["kind"], each["path"])
        for each in firescreen(machine, "drift", "/root/stack.yaml", code=3)["differences"]
    }
    assert {
        ("unit", dropin),
        ("owner", f"{FOLDER}/node_exporter.key"),
        ("file", "/etc/default/prometheus-node-exporter"),
        ("service", ""),
    } <= named, named

    # All of it is restored: the flag, the owner, the new drop-in, and the service runs again.
    restored = firescreen(machine, "drift", "/root/stack.yaml", "--restore", "--yes")
    assert restored["ok"] and restored["left"] == [], restored
    assert machine.run(["test", "-e", dropin]).returncode != 0
    assert niceness(machine) == nice, "systemd has read that the drop-in is gone"
    process = machine.check(["systemctl", "show", "-p", "MainPID", "--value", "prometheus-node-exporter"])
    assert "--no-collector.arp" not in machine.check(["cat", f"/proc/{process.strip()}/cmdline"])
    assert firescreen(machine, "drift", "/root/stack.yaml")["differences"] == []


WITH_DOOR = """\
version: 1
hosts:
  here: {connect: local}
components:
  - {host: here, name: node_exporter, protect: [tls, basic_auth]}
  - {host: here, name: prometheus, protect: []}
front_doors:
  - host: here
    proxy: nginx
    name: bookworm-host
    people: {basic_auth: [prometheus]}
    routes:
      - {path: /prometheus, to: prometheus}
"""
DOOR = "/etc/nginx/firescreen"
SHOWN = "openssl s_client -connect localhost:443 </dev/null 2>/dev/null | openssl x509 -noout -checkend 864000 || true"


@pytest.mark.parametrize("machine", ["bookworm"], indirect=True)
def test_the_hardened_service_renews_a_front_door_and_passwords(machine: Machine) -> None:
    machine.check("rm -f /etc/nginx/sites-enabled/default && systemctl enable --now nginx")
    machine.push("/root/stack.yaml", WITH_DOOR.encode())
    assert firescreen(machine, "apply", "/root/stack.yaml", "--yes")["ok"]
    words = (
        "upkeep",
        "install",
        "/root/stack.yaml",
        "--calendar",
        "2100-01-01",
        "--passwords",
        "30",
        "--yes",
    )
    assert firescreen(machine, *words)["ok"]
    unit = firescreen(machine, "upkeep", "status", "/root/stack.yaml")["unit"].removesuffix(".timer")

    for end in ("crt", "key"):
        machine.check(f"cp {DOOR}/nginx-bookworm-host.{end} /root/aged.{end}")
    assert machine.python(AGE_OF_ANOTHER).returncode == 0
    machine.check(f"cat /root/aged.crt > {DOOR}/nginx-bookworm-host.crt && systemctl reload nginx")
    password = machine.read(f"{WORKSPACE}/users/prometheus.password")
    machine.check(f"touch -d '40 days ago' {WORKSPACE}/users/prometheus.password")
    until(lambda: "will expire" in machine.check(SHOWN), "nginx does not show the old certificate", limit=20)

    # Twice: the first time certificates and passwords, the second time nothing is due.
    for said in ("Applied and verified.", "Nothing is due."):
        ended = machine.run(["systemctl", "start", f"{unit}.service"], timeout=200)
        journal = machine.check(f"journalctl -u {unit}.service --no-pager -o cat | tail -60")
        assert ended.returncode == 0, journal
        assert said in journal
    until(lambda: "will not expire" in machine.check(SHOWN), "nginx does not show the new one", limit=20)
    assert machine.read(f"{WORKSPACE}/users/prometheus.password") != password
    asked = f"curl -s -o /dev/null -w '%{{http_code}}' --cacert {WORKSPACE}/ca/ca.crt --resolve bookworm-host:443:127.0.0.1"
    url = "https://bookworm-host/prometheus/-/ready"
    assert machine.check(f"{asked} --config {WORKSPACE}/users/prometheus.curl {url}") == "200"
    old = machine.check(f"{asked} -u prometheus:{password.decode().strip()} {url}")
    assert old == "401", "the old password is gone from the front door too"
    status = firescreen(machine, "upkeep", "status", "/root/stack.yaml")
    assert status["ok"] and status["failures"] == 0

    # The stack file is moved: its timer can still be shown and removed.
    machine.check("mv /root/stack.yaml /srv && mv /root/.local/share/firescreen /srv/workspace")
    assert firescreen(machine, "upkeep", "status", "/root/stack.yaml")["installed"]
    assert firescreen(machine, "upkeep", "remove", "/root/stack.yaml", "--yes")["state"] == "applied"
    assert "firescreen" not in machine.check("ls /etc/systemd/system /etc/systemd/system/timers.target.d")
    gone = machine.run([FIRESCREEN, "upkeep", "remove", "/root/stack.yaml", "--yes"], timeout=60)
    assert gone.returncode == 2 and "cannot be read" in gone.stderr
    moved = ["--workspace", "/srv/workspace"]
    installed = machine.run(
        [FIRESCREEN, *moved, "upkeep", "install", "/srv/stack.yaml", "--yes"], timeout=120
    )
    assert installed.returncode == 0, installed.stderr
    ended = machine.run([FIRESCREEN, *moved, "renew", "/srv/stack.yaml", "--due", "--yes"], timeout=120)
    assert ended.returncode == 0 and "Nothing is due." in ended.stderr, ended.stderr


OF_TWO = """\
version: 1
hosts:
  here: {connect: local}
  far: {connect: ssh, address: ADDRESS, user: admin, become: sudo, identity_file: /root/.ssh/id}
components:
  - {host: far, name: node_exporter, protect: [tls, basic_auth]}
  - {host: here, name: prometheus, protect: [tls, basic_auth]}
"""


def test_the_timer_of_the_machine_with_the_ca_renews_a_host_over_ssh(
    fleet: Callable[..., list[Machine]],
) -> None:
    machine, far = fleet("bookworm", 2, programs=("node_exporter", "prometheus"))
    machine.check("ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id")
    public = machine.read("/root/.ssh/id.pub")
    far.check("cat >> /home/admin/.ssh/authorized_keys", stdin=public)
    key = far.read("/etc/ssh/ssh_host_ed25519_key.pub").decode()
    machine.check("cat >> /root/.ssh/known_hosts", stdin=f"{far.address} {key}")
    machine.push("/root/stack.yaml", OF_TWO.replace("ADDRESS", far.address).encode())
    machine.check("sed -i 's/scrape_interval: .*/scrape_interval: 1s/; s/scrape_timeout: .*/scrape_timeout: 1s/; "
                  f"s/localhost:9100/{far.address}:9100/' /etc/prometheus/prometheus.yml && "
                  "systemctl reload prometheus")  # fmt: skip
    assert firescreen(machine, "apply", "/root/stack.yaml", "--yes")["ok"]
    rights = far.check(f"stat -c '%a %U %G' {FOLDER}/node_exporter.crt {FOLDER}/node_exporter.key")
    begun = float(machine.check(["date", "+%s.%N"]))
    words = ("upkeep", "install", "/root/stack.yaml", "--calendar", "*:*:0/15", "--delay", "0")
    installed = firescreen(machine, *words, "--yes")
    unit = firescreen(machine, "upkeep", "status", "/root/stack.yaml")["unit"].removesuffix(".timer")
    assert installed["ok"]
    assert "firescreen" not in far.check("ls /etc/systemd/system /etc/cron.d"), "the timer is where the CA is"

    # Aged where the CA is, and installed on the host: the next run of the timer renews it over SSH.
    for end in ("crt", "key"):
        machine.push(f"/root/aged.{end}", far.read(f"{FOLDER}/node_exporter.{end}"), mode=0o600)
    assert machine.python(AGE_OF_ANOTHER).returncode == 0
    far.check(f"cat > {FOLDER}/node_exporter.crt", stdin=machine.read("/root/aged.crt"))

    def is_renewed() -> bool:
        shown = far.check(
            "openssl s_client -connect localhost:9100 </dev/null 2>/dev/null | openssl x509 -noout -checkend 864000 || true"
        )
        return "will not expire" in shown

    try:
        until(is_renewed, "the host was not renewed over SSH")
    except AssertionError:
        print(machine.run(f"journalctl -u {unit}.service --no-pager | tail -40").stdout)
        raise
    web = far.check(f"cat {FOLDER}/web.yml")
    named = [line.split(":")[1].strip() for line in web.splitlines() if "_file:" in line][:2]
    assert far.check(["stat", "-c", "%a %U %G", *named]) == rights
    span = int(float(machine.check(["date", "+%s"])) - begun)
    lowest = {row["metric"]["job"]: row["value"][1] for row in query(machine, f"min_over_time(up[{span}s])")}
    assert lowest == {"prometheus": "1", "node": "1"}
    status = until(lambda: (found := firescreen_status(machine))["ok"] and found, "the timer's run failed")
    assert status["failures"] == 0
    until(lambda: machine.run(["test", "-s", METRICS]).returncode == 0, "the metrics are not written")
    metrics = machine.read(METRICS).decode()
    assert 'host="far"' in metrics and "firescreen_unreachable_hosts{" in metrics

    # The host becomes unreachable: the run fails, and the unit and the metric report it.
    far.check("systemctl stop ssh.socket ssh || systemctl stop ssh")
    until(
        lambda: machine.run(["systemctl", "is-failed", f"{unit}.service"]).returncode == 0,
        "a host that is away is no success",
    )
    until(
        lambda: any(
            line.startswith("firescreen_unreachable_hosts{") and line.endswith(" 1")
            for line in machine.read(METRICS).decode().splitlines()
        ),
        "the metric does not say that a host is away",
    )


def firescreen_status(machine: Machine) -> Any:
    ended = machine.run([FIRESCREEN, "upkeep", "status", "/root/stack.yaml", "--json"], timeout=60)
    return json.loads(ended.stdout)


AGE_OF_ANOTHER = """
from datetime import UTC, datetime, timedelta
from pathlib import Path
from wizard.certificates import issue
old = issue.summary(Path("/root/aged.crt").read_bytes())
new = issue.issue(
    ca_cert=Path("WORKSPACE/ca/ca.crt").read_bytes(), ca_key=Path("WORKSPACE/ca/ca.key").read_bytes(),
    key_pem=Path("/root/aged.key").read_bytes(), names=old.names, days=1, common_name="far",
    now=datetime.now(UTC) - timedelta(days=1) + timedelta(minutes=3),
)
Path("/root/aged.crt").write_bytes(new)
""".replace("WORKSPACE", WORKSPACE)
