"""Go, OpenSSL and strict Python accept issued certificates; invalid requests and certificates are rejected."""

from __future__ import annotations

import datetime as dt
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from wizard import assets, certificates
from wizard.certificates import issue
from wizard.errors import CertificateError, FirescreenError
from wizard.redact import Secret

NOW = dt.datetime.now(dt.UTC)
KINDS: tuple[issue.KeyKind, ...] = ("ec-p256", "rsa-2048", "ed25519")


@pytest.fixture(scope="module")
def authority() -> tuple[bytes, bytes]:
    """CA certificate and key."""
    key = issue.new_key("ec-p256")
    return issue.new_ca(name="Lab CA", key_pem=key, days=100), key


def issued(
    authority: tuple[bytes, bytes],
    key: bytes,
    *names: str,
    days: int = 30,
    server: bool = True,
    client: bool = False,
) -> bytes:
    return issue.issue(
        ca_cert=authority[0],
        ca_key=authority[1],
        key_pem=key,
        names=names,
        days=days,
        common_name="leaf",
        server=server,
        client=client,
    )


# ---------------------------------------------------------------------------------------------------------
# Other programs accept them
# ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", ["ca", "self-signed"])
def test_strict_python_openssl_and_go_accept_issued_certificates(
    kind: issue.KeyKind, way: str, authority: tuple[bytes, bytes], tmp_path: Path
) -> None:
    key = issue.new_key(kind)
    if way == "ca":
        anchor, leaf = authority[0], issued(authority, key, "localhost", "127.0.0.1", client=True)
    else:
        leaf = anchor = issue.self_signed(
            key_pem=key, names=["localhost", "127.0.0.1"], days=30, common_name="leaf", client=True
        )
    assert verified_name(anchor, leaf, key, tmp_path) == "localhost"
    for purpose in ("sslserver", "sslclient"):
        command = ["openssl", "verify", "-x509_strict", "-purpose", purpose, "-verify_hostname", "localhost"]
        subprocess.run(
            [*command, "-CAfile", "anchor.crt", "leaf.crt"], check=True, cwd=tmp_path, capture_output=True
        )
    assert issue.problems(leaf, names=["localhost", "127.0.0.1"], key_pem=key, ca_pem=anchor) == ()
    assert issue.problems(leaf, names=[], key_pem=key, ca_pem=anchor, purpose="client") == ()


def test_a_certificate_of_another_ca_is_rejected(authority: tuple[bytes, bytes], tmp_path: Path) -> None:
    key = issue.new_key("ec-p256")
    other = issue.new_ca(name="Lab CA", key_pem=issue.new_key("ec-p256"), days=10)
    leaf = issued(authority, key, "localhost")
    with pytest.raises(ssl.SSLCertVerificationError):
        verified_name(other, leaf, key, tmp_path)
    assert "not accepted with this CA" in issue.problems(leaf, names=[], ca_pem=other)[0]


def verified_name(anchor: bytes, leaf: bytes, key: bytes, folder: Path) -> str:
    """Makes a handshake in memory with Python 3.13's default strictness; returns the verified name."""
    for name, content in (("anchor.crt", anchor), ("leaf.crt", leaf), ("leaf.key", key)):
        (folder / name).write_bytes(content)
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client_side = ssl.create_default_context(cafile=str(folder / "anchor.crt"))
    client_side.verify_flags |= ssl.VERIFY_X509_STRICT
    for context in (server_side, client_side):
        context.load_cert_chain(folder / "leaf.crt", folder / "leaf.key")
    server_side.load_verify_locations(folder / "anchor.crt")
    server_side.verify_mode = ssl.CERT_REQUIRED
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_side.wrap_bio(to_client, to_server, server_hostname="localhost")
    server = server_side.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for end in (client, server):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert client.version() == "TLSv1.3"
    return str(client.server_hostname)


# ---------------------------------------------------------------------------------------------------------
# Their content
# ---------------------------------------------------------------------------------------------------------


