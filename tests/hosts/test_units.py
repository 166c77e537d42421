"""Unusual units on real hosts: we read what systemd starts, and a flag that was set is in effect after the start."""

from __future__ import annotations

import json

import pytest
from machines import Machine
from test_systemd_service import ask, status

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(600)]

BODIES = [
    "ExecStart=/usr/bin/node_exporter --a",
    "  ExecStart = /usr/bin/node_exporter --a  ",
    "# /usr/local/bin/node_exporter is where it was\nExecStart=/usr/bin/node_exporter --a",
    "# /etc/systemd/system/other.service\nExecStart=/usr/bin/node_exporter --a",
    "\n# /etc/systemd/system/other.service\n[Service]\nExecStart=/usr/bin/node_exporter --a",
    "; /usr/bin/x\n;ExecStart=/usr/bin/false\nExecStart=/usr/bin/node_exporter --a",
    "ExecStart=/usr/bin/node_exporter \\\n  --a \\\n  --b",
    "ExecStart=/usr/bin/node_exporter \\\n# a comment\n  --a \\\n ; another\n  --b",
    "ExecStart=/usr/bin/node_exporter \\\n# a comment that goes on \\\n  --a",
    "ExecStart=/usr/bin/node_exporter --a \\\n# the last line is a comment",
    "ExecStart=/usr/bin/node_exporter --a \\",
    "ExecStart=/usr/bin/node_exporter --a \\\n",
    "ExecStart=/usr/bin/node_exporter --a \\\n\n",
    "ExecStart=/usr/bin/node_exporter --a \\\n\nEnvironment=X=1",
    "ExecStart=/usr/bin/node_exporter --a \\ \n  --b=c",
    "ExecStart=/usr/bin/node_exporter --a \\\t\n  --b=c",
    "ExecStart=/usr/bin/node_exporter --a=b\\\\\nEnvironment=X=1",
    "ExecStart=/usr/bin/node_exporter --a=b\\\\\\\n  --c",
    "ExecStart=/usr/bin/node_exporter --a\\\n--b",
    "ExecStart=/usr/bin/node_exporter '--a=x  y' \"--b=z w\"",
    "ExecStart=/usr/bin/node_exporter --a='x y'z --b=\"\"",
    "ExecStart=/usr/bin/node_exporter --a=\\x41\\t\\101 --b=\\u00e9",
    "ExecStart=/usr/bin/node_exporter --a=^\\d+$ --b=(x|y)",
    "ExecStart=/usr/bin/node_exporter --a=50%% --b=$$HOME",
    "ExecStart=/usr/bin/node_exporter $ARGS ${OTHER} --c=${X}y",
    "ExecStart=-/usr/bin/node_exporter --a",
    "ExecStart=@/usr/bin/node_exporter shown --a",
    "ExecStart=+/usr/bin/node_exporter --a",
    "ExecStart=/usr/bin/false\nExecStart=\nExecStart=/usr/bin/node_exporter --a",
    "ExecStart=/usr/bin/node_exporter --a ; /usr/bin/true --b",
    "ExecStart=/usr/bin/node_exporter --a \\; --b",
    'ExecStart=/usr/bin/node_exporter --a ";" --b',
    "ExecStart=/usr/bin/node_exporter --a=b;c",
    "ExecStart=/usr/bin/node_exporter --a\r\nEnvironment=X=1\r",
    "ExecStart=/usr/bin/node_exporter --a=caf\u00e9\u2028b \u00a0c",
    "ExecStart=/usr/bin/node_exporter --a=x\x0by --b",
    "ExecStart=/usr/bin/node_exporter    --a\t\t--b",
    "[Install]\nExecStart=/usr/bin/false\n[Service]\nExecStart=/usr/bin/node_exporter --a",
    "Environment=X=1 \\\n  Y=2\nExecStart=/usr/bin/node_exporter ${X}",
    "ExecStart=/bin/sh -c 'exec /usr/bin/node_exporter $ARGS --a=\"b c\"'",
    'ExecStart=/bin/sh -c "exec /usr/bin/node_exporter ${ARGS}"',
    "ExecStart=/usr/bin/node_exporter --a #no-comment",
    'ExecStart=/usr/bin/node_exporter --a="x \\\n   y"',
]

