"""From a `Target` to an open SSH transport: the way there, the host's key, the login.

Promises: nothing secret is sent before the host's key is known or accepted; each thing that has to be asked for
is asked for alone, as a NeededError; a hung server, jump host or proxy is given up after a bound.
"""

from __future__ import annotations

import base64
import io
import logging
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from wizard.connections.credentials import Access
from wizard.connections.ssh import config as sshconfig
from wizard.connections.ssh import known_hosts as knownhosts
from wizard.connections.ssh.config import Target
from wizard.connections.ssh.preconnect import CONNECT, dial
from wizard.errors import AwayError, FirescreenError, HostError, NeededError
from wizard.redact import Secret, plain

BANNER = 15.0
"""Seconds for the server's first line, and again for the key exchange."""
AUTH = 30.0
"""Seconds for one try to log in; PAM is slow to say no."""
CHANNEL = 15.0
"""Seconds to open a channel, or for a request on it."""
_KEEP_ALIVE = 15
_DEPTH = 8
_IDLE = 2.0
"""Seconds after which the thread of a silent connection looks whether something is due; what arrives, and an end, wake
it at once all the same. With Paramiko's own tenth of one, 200 silent hosts wake this process 2000 times a second."""

# Paramiko logs what it then raises; without a handler Python would print that across the screen.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

_PROBLEMS = (paramiko.SSHException, EOFError, OSError)
_RSA = ("rsa-sha2-512", "rsa-sha2-256")


class Login:
    """An open, authenticated transport, with the transports and processes that it goes through.

    Args:
        target: where to.
        access: passwords and accepted keys.
        config: the SSH configuration for hosts in between, or None for the user's own.
        known_hosts: as the stack says it, for hosts in between.
        dialled: gives the connection that was made to it ahead, if there is one.

    Raises:
        NeededError: something has to be asked for; try again with it.
        HostError: it cannot be reached, is not the host on record, or does not let us in.
    """

    def __init__(
        self,
        target: Target,
        access: Access,
        *,
        config: Path | None = None,
        known_hosts: str = "",
        dialled: Callable[[], socket.socket | None] = lambda: None,
    ) -> None:
        self._access = access
        self._dialled = dialled
        self._config = config
        self._known_hosts = known_hosts
        self._opened: list[paramiko.Transport | subprocess.Popen[bytes]] = []
        try:
            self.transport = self._transport(target, depth=0)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Ends the transport and all that it went through, the farthest first."""
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
        with bounded(transport, 3 * AUTH):
            _Authentication(transport, target, self._access).run()
        transport.set_keepalive(_KEEP_ALIVE)
        transport.sock.settimeout(_IDLE)
        return transport

    def _socket(self, target: Target, depth: int) -> socket.socket | paramiko.Channel:
        if target.command:
            return self._through_command(target)
        if not target.jumps:
            try:
                # Ahead, only the host itself is dialled, and none that stands in between.
                return (self._dialled() if not depth else None) or dial(target)
            except (OSError, UnicodeError) as problem:
                raise _unreachable(target, problem) from None
        if depth >= _DEPTH:
            raise HostError(
                "its ProxyJump leads through too many hosts", where=target.host, todo="Correct ~/.ssh/config."
            )
        last = sshconfig.jump_target(target.jumps[-1], config=self._config, known_hosts=self._known_hosts)
        # What stands before the last one in the list is the way to it.
        before = target.jumps[:-1] or last.jumps
        through = self._transport(sshconfig.through(last, before), depth=depth + 1)
        try:
            return through.open_channel(
                "direct-tcpip", (target.address, target.port), ("127.0.0.1", 0), timeout=CONNECT
            )
        except _PROBLEMS as problem:
            raise AwayError(
                f"{last.host} lets us in and cannot reach {target.address}:{target.port} from there: "
                f"{plain(str(problem), 200)}",
                where=target.host,
                todo=f"Check address and port, and that {last.host} permits forwarding (AllowTcpForwarding).",
            ) from None

    def _through_command(self, target: Target) -> socket.socket:
        """ProxyCommand: a shell's command with a socket as its input and output, as ssh runs it."""
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
        blob, kind, shown = key.asbytes(), key.get_name(), str(key.fingerprint)
        can_check = {*usable, "ssh-rsa"}
        verdict = knownhosts.judge(entries, name, blob, usable=can_check)
        if verdict == "known":
            return
        address = f"{target.address}:{target.port}"
        if verdict == "revoked":
            raise HostError(
                f"its host key ({kind} {shown}) is marked as revoked in known_hosts",
                where=f"{target.host} ({address})",
                todo="Do not use this host until its owner has given it a new key.",
            )
        if verdict == "changed":
            raise knownhosts.changed(target.host, address, name, kind, shown, target.known_hosts[0])
        if self._access.accepted(target.host) != shown:
            raise NeededError(
                f"its host key is not known yet: {kind} {shown}",
                where=f"{target.host} ({address})",
                todo=knownhosts.where_shown(kind),
                kind="host-key",
                host=target.host,
                fingerprint=shown,
            )
        with self._access.writing:
            # Another connection may have written it since.
            now = knownhosts.load(target.known_hosts[:1])
            if knownhosts.judge(now, name, blob, usable=can_check) == "unknown":
                knownhosts.append(target.known_hosts[0], name, kind, blob, hashed=target.hashed)