def test_issued_certificates_have_the_expected_extensions_and_dates(authority: tuple[bytes, bytes]) -> None:
    ca = certificates.load(authority[0])
    leaf = certificates.load(
        issued(authority, issue.new_key("rsa-2048"), "Node1.Lab", "192.0.2.1", "::1", "bücher.example")
    )
    constraints = ca.extensions.get_extension_for_class(x509.BasicConstraints)
    usage = ca.extensions.get_extension_for_class(x509.KeyUsage)
    assert constraints.critical and constraints.value.ca
    assert usage.critical and usage.value.key_cert_sign and usage.value.crl_sign
    aki = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    ski = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    assert aki.key_identifier == ski.digest
    assert leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    assert dt.datetime.now(dt.UTC) - leaf.not_valid_before_utc > dt.timedelta(minutes=55)
    found = issue.summary(leaf.public_bytes(Encoding.DER))
    assert found.names == ("node1.lab", "xn--bcher-kva.example", "192.0.2.1", "::1")
    assert (found.key, found.usage) == ("RSA 2048", ("server",))
    assert issue.summary(authority[0]).usage == ("CA",)


def test_a_leaf_never_outlives_its_ca(authority: tuple[bytes, bytes]) -> None:
    leaf = certificates.load(issued(authority, issue.new_key("ec-p256"), "a", days=365))
    assert leaf.not_valid_after_utc == certificates.load(authority[0]).not_valid_after_utc
    end, note = issue.lifetime(authority[0], 365)
    assert end == leaf.not_valid_after_utc
    assert note.startswith("valid for 99 days instead of 365")
    assert issue.lifetime(authority[0], 9)[1] == ""


def test_a_certificate_is_described_in_six_lines(authority: tuple[bytes, bytes]) -> None:
    lines = issue.describe(issued(authority, issue.new_key("ec-p256"), "node1.lab", client=True))
    assert len(lines) == 6
    assert "Lab CA" in lines[1] and "node1.lab" in lines[2]
    assert "29 days left" in lines[3] and "EC P-256" in lines[4] and "server, client" in lines[4]


def test_control_characters_of_a_subject_are_escaped(tmp_path: Path) -> None:
    subject = "/CN=\x1b[31mred\x1b]52;c;ZXZpbA==\x07\u202e[bold]x"
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-utf8",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            "k",
            "-out",
            "c",
            "-subj",
            subject,
        ],
        check=True,
        cwd=tmp_path,
        capture_output=True,
    )
    lines = issue.describe((tmp_path / "c").read_bytes())
    assert len(lines) == 6
    assert not any(sign in line for line in lines for sign in ("\x1b", "\x07", "\u202e", "\n"))


# ---------------------------------------------------------------------------------------------------------
# Keys and passphrases
# ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_is_encrypted_and_decrypted_with_a_passphrase(kind: issue.KeyKind, tmp_path: Path) -> None:
    key = issue.new_key(kind)
    locked = issue.lock(key, Secret("pässphrase"))
    assert b"ENCRYPTED" in locked
    assert issue.unlock(locked, Secret("pässphrase")) == key
    assert issue.unlock(key, None) == issue.unlock(key, Secret("not needed")) == key
    for wrong in (Secret("wrong"), Secret(""), None):
        with pytest.raises(CertificateError):
            issue.unlock(locked, wrong)
    (tmp_path / "locked.key").write_bytes(locked)
    command = ["openssl", "pkey", "-in", "locked.key", "-passin", "stdin"]
    done = subprocess.run(
        command, input="pässphrase\n".encode(), check=True, cwd=tmp_path, capture_output=True
    )
    assert b"PRIVATE KEY" in done.stdout


def test_invalid_keys_and_passphrases_are_rejected() -> None:
    for junk in (b"", b"junk", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"):
        with pytest.raises(CertificateError):
            issue.unlock(junk, None)
    for bad in (Secret(""), Secret("x" * 2000)):
        with pytest.raises(CertificateError):
            issue.lock(issue.new_key("ec-p256"), bad)


# ---------------------------------------------------------------------------------------------------------
# Invalid requests
# ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        *("", " ", "a b", " a", "https://a.lab", "a.lab:9100", "[::1]:9100", "10.0.0.0/8", "a/metrics"),
        *("*", "*.", "*.*.lab", "a.*.lab", "a*.lab", "-a.lab", "a..lab", ".lab", "1.2.3", "1.2.3.400"),
        *("straße.lab", "a\x1b.lab", "a\x00b", "x" * 64 + ".lab", ".".join(["x" * 60] * 5)),
    ],
)
def test_invalid_certificate_names_are_rejected(name: str, authority: tuple[bytes, bytes]) -> None:
    with pytest.raises(CertificateError) as refused:
        issued(authority, issue.new_key("ec-p256"), name)
    assert refused.value.todo
    assert "\x1b" not in str(refused.value)


