"""What connections may use that no file holds: passwords, passphrases and the host keys a person said yes to.

Kept in memory for as long as the engine lives, shared by all its connections, and never written anywhere.
"""

from __future__ import annotations

import threading
from typing import Literal, TypeAlias

from wizard.redact import Secret

SecretKind: TypeAlias = Literal["password", "key", "sudo"]


class Access:
    """Answers to what `errors.NeededError` asks for; safe to use from several threads.

    `host` is what the error called `host`: the host's name, or with kind 'key' the path of the private key,
    so that one passphrase serves all the hosts that the key opens.
    """

    def __init__(self) -> None:
        self._secrets: dict[tuple[SecretKind, str], Secret] = {}
        self._accepted: dict[str, str] = {}
        self.writing = threading.Lock()
        """Held while a known_hosts file is rewritten."""

    def secret(self, kind: SecretKind, host: str) -> Secret | None:
        """What was given, or None; with kind 'key' an empty secret means: do without this key."""
        return self._secrets.get((kind, host))

    def give(self, kind: SecretKind, host: str, secret: Secret) -> None:
        """Keeps an answer for all connections to come."""
        self._secrets[kind, host] = secret

    def forget(self, kind: SecretKind, host: str) -> None:
        """Drops an answer that was refused, so that it is never sent a second time."""
        self._secrets.pop((kind, host), None)

    def accept(self, host: str, fingerprint: str) -> None:
        """The person says that the host's key is the one with this fingerprint (SHA256:…)."""
        self._accepted[host] = fingerprint

    def accepted(self, host: str) -> str:
        """The fingerprint that was accepted for a host, or ''."""
        return self._accepted.get(host, "")
