"""Prefetched scripts: one round trip for all, and each result is used once while it is fresh."""

from __future__ import annotations

import os
import select
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from wizard.connections import remote_connection
from wizard.connections.remote_connection import RemoteShellConnection
from wizard.connections.remote_shell import START, Call, RemoteShell
from wizard.connections.subprocess_runner import Ended


class _Pipe:
    """A `Stream` to a program on this machine."""

    def __init__(self, argv: Sequence[str]) -> None:
        self.process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    def send(self, data: memoryview) -> int:
        assert self.process.stdin is not None
        return os.write(self.process.stdin.fileno(), data)

    def receive(self, seconds: float) -> bytes | None:
        assert self.process.stdout is not None
        number = self.process.stdout.fileno()
        return os.read(number, 65536) if select.select([number], [], [], seconds)[0] else None

    def close(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=60)


class CountingConnection(RemoteShellConnection):
    """A connection to this machine with one shell that stays open; counts the requests."""

    def __init__(self) -> None:
        super().__init__("here")
        self.pipe = _Pipe(["sh", "-c", START])
        self._shell = RemoteShell("here", self.pipe)
        self._shell.begin()
        self.requests = 0

    def ready(self) -> RemoteShell:
        return self._shell

    def ask(self, calls: Sequence[Call], *, stdin: bytes = b"") -> list[Ended]:
        self.requests += 1
        return self._shell.ask(calls, stdin=stdin)

    def close(self) -> None:
        self.pipe.close()


@pytest.fixture
def here() -> Iterator[CountingConnection]:
    connection = CountingConnection()
    yield connection
    connection.close()


def test_prefetched_scripts_share_one_round_trip(here: CountingConnection) -> None:
    here.ask_ahead([("echo $1", "one"), ("echo two; exit 3",)])
    assert here.run_script("echo $1", "one").stdout == "one\n"
    second = here.run_script("echo two; exit 3")
    assert (second.stdout, second.code) == ("two\n", 3)
    names = here.host_names()
    assert "localhost" in names
    assert here.requests == 1


def test_a_script_with_other_arguments_is_not_prefetched(here: CountingConnection) -> None:
    here.ask_ahead([("echo $1", "one")])
    assert here.run_script("echo $1", "two").stdout == "two\n"
    assert here.requests == 2


def test_a_prefetched_result_is_used_once(here: CountingConnection) -> None:
    here.ask_ahead([("echo",)])
    here.ask_ahead([("echo",)])
    assert here.requests == 1, "it is known already"
    here.run_script("echo")
    here.run_script("echo")
    assert here.requests == 2


def test_a_script_prefetched_twice_runs_once_and_gives_its_result_twice(
    here: CountingConnection, tmp_path: Path
) -> None:
    script = ("echo x >> $1; cat $1", str(tmp_path / "ran"))
    here.ask_ahead([script, script])
    assert [here.run_script(*script).stdout for _ in range(2)] == ["x\n", "x\n"]
    assert here.requests == 1
    assert here.run_script(*script).stdout == "x\nx\n", "no third time"


def test_an_outdated_result_is_not_used(here: CountingConnection, monkeypatch: pytest.MonkeyPatch) -> None:
    here.ask_ahead([("echo",)])
    monkeypatch.setattr(remote_connection, "_FRESH", 0.0)
    here.run_script("echo")
    assert here.requests == 2