def test_invalid_requests_for_certificates_are_rejected(authority: tuple[bytes, bytes]) -> None:
    key = issue.new_key("ec-p256")
    leaf = issued(authority, key, "a")
    tries: tuple[Callable[[], bytes], ...] = (
        lambda: issued(authority, key, "a", days=0),
        lambda: issued(authority, key, "a", days=10**9),
        lambda: issued(authority, key),
        lambda: issued(authority, key, "a", server=False),
        lambda: issued((leaf, key), key, "a"),
        lambda: issued((authority[0], key), key, "a"),
        lambda: issued((authority[0], issue.lock(authority[1], Secret("x"))), key, "a"),
        lambda: issue.new_ca(name="x" * 65, key_pem=key, days=1),
        lambda: issue.new_ca(name="", key_pem=key, days=1),
    )
    for attempt in tries:
        with pytest.raises(CertificateError) as refused:
            attempt()
        assert refused.value.todo
    old = issue.new_ca(name="old", key_pem=key, days=1, now=NOW - dt.timedelta(days=5))
    with pytest.raises(CertificateError, match="expired"):
        issued((old, key), key, "a")


# ---------------------------------------------------------------------------------------------------------
# Problems of existing certificates
# ---------------------------------------------------------------------------------------------------------


def test_each_problem_of_a_certificate_is_described(authority: tuple[bytes, bytes]) -> None:
    key, other = issue.new_key("ec-p256"), issue.new_key("ec-p256")
    leaf = issued(authority, key, "a.lab", "10.0.0.1")
    names = ["a.lab", "10.0.0.1"]

    def problem_text(certificate: bytes = leaf, **more: object) -> str:
        options = {"names": names, "key_pem": key, "ca_pem": authority[0], **more}
        return " ".join(issue.problems(certificate, **options))  # type: ignore[arg-type]

    assert problem_text() == ""
    assert "does not belong" in problem_text(key_pem=other)
    assert "encrypted" in problem_text(key_pem=issue.lock(key, Secret("x")))
    assert "not a private key" in problem_text(key_pem=leaf)
    assert "does not contain the name b.lab" in problem_text(names=["a.lab", "b.lab"])
    assert "does not contain the name 10.0.0.2" in problem_text(names=["10.0.0.2"])
    assert "expired on" in problem_text(now=NOW + dt.timedelta(days=40))
    assert "valid only from" in problem_text(now=NOW - dt.timedelta(days=4))
    assert "not be used as a client's" in problem_text(purpose="client")
    assert "no CA certificate" in problem_text(ca_pem=issued(authority, other, "x"))
    assert "no PEM certificate" in problem_text(ca_pem=b"junk")
    assert "DER" in problem_text(certificates.load(leaf).public_bytes(Encoding.DER))
    assert "private key here but no certificate" in problem_text(key)
    assert "damaged" in problem_text(leaf.replace(b"MII", b"AAA", 1))
    assert problem_text(b"") != ""
    assert issue.matches(leaf, key)
    assert not issue.matches(leaf, other)
    assert not issue.matches(b"junk", key)


def test_damaged_certificates_raise_only_certificate_errors(authority: tuple[bytes, bytes]) -> None:
    """Each byte of a certificate is flipped in turn: the result is an answer or a CertificateError."""
    der = certificates.load(issued(authority, issue.new_key("ec-p256"), "a.lab")).public_bytes(Encoding.DER)
    anchors = issue.bundle(authority[0])
    intact = 0
    for index in range(len(der)):
        broken = der[:index] + bytes([der[index] ^ 0x55]) + der[index + 1 :]
        try:
            certificate = certificates.load(broken)
            issue.summary(broken)
        except CertificateError:
            continue
        intact += certificates.verdict([certificate], anchors=anchors, name="a.lab") == ""
    assert intact == 0


def test_assets_are_found_and_a_missing_one_is_named() -> None:
    assert assets.path("diagnoses.yaml").is_file()
    for name in ("none.yaml", "../pyproject.toml", "/etc/passwd"):
        with pytest.raises(FirescreenError):
            assets.path(name)