@contextmanager
def bounded(transport: paramiko.Transport | None, seconds: float) -> Iterator[None]:
    """Ends the transport if what is done within takes longer: some of Paramiko's waits have no bound."""
    if transport is None:
        yield
        return
    mark = _BOUNDS.add(transport, seconds)
    try:
        yield
    finally:
        _BOUNDS.remove(mark)


class _Bounds:
    """Ends transports whose time is over, a tick late at most.

    One thread for all of them, while there are any: a timer for each request would be a thread for each.
    """

    _TICK = 0.5

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._due: dict[object, tuple[float, paramiko.Transport]] = {}
        self._watched = False

    def add(self, transport: paramiko.Transport, seconds: float) -> object:
        """From now on; gives what `remove` takes."""
        mark = object()
        with self._lock:
            self._due[mark] = time.monotonic() + seconds, transport
            if not self._watched:
                threading.Thread(target=self._watch, daemon=True, name="ssh-bounds").start()
                self._watched = True
        return mark

    def remove(self, mark: object) -> None:
        """It was done in time, or was ended."""
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
                # By a thread of its own: what keeps one from closing must not keep the others.
                threading.Thread(target=transport.close, daemon=True).start()


_BOUNDS = _Bounds()


def _algorithms(kind: str) -> tuple[str, ...]:
    return _RSA if kind == "ssh-rsa" else (kind,)


def _unreachable(target: Target, problem: BaseException) -> AwayError:
    place = f"{target.address}:{target.port}"
    said = plain(str(problem), 200) or type(problem).__name__
    if isinstance(problem, (socket.gaierror, UnicodeError)):
        what, todo = f"the name {target.address} does not resolve", "Check the address in the stack file."
    elif isinstance(problem, TimeoutError) or "No existing session" in said:
        what, todo = f"{place} does not answer", "Check the address, and that no firewall drops the port."
    elif isinstance(problem, ConnectionRefusedError):
        what, todo = f"nothing listens on {place}", "Check the port, and `systemctl status ssh` there."
    elif "protocol banner" in said or isinstance(problem, EOFError):
        what = f"{place} takes the connection and does not speak SSH"
        todo = "Check the port; a busy sshd may drop logins (MaxStartups), then try again."
    elif isinstance(problem, paramiko.ssh_exception.IncompatiblePeer):
        what, todo = f"no common algorithm with {place}: {said}", "Bring its sshd up to date."
    else:
        what, todo = f"no SSH connection to {place}: {said}", "Try `ssh -v` by hand; it says more."
    return AwayError(what, where=target.host, todo=todo)


