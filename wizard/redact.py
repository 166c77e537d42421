"""Keeps secrets out of screens and logs, and control characters out of terminals.

`Secret` only returns its value from `reveal`; `redact` masks hashes, keys and passwords in texts before they are shown,
logged or written to the journal.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from collections.abc import Iterable
from typing import NoReturn

MASK = "•••"
_SURE = 16
"""A secret of at least this length is masked everywhere: it cannot be part of another text by chance."""

_BCRYPT = re.compile(r"\$2[abxy]?\$(\d\d)\$[./A-Za-z0-9]{20,}")
_OTHER_HASH = re.compile(r"\$(?:apr1|1|5|6|y)\$[^\s\"']{8,}")
_PRIVATE_KEY = re.compile(
    r"-----BEGIN (?P<kind>[A-Z ]*PRIVATE KEY)-----.*?(?:-----END (?P=kind)-----|\Z)", re.DOTALL
)
_INLINE = re.compile(
    r"(?P<key>(?<![\w-])[\"']?(?:password|basicAuthPassword|credentials|client_secret|bearer_token|"
    r"secret_key|httpHeaderValue\d+)[\"']?\s*:[ \t]*)"
    # Grafana's $__file{…} is a reference to a file and no secret.
    r"(?P<value>(?![\"']?\$__file\{)(?:\"[^\"\n]*\"|'[^'\n]*'|[^\s#{\[,}][^\n#,}]*))",
)
_URL_PASSWORD = re.compile(r"(?P<head>[a-z][a-z0-9+.-]*://[^\s/:@]+:)[^\s/@]+@")


class Secret:
    """A text that must not be shown: it masks itself in `str`, `repr`, formatting and pickling."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The text itself; calls of this method need special care in a review."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(self._value)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not to be serialised")


_KEY = os.urandom(16)


def secret_fingerprint(content: bytes) -> str:
    """Six hexadecimal digits by which two secrets can be distinguished within one process, without revealing them.

    The key is different in each process: with an unkeyed digest, guessed passwords could be checked offline.
    """
    return hmac.new(_KEY, content, hashlib.sha256).hexdigest()[:6]


def fingerprint(content: bytes) -> str:
    """The first 12 hexadecimal digits of the SHA-256 digest, enough to see whether two contents differ."""
    return hashlib.sha256(content).hexdigest()[:12]


def redact(text: str, secrets: Iterable[Secret] = ()) -> str:
    """`text` with bcrypt and other hashes, private keys and inline passwords masked.

    Args:
        text: any text that will be shown or stored.
        secrets: known secrets, which are masked everywhere. A short one is only masked as a separate word: if it were
            masked within paths and words, the letters around it would reveal it.
    """
    for secret in secrets:
        value = secret.reveal()
        if len(value) >= _SURE:
            text = text.replace(value, MASK)
        elif value:
            text = re.sub(rf"(?<![\w/.-]){re.escape(value)}(?![\w/-]|\.\w)", MASK, text)
    text = _PRIVATE_KEY.sub(lambda m: f"[private key {MASK}]", text)
    text = _BCRYPT.sub(lambda m: f"$2y${m.group(1)}${MASK}{secret_fingerprint(m.group().encode())}", text)
    text = _OTHER_HASH.sub(lambda m: f"[hash {MASK}]", text)
    text = _URL_PASSWORD.sub(lambda m: f"{m.group('head')}{MASK}@", text)
    return _INLINE.sub(_mask_inline, text)


def _mask_inline(match: re.Match[str]) -> str:
    """Masks a plain-text password; leaves Prometheus' `<secret>` and YAML block markers."""
    value = match.group("value")
    if value in ("<secret>", "|", ">", "~", "null") or MASK in value:
        return match.group()
    return f"{match.group('key')}{MASK}"


# Bidirectional controls reorder the text around them on a screen; the other characters move the cursor.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


def plain(text: str, limit: int = 2000) -> str:
    """Makes a text from outside safe to show: control and direction characters become visible, the length is limited.

    Newlines and tabs are kept. A truncated text ends with the number of characters that were left out.
    """
    left_out = len(text) - limit
    cut = text[:limit]
    shown = _UNSEEN.sub(_visible, cut)
    return f"{shown}… [{left_out} more characters]" if left_out > 0 else shown


def _visible(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    return f"<{code:04X}>"
