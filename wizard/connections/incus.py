"""An incus or LXD instance as a host, by way of its client's `exec`; the client may be on another machine.

Promises: those of `shell` for files; root inside the instance and nothing outside of it; no shell between the
caller's argv and the instance; a client that cannot reach the instance is an error and never a program's result.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, runtime_checkable

from wizard.connections import errors
from wizard.connections.file_scripts import INFO, READ
from wizard.connections.local import LocalConnection
from wizard.connections.remote_shell import START, Call, RemoteShell, Stream
from wizard.connections.shell_files import _READ_LIMIT as READ_LIMIT
from wizard.connections.shell_files import ShellFiles
from wizard.connections.subprocess_runner import LIMIT, Ended
from wizard.errors import HostError
from wizard.model import Completed, Connection, Examined, FileState, HostSpec, PathInfo
from wizard.redact import plain

_CLIENTS = ("incus", "lxc", "/snap/bin/lxc")
"""A snap's folder is not on the PATH that sudo and sshd give."""

# [remote:]name; what begins with '-' would be an option.
_INSTANCE = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._-]*:)?[A-Za-z0-9][A-Za-z0-9-]*")
_TAG = re.compile(r"[A-Za-z0-9._-]{1,64}")

_PATIENCE = 20.0
"""Seconds for the client to let us in, and that an answer may take beyond its program's own bound."""

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

_NAMES = """
cat /proc/sys/kernel/hostname; printf '\\0'
cat /etc/hosts; printf '\\0'
ip -j addr show up || hostname -I
exit 0
"""


@runtime_checkable
class Holder(Protocol):
    """A machine that can hold instances: one that can keep their client running."""

    name: str

    def program(self, argv: Sequence[str]) -> Stream:
        """Starts a program that stays open, with both its outputs in one."""
        ...


