"""A machine over SSH: its files and programs as the login, or as root by way of sudo there.

Promises: one connection and one open shell a host, asked in one round trip for each operation, from any thread;
keys, certificates and what is large travel by SFTP into a private folder (other contents, and where there is no
SFTP, on the shell's standard input); each takes its place in one atomic step; what is lost in the middle is a
HostError, and the next operation connects anew.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import paramiko

from wizard.connections import errors
from wizard.connections.credentials import Access
from wizard.connections.file_scripts import CHANGED, INFO, PUT, READ, SHORT, STAGE, SWAP
from wizard.connections.local import names_from
from wizard.connections.path_script import refuse
from wizard.connections.remote_shell import START, Call, RemoteShell, Stream, gone
from wizard.connections.shell_files import (
    ShellFiles,
    carried,
    refuse_write,
    replace_words,
    stage_words,
)
from wizard.connections.ssh import config as sshconfig
from wizard.connections.ssh import forwarding
from wizard.connections.ssh.login import CHANNEL, Login, bounded
from wizard.connections.ssh.preconnect import Dialled
from wizard.connections.ssh.root_shell import TerminalNeededError, become_root
from wizard.connections.subprocess_runner import LIMIT, Ended
from wizard.errors import ChangedError, FirescreenError, HostError, NeededError
from wizard.model import Completed, Examined, FileState, HostSpec, PathInfo

_READ_LIMIT = 64 * 1024 * 1024
_SMALL = 16384
"""Bytes that travel with a request."""
_TAG = re.compile(r"[A-Za-z0-9._-]{1,64}")
# SFTPError: start-up files that print something break the protocol, as they do for every program of its kind.
_PROBLEMS = (paramiko.SSHException, paramiko.SFTPError, EOFError, OSError)
_FRACTION = 0.2
_UPLOAD = 20.0
"""Seconds for a transfer, besides what its size takes."""

# Run by the shell that stays open, which removes the folder when it ends, however it ends; /run is not on a disk,
# but root's alone.
_FOLDER = (
    "uploads=$(umask 077; mktemp -d /run/firescreen.XXXXXXXXXX || "
    'mktemp -d "${TMPDIR:-/tmp}/firescreen.XXXXXXXXXX")'
)
# Owned by the login, since that is who the SFTP server runs as.
_UPLOADS = """
umask 077
: > "$uploads/content" && { [ -z "$SUDO_UID" ] || chown -R -- "$SUDO_UID:$SUDO_GID" "$uploads"; } || exit
printf '%s\\n' "$uploads"
"""
_NAMES = """
{ IFS= read -r name < /proc/sys/kernel/hostname && printf '%s\\n' "$name"; } || hostname
echo =; cat /etc/hosts; echo =; ip -j addr show up
"""


class SshConnection:
    """A host over SSH; implements `model.Connection`. It connects at its first use.

    Args:
        spec: the host; address (or without one, name) is looked up in the SSH configuration.
        access: passwords and accepted host keys.
        config: a file to read in place of ~/.ssh/config and the system's.
        dialled: the way to it, if that was gone ahead.

    Every operation may raise `NeededError` (something has to be asked for, see `Access`) besides `HostError`.
    """

    def __init__(
        self, spec: HostSpec, access: Access, *, config: Path | None = None, dialled: Dialled | None = None
    ) -> None:
        if spec.become not in ("", "sudo"):
            raise HostError(
                f"become can be 'sudo' or empty, not {spec.become!r}",
                where=spec.name,
                todo="Correct the stack file.",
            )
        self.name = spec.name
        self._spec = spec
        self._access = access
        self._config = config
        self._dialled = dialled
        self._lock = threading.RLock()
        self._closed = False
        self._terminal = False
        self._address = ""
        self._behind = False
        self._login: Login | None = None
        self._shell: RemoteShell | None = None
        self._sftp: paramiko.SFTPClient | None = None
        self._uploads: str | None = None
        """The private folder there; '' where SFTP cannot be used."""
        self._files = _Files(self)
        self._ahead: FirescreenError | None = None
        """Why `begin` came to nothing, for the operation that comes next."""

    # -- the connection ----------------------------------------------------------------------------------

    def connect(self) -> None:
        """Connects, logs in and becomes root where that is wanted; nothing if that is done."""
        self._ready()

    def begin(self) -> None:
        """Connects in a thread of its own; the next operation waits for it, and raises what went wrong."""
        threading.Thread(target=self._begin, name=f"connect-{self.name}", daemon=True).start()

    def _begin(self) -> None:
        with self._lock:
            try:
                self._ready()
            except FirescreenError as error:
                self._ahead = error

    @property
    def root(self) -> bool:
        """Whether operations are root's."""
        return self._ready().root

    def identity(self) -> tuple[str, str, bool]:
        """User and primary group that operations are done as, and whether that is root."""
        shell = self._ready()
        return shell.user, shell.group, shell.root

    @property
    def address(self) -> str:
        """Where it is reached, as the SSH configuration says."""
        self._ready()
        return self._address

    @property
    def behind(self) -> bool:
        """Whether the way there leads through other machines."""
        self._ready()
        return self._behind

    def dial(self, place: str, seconds: float) -> socket.socket:
        """A socket that leads to host:port as this host reaches it; see `forwarding.through`.

        It does not wait for an operation that is under way.
        """
        login = self._login
        if login is None or not login.transport.is_active():
            self._ready()
            login = self._login
        if login is None:
            raise gone(self.name)
        return forwarding.through(login.transport, place, seconds)

    def close(self) -> None:
        """Ends the connection, also under an operation of another thread, which then fails with a HostError."""
        self._closed = True
        self._drop()

    def _drop(self) -> None:
        """Ends what is open; the next operation starts anew."""
        login, self._login = self._login, None
        self._shell = self._sftp = self._uploads = None
        if login:
            login.close()

    def _ready(self) -> RemoteShell:
        with self._lock:
            if self._closed:
                raise HostError("the connection was closed", where=self.name)
            if self._shell is not None and self._login and self._login.transport.is_active():
                return self._shell
            error, self._ahead = self._ahead, None
            if error is not None:
                raise error
            self._drop()
            try:
                try:
                    self._shell = self._opened()
                except TerminalNeededError:
                    if self._terminal:
                        raise
                    # By a new connection: with MaxSessions 1 the old session might still count.
                    self._terminal = True
                    self._drop()
                    self._shell = self._opened()
                if self._closed:  # close() came in between
                    raise HostError("the connection was closed", where=self.name)
            except BaseException as problem:
                if not isinstance(problem, NeededError):
                    self._access.lost(self.name)
                self._drop()
                raise
            return self._shell

    def _opened(self) -> RemoteShell:
        dialled, self._dialled = self._dialled, None
        target = dialled.target() if dialled else sshconfig.target(self._spec, config=self._config)
        self._address = target.address
        self._behind = bool(target.jumps or target.command)
        self._login = Login(
            target,
            self._access,
            config=self._config,
            known_hosts=self._spec.known_hosts,
            dialled=dialled.connection if dialled else lambda: None,
        )
        shell = self._started(self._login)
        if self._spec.become:
            become_root(shell, self._access, host=self.name, user=target.user, terminal=self._terminal)
        shell.begin()
        return shell

    def _started(self, login: Login) -> RemoteShell:
        """The login's shell, started and not yet asked anything."""
        try:
            with bounded(login.transport, CHANNEL + CHANNEL):
                channel = login.transport.open_session(timeout=CHANNEL)
                channel.set_combine_stderr(True)
                if self._terminal:
                    channel.get_pty("dumb", 200, 50)
                channel.exec_command(START)
        except _PROBLEMS as problem:
            raise HostError(
                f"it lets us in and opens no session: {errors.said(problem)}",
                where=self.name,
                todo="Look at its sshd_config (ForceCommand, MaxSessions, PermitTTY) and its log.",
            ) from None
        return RemoteShell(self.name, _ChannelStream(self.name, channel))

    def ask(self, calls: Sequence[Call], *, stdin: bytes = b"") -> list[Ended]:
        """Several programs or scripts in one round trip; see `RemoteShell.ask`."""
        with self._lock:
            return self._ask(self._ready(), calls, stdin=stdin)

    def _ask(
        self, shell: RemoteShell, calls: Sequence[Call], *, stdin: bytes = b"", before: str = ""
    ) -> list[Ended]:
        seconds = sum(call.timeout for call in calls) + _patience(stdin)
        try:
            # Paramiko's own write to a host that fell silent has no bound.
            with bounded(self._login.transport if self._login else None, seconds + _UPLOAD):
                return shell.ask(calls, stdin=stdin, before=before, patience=_patience(stdin))
        except BaseException:
            # Where an answer stopped halfway, the next one could not be told from its rest.
            self._drop()
            raise

    # -- looking -----------------------------------------------------------------------------------------

    def read(self, path: str) -> FileState | None:
        """See `model.Connection.read`."""
        return self._files.read(path)

    def read_many(self, paths: Iterable[str]) -> dict[str, FileState | None]:
        """`read` of several files in one round trip."""
        wanted = tuple(dict.fromkeys(paths))
        found = self._many(READ, wanted, _READ_LIMIT)
        return {path: _Given(self, ended).read(path) for path, ended in zip(wanted, found, strict=True)}

    def info(self, path: str) -> PathInfo | None:
        """See `model.Connection.info`."""
        return self._files.info(path)

    def info_many(self, paths: Iterable[str]) -> dict[str, PathInfo | None]:
        """`info` of several paths in one round trip."""
        wanted = tuple(dict.fromkeys(paths))
        found = self._many(INFO, wanted, LIMIT)
        return {path: _Given(self, ended).info(path) for path, ended in zip(wanted, found, strict=True)}

    def _many(self, script: str, paths: Sequence[str], limit: int) -> list[Ended]:
        if not paths:
            return []
        real = [posixpath.normpath(path) for path in paths]
        return self.ask(
            [Call((script, path), script=True, timeout=2, limit=limit, path=path) for path in real]
        )

    def names(self, folder: str) -> tuple[str, ...]:
        """See `model.Connection.names`."""
        return self._files.names(folder)

    def host_names(self) -> tuple[str, ...]:
        """Names and addresses that the host answers to, best first; no name server is asked.

        Its own name, its longer names from /etc/hosts, the address that it is reached by, localhost, the
        addresses of its interfaces (link-local ones left out), 127.0.0.1 and, where the loopback has it, ::1.
        """
        parts = self._files.script(_NAMES)[1].decode("utf-8", "replace").split("\n=\n")
        short, hosts, links = [*parts, "", "", ""][:3]
        return names_from(short.strip(), hosts=hosts, links=links.encode(), address=self._address)

    def clock(self) -> float:
        """The host's time now (seconds since 1970, UTC), give or take half the round trip."""
        began = time.monotonic()
        ended = self.ask([Call(("exec date +%s.%N",), script=True, timeout=10)])[0]
        passed = time.monotonic() - began
        text = ended.stdout.decode("ascii", "replace").strip()
        with suppress(ValueError):
            whole, _, part = text.partition(".")
            return float(f"{whole}.{part}" if part.isdecimal() else whole) + passed / 2
        raise HostError("it does not say what time it is", where=self.name, todo="Try `date +%s` there.")

    # -- writing -----------------------------------------------------------------------------------------

    def staged_name(self, path: str, *, tag: str) -> str:
        """`.{name}.firescreen-{tag}` beside the real file; HostError if `tag` could leave the folder."""
        _refuse_tag(tag, path)
        return self._files.staged_name(path, tag=tag)

    def stage(self, path: str, state: FileState, *, tag: str) -> str:
        """Writes `state` beside `path`; see `model.Connection.stage`. A leftover of that tag is replaced."""
        ended = self._staged(STAGE, path, state, tag)
        refuse_write(ended.code, ended.stderr.decode("utf-8", "replace"), state, path)
        return self._files.keep_identity(ended.stdout)

    def _staged(
        self, script: str, path: str, state: FileState, tag: str, more: tuple[str, ...] = ()
    ) -> Ended:
        """Runs `STAGE`, or a script that begins as it does."""
        _refuse_tag(tag, path)
        words = stage_words(posixpath.normpath(path), state, tag)

        def call(uploaded: str, text: str = "") -> Call:
            given = (*words, uploaded, text, carried(state), *more)
            return Call((script, *given), script=True, limit=_READ_LIMIT)

        with self._lock:
            shell = self._ready()
            # What is small comes with the request; keys and certificates go their own way all the same.
            alone = len(state.content) > _SMALL or b"-----BEGIN" in state.content
            uploaded = self._upload(shell, state.content) if alone else ""
            # Asked of this very shell: a connection that was lost meanwhile is not made anew halfway.
            inside = not alone and b"\0" not in state.content
            text = state.content.decode("utf-8", "surrogateescape") if inside else ""
            stdin = b"" if uploaded or inside else state.content
            ended = self._ask(shell, [call(uploaded, text)], stdin=stdin)[0]
            if uploaded and self._spec.become:
                self._empty(uploaded)
            if ended.code == SHORT and uploaded:
                # Somewhere a quota or a wrapper of the SFTP server cut it: the other way then.
                self._uploads = ""
                ended = self._ask(shell, [call("")], stdin=state.content)[0]
        return ended

    def commit(self, staged: str, path: str) -> None:
        """Renames `staged` onto the real file behind `path` in one atomic step, and onto the disk."""
        self._files.commit(staged, posixpath.normpath(path), labels=self._ready().labels)

    def swap(
        self, staged: str, path: str, *, before: FileState | None, look: bool = False
    ) -> FileState | None:
        """As `commit`, if the file still has the content and the mode of `before`; else `staged` is removed.

        Args:
            before: what is to be replaced; None for no file.
            look: whether to give the file as it is then; the answer is None without.

        Raises:
            ChangedError: it is another one, which was left alone.
        """
        words = (staged, posixpath.normpath(path), self._files.taken_identity(staged), "")
        call = Call((SWAP, *words, *self._was(before, look)), script=True, limit=_READ_LIMIT)
        return self._swapped(self.ask([call])[0], path, look)

    def put(
        self, path: str, state: FileState, *, tag: str, before: FileState | None, look: bool = False
    ) -> FileState | None:
        """`stage` and `swap` in one round trip."""
        ended = self._staged(PUT, path, state, tag, self._was(before, look))
        return self._swapped(ended, path, look, state)

    def _was(self, before: FileState | None, look: bool) -> tuple[str, str, str, str]:
        """The last arguments of `SWAP` and `PUT`."""
        mode = f"{before.mode:o}" if before is not None else ""
        digest = hashlib.sha256(before.content).hexdigest() if before is not None else ""
        return "1" if self._ready().labels else "", mode, digest, "1" if look else ""

    def _swapped(
        self, ended: Ended, path: str, look: bool, state: FileState | None = None
    ) -> FileState | None:
        if ended.code == CHANGED:
            raise ChangedError("it is another file by now", where=f"{self.name}:{path}")
        if ended.code and not ended.stdout:
            err = replace_words(ended.stderr.decode("utf-8", "replace"))
            if state is not None:
                refuse_write(ended.code, err, state, path)
            refuse(ended.code, err, path)
            raise errors.from_words(err, doing="replace", path=path)
        return _Given(self, ended).read(path) if look else None

    def remove(self, path: str) -> None:
        """Removes a file (of a link: what it leads to); no error if it is already gone."""
        self._files.remove(posixpath.normpath(path))

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

    def _upload(self, shell: RemoteShell, content: bytes) -> str:
        """Brings `content` there by SFTP, into a file of mode 0600 in a folder of mode 0700; '' if it cannot."""
        if self._uploads == "" or not content or not self._login:
            return ""
        transport = self._login.transport
        try:
            if self._sftp is None:
                with bounded(transport, CHANNEL + CHANNEL):
                    self._sftp = paramiko.SFTPClient.from_transport(transport)
                if self._sftp is None:
                    raise HostError("no channel for SFTP", where=self.name)
                channel = self._sftp.get_channel()
                if channel:
                    channel.settimeout(CHANNEL)
            if self._uploads is None:
                made = self._ask(shell, [Call((_UPLOADS,), script=True)], before=_FOLDER)[0]
                self._uploads = "" if made.code else os.fsdecode(made.stdout.strip())
                if not self._uploads:
                    return ""
            place = f"{self._uploads}/content"
            with bounded(transport, _patience(content)), self._sftp.open(place, "w") as file:
                file.set_pipelined(True)
                file.write(content)
        except _PROBLEMS as problem:
            if not transport.is_active() or isinstance(problem, TimeoutError):
                self._drop()
                raise gone(self.name) from None
            # No second session (MaxSessions 1), no SFTP server, or one that shows other folders.
            self._uploads = ""
            return ""
        return place

    def _empty(self, uploaded: str) -> None:
        """Takes away what was uploaded; the file stays, with its mode, for the next upload."""
        if self._sftp is not None and self._login is not None:
            with suppress(*_PROBLEMS), bounded(self._login.transport, _UPLOAD):
                self._sftp.truncate(uploaded, 0)

    # -- running -----------------------------------------------------------------------------------------

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = 30.0) -> Completed:
        """Runs a program (as root with become='sudo'); at a time-out its whole process group is ended.

        A program that is not there ends with code 127. At most 4 MB of standard output and 64 KB of standard
        error are kept.
        """
        ended = self.ended(argv, stdin=stdin, timeout=timeout)
        return Completed(
            tuple(argv),
            ended.code,
            ended.stdout.decode("utf-8", "replace"),
            ended.stderr.decode("utf-8", "replace"),
        )

    def run_script(self, text: str, *arguments: str, timeout: float = 30.0) -> Completed:
        """Has the open shell run a script that ends by itself: without a bound of the host's own."""
        ended = self.ask([Call((text, *arguments), script=True, timeout=timeout)])[0]
        return Completed(
            ("sh", "-c", text, "sh", *arguments),
            ended.code,
            ended.stdout.decode("utf-8", "replace"),
            ended.stderr.decode("utf-8", "replace"),
        )

    def ended(
        self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = 30.0, limit: int = LIMIT
    ) -> Ended:
        """As `run`, with the outputs as bytes and at most `limit` of them kept."""
        began = time.monotonic()
        call = Call(tuple(argv), timeout=timeout, limit=limit)
        ended = self.ask([call], stdin=stdin)[0]
        if ended.code in (124, 137) and time.monotonic() - began >= timeout * (1 - _FRACTION):
            raise HostError(
                f"{argv[0]} did not end in time and was stopped",
                where=self.name,
                todo="Look at what it waits for by running it in a terminal, then try again.",
            )
        return ended

    def program(self, argv: Sequence[str]) -> Stream:
        """Starts a program that stays open, run as operations are; the caller closes it.

        It has a connection of its own, as if it stood alone: sshd may allow one session each (MaxSessions 1).
        """
        other = SshConnection(self._spec, self._access, config=self._config)
        try:
            stream = other._ready().give_way(argv)
            return _Program(other, stream, other._login.transport if other._login else None)
        except BaseException:
            other.close()
            raise


