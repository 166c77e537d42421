"""Checks of server certificates from the handshake (expiry, names, usage, keys), and of alert rules for their expiry."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from wizard import certificates
from wizard.audit.config_settings import settings
from wizard.audit.report import Check
from wizard.audit.subjects import ClientView, Evidence, Found, Seen, ServerView, Skipped, Unseen
from wizard.errors import CertificateError
from wizard.redact import plain

_DAY: Final = 86400.0
SOON: Final = 14
"""A certificate that expires in fewer days is a finding with severity high."""
NEAR: Final = 28
"""The same for severity medium."""
_SHORT_KEY: Final = 2048
_WEAK_HASHES: Final = ("md5", "sha1")
_OF_EXPIRY: Final = re.compile(r"(?i)(cert|ssl|tls|x509)\w*(expir|not_?after)|expir\w*_?(cert|ssl|tls)")
"""Names of metrics about expiry: probe_ssl_earliest_cert_expiry, x509_cert_not_after, firescreen_certificate_…"""


def _expiry(server: ServerView) -> Seen:
    der, instead = server.certificate()
    if instead is not None:
        yield from instead
        return
    leaf = certificates.summary(der)
    left = (leaf.not_after - server.now) / _DAY
    if left >= NEAR:
        return
    day = datetime.fromtimestamp(leaf.not_after, UTC)
    when = f"in {left:.0f} days" if left >= 1 else "within a day" if left > 0 else f"{-left:.0f} days ago"
    yield Found(
        evidence=f"handshake with {server.service.listen}: {_certificate_label(leaf.subject)} "
        f"{'expires' if left > 0 else 'expired'} {day:%Y-%m-%d} ({when})",
        severity="high" if left < SOON else "medium",
        file=_file(server),
    )


def _certificate_label(subject: str) -> str:
    return plain(f"certificate {subject}" if subject else "the certificate", 120)


def _file(server: ServerView) -> str:
    """The path of the server's certificate file; '' if unknown."""
    return server.path_of(server.web.cert_file) if server.web is not None else ""


def _names(server: ServerView) -> Seen:
    der, instead = server.certificate()
    if instead is not None:
        yield from instead
        return
    for use in server.uses:
        if use.scheme != "https" or not use.name:
            continue
        if fault := certificates.name_fault(der, use.name):
            yield Found(
                evidence=f"{use.where} asks for {plain(use.name, 100)}: {plain(fault, 200)}",
                file=use.file,
                line=use.line,
            )


def _usage(server: ServerView) -> Seen:
    der, instead = server.certificate()
    if instead is not None:
        yield from instead
        return
    leaf = certificates.summary(der)
    faults = [] if "server" in leaf.usage or leaf.usage == ("CA",) else ["it may not be used as a server's"]
    faults += ["it is a CA's: its key can sign other certificates"] if "CA" in leaf.usage else []
    if faults:
        yield Found(
            evidence=f"handshake with {server.service.listen}: {_certificate_label(leaf.subject)}: {'; '.join(faults)}",
            file=_file(server),
        )


def _weak_key(server: ServerView) -> Seen:
    der, instead = server.certificate()
    if instead is not None:
        yield from instead
        return
    assert server.handshake is not None
    for shown in server.handshake.chain:
        certificate = certificates.load(shown)
        summary = certificates.summary(shown)
        kind, _, size = summary.key.partition(" ")
        faults = []
        if kind == "RSA" and size.isdecimal() and int(size) < _SHORT_KEY:
            faults.append(f"its key is RSA {size}")
        algorithm = certificate.signature_hash_algorithm
        own = certificate.issuer == certificate.subject and shown != der
        if algorithm is not None and algorithm.name in _WEAK_HASHES and not own:
            faults.append(f"it is signed with {algorithm.name.upper()}")
        if faults:
            yield Found(
                evidence=f"handshake with {server.service.listen}: {_certificate_label(summary.subject)}: {', '.join(faults)}",
                file=_file(server),
            )


