"""Makes keys, a CA, and certificates for servers and clients: PEM in, PEM out; opens no files.

Go, OpenSSL and Python 3.13 (VERIFY_X509_STRICT) all accept the extensions: SAN, EKU, SKI and AKI, critical
BasicConstraints and keyUsage. notBefore is an hour in the past because clocks differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, TypeAlias

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from wizard.certificates import bundle, chain, describe, key_text, matches, one_line, problems, summary
from wizard.certificates.names import general_names
from wizard.certificates.reader import extension, is_ca
from wizard.errors import CertificateError
from wizard.plurals import count_noun
from wizard.redact import Secret

__all__ = [
    "KeyKind",
    "bundle",
    "describe",
    "issue",
    "lifetime",
    "lock",
    "matches",
    "new_ca",
    "new_key",
    "problems",
    "public_half",
    "self_signed",
    "summary",
    "traditional_key",
    "unlock",
]

KeyKind: TypeAlias = Literal["ec-p256", "rsa-2048", "rsa-4096", "ed25519"]
_Key: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey

_BACKDATED: Final = timedelta(hours=1)
_MOST_DAYS: Final = 36500


def new_key(kind: KeyKind) -> bytes:
    """A new private key, unencrypted PKCS#8 PEM (exporter-toolkit, part of every exporter, supports no passphrase)."""
    if kind == "ec-p256":
        return _key_pem(ec.generate_private_key(ec.SECP256R1()))
    if kind in ("rsa-2048", "rsa-4096"):
        return _key_pem(rsa.generate_private_key(65537, int(kind.removeprefix("rsa-"))))
    if kind == "ed25519":
        return _key_pem(ed25519.Ed25519PrivateKey.generate())
    raise CertificateError(
        f"there is no key of the kind {one_line(kind)}",
        todo="Choose ec-p256, rsa-2048, rsa-4096 or ed25519",
    )


def lock(key_pem: bytes, passphrase: Secret) -> bytes:
    """Encrypts a key with `passphrase` (PKCS#8 PEM, readable by openssl).

    Raises:
        CertificateError: the passphrase is empty or longer than 1,023 bytes, or this is no key.
    """
    if not passphrase:
        raise CertificateError("the passphrase is empty", todo="Give at least one character")
    key = _load_key(key_pem)
    try:
        protection = serialization.BestAvailableEncryption(passphrase.reveal().encode())
        return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)
    except ValueError as error:
        raise CertificateError(
            "the passphrase is too long", todo="Take one of at most 1,023 bytes"
        ) from error


def traditional_key(key_pem: bytes) -> bytes:
    """The key as `BEGIN EC PRIVATE KEY` or `BEGIN RSA PRIVATE KEY`: some of OpenSSL's readers do not support PKCS#8.

    An Ed25519 key has no such format and is returned unchanged.

    Raises:
        CertificateError: this is no key of a known kind, or an encrypted one.
    """
    key = _load_key(key_pem)
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key_pem
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


def unlock(key_pem: bytes, passphrase: Secret | None) -> bytes:
    """Decrypts a key to unencrypted PKCS#8 PEM; ignores the passphrase if the key is not encrypted.

    Raises:
        CertificateError: a passphrase is missing or wrong, or this is no key of a known kind.
    """
    return _key_pem(_load_key(key_pem, passphrase))


def public_half(pem: bytes) -> bytes:
    """The public key (DER) of a certificate or of a private key.

    Raises:
        CertificateError: it is neither, or the key is encrypted.
    """
    half: _Key | x509.Certificate = _load_key(pem) if b"PRIVATE KEY" in pem else chain(pem)[0]
    return half.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def new_ca(*, name: str, key_pem: bytes, days: int, now: datetime | None = None) -> bytes:
    """A self-signed CA certificate that may sign leaves, but no other CA."""
    key = _load_key(key_pem)
    begin, end = _dates(days, now)
    subject = _subject(name)
    usage = _key_usage(key_cert_sign=True, crl_sign=True)
    ski = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = (
        _base(key, subject=subject, issuer=subject, begin=begin, end=end)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ski), critical=False)
    )
    return _sign(builder, key)


def issue(
    *,
    ca_cert: bytes,
    ca_key: bytes,
    key_pem: bytes,
    names: Sequence[str],
    days: int,
    common_name: str,
    server: bool = True,
    client: bool = False,
    now: datetime | None = None,
) -> bytes:
    """A leaf certificate for `key_pem`, signed by the CA.

    Args:
        ca_cert: the CA's certificate, PEM.
        ca_key: the CA's unencrypted key (see `unlock`).
        key_pem: the leaf's key; only its public key becomes part of the certificate.
        names: DNS names and addresses; may be empty only for a pure client certificate.
        days: days from now; shortened to the CA's own end (see `lifetime`).
        common_name: for people to read; no client in the Prometheus world checks it.
        server: whether it is for a server.
        client: whether it is for a client.
        now: an aware time; by default the current time.

    Raises:
        CertificateError: a name, a key, the CA or the number of days cannot be used.
    """
    authority, signer, key = bundle(ca_cert)[0], _load_key(ca_key), _load_key(key_pem)
    if not is_ca(authority):
        raise CertificateError(
            "what should sign is not a CA certificate", todo="Give the CA's certificate, not a server's"
        )
    if authority.public_key() != signer.public_key():
        raise CertificateError(
            "the CA's certificate and the CA's key do not belong together",
            todo="Take the two that were made together",
        )
    begin, _ = _dates(days, now)
    end, _ = lifetime(ca_cert, days, now)
    ski = extension(authority, x509.SubjectKeyIdentifier)
    aki = (
        x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ski)
        if ski
        else x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    )
    builder = _base(key, subject=_subject(common_name), issuer=authority.subject, begin=begin, end=end)
    return _sign(
        _as_leaf(builder, key, names=names, uses=_uses(names, server=server, client=client), aki=aki), signer
    )


