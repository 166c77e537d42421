"""Certificates get the same verdict as by Go: recorded results of Go, and one test for each rule that was once missed.

tests/integration/test_go_verdict.py compares with Go itself, in `make matrix`.
"""

from __future__ import annotations

import base64
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.integration.go_certificates import (
    NOW,
    Extension,
    Maker,
    Pair,
    authority,
    cn,
    constraints,
    curve,
    directory,
    dns,
    dsa_pair,
    edwards,
    email,
    integer,
    ip,
    leaf,
    names,
    octets,
    oid,
    pem,
    policies,
    policy_constraints,
    purposes,
    rsa_pair,
    seq,
    tlv,
    uri,
    usage,
)
from wizard import certificates as trust
from wizard.certificates import go

RECORDED = json.loads((Path(__file__).parents[1] / "data" / "go_verdicts.json").read_text())
ROOT = authority("root", edwards(1))
MIDDLE = authority("middle", edwards(2), parent=ROOT)
CRITICAL = "x509: unhandled critical extension"
NOT_AUTHORIZED = "x509: a root or intermediate certificate is not authorized to sign for this name: "
UNREAD = "tls: failed to parse certificate from server: x509: "
POLICIES = "x509: no valid chains built: 1 candidate chains with invalid policies"
NEVER = ("x509: certificate signed by unknown authority (possibly because of "
         '"x509: invalid signature: parent certificate cannot sign this kind of certificate" '
         'while trying to verify candidate authority certificate "middle")')  # fmt: skip


def verdict_on(*chain: Maker, asked: str = "localhost", root: Maker = ROOT) -> str:
    return trust.verdict(
        [each.der() for each in chain],
        anchors=go.Pool.of_pem(pem(root.der())),
        name=asked,
        now=NOW,
    )


def verdict_on_leaf(
    *extensions: Extension, middle: tuple[Extension, ...] = (), asked: str = "localhost"
) -> str:
    """Returns the verdict on an ordinary leaf with these extensions, whose CA has the extensions `middle`."""
    above = MIDDLE.also(*middle)
    return verdict_on(leaf(above, edwards(3), *extensions), above, asked=asked)


@pytest.mark.parametrize("kind", sorted({row[0] for row in RECORDED["cases"]}))
def test_recorded_verdicts_hold_word_for_word(kind: str) -> None:
    certificates = [base64.b64decode(each) for each in RECORDED["certificates"]]
    now = datetime.fromtimestamp(RECORDED["now"], UTC)
    rows: list[dict[str, Any]] = [
        dict(zip(RECORDED["columns"], row, strict=True)) for row in RECORDED["cases"]
    ]
    for row in (row for row in rows if row["kind"] == kind):
        ours = trust.verdict(
            [certificates[place] for place in row["chain"]],
            anchors=go.Pool.of_pem(RECORDED["roots"][row["roots"]].encode("latin-1")),
            name=row["name"],
            purpose="client" if row["client"] else "server",
            now=now,
        )
        assert ours == row["words"], row


# ---------------------------------------------------------------------------------------------------------
# Rules in which the verifier once accepted more than Go
# ---------------------------------------------------------------------------------------------------------


def test_a_lone_asterisk_matches_no_name() -> None:
    assert verdict_on_leaf(names(dns("*"))) == "x509: certificate is valid for *, not localhost"
    assert not trust.matches_name("*", "localhost")
    assert trust.matches_name("*.localhost", "a.localhost")


@pytest.mark.parametrize(
    "limits",
    [
        [directory(cn("leaf"))],
        [directory(cn("leaf")), dns("localhost")],
        [directory(cn("leaf")), dns("localhost"), ip(b"\x7f\0\0\0\xff\0\0\0")],
        [tlv(0x88, b"\x2a\x03")],
        [tlv(0xA0, oid("1.2.3"), tlv(0xA0, b"\x0c\0"))],
    ],
)
def test_a_critical_constraint_of_unknown_kind_is_rejected(limits: list[bytes]) -> None:
    assert verdict_on_leaf(middle=(constraints(limits, None),)) == CRITICAL
    assert verdict_on_leaf(
        middle=(constraints(None, limits),)
    ) == CRITICAL or "is excluded" in verdict_on_leaf(middle=(constraints(None, limits),))


def test_an_uncritical_constraint_of_unknown_kind_is_ignored() -> None:
    assert verdict_on_leaf(middle=(constraints([directory(cn("x"))], None, critical=False),)) == ""


