"""An incus or LXD instance as a host, through `exec` of its client, which may be on another machine.

Files are handled as in `shell_connection`. Commands run as root inside the instance and affect nothing outside of it;
no shell is between the caller's argv and the instance. If the client cannot reach the instance, that is an error and
never the result of a program.
"""

from __future__ import annotations

import ipaddress
import os
import re
import secrets
import threading
from collections.abc import Sequence

from wizard.connections import errors
from wizard.connections.base import Connection, Stream
from wizard.connections.remote_connection import RemoteShellConnection
from wizard.connections.remote_shell import START, Call, RemoteShell
from wizard.connections.subprocess_runner import Ended
from wizard.connections.sudo import open_local
from wizard.errors import HostError
from wizard.model import HostSpec
from wizard.redact import plain

_CLIENTS = ("incus", "lxc", "/snap/bin/lxc")
"""The PATH that sudo and sshd set lacks the folder of snaps."""

# [remote:]name; a name that begins with '-' would be taken for an option.
_INSTANCE = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._-]*:)?[A-Za-z0-9][A-Za-z0-9-]*")
_PATIENCE = 20.0
"""Seconds in which the client must open a session, and that are added to the time-out of a command."""

_REFUSALS: tuple[tuple[str, str, str], ...] = (
    ("Instance is not running", "the instance {name} is stopped", "Start it: {client} start {name}"),
    ("Instance is frozen", "the instance {name} is paused", "Let it go on: {client} {thaw} {name}"),
    (
        "Instance not found",
        "there is no instance {name}",
        "Correct `instance` in the stack file; `{client} list` shows what there is.",
    ),
    (
        "The remote ",
        "{client} knows no such remote: {name}",
        "Correct `instance` in the stack file; `{client} remote list` shows what there is.",
    ),
    (
        "needed permissions",
        "this user may not talk to the {daemon} daemon",
        "Add the user to the group {group} and log in again, or set `become: sudo` for this host.",
    ),
    (
        "permission denied",
        "this user may not talk to the {daemon} daemon",
        "Add the user to the group {group} and log in again, or set `become: sudo` for this host.",
    ),
    (
        "appear to be started",
        "the {daemon} daemon does not run",
        "Start it: systemctl start {daemon}",
    ),
    (
        "connect: ",
        "the {daemon} daemon does not answer",
        "Look at it: systemctl status {daemon}",
    ),
    (
        "not authorized",
        "the {daemon} daemon does not trust this client",
        "Add the remote again: {client} remote add",
    ),
)
"""Text in the client's error message, what happened, what to do."""


