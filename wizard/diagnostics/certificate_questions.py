"""The questions about certificates: why one end does not accept what the other shows, and what its files hold.

Each answer is the id of a fault, or '' where the hosts do not say.
"""

from __future__ import annotations

import posixpath
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from wizard import certificates
from wizard.diagnostics import catalogue
from wizard.diagnostics.catalogue import Diagnosis
from wizard.diagnostics.connection_view import ConnectionView, content_of
from wizard.errors import FirescreenError
from wizard.model import CertificateSummary

_CLOCK: Final = 60.0
_CERTIFICATES: Final = 64
_DEMANDING: Final = (
    "RequireAnyClientCert",
    "RequireClientCert",
    "RequireAndVerifyClientCert",
    "VerifyClientCertIfGiven",
)
_VERIFYING: Final = ("RequireAndVerifyClientCert", "VerifyClientCertIfGiven")


class CertificateQuestions:
    """Answers the questions about certificates of one connection.

    Args:
        view: its two ends.
    """

    def __init__(self, view: ConnectionView) -> None:
        self._view = view

    def server_certificate(self, found: Diagnosis) -> str:
        """Why this client would not trust what the server shows."""
        of = self._view.of
        if not of.url.startswith("https:") or (not of.known and of.client is None):
            return ""
        anchors = content_of(of.client, of.ca_file) if of.ca_file else b""
        if anchors is None:
            return "client-ca-file"
        with tempfile.TemporaryDirectory(prefix="firescreen-") as folder:
            copy = Path(folder) / "ca.crt"
            copy.write_bytes(anchors)
            attempt = self._view.verify(of.url, str(copy) if of.ca_file else "")
        if attempt.outcome != "untrusted" or attempt.tls is None or not attempt.tls.chain:
            return "client-clock" if attempt.tls and attempt.tls.chain and self._clock_is_wrong() else ""
        said = catalogue.diagnose(attempt.reason)
        if said is None or said.id == "x509-time":
            return _by_time(attempt.tls.chain[0]) if said else ""
        return said.fault or self._which_ca(attempt.tls.chain, anchors)

    def _which_ca(self, chain: Sequence[CertificateSummary], pem: bytes) -> str:
        last = chain[-1]
        if len(chain) == 1 and last.subject == last.issuer:
            return "server-self-signed"
        if not self._view.of.ca_file:
            return "server-ca-not-given"
        anchors = certificates.bundle(pem)
        names = {_summary(anchor).subject for anchor in anchors}
        if last.issuer in names:
            return "server-ca-renewed"
        return "server-chain-incomplete" if self._intermediate(last.issuer, names) else "server-ca-other"

    def _intermediate(self, issuer: str, anchors: set[str]) -> bool:
        """Whether the CA between the server's certificate and the client's CA lies about on the server."""
        folder = posixpath.dirname(self._view.web_file("cert_file"))
        if not folder or self._view.of.server is None:
            return False
        names = [
            name for name in self._view.of.server.names(folder) if name.endswith((".crt", ".pem", ".cer"))
        ]
        for name in names[:_CERTIFICATES]:
            for certificate in _certificates(content_of(self._view.of.server, posixpath.join(folder, name))):
                summary = _summary(certificate)
                if (
                    summary.subject == issuer
                    and summary.issuer in anchors
                    and summary.subject != summary.issuer
                ):
                    return True
        return False

    def _clock_is_wrong(self) -> bool:
        if self._view.of.client is None:
            return False
        ended = self._view.of.client.run(["date", "+%s"], timeout=5)
        told = ended.stdout.strip()
        return ended.code == 0 and told.isdecimal() and abs(int(told) - time.time()) > _CLOCK

    def client_certificate(self, found: Diagnosis) -> str:
        """Why the server would not take what this client shows."""
        of = self._view.of
        config = self._view.web()
        if not of.known:
            return ""
        if config is None:
            bare = self._view.ask(of.url) if of.url.startswith("https:") and not of.cert_file else None
            return "client-cert-none" if bare and bare.outcome == "refused" else ""
        if config.client_auth_type not in _DEMANDING:
            return ""
        if not of.cert_file:
            given = config.client_auth_type == "VerifyClientCertIfGiven"
            return (
                ("allowed-sans-panic" if config.client_allowed_sans else "") if given else "client-cert-none"
            )
        shown = content_of(of.client, of.cert_file)
        if shown is None:
            return "client-file"
        chain = certificates.chain(shown)
        if config.client_auth_type in _VERIFYING and (fault := self._chain_fault(chain)):
            return fault
        leaf = _summary(chain[0])
        allowed = config.client_allowed_sans
        return "client-cert-san" if allowed and not set(allowed) & set(leaf.names) else ""

    def _chain_fault(self, chain: tuple[x509.Certificate, ...]) -> str:
        anchors = certificates.pool(
            content_of(self._view.of.server, self._view.web_file("client_ca_file")) or b""
        )
        reason = certificates.verdict(chain, anchors=anchors, name="", purpose="client")
        if "expired" in reason:
            begins = chain[0].not_valid_before_utc
            return "client-cert-not-yet" if datetime.now(UTC) < begins else "client-cert-expired"
        if "incompatible key usage" in reason:
            return "client-cert-usage"
        return "client-cert-ca" if reason else ""

    def client_files(self, found: Diagnosis) -> str:
        """What is wrong with the files that the client names."""
        of = self._view.of
        if of.ca_file:
            content = content_of(of.client, of.ca_file)
            if content is None:
                return "client-ca-file"
            if not _certificates(content):
                return "client-ca-not-pem"
        if not of.cert_file and not of.key_file:
            return ""
        pair = [content_of(of.client, path) for path in (of.cert_file, of.key_file or of.cert_file)]
        certificate, key = pair
        if certificate is None or key is None:
            return "client-file"
        if not _certificates(certificate):
            return "client-pair-switched" if b"PRIVATE KEY-----" in certificate else "client-file"
        if b"ENCRYPTED" in key:
            return "client-key-encrypted"
        return "" if certificates.matches(certificate, key) else "client-pair"


def _certificates(pem: bytes | None) -> tuple[x509.Certificate, ...]:
    try:
        return certificates.bundle(pem or b"")
    except FirescreenError:
        return ()


def _summary(certificate: x509.Certificate) -> CertificateSummary:
    return certificates.summary(certificate.public_bytes(Encoding.DER))


def _by_time(leaf: CertificateSummary) -> str:
    now = time.time()
    if now < leaf.not_before:
        return "server-not-yet"
    return "server-expired" if now > leaf.not_after else "server-ca-expired"