@pytest.mark.parametrize(
    ("entry", "limit", "reason"),
    [
        (email("a@example.com"), email("example.com"), ""),
        (email("a@EXAMPLE.com"), email("example.com"), ""),
        (email("a@example.com"), email("a@example.com"), ""),
        (email("b@example.com"), email("a@example.com"), 'email address "b@example.com" is not permitted by any constraint'),
        (email("a@x.example.com"), email(".example.com"), ""),
        (email("a@example.com"), email(".example.com"), 'email address "a@example.com" is not permitted by any constraint'),
        (email("nobody"), email("example.com"), 'cannot parse rfc822Name "nobody"'),
        (uri("https://a.example.com/x"), uri("example.com"), ""),
        (uri("https://example.org/x"), uri("example.com"), 'URI "https://example.org/x" is not permitted by any constraint'),
        (uri("https://127.0.0.1/x"), uri("example.com"), 'URI with IP ("https://127.0.0.1/x") cannot be matched against constraints'),
        (uri("urn:a:b"), uri("example.com"), 'URI with empty host ("urn:a:b") cannot be matched against constraints'),
    ],
)  # fmt: skip
def test_constraints_on_mailboxes_and_uris_are_applied(entry: bytes, limit: bytes, reason: str) -> None:
    found = verdict_on_leaf(names(dns("localhost"), entry), middle=(constraints([limit], None),))
    assert found == (NOT_AUTHORIZED + reason if reason else "")


def test_policies_required_by_a_ca_are_checked() -> None:
    explicit = policy_constraints(0, None)
    assert verdict_on_leaf(middle=(explicit,)) == POLICIES
    assert verdict_on_leaf(policies("1.2.3"), middle=(explicit, policies("1.2.3"))) == ""
    assert verdict_on_leaf(policies("1.2.4"), middle=(explicit, policies("1.2.3"))) == POLICIES
    assert verdict_on_leaf(policies("1.2.4"), middle=(explicit, policies("2.5.29.32.0"))) == ""


def test_a_wildcard_may_not_match_an_excluded_name() -> None:
    held, limit = names(dns("localhost"), dns("*.localhost")), constraints(None, [dns("bad.localhost")])
    words = f'{NOT_AUTHORIZED}DNS name "*.localhost" is excluded by constraint "bad.localhost"'
    assert verdict_on_leaf(held, middle=(limit,)) == words


P192 = Pair(ec.derive_private_key(5, ec.SECP192R1()))


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (leaf(MIDDLE, P192), "unsupported elliptic curve"),
        (leaf(MIDDLE, edwards(3), ("2.5.29.31", False, b"\x05\0")), "invalid CRL distribution points"),
        (leaf(MIDDLE, edwards(3), ("2.5.29.31", False, seq(b"\x05\0"))), "invalid CRL distribution point"),
        (leaf(MIDDLE, edwards(3), names(dns("localhost"), ip(b"123"))), "cannot parse IP address of length 3"),
        (leaf(MIDDLE, edwards(3)).but(subject=seq(tlv(0x31, seq()))), "invalid RDNSequence: invalid attribute type"),
        (leaf(MIDDLE, edwards(3)).but(subject=seq(b"\x05\0")), "invalid RDNSequence"),
        (leaf(MIDDLE, edwards(3)).but(serial=integer(-1)), "negative serial number"),
        (leaf(MIDDLE, edwards(3), ("2.5.29.14", True, octets(b"x"))), "subject key identifier incorrectly marked critical"),
        (leaf(MIDDLE, edwards(3), ("2.5.29.19", True, seq(tlv(1, b"\1")))), "invalid basic constraints"),
        (leaf(MIDDLE, edwards(3)).but(after=b"", tail=b"", version=tlv(0xA0, integer(3))), "invalid version"),
    ],
)  # fmt: skip
def test_certificates_that_go_cannot_parse_are_rejected(end: Maker, words: str) -> None:
    assert verdict_on(end, MIDDLE) == UNREAD + words
    assert trust.unread([end.der()]) == UNREAD + words


def test_a_duplicate_extension_is_rejected() -> None:
    end = leaf(MIDDLE, edwards(3))
    twice = end.but(extensions=(*end.extensions, names(dns("localhost"))))
    assert (
        verdict_on(twice, MIDDLE) == f'{UNREAD}certificate contains duplicate extension with OID "2.5.29.17"'
    )


def test_a_dsa_root_verifies_nothing() -> None:
    root = authority("root", dsa_pair())
    assert "cannot verify signature: algorithm unimplemented" in verdict_on(leaf(root, edwards(3)), root=root)


# ---------------------------------------------------------------------------------------------------------
# Rules in which the verifier once rejected more than Go
# ---------------------------------------------------------------------------------------------------------


def test_a_damaged_block_of_a_ca_file_is_ignored() -> None:
    good, bad = pem(ROOT.der()), pem(b"\x30\x03\x02\x01\x01")
    chain = [leaf(MIDDLE, edwards(3)).der(), MIDDLE.der()]
    for text in (
        bad + good,
        good + bad,
        good.replace(b"M", b"!", 2) + good,
        b"notes\n" + good,
        good[:200] + b"\n" + good,
    ):
        assert trust.verdict(chain, anchors=trust.pool(text), name="localhost", now=NOW) == "", text
        assert [each.serial_number for each in trust.bundle(text)] == [1]
    assert not trust.pool(bad)


