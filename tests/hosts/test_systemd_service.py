"""Services of real systemd hosts: found, given a flag, restarted, and detected when they do not start.

The tested code runs inside the host, as Firescreen does in 'this host' mode.
"""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest
from machines import Machine

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(600)]

PRELUDE = """
import json
from wizard.errors import FirescreenError, HostError, ServiceError
from wizard.connections.host_names import host_names
from wizard.connections.local import LocalConnection
from wizard.connections.sudo import open_local
from wizard.model import FileState
from wizard.service_managers import discovery, flags, systemd_discovery as systemd
here = LocalConnection("here")

def service(component):
    return next(one for one in discovery.discover(here) if one.component == component)

def put(path, text, mode=0o640, group="prometheus"):
    here.commit(here.stage(path, FileState(text.encode(), mode, "root", group), tag="t"), path)

def set_flag(one, value):
    before = here.read(one.flags.path)
    after = flags.plan_flag(one, flag="web.config.file", value=value, current=before,
                            unit_text=systemd.unit_text(here, one))
    typed = flags.shell_commands(one, wanted={"web.config.file": value}, current=before,
                              unit_text=systemd.unit_text(here, one))
    if here.stat(one.flags.path.rpartition("/")[0]) is None:
        here.make_folder(one.flags.path.rpartition("/")[0], mode=0o755, owner="root", group="root")
    here.commit(here.stage(one.flags.path, after, tag="t"), one.flags.path)
    if flags.needs_daemon_reload(one):
        systemd.daemon_reload(here)
    return typed

def failure(deed):
    try:
        deed()
    except FirescreenError as problem:
        return {"kind": type(problem).__name__, "what": problem.what, "where": problem.where,
                "todo": problem.todo, "log": list(getattr(problem, "log", ()))}
    return None
"""


def ask(machine: Machine, code: str, *, user: str = "root") -> Any:
    """Runs code inside the host, and returns the value of its `answer`."""
    text = f"{PRELUDE}\n{code}\nprint('ANSWER' + json.dumps(answer))\n"
    if user == "root":
        ended = machine.python(text, timeout=120)
    else:
        ended = machine.run(["/opt/firescreen/bin/python", "-"], stdin=text, timeout=120, user=user)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return json.loads(ended.stdout.rpartition("ANSWER")[2])


def status(machine: Machine, port: int = 9100) -> str:
    return machine.run(
        ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", f"http://127.0.0.1:{port}/metrics"]
    ).stdout


FOUND = """
answer = [
    [one.component, one.unit, one.version, one.listen, one.user, one.group, one.active, one.flags.kind,
     one.flags.path, one.flags.variable, one.home, one.config_file, list(one.hidden), one.manager, list(one.arguments)]
    for one in discovery.discover(here)
]
"""


def test_both_units_are_found_as_debian_sets_them_up(machine: Machine) -> None:
    machine.push("/etc/default/prometheus", b'ARGS="--log.level=debug"\n')
    machine.check("systemctl restart prometheus")
    found = ask(machine, FOUND)
    versions = {
        name: machine.check(f"dpkg-query -W -f '${{Version}}' {name}").split("-")[0].split("+")[0]
        for name in ("prometheus", "prometheus-node-exporter")
    }
    node, prometheus = found
    assert node[2].split("+")[0] == versions["prometheus-node-exporter"]
    assert prometheus[2].split("+")[0] == versions["prometheus"]
    both = ["prometheus", "prometheus", True, "envfile"]
    assert node[:2] + node[3:12] == [
        *("node_exporter", "prometheus-node-exporter", "127.0.0.1:9100", *both),
        *("/etc/default/prometheus-node-exporter", "ARGS", "/etc/node_exporter", ""),
    ]
    assert prometheus[:2] + prometheus[3:12] == [
        *("prometheus", "prometheus", "127.0.0.1:9090", *both),
        *("/etc/default/prometheus", "ARGS", "/etc/prometheus", "/etc/prometheus/prometheus.yml"),
    ]
    assert {"/home", "/root", "/tmp"} <= set(prometheus[12])
    assert prometheus[14] == ["--log.level=debug"]
    # An unprivileged user gets the same result.
    assert ask(machine, FOUND, user="guest") == found
    # The result is the same while the services do not run.
    machine.check("systemctl stop prometheus prometheus-node-exporter")
    assert [one[:6] + one[7:] for one in ask(machine, FOUND)] == [one[:6] + one[7:] for one in found]


