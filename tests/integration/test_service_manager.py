"""A new service manager is one module and one line: a toy one is registered, and its service is secured."""

from __future__ import annotations

import json
import shlex
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.integration.loopback_programs import free_port
from wizard import binaries
from wizard.account import account
from wizard.connections.base import Connection
from wizard.engine import Engine
from wizard.errors import ServiceError
from wizard.model import ComponentSpec, FileState, FlagPlace, HostSpec, Service, Stack, UserSpec
from wizard.service_managers import discovery, process_list, registry
from wizard.service_managers.base import Answers, Ask
from wizard.service_managers.process_list import Process
from wizard.workspace import Workspace

pytestmark = pytest.mark.usefixtures("own_host_lock")


class Toy:
    """Runs one program with the flags of a JSON file, which no other service manager has."""

    name = "toy"
    has_units = False

    def __init__(self, folder: Path, program: str, port: int) -> None:
        self.folder, self.program, self.port = folder, program, port
        self.flags = folder / "toy.json"
        self.flags.write_text(
            json.dumps(["--collector.disable-defaults", f"--web.listen-address=127.0.0.1:{port}"])
        )
        self.child: subprocess.Popen[bytes] | None = None
        self.restarts = 0

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.child = subprocess.Popen(
                [self.program, *json.loads(self.flags.read_text())], stdout=log, stderr=log
            )
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self.child.poll() is None:
            with socket.socket() as caller:
                if caller.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise ServiceError("it did not start", where="toy", todo="Look at its log.", log=self.last_lines())

    def stop(self) -> None:
        if self.child is not None:
            self.child.terminate()
            self.child.wait(20)

    def last_lines(self) -> tuple[str, ...]:
        return tuple((self.folder / "log").read_text().splitlines()[-20:])

    def discover(self, connection: Connection, running: tuple[Process, ...]) -> tuple[Service, ...]:
        pid = self.child.pid if self.child is not None else 0
        found = next((process for process in running if process.pid == pid), None)
        user, group = account()
        service = Service(
            host=connection.name,
            component="node_exporter",
            manager=self.name,
            unit="toy-node",
            program=self.program,
            version="1.9.0",
            arguments=found.arguments if found is not None else (),
            listen=f"127.0.0.1:{self.port}",
            user=user,
            group=group,
            active=found is not None,
            flags=FlagPlace("argfile", str(self.flags)),
            home=str(self.folder / "etc"),
            pid=pid,
        )
        return (replace(service, web_config=service.flag("web.config.file")),)

    def describe(self, connection: Connection, service: Service) -> Service:
        return service

    def set_flag(
        self, service: Service, *, wanted: Mapping[str, str], current: FileState | None
    ) -> FileState:
        assert current is not None
        flags = json.loads(current.content)
        kept = [flag for flag in flags if flag.partition("=")[0].lstrip("-") not in wanted]
        text = json.dumps([*kept, *(f"--{name}={value}" for name, value in wanted.items())])
        return replace(current, content=text.encode())

    def flag_commands(
        self, service: Service, *, wanted: Mapping[str, str], current: FileState | None
    ) -> tuple[str, ...]:
        after = self.set_flag(service, wanted=wanted, current=current).content.decode()
        return (f"printf %s {shlex.quote(after)} > {shlex.quote(service.flags.path)}",)

    def restart(self, connection: Connection, service: Service, *, answers: Answers | None = None) -> None:
        self.restarts += 1
        self.stop()
        self.start()

    def reload(self, connection: Connection, service: Service, *, ask: Ask | None = None) -> None:
        raise ServiceError("it knows no reload", where="toy", todo="Restart it.")

    def address(self, connection: Connection, service: Service) -> str:
        return service.listen

    def is_active(self, connection: Connection, service: Service) -> bool:
        return self.child is not None and self.child.poll() is None

    def logs(self, connection: Connection, service: Service, lines: int = 20) -> tuple[str, ...]:
        return self.last_lines()[-lines:]

    def manual_commands(self, service: Service, action: str, *, workspace: str = "") -> tuple[str, ...]:
        return (f"toy {action} {service.unit}",)


@pytest.fixture
def toy(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Toy]:
    (tmp_path / "toy/etc").mkdir(parents=True)
    made = Toy(tmp_path / "toy", binaries.find("node_exporter", cache=cache).path, free_port())
    registry.register(made)
    made.start()

    def look(connection: Connection) -> tuple[tuple[Process, ...], bool]:
        # Another test's Prometheus on this machine may scrape a port that is now the toy's: it would be a client.
        found, _ = process_list.look(connection)
        own = made.child.pid if made.child is not None else 0
        return tuple(process for process in found if process.pid == own), False

    monkeypatch.setattr(discovery, "process_list", SimpleNamespace(**(vars(process_list) | {"look": look})))
    try:
        yield made
    finally:
        made.stop()
        registry.unregister(made.name)


def test_a_service_of_a_toy_manager_is_secured_and_undone(toy: Toy, tmp_path: Path) -> None:
    engine = Engine(Workspace(tmp_path / "workspace"))
    stack = Stack(
        hosts=(HostSpec(name="here", connect="local"),),
        components=(
            ComponentSpec(host="here", name="node_exporter", unit="toy-node", protect=("tls", "basic_auth")),
        ),
        users=(UserSpec(name="prometheus"),),
    )
    before = toy.flags.read_bytes()
    plan = engine.plan(stack)
    assert [change.commands() for change in plan.restarts] == [("toy restart toy-node",)]

    outcome = engine.apply(plan)
    assert outcome.state == "proven", outcome
    assert toy.restarts == 1
    assert json.loads(toy.flags.read_text())[-1].startswith(f"--web.config.file={toy.folder}/etc/")
    assert all(attempt.ok for attempt in outcome.attempts)
    assert {"200", "401", "untrusted"} <= {attempt.outcome for attempt in outcome.attempts}
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(f"http://127.0.0.1:{toy.port}/metrics", timeout=10)

    undone = engine.undo(outcome.run)
    assert undone.state == "undone", undone
    assert toy.flags.read_bytes() == before
    assert toy.restarts == 2
    with urllib.request.urlopen(f"http://127.0.0.1:{toy.port}/metrics", timeout=10) as answer:
        assert answer.status == 200