def test_address_constraints_with_host_bits() -> None:
    assert (
        verdict_on_leaf(
            names(dns("localhost"), ip(b"\x7f\0\0\1")),
            middle=(constraints([ip(b"\x7f\0\0\1\xff\0\0\0")], None),),
        )
        == ""
    )


@pytest.mark.parametrize(
    "value",
    [
        seq(),
        seq(tlv(0x82, b"\5")),
        seq(tlv(0xA1, directory(cn("x")))),
        seq(tlv(0xA1, directory(cn("x"))), tlv(0x82, b"\5")),
    ],
)
def test_an_issuer_without_key_identifier(value: bytes) -> None:
    assert verdict_on_leaf(("2.5.29.35", False, value)) == ""


def test_no_extended_key_usage_allows_every_purpose() -> None:
    assert verdict_on_leaf(purposes()) == ""


def test_names_of_unknown_kinds_are_ignored() -> None:
    assert (
        verdict_on_leaf(names(dns("localhost"), tlv(0x8A, b"?"), tlv(0x88, b"\x2a\x03"), directory(cn("x"))))
        == ""
    )


def test_ten_thousand_names_are_verified_quickly() -> None:
    crowd = names(*(dns(f"host{number}.example.com") for number in range(10_000)))
    began = time.process_time()
    assert verdict_on_leaf(crowd, asked="host9999.example.com") == ""
    assert verdict_on_leaf(crowd) == "x509: certificate is valid for 10000 names, but none matched localhost"
    # Parsing and verifying twice takes far less than a second on an idle machine.
    assert time.process_time() - began < 1
    big = pem(leaf(MIDDLE, edwards(3), crowd).der())
    assert len(big) > 200_000
    assert len(trust.summary(big).names) == 10_000


def test_a_ca_whose_key_usage_is_another() -> None:
    assert verdict_on_leaf(middle=(usage(0x80, 7),)) == NEVER
    assert verdict_on_leaf(middle=(usage(0x00),)) == ""


# ---------------------------------------------------------------------------------------------------------
# Texts of errors
# ---------------------------------------------------------------------------------------------------------


def test_old_signature_hashes_are_named_with_the_key_type() -> None:
    for pair, words in ((rsa_pair(1), "SHA1-RSA"), (curve(1), "ECDSA-SHA1")):
        root = authority("root", pair)
        found = verdict_on(leaf(root, edwards(3)).but(digest="SHA1"), root=root)
        assert f'"x509: cannot verify signature: insecure algorithm {words}"' in found


@pytest.mark.parametrize(("count", "counted"), [(99, False), (100, True), (101, True)])
def test_an_error_counts_many_names_instead_of_listing_them(count: int, counted: bool) -> None:
    many = names(*(dns(f"host{number}") for number in range(count)))
    words = f"x509: certificate is valid for {count} names, but none matched localhost"
    assert (verdict_on_leaf(many) == words) is counted
    addresses = names(*(ip(bytes((10, 0, 0, number))) for number in range(count)))
    words = f"x509: certificate is valid for {count} IP SANs, but none matched 127.0.0.1"
    assert (verdict_on_leaf(addresses, asked="127.0.0.1") == words) is counted


def test_short_rsa_keys_are_rejected() -> None:
    # No library makes such a key any more; its public key is enough to be rejected.
    info = seq(
        seq(oid("1.2.840.113549.1.1.1"), b"\x05\0"),
        tlv(3, b"\0", seq(integer((1 << 511) | 5), integer(65537))),
    )
    middle = MIDDLE.but(info=info)
    end = leaf(middle, edwards(3)).but(signer=rsa_pair(1))
    assert "crypto/rsa: 512-bit keys are insecure" in verdict_on(end, middle)


def test_pem_is_found_as_go_finds_it() -> None:
    body = pem(b"certificate")
    for text, count in (
        (body, 1),
        (body + body, 2),
        (b"\xef\xbb\xbf" + body, 0),
        (b" " + body, 0),
        (b"text\n" + body, 1),
        (body.replace(b"\n", b"\r\n"), 1),
        (body.rstrip(), 1),
        (body.rstrip() + b"x\n", 0),
        (body.replace(b"-----END", b"----END"), 0),
        (b"-----BEGIN CERTIFICATE-----\n" + body, 1),
        (body.replace(b"CERTIFICATE-----\n", b"CERTIFICATE-----\nName: x\n\n", 1), 0),
        (pem(b"x", "TRUSTED CERTIFICATE"), 0),
    ):
        assert len(list(go.certificates(text))) == count, text


def test_a_certificate_that_other_libraries_reject_is_summarised() -> None:
    odd = MIDDLE.also(constraints([ip(b"\x7f\0\0\1\xff\0\0\0")], None)).but(
        version=tlv(0xA0, integer(1)), extensions=()
    )
    summary = trust.summary(odd.der())
    assert (summary.subject, summary.issuer) == ("CN=middle", "CN=root")
