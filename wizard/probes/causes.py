"""Whether a scrape fails because the client's scheme or credentials are not those that the server demands.

Prometheus gives the reason as a text of Go's net/http and crypto packages (`lastError`), and as nothing else.
"""

from __future__ import annotations

import re
from typing import Final, Literal, TypeAlias

Cause: TypeAlias = Literal["scheme", "certificate", "login", "other"]
"""http where https is served or the other way round; a certificate or CA; user and password; anything else."""

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
    """The cause of a scrape's error; 'other' for what no change of protection cures or causes."""
    return next((cause for cause, sign in _SIGNS if sign.search(error)), "other")