def test_a_flag_is_set_and_in_effect_after_the_restart(machine: Machine) -> None:
    path = "/etc/default/prometheus-node-exporter"
    before = machine.read(path)
    assert status(machine) == "200"
    typed = ask(
        machine,
        """
import bcrypt
here.make_folder("/etc/node_exporter", mode=0o750, owner="root", group="prometheus")
put("/etc/node_exporter/web.yml", "basic_auth_users:\\n  me: " + bcrypt.hashpw(b"x", bcrypt.gensalt(4)).decode())
one = service("node_exporter")
answer = list(set_flag(one, "/etc/node_exporter/web.yml"))
systemd.restart(here, one)
assert systemd.is_active(here, one)
assert service("node_exporter").web_config == "/etc/node_exporter/web.yml"
""",
    )
    assert status(machine) == "401"
    after = machine.read(path)
    # The same by hand, from the same beginning.
    machine.push(path, before)
    for _ in range(2):
        machine.check("\n".join(typed))
        assert machine.read(path) == after


def test_the_error_for_a_rejected_web_config_quotes_the_program(machine: Machine) -> None:
    answer = ask(
        machine,
        """
one = service("node_exporter")
path = one.flags.path
before = here.read(path)
here.make_folder("/etc/node_exporter", mode=0o750, owner="root", group="prometheus")
put("/etc/node_exporter/web.yml", "no_such_field: 1\\n")
set_flag(one, "/etc/node_exporter/web.yml")
rejected = [failure(lambda: systemd.restart(here, one)) for _ in range(3)]
here.commit(here.stage(path, before, tag="t"), path)
systemd.restart(here, one)
put("/etc/node_exporter/web.yml", "{}\\n", group="root", mode=0o600)
set_flag(one, "/etc/node_exporter/web.yml")
unreadable = failure(lambda: systemd.restart(here, one))
here.commit(here.stage(path, before, tag="t"), path)
systemd.restart(here, one)
answer = [*rejected, unreadable]
""",
    )
    assert [one["kind"] for one in answer] == ["ServiceError"] * 4
    for one in answer[:3]:
        assert "no_such_field" in one["what"], one
        assert any("no_such_field" in line for line in one["log"])
    assert "permission denied" in answer[3]["what"], answer[3]
    assert status(machine) == "200"


def test_a_port_in_use_is_detected(machine: Machine) -> None:
    machine.check("systemctl stop prometheus-node-exporter")
    machine.check(["systemd-run", "--unit=thief", "/usr/bin/python3", "-m", "http.server", "9100"])
    machine.check("until curl -s -o /dev/null http://127.0.0.1:9100/; do :; done", timeout=30)
    answer = ask(
        machine, 'answer = failure(lambda: systemd.restart(here, service("node_exporter"), timeout=10))'
    )
    assert answer["kind"] == "ServiceError"
    assert "address already in use" in answer["what"], answer


