"""Connections through a shell that stays open on another machine: each operation is one request and one answer."""

from __future__ import annotations

import posixpath
import time
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress

from wizard.connections.host_names import names_from
from wizard.connections.remote_shell import Call, RemoteShell
from wizard.connections.shell_connection import Answer, ShellConnection, answer
from wizard.connections.subprocess_runner import LIMIT, Ended, as_completed
from wizard.errors import HostError
from wizard.model import Completed

_PER_FILE = 2.0
"""Seconds for each of several files that are read in one request."""
_AHEAD = 15.0
"""Seconds for each script that `ask_ahead` runs."""
_FRESH = 10.0
"""Seconds for which the outcome of a script that `ask_ahead` ran is used."""
_LATE = 0.8
"""The part of a time-out after which exit codes that `timeout` uses count as its own."""
_HOST_NAMES = """
LC_ALL=C
{ IFS= read -r name < /proc/sys/kernel/hostname && printf '%s\\n' "$name"; } || hostname
echo =; cat /etc/hosts; echo =; ip -j addr show up || hostname -I
exit 0
"""


class RemoteShellConnection(ShellConnection):
    """A machine on which a shell stays open: each operation is one request and one answer."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._ahead: dict[tuple[str, ...], list[tuple[float, Completed]]] = {}
        """End time and outcome of each script that `ask_ahead` ran, once for each call that may still use it."""

    @abstractmethod
    def ask(self, calls: Sequence[Call], *, stdin: bytes = b"") -> list[Ended]:
        """Runs several calls in one round trip; see `RemoteShell.ask`."""

    @abstractmethod
    def ready(self) -> RemoteShell:
        """Returns the open shell, and opens it first if necessary."""

    def identity(self) -> tuple[str, str, bool]:
        """See `Connection.identity`."""
        shell = self.ready()
        return shell.user, shell.group, shell.root

    def has_labels(self) -> bool:
        """See `ShellConnection.has_labels`."""
        return self.ready().labels

    def host_names(self) -> tuple[str, ...]:
        """The host's names and addresses, best first; queries no name server.

        They are the host name, longer names from /etc/hosts, the address at which this machine reaches it, localhost,
        the addresses of its interfaces (without link-local ones), 127.0.0.1 and, if the loopback interface has it, ::1.
        """
        output = self.run_script(_HOST_NAMES).stdout
        short, hosts, links = [*output.split("\n=\n"), "", "", ""][:3]
        return names_from(short.strip(), hosts=hosts, links=links.encode(), address=self._own_address())

    def _own_address(self) -> str:
        """The address at which this machine reaches the host, if it is known without a request to the host."""
        return self.address

    def clock(self) -> float:
        """See `Connection.clock`."""
        began = time.monotonic()
        text = self.run_script("exec date +%s.%N", timeout=10).stdout.strip()
        passed = time.monotonic() - began
        with suppress(ValueError):
            seconds, _, fraction = text.partition(".")  # BusyBox's date has no nanoseconds
            return float(f"{seconds}.{fraction}" if fraction.isdecimal() else seconds) + passed / 2
        raise HostError("its clock cannot be read", where=self.name, todo="Try `date +%s` there.")

    def run_bytes(
        self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = 30.0, limit: int = LIMIT
    ) -> Ended:
        """See `ShellConnection.run_bytes`."""
        began = time.monotonic()
        (ended,) = self.ask([Call(tuple(argv), timeout=timeout, limit=limit)], stdin=stdin)
        if time.monotonic() - began >= timeout * _LATE:
            self.refuse_late(argv, ended.code)
        return ended

    def ask_ahead(self, scripts: Sequence[Sequence[str]]) -> None:
        """See `Connection.ask_ahead`; also runs the script of `host_names`."""
        limit = time.monotonic() - _FRESH
        self._ahead = {words: found for words, found in self._ahead.items() if found[0][0] > limit}
        times = Counter(((_HOST_NAMES,), *map(tuple, scripts)))
        new_scripts = [words for words in times if words not in self._ahead]
        if new_scripts:
            found = self.run_scripts(new_scripts, timeout=_AHEAD)
            self._ahead |= {
                words: [(time.monotonic(), each)] * times[words]
                for words, each in zip(new_scripts, found, strict=True)
            }

    def run_scripts(self, scripts: Sequence[Sequence[str]], *, timeout: float = 30.0) -> list[Completed]:
        """See `Connection.run_scripts`; the host sets no time limit."""
        calls = [Call(tuple(script), script=True, timeout=timeout) for script in scripts]
        return [
            as_completed(("sh", "-c", script[0], "sh", *script[1:]), ended)
            for script, ended in zip(scripts, self.ask(calls) if calls else (), strict=True)
        ]

    def run_script(self, text: str, *arguments: str, timeout: float = 30.0) -> Completed:
        """See `Connection.run_script`."""
        outcomes = self._ahead.pop((text, *arguments), None)
        if outcomes is not None:
            ended_at, outcome = outcomes.pop()
            if outcomes:
                self._ahead[text, *arguments] = outcomes
            if time.monotonic() - ended_at < _FRESH:
                return outcome
        return self.run_scripts([(text, *arguments)], timeout=timeout)[0]

    def script(self, script: str, *arguments: str, stdin: bytes = b"", limit: int = LIMIT) -> Answer:
        """See `ShellConnection.script`."""
        (ended,) = self.ask([Call((script, *arguments), script=True, limit=limit)], stdin=stdin)
        return answer(ended)

    def scripts(
        self, script: str, paths: Sequence[str], *, limit: int = LIMIT, only_present: bool = False
    ) -> Iterator[Answer]:
        """See `ShellConnection.scripts`."""
        calls = [
            Call(
                (script, path), script=True, timeout=_PER_FILE, limit=limit, path=path if only_present else ""
            )
            for path in map(posixpath.normpath, paths)
        ]
        return map(answer, self.ask(calls) if calls else ())
