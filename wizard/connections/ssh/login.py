"""Opens an SSH transport to a `Target`: connects, checks the host key, logs in.

No secret is sent before the host key is known or accepted. Each secret that is missing is asked for with its own
CredentialNeededError. All waits for a server, jump host or proxy have a time limit.
"""

from __future__ import annotations

import errno
import logging
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import paramiko

from wizard.connections.credentials import Access
from wizard.connections.ssh import config as sshconfig
from wizard.connections.ssh import known_hosts as knownhosts
from wizard.connections.ssh.authentication import Authentication
from wizard.connections.ssh.config import Target
from wizard.connections.ssh.preconnect import CONNECT, dial
from wizard.errors import CredentialNeededError, HostError, UnreachableError
from wizard.redact import plain

BANNER = 15.0
"""Seconds for the server's first line, and again for the key exchange."""
AUTH = 30.0
"""Seconds for one attempt to log in; PAM is slow to reject one."""
CHANNEL = 15.0
"""Seconds to open a channel, or for a request on it."""
_KEEP_ALIVE = 15
_DEPTH = 8
_IDLE = 2.0
"""Seconds between two checks of a silent connection's thread for anything due; received data and the end of the
connection wake the thread at once. With Paramiko's default of 0.1 s, 200 silent hosts would wake this process 2000
times a second."""

# Paramiko logs the errors that it raises; without a handler Python would print them across the screen.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

_PROBLEMS = (paramiko.SSHException, EOFError, OSError)
_RSA = ("rsa-sha2-512", "rsa-sha2-256")


class Login:
    """An open, authenticated transport, with the transports and processes that it depends on.

    Args:
        target: the host.
        access: passwords and accepted keys.
        config: the SSH configuration for jump hosts, or None for the user's own.
        known_hosts: the setting in the stack file, used for jump hosts.
        early_socket: returns the TCP connection that was opened early, if there is one.

    Raises:
        CredentialNeededError: a secret is needed; try again with it.
        HostError: the host is unreachable, its key has changed, or it rejects the login.
    """

    def __init__(
        self,
        target: Target,
        access: Access,
        *,
        config: Path | None = None,
        known_hosts: str = "",
        early_socket: Callable[[], socket.socket | None] = lambda: None,
    ) -> None:
        self._access = access
        self._early_socket = early_socket
        self._config = config
        self._known_hosts = known_hosts
        self._opened: list[paramiko.Transport | subprocess.Popen[bytes]] = []
        try:
            self.transport = self._transport(target, depth=0)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Closes the transport and everything that it depends on, the last one opened first."""
        while self._opened:
            each = self._opened.pop()
            if isinstance(each, paramiko.Transport):
                each.close()
                continue
            each.kill()
            with suppress(subprocess.TimeoutExpired):
                each.wait(5)

    # -- the way there -----------------------------------------------------------------------------------

    def _transport(self, target: Target, *, depth: int) -> paramiko.Transport:
        sock = self._socket(target, depth)
        try:
            transport = paramiko.Transport(sock)
        except (*_PROBLEMS, ValueError) as problem:
            sock.close()
            raise _unreachable(target, problem) from None
        self._opened.append(transport)
        transport.banner_timeout = BANNER
        transport.handshake_timeout = BANNER
        transport.auth_timeout = AUTH
        transport.channel_timeout = CHANNEL
        name = target.key_name or knownhosts.name_of(target.address, target.port)
        entries = knownhosts.load(target.known_hosts)
        options = transport.get_security_options()
        usable = tuple(options.key_types)
        known = [each for kind in knownhosts.kinds(entries, name) for each in _algorithms(kind)]
        options.key_types = tuple(dict.fromkeys([*(each for each in known if each in usable), *usable]))
        try:
            transport.start_client(timeout=BANNER + BANNER)
            key = transport.get_remote_server_key()
        except _PROBLEMS as problem:
            raise _unreachable(target, problem) from None
        self._check(target, name, key, entries, usable)
        with time_limit(transport, 3 * AUTH):
            Authentication(transport, target, self._access).run()
        transport.set_keepalive(_KEEP_ALIVE)
        transport.sock.settimeout(_IDLE)
        return transport

    def _socket(self, target: Target, depth: int) -> socket.socket | paramiko.Channel:
        if target.command:
            return self._through_command(target)
        if not target.jumps:
            try:
                # A connection is opened early to the host itself only, not to a jump host.
                return (self._early_socket() if not depth else None) or dial(target)
            except (OSError, UnicodeError) as problem:
                raise _unreachable(target, problem) from None
        if depth >= _DEPTH:
            raise HostError(
                "its ProxyJump leads through too many hosts", where=target.host, todo="Correct ~/.ssh/config."
            )
        last = sshconfig.jump_target(target.jumps[-1], config=self._config, known_hosts=self._known_hosts)
        # The entries before the last one are the jump hosts on the way to it.
        before = target.jumps[:-1] or last.jumps
        through = self._transport(sshconfig.through(last, before), depth=depth + 1)
        try:
            return through.open_channel(
                "direct-tcpip", (target.address, target.port), ("127.0.0.1", 0), timeout=CONNECT
            )
        except _PROBLEMS as problem:
            raise UnreachableError(
                f"{last.host} accepts the login and cannot reach {target.address}:{target.port} from there: "
                f"{plain(str(problem), 200)}",
                where=target.host,
                todo=f"Check address and port, and that {last.host} permits forwarding (AllowTcpForwarding).",
            ) from None

    def _through_command(self, target: Target) -> socket.socket:
        """Runs ProxyCommand in a shell with a socket as its input and output, as ssh does."""
        ours, theirs = socket.socketpair()
        with theirs:
            command = subprocess.Popen(
                ["/bin/sh", "-c", f"exec {target.command}"],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._opened.append(command)
        return ours

    # -- the host's key ----------------------------------------------------------------------------------

    def _check(
        self,
        target: Target,
        name: str,
        key: paramiko.PKey,
        entries: Sequence[knownhosts.Entry],
        usable: Sequence[str],
    ) -> None:
        blob, kind, fingerprint = key.asbytes(), key.get_name(), str(key.fingerprint)
        can_check = {*usable, "ssh-rsa"}
        verdict = knownhosts.judge(entries, name, blob, usable=can_check)
        if verdict == "known":
            return
        address = f"{target.address}:{target.port}"
        if verdict == "revoked":
            raise HostError(
                f"its host key ({kind} {fingerprint}) is marked as revoked in known_hosts",
                where=f"{target.host} ({address})",
                todo="Do not use this host until its owner has given it a new key.",
            )
        if verdict == "changed":
            raise knownhosts.changed_key_error(
                target.host, address, name, kind, fingerprint, target.known_hosts[0]
            )
        if self._access.accepted_fingerprint(target.host) != fingerprint:
            raise CredentialNeededError(
                f"its host key is not known yet: {kind} {fingerprint}",
                where=f"{target.host} ({address})",
                todo=knownhosts.where_shown(kind),
                kind="host-key",
                host=target.host,
                fingerprint=fingerprint,
                key_type=kind,
            )
        with self._access.writing:
            # Another connection may have written it meanwhile.
            reread = knownhosts.load(target.known_hosts[:1])
            if knownhosts.judge(reread, name, blob, usable=can_check) == "unknown":
                knownhosts.append(target.known_hosts[0], name, kind, blob, hashed=target.hashed)


@contextmanager
def time_limit(transport: paramiko.Transport | None, seconds: float) -> Iterator[None]:
    """Closes the transport if the block takes longer, because some of Paramiko's waits have no time limit."""
    if transport is None:
        yield
        return
    mark = _BOUNDS.add(transport, seconds)
    try:
        yield
    finally:
        _BOUNDS.remove(mark)