def test_a_unit_that_keeps_restarting_does_not_count_as_running(machine: Machine) -> None:
    hostile = "\\033]52;c;aGk=\\a\\033[31m $2y$10$abcdefghijklmnopqrstuvABCDEFGHIJKLMNOPQRSTUV0123456789abcde"
    script = (
        '#!/bin/sh\n[ "$1" != --version ] || exit\n'
        f"printf '{hostile}\\n'; head -c 100000 /dev/zero | tr '\\0' x; echo; sleep 0.3; exit 1\n"
    )
    machine.push("/opt/flap/node_exporter", script.encode(), mode=0o755)
    machine.push(
        "/etc/systemd/system/node_exporter.service",
        b"[Service]\nExecStart=/opt/flap/node_exporter --web.listen-address=:9999\nRestart=always\nRestartSec=0\n"
        b"StartLimitIntervalSec=0\n",
    )
    machine.check("systemctl daemon-reload")
    answer = ask(
        machine,
        'one = next(o for o in discovery.discover(here) if o.unit == "node_exporter")\n'
        "answer = failure(lambda: systemd.restart(here, one, timeout=60))",
    )
    assert answer["kind"] == "ServiceError"
    assert "did not open in time" not in answer["what"], answer
    shown = "\n".join([answer["what"], *answer["log"]])
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert "abcdefghijklmnopqrstuv" not in shown
    assert len(shown) < 20_000
    machine.check("systemctl stop node_exporter")


def test_a_unit_without_a_variable_gets_a_drop_in(machine: Machine) -> None:
    machine.check("systemctl disable --now prometheus-node-exporter")
    machine.push(
        "/etc/systemd/system/node_exporter.service",
        b"[Service]\nUser=prometheus\nProtectHome=yes\n"
        b"ExecStart=/usr/bin/prometheus-node-exporter --log.level=debug \\\n"
        b'   --collector.textfile.directory="/a b%%c" $EXTRA\n',
    )
    machine.push(
        "/etc/systemd/system/node_exporter.service.d/override.conf",
        b'[Service]\nEnvironment="EXTRA=--no-collector.zfs --no-collector.wifi"\n',
    )
    machine.check("systemctl daemon-reload && systemctl start node_exporter")
    folder = '/etc/node exporter "50%" $HOME'
    answer = ask(
        machine,
        f"""
import subprocess
folder = {folder!r}
here.make_folder(folder, mode=0o755, owner="root", group="root")
put(folder + "/web.yml", "basic_auth_users: {{me: $2y$04$FZ3Vd9m7Qb2i0cB0Sw0ZkuYfPQ8m6z6ZJ0d3oQ9m1Pz3cG0JmQ3vS}}")
one = next(o for o in discovery.discover(here) if o.unit == "node_exporter")
assert one.flags.kind == "dropin", one.flags
typed = list(set_flag(one, folder + "/web.yml"))
content = here.read(one.flags.path).content
systemd.restart(here, one)
again = next(o for o in discovery.discover(here) if o.unit == "node_exporter")
assert set_flag(again, folder + "/web.yml") == (), "twice changes nothing"
here.remove(one.flags.path)
here.remove_folder(one.flags.path.rpartition("/")[0])
subprocess.run(["sh", "-euc", "\\n".join(typed)], check=True)
assert here.read(one.flags.path).content == content
answer = [one.flags.path, list(one.hidden), list(again.arguments), again.user]
""",
    )
    assert answer[0] == "/etc/systemd/system/node_exporter.service.d/50-firescreen.conf"
    assert answer[1] == ["/home", "/root", "/run/user"]
    assert answer[2] == [
        "--log.level=debug",
        "--collector.textfile.directory=/a b%c",
        "--no-collector.zfs",
        "--no-collector.wifi",
        f"--web.config.file={folder}/web.yml",
    ]
    assert status(machine) == "401"


