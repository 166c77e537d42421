"""Answers the questions about certificates: why one end rejects the other's certificate, and what its files contain.

Each answer is the id of a fault, or '' where the hosts do not show one.
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

_MAX_CLOCK_DIFFERENCE: Final = 60.0
"""Seconds by which the clock of a client's host may differ from this machine's."""
_MAX_FILES: Final = 64
"""Certificate files in one folder that are read at most."""
_REQUEST_CERTIFICATE: Final = (
    "RequireAnyClientCert",
    "RequireClientCert",
    "RequireAndVerifyClientCert",
    "VerifyClientCertIfGiven",
)
"""Values of client_auth_type with which the server requires a client certificate, or checks one that is sent."""
_VERIFY_CERTIFICATE: Final = ("RequireAndVerifyClientCert", "VerifyClientCertIfGiven")
"""Values of client_auth_type with which the server verifies the client certificate against client_ca_file."""

_TIME_DIAGNOSES: Final = ("x509-time", "x509-not-yet-valid")
"""Ids of the diagnoses of Go's error about a certificate that has expired or is not yet valid."""


class CertificateQuestions:
    """Answers the questions about certificates of one connection.

    Args:
        view: reads the files at both ends and probes the server.
    """

    def __init__(self, view: ConnectionView) -> None:
        self._view = view

    def server_certificate(self, found: Diagnosis) -> str:
        """Finds out why this client does not trust the server's certificate."""
        evidence = self._view.evidence
        if not evidence.url.startswith("https:") or (not evidence.known and evidence.client is None):
            return ""
        anchors = content_of(evidence.client, evidence.ca_file) if evidence.ca_file else b""
        if anchors is None:
            return "client-ca-file"
        with tempfile.TemporaryDirectory(prefix="firescreen-") as folder:
            copy = Path(folder) / "ca.crt"
            copy.write_bytes(anchors)
            attempt = self._view.verify(evidence.url, str(copy) if evidence.ca_file else "")
        if attempt.outcome != "untrusted" or attempt.tls is None or not attempt.tls.chain:
            return "client-clock" if attempt.tls and attempt.tls.chain and self._clock_is_wrong() else ""
        diagnosis = catalogue.diagnose(attempt.reason)
        if diagnosis is None or diagnosis.id in _TIME_DIAGNOSES:
            return _validity_fault(attempt.tls.chain[0]) if diagnosis else ""
        return diagnosis.fault or self._unknown_ca_fault(attempt.tls.chain, anchors)

    def _unknown_ca_fault(self, chain: Sequence[CertificateSummary], pem: bytes) -> str:
        last = chain[-1]
        if len(chain) == 1 and last.subject == last.issuer:
            return "server-self-signed"
        if not self._view.evidence.ca_file:
            return "server-ca-not-given"
        anchors = certificates.bundle(pem)
        names = {_summary(anchor).subject for anchor in anchors}
        if last.issuer in names:
            return "server-ca-renewed"
        return "server-chain-incomplete" if self._intermediate(last.issuer, names) else "server-ca-other"

    def _intermediate(self, issuer: str, anchors: set[str]) -> bool:
        """Whether the folder of the server's certificate contains the intermediate CA certificate.

        Args:
            issuer: the issuer of the last certificate that the server sends.
            anchors: the subjects of the CA certificates in the client's CA file.
        """
        folder = posixpath.dirname(self._view.web_file("cert_file"))
        if not folder or self._view.evidence.server is None:
            return False
        names = [
            name
            for name in self._view.evidence.server.names(folder)
            if name.endswith((".crt", ".pem", ".cer"))
        ]
        for name in names[:_MAX_FILES]:
            for certificate in _certificates(
                content_of(self._view.evidence.server, posixpath.join(folder, name))
            ):
                summary = _summary(certificate)
                if (
                    summary.subject == issuer
                    and summary.issuer in anchors
                    and summary.subject != summary.issuer
                ):
                    return True
        return False

    def _clock_is_wrong(self) -> bool:
        if self._view.evidence.client is None:
            return False
        ended = self._view.evidence.client.run(["date", "+%s"], timeout=5)
        seconds = ended.stdout.strip()
        return (
            ended.code == 0
            and seconds.isdecimal()
            and abs(int(seconds) - time.time()) > _MAX_CLOCK_DIFFERENCE
        )

    def client_certificate(self, found: Diagnosis) -> str:
        """Finds out why the server rejects this client's certificate, or its lack of one."""
        evidence = self._view.evidence
        config = self._view.web()
        if not evidence.known:
            return ""
        if config is None:
            without = (
                self._view.ask(evidence.url)
                if evidence.url.startswith("https:") and not evidence.cert_file
                else None
            )
            return "client-cert-none" if without and without.outcome == "refused" else ""
        if config.client_auth_type not in _REQUEST_CERTIFICATE:
            return ""
        if not evidence.cert_file:
            if config.client_auth_type != "VerifyClientCertIfGiven":
                return "client-cert-none"
            return "allowed-sans-panic" if config.client_allowed_sans else ""
        content = content_of(evidence.client, evidence.cert_file)
        if content is None:
            return "client-file"
        chain = certificates.chain(content)
        if config.client_auth_type in _VERIFY_CERTIFICATE and (fault := self._chain_fault(chain)):
            return fault
        leaf = _summary(chain[0])
        allowed = config.client_allowed_sans
        return "client-cert-san" if allowed and not set(allowed) & set(leaf.names) else ""

    def _chain_fault(self, chain: tuple[x509.Certificate, ...]) -> str:
        anchors = certificates.pool(
            content_of(self._view.evidence.server, self._view.web_file("client_ca_file")) or b""
        )
        reason = certificates.verdict(chain, anchors=anchors, name="", purpose="client")
        if "expired" in reason:
            not_before = chain[0].not_valid_before_utc
            return "client-cert-not-yet" if datetime.now(UTC) < not_before else "client-cert-expired"
        if "incompatible key usage" in reason:
            return "client-cert-usage"
        return "client-cert-ca" if reason else ""

    def client_files(self, found: Diagnosis) -> str:
        """Finds out what is wrong with the CA, certificate and key files in the client's configuration."""
        evidence = self._view.evidence
        if evidence.ca_file:
            content = content_of(evidence.client, evidence.ca_file)
            if content is None:
                return "client-ca-file"
            if not _certificates(content):
                return "client-ca-not-pem"
        if not evidence.cert_file and not evidence.key_file:
            return ""
        pair = [
            content_of(evidence.client, path)
            for path in (evidence.cert_file, evidence.key_file or evidence.cert_file)
        ]
        certificate, key = pair
        if certificate is None or key is None:
            return "client-file"
        if not _certificates(certificate):
            return "client-pair-switched" if b"PRIVATE KEY-----" in certificate else "client-file"
        if b"ENCRYPTED" in key:
            return "client-key-encrypted"
        return "" if certificates.matches(certificate, key) else "client-pair"


def _certificates(pem: bytes | None) -> tuple[x509.Certificate, ...]:
    """Returns the certificates of a PEM file; none if it cannot be parsed."""
    try:
        return certificates.bundle(pem or b"")
    except FirescreenError:
        return ()


def _summary(certificate: x509.Certificate) -> CertificateSummary:
    return certificates.summary(certificate.public_bytes(Encoding.DER))


def _validity_fault(leaf: CertificateSummary) -> str:
    """Returns whose validity period is wrong: the server certificate's, or else its CA's."""
    now = time.time()
    if now < leaf.not_before:
        return "server-not-yet"
    return "server-expired" if now > leaf.not_after else "server-ca-expired"