class _Program:
    """A program in the place of a connection's shell, as a `remote.Stream`."""

    def __init__(
        self, connection: SshConnection, stream: Stream, transport: paramiko.Transport | None
    ) -> None:
        self._connection = connection
        self._stream = stream
        self._transport = transport

    def send(self, data: memoryview) -> int:
        with bounded(self._transport, _UPLOAD):
            return self._stream.send(data)

    def receive(self, seconds: float) -> bytes | None:
        return self._stream.receive(seconds)

    def close(self) -> None:
        self._connection.close()


class _Files(ShellFiles):
    """The common file operations, each script asked of the open shell."""

    def __init__(self, connection: SshConnection) -> None:
        super().__init__(connection.name)
        self._connection = connection

    def run(
        self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = 30.0, limit: int = LIMIT
    ) -> Ended:
        return self._connection.ended(argv, stdin=stdin, timeout=timeout, limit=limit)

    def script(
        self, script: str, *arguments: str, stdin: bytes = b"", limit: int = LIMIT
    ) -> tuple[int, bytes, str]:
        call = Call((script, *arguments), script=True, limit=limit)
        ended = self._connection.ask([call], stdin=stdin)[0]
        return ended.code, ended.stdout, ended.stderr.decode("utf-8", "replace")

    def scripts(self, script: str, paths: Sequence[str]) -> Iterator[tuple[int, bytes, str]]:
        calls = [Call((script, posixpath.normpath(path)), script=True, timeout=5) for path in paths]
        for ended in self._connection.ask(calls) if calls else ():
            yield ended.code, ended.stdout, ended.stderr.decode("utf-8", "replace")


