"""The web configuration: edited in its owner's hand, and read as strictly as the real toolkit reads it."""

from __future__ import annotations

import datetime as dt
import subprocess
from pathlib import Path

import bcrypt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from wizard.configs import web
from wizard.errors import ConfigError

# A fixed salt, for the names of the tests hold the hashes and must be the same in every process.
SALT = b"$2b$04$abcdefghijklmnopqrstuu"
HASH = "$2y$04$" + bcrypt.hashpw(b"canary", SALT).decode()[7:]
OTHER = bcrypt.hashpw(b"canary2", SALT).decode()
NEW = {"cert_file": "/etc/x/server.crt", "key_file": "/etc/x/server.key", "users": {"prometheus": HASH}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("c", "o"):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "srv1")])
        now = dt.datetime.now(dt.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now)
            .not_valid_after(now + dt.timedelta(days=1))
            .sign(key, hashes.SHA256())
        )
        shapes = {
            "crt": certificate.public_bytes(serialization.Encoding.PEM),
            "der": certificate.public_bytes(serialization.Encoding.DER),
            "key": _private(key, serialization.NoEncryption()),
            "locked": _private(key, serialization.BestAvailableEncryption(b"x")),
        }
        for suffix, content in shapes.items():
            (tmp_path / f"{name}.{suffix}").write_bytes(content)
    (tmp_path / "junk").write_text("junk\n")
    return tmp_path


def _private(key: ec.EllipticCurvePrivateKey, how: serialization.KeySerializationEncryption) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how)


def accepted(promtool: str, content: bytes, folder: Path) -> bool:
    file = folder / "web.yml"
    file.write_bytes(content)
    ended = subprocess.run(
        [promtool, "check", "web-config", str(file)], capture_output=True, timeout=60, check=False
    )
    return ended.returncode == 0


def read(path: str) -> bytes | None:
    return Path(path).read_bytes() if Path(path).exists() else None


def test_a_new_file_says_what_was_asked_for(promtool: str, folder: Path) -> None:
    given = {"cert_file": f"{folder}/c.crt", "key_file": f"{folder}/c.key", "users": {"prometheus": HASH}}
    content = web.secure(None, **given)  # type: ignore[arg-type]
    assert accepted(promtool, content, folder)
    assert content.startswith(b"# ")
    assert web.check(content, toolkit="0.5.1", read=read) == ()
    config = web.parse(content)
    assert (config.cert_file, config.key_file) == (given["cert_file"], given["key_file"])
    assert config.users == {"prometheus": HASH}
    assert HASH not in repr(config)
    assert web.secure(content, **given) == content  # type: ignore[arg-type]
    assert web.secure(None, cert_file="/c", header="One\n\nTwo") == (
        b"# One\n#\n# Two\ntls_server_config:\n  cert_file: /c\n"
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "# mine\r\nbasic_auth_users: # people\r\n    alice: OTHER   # keep\r\n# end",
            (
                "# mine\r\nbasic_auth_users: # people\r\n    alice: OTHER   # keep\r\n    prometheus: HASH\r\n"
                "# end\r\ntls_server_config:\r\n    cert_file: /etc/x/server.crt\r\n    key_file: /etc/x/server.key"
            ),
        ),
        (
            (
                "tls_server_config: {cert_file: 'old', key_file: \"old\", min_version: TLS13}\n"
                "basic_auth_users: {prometheus: 'OTHER'} # x\nhttp_server_config:\n  http2: false\n"
            ),
            (
                "tls_server_config: {cert_file: '/etc/x/server.crt', key_file: \"/etc/x/server.key\", "
                "min_version: TLS13}\nbasic_auth_users: {prometheus: 'HASH'} # x\nhttp_server_config:\n  http2: false\n"
            ),
        ),
        (
            "tls_server_config:\n  cert: |\n    PEM\n  key_file: /etc/x/server.key\nbasic_auth_users:\n",
            (
                "tls_server_config:\n  cert_file: /etc/x/server.crt\n  key_file: /etc/x/server.key\n"
                "basic_auth_users:\n  prometheus: HASH\n"
            ),
        ),
        (
            "",
            (
                "tls_server_config:\n  cert_file: /etc/x/server.crt\n  key_file: /etc/x/server.key\n"
                "basic_auth_users:\n  prometheus: HASH\n"
            ),
        ),
    ],
)
def test_an_existing_file_keeps_its_owners_hand(before: str, after: str) -> None:
    def filled(text: str) -> bytes:
        return text.replace("HASH", HASH).replace("OTHER", OTHER).encode()

    result = web.secure(filled(before), **NEW)  # type: ignore[arg-type]
    # Where a comment ends the file, the new section may stand before or behind it.
    assert sorted(result.splitlines()) == sorted(filled(after).splitlines())
    assert result.count(b"\r\n") == filled(after).count(b"\r\n")
    assert web.secure(result, **NEW) == result  # type: ignore[arg-type]


