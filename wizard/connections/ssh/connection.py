"""A machine over SSH: its files and programs, as the login or as root through sudo.

A host has one connection with one open shell; an operation is one round trip and can come from any thread. Large
contents, and private keys if sudo is used, are uploaded by SFTP into a private folder; other contents, and all contents
if there is no SFTP, are sent on the shell's standard input. A file is replaced in one atomic step. If the connection is
lost during an operation, that is a HostError, and the next operation connects again.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import paramiko

from wizard.connections import errors
from wizard.connections.base import READ_LIMIT, Stream, refuse_tag
from wizard.connections.credentials import Access
from wizard.connections.errors import connection_lost_error
from wizard.connections.file_scripts import CHANGED, PUT, SHORT, STAGE, SWAP
from wizard.connections.path_script import refuse
from wizard.connections.remote_connection import RemoteShellConnection
from wizard.connections.remote_shell import START, Call, RemoteShell
from wizard.connections.shell_connection import (
    attribute_lines,
    file_read,
    refuse_write,
    replace_words,
    stage_words,
)
from wizard.connections.ssh import config as sshconfig
from wizard.connections.ssh import forwarding
from wizard.connections.ssh.channel_stream import ChannelStream, ProgramStream
from wizard.connections.ssh.login import CHANNEL, Login, time_limit
from wizard.connections.ssh.preconnect import EarlyConnection
from wizard.connections.ssh.root_shell import TerminalNeededError, become_root
from wizard.connections.subprocess_runner import Ended
from wizard.errors import CredentialNeededError, FileChangedError, FirescreenError, HostError
from wizard.model import FileState, HostSpec

_SMALL = 16384
"""Bytes; contents up to this size are sent with the request."""
# SFTPError: start-up files that print something break the SFTP protocol, as they break it for every SFTP client.
_PROBLEMS = (paramiko.SSHException, paramiko.SFTPError, EOFError, OSError)
_KNOWN_FOR = 5.0  # seconds for which an unreachable host is not connected to again
_UPLOAD = 20.0
"""Seconds for a transfer, added to the time for its size."""

# Run by the shell that stays open, which removes the folder when it ends, however it ends. /run is in memory, but only
# root can create folders in it.
_FOLDER = (
    "uploads=$(umask 077; mktemp -d /run/firescreen.XXXXXXXXXX || "
    'mktemp -d "${TMPDIR:-/tmp}/firescreen.XXXXXXXXXX")'
)
# The folder belongs to the login, because the SFTP server runs as the login.
_UPLOADS = """
umask 077
: > "$uploads/content" && { [ -z "$SUDO_UID" ] || chown -R -- "$SUDO_UID:$SUDO_GID" "$uploads"; } || exit
printf '%s\\n' "$uploads"
"""


class SshConnection(RemoteShellConnection):
    """A host over SSH. It connects when it is first used.

    Args:
        spec: the host; its address, or else its name, is looked up in the SSH configuration.
        access: passwords and accepted host keys.
        config: a file to read in place of ~/.ssh/config and the system's.
        early: the TCP connection to the host, if one was opened early.

    Every operation can raise `CredentialNeededError` (a secret is needed, see `Access`) besides `HostError`.
    """

    def __init__(
        self,
        spec: HostSpec,
        access: Access,
        *,
        config: Path | None = None,
        early: EarlyConnection | None = None,
    ) -> None:
        if spec.become not in ("", "sudo"):
            raise HostError(
                f"become can be 'sudo' or empty, not {spec.become!r}",
                where=spec.name,
                todo="Correct the stack file.",
            )
        super().__init__(spec.name)
        self._spec = spec
        self._access = access
        self._config = config
        self._early = early
        self._lock = threading.RLock()
        self._closed = False
        self._terminal = False
        self._address = ""
        self._behind = False
        self._login: Login | None = None
        self._shell: RemoteShell | None = None
        self._sftp: paramiko.SFTPClient | None = None
        self._uploads: str | None = None
        """The private folder on the host; '' if SFTP cannot be used."""
        self._failed: tuple[float, FirescreenError] | None = None
        """The error of `begin` or `fail_next` for the next operation, and from when (monotonic) it is outdated."""

    # -- the connection ----------------------------------------------------------------------------------

    def connect(self) -> None:
        """Connects, logs in and becomes root if configured; does nothing if connected."""
        self.ready()

    def begin(self, then: Callable[[], None] = lambda: None) -> None:
        """Connects in a thread; the next operation waits for it and raises its error.

        Args:
            then: is called in that thread after connecting; its errors are dropped, since the next operation finds them
            itself.
        """
        threading.Thread(target=self._begin, args=(then,), name=f"connect-{self.name}", daemon=True).start()

    def _begin(self, then: Callable[[], None]) -> None:
        with self._lock:
            try:
                self.ready()
            except FirescreenError as error:
                self._failed = float("inf"), error
                return
            with suppress(FirescreenError):
                then()

    def fail_next(self, error: FirescreenError) -> None:
        """See `Connection.fail_next`."""
        self._failed = time.monotonic() + _KNOWN_FOR, error

    @property
    def address(self) -> str:
        """The host's address according to the SSH configuration."""
        self.ready()
        return self._address

    @property
    def behind(self) -> bool:
        """Whether the host is reached through other machines."""
        self.ready()
        return self._behind

    def open_tunnel(self, place: str, seconds: float) -> socket.socket:
        """Opens a socket to host:port, as this host reaches it; see `forwarding.through`.

        It does not wait for a running operation.
        """
        login = self._login
        if login is None or not login.transport.is_active():
            self.ready()
            login = self._login
        if login is None:
            raise connection_lost_error(self.name)
        return forwarding.through(login.transport, place, seconds)

    def close(self) -> None:
        """Closes the connection, also during an operation of another thread, which then fails with a HostError."""
        self._closed = True
        self._drop()

    def _drop(self) -> None:
        """Closes everything that is open; the next operation connects again."""
        login, self._login = self._login, None
        self._shell = self._sftp = self._uploads = None
        if login:
            login.close()

    def ready(self) -> RemoteShell:
        """See `RemoteShellConnection.ready`: connects, logs in and becomes root if configured."""
        with self._lock:
            if self._closed:
                raise HostError("the connection was closed", where=self.name)
            if self._shell is not None and self._login and self._login.transport.is_active():
                return self._shell
            failed, self._failed = self._failed, None
            if failed is not None and time.monotonic() < failed[0]:
                raise failed[1]
            self._drop()
            try:
                try:
                    self._shell = self._open_shell()
                except TerminalNeededError:
                    if self._terminal:
                        raise
                    # On a new connection: with MaxSessions 1 the server might still count the old session.
                    self._terminal = True
                    self._drop()
                    self._shell = self._open_shell()
                if self._closed:  # close() came in between
                    raise HostError("the connection was closed", where=self.name)
            except BaseException as problem:
                if not isinstance(problem, CredentialNeededError):
                    self._access.host_lost(self.name)
                self._drop()
                raise
            return self._shell

    def _open_shell(self) -> RemoteShell:
        early, self._early = self._early, None
        target = early.target() if early else sshconfig.target(self._spec, config=self._config)
        self._address = target.address
        self._behind = bool(target.jumps or target.command)
        self._login = Login(
            target,
            self._access,
            config=self._config,
            known_hosts=self._spec.known_hosts,
            early_socket=early.connection if early else lambda: None,
        )
        shell = self._start_shell(self._login)
        if self._spec.become:
            become_root(shell, self._access, host=self.name, user=target.user, terminal=self._terminal)
        shell.begin()
        return shell

    def _start_shell(self, login: Login) -> RemoteShell:
        """Starts the login's shell."""
        try:
            with time_limit(login.transport, CHANNEL + CHANNEL):
                channel = login.transport.open_session(timeout=CHANNEL)
                channel.set_combine_stderr(True)
                if self._terminal:
                    channel.get_pty("dumb", 200, 50)
                channel.exec_command(START)
        except _PROBLEMS as problem:
            raise HostError(
                f"the login succeeds, but no session opens: {errors.exception_text(problem)}",
                where=self.name,
                todo="Look at its sshd_config (ForceCommand, MaxSessions, PermitTTY) and its log.",
            ) from None
        return RemoteShell(self.name, ChannelStream(self.name, channel))

    def ask(self, calls: Sequence[Call], *, stdin: bytes = b"") -> list[Ended]:
        """See `RemoteShellConnection.ask`."""
        with self._lock:
            return self._ask(self.ready(), calls, stdin=stdin)

    def _ask(
        self, shell: RemoteShell, calls: Sequence[Call], *, stdin: bytes = b"", before: str = ""
    ) -> list[Ended]:
        seconds = sum(call.timeout for call in calls) + _patience(stdin)
        try:
            # Paramiko's write has no time limit if the host no longer answers.
            with time_limit(self._login.transport if self._login else None, seconds + _UPLOAD):
                return shell.ask(calls, stdin=stdin, before=before, patience=_patience(stdin))
        except BaseException:
            # After half an answer, its rest could not be distinguished from the next answer.
            self._drop()
            raise

    # -- writing -----------------------------------------------------------------------------------------

    def stage(self, path: str, state: FileState, *, tag: str) -> str:
        """See `Connection.stage`."""
        ended = self._run_stage(STAGE, path, state, tag)
        refuse_write(ended.code, ended.stderr.decode("utf-8", "replace"), state, path)
        return self.keep_identity(ended.stdout)

    def replace_if_unchanged(
        self,
        path: str,
        state: FileState,
        *,
        tag: str,
        before: FileState | None,
        check: Callable[[str], None] | None = None,
        look: bool = False,
    ) -> FileState | None:
        """See `Connection.replace_if_unchanged`; the host compares the file just before the rename.

        It takes one round trip, or two if the staged file is checked.
        """
        mode = f"{before.mode:o}" if before is not None else ""
        digest = hashlib.sha256(before.content).hexdigest() if before is not None else ""
        expected = ("1" if self.has_labels() else "", mode, digest, "1" if look else "")
        if check is None:
            return self._check_replaced(self._run_stage(PUT, path, state, tag, expected), path, look, state)
        staged = self.stage(path, state, tag=tag)
        try:
            check(staged)
        except BaseException:
            self.remove(staged)
            raise
        arguments = (staged, posixpath.normpath(path), self.taken_identity(staged), "")
        call = Call((SWAP, *arguments, *expected), script=True, limit=READ_LIMIT)
        return self._check_replaced(self.ask([call])[0], path, look)

    def _run_stage(
        self, script: str, path: str, state: FileState, tag: str, more: tuple[str, ...] = ()
    ) -> Ended:
        """Runs `STAGE`, or a script that begins with it."""
        refuse_tag(tag, path)
        arguments = stage_words(posixpath.normpath(path), state, tag)

        def call(uploaded: str, text: str = "") -> Call:
            all_arguments = (*arguments, uploaded, text, attribute_lines(state), *more)
            return Call((script, *all_arguments), script=True, limit=READ_LIMIT)

        with self._lock:
            shell = self.ready()
            # Small contents are sent with the request. A private key is uploaded separately if sudo is used, because
            # sudo may log all input.
            is_key = b"PRIVATE KEY-----" in state.content
            separately = len(state.content) > _SMALL or (is_key and bool(self._spec.become))
            uploaded = self._upload(shell, state.content) if separately else ""
            # Uses this very shell: if the connection was lost meanwhile, the operation must not continue on a new one.
            inside = not separately and b"\0" not in state.content
            text = state.content.decode("utf-8", "surrogateescape") if inside else ""
            stdin = b"" if uploaded or inside else state.content
            ended = self._ask(shell, [call(uploaded, text)], stdin=stdin)[0]
            if uploaded and self._spec.become:
                self._empty(uploaded)
            if ended.code == SHORT and uploaded:
                # A quota or a wrapper of the SFTP server may have truncated it: send it on standard input instead.
                self._uploads = ""
                ended = self._ask(shell, [call("")], stdin=state.content)[0]
        return ended

    def _check_replaced(
        self, ended: Ended, path: str, look: bool, state: FileState | None = None
    ) -> FileState | None:
        if ended.code == CHANGED:
            raise FileChangedError("the file was replaced meanwhile", where=f"{self.name}:{path}")
        if ended.code and not ended.stdout:
            err = replace_words(ended.stderr.decode("utf-8", "replace"))
            if state is not None:
                refuse_write(ended.code, err, state, path)
            refuse(ended.code, err, path)
            raise errors.from_words(err, doing="replace", path=path)
        return file_read(ended, path) if look else None

    def _upload(self, shell: RemoteShell, content: bytes) -> str:
        """Uploads `content` by SFTP, into a file of mode 0600 in a folder of mode 0700; returns its path, or ''."""
        if self._uploads == "" or not content or not self._login:
            return ""
        transport = self._login.transport
        try:
            if self._sftp is None:
                with time_limit(transport, CHANNEL + CHANNEL):
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
            with time_limit(transport, _patience(content)), self._sftp.open(place, "w") as file:
                file.set_pipelined(True)
                file.write(content)
        except _PROBLEMS as problem:
            if not transport.is_active() or isinstance(problem, TimeoutError):
                self._drop()
                raise connection_lost_error(self.name) from None
            # No second session (MaxSessions 1), no SFTP server, or one that shows other folders.
            self._uploads = ""
            return ""
        return place

    def _empty(self, uploaded: str) -> None:
        """Removes the content of an upload; the file stays, with its mode, for the next upload."""
        if self._sftp is not None and self._login is not None:
            with suppress(*_PROBLEMS), time_limit(self._login.transport, _UPLOAD):
                self._sftp.truncate(uploaded, 0)

    # -- running -----------------------------------------------------------------------------------------

    def open_program(self, argv: Sequence[str]) -> Stream:
        """Starts a program that stays open, with the same rights as operations; the caller closes it.

        It gets a connection of its own, because sshd may allow one session per connection (MaxSessions 1).
        """
        other = SshConnection(self._spec, self._access, config=self._config)
        try:
            stream = other.ready().replace_shell(argv)
            return ProgramStream(other, stream, other._login.transport if other._login else None)
        except BaseException:
            other.close()
            raise


def _patience(content: bytes) -> float:
    """Seconds that the transfer of `content` may take: on a slow link, 50 kB are sent per second."""
    return _UPLOAD + len(content) / 50_000
