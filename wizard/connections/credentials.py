"""Passwords, passphrases and accepted host keys.

They are kept in memory only, for the lifetime of the engine, and shared by all its connections.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from wizard.redact import Secret

SecretKind: TypeAlias = Literal["password", "key", "sudo"]

_PATIENCE = 60.0
"""Seconds that other hosts wait until the first host accepts a password: as long as the first may need for it."""


@dataclass(slots=True, eq=False)
class _Common:
    """A password that a person gave for all hosts."""

    secret: Secret
    first: str
    """The host that asked for it. No other host is sent the password before this one has accepted it: a mistyped
    password sent to twenty hosts could lock an account twenty times."""
    taken: bool = False
    refused: set[str] = field(default_factory=set)


class Access:
    """The answers to `errors.CredentialNeededError`; thread-safe.

    `host` is the `host` of the error: the host's name, or with kind 'key' the path of the private key, so that one
    passphrase serves all the hosts that accept the key.
    """

    def __init__(self) -> None:
        self._secrets: dict[tuple[SecretKind, str], Secret] = {}
        self._accepted: dict[str, str] = {}
        self._common: dict[SecretKind, _Common] = {}
        self._changed = threading.Condition()
        self.writing = threading.Lock()
        """Held while a known_hosts file is rewritten."""

    def secret(self, kind: SecretKind, host: str) -> Secret | None:
        """The secret that was given, or None; with kind 'key' an empty secret means: do not use this key.

        A password for all hosts is tried on one host first; the others wait for the outcome.
        """
        with self._changed:
            secret, common = self._secrets.get((kind, host)), self._common.get(kind)
            if secret is not None or common is None or host in common.refused:
                return secret
            self._changed.wait_for(lambda: common.taken or self._common.get(kind) is not common, _PATIENCE)
            return common.secret if common.taken and self._common.get(kind) is common else None

    def give(self, kind: SecretKind, host: str, secret: Secret, *, everywhere: bool = False) -> None:
        """Stores an answer for all later connections; with `everywhere`, for all hosts that need one of that kind."""
        with self._changed:
            self._secrets[kind, host] = secret
            if everywhere:
                self._common[kind] = _Common(secret, host)
            self._changed.notify_all()

    def secret_accepted(self, kind: SecretKind, host: str) -> None:
        """Records that a host accepted the secret."""
        with self._changed:
            common = self._common.get(kind)
            if common is not None and common.first == host:
                common.taken = True
            self._changed.notify_all()

    def forget(self, kind: SecretKind, host: str) -> None:
        """Removes an answer that was rejected, so that it is never sent again."""
        with self._changed:
            self._secrets.pop((kind, host), None)
            common = self._common.get(kind)
            if common is not None and common.first == host and not common.taken:
                del self._common[kind]
            elif common is not None:
                common.refused.add(host)
            self._changed.notify_all()

    def host_lost(self, host: str) -> None:
        """Records that a host cannot be used; removes a password for all hosts that it was to try first."""
        with self._changed:
            for kind, common in tuple(self._common.items()):
                if common.first == host and not common.taken:
                    del self._common[kind]
            self._changed.notify_all()

    def accept(self, host: str, fingerprint: str) -> None:
        """Records that the user accepted the host key with this fingerprint (SHA256:…)."""
        self._accepted[host] = fingerprint

    def accepted_fingerprint(self, host: str) -> str:
        """The accepted fingerprint of a host's key, or ''."""
        return self._accepted.get(host, "")
