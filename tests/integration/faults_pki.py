"""Faulty certificates, made with the cryptography package alone, which also writes unusual ones."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_USES = {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client": ExtendedKeyUsageOID.CLIENT_AUTH}
_KEYS = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
_MORE_KEYS = ("key_cert_sign", "crl_sign", "encipher_only", "decipher_only")


@dataclass(frozen=True)
class Made:
    """A certificate with its key, and their files."""

    crt: str
    key: str
    certificate: x509.Certificate
    private: ec.EllipticCurvePrivateKey


class Workshop:
    """Makes certificates in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def file(self, name: str) -> str:
        return str(self.folder / name)

    def write(self, name: str, content: bytes) -> str:
        (self.folder / name).write_bytes(content)
        return self.file(name)

    def make(
        self,
        name: str,
        *,
        common_name: str = "",
        names: Sequence[str] = (),
        issuer: Made | None = None,
        ca: bool | None = None,
        use: Sequence[str] = ("server",),
        begin: float = -1,
        days: float = 30,
    ) -> Made:
        """Makes a certificate; `begin` and `days` are days from now, `ca` None for no basic constraints."""
        private = ec.generate_private_key(ec.SECP256R1())
        subject = _name(common_name or name)
        now = dt.datetime.now(dt.UTC)
        parent, signer = (issuer.certificate, issuer.private) if issuer else (None, private)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(parent.subject if parent else subject)
            .public_key(private.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + dt.timedelta(days=begin))
            .not_valid_after(now + dt.timedelta(days=begin + days))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
            )
        )
        if ca is not None:
            builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        if ca:
            usage = dict.fromkeys((*_KEYS, *_MORE_KEYS), False) | {"key_cert_sign": True, "crl_sign": True}
            builder = builder.add_extension(x509.KeyUsage(**usage), critical=True)
        elif use:
            builder = builder.add_extension(
                x509.ExtendedKeyUsage([_USES[each] for each in use]), critical=False
            )
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_general(each) for each in names]), critical=False
            )
        certificate = builder.sign(signer, hashes.SHA256())
        return Made(
            self.write(f"{name}.crt", certificate.public_bytes(serialization.Encoding.PEM)),
            self.write(f"{name}.key", key_pem(private)),
            certificate,
            private,
        )


def key_pem(private: ec.EllipticCurvePrivateKey, passphrase: bytes = b"") -> bytes:
    lock = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    # Encrypted in the old form, with the cipher in the PEM header, as `openssl ec -aes256` writes it.
    form = serialization.PrivateFormat.TraditionalOpenSSL if passphrase else serialization.PrivateFormat.PKCS8
    return private.private_bytes(serialization.Encoding.PEM, form, lock)


def der(made: Made) -> bytes:
    return made.certificate.public_bytes(serialization.Encoding.DER)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)
