"""Server certificates as they are shown on the wire: dates, names, usage, keys."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from wizard import certificates
from wizard.audit.report import Check
from wizard.audit.subjects import Found, ServerView, Unseen
from wizard.errors import CertificateError
from wizard.redact import plain

_DAY: Final = 86400.0
SOON: Final = 14
"""Days before its end from which on a certificate is a high finding."""
NEAR: Final = 28
"""Days before its end from which on it is a medium one."""


def _expiry(server: ServerView) -> Iterator[Found | Unseen]:
    if server.silent:
        yield Unseen(server.silent)
        return
    if server.handshake is None:
        return
    if not server.handshake.chain:
        yield Unseen(f"no certificate was shown: {server.handshake.reason}")
        return
    try:
        leaf = certificates.summary(server.handshake.chain[0])
    except CertificateError as error:
        yield Unseen(f"its certificate cannot be read: {error.what}")
        return
    left = (leaf.not_after - server.now) / _DAY
    if left < NEAR:
        day = datetime.fromtimestamp(leaf.not_after, UTC)
        when = f"in {left:.0f} days" if left >= 1 else "today" if left > 0 else f"{-left:.0f} days ago"
        yield Found(
            evidence=f"handshake with {server.service.listen}: {plain(leaf.subject, 100)} "
            f"{'expires' if left > 0 else 'expired'} {day:%Y-%m-%d} ({when})",
            severity="high" if left < SOON else "medium",
            file=server.path_of(server.web.cert_file) if server.web else "",
        )


CHECKS: Final = (
    Check(
        id="CRT-01",
        severity="high",
        title="The certificate expires soon",
        means=("wire",),
        looks_at=f"Reads the end of each certificate in a handshake: high within {SOON} days, medium within {NEAR}.",
        why="From that moment on, no client connects any more.",
        remediation="Renew the certificate",
        scope="server",
        step="renew",
        look=_expiry,
    ),
)