class _Bounds:
    """Closes transports whose time is over, at most one tick late.

    One thread serves all of them, and runs only while there are any; timers would need one thread per request.
    """

    _TICK = 0.5

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._due: dict[object, tuple[float, paramiko.Transport]] = {}
        self._watched = False

    def add(self, transport: paramiko.Transport, seconds: float) -> object:
        """Adds a time limit that begins now; returns its mark for `remove`."""
        mark = object()
        with self._lock:
            self._due[mark] = time.monotonic() + seconds, transport
            if not self._watched:
                threading.Thread(target=self._watch, daemon=True, name="ssh-bounds").start()
                self._watched = True
        return mark

    def remove(self, mark: object) -> None:
        """Removes a time limit, whether it was kept or exceeded."""
        with self._lock:
            self._due.pop(mark, None)

    def _watch(self) -> None:
        while True:
            time.sleep(self._TICK)
            now = time.monotonic()
            with self._lock:
                late = {mark: transport for mark, (due, transport) in self._due.items() if due <= now}
                for mark in late:
                    del self._due[mark]
                self._watched = bool(self._due or late)
                if not self._watched:
                    return
            for transport in late.values():
                # In a thread of its own: if one `close` blocks, it must not delay the others.
                threading.Thread(target=transport.close, daemon=True).start()


_BOUNDS = _Bounds()


def _algorithms(kind: str) -> tuple[str, ...]:
    return _RSA if kind == "ssh-rsa" else (kind,)


def _unreachable(target: Target, problem: BaseException) -> UnreachableError:
    address = f"{target.address}:{target.port}"
    system = problem.strerror if isinstance(problem, OSError) else ""
    message = plain(system or str(problem), 200) or type(problem).__name__
    if isinstance(problem, (socket.gaierror, UnicodeError)):
        what, todo = f"the name {target.address} does not resolve", "Check its spelling, or name its address."
    elif isinstance(problem, TimeoutError) or "No existing session" in message:
        what, todo = f"{address} does not answer", "Check the address, and that no firewall drops the port."
    elif isinstance(problem, ConnectionRefusedError):
        what, todo = f"nothing listens on {address}", "Check the port, and `systemctl status ssh` there."
    elif "protocol banner" in message or isinstance(problem, EOFError):
        what = f"{address} takes the connection and does not speak SSH"
        todo = "Check the port; a busy sshd may drop logins (MaxStartups), then try again."
    elif isinstance(problem, paramiko.ssh_exception.IncompatiblePeer):
        what, todo = f"no common algorithm with {address}: {message}", "Bring its sshd up to date."
    elif isinstance(problem, OSError) and problem.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH):
        what, todo = (
            f"no SSH connection to {address}: {message}",
            "Check that the host runs, and its network.",
        )
    else:
        what, todo = f"no SSH connection to {address}: {message}", "Run `ssh -v` to that host; it says more."
    return UnreachableError(what, where=target.host, todo=todo)
