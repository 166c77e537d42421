"""Warns about a CA file with an intermediate CA but without its root. Pure."""

from __future__ import annotations

import time

from wizard.certificates import issue, signatures
from wizard.model import Finding
from wizard.planner import credentials
from wizard.redact import plain

_DAY = 86400


def missing_root_findings(
    trusted: bytes, certificate: bytes, *, host: str, component: str, path: str, server: str
) -> tuple[Finding, ...]:
    """Warns if a CA file verifies a server's certificate by an intermediate CA alone; () otherwise.

    Args:
        trusted: the CA file, PEM.
        certificate: the certificate chain that the server presents, PEM, the leaf first.
        host: where the CA file is.
        component: the component that reads it.
        path: its path there.
        server: host/component of the server.
    """
    anchor = signatures.intermediate_issuer(trusted, certificate)
    if not anchor:
        return ()
    found = issue.summary(anchor)
    root, own = plain(found.issuer), plain(found.subject)
    sent = any(each.strip() == anchor.strip() for each in credentials.certificates_in(certificate))
    days = int((found.not_after - time.time()) // _DAY)
    first = "" if sent else f"append the certificate of {own} to the server's certificate file, then "
    return (
        Finding(
            id="ca-is-intermediate",
            host=host,
            component=component,
            what=(
                f"{path} holds {own}, an intermediate CA signed by {root}, and not that root: clients accept "
                f"{server} only as long as its certificate is issued by {own} (valid for {days} more days)"
            ),
            why="A certificate that is renewed under another intermediate CA of the same root is not trusted.",
            remediation=f"{first}use the certificate of the root ({root}) as ca_file",
        ),
    )
