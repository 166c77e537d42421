"""Logs in over SSH: with keys that need no passphrase, with a password that was given, then with secrets to ask for.

If several secrets are needed, each is asked for with its own CredentialNeededError.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from wizard.connections.credentials import Access
from wizard.connections.ssh.config import Target
from wizard.errors import CredentialNeededError, FirescreenError, HostError
from wizard.redact import Secret, plain

_PROBLEMS = (paramiko.SSHException, EOFError, OSError)


class Authentication:
    """One login: keys that need no passphrase, then a password that was given, then secrets to ask for."""

    def __init__(self, transport: paramiko.Transport, target: Target, access: Access) -> None:
        self._transport = transport
        self._target = target
        self._access = access
        self._allowed: set[str] = set()
        self._tried: list[str] = []
        self._locked: list[Path] = []
        self._prompt = ""

    def run(self) -> None:
        """Logs in.

        Raises:
            CredentialNeededError: a password or passphrase is needed. HostError: the login was rejected.
        """
        keys = self._keys()
        # A key that the stack file names is tried first: sshd delays its answer to each other request by some
        # milliseconds.
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
                self._access.secret_accepted("password", self._target.host)
                return
            raise self._wrong_password()
        if "publickey" in self._allowed and self._locked:
            raise CredentialNeededError(
                f"the private key {self._locked[0]} is encrypted with a passphrase",
                where=self._target.host,
                todo="Type its passphrase, or load it into an agent with ssh-add.",
                kind="key",
                host=str(self._locked[0]),
            )
        if self._password_allowed():
            raise CredentialNeededError(
                f"{self._who()} asks for a password",
                where=self._target.host,
                todo="Type it, or bring a key there with ssh-copy-id.",
                kind="password",
                host=self._target.host,
            )
        raise self._denied_error()

    def _try(self, label: str, attempt: Callable[[], Sequence[str]]) -> bool:
        """Tries one method; returns whether the login succeeded, and records which methods the server allows next."""
        if label:
            self._tried.append(label)
        try:
            left = attempt()
        except paramiko.BadAuthenticationType as problem:
            self._allowed = set(problem.allowed_types)
        except paramiko.AuthenticationException as problem:
            if not self._transport.is_active():
                raise self._closed_error(problem) from None
        except _PROBLEMS as problem:
            if not self._transport.is_active():
                raise self._closed_error(problem) from None
            # An agent that does not sign (key removed, use not confirmed) counts as one key less.
        else:
            self._allowed = set(left or ())
        return self._transport.is_authenticated()

    def _who(self) -> str:
        return f"{self._target.user}@{self._target.address}"

    def _closed_error(self, problem: BaseException) -> HostError:
        message = plain(str(problem), 200)
        if len(self._tried) > 1:
            return HostError(
                f"the server closed the connection after {len(self._tried)} keys were tried for {self._who()}",
                where=self._target.host,
                todo="Name the right key with identity_file, and set IdentitiesOnly yes in ~/.ssh/config.",
            )
        return HostError(
            f"the server closed the connection while {self._who()} logged in: {message}",
            where=self._target.host,
            todo="Look at its log: journalctl -u ssh.",
        )

    # -- keys --------------------------------------------------------------------------------------------

    def _keys(self) -> Iterator[tuple[str, paramiko.PKey]]:
        """Keys to try: named files, then the agent's; for a file whose key is in the agent, the agent is used."""
        agent = paramiko.Agent()
        try:
            agent_keys = {key.asbytes(): key for key in agent.get_keys()}
            named: set[bytes] = set()
            for path in self._target.keys:
                public = _public(path)
                if public in agent_keys:
                    named.add(public)
                    yield f"{path} (agent)", agent_keys[public]
                    continue
                yield from ((str(path), key) for key in self._load(path))
            if not self._target.only_these:
                for blob, key in agent_keys.items():
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
            text = _decrypt_key(content, secret.reveal() if secret else "")
        except _LockedError:
            if secret is None:
                self._locked.append(path)
            elif secret:
                self._access.forget("key", str(path))
                raise CredentialNeededError(
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
        user, password = self._target.user, secret.reveal()
        if "password" in self._allowed:
            return self._try(
                "the password", lambda: self._transport.auth_password(user, password, fallback=False)
            )
        answered: list[str] = []

        def answer(_title: str, _text: str, fields: list[tuple[str, bool]]) -> list[str]:
            # The password answers one hidden prompt, once; all other prompts get an empty answer.
            answers = []
            for prompt, echo in fields:
                fits = not echo and not answered and len(fields) == 1
                if fits:
                    answered.append(prompt)
                else:
                    self._prompt = prompt
                answers.append(password if fits else "")
            return answers

        return self._try("the password", lambda: self._transport.auth_interactive(user, answer))

    def _wrong_password(self) -> FirescreenError:
        self._access.forget("password", self._target.host)
        if self._prompt and "assw" not in self._prompt:
            return HostError(
                f"{self._who()} must answer more than a password prompt: {plain(self._prompt.strip(), 100)}",
                where=self._target.host,
                todo="Use a key for this host: Firescreen cannot answer such prompts.",
            )
        return CredentialNeededError(
            f"the password for {self._who()} was not accepted",
            where=self._target.host,
            todo="Type it again; where only keys are allowed for this user, bring one there with ssh-copy-id.",
            kind="password",
            host=self._target.host,
        )

    def _denied_error(self) -> HostError:
        tried = ", ".join(self._tried) or "none, for there is none here"
        return HostError(
            f"the login of {self._who()} was rejected; the server takes {', '.join(sorted(self._allowed)) or 'nothing'}, "
            f"keys tried: {tried}",
            where=self._target.host,
            todo="Check the user name; bring your key there with ssh-copy-id, or name it with identity_file.",
        )


class _LockedError(Exception):
    """A private key is encrypted, and the given passphrase does not decrypt it."""


def _decrypt_key(content: bytes, passphrase: str) -> tuple[type[paramiko.PKey], str]:
    """Decrypts a private key in any usual format; returns its Paramiko class and its text without a passphrase."""
    password = passphrase.encode() or None
    openssh = b"BEGIN OPENSSH PRIVATE KEY" in content
    load_key = serialization.load_ssh_private_key if openssh else serialization.load_pem_private_key
    try:
        key = load_key(content, password=password)
    except TypeError:
        if password is None:
            raise _LockedError from None
        key = load_key(content, password=None)
    except ValueError:
        if password is not None:
            raise _LockedError from None
        raise
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    ).decode()
    kinds: dict[str, type[paramiko.PKey]] = {"RSA": paramiko.RSAKey, "EC": paramiko.ECDSAKey}
    kind = next((kinds[name] for name in kinds if type(key).__name__.startswith(name)), paramiko.Ed25519Key)
    return kind, text


def _public(path: Path) -> bytes:
    """The public key from the .pub file beside a private key, or b''."""
    with suppress(OSError, ValueError, IndexError):
        return base64.b64decode(path.with_name(f"{path.name}.pub").read_text("utf-8").split()[1])
    return b""
