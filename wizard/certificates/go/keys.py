"""Parses public keys and signature algorithms as Go does, and verifies signatures.

`cryptography` does the arithmetic of signatures; what is rejected before that, and the messages, are Go's.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from wizard.certificates.go.der import NULL, SEQUENCE, ParseError, Reader, encode_oid

_NULL: Final = bytes((NULL, 0))
_RSA: Final = encode_oid("1.2.840.113549.1.1.1")
_DSA: Final = encode_oid("1.2.840.10040.4.1")
_ECDSA: Final = encode_oid("1.2.840.10045.2.1")
_ED25519: Final = encode_oid("1.3.101.112")
_PSS: Final = encode_oid("1.2.840.113549.1.1.10")
_MGF1: Final = encode_oid("1.2.840.113549.1.1.8")
_ML_DSA: Final = {
    encode_oid(f"2.16.840.1.101.3.4.3.{arc}"): size for arc, size in ((17, 44), (18, 65), (19, 87))
}
_ML_DSA_OCTETS: Final = {44: 1312, 65: 1952, 87: 2592}
_LONGEST: Final = 31


@dataclass(frozen=True, slots=True)
class _Curve:
    """A curve y² = x³ - 3x + b over the field of p."""

    name: str
    make: type[ec.EllipticCurve]
    p: int
    b: int


_P224_P: Final = 2**224 - 2**96 + 1
_P256_P: Final = 2**256 - 2**224 + 2**192 + 2**96 - 1
_P384_P: Final = 2**384 - 2**128 - 2**96 + 2**32 - 1
_CURVES: Final = {
    encode_oid("1.3.132.0.33"): _Curve(
        "P224", ec.SECP224R1, _P224_P, 0xB4050A850C04B3ABF54132565044B0B7D7BFD8BA270B39432355FFB4
    ),
    encode_oid("1.2.840.10045.3.1.7"): _Curve(
        "P256",
        ec.SECP256R1,
        _P256_P,
        0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B,
    ),
    encode_oid("1.3.132.0.34"): _Curve(
        "P384",
        ec.SECP384R1,
        _P384_P,
        0xB3312FA7E23EE7E4988E056BE3F82D19181D9C6EFE8141120314088F5013875AC656398D8A2ED19D2A85C8EDD3EC2AEF,
    ),
    encode_oid("1.3.132.0.35"): _Curve(
        "P521",
        ec.SECP521R1,
        2**521 - 1,
        0x0051953EB9618E1C9A1F929A21A0B68540EEA2DA725B99B315F3B8B489918EF109E156193951EC7E937B1652C0BD3BB1BF073573DF883D2C34F1EF451FD46B503F00,
    ),
}


@dataclass(frozen=True, slots=True)
class Algorithm:
    """A signature algorithm; `name` and `key` as Go prints them, `digest` is '' if the kind of key determines it."""

    name: str
    key: str
    digest: str = ""
    pss: bool = False


UNKNOWN: Final = Algorithm("0", "0")
_DIGESTS: Final[dict[str, type[hashes.HashAlgorithm]]] = {
    "SHA256": hashes.SHA256,
    "SHA384": hashes.SHA384,
    "SHA512": hashes.SHA512,
}
_HASH_OIDS: Final = {
    encode_oid(f"2.16.840.1.101.3.4.2.{arc}"): f"SHA{size}" for arc, size in ((1, 256), (2, 384), (3, 512))
}
_SALTS: Final = {"SHA256": 32, "SHA384": 48, "SHA512": 64}
_ALGORITHMS: Final = {
    encode_oid("1.2.840.113549.1.1.4"): Algorithm("MD5-RSA", "RSA", "MD5"),
    encode_oid("1.2.840.113549.1.1.5"): Algorithm("SHA1-RSA", "RSA", "SHA1"),
    encode_oid("1.3.14.3.2.29"): Algorithm("SHA1-RSA", "RSA", "SHA1"),
    encode_oid("1.2.840.113549.1.1.11"): Algorithm("SHA256-RSA", "RSA", "SHA256"),
    encode_oid("1.2.840.113549.1.1.12"): Algorithm("SHA384-RSA", "RSA", "SHA384"),
    encode_oid("1.2.840.113549.1.1.13"): Algorithm("SHA512-RSA", "RSA", "SHA512"),
    encode_oid("1.2.840.10040.4.3"): Algorithm("DSA-SHA1", "DSA", "SHA1"),
    encode_oid("2.16.840.1.101.3.4.3.2"): Algorithm("DSA-SHA256", "DSA", "SHA256"),
    encode_oid("1.2.840.10045.4.1"): Algorithm("ECDSA-SHA1", "ECDSA", "SHA1"),
    encode_oid("1.2.840.10045.4.3.2"): Algorithm("ECDSA-SHA256", "ECDSA", "SHA256"),
    encode_oid("1.2.840.10045.4.3.3"): Algorithm("ECDSA-SHA384", "ECDSA", "SHA384"),
    encode_oid("1.2.840.10045.4.3.4"): Algorithm("ECDSA-SHA512", "ECDSA", "SHA512"),
    _ED25519: Algorithm("Ed25519", "Ed25519"),
}


@dataclass(frozen=True, slots=True)
class Key:
    """A public key that Go can parse.

    Args:
        kind: RSA, DSA, ECDSA, Ed25519 or ML-DSA.
        octets: the point or the key itself, for kinds other than RSA.
        modulus: for RSA.
        exponent: for RSA.
        curve: for ECDSA.
        size: for ML-DSA: 44, 65 or 87.
    """

    kind: str
    octets: bytes = b""
    modulus: int = 0
    exponent: int = 0
    curve: _Curve | None = None
    size: int = 0

    @property
    def type_name(self) -> str:
        """The type of the key in Go."""
        known = {
            "RSA": "*rsa.PublicKey",
            "DSA": "*dsa.PublicKey",
            "ECDSA": "*ecdsa.PublicKey",
            "ML-DSA": "*mldsa.PublicKey",
        }
        return known.get(self.kind, "ed25519.PublicKey")


class SignatureError(ValueError):
    """A signature that is wrong, or that Go does not verify; the text is Go's."""


