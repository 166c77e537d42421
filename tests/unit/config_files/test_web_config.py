"""The web configuration is edited in its own style, and read as strictly as the real exporter-toolkit reads it."""

from __future__ import annotations

import datetime as dt
import subprocess
from pathlib import Path
from typing import Any

import bcrypt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from wizard import components
from wizard.config_files import web_config
from wizard.errors import ConfigError
from wizard.model import RateLimit

# A fixed salt: test ids contain the hashes and must be the same in every process.
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


def promtool_accepts(promtool: str, content: bytes, folder: Path) -> bool:
    file = folder / "web.yml"
    file.write_bytes(content)
    ended = subprocess.run(
        [promtool, "check", "web-config", str(file)], capture_output=True, timeout=60, check=False
    )
    return ended.returncode == 0


def read(path: str) -> bytes | None:
    return Path(path).read_bytes() if Path(path).exists() else None


def test_a_new_file_contains_the_requested_settings(promtool: str, folder: Path) -> None:
    given = {"cert_file": f"{folder}/c.crt", "key_file": f"{folder}/c.key", "users": {"prometheus": HASH}}
    content = web_config.secure(None, **given)  # type: ignore[arg-type]
    assert promtool_accepts(promtool, content, folder)
    assert content.startswith(b"# ")
    assert web_config.check(content, toolkit="0.5.1", read=read) == ()
    config = web_config.parse(content)
    assert (config.cert_file, config.key_file) == (given["cert_file"], given["key_file"])
    assert config.users == {"prometheus": HASH}
    assert HASH not in repr(config)
    assert web_config.secure(content, **given) == content  # type: ignore[arg-type]
    assert web_config.secure(None, cert_file="/c", header="One\n\nTwo") == (
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
def test_an_existing_file_keeps_its_style(before: str, after: str) -> None:
    def filled(text: str) -> bytes:
        return text.replace("HASH", HASH).replace("OTHER", OTHER).encode()

    result = web_config.secure(filled(before), **NEW)  # type: ignore[arg-type]
    # If a comment ends the file, the new section may come before or after it.
    assert sorted(result.splitlines()) == sorted(filled(after).splitlines())
    assert result.count(b"\r\n") == filled(after).count(b"\r\n")
    assert web_config.secure(result, **NEW) == result  # type: ignore[arg-type]


def test_a_user_may_have_the_name_of_a_setting() -> None:
    before = f"basic_auth_users:\n  username_file: {OTHER}\n  password: {OTHER}\n".encode()
    users = {"username": HASH, "password_file": HASH}
    assert web_config.parse(web_config.secure(before, users=users)).users == {
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
def test_ambiguous_files_are_refused(content: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        web_config.secure(content.encode(), **NEW)  # type: ignore[arg-type]
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
def test_mistakes_that_the_toolkit_rejects_are_found(
    text: str, words: str, promtool: str, folder: Path
) -> None:
    content = text.replace("F/", f"{folder}/").encode()
    assert not promtool_accepts(promtool, content, folder)
    found = web_config.check(content, toolkit="0.8.2", read=read)
    assert any(words.replace("F/", f"{folder}/") in each for each in found), found
    assert "canary" not in str(found).replace(str(folder), "")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the file is empty"),
        ("# nothing\n", "the file is empty"),
        ("basic_auth_users:\n", "line 1: basic_auth_users is empty, so every client is accepted"),
        ("basic_auth_users: {}\n", "is empty, so every client is accepted"),
        (GOOD + "  client_auth_type: RequireAndVerifyClientCert\n", "without a client_ca_file"),
        (
            GOOD + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: F/junk\n",
            "line 5: client_ca_file F/junk holds no PEM certificate",
        ),
        (GOOD + f"basic_auth_users: {{'a:b': {HASH}}}\n", "hold no ':'"),
        (GOOD + "  max_version: TLS11\n", "max_version TLS11 is below min_version, which is TLS12"),
        (
            GOOD + "  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]\n",
            "HTTP/2 needs TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        ),
    ],
)
def test_mistakes_that_promtool_accepts_are_found(text: str, words: str, promtool: str, folder: Path) -> None:
    content = text.replace("F/", f"{folder}/").encode()
    assert promtool_accepts(promtool, content, folder)
    found = web_config.check(content, toolkit="0.8.2", read=read)
    assert any(words.replace("F/", f"{folder}/") in each for each in found), found


def test_a_newer_toolkit_accepts_more_settings(folder: Path) -> None:
    files = {"cert": "c.crt", "key": "c.key", "client_ca": "c.crt"}
    text = "tls_server_config:\n  client_auth_type: RequireAndVerifyClientCert\n"
    for name, file in files.items():
        text += f"  {name}: |\n" + "".join(
            f"    {line}\n" for line in (folder / file).read_text().splitlines()
        )
    assert web_config.check(text.encode()) == ()
    assert web_config.check(text.encode(), toolkit="0.11.0") == ()
    assert len(web_config.check(text.encode(), toolkit="0.10")) == 3
    other = "".join(f"    {line}\n" for line in (folder / "o.key").read_text().splitlines())
    before, after = text.split("  key: |\n")
    found = web_config.check(f"{before}  key: |\n{other}{after[after.index('  client_ca') :]}".encode())
    assert [each.partition(" (")[0].partition(": ")[2] for each in found] == [
        "key does not belong to the certificate"
    ]
    headers = GOOD.encode() + b"http_server_config:\n  headers: {X-Content-Type-Options: nosniff}\n"
    assert web_config.check(headers, toolkit="0.7.3") == ()
    assert len(web_config.check(headers, toolkit="0.6")) == 1


def test_relative_paths_start_from_the_files_own_folder(folder: Path) -> None:
    text = GOOD.replace("F/", "").encode()
    assert web_config.check(text, read=read, folder=str(folder)) == ()
    assert len(web_config.check(text, read=read, folder="/nowhere")) == 2
    assert web_config.check(text, read=read) == ()


EVERYTHING: dict[str, Any] = {
    **NEW,
    "client_ca_file": "/etc/x/ca.crt",
    "client_auth_type": "RequireAndVerifyClientCert",
    "client_allowed_sans": ["prometheus.lab", "10.0.0.1"],
    "min_version": "TLS13",
    "headers": {"X-Frame-Options": "deny", "Strict-Transport-Security": "max-age=31536000"},
    "rate_limit": RateLimit("500ms", 40),
}


def test_a_new_file_can_contain_every_setting() -> None:
    content = web_config.secure(None, **EVERYTHING)
    assert web_config.check(content, toolkit="0.17") == ()
    config = web_config.parse(content)
    assert {name: getattr(config, name) for name in EVERYTHING} == {
        **EVERYTHING,
        "client_allowed_sans": ("prometheus.lab", "10.0.0.1"),
    }
    assert config.encrypted
    assert content.splitlines()[config.lines["burst"] - 1] == b"  burst: 40"
    assert content.splitlines()[config.lines["headers"] - 1] == b"    X-Frame-Options: deny"
    assert web_config.secure(content, **EVERYTHING) == content
    assert web_config.secure(b"# mine\n", **EVERYTHING) == b"# mine\n" + content.split(b"\n", 2)[2]


@pytest.mark.parametrize(
    ("before", "given", "after"),
    [
        (
            "http_server_config:\n    http2: false # why\n    headers:\n        X-XSS-Protection: '0'\n# end\n",
            {"headers": {"X-Frame-Options": "deny"}},
            (
                "http_server_config:\n    http2: false # why\n    headers:\n        X-XSS-Protection: '0'\n"
                "        X-Frame-Options: deny\n# end\n"
            ),
        ),
        (
            "http_server_config: {headers: {X-Frame-Options: 'sameorigin'}} # x\n",
            {"headers": {"X-Frame-Options": "deny"}},
            "http_server_config: {headers: {X-Frame-Options: 'deny'}} # x\n",
        ),
        (
            "http_server_config:\n  headers: # none yet\n",
            {"headers": {"X-Frame-Options": "deny"}},
            "http_server_config:\n  headers: # none yet\n    X-Frame-Options: deny\n",
        ),
        (
            "tls_server_config:\n  client_allowed_sans: # who\n  - b.lab\n  - old.lab # gone\n  - a.lab\n",
            {"client_allowed_sans": ["a.lab", "b.lab"]},
            "tls_server_config:\n  client_allowed_sans: # who\n  - b.lab\n  - a.lab\n",
        ),
        (
            "tls_server_config:\n  client_allowed_sans: [ 'b.lab', 'old.lab' ] # who\n",
            {"client_allowed_sans": ["a.lab", "b.lab", "c.lab"]},
            "tls_server_config:\n  client_allowed_sans: [ 'b.lab', 'a.lab', c.lab ] # who\n",
        ),
        (
            "tls_server_config:\n  client_allowed_sans: []\n",
            {"client_allowed_sans": ["a.lab", "b.lab"]},
            "tls_server_config:\n  client_allowed_sans: [a.lab, b.lab]\n",
        ),
        (
            "tls_server_config: {client_allowed_sans: [b.lab, a.lab]}\n",
            {"client_allowed_sans": ["a.lab", "b.lab"]},
            "tls_server_config: {client_allowed_sans: [b.lab, a.lab]}\n",
        ),
        (
            "tls_server_config:\n  cert_file: c\nbasic_auth_users: {}\n",
            {"client_allowed_sans": ["a.lab"], "min_version": "TLS13"},
            (
                "tls_server_config:\n  cert_file: c\n  min_version: TLS13\n  client_allowed_sans: [a.lab]\n"
                "basic_auth_users: {}\n"
            ),
        ),
        (
            "rate_limit:\n  interval: 0.5s # slow\n  burst: '40'\n",
            {"rate_limit": RateLimit("500ms", 40)},
            "rate_limit:\n  interval: 0.5s # slow\n  burst: 40\n",
        ),
        (
            "rate_limit: {interval: 1s}\n",
            {"rate_limit": RateLimit("2s", 5)},
            "rate_limit: {interval: 2s, burst: 5}\n",
        ),
    ],
)
def test_lists_headers_and_limits_keep_their_style(before: str, given: dict[str, Any], after: str) -> None:
    result = web_config.secure(before.encode(), **given)
    assert result.decode() == after
    assert web_config.secure(result, **given) == result


@pytest.mark.parametrize(
    "before",
    [
        "a: &x {headers: {A: b}}\nhttp_server_config: *x\n",
        "x: &l [a]\ntls_server_config: {client_allowed_sans: *l}\n",
        "http_server_config: {headers: {X-Frame-Options: [a]}}\n",
        "rate_limit: {interval: 1s, <<: {interval: 3s}}\n",
    ],
)
def test_ambiguous_extensions_are_refused(before: str) -> None:
    with pytest.raises(ConfigError) as caught:
        web_config.secure(
            before.encode(),
            headers={"X-Frame-Options": "deny"},
            client_allowed_sans=["b"],
            rate_limit=RateLimit("2s", 5),
        )
    assert caught.value.todo


def test_settings_that_a_version_lacks_are_refused() -> None:
    asked: dict[str, Any] = {
        "client_allowed_sans": ["a"],
        "headers": {"X-Frame-Options": "deny"},
        "rate_limit": RateLimit("1s", 5),
        "inline": True,
    }
    lacks = {
        toolkit: len(web_config.unsupported_settings(toolkit, **asked))
        for toolkit in ("0.5.1", "0.7", "0.8.2", "0.10", "0.11", "0.14.1", "0.15", "0.17.1", "")
    }
    assert list(lacks.values()) == [4, 3, 3, 2, 1, 1, 0, 0, 0]
    assert web_config.unsupported_settings("0.8.2", client_allowed_sans=["a"]) == (
        "client_allowed_sans needs version 0.10 of the exporter toolkit, the program has 0.8.",
    )
    assert web_config.unsupported_settings("0.5.1") == ()


def test_intentionally_weak_settings_are_reported_separately(folder: Path) -> None:
    lenient = GOOD.replace("F/", f"{folder}/") + f"  client_ca_file: {folder}/c.crt\n"
    for policy, words in (
        ("RequestClientCert", "with any certificate or none"),
        ("RequireAnyClientCert", "whoever issued it"),
        ("VerifyClientCertIfGiven", "every client that shows no certificate"),
    ):
        content = f"{lenient}  client_auth_type: {policy}\n".encode()
        assert web_config.check(content, read=read) == ()
        assert words in web_config.weak(content)[0]
        assert web_config.weak(content)[0].startswith("line 5: ")
    assert web_config.weak(f"{lenient}  client_auth_type: RequireAndVerifyClientCert\n".encode()) == ()
    assert "TLS10 is no longer safe" in web_config.weak(GOOD.encode() + b"  min_version: TLS10\n")[0]
    assert "in clear" in web_config.weak(f"basic_auth_users: {{a: {HASH}}}\n".encode())[0]
    assert web_config.weak(b"") == web_config.weak(b"a: [") == ()


@pytest.mark.parametrize(
    ("more", "name"),
    [
        ("  min_version: TLS14\n", "TLS14"),
        ("  curve_preferences: [X25519MLKEM768]\n", "X25519MLKEM768"),
        (
            "  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_AEGIS_128L_SHA256]\n",
            "TLS_AEGIS_128L_SHA256",
        ),
        ("  client_auth_type: RequireAttestedClientCert\n", "RequireAttestedClientCert"),
        ("  ech_keys: [x]\n", "ech_keys"),
        ("http_server_config: {http3: true}\n", "http3"),
        ("http_server_config:\n  headers: {Permissions-Policy: none}\n", "Permissions-Policy"),
        ("http_server_config:\n  headers: {X-Frame-Options: allow}\n", "X-Frame-Options"),
        ("rate_limit: {interval: 1s, burst: 1, per: client}\n", "per"),
        ("access_log: {path: /x}\n", "access_log"),
    ],
)
def test_settings_of_a_newer_toolkit_are_warnings(more: str, name: str, folder: Path) -> None:
    content = (GOOD.replace("F/", f"{folder}/") + more).encode()
    assert not [message for message in web_config.check(content, toolkit="", read=read) if name in message]
    assert not [
        message for message in web_config.check(content, toolkit="0.99", read=read) if name in message
    ]
    assert [
        message
        for message in web_config.unfamiliar(content)
        if name in message and message.startswith("line ")
    ]
    # All settings of these versions are listed, so an unknown one is an error, not a warning.
    assert [message for message in web_config.check(content, toolkit="0.17", read=read) if name in message]
    assert web_config.unfamiliar(content, toolkit="0.17") == ()


@pytest.mark.parametrize(
    "more",
    [
        "  min_version: TLS1.2\n",
        "  curve_preferences: [secp256r1]\n",
        "  cipher_suites: [ECDHE-RSA-AES128-GCM-SHA256]\n",
        "  cipher_suites: [TLS_RSA_WITH_RC4_128_SHA, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]\n",
        "  client_auth_type: requireandverifyclientcert\n",
        "tls_config: {}\n",
        "cert_file: /x\n",
        "http_server_config:\n  headers: {x-frame-options: deny}\n",
    ],
)
def test_settings_that_no_toolkit_accepts_are_errors(more: str, folder: Path) -> None:
    content = (GOOD.replace("F/", f"{folder}/") + more).encode()
    assert web_config.check(content, toolkit="", read=read)
    assert web_config.unfamiliar(content) == ()


@pytest.mark.parametrize(
    ("component", "version", "toolkit"),
    [
        ("node_exporter", "1.5.0", "0.8.2"),
        ("node_exporter", "1.12.3", "0.17.1"),
        ("node_exporter", "1.13.0", ""),
        ("prometheus", "2.42.0+ds", "0.8.2"),
        ("prometheus", "4.0.0", ""),
        ("postgres_exporter", "0.15.0", ""),
        ("prometheus", "", ""),
    ],
)
def test_the_toolkit_of_a_newer_program_is_unknown(component: str, version: str, toolkit: str) -> None:
    assert components.component(component).known_toolkit(version) == toolkit


def test_users_are_removed_for_the_rest_of_an_undo() -> None:
    text = b"# mine\ntls_server_config:\n  cert_file: a.crt\n  key_file: a.key\n"
    asking = text + b"basic_auth_users:\n  prometheus: " + HASH.encode() + b"\n  # a comment of theirs\n"
    assert web_config.parse(web_config.without_users(asking)).users == {}
    assert web_config.parse(web_config.without_users(asking)).cert_file == "a.crt"
    assert web_config.without_users(text) == text