def self_signed(
    *,
    key_pem: bytes,
    names: Sequence[str],
    days: int,
    common_name: str,
    server: bool = True,
    client: bool = False,
) -> bytes:
    """A self-signed leaf: clients use this certificate itself as their `ca_file`.

    It is no CA: if it could sign, a stolen key of the server could be used to impersonate any host. Arguments and
    errors as for `issue`.
    """
    key = _load_key(key_pem)
    begin, end = _dates(days, None)
    subject = _subject(common_name)
    ski = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    aki = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ski)
    builder = _base(key, subject=subject, issuer=subject, begin=begin, end=end)
    return _sign(
        _as_leaf(builder, key, names=names, uses=_uses(names, server=server, client=client), aki=aki), key
    )


def lifetime(ca_cert: bytes, days: int, now: datetime | None = None) -> tuple[datetime, str]:
    """When a leaf of that CA would end, and a sentence for the user if that is earlier than wanted.

    Raises:
        CertificateError: the CA has expired, or the number of days is out of range.
    """
    authority = bundle(ca_cert)[0]
    moment = now or datetime.now(UTC)
    _, wanted = _dates(days, now)
    last = authority.not_valid_after_utc
    if last <= moment:
        raise CertificateError(
            f"the CA expired on {last:%Y-%m-%d}", todo="Make a new CA, and give it to every client"
        )
    if wanted <= last:
        return wanted, ""
    left = (last - moment).days
    return last, f"valid for {left} days instead of {days}: no longer than its CA, until {last:%Y-%m-%d}"


def _as_leaf(
    builder: x509.CertificateBuilder,
    key: _Key,
    *,
    names: Sequence[str],
    uses: Sequence[ObjectIdentifier],
    aki: x509.AuthorityKeyIdentifier,
) -> x509.CertificateBuilder:
    builder = (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(key_encipherment=isinstance(key, rsa.RSAPrivateKey)), critical=True)
        .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        .add_extension(aki, critical=False)
    )
    if not names:
        return builder
    return builder.add_extension(x509.SubjectAlternativeName(general_names(names)), critical=False)


def _base(
    key: _Key, *, subject: x509.Name, issuer: x509.Name, begin: datetime, end: datetime
) -> x509.CertificateBuilder:
    public = key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _sign(builder: x509.CertificateBuilder, key: _Key) -> bytes:
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(serialization.Encoding.PEM)


def _uses(names: Sequence[str], *, server: bool, client: bool) -> tuple[ObjectIdentifier, ...]:
    if server and not names:
        raise CertificateError(
            "a server's certificate needs at least one name or address",
            todo="Give every name and address that a client will use",
        )
    uses = [ExtendedKeyUsageOID.SERVER_AUTH] if server else []
    uses += [ExtendedKeyUsageOID.CLIENT_AUTH] if client else []
    if not uses:
        raise CertificateError(
            "a certificate must be for a server, for a client, or for both", todo="Choose one"
        )
    return tuple(uses)


def _key_usage(
    *, key_encipherment: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not key_cert_sign,
        content_commitment=False,
        key_encipherment=key_encipherment,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _subject(name: str) -> x509.Name:
    # X.520 limits a common name to 64 characters.
    if not name.strip() or len(name) > 64 or not name.isprintable():
        raise CertificateError(
            "the common name must be 1 to 64 printable characters", todo="Choose a shorter, plain name"
        )
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _dates(days: int, now: datetime | None) -> tuple[datetime, datetime]:
    if not 1 <= days <= _MOST_DAYS:
        raise CertificateError(
            f"{count_noun(days, 'day')} is not a usable lifetime",
            todo=f"Take 1 to {_MOST_DAYS}; 365 is usual",
        )
    moment = (now or datetime.now(UTC)).astimezone(UTC).replace(microsecond=0)
    return moment - _BACKDATED, moment + timedelta(days=days)


def _load_key(pem: bytes, passphrase: Secret | None = None) -> _Key:
    password = passphrase.reveal().encode() if passphrase else None
    try:
        key = _parsed_key(pem, password)
    except (ValueError, UnsupportedAlgorithm) as error:
        if password is not None and b"ENCRYPTED" in pem:
            raise CertificateError("the passphrase does not open this key", todo="Type it again") from error
        raise CertificateError(
            "this is not a private key in PEM form",
            todo="Give a file that begins with -----BEGIN … PRIVATE KEY-----",
        ) from error
    if isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey):
        return key
    raise CertificateError(
        f"a key of the kind {key_text(key)} cannot be used here",
        todo="Take an EC, RSA or Ed25519 key",
    )


def _parsed_key(pem: bytes, passphrase: bytes | None) -> object:
    try:
        return serialization.load_pem_private_key(pem, passphrase)
    except TypeError as error:
        if passphrase is None:
            raise CertificateError(
                "the key is encrypted and no passphrase was given", todo="Give its passphrase"
            ) from error
        return serialization.load_pem_private_key(pem, None)


def _key_pem(key: _Key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
