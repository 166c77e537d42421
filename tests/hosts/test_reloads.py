"""Reloads on real hosts: units that reload by an http request, and other configuration with a component's address."""

from __future__ import annotations

import time

import pytest
from machines import FIRESCREEN, STACK, Machine
from test_systemd_service import ask
from test_this_host import files, firescreen

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(900)]

UNIT = """\
[Service]
ExecReload=
ExecReload=/usr/bin/curl -s -X POST http://localhost:9090/-/reload
"""
CALLERS = {
    "/etc/cron.d/watch": "# curl http://localhost:9100/metrics\n\n* * * * * root curl -sf http://localhost:9100/metrics || true\n",
    "/etc/cron.hourly/health": "#!/bin/sh\ncurl -sf 127.0.0.1:9090/-/healthy\n",
    "/usr/local/bin/watchdog": '#!/bin/sh\nHOST=localhost\nwget -q "http://$HOST:9100/metrics"\n',
    "/etc/systemd/system/watchdog.service": "[Service]\nType=oneshot\nExecStart=/usr/local/bin/watchdog\n"
    "ExecStartPost=/usr/bin/curl http://localhost:9090/api/v1/query?query=up\n",
    "/etc/systemd/system/watchdog.timer": "[Timer]\nOnCalendar=daily\n",
    "/etc/cron.d/quiet": "* * * * * root curl -s https://localhost:9100/ ; curl -s http://elsewhere.example:9100/\n",
}


def reload_count(machine: Machine) -> int:
    return machine.check("journalctl -u prometheus -o cat").count("Completed loading of configuration file")


def test_a_reload_command_over_http_is_corrected_and_restored(machine: Machine) -> None:
    folder = "/etc/systemd/system/prometheus.service.d"
    machine.push(f"{folder}/reload.conf", UNIT.encode())
    machine.push("/etc/default/prometheus", b'ARGS="--web.enable-lifecycle"\n')
    for path, text in CALLERS.items():
        machine.push(path, text.encode(), mode=0o755 if text.startswith("#!") else 0o644)
    machine.check("systemctl daemon-reload && systemctl restart prometheus")
    machine.push("/root/stack.yaml", STACK.encode())
    machine.run([FIRESCREEN, "recover", "--yes"])
    before = files(machine)
    planned = firescreen(machine, "plan", "/root/stack.yaml", "--json", code=3)
    warnings = [row["what"] for row in planned["warnings"] if row["id"] == "asked-by-http"]
    for place in (
        "/etc/cron.d/watch:3",
        "/etc/cron.hourly/health:2",
        "/usr/local/bin/watchdog:3",
        "/etc/systemd/system/watchdog.service:4",
    ):
        assert [what for what in warnings if place in what], (place, warnings)
    assert len(warnings) == 4, warnings
    mended = f"{folder}/zz-firescreen-reload.conf"
    assert [change for change in planned["changes"] if change["path"] == mended]

    assert firescreen(machine, "apply", "/root/stack.yaml", "--yes", "--json")["state"] == "proven"
    assert machine.read(mended).decode().splitlines()[1:] == [
        "ExecReload=",
        "ExecReload=/bin/kill -HUP $MAINPID",
    ]
    count = reload_count(machine)
    machine.check("systemctl reload prometheus")
    deadline = time.monotonic() + 20
    while reload_count(machine) == count:
        assert time.monotonic() < deadline, "systemctl reload reloads nothing"
    # The next run reloads too: a job is added, and Prometheus itself has TLS and a password by now.
    machine.check("systemctl stop prometheus-node-exporter && systemctl start prometheus-node-exporter")
    firescreen(machine, "plan", "/root/stack.yaml", "--json", code=0)
    firescreen(machine, "undo", "--yes", "--json")
    assert files(machine) == before
    shown = machine.check("systemctl show -p ExecReload,NeedDaemonReload prometheus")
    assert "curl" in shown
    assert "NeedDaemonReload=no" in shown