class _Authentication:
    """One login: keys that need no asking, a given password, then what has to be asked for."""

    def __init__(self, transport: paramiko.Transport, target: Target, access: Access) -> None:
        self._transport = transport
        self._target = target
        self._access = access
        self._allowed: set[str] = set()
        self._tried: list[str] = []
        self._locked: list[Path] = []
        self._prompt = ""

    def run(self) -> None:
        """Logs in, or raises NeededError or HostError."""
        keys = self._keys()
        # A key that the stack names is shown at once: sshd lets each other question wait for some milliseconds.
        sure = next(keys, None) if self._target.sure else None
        if sure is not None and self._with_key(*sure):
            return
        if not self._allowed and self._try("", lambda: self._transport.auth_none(self._target.user)):
            return
        for label, key in keys:
            if "publickey" in self._allowed and self._with_key(label, key):
                return
        if self._password_allowed() and (secret := self._access.secret("password", self._target.host)):
            if self._with_password(secret):
                self._access.taken("password", self._target.host)
                return
            raise self._wrong_password()
        if "publickey" in self._allowed and self._locked:
            raise NeededError(
                f"the private key {self._locked[0]} is locked with a passphrase",
                where=self._target.host,
                todo="Type its passphrase, or load it into an agent with ssh-add.",
                kind="key",
                host=str(self._locked[0]),
            )
        if self._password_allowed():
            raise NeededError(
                f"{self._who()} asks for a password",
                where=self._target.host,
                todo="Type it, or bring a key there with ssh-copy-id.",
                kind="password",
                host=self._target.host,
            )
        raise self._denied()

    def _try(self, label: str, attempt: Callable[[], Sequence[str]]) -> bool:
        """Whether we are in; takes note of what the server allows next."""
        if label:
            self._tried.append(label)
        try:
            left = attempt()
        except paramiko.BadAuthenticationType as problem:
            self._allowed = set(problem.allowed_types)
        except paramiko.AuthenticationException as problem:
            if not self._transport.is_active():
                raise self._ended(problem) from None
        except _PROBLEMS as problem:
            if not self._transport.is_active():
                raise self._ended(problem) from None
            # An agent that does not sign (withdrawn, not confirmed) is one key less.
        else:
            self._allowed = set(left or ())
        return self._transport.is_authenticated()

    def _who(self) -> str:
        return f"{self._target.user}@{self._target.address}"

    def _ended(self, problem: BaseException) -> HostError:
        said = plain(str(problem), 200)
        if len(self._tried) > 1:
            return HostError(
                f"it ended the connection after {len(self._tried)} keys were tried for {self._who()}",
                where=self._target.host,
                todo="Name the right key with identity_file, and set IdentitiesOnly yes in ~/.ssh/config.",
            )
        return HostError(
            f"it ended the connection while {self._who()} logged in: {said}",
            where=self._target.host,
            todo="Look at its log: journalctl -u ssh.",
        )

    # -- keys --------------------------------------------------------------------------------------------

    def _keys(self) -> Iterator[tuple[str, paramiko.PKey]]:
        """Keys to try: files as named, then the agent's; a locked file whose key the agent holds is not asked for."""
        agent = paramiko.Agent()
        try:
            held = {key.asbytes(): key for key in agent.get_keys()}
            named: set[bytes] = set()
            for path in self._target.keys:
                public = _public(path)
                if public in held:
                    named.add(public)
                    yield f"{path} (agent)", held[public]
                    continue
                yield from ((str(path), key) for key in self._load(path))
            if not self._target.only_these:
                for blob, key in held.items():
                    if blob not in named:
                        yield f"{key.comment or key.get_name()} (agent)", key
        finally:
            agent.close()

    def _load(self, path: Path) -> Iterator[paramiko.PKey]:
        secret = self._access.secret("key", str(path))
        try:
            content = path.read_bytes()
        except OSError:
            return
        try:
            text = _unlocked(content, secret.reveal() if secret else "")
        except _LockedError:
            if secret is None:
                self._locked.append(path)
            elif secret:
                self._access.forget("key", str(path))
                raise NeededError(
                    f"that passphrase does not open the private key {path}",
                    where=self._target.host,
                    todo="Type it again.",
                    kind="key",
                    host=str(path),
                ) from None
            return
        except (ValueError, TypeError, UnsupportedAlgorithm):
            self._tried.append(f"{path} (not a key that can be used)")
            return
        kind, pem = text
        certificate = path.with_name(f"{path.name}-cert.pub")
        if certificate.exists():
            signed = kind.from_private_key(io.StringIO(pem))
            with suppress(*_PROBLEMS, ValueError):
                signed.load_certificate(str(certificate))
                yield signed
        yield kind.from_private_key(io.StringIO(pem))

    def _with_key(self, label: str, key: paramiko.PKey) -> bool:
        return self._try(label, partial(self._transport.auth_publickey, self._target.user, key))

    # -- passwords ---------------------------------------------------------------------------------------

    def _password_allowed(self) -> bool:
        return bool(self._allowed & {"password", "keyboard-interactive"})

    def _with_password(self, secret: Secret) -> bool:
        user, word = self._target.user, secret.reveal()
        if "password" in self._allowed:
            return self._try(
                "the password", lambda: self._transport.auth_password(user, word, fallback=False)
            )
        given: list[str] = []

        def answer(_title: str, _text: str, fields: list[tuple[str, bool]]) -> list[str]:
            # The password answers one hidden question, once; whatever else is asked stays without an answer.
            answers = []
            for prompt, echo in fields:
                fits = not echo and not given and len(fields) == 1
                if fits:
                    given.append(prompt)
                else:
                    self._prompt = prompt
                answers.append(word if fits else "")
            return answers

        return self._try("the password", lambda: self._transport.auth_interactive(user, answer))

    def _wrong_password(self) -> FirescreenError:
        self._access.forget("password", self._target.host)
        if self._prompt and "assw" not in self._prompt:
            return HostError(
                f"{self._who()} is asked for more than a password: {plain(self._prompt.strip(), 100)}",
                where=self._target.host,
                todo="Use a key for this host: such questions cannot be answered here.",
            )
        return NeededError(
            f"the password for {self._who()} was not accepted",
            where=self._target.host,
            todo="Type it again; where only keys are allowed for this user, bring one there with ssh-copy-id.",
            kind="password",
            host=self._target.host,
        )

    def _denied(self) -> HostError:
        tried = ", ".join(self._tried) or "none, for there is none here"
        return HostError(
            f"{self._who()} was not let in; it takes {', '.join(sorted(self._allowed)) or 'nothing'}, "
            f"keys tried: {tried}",
            where=self._target.host,
            todo="Check the user name; bring your key there with ssh-copy-id, or name it with identity_file.",
        )


class _LockedError(Exception):
    """A private key does not open with what was given."""


def _unlocked(content: bytes, passphrase: str) -> tuple[type[paramiko.PKey], str]:
    """A private key in any usual format, as Paramiko reads it: its class and its text without a passphrase."""
    word = passphrase.encode() or None
    openssh = b"BEGIN OPENSSH PRIVATE KEY" in content
    read = serialization.load_ssh_private_key if openssh else serialization.load_pem_private_key
    try:
        key = read(content, password=word)
    except TypeError:
        if word is None:
            raise _LockedError from None
        key = read(content, password=None)
    except ValueError:
        if word is not None:
            raise _LockedError from None
        raise
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    ).decode()
    kinds: dict[str, type[paramiko.PKey]] = {"RSA": paramiko.RSAKey, "EC": paramiko.ECDSAKey}
    kind = next((kinds[name] for name in kinds if type(key).__name__.startswith(name)), paramiko.Ed25519Key)
    return kind, text


def _public(path: Path) -> bytes:
    """The public key that lies beside a private one, or b''."""
    with suppress(OSError, ValueError, IndexError):
        return base64.b64decode(path.with_name(f"{path.name}.pub").read_text("utf-8").split()[1])
    return b""