COMPARE = """
import subprocess
from pathlib import Path
from dataclasses import replace
from wizard.config_files import systemd_unit
from wizard.model import FlagPlace, Service

def started(name):
    path = "/org/freedesktop/systemd1/unit/" + name.replace("-", "_2d") + "_2eservice"
    subprocess.run(["systemctl", "show", "-p", "Id", name + ".service"], check=True, capture_output=True)
    told = subprocess.run(["busctl", "-j", "get-property", "org.freedesktop.systemd1", path,
                           "org.freedesktop.systemd1.Service", "ExecStart"], capture_output=True, text=True)
    return [one[1] for one in json.loads(told.stdout)["data"]]

def read(name):
    one = Service(host="here", component="node_exporter", manager="systemd", unit=name)
    text = systemd.unit_text(here, one)
    return text, [[word.text.replace("%%", "%") for word in command.words] for command in systemd_unit.parse(text).commands]

def written(name, value):
    place = FlagPlace("dropin", "/etc/systemd/system/" + name + ".service.d/50-firescreen.conf")
    one = Service(host="here", component="node_exporter", manager="systemd", unit=name, flags=place)
    return flags.plan_flag(one, flag="web.config.file", value=value, current=None, unit_text=read(name)[0])

bodies = json.loads(Path("/root/bodies").read_text())
for number, body in enumerate(bodies):
    Path(f"/etc/systemd/system/odd{number}.service").write_bytes(("[Unit]\\n[Service]\\n" + body).encode())
systemd.daemon_reload(here)
answer = []
for number, body in enumerate(bodies):
    name = f"odd{number}"
    before, ours = started(name), read(name)[1]
    folder = Path(f"/etc/systemd/system/{name}.service.d")
    try:
        state = written(name, "/etc/a b/web.yml")
    except FirescreenError as problem:
        answer.append([body, before, ours, None])
        continue
    folder.mkdir()
    (folder / "50-firescreen.conf").write_bytes(state.content)
    answer.append([body, before, ours, name])
systemd.daemon_reload(here)
for row in answer:
    row[3] = started(row[3]) if row[3] else None
"""


def test_a_unit_is_read_as_systemd_reads_it(machine: Machine) -> None:
    machine.push("/root/bodies", json.dumps(BODIES).encode())
    answer = ask(machine, COMPARE)
    assert len(answer) == len(BODIES) > 40
    wrong = []
    refused = []
    for body, before, ours, after in answer:
        # After '@', the first word is the name that the program gets as argv[0].
        if [argv[1:] for argv in before] != ours:
            wrong.append((body, before, ours))
        elif after is None:
            refused.append(body)
        elif after != [[*before[0], "--web.config.file=/etc/a b/web.yml"]]:
            wrong.append((body, before, after))
    assert not wrong, json.dumps(wrong, indent=1)
    assert all(" ; " in body or "/bin/sh" in body for body in refused), refused
    assert len(refused) == 3


LATE = """
import subprocess
from pathlib import Path
name = "prometheus-node-exporter"
Path("/etc/systemd/system/" + name + ".service").write_text(
    "[Unit]\\nStartLimitIntervalSec=0\\n# /usr/local/bin/prometheus-node-exporter\\n[Service]\\nUser=prometheus\\n"
    "ExecStart=/usr/bin/prometheus-node-exporter --log.level=debug\\n")
put("/etc/node_exporter.yml", "{}\\n")
answer = []
for late in PLACES:
    path = Path(late)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("[Service]\\nExecStart=\\n"
                    "ExecStart=/usr/bin/prometheus-node-exporter --log.level=info --collector.disable-defaults\\n")
    systemd.daemon_reload(here)
    subprocess.run(["systemctl", "restart", name], check=True)
    one = service("node_exporter")
    set_flag(one, "/etc/node_exporter.yml")
    systemd.check_start(here, one)
    systemd.restart(here, one)
    again = service("node_exporter")
    answer.append([late, one.flags.path, list(again.arguments), again.flags.path,
                   list(set_flag(again, "/etc/node_exporter.yml"))])
    path.unlink()
    here.remove(one.flags.path)
"""