class IncusConnection(RemoteShellConnection):
    """An instance: its client keeps a shell open inside, which runs the operations, see `remote_shell`.

    One `exec` for each operation would take fifty times as long. Also, the client loses the output of a program that
    ends before the client begins to read: measured with incus 6.0, in one to five of a hundred runs.

    Args:
        spec: `name` is the host's name in messages; `instance` the name of the instance, also as remote:name; `address`
            the address at which others reach it, if given.
        via: the connection to the machine with the client; the caller closes it. By default this machine, where
            `become` says how to run the client.

    Raises:
        HostError: `instance` is not a valid name.
    """

    def __init__(self, spec: HostSpec, *, via: Connection | None = None) -> None:
        super().__init__(spec.name)
        instance = spec.instance or spec.name
        if not _INSTANCE.fullmatch(instance):
            raise HostError(
                f"{plain(instance, 80)!r} is no name of an instance",
                where=spec.name,
                todo="Write `instance` as the client's list shows it, or as remote:name.",
            )
        self._stack_address = spec.address
        self._instance = instance
        self._via = open_local(spec.name, become=spec.become) if via is None else via
        self._lock = threading.RLock()
        self._stream: Stream | None = None
        self._shell: RemoteShell | None = None
        self._closed = False

    @property
    def address(self) -> str:
        """The address at which others reach it: the one in the stack file, else its own first address."""
        if self._stack_address:
            return self._stack_address
        return next((each for each in self.host_names() if _is_global(each)), "")

    def host_names(self) -> tuple[str, ...]:
        """The names and addresses of the instance, the address in the stack file first."""
        own = super().host_names()
        return tuple(dict.fromkeys((self._stack_address, *own) if self._stack_address else own))

    def _own_address(self) -> str:
        return self._stack_address

    @property
    def behind(self) -> bool:
        """See `Connection.behind`."""
        return self._via.behind

    def close(self) -> None:
        """Closes the shell, also during an operation of another thread, which then fails with a HostError."""
        self._closed = True
        self._drop()

    def _drop(self) -> None:
        """Closes the shell; the next operation opens a new one."""
        stream, self._stream, self._shell = self._stream, None, None
        if stream is not None:
            stream.close()

    def ask(self, calls: Sequence[Call], *, stdin: bytes = b"") -> list[Ended]:
        """See `RemoteShellConnection.ask`."""
        with self._lock:
            shell = self.ready()
            try:
                return shell.ask(calls, stdin=stdin, patience=_PATIENCE + len(stdin) / 50_000)
            except HostError as lost:
                # After half an answer, its rest could not be distinguished from the next answer.
                self._drop()
                # Nothing is repeated, but opening a new shell often shows why: the instance was stopped or deleted.
                try:
                    self.ready()
                except HostError as reason:
                    raise reason from lost
                raise
            except BaseException:
                self._drop()
                raise

    def ready(self) -> RemoteShell:
        """See `RemoteShellConnection.ready`.

        Raises:
            HostError: no client can open a shell. A machine may have both clients and the instance in one of them, so
                of several errors the one closest to the instance is raised.
        """
        with self._lock:
            if self._closed:
                raise HostError("the connection was closed", where=self.name)
            return self._shell or self._open_shell()

    def _open_shell(self) -> RemoteShell:
        reasons: list[tuple[int, HostError]] = []
        for client in _CLIENTS:
            result = self._open(client)
            if isinstance(result, RemoteShell):
                return result
            if "Error:" not in result and "not found" in result:
                continue
            nearest = next((at for at, row in enumerate(_REFUSALS) if row[0] in result), len(_REFUSALS))
            reasons.append((nearest, self._refusal(client, result)))
        if not reasons:
            raise HostError(
                "neither incus nor lxc is installed",
                where=self._via.name,
                todo="Name the machine that holds the instance, or install its client there.",
            )
        raise min(reasons, key=lambda reason: reason[0])[1]

    def _open(self, client: str) -> RemoteShell | str:
        """Opens the shell with that client; on failure, returns the client's message."""
        marker = secrets.token_hex(8)
        # printf joins the two halves inside the instance, so that an output that shows the command does not match.
        inner = f"printf '%s%s\\n' {marker} up; {START}"
        command = [client, "exec", self._instance, "--mode=non-interactive", "--", "/bin/sh", "-c", inner]
        try:
            stream = self._via.open_program(command)
        except HostError as problem:
            if problem.what == f"{client}: not found":
                return problem.what
            raise
        shell = RemoteShell(self.name, stream)
        try:
            shell.expect(f"{marker}up", seconds=_PATIENCE)
        except HostError:
            stream.close()
            return shell.unexpected_output() or "it does not answer"
        try:
            shell.begin()
        except BaseException:
            stream.close()
            raise
        self._stream, self._shell = stream, shell
        if self._closed:  # close() came in between
            self._drop()
        return shell

    def _refusal(self, client: str, message: str) -> HostError:
        name = os.path.basename(client)
        lxd = name == "lxc"
        values = {
            "name": self._instance,
            "client": name,
            "thaw": "start" if lxd else "resume",
            "daemon": "lxd" if lxd else "incus",
            "group": "lxd" if lxd else "incus-admin",
        }
        for mark, what, todo in _REFUSALS:
            if mark in message:
                return HostError(what.format(**values), where=self.name, todo=todo.format(**values))
        if refusal := errors.from_sudo(message, host=self.name):
            return refusal
        return HostError(
            f"{name} cannot reach the instance {self._instance}: {plain(message, 300)}",
            where=self.name,
            todo=f"Try it in a terminal: {name} exec {self._instance} -- true",
        )


def _is_global(text: str) -> bool:
    try:
        return not ipaddress.ip_address(text).is_loopback
    except ValueError:
        return False