def test_a_user_may_have_the_name_of_a_setting() -> None:
    before = f"basic_auth_users:\n  username_file: {OTHER}\n  password: {OTHER}\n".encode()
    users = {"username": HASH, "password_file": HASH}
    assert web.parse(web.secure(before, users=users)).users == {
        "username_file": OTHER,
        "password": OTHER,
        **users,
    }


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("tls_server_config: &x {cert_file: a}\nhttp_server_config: *x\n", "used elsewhere"),
        ("basic_auth_users: [alice]\n", "not a mapping"),
        ("basic_auth_users: alice\n", "not a mapping"),
        ("- a\n", "something else"),
        ("tls_server_config: {cert_file: a, <<: {cert_file: b}}\n", "merge key"),
        ("a: [\n", "not valid YAML"),
    ],
)
def test_what_cannot_be_edited_without_a_guess_is_refused(content: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        web.secure(content.encode(), **NEW)  # type: ignore[arg-type]
    assert caught.value.todo


GOOD = "tls_server_config:\n  cert_file: F/c.crt\n  key_file: F/c.key\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tls_config: {cert_file: a}\n", "line 1: tls_config is the client's word"),
        (
            "cert_file: F/c.crt\n",
            "line 1: cert_file does not belong at the top (put it below tls_server_config)",
        ),
        (
            GOOD + "  keyfile: x\n",
            "line 4: there is no setting 'keyfile' in tls_server_config (did you mean key_file",
        ),
        (GOOD.replace("  key_file", "\u00a0\u00a0key_file"), "non-breaking"),
        ("tls_server_config:\n  cert_file: F/c.crt\n", "key_file is missing"),
        (GOOD + "  client_allowed_sans: [a]\n", "client_allowed_sans needs version 0.10"),
        (GOOD + "rate_limit: {interval: 1s}\n", "rate_limit needs version 0.15"),
        (GOOD + "  client_auth_type: RequireAndVerify\n", "(use RequireAndVerifyClientCert)"),
        (GOOD + "  client_ca_file: F/c.crt\n", "a client CA without a client_auth_type"),
        (GOOD + "  min_version: TLS1.2\n", "there is no TLS version 'TLS1.2'"),
        (GOOD + "  cipher_suites: [ECDHE-RSA-AES128-GCM-SHA256]\n", "there is no cipher"),
        (GOOD + "  curve_preferences: [secp256r1]\n", "there is no curve 'secp256r1'"),
        (GOOD + "http_server_config: {headers: {Server: x}}\n", "the header 'Server' cannot be set"),
        (GOOD + "http_server_config: {headers: {X-Frame-Options: DENY}}\n", "(write deny or sameorigin"),
        (GOOD.replace("c.key", "o.key"), "F/o.key does not belong to the certificate"),
        (GOOD.replace("c.key", "c.locked"), "F/c.locked holds an encrypted key"),
        (GOOD.replace("c.crt", "c.der"), "F/c.der is in binary form"),
        (GOOD.replace("c.crt", "c.key"), "the two files may be switched"),
        (GOOD.replace("c.crt", "absent"), "line 2: cert_file F/absent does not exist"),
        (
            "basic_auth_users: {alice: canary}\n",
            "user 'alice': this is no bcrypt hash; it looks like a password",
        ),
        ("basic_auth_users: {alice: $apr1$abc$canarycanary}\n", "this hash is not bcrypt"),
        (f"basic_auth_users: {{alice: {HASH[:50]}}}\n", "the hash is cut short"),
        (
            f"basic_auth_users: {{alice: {HASH.replace('$04$', '$99$')}}}\n",
            "its cost must lie between 4 and 31",
        ),
        (f"basic_auth_users: {{alice: {HASH}, alice: {HASH}}}\n", "twice"),
        (f"basic_auth_users: ['alice:{HASH}']\n", "line 1: basic_auth_users is not a mapping"),
        (f"basic_auth_users:\n  alice:{HASH}\n", "with a space after the colon"),
    ],
)
def test_what_the_toolkit_refuses_is_found(text: str, words: str, promtool: str, folder: Path) -> None:
    content = text.replace("F/", f"{folder}/").encode()
    assert not accepted(promtool, content, folder)
    found = web.check(content, toolkit="0.8.2", read=read)
    assert any(words.replace("F/", f"{folder}/") in each for each in found), found
    assert "canary" not in str(found).replace(str(folder), "")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the file is empty"),
        ("# nothing\n", "the file is empty"),
        ("basic_auth_users:\n", "line 1: basic_auth_users is empty, so everybody gets in"),
        ("basic_auth_users: {}\n", "is empty, so everybody gets in"),
        (GOOD + "  client_auth_type: RequireAndVerifyClientCert\n", "without a client_ca_file"),
        (
            GOOD + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: F/junk\n",
            "line 5: client_ca_file F/junk holds no PEM certificate",
        ),
        (
            GOOD + "  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: F/c.crt\n",
            "keeps nobody out",
        ),
        (GOOD + f"basic_auth_users: {{'a:b': {HASH}}}\n", "hold no ':'"),
        (GOOD + "  min_version: TLS10\n", "TLS10 is no longer safe"),
        (
            GOOD + "  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]\n",
            "HTTP/2 needs TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        ),
    ],
)
def test_what_promtool_calls_success_is_found(text: str, words: str, promtool: str, folder: Path) -> None:
    content = text.replace("F/", f"{folder}/").encode()
    assert accepted(promtool, content, folder)
    found = web.check(content, toolkit="0.8.2", read=read)
    assert any(words.replace("F/", f"{folder}/") in each for each in found), found


def test_a_newer_toolkit_knows_more() -> None:
    text = (
        b"tls_server_config: {cert: x, key: y, client_auth_type: RequireAndVerifyClientCert, client_ca: z}\n"
    )
    assert web.check(text) == ()
    assert web.check(text, toolkit="0.11.0") == ()
    assert len(web.check(text, toolkit="0.10")) == 3
    headers = GOOD.encode() + b"http_server_config:\n  headers: {X-Content-Type-Options: nosniff}\n"
    assert web.check(headers, toolkit="0.7.3") == ()
    assert len(web.check(headers, toolkit="0.6")) == 1
