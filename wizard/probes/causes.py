"""Decides whether a scrape fails because of the client's scheme, certificate or credentials.

Prometheus only reports the reason as a text of Go's net/http and crypto packages (`lastError`).
"""

from __future__ import annotations

import re
from typing import Final, Literal, TypeAlias

Cause: TypeAlias = Literal["scheme", "certificate", "login", "other"]
"""'scheme': http instead of https or the reverse; 'certificate': a certificate or CA; 'login': user and password."""

_SIGNS: Final[tuple[tuple[Cause, re.Pattern[str]], ...]] = (
    (
        "certificate",
        re.compile(
            r"x509:|\btls: |remote error: tls|unable to (?:load|use|read) (?:the )?specified (?:CA|client)"
            r"|certificate (?:required|signed by)"
        ),
    ),
    (
        "scheme",
        re.compile(
            r"server gave HTTP response to HTTPS client|HTTP status 400\b|malformed HTTP response"
            r"|first record does not look like a TLS handshake"
        ),
    ),
    ("login", re.compile(r"HTTP status (?:401|403)\b|unable to read (?:basic auth|password|username)")),
)


def cause_of(error: str) -> Cause:
    """The cause of a scrape's error; 'other' if it has nothing to do with TLS or credentials."""
    return next((cause for cause, sign in _SIGNS if sign.search(error)), "other")