class IncusConnection:
    """An instance; implements `model.Connection`.

    Args:
        spec: its `name` is what messages call the host; `instance` is the instance's, also as remote:name;
            `address` is what others reach it by, if given.
        via: the machine that has the client, and the caller's to close; by default this one, where the
            client is run as `become` says.

    Raises:
        HostError: `instance` is no name of an instance.
    """

    def __init__(self, spec: HostSpec, *, via: Connection | None = None) -> None:
        self.name = spec.name
        instance = spec.instance or spec.name
        if not _INSTANCE.fullmatch(instance):
            raise HostError(
                f"{plain(instance, 80)!r} is no name of an instance",
                where=spec.name,
                todo="Write `instance` as the client's list shows it, or as remote:name.",
            )
        self._address = spec.address
        holder = LocalConnection(spec.name, become=spec.become) if via is None else via
        if not isinstance(holder, Holder):
            raise HostError(
                f"{holder.name} cannot hold an instance",
                where=spec.name,
                todo="Name in `via` a host that is reached over SSH or is this machine.",
            )
        self._files = _InstanceFiles(spec.name, instance, holder)

    # -- looking -----------------------------------------------------------------------------------------

    def read(self, path: str) -> FileState | None:
        """The file at `path` (links followed), or None; HostError for anything but a regular file."""
        return self._files.read(path)

    def read_many(self, paths: Iterable[str]) -> dict[str, FileState | None]:
        """`read` of several files in one round trip."""
        return {path: files.read(path) for path, files in self._files.many(READ, paths, READ_LIMIT)}

    def info(self, path: str) -> PathInfo | None:
        """What stands at `path`, or None."""
        return self._files.info(path)

    def info_many(self, paths: Iterable[str]) -> dict[str, PathInfo | None]:
        """`info` of several paths in one round trip."""
        return {path: files.info(path) for path, files in self._files.many(INFO, paths, LIMIT)}

    def names(self, folder: str) -> tuple[str, ...]:
        """Names in a folder, sorted; empty if there is no such folder."""
        return self._files.names(folder)

    def host_names(self) -> tuple[str, ...]:
        """Names and addresses that the instance answers to, best first: what its certificate must name.

        The stack's address, its own name, its longer names from /etc/hosts, localhost, the addresses of its
        interfaces (link-local ones left out), 127.0.0.1 and, where the loopback has it, ::1.
        """
        _, out, _ = self._files.script(_NAMES)
        short, hosts, addresses = (*out.decode("utf-8", "replace").split("\0"), "", "")[:3]
        short = short.strip()
        longer: list[str] = []
        for line in hosts.splitlines():
            words = line.partition("#")[0].split()[1:]
            if short in words:
                longer += [word for word in words if "." in word and not word.startswith("localhost")]
        own = _addresses(addresses)
        loopback = [text for text in own if text == "::1"]
        others = [text for text in own if text != "::1"]
        found = [self._address, short, *longer, "localhost", *others, "127.0.0.1", *loopback]
        return tuple(dict.fromkeys(filter(None, found)))

    def identity(self) -> tuple[str, str, bool]:
        """User and primary group that operations are done as, and whether that is root."""
        return self._files.identity()

    def clock(self) -> float:
        """Its time now (seconds since 1970, UTC), give or take half the way there and back."""
        began = time.monotonic()
        ended = self._files.run(["date", "+%s.%N"], timeout=10)
        passed = time.monotonic() - began
        try:
            return float(ended.stdout) + passed / 2
        except ValueError:
            raise HostError(
                "it does not say what time it is", where=self.name, todo="Try `date +%s` there."
            ) from None

    # -- writing -----------------------------------------------------------------------------------------

    def staged_name(self, path: str, *, tag: str) -> str:
        """`.{name}.firescreen-{tag}` beside the real file; HostError if `tag` could leave the folder."""
        _refuse_tag(tag, path)
        return self._files.staged_name(path, tag=tag)

    def stage(self, path: str, state: FileState, *, tag: str) -> str:
        """Writes `state` beside `path`; see `model.Connection.stage`. A leftover of that tag is replaced."""
        _refuse_tag(tag, path)
        return self._files.stage(path, state, tag=tag)

    def commit(self, staged: str, path: str) -> None:
        """Renames `staged` onto the real file behind `path` in one atomic step, and onto the disk."""
        self._files.commit(staged, path)

    def remove(self, path: str) -> None:
        """Removes a file (of a link: what it leads to); no error if it is already gone."""
        self._files.remove(path)

    def make_folder(self, path: str, *, mode: int, owner: str, group: str) -> None:
        """Makes one folder, never more open than `mode`; one that is there keeps its rights."""
        self._files.make_folder(path, mode=mode, owner=owner, group=group)

    def remove_folder(self, path: str) -> bool:
        """Removes a folder if it is empty; says whether it is gone."""
        return self._files.remove_folder(path)

    def set_folder_rights(self, path: str, *, mode: int, owner: str, group: str) -> None:
        """Gives a folder another owner and mode."""
        self._files.set_folder_rights(path, mode=mode, owner=owner, group=group)

    def examine(self, paths: Iterable[str]) -> dict[str, Examined]:
        """See `model.Connection.examine`; one round trip."""
        return self._files.examine(paths)

    # -- running -----------------------------------------------------------------------------------------

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = 30.0) -> Completed:
        """Runs a program as root inside; at a time-out it is ended there, with the programs that it started.

        A program that is not there ends with code 127. At most 4 MB of standard output and 64 KB of standard
        error are kept.
        """
        ended = self._files.run(argv, stdin=stdin, timeout=timeout)
        return Completed(
            tuple(argv),
            ended.code,
            ended.stdout.decode("utf-8", "replace"),
            ended.stderr.decode("utf-8", "replace"),
        )

    def close(self) -> None:
        """Ends the shell inside; `via` is the caller's."""
        self._files.close()