def algorithm_identifier(content: bytes) -> tuple[bytes, bytes]:
    """The OID and the parameters (the whole element, b'' if absent) of an AlgorithmIdentifier. Raises `ParseError`."""
    reader = Reader(content)
    oid = reader.oid("x509: malformed OID")
    return oid, reader.any("x509: malformed parameters").whole if reader else b""


@functools.lru_cache(256)
def signature_algorithm(content: bytes) -> Algorithm:
    """The signature algorithm of an AlgorithmIdentifier; `UNKNOWN` if Go does not know it."""
    oid, parameters = algorithm_identifier(content)
    if oid == _PSS:
        return _pss(parameters)
    if oid in _ML_DSA and not parameters:
        return Algorithm(f"ML-DSA-{_ML_DSA[oid]}", "ML-DSA")
    if oid == _ED25519 and parameters:
        return UNKNOWN
    return _ALGORITHMS.get(oid, UNKNOWN)


@functools.lru_cache(512)
def public_key(oid: bytes, parameters: bytes, octets: bytes) -> Key | None:
    """The key in a SubjectPublicKeyInfo; None for a kind that Go does not parse.

    Raises:
        ParseError: the key is not valid for its kind.
    """
    if oid == _RSA:
        return _rsa(parameters, octets)
    if oid == _ECDSA:
        return _ecdsa(parameters, octets)
    if oid == _ED25519:
        if parameters:
            raise ParseError("x509: Ed25519 key encoded with illegal parameters")
        if len(octets) != 32:
            raise ParseError("x509: wrong Ed25519 public key size")
        return Key("Ed25519", octets)
    if oid == _DSA:
        return _dsa(parameters, octets)
    if oid in _ML_DSA:
        if parameters:
            raise ParseError("x509: ML-DSA key encoded with illegal parameters")
        size = _ML_DSA[oid]
        if len(octets) != _ML_DSA_OCTETS[size]:
            raise ParseError("mldsa: invalid public key length")
        return Key("ML-DSA", octets, size=size)
    return None


def check_signature(algorithm: Algorithm, signed: bytes, signature: bytes, key: Key) -> None:
    """Verifies a certificate's signature.

    Raises:
        SignatureError: the key did not make it, or Go does not support its kind.
    """
    if algorithm.digest in ("MD5", "SHA1"):
        raise SignatureError(f"x509: cannot verify signature: insecure algorithm {algorithm.name}")
    if algorithm is UNKNOWN or key.kind == "DSA":
        raise SignatureError("x509: cannot verify signature: algorithm unimplemented")
    if algorithm.key != key.kind:
        message = f"x509: signature algorithm specifies an {algorithm.key} public key"
        raise SignatureError(f"{message}, but have public key of type {key.type_name}")
    if key.kind == "RSA":
        _check_rsa(algorithm, signed, signature, key)
    elif key.kind == "ECDSA":
        assert key.curve is not None
        point = ec.EllipticCurvePublicKey.from_encoded_point(key.curve.make(), key.octets)
        try:
            point.verify(signature, signed, ec.ECDSA(_DIGESTS[algorithm.digest]()))
        except InvalidSignature as error:
            raise SignatureError("x509: ECDSA verification failure") from error
    elif key.kind == "Ed25519":
        try:
            ed25519.Ed25519PublicKey.from_public_bytes(key.octets).verify(signature, signed)
        except (InvalidSignature, ValueError) as error:
            raise SignatureError("x509: Ed25519 verification failure") from error
    else:
        _check_ml_dsa(algorithm, signed, signature, key)


def _rsa(parameters: bytes, octets: bytes) -> Key:
    if parameters != _NULL:
        raise ParseError("x509: RSA key missing NULL parameters")
    reader = Reader(octets).inside(SEQUENCE, "x509: invalid RSA public key")
    modulus = reader.integer("x509: invalid RSA modulus")
    exponent = reader.int64("x509: invalid RSA public exponent")
    if modulus <= 0:
        raise ParseError("x509: RSA modulus is not a positive number")
    if exponent <= 0:
        raise ParseError("x509: RSA public exponent is not a positive number")
    return Key("RSA", modulus=modulus, exponent=exponent)