def _same_key(seen: Evidence) -> Seen:
    by_key: dict[str, list[ServerView]] = {}
    for server in seen.servers:
        if server.handshake is None or not server.handshake.chain:
            continue
        try:
            public = certificates.load(server.handshake.chain[0]).public_key()
        except CertificateError:
            continue
        raw = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        by_key.setdefault(hashlib.sha256(raw).hexdigest()[:16], []).append(server)
    if not by_key:
        yield Skipped()
    for digest, servers in by_key.items():
        hosts = list(dict.fromkeys(server.service.host for server in servers))
        if len(hosts) < 2:
            continue
        for server in servers:
            others = ", ".join(host for host in hosts if host != server.service.host)
            yield Found(
                evidence=f"handshake with {server.service.listen}: the key (SHA-256 {digest}…) is also that of {others}",
                file=_file(server),
                step=f"renew {server.key}",
                host=server.service.host,
                component=server.service.component,
                instance=server.service.instance,
            )


def _no_warning(client: ClientView) -> Seen:
    if client.problem:
        yield Unseen(client.problem)
    elif not client.asks_tls:
        yield Skipped()
    elif not any(_warns(content) for content in client.rules.values()):
        files = ", ".join(client.rules) or "no rule files"
        yield Found(
            evidence=f"no alerting rule asks for the expiry of a certificate ({files})",
            file=client.service.config_file,
        )


def _warns(rules: bytes) -> bool:
    alerts: set[tuple[str | int, ...]] = set()
    asking: set[tuple[str | int, ...]] = set()
    for setting in settings(rules):
        if setting.key == "alert":
            alerts.add(setting.path[:-1])
        elif setting.key == "expr" and _OF_EXPIRY.search(setting.text):
            asking.add(setting.path[:-1])
    return bool(alerts & asking)


CHECKS: Final = (
    Check(
        id="CRT-01",
        severity="high",
        title="The certificate expires soon",
        means=("wire",),
        looks_at=f"Reads the end of each certificate in a handshake: high within {SOON} days, medium within {NEAR}.",
        why="From that moment on, no client connects any more.",
        remediation="Renew the certificate",
        step="renew",
        look=_expiry,
    ),
    Check(
        id="CRT-02",
        severity="high",
        title="A name that a client uses is not in the certificate",
        means=("wire", "configuration"),
        looks_at="Compares the certificate of a handshake with the names in the configurations of the clients, by Go's rules.",
        why="Such a client cannot verify the server: it is down, or verification is switched off.",
        remediation="Issue the certificate again with that name, or use a name that it holds",
        step="renew",
        look=_names,
    ),
    Check(
        id="CRT-03",
        severity="medium",
        title="The certificate is made for another purpose",
        means=("wire",),
        looks_at="Reads extended key usage and basic constraints of the certificate in a handshake.",
        why="A server whose certificate is a CA's can issue certificates for every name that its clients trust it for.",
        remediation="Issue a certificate for a server, which is no CA",
        step="renew",
        look=_usage,
    ),
    Check(
        id="CRT-04",
        severity="medium",
        title="A weak key or signature",
        means=("wire",),
        looks_at="Reads key and signature of each certificate in a handshake: RSA below 2048 bits, SHA-1, MD5.",
        why="Such a key or signature can be forged; Go rejects SHA-1.",
        remediation="Issue the certificate again, with EC P-256 or RSA 2048",
        step="renew",
        look=_weak_key,
    ),
    Check(
        id="CRT-05",
        severity="medium",
        title="The same private key is used on several hosts",
        means=("wire",),
        looks_at="Compares the public keys in the handshakes of all hosts.",
        why="Whoever takes it from one host can pass for all of them.",
        remediation="Give each host a key of its own",
        scope="stack",
        look=_same_key,
    ),
    Check(
        id="CRT-06",
        severity="medium",
        title="No rule warns before a certificate expires",
        means=("configuration",),
        looks_at="Reads the rule_files of each Prometheus that scrapes over TLS, for an alert on a metric of an expiry.",
        why="The first sign of an expired certificate is then that all targets are down.",
        remediation="Add rules for the expiry: firescreen upkeep rules --stack STACK",
        scope="client",
        components=("prometheus",),
        step="rules",
        look=_no_warning,
    ),
)