def test_a_later_drop_in_of_the_user_does_not_override_ours(machine: Machine) -> None:
    unit = "prometheus-node-exporter.service"
    places = [
        f"/etc/systemd/system/{unit}.d/override.conf",
        f"/etc/systemd/system/{unit}.d/zz-late.conf",
        f"/etc/systemd/system/{unit}.d/zzz-local.conf",
        f"/run/systemd/system/{unit}.d/zzz-local.conf",
        f"/usr/lib/systemd/system/{unit}.d/~last.conf",
        "/etc/systemd/system/service.d/zzzz.conf",
        "/etc/systemd/system/prometheus-.service.d/zz-top.conf",
        "/run/systemd/system/prometheus-node-.service.d/\u00fcber.conf",
    ]
    answer = ask(machine, f"PLACES = {places!r}\n{LATE}")
    assert len(answer) == len(places)
    for late, place, arguments, again, typed in answer:
        assert place.rpartition("/")[2] > late.rpartition("/")[2]
        assert arguments == [
            "--log.level=info",
            "--collector.disable-defaults",
            "--web.config.file=/etc/node_exporter.yml",
        ], late
        assert again == place
        assert typed == [], "twice changes nothing"


def test_a_flag_with_which_systemd_would_not_start_is_detected_before_the_restart(machine: Machine) -> None:
    answer = ask(
        machine,
        """
import subprocess
from pathlib import Path
Path("/etc/systemd/system/prometheus-node-exporter.service").write_text(
    "[Service]\\nUser=prometheus\\nExecStart=/usr/bin/prometheus-node-exporter\\n")
put("/etc/node_exporter.yml", "{}\\n")
systemd.daemon_reload(here)
subprocess.run(["systemctl", "restart", "prometheus-node-exporter"], check=True)
one = service("node_exporter")
set_flag(one, "/etc/node_exporter.yml")
# In the meantime somebody else writes one that comes later.
late = Path(one.flags.path).parent / "zzz.conf"
late.write_text("[Service]\\nExecStart=\\nExecStart=/usr/bin/prometheus-node-exporter --log.level=info\\n")
from wizard.engine import service_control
told = failure(lambda: service_control.restart(here, one))
kept = service("node_exporter").pid == one.pid
late.unlink()
after = failure(lambda: service_control.restart(here, one))
here.remove(one.flags.path)
undone = failure(lambda: service_control.restart(here, one))
answer = [told, kept, after, undone, list(service("node_exporter").arguments)]
""",
    )
    told, kept, after, undone, arguments = answer
    assert told["kind"] == "ServiceError"
    assert "zzz.conf" in told["what"] + told["where"] + told["todo"], told
    assert kept, "nothing was restarted"
    assert (after, undone, arguments) == (None, None, [])


SHELL = """
import subprocess
from pathlib import Path
put("/etc/node_exporter.yml", "{}\\n")
subprocess.run(["systemctl", "disable", "--now", "prometheus-node-exporter"], check=True, capture_output=True)
answer = []
for script in SCRIPTS:
    for held in ('ARGS=""\\n', "", 'ARGS="--log.level=debug --collector.textfile.directory=/srv"\\n'):
        put("/etc/default/node_exporter", held, mode=0o644)
        Path("/etc/systemd/system/node_exporter.service").write_text(
            "[Unit]\\nStartLimitIntervalSec=0\\n[Service]\\nUser=prometheus\\nEnvironmentFile=/etc/default/node_exporter\\nExecStart=" + script + "\\n")
        systemd.daemon_reload(here)
        subprocess.run(["systemctl", "restart", "node_exporter"], check=True)
        one = next(o for o in discovery.discover(here) if o.unit == "node_exporter")
        set_flag(one, "/etc/node_exporter.yml")
        systemd.restart(here, one)
        again = next(o for o in discovery.discover(here) if o.unit == "node_exporter")
        answer.append([script, held, one.flags.kind, list(one.arguments), list(again.arguments)])
"""


def test_a_flag_reaches_a_program_that_a_shell_starts(machine: Machine) -> None:
    program = "/usr/bin/prometheus-node-exporter"
    scripts = [
        f"/bin/sh -c 'exec {program} ${{ARGS}}'",
        f"/bin/sh -c 'exec {program} $ARGS'",
        f"/bin/sh -c 'exec {program} $$ARGS'",
        f"/bin/bash -c 'exec {program} $${{ARGS}} >> /dev/null 2>&1'",
    ]
    answer = ask(machine, f"SCRIPTS = {scripts!r}\n{SHELL}")
    assert len(answer) == 12
    for script, held, kind, before, after in answer:
        assert kind == "envfile", script
        assert after == [*before, "--web.config.file=/etc/node_exporter.yml"], (script, held)
    assert status(machine) == "200"