def _ecdsa(parameters: bytes, octets: bytes) -> Key:
    curve = _CURVES.get(Reader(parameters).oid("x509: invalid ECDSA parameters"))
    if curve is None:
        raise ParseError("x509: unsupported elliptic curve")
    if octets[:1] != b"\x04":
        raise ParseError("ecdsa: invalid uncompressed public key")
    size = (curve.p.bit_length() + 7) // 8
    fault = ""
    if len(octets) != 1 + 2 * size:
        fault = f"invalid {curve.name} point encoding"
    else:
        x, y = int.from_bytes(octets[1 : 1 + size], "big"), int.from_bytes(octets[1 + size :], "big")
        if x >= curve.p or y >= curve.p:
            # Go has separate code for P-256.
            fault = f"invalid {curve.name}{' e' if curve.name == 'P256' else 'E'}lement encoding"
        elif (y * y - (x * x - 3) * x - curve.b) % curve.p:
            fault = f"{curve.name} point not on curve"
    if fault:
        raise ParseError(fault)
    return Key("ECDSA", octets, curve=curve)


def _dsa(parameters: bytes, octets: bytes) -> Key:
    y = Reader(octets).integer("x509: invalid DSA public key")
    message = "x509: invalid DSA parameters"
    inner = Reader(parameters).inside(SEQUENCE, message)
    if min(y, *(inner.integer(message) for _ in "pqg")) <= 0:
        raise ParseError("x509: zero or negative DSA parameter")
    return Key("DSA", octets)


def _pss(parameters: bytes) -> Algorithm:
    """PSS with the same hash everywhere, a salt of the hash's length, and the usual trailer; else `UNKNOWN`."""
    message = ""
    try:
        reader = Reader(parameters).inside(SEQUENCE, message)
        digest, digest_parameters = algorithm_identifier(_explicit(reader, 0).content(SEQUENCE, message))
        mask, mask_parameters = algorithm_identifier(_explicit(reader, 1).content(SEQUENCE, message))
        inner, inner_parameters = algorithm_identifier(Reader(mask_parameters).content(SEQUENCE, message))
        salt = _explicit(reader, 2).int64(message)
        trailer = _explicit(reader, 3).int64(message) if reader.next_is(0xA3) else 1
    except ParseError:
        return UNKNOWN
    if mask != _MGF1 or inner != digest or trailer != 1:
        return UNKNOWN
    if digest_parameters not in (b"", _NULL) or inner_parameters not in (b"", _NULL):
        return UNKNOWN
    name = _HASH_OIDS.get(digest, "")
    if not name or salt != _SALTS[name]:
        return UNKNOWN
    return Algorithm(f"{name}-RSAPSS", "RSA", name, pss=True)


def _explicit(reader: Reader, number: int) -> Reader:
    return reader.inside(0xA0 | number, "")


def _check_rsa(algorithm: Algorithm, signed: bytes, signature: bytes, key: Key) -> None:
    size = key.modulus.bit_length()
    if size < 1024:
        message = "are insecure (see https://go.dev/pkg/crypto/rsa#hdr-Minimum_key_size)"
        raise SignatureError(f"crypto/rsa: {size}-bit keys {message}")
    if not key.modulus & 1:
        raise SignatureError("crypto/rsa: public modulus is even")
    if key.exponent < 2:
        raise SignatureError("crypto/rsa: public exponent too small or negative")
    if not key.exponent & 1:
        raise SignatureError("crypto/rsa: public exponent is even")
    if key.exponent.bit_length() > _LONGEST:
        raise SignatureError("crypto/rsa: public exponent too large")
    digest = _DIGESTS[algorithm.digest]()
    scheme = padding.PSS(padding.MGF1(digest), digest.digest_size) if algorithm.pss else padding.PKCS1v15()
    try:
        numbers = rsa.RSAPublicNumbers(key.exponent, key.modulus)
        numbers.public_key().verify(signature, signed, scheme, digest)
    except (InvalidSignature, ValueError, UnsupportedAlgorithm) as error:
        raise SignatureError("crypto/rsa: verification error") from error


def _check_ml_dsa(algorithm: Algorithm, signed: bytes, signature: bytes, key: Key) -> None:
    given = f"ML-DSA-{key.size}"
    if algorithm.name != given:
        message = f"x509: signature algorithm specifies an ML-DSA public key with {algorithm.name} parameters"
        raise SignatureError(f"{message}, but have a public key with {given} parameters")
    try:
        # Not every version of `cryptography` or OpenSSL has it.
        from cryptography.hazmat.primitives.asymmetric import mldsa

        kind = getattr(mldsa, f"MLDSA{key.size}PublicKey")
        kind.from_public_bytes(key.octets).verify(signature, signed)
    except (ImportError, AttributeError, UnsupportedAlgorithm) as error:
        raise SignatureError("x509: cannot verify signature: algorithm unimplemented") from error
    except (InvalidSignature, ValueError) as error:
        raise SignatureError("x509: ML-DSA verification failure: mldsa: invalid signature") from error