RELOADED = """
from wizard.engine import runtime_info, service_control
import subprocess, time
from pathlib import Path

def variant(execreload, args):
    Path("/etc/systemd/system/prometheus.service.d").mkdir(exist_ok=True)
    Path("/etc/systemd/system/prometheus.service.d/x.conf").write_text(
        "[Service]\\nExecReload=\\nExecReload=" + execreload + "\\n")
    Path("/etc/default/prometheus").write_text('ARGS="' + args + '"\\n')
    subprocess.run("systemctl daemon-reload; systemctl restart prometheus; "
                   "until curl -sf http://localhost:9090/-/ready; do sleep 0.1; done", shell=True, check=True,
                   capture_output=True, timeout=60)
    one = service("prometheus")
    moment = runtime_info.reload_reader(one)().moment
    begun = time.monotonic()
    told = failure(lambda: service_control.reload(here, one))
    return [told, runtime_info.reload_reader(one)().moment != moment, time.monotonic() - begun]

answer = {
    "curl where lifecycle is off": variant("/usr/bin/curl -s -X POST http://localhost:9090/-/reload", ""),
    "true": variant("/bin/true", ""),
    "true, and its log is silent": variant("/bin/true", "--log.level=error"),
    "silent log": variant("/bin/kill -HUP $MAINPID", "--log.level=warn"),
}
config = Path("/etc/prometheus/prometheus.yml")
text = config.read_text()
config.write_text("nothing: here\\n")
one = service("prometheus")
answer["refused, and its log holds no more than warnings"] = [failure(lambda: service_control.reload(here, one)), True, 0]
config.write_text(text)
# A program that does not listen to the signal: its log would say so.
Path("/etc/default/prometheus").write_text('ARGS=""\\n')
subprocess.run("systemctl restart prometheus; until curl -sf http://localhost:9090/-/ready; do sleep 0.1; done",
               shell=True, check=True, capture_output=True, timeout=60)
one = service("prometheus")
subprocess.run(["kill", "-STOP", str(one.pid)], check=True)
from wizard.service_managers import reloads
begun = time.monotonic()
answer["deaf"] = [failure(lambda: reloads.reload(here, one, timeout=3)), False, time.monotonic() - begun]
subprocess.run(["kill", "-CONT", str(one.pid)], check=True)
"""


def test_a_reload_succeeds_when_prometheus_reports_it(machine: Machine) -> None:
    answer = ask(machine, RELOADED)
    for name in ("curl where lifecycle is off", "true", "true, and its log is silent", "silent log"):
        told, happened, _ = answer[name]
        assert told is None, (name, told)
        assert happened, name
    assert answer["curl where lifecycle is off"][2] < 10
    refused = answer["refused, and its log holds no more than warnings"][0]
    assert refused["kind"] == "ServiceError"
    assert "keeps its old configuration" in refused["what"]
    deaf = answer["deaf"]
    assert deaf[0]["kind"] == "ServiceError"
    assert "has not" in deaf[0]["what"]
    assert deaf[2] < 20


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("/bin/sh -c 'until curl -sf http://localhost:9090/-/ready; do sleep 0.1; done'", 2),
        ("/usr/bin/curl -sf --retry 9 --retry-connrefused http://127.0.0.1:9090/-/ready", 2),
        ("-/usr/bin/curl -sf --retry 9 --retry-connrefused http://localhost:9090/-/ready", 3),
    ],
)
def test_a_command_with_which_the_unit_would_not_start_is_refused(
    machine: Machine, command: str, code: int
) -> None:
    path = "/etc/systemd/system/prometheus.service.d/post.conf"
    machine.push(path, f"[Service]\nExecStartPost={command}\n".encode())
    machine.check("systemctl daemon-reload && systemctl restart prometheus")
    machine.push("/root/stack.yaml", STACK.encode())
    machine.run([FIRESCREEN, "recover", "--yes"])
    before = files(machine)
    ended = machine.run([FIRESCREEN, "plan", "/root/stack.yaml"], timeout=240)
    assert ended.returncode == code, ended.stdout + ended.stderr
    assert f"{path}:2" in ended.stderr
    assert files(machine) == before
    if code == 3:
        assert firescreen(machine, "apply", "/root/stack.yaml", "--yes", "--json")["state"] == "proven"


def test_a_prometheus_that_is_down_does_not_stop_an_undo(machine: Machine) -> None:
    machine.push("/root/stack.yaml", STACK.encode())
    machine.run([FIRESCREEN, "recover", "--yes"])
    before = files(machine)
    machine.check("systemctl stop prometheus")
    ended = machine.run([FIRESCREEN, "apply", "/root/stack.yaml", "--yes"], timeout=300)
    assert ended.returncode != 0
    assert "Not everything could be rolled back" not in ended.stderr
    assert files(machine) == before