def test_environment_files_are_read_as_this_systemd_reads_them(machine: Machine) -> None:
    texts = [
        'ARGS="--a --b=c"',
        "ARGS='--a  --b=c'",
        "ARGS=--a --b=c   ",
        'ARGS="--a \\\n --b"',
        "ARGS=--a \\\n --b",
        'ARGS="--a" "--b"',
        "ARGS='--a=\"x y\" --b'",
        'ARGS="--a=\'x y\' --b=\\"q\\""',
        'ARGS="--f="/opt/x.yml"   --log.level=info"',
        '  ARGS = "--a" \n#ARGS=--no',
        "ARGS=--a=\\\\d \\x",
        "ARGS='--a=\\d'",
        'ARGS="--a=^(x|y)$ --b=`z`"',
        'ARGS="--a\n--b"',
        "ARGS=--one\nARGS=--two",
    ]
    answer = ask(
        machine,
        f"""
from wizard.config_files import env_file
import subprocess
put("/etc/systemd/system/show.service", "[Service]\\nType=oneshot\\nEnvironmentFile=/etc/show\\n"
    "ExecStart=/usr/bin/python3 /opt/show.py $ARGS\\n", mode=0o644)
put("/opt/show.py", "import sys, json; json.dump(sys.argv[1:], open('/run/show', 'w'))", mode=0o644)
systemd.daemon_reload(here)
answer = []
for text in {texts!r}:
    put("/etc/show", text + "\\n", mode=0o644)
    subprocess.run(["systemctl", "restart", "show"], check=True)
    answer.append([text, json.loads(here.read("/run/show").content), env_file.get(text + "\\n", "ARGS")])
""",
    )
    assert [(text, real) for text, real, _ in answer] == [(text, ours) for text, _, ours in answer]


def test_a_reload_reports_whether_the_configuration_was_loaded(machine: Machine) -> None:
    answer = ask(
        machine,
        """
one = service("prometheus")
good = here.read(one.config_file)
first = failure(lambda: systemd.reload(here, one))
put(one.config_file, "scrape_configs: [{no_such: 1}]\\n", mode=0o644)
refused = failure(lambda: systemd.reload(here, one))
here.commit(here.stage(one.config_file, good, tag="t"), one.config_file)
again = failure(lambda: systemd.reload(here, one))
# A unit that does not say how it is reloaded.
here.make_folder("/etc/systemd/system/prometheus.service.d", mode=0o755, owner="root", group="root")
put("/etc/systemd/system/prometheus.service.d/x.conf", "[Service]\\nExecReload=\\n", mode=0o644)
systemd.daemon_reload(here)
put(one.config_file, "no_such: 1\\n", mode=0o644)
bare = failure(lambda: systemd.reload(here, one))
answer = [first, refused, again, systemd.is_active(here, one), bare]
""",
    )
    assert "no_such" in " ".join([answer[4]["what"], *answer[4]["log"]])
    assert answer[0] is None
    assert answer[1]["kind"] == "ServiceError"
    assert "no_such" in " ".join([answer[1]["what"], *answer[1]["log"]])
    assert answer[2:4] == [None, True]


SUDO = """
here = open_local("here", become="sudo")
here.make_folder("/etc/node_exporter", mode=0o750, owner="root", group="prometheus")
here.make_folder("/etc/node_exporter", mode=0o700, owner="root", group="root")
path = "/etc/node_exporter/k $x'y.key"
staged = here.stage(path, FileState(b"first", 0o640, "root", "prometheus"), tag="t")
staged = here.stage(path, FileState(b"secret \\xff", 0o640, "root", "prometheus"), tag="t")
gone = here.read(path)
here.commit(staged, path)
state, info = here.read(path), here.stat("/etc/node_exporter")
link = "/etc/node_exporter/link"
assert here.run(["ln", "-s", path, link]).code == 0
here.commit(here.stage(link, FileState(b"new", 0o600, "root", "root"), tag="t"), link)
linked = here.read(path)
faults = [failure(deed) for deed in (
    lambda: here.stage("/etc/missing/x", FileState(b""), tag="t"),
    lambda: here.stage("/etc/x", FileState(b"", 0o600, "no-such-user", "root"), tag="t"),
    lambda: here.commit(here.stage("/etc/default", FileState(b""), tag="t"), "/etc/default"),
    lambda: here.read("/etc"),
    lambda: here.run(["sleep", "60"], timeout=0.3),
    lambda: here.stage("/small/x", FileState(b"x" * 100_000), tag="t"),
)]
kept = here.remove_folder("/etc/node_exporter")
names = here.names("/etc/node_exporter")
systemd.restart(here, service("node_exporter"))
systemd.reload(here, service("prometheus"))
here.remove(path)
here.remove(path)
here.run(["rm", link])
answer = [gone is None, [state.content.decode("latin-1"), oct(state.mode), state.owner, state.group],
          [info.kind, oct(info.mode), info.owner, info.group], linked.content.decode(), names, kept,
          here.remove_folder("/etc/node_exporter"), here.stat("/etc/node_exporter") is None,
          here.names("/small"), here.run(["id", "-un"]).stdout, [one and one["what"] for one in faults]]
"""


