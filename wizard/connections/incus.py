"""An incus or LXD instance as a host, by way of its client's `exec`; the client may be on another machine.

Promises: those of `shell` for files; root inside the instance and nothing outside of it; no shell between the
caller's argv and the instance; a client that cannot reach the instance is an error and never a program's result.
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
"""A snap's folder is not on the PATH that sudo and sshd give."""

# [remote:]name; what begins with '-' would be an option.
_INSTANCE = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._-]*:)?[A-Za-z0-9][A-Za-z0-9-]*")
_PATIENCE = 20.0
"""Seconds for the client to open a session, and for an answer beyond the time-out of the command itself."""

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
"""A mark in the client's own error, what happened, what to do."""


class IncusConnection(RemoteShellConnection):
    """An instance: a shell inside that stays open, held by the client, and asked in frames.

    One `exec` for each operation would take fifty times as long, and the client loses what a program says that
    ends before the client has begun to read: so it was measured with incus 6.0, in one to five of a hundred.

    Args:
        spec: its `name` is what messages call the host; `instance` is the instance's, also as remote:name;
            `address` is what others reach it by, if given.
        via: the machine that has the client, and the caller's to close; by default this one, where the
            client is run as `become` says.

    Raises:
        HostError: `instance` is no name of an instance.
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
        """Where others reach it: as the stack says, else its first address of its own."""
        if self._stack_address:
            return self._stack_address
        return next((each for each in self.host_names() if _is_global(each)), "")

    def host_names(self) -> tuple[str, ...]:
        """Names and addresses that the instance answers to, the stack's address first."""
        own = super().host_names()
        return tuple(dict.fromkeys((self._stack_address, *own) if self._stack_address else own))

    def _own_address(self) -> str:
        return self._stack_address

    @property
    def behind(self) -> bool:
        """See `Connection.behind`."""
        return self._via.behind

    def close(self) -> None:
        """Ends the shell, also under an operation of another thread, which then fails with a HostError."""
        self._closed = True
        self._drop()

    def _drop(self) -> None:
        """Ends the shell; the next operation opens another."""
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
                # Where an answer stopped halfway, the next one could not be told from its rest.
                self._drop()
                # Nothing is done twice; but why it was lost can often be said: it was stopped, it is gone.
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
            HostError: no client opens one; of several reasons, the one that lies nearest to the instance. (A
                machine may have both clients, and the instance in one of them.)
        """
        with self._lock:
            if self._closed:
                raise HostError("the connection was closed", where=self.name)
            return self._shell or self._open_shell()

    def _open_shell(self) -> RemoteShell:
        reasons: list[tuple[int, HostError]] = []
        for client in _CLIENTS:
            said = self._open(client)
            if isinstance(said, RemoteShell):
                return said
            if "Error:" not in said and "not found" in said:
                continue
            nearest = next((at for at, row in enumerate(_REFUSALS) if row[0] in said), len(_REFUSALS))
            reasons.append((nearest, self._refusal(client, said)))
        if not reasons:
            raise HostError(
                "neither incus nor lxc is installed",
                where=self._via.name,
                todo="Name the machine that holds the instance, or install its client there.",
            )
        raise min(reasons, key=lambda reason: reason[0])[1]

    def _open(self, client: str) -> RemoteShell | str:
        """Opens the shell by that client; where that fails, what the client said."""
        word = secrets.token_hex(8)
        # Put together inside, so that nothing that shows the command looks like the answer.
        inner = f"printf '%s%s\\n' {word} up; {START}"
        command = [client, "exec", self._instance, "--mode=non-interactive", "--", "/bin/sh", "-c", inner]
        try:
            stream = self._via.open_program(command)
        except HostError as problem:
            if problem.what == f"{client}: not found":
                return problem.what
            raise
        shell = RemoteShell(self.name, stream)
        try:
            shell.expect(f"{word}up", seconds=_PATIENCE)
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

    def _refusal(self, client: str, said: str) -> HostError:
        name = os.path.basename(client)
        lxd = name == "lxc"
        words = {
            "name": self._instance,
            "client": name,
            "thaw": "start" if lxd else "resume",
            "daemon": "lxd" if lxd else "incus",
            "group": "lxd" if lxd else "incus-admin",
        }
        for mark, what, todo in _REFUSALS:
            if mark in said:
                return HostError(what.format(**words), where=self.name, todo=todo.format(**words))
        if refusal := errors.from_sudo(said, host=self.name):
            return refusal
        return HostError(
            f"{name} cannot reach the instance {self._instance}: {plain(said, 300)}",
            where=self.name,
            todo=f"Try it in a terminal: {name} exec {self._instance} -- true",
        )


def _is_global(text: str) -> bool:
    try:
        return not ipaddress.ip_address(text).is_loopback
    except ValueError:
        return False
