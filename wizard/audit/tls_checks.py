"""Checks of the servers' TLS settings: versions, client certificates, cipher suites."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from wizard import certificates
from wizard.audit.report import Check
from wizard.audit.subjects import Evidence, Found, Seen, ServerView, Skipped, Unseen
from wizard.errors import CertificateError
from wizard.redact import plain

_OLD: Final = ("TLS10", "TLS11")
_WEAKER: Final = (
    "RequestClientCert",
    "RequireAnyClientCert",
    "RequireClientCert",
    "VerifyClientCertIfGiven",
)
_ALL: Final = "RequireAndVerifyClientCert"


def _old_version(server: ServerView) -> Seen:
    if server.web_problem:
        yield Unseen(server.web_problem)
    elif server.silent:
        yield Unseen(server.silent)
    min_version = server.web.min_version if server.web is not None else ""
    accepted = server.old_handshake.version if server.old_handshake is not None else ""
    if server.old_handshake is None and not min_version:
        yield Skipped()
    elif accepted or min_version in _OLD:
        ways = [f"min_version: {min_version}"] if min_version in _OLD else []
        ways += [f"handshake with {server.service.listen}: {accepted} was accepted"] if accepted else []
        yield Found(
            evidence="; ".join(ways), file=server.service.web_config, line=_line(server, "min_version")
        )


def _line(server: ServerView, setting: str) -> int:
    return server.web.lines.get(setting, 0) if server.web is not None else 0


def _weak_demand(server: ServerView) -> Seen:
    web = server.web
    if server.web_problem:
        yield Unseen(server.web_problem)
    elif web is None or not (web.client_ca_file or web.client_auth_type or "client_ca" in web.inline):
        yield Skipped()
    elif web.client_auth_type in _WEAKER:
        password = "; a password is required besides" if web.users else ""
        yield Found(
            evidence=f"client_auth_type: {web.client_auth_type} accepts clients without a verified certificate{password}",
            file=server.service.web_config,
            line=_line(server, "client_auth_type"),
            severity="low" if web.users else None,
        )
    elif web.client_auth_type != _ALL:
        yield Found(
            evidence="a client CA is named, but no client_auth_type: no certificate is asked for",
            file=server.service.web_config,
            line=_line(server, "client_ca_file"),
            severity="low" if web.users else None,
        )


def _shared_ca(seen: Evidence) -> Seen:
    applies = False
    for server in seen.servers:
        web = server.web
        if web is None or web.client_auth_type != _ALL or not web.client_ca_file:
            continue
        applies = True
        if web.client_allowed_sans:
            continue
        for reason in _others_of(server, seen):
            yield Found(
                evidence=f"{server.path_of(web.client_ca_file)} {reason}, and client_allowed_sans is not set",
                file=server.service.web_config,
                line=_line(server, "client_ca_file"),
                step=f"secure {server.key}",
                host=server.service.host,
                component=server.service.component,
                instance=server.service.instance,
            )
            break
    if not applies:
        yield Skipped()


def _others_of(server: ServerView, seen: Evidence) -> Iterator[str]:
    """Reasons why a server's client CA file accepts other clients than intended, as clauses."""
    assert server.web is not None
    state = server.host.read(server.path_of(server.web.client_ca_file))
    if state is None:
        return
    try:
        anchors = certificates.bundle(state.content)
    except CertificateError:
        return
    if len(anchors) > 1:
        yield f"holds {len(anchors)} CAs"
    for other in seen.servers:
        if other.handshake is None or not other.handshake.chain or other.service.host == server.service.host:
            continue
        leaf = certificates.load(other.handshake.chain[0])
        usage = certificates.summary(other.handshake.chain[0]).usage
        if "client" in usage and any(leaf.issuer == anchor.subject for anchor in anchors):
            yield f"also signed the certificate of {plain(other.key)}, which may be used as a client's"


def _own_ciphers(server: ServerView) -> Seen:
    if server.web_problem:
        yield Unseen(server.web_problem)
    elif server.web is None or not server.web.encrypted:
        yield Skipped()
    elif line := _line(server, "cipher_suites"):
        yield Found(evidence="cipher_suites is set", file=server.service.web_config, line=line)


CHECKS: Final = (
    Check(
        id="TLS-01",
        severity="high",
        title="A TLS version below 1.2 is accepted",
        means=("configuration", "wire"),
        looks_at="Reads min_version, and offers TLS 1.0 and 1.1 alone in a handshake.",
        why="These versions have known attacks; no client of today needs them.",
        remediation="Remove min_version from the web configuration: TLS 1.2 is the default",
        look=_old_version,
    ),
    Check(
        id="TLS-02",
        severity="high",
        title="Clients without a verified certificate are accepted",
        means=("configuration",),
        looks_at="Reads client_auth_type of each web configuration that names a client CA.",
        why="Only RequireAndVerifyClientCert rejects a client that shows no certificate, or one of another CA.",
        remediation="Set client_auth_type: RequireAndVerifyClientCert",
        step="secure",
        look=_weak_demand,
    ),
    Check(
        id="TLS-03",
        severity="medium",
        title="More clients than meant have a certificate that is accepted",
        means=("configuration", "wire"),
        looks_at="Looks for other certificates of the client CA that may be used by clients.",
        why="Every program with a certificate of that CA is accepted, whatever its certificate was made for.",
        remediation="Set client_allowed_sans to the names of your clients, or use a CA of its own for clients",
        scope="stack",
        look=_shared_ca,
    ),
    Check(
        id="TLS-04",
        severity="low",
        title="A list of cipher suites of one's own is set",
        means=("configuration",),
        looks_at="Looks for cipher_suites in each web configuration.",
        why="Such a list grows old: it keeps weak suites and knows no new ones. TLS 1.3 ignores it.",
        remediation="Remove cipher_suites",
        look=_own_ciphers,
    ),
)
