"""The supervisor of a process, recognised by its parents, and the manual commands for each kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import pytest

from wizard.connections.base import Connection
from wizard.model import Completed, FileState, Supervision
from wizard.service_managers import manual, other_supervisors
from wizard.service_managers.discovery import _bare
from wizard.service_managers.process_list import Parent, Process

CONF = """\
[supervisord]
nodaemon=true
[include]
files = conf.d/*.conf
"""
NODE = """\
[program:node]
command=/usr/bin/node_exporter --web.listen-address=:9100
[program:other]
command=/usr/bin/shop
"""


class Host:
    """A host of which only some files and command outputs are known."""

    name = "h"

    def __init__(self, files: Mapping[str, str], said: Mapping[str, str]) -> None:
        self.files, self.said = files, said

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = 30.0) -> Completed:
        told = self.said.get(" ".join(argv), self.said.get(argv[0], ""))
        return Completed(tuple(argv), 0 if told else 1, told, "")

    def read(self, path: str) -> FileState | None:
        return FileState(self.files[path].encode()) if path in self.files else None

    run_script = Connection.run_script

    def stat(self, path: str) -> object:
        return path if path in self.files else None

    def names(self, folder: str) -> tuple[str, ...]:
        return tuple(path.rpartition("/")[2] for path in self.files if path.rpartition("/")[0] == folder)


def process(*parents: Parent, unit: str = "") -> Process:
    return Process(
        77,
        "node_exporter",
        "/usr/bin/node_exporter",
        ("--web.listen-address=:9100",),
        "prometheus",
        "prometheus",
        unit,
        parents=parents,
    )


def found(host: Host, one: Process) -> Supervision | None:
    return other_supervisors.find(cast("Connection", host), one)


SUPERVISORD = Parent(
    5, ("/usr/bin/python3", "/usr/bin/supervisord", "-n", "-c", "/etc/supervisor/supervisord.conf")
)
FILES = {"/etc/supervisor/supervisord.conf": CONF, "/etc/supervisor/conf.d/node.conf": NODE}


@pytest.mark.parametrize(
    ("status", "name", "update"),
    [
        ("node RUNNING   pid 77, uptime 0:01:00\nother RUNNING pid 78, uptime 1:00:00\n", "node", "node"),
        ("exporters:node RUNNING   pid 77, uptime 0:01:00\n", "exporters:node", "exporters"),
        # Without permission to query it, its files say the same.
        ("", "node", "node"),
    ],
)
def test_the_name_is_read_from_supervisord(status: str, name: str, update: str) -> None:
    outputs = {"supervisorctl -c /etc/supervisor/supervisord.conf status": status}
    one = found(Host(FILES, outputs), process(SUPERVISORD, unit="supervisor.service"))
    assert one == Supervision(
        "supervisord",
        name,
        "/etc/supervisor/conf.d/node.conf",
        "[program:node] command=",
        (f"supervisorctl restart {name}",),
        ("supervisorctl reread", f"supervisorctl update {update}"),
    )


@pytest.mark.parametrize(
    ("parents", "unit", "kind", "restart"),
    [
        ((Parent(5, ("runsv", "node")),), "runit.service", "runit", "sv restart /etc/service/node"),
        ((Parent(5, ("supervise", "node")),), "svscan.service", "daemontools", "svc -t /etc/service/node"),
        ((Parent(5, ("s6-supervise", "node")),), "", "s6", "s6-svc -r /etc/service/node"),
        (
            (Parent(6, ("/bin/sh", "./run")), Parent(5, ("runsv", "node"))),
            "",
            "runit",
            "sv restart /etc/service/node",
        ),
        (
            (Parent(5, ("PM2 v5.3.0: God Daemon (/root/.pm2)",)),),
            "pm2-root.service",
            "pm2",
            "pm2 restart node_exporter",
        ),
        ((Parent(6, ("-bash",)), Parent(5, ("tmux", "new", "-s", "x"))), "", "tmux", "tmux attach"),
        ((Parent(6, ("/bin/bash",)), Parent(5, ("SCREEN", "-S", "x"))), "", "screen", "screen -r"),
        ((), "monit.service", "monit", ""),
        ((Parent(5, ("/opt/start-all",)),), "everything.service", "unit", ""),
    ],
)
def test_each_supervisor_is_recognised_by_the_parent_processes(
    parents: tuple[Parent, ...], unit: str, kind: str, restart: str
) -> None:
    host = Host({}, {"readlink /proc/5/cwd": "/etc/service/node"})
    one = found(host, process(*parents, unit=unit))
    assert one is not None and one.kind == kind
    assert "".join(one.restart) == restart
    service = _bare(cast("Connection", host), process(*parents, unit=unit))
    assert (service.manager, service.flags.kind) == ("manual", "manual")
    commands = "\n".join(manual.command(service, web_config="/etc/node_exporter/web.yml"))
    assert "--web.config.file=/etc/node_exporter/web.yml" in commands
    assert "systemctl" not in commands, "what holds more than the component is never restarted"


def test_a_process_without_supervisor_is_restarted_by_its_command_line() -> None:
    one = found(Host({}, {}), process())
    assert one is None
    service = _bare(cast("Connection", Host({}, {})), process())
    assert manual.command(service, web_config="/w.yml") == (
        "kill 77",
        "/usr/bin/node_exporter --web.listen-address=:9100 --web.config.file=/w.yml",
    )


def test_a_command_of_supervisord_keeps_its_percent_signs() -> None:
    host = Host(FILES, {"supervisorctl": "node RUNNING pid 77, uptime 0\n"})
    service = _bare(cast("Connection", host), process(SUPERVISORD))
    commands = manual.command(service, web_config="/etc/100%/web.yml")
    assert any(line.endswith("--web.config.file=/etc/100%%/web.yml") for line in commands)
    assert commands[-2:] == ("supervisorctl reread", "supervisorctl update node")
    assert manual.command(service, web_config="/x", more={})[-1] == "supervisorctl update node"