def test_everything_works_with_sudo_and_is_refused_without(machine: Machine) -> None:
    machine.check("mkdir /small && mount -t tmpfs -o size=16k tmpfs /small")
    answer = ask(machine, SUDO, user="admin")
    assert answer[:4] == [
        True,
        ["secret \xff", "0o640", "root", "prometheus"],
        ["folder", "0o750", "root", "prometheus"],
        "new",
    ]
    assert answer[4:10] == [["k $x'y.key", "link"], False, True, True, [], "root\n"]
    for said, part in zip(
        answer[10],
        ("folder is not there", "no user", "folder stands where", "not a regular", "in time", "disk is full"),
        strict=True,
    ):
        assert part in said
    refused = ask(
        machine,
        """
asking = open_local("here", become="sudo")
answer = [failure(lambda: asking.run(["true"])),
          failure(lambda: here.stage("/home/guest/x", FileState(b"", 0o640, "root", "root"), tag="t")),
          failure(lambda: here.stage("/etc/x", FileState(b"", 0o640, "guest", "guest"), tag="t")),
          failure(lambda: systemd.restart(here, service("node_exporter"))),
          here.names("/home/guest")]
""",
        user="guest",
    )
    assert all(one["kind"] == "HostError" and one["todo"] for one in refused[:4]), refused
    assert "sudo" in refused[0]["what"]
    assert "only root can give" in refused[1]["what"]
    assert "permission denied" in refused[2]["what"]
    assert not [name for name in refused[4] if "firescreen" in name]


def test_sudo_with_a_password_works_after_it_was_typed_in_this_terminal(machine: Machine) -> None:
    machine.check("useradd -m typist && echo typist:secret | chpasswd")
    machine.push("/etc/sudoers.d/typist", b"typist ALL=(ALL) ALL\n", mode=0o440)
    snippet = f"""{PRELUDE}
sudo = open_local("here", become="sudo")
print(failure(lambda: print("RAN", sudo.run(["id", "-un"]).stdout.strip(), sudo.read("/etc/shadow").owner)))
"""
    machine.push("/opt/ask.py", snippet.encode())
    # A terminal of its own, as a user has it; the program's output comes back through it.
    terminal = """
import os, pty, sys
pid, fd = pty.fork()
if pid == 0:
    os.execvp("runuser", ["runuser", "-u", "typist", "--", "sh", "-c", sys.argv[1]])
said = b""
try:
    while piece := os.read(fd, 4096):
        said += piece
except OSError:
    pass
print(said.decode())
"""
    machine.push("/opt/terminal.py", terminal.encode())
    run = "/opt/firescreen/bin/python /opt/ask.py"
    before = machine.check(["python3", "/opt/terminal.py", run])
    assert "asks for a password" in before, before
    assert "RAN" not in before
    after = machine.check(["python3", "/opt/terminal.py", f"echo secret | sudo -S -v; {run}"])
    assert "RAN root root" in after, after


def test_the_host_is_reached_over_ssh_by_its_name(machine: Machine) -> None:
    assert machine.ssh("id -un; hostname").stdout == f"root\n{machine.name}\n"
    assert machine.ssh("sudo -n id -un", user="admin").stdout == "root\n"
    names = ask(machine, "answer = host_names()")
    assert {machine.name, machine.address, "localhost", "127.0.0.1"} <= set(names)
    assert shlex.join(names).isprintable()