class _InstanceFiles(ShellFiles):
    """A shell inside that stays open, held by the client, and asked in frames.

    One `exec` for each operation would take fifty times as long, and the client loses what a program says that
    ends before the client has begun to read: so it was measured with incus 6.0, in one to five of a hundred.
    """

    def __init__(self, host: str, instance: str, via: Holder) -> None:
        super().__init__(host)
        self._instance = instance
        self._via = via
        self._lock = threading.RLock()
        self._stream: Stream | None = None
        self._shell: RemoteShell | None = None
        self._closed = False

    def identity(self) -> tuple[str, str, bool]:
        """User, primary group, and whether that is root."""
        with self._lock:
            shell = self._ready()
            return shell.user, shell.group, shell.root

    def run(
        self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = 30.0, limit: int = LIMIT
    ) -> Ended:
        """Runs `argv` inside.

        Raises:
            HostError: the instance cannot be reached, or the time is over.
        """
        began = time.monotonic()
        (ended,) = self._ask([Call(tuple(argv), timeout=timeout, limit=limit)], stdin=stdin)
        if time.monotonic() - began >= timeout * 0.8:
            self.refuse_late(argv, ended.code)
        return ended

    def script(
        self, script: str, *arguments: str, stdin: bytes = b"", limit: int = LIMIT
    ) -> tuple[int, bytes, str]:
        """See `ShellFiles.script`."""
        (ended,) = self._ask([Call((script, *arguments), script=True, limit=limit)], stdin=stdin)
        return ended.code, ended.stdout, ended.stderr.decode("utf-8", "replace")

    def scripts(self, script: str, paths: Sequence[str]) -> Iterator[tuple[int, bytes, str]]:
        """See `ShellFiles.scripts`."""
        calls = [Call((script, os.path.abspath(path)), script=True, timeout=5) for path in paths]
        for ended in self._ask(calls) if calls else ():
            yield ended.code, ended.stdout, ended.stderr.decode("utf-8", "replace")

    def many(self, script: str, paths: Iterable[str], limit: int) -> Iterator[tuple[str, ShellFiles]]:
        """A script of `shell` about each of several paths, asked at once; each with what reads its answer."""
        wanted = tuple(dict.fromkeys(paths))
        calls = [
            Call((script, path), script=True, timeout=2, limit=limit, path=path)
            for path in map(os.path.abspath, wanted)
        ]
        for path, ended in zip(wanted, self._ask(calls) if calls else (), strict=True):
            yield path, _Answered(self._host, ended)

    def close(self) -> None:
        """Ends the shell, also under an operation of another thread, which then fails with a HostError."""
        self._closed = True
        self._drop()

    def _drop(self) -> None:
        """Ends the shell; the next operation opens another."""
        stream, self._stream, self._shell = self._stream, None, None
        if stream is not None:
            stream.close()

    def _ask(self, calls: Sequence[Call], *, stdin: bytes = b"") -> list[Ended]:
        with self._lock:
            shell = self._ready()
            try:
                return shell.ask(calls, stdin=stdin, patience=_PATIENCE + len(stdin) / 50_000)
            except HostError as lost:
                # Where an answer stopped halfway, the next one could not be told from its rest.
                self._drop()
                # Nothing is done twice; but why it was lost can often be said: it was stopped, it is gone.
                try:
                    self._ready()
                except HostError as reason:
                    raise reason from lost
                raise
            except BaseException:
                self._drop()
                raise

    def _ready(self) -> RemoteShell:
        """The open shell.

        Raises:
            HostError: no client opens one; of several reasons, the one that lies nearest to the instance. (A
                machine may have both clients, and the instance in one of them.)
        """
        if self._closed:
            raise HostError("the connection was closed", where=self._host)
        if self._shell is not None:
            return self._shell
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
            stream = self._via.program(command)
        except HostError as problem:
            if problem.what == f"{client}: not found":
                return problem.what
            raise
        shell = RemoteShell(self._host, stream)
        try:
            shell.expect(f"{word}up", seconds=_PATIENCE)
        except HostError:
            stream.close()
            return shell.said() or "it does not answer"
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
                return HostError(what.format(**words), where=self._host, todo=todo.format(**words))
        if refusal := errors.from_sudo(said, host=self._host):
            return refusal
        return HostError(
            f"{name} cannot reach the instance {self._instance}: {plain(said, 300)}",
            where=self._host,
            todo=f"Try it in a terminal: {name} exec {self._instance} -- true",
        )


class _Answered(ShellFiles):
    """Reads the answer of a script that has run already."""

    def __init__(self, host: str, ended: Ended) -> None:
        super().__init__(host)
        self._ended = ended

    def run(
        self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = 30.0, limit: int = LIMIT
    ) -> Ended:
        """The answer."""
        return self._ended

    def script(
        self, script: str, *arguments: str, stdin: bytes = b"", limit: int = LIMIT
    ) -> tuple[int, bytes, str]:
        """The answer."""
        return self._ended.code, self._ended.stdout, self._ended.stderr.decode("utf-8", "replace")


def _addresses(text: str) -> list[str]:
    """Addresses of `ip -j addr` (global ones, and ::1), or of `hostname -I` where there is no ip."""
    try:
        links = json.loads(text)
    except ValueError:
        return [word for word in text.split() if re.fullmatch(r"[0-9a-fA-F.:]+", word)]
    found: list[str] = []
    for link in links if isinstance(links, list) else []:
        for address in link.get("addr_info", ()):
            text, scope = str(address.get("local", "")), address.get("scope")
            if scope == "global" or text == "::1":
                found.append(text)
    return found


def _refuse_tag(tag: str, path: str) -> None:
    if not _TAG.fullmatch(tag):
        raise HostError(f"the tag {tag!r} cannot be part of a file name", where=path)