class _Given(_Files):
    """The same for a script that has run already, as one of several."""

    def __init__(self, connection: SshConnection, ended: Ended) -> None:
        super().__init__(connection)
        self._ended = ended

    def script(
        self, script: str, *arguments: str, stdin: bytes = b"", limit: int = LIMIT
    ) -> tuple[int, bytes, str]:
        return self._ended.code, self._ended.stdout, self._ended.stderr.decode("utf-8", "replace")


class _ChannelStream:
    """A channel as a `remote.Stream`."""

    def __init__(self, host: str, channel: paramiko.Channel) -> None:
        self._host = host
        self._channel = channel

    def send(self, data: memoryview) -> int:
        self._channel.settimeout(_FRACTION)
        try:
            sent = self._channel.send(bytes(data[:32768]))
        except TimeoutError:
            return 0
        except _PROBLEMS:
            raise gone(self._host) from None
        if not sent:
            raise gone(self._host)
        return sent

    def receive(self, seconds: float) -> bytes | None:
        self._channel.settimeout(max(seconds, 0.001))
        try:
            return self._channel.recv(65536)
        except TimeoutError:
            return None
        except _PROBLEMS:
            raise gone(self._host) from None

    def close(self) -> None:
        with suppress(*_PROBLEMS):
            self._channel.close()


def _patience(content: bytes) -> float:
    """Seconds that may pass while `content` travels: a slow link brings 50 kB each second."""
    return _UPLOAD + len(content) / 50_000


def _refuse_tag(tag: str, path: str) -> None:
    if not _TAG.fullmatch(tag):
        raise HostError(f"the tag {tag!r} cannot be part of a file name", where=path)
