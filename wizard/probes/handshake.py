"""Records the messages of a TLS handshake and the alert that ends it, with Go's names."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from wizard.model import CertificateSummary, TlsReport

HANDSHAKE_FAILURE: Final = 40
ALERTS: Final = {
    10: "unexpected message",
    20: "bad record MAC",
    21: "decryption failed",
    22: "record overflow",
    30: "decompression failure",
    HANDSHAKE_FAILURE: "handshake failure",
    42: "bad certificate",
    43: "unsupported certificate",
    44: "revoked certificate",
    45: "expired certificate",
    46: "unknown certificate",
    47: "illegal parameter",
    48: "unknown certificate authority",
    49: "access denied",
    50: "error decoding message",
    51: "error decrypting message",
    60: "export restriction",
    70: "protocol version not supported",
    71: "insufficient security level",
    80: "internal error",
    86: "inappropriate fallback",
    90: "user canceled",
    100: "no renegotiation",
    109: "missing extension",
    110: "unsupported extension",
    111: "certificate unobtainable",
    112: "unrecognized name",
    113: "bad certificate status response",
    114: "bad certificate hash value",
    115: "unknown PSK identity",
    116: "certificate required",
    120: "no application protocol",
    121: "encrypted client hello required",
}
"""Go's names (crypto/tls, alert.go) for the alerts of RFC 8446, 6.2."""
ABOUT_CLIENT_CERTIFICATE: Final = frozenset((42, 43, 44, 45, 46, 48, 49, 116))
"""The alerts that can only be about the client's certificate."""
_CERTIFICATE_REQUEST: Final = "← CertificateRequest: the server asks for a client certificate"
_WITHOUT_CERTIFICATE: Final = "→ Certificate: the client shows none"
_WITH_CERTIFICATE: Final = "→ Certificate: the client shows its own"
_CERTIFICATE_VERIFY: Final = "→ CertificateVerify: proof of owning the key"
_MESSAGES: Final = {
    b"SSLv3/TLS write client hello": "→ ClientHello",
    b"SSLv3/TLS read server hello": "← ServerHello",
    b"TLSv1.3 read encrypted extensions": "← EncryptedExtensions",
    b"SSLv3/TLS read server certificate": "← Certificate",
    b"TLSv1.3 read server compressed certificate": "← Certificate",
    b"SSLv3/TLS read server key exchange": "← ServerKeyExchange",
    b"SSLv3/TLS read server certificate request": _CERTIFICATE_REQUEST,
    b"SSLv3/TLS read server done": "← ServerHelloDone",
    b"TLSv1.3 read server certificate verify": "← CertificateVerify: proof of owning the key",
    b"SSLv3/TLS read finished": "← Finished",
    b"SSLv3/TLS write client certificate": _WITHOUT_CERTIFICATE,
    b"SSLv3/TLS write client key exchange": "→ ClientKeyExchange",
    b"SSLv3/TLS write certificate verify": _CERTIFICATE_VERIFY,
    b"SSLv3/TLS write finished": "→ Finished",
}
"""OpenSSL's name of the state after each message of the handshake (SSL_state_string_long, unchanged since 1.1)."""


@dataclass
class Record:
    """The record of one handshake; filled while it runs, so that a failed one can be reported too."""

    certificate_requested: bool = False
    """Whether the server requested a client certificate."""
    steps: list[str] = field(default_factory=list)
    chain: tuple[CertificateSummary, ...] = ()
    version: str = ""
    cipher: str = ""
    alert: int | None = None
    """The fatal alert that the server sent."""
    _state: bytes = b""

    def report(self) -> TlsReport:
        """Converts the record to the model's form."""
        return TlsReport(version=self.version, cipher=self.cipher, chain=self.chain, steps=tuple(self.steps))

    def state(self, name: bytes) -> None:
        """Records that the handshake has reached a state.

        Args:
            name: OpenSSL's name of the state.
        """
        if name == self._state:
            return
        self._state = name
        text = _MESSAGES.get(name)
        if text is None:
            return
        self.certificate_requested = self.certificate_requested or text == _CERTIFICATE_REQUEST
        if text == _CERTIFICATE_VERIFY and _WITHOUT_CERTIFICATE in self.steps:
            # CertificateVerify is only sent by a client that has sent a certificate.
            self.steps[self.steps.index(_WITHOUT_CERTIFICATE)] = _WITH_CERTIFICATE
        self.steps.append(text)
