"""Our parser of a web configuration against the real ones: promtool's and the server's, in three generations.

Where promtool accepts a file that locks clients out, lets them in or does not work, we are stricter: those
cases are in `STRICTER`, each with the reason; in all others the results must be equal.
"""

from __future__ import annotations

import base64
import http.client
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bcrypt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from tests.integration.loopback_programs import free_port
from tests.processes import run_program
from wizard import binaries, components
from wizard.certificates import issue
from wizard.config_files import web_config
from wizard.model import RateLimit

SUITES = ("bookworm", "trixie", "sid")
# A fixed salt: test names must be the same in every process.
HASH = bcrypt.hashpw(b"canary", b"$2b$04$abcdefghijklmnopqrstuu").decode()

TLS = "tls_server_config:\n  cert_file: F/c.crt\n  key_file: F/c.key\n"
MUTUAL = TLS + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: F/ca.crt\n"
USERS = f"basic_auth_users:\n  alice: {HASH}\n"
HEADERS = "http_server_config:\n  headers:\n    "
PAIR_INLINE = "tls_server_config:\n  cert: |\nCERT  key: |\nKEY"
"""Below, F is the folder of the files; CERT, KEY, OTHER and CA are their contents, indented."""

CASES = {
    # Valid files.
    "tls": TLS,
    "tls and users": TLS + USERS,
    "hash with a tail": TLS + f"basic_auth_users:\n  alice: |\n    {HASH}\n",
    "users alone": USERS,
    "mutual": MUTUAL,
    "mutual and users": MUTUAL + USERS,
    "relative paths": TLS.replace("F/", ""),
    "quoted": TLS.replace("F/c.crt", "'F/c.crt'").replace("F/c.key", '"F/c.key"'),
    "flow": "{tls_server_config: {cert_file: F/c.crt, key_file: F/c.key}}\n",
    "versions": TLS + "  min_version: TLS12\n  max_version: TLS13\n",
    "TLS10 to TLS13": TLS + "  min_version: TLS10\n",
    "TLS13 alone": TLS + "  min_version: TLS13\n",
    "ciphers": TLS
    + "  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA]\n",
    "curves": TLS + "  curve_preferences: [CurveP256, CurveP384, CurveP521, X25519]\n",
    "ciphers empty": TLS + "  cipher_suites: []\n  curve_preferences:\n",
    "prefer": TLS + "  prefer_server_cipher_suites: false\n",
    "http2 off": TLS + "http_server_config: {http2: false}\n",
    "http2 no": TLS + "http_server_config: {http2: no}\n",
    "all headers": TLS
    + HEADERS
    + "Content-Security-Policy: default-src 'self'\n    X-Frame-Options: deny\n    X-XSS-Protection: 1\n"
    "    X-Content-Type-Options: nosniff\n    Strict-Transport-Security: max-age=1\n",
    "headers empty": TLS + "http_server_config:\n  headers:\n",
    "alias RequireClientCert": MUTUAL.replace("RequireAndVerifyClientCert", "RequireClientCert"),
    "RequireAnyClientCert": TLS + "  client_auth_type: RequireAnyClientCert\n",
    "RequestClientCert": TLS + "  client_auth_type: RequestClientCert\n",
    "NoClientCert": TLS + "  client_auth_type: NoClientCert\n",
    "VerifyClientCertIfGiven": MUTUAL.replace("RequireAndVerifyClientCert", "VerifyClientCertIfGiven"),
    "sans": MUTUAL + "  client_allowed_sans: [prometheus.lab, 10.0.0.1]\n",
    "sans null": TLS + "  client_allowed_sans:\n",
    "inline": PAIR_INLINE,
    "inline and file": PAIR_INLINE + "  cert_file: F/c.crt\n",
    "inline client CA": TLS + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca: |\nCA",
    "rate limit": TLS + "rate_limit: {interval: 1s, burst: 20}\n",
    "rate limit quoted": TLS + "rate_limit:\n  interval: '1m30.5s'\n  burst: 20\n",
    "rate limit in nanoseconds": TLS + "rate_limit: {interval: 1000000, burst: 20}\n",
    "key after EC PARAMETERS": TLS.replace("c.key", "params.key"),
    "words before the PEM": TLS.replace("c.crt", "words.crt"),
    "empty lines in the PEM": TLS.replace("c.crt", "gaps.crt").replace("c.key", "gaps.key"),
    "two documents": TLS + "---\nnonsense: 1\n",
    "anchors": "tls_server_config: &a\n  cert_file: F/c.crt\n  key_file: F/c.key\nhttp_server_config: {}\n",
    "null users' value kept": TLS + "http_server_config:\n",
    # Files that all reject.
    "client's word": "tls_config: {cert_file: F/c.crt}\n",
    "not below the section": "cert_file: F/c.crt\nkey_file: F/c.key\n",
    "unknown setting": TLS + "  keyfile: x\n",
    "unknown section": TLS + "tls: {}\n",
    "unknown in a merge": TLS + "<<: {interval: 1s}\n",
    "unknown in http": TLS + "http_server_config: {http3: true}\n",
    "unknown in rate limit": TLS + "rate_limit: {interval: 1s, bursts: 1}\n",
    "no key": "tls_server_config: {cert_file: F/c.crt}\n",
    "no certificate": "tls_server_config: {key_file: F/c.key}\n",
    "policy alone": "tls_server_config: {client_auth_type: RequireAnyClientCert}\n",
    "key of another": TLS.replace("c.key", "o.key"),
    "encrypted key": TLS.replace("c.key", "locked.key"),
    "switched": TLS.replace("c.key", "x").replace("c.crt", "c.key").replace("F/x", "F/c.crt"),
    "DER": TLS.replace("c.crt", "c.der"),
    "absent": TLS.replace("c.crt", "absent"),
    "absent, relative": TLS.replace("F/c.crt", "absent"),
    "junk certificate": TLS.replace("c.crt", "junk"),
    "byte order mark before the PEM": TLS.replace("c.crt", "bom.crt"),
    "indented PEM": TLS.replace("c.crt", "indented.crt"),
    "absent client CA": MUTUAL.replace("ca.crt", "absent"),
    "client CA without policy": TLS + "  client_ca_file: F/ca.crt\n",
    "client CA with NoClientCert": TLS + "  client_ca_file: F/ca.crt\n  client_auth_type: NoClientCert\n",
    "inline client CA without policy": TLS + "  client_ca: |\nCA",
    "unknown policy": TLS + "  client_auth_type: RequireAndVerify\n",
    "policy in small letters": TLS + "  client_auth_type: requireandverifyclientcert\n",
    "unknown version": TLS + "  min_version: TLS1.2\n",
    "version as a number": TLS + "  max_version: 1.2\n",
    "unknown cipher": TLS + "  cipher_suites: [ECDHE-RSA-AES128-GCM-SHA256]\n",
    "insecure cipher": TLS + "  cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]\n",
    "ciphers as a text": TLS + "  cipher_suites: TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256\n",
    "unknown curve": TLS + "  curve_preferences: [secp256r1]\n",
    "curves as a text": TLS + "  curve_preferences: X25519\n",
    "sans as a text": MUTUAL + "  client_allowed_sans: prometheus.lab\n",
    "sans with a mapping": MUTUAL + "  client_allowed_sans: [{a: b}]\n",
    "path as a list": "tls_server_config: {cert_file: [F/c.crt], key_file: F/c.key}\n",
    "prefer: maybe": TLS + "  prefer_server_cipher_suites: maybe\n",
    "http2: 1": TLS + "http_server_config: {http2: 1}\n",
    "http2 in quotes": TLS + "http_server_config: {http2: 'true'}\n",
    "other header": TLS + HEADERS + "Server: none\n",
    "header in small letters": TLS + HEADERS + "x-frame-options: deny\n",
    "header's value in capitals": TLS + HEADERS + "X-Frame-Options: DENY\n",
    "header's value missing": TLS + HEADERS + "X-Content-Type-Options:\n",
    "header as a list": TLS + HEADERS + "X-Frame-Options: [deny]\n",
    "headers as a list": TLS + "http_server_config: {headers: [X-Frame-Options]}\n",
    "users as a list": TLS + f"basic_auth_users: ['alice:{HASH}']\n",
    "users as a text": TLS + "basic_auth_users: alice\n",
    "no space after the colon": TLS + f"basic_auth_users:\n  alice:{HASH}\n",
    "password in clear": TLS + "basic_auth_users: {alice: canary}\n",
    "Apache's MD5": TLS + "basic_auth_users: {alice: $apr1$abcdefgh$canarycanarycanaryca/}\n",
    "SHA-512 crypt": TLS + f"basic_auth_users: {{alice: $6$abcdefgh${'canary' * 14}}}\n",
    "hash cut short": TLS + f"basic_auth_users: {{alice: {HASH[:58]}}}\n",
    "hash of cost 99": TLS + f"basic_auth_users: {{alice: {HASH.replace('$04$', '$99$')}}}\n",
    "hash of cost 3": TLS + f"basic_auth_users: {{alice: {HASH.replace('$04$', '$03$')}}}\n",
    "hash missing": TLS + "basic_auth_users: {alice: }\n",
    "hash as a list": TLS + f"basic_auth_users: {{alice: [{HASH}]}}\n",
    "user twice": TLS + f"basic_auth_users: {{alice: {HASH}, alice: {HASH}}}\n",
    "section twice": TLS + USERS + USERS,
    "setting twice": TLS + "  key_file: F/c.key\n",
    "section as a list": "tls_server_config: [cert_file, key_file]\n",
    "section as a text": "tls_server_config: F/c.crt\n",
    "a list": "- tls_server_config\n",
    "a text": "tls_server_config\n",
    "tab": TLS.replace("  key_file", "\tkey_file"),
    "non-breaking spaces": TLS.replace("  key_file", "\u00a0\u00a0key_file"),
    "inline junk": "tls_server_config: {cert: x, key: y}\n",
    "inline pair that does not match": "tls_server_config:\n  cert: |\nCERT  key: |\nOTHER",
    "rate limit without unit": TLS + "rate_limit: {interval: '5', burst: 1}\n",
    "rate limit in words": TLS + "rate_limit: {interval: fast, burst: 1}\n",
    "rate limit in days": TLS + "rate_limit: {interval: 1d, burst: 1}\n",
    "burst in words": TLS + "rate_limit: {interval: 1s, burst: many}\n",
    "burst in quotes": TLS + "rate_limit: {interval: 1s, burst: '20'}\n",
    "burst with a fraction": TLS + "rate_limit: {interval: 1s, burst: 1.5}\n",
    "rate limit as a list": TLS + "rate_limit: [1s, 20]\n",
}

STRICTER = {
    # name: (text, why it does not work although promtool accepts it)
    "empty file": ("", "open to everyone"),
    "comments alone": ("# nothing\n", "open to everyone"),
    "users: null": (TLS + "basic_auth_users:\n", "open to everyone"),
    "users: {}": (TLS + "basic_auth_users: {}\n", "open to everyone"),
    "no certificate at all": ("tls_server_config: {}\n" + USERS, "plain HTTP"),
    "versions alone": ("tls_server_config: {min_version: TLS12}\n" + USERS, "plain HTTP"),
    "client CA that is not PEM": (MUTUAL.replace("ca.crt", "junk"), "locks every client out"),
    "client CA in DER": (MUTUAL.replace("ca.crt", "ca.der"), "locks every client out"),
    "client CA empty": (MUTUAL.replace("ca.crt", "empty"), "locks every client out"),
    "inline client CA that is not PEM": (
        TLS + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca: junk\n",
        "locks every client out",
    ),
    "RequireAndVerify without CA": (
        TLS + "  client_auth_type: RequireAndVerifyClientCert\n",
        "trusts every public authority",
    ),
    "VerifyIfGiven without CA": (
        TLS + "  client_auth_type: VerifyClientCertIfGiven\n",
        "trusts every public authority",
    ),
    "sans without a policy": (TLS + "  client_allowed_sans: [a.lab]\n", "the names are ignored"),
    "sans with NoClientCert": (
        TLS + "  client_auth_type: NoClientCert\n  client_allowed_sans: [a.lab]\n",
        "the names are ignored",
    ),
    "sans with RequestClientCert": (
        TLS + "  client_auth_type: RequestClientCert\n  client_allowed_sans: [a.lab]\n",
        "panics at a client without certificate",
    ),
    "sans with VerifyIfGiven": (
        MUTUAL.replace("RequireAndVerifyClientCert", "VerifyClientCertIfGiven")
        + "  client_allowed_sans: [a.lab]\n",
        "panics at a client without certificate",
    ),
    "sans with RequireAny": (
        TLS + "  client_auth_type: RequireAnyClientCert\n  client_allowed_sans: [a.lab]\n",
        "anyone can write the name into a certificate of his own",
    ),
    "sans: []": (MUTUAL + "  client_allowed_sans: []\n", "locks every client out"),
    "sans with a wildcard": (MUTUAL + "  client_allowed_sans: ['*.lab']\n", "only '*.lab' itself fits"),
    "min above max": (TLS + "  min_version: TLS13\n  max_version: TLS12\n", "no handshake"),
    "max below the lowest": (TLS + "  max_version: TLS11\n", "no handshake"),
    "ciphers without HTTP/2's": (
        TLS + "  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]\n",
        "does not start",
    ),
    "key exchange without ECDHE": (
        TLS + "  cipher_suites: [TLS_RSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]\n",
        "refused once the program is built with a newer Go",
    ),
    "colon in a user's name": (TLS + f"basic_auth_users: {{'a:b': {HASH}}}\n", "cannot log in"),
    "user without a name": (TLS + f"basic_auth_users: {{'': {HASH}}}\n", "no name"),
    "hash of 59 characters": (TLS + f"basic_auth_users: {{alice: {HASH[:-1]}}}\n", "cannot log in"),
    "hash with a foreign letter": (TLS + f"basic_auth_users: {{alice: '{HASH[:-1]}!'}}\n", "cannot log in"),
    "rate limit without burst": (TLS + "rate_limit: {interval: 1s}\n", "answers nothing"),
    "rate limit without interval": (TLS + "rate_limit: {burst: 5}\n", "limits nothing"),
    "negative burst": (TLS + "rate_limit: {interval: 1s, burst: -1}\n", "answers nothing"),
    "negative interval": (TLS + "rate_limit: {interval: -1s, burst: 1}\n", "limits nothing"),
    "no interval and no burst": (TLS + "rate_limit: {interval: 0, burst: 0}\n", "limits nothing"),
    "interval 0": (TLS + "rate_limit: {interval: 0s, burst: 3}\n", "limits nothing"),
    "interval 0, negative burst": (TLS + "rate_limit: {interval: 0, burst: -1}\n", "limits nothing"),
    "burst 0 alone": (TLS + "rate_limit: {burst: 0}\n", "limits nothing"),
    "negative interval, no burst": (TLS + "rate_limit: {interval: -1s}\n", "limits nothing"),
    "burst 0": (TLS + "rate_limit: {interval: 1ns, burst: 0}\n", "answers nothing"),
}


@dataclass(frozen=True)
class CaseFiles:
    """The files that the cases name, in one folder."""

    folder: Path
    inline: dict[str, str]

    def filled(self, text: str) -> str:
        # The folder first: "F/" occurs in base64 too, in one certificate of seven.
        text = text.replace("F/", f"{self.folder}/")
        for word, lines in self.inline.items():
            text = "\n".join(
                lines + each.removeprefix(word) if each.startswith(word) else each
                for each in text.split("\n")
            )
        return text

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(self.filled(text))
        return path

    def verdict(self, text: str, toolkit: str) -> tuple[str, ...]:
        content = self.filled(text).encode()
        return web_config.check(content, toolkit=toolkit, read=_read, folder=str(self.folder))


def _read(path: str) -> bytes | None:
    return Path(path).read_bytes() if Path(path).exists() else None


@pytest.fixture(scope="module")
def case_files(tmp_path_factory: pytest.TempPathFactory) -> CaseFiles:
    folder = tmp_path_factory.mktemp("web")
    ca_key, key, other = (issue.new_key("ec-p256") for _ in range(3))
    ca = issue.new_ca(name="Lab CA", key_pem=ca_key, days=100)

    def leaf(key: bytes, name: str, **more: Any) -> bytes:
        names = [name, "127.0.0.1"]
        return issue.issue(
            ca_cert=ca, ca_key=ca_key, key_pem=key, names=names, days=30, common_name=name, **more
        )

    certificate = leaf(key, "localhost")
    loaded = serialization.load_pem_private_key(key, None)
    old = loaded.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    files = {
        "ca.crt": ca,
        "c.crt": certificate,
        "c.key": key,
        "o.key": other,
        "client.pem": leaf(other, "a.lab", server=False, client=True) + other,
        "locked.key": loaded.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")),
        # The format of `openssl ecparam -genkey`.
        "params.key": b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n" + old,
        "c.der": ssl.PEM_cert_to_DER_cert(certificate.decode()),
        "ca.der": ssl.PEM_cert_to_DER_cert(ca.decode()),
        "words.crt": b"Subject: CN = localhost\nlike openssl x509 -text\n" + certificate,
        "gaps.crt": certificate.replace(b"\n", b"  \r\n\n"),
        "gaps.key": key.replace(b"\n", b"\n\n"),
        "bom.crt": b"\xef\xbb\xbf" + certificate,
        "indented.crt": _indented(certificate).encode(),
        "junk": b"junk\n",
        "empty": b"",
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    inline = {"CERT": certificate, "KEY": key, "OTHER": other, "CA": ca}
    return CaseFiles(folder, {word: _indented(pem) for word, pem in inline.items()})


def _indented(pem: bytes) -> str:
    return "".join(f"    {line}\n" for line in pem.decode().splitlines())


def _toolkit(suite: str, cache: Path) -> str:
    # Debian builds all the programs of a suite with the one toolkit that it packages; node_exporter's own
    # choice is the same one in these three.
    version = binaries.find("node_exporter", cache=cache, suite=suite).version
    return components.component("node_exporter").toolkit(version)


def _accepted(suite: str, cache: Path, files: dict[str, Path]) -> dict[str, bool]:
    """Returns for each file whether the promtool of that generation accepts it."""
    promtool = binaries.find("promtool", cache=cache, suite=suite).path
    argv = [promtool, "check", "web-config", *map(str, files.values())]
    ended = run_program(argv)
    output = ended.stdout + ended.stderr
    verdicts = {name: f"{file} SUCCESS" in output for name, file in files.items()}
    assert all(good != (f"{files[name]} FAILED" in output) for name, good in verdicts.items())
    return verdicts


@pytest.mark.parametrize("suite", SUITES)
def test_promtool_and_we_agree(suite: str, case_files: CaseFiles, cache: Path) -> None:
    toolkit = _toolkit(suite, cache)
    texts = CASES | {name: text for name, (text, _) in STRICTER.items()}
    files = {name: case_files.write(f"{suite}-{n}.yml", text) for n, (name, text) in enumerate(texts.items())}
    wrong = {}
    for name, accepted in _accepted(suite, cache, files).items():
        found = case_files.verdict(texts[name], toolkit)
        if bool(found) != (not accepted or name in STRICTER):
            wrong[name] = (accepted, found)
    assert not wrong


def test_promtool_accepts_each_case_in_which_we_are_stricter(case_files: CaseFiles, cache: Path) -> None:
    """A case that no generation accepts any more belongs in the other table."""
    files = {
        name: case_files.write(f"named-{n}.yml", text) for n, (name, (text, _)) in enumerate(STRICTER.items())
    }
    verdicts = [_accepted(suite, cache, files) for suite in SUITES]
    assert [name for name in STRICTER if not any(each[name] for each in verdicts)] == []


@pytest.mark.parametrize("suite", SUITES)
def test_our_files_are_accepted_by_the_supported_versions(
    suite: str, case_files: CaseFiles, cache: Path
) -> None:
    toolkit = _toolkit(suite, cache)
    base: dict[str, Any] = {
        "cert_file": str(case_files.folder / "c.crt"),
        "key_file": str(case_files.folder / "c.key"),
        "client_ca_file": str(case_files.folder / "ca.crt"),
        "client_auth_type": "RequireAndVerifyClientCert",
        "min_version": "TLS13",
        "users": {"alice": HASH},
    }
    extras: dict[str, Any] = {
        "client_allowed_sans": ["a.lab", "10.0.0.1", "spiffe://lab/a"],
        "headers": {
            "Strict-Transport-Security": "max-age=31536000",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "sameorigin",
            "X-XSS-Protection": "0",
            "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'",
        },
        "rate_limit": RateLimit("100ms", 20),
    }
    files, wanted = {}, {}
    for name, value in extras.items():
        content = web_config.secure(None, **base, **{name: value})
        wanted[name] = not web_config.unsupported_settings(toolkit, **{name: value})
        assert (web_config.check(content, toolkit=toolkit, read=_read) == ()) == wanted[name]
        files[name] = case_files.write(f"{suite}-{name}.yml", content.decode())
    assert _accepted(suite, cache, files) == wanted
    supported = {name: value for name, value in extras.items() if wanted[name]}
    whole = web_config.secure(case_files.write("users.yml", USERS).read_bytes(), **base, **supported)
    assert _accepted(suite, cache, {"whole": case_files.write(f"{suite}-whole.yml", whole.decode())}) == {
        "whole": True
    }


# -- differences that only the server shows


@contextmanager
def _started(program: str, config: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Runs node_exporter with that web configuration, from the moment it listens or has ended."""
    argv = [program, "--collector.disable-defaults", f"--web.listen-address=127.0.0.1:{port}"]
    log = config.with_suffix(".log")
    with (
        log.open("wb") as output,
        subprocess.Popen([*argv, f"--web.config.file={config}"], stdout=output, stderr=output) as process,
    ):
        try:
            for _ in range(1000):
                if b"TLS is" in log.read_bytes() or _wait_for_exit(process, 0.01):
                    break
            else:
                raise AssertionError(log.read_text())
            yield process
        finally:
            process.terminate()


def _wait_for_exit(process: subprocess.Popen[bytes], seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _ask(case_files: CaseFiles, port: int, *, known: bool, user: str) -> int:
    """Returns the HTTP status for a client, with or without certificate and password; 0 for no answer."""
    context = ssl.create_default_context(cafile=str(case_files.folder / "ca.crt"))
    headers = {}
    if known:
        context.load_cert_chain(case_files.folder / "client.pem")
        headers["Authorization"] = "Basic " + base64.b64encode(f"{user}:canary".encode()).decode()
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=60, context=context)
    try:
        connection.request("GET", "/metrics", headers=headers)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


@dataclass(frozen=True)
class ServerBehaviour:
    """The behaviour of a server with a file that promtool may accept."""

    text: str
    starts: bool = True
    known: int = 200
    """The status for a client with a certificate for a.lab and alice's password."""
    unknown: int = 200
    """The status for one with neither."""
    user: str = "alice"
    since: str = "bookworm"
    """The first of the suites whose program knows all the settings."""


WRONG = {
    name: ServerBehaviour(STRICTER[name][0], **shown)  # type: ignore[arg-type]
    for name, shown in {
        "min above max": {"known": 0, "unknown": 0},
        "max below the lowest": {"known": 0, "unknown": 0},
        "ciphers without HTTP/2's": {"starts": False},
        "client CA that is not PEM": {"known": 0, "unknown": 0},
        "users: null": {},
        "colon in a user's name": {"known": 401, "unknown": 401, "user": "a:b"},
        "hash of 59 characters": {"known": 401, "unknown": 401},
        "hash with a foreign letter": {"known": 401, "unknown": 401},
        "RequireAndVerify without CA": {"known": 0, "unknown": 0},
        "sans with NoClientCert": {"since": "trixie"},
        "sans with VerifyIfGiven": {"unknown": 0, "since": "trixie"},
        "sans: []": {"known": 0, "unknown": 0, "since": "trixie"},
        "sans with a wildcard": {"known": 0, "unknown": 0, "since": "trixie"},
        "rate limit without burst": {"known": 429, "unknown": 429, "since": "sid"},
        "negative burst": {"known": 429, "unknown": 429, "since": "sid"},
        "burst 0": {"known": 429, "unknown": 429, "since": "sid"},
        "rate limit without interval": {"since": "sid"},
        "negative interval": {"since": "sid"},
        "no interval and no burst": {"since": "sid"},
        "interval 0": {"since": "sid"},
        "interval 0, negative burst": {"since": "sid"},
        "burst 0 alone": {"since": "sid"},
        "negative interval, no burst": {"since": "sid"},
    }.items()
}
RIGHT = {
    "hash with a tail": ServerBehaviour(CASES["hash with a tail"], unknown=401),
    "mutual and users": ServerBehaviour(CASES["mutual and users"], unknown=0),
    "TLS13 alone": ServerBehaviour(CASES["TLS13 alone"] + USERS, unknown=401),
    "ciphers": ServerBehaviour(CASES["ciphers"]),
    "sans": ServerBehaviour(MUTUAL + "  client_allowed_sans: [a.lab]\n", unknown=0, since="trixie"),
    "inline client CA": ServerBehaviour(CASES["inline client CA"], unknown=0, since="trixie"),
    "rate limit": ServerBehaviour(CASES["rate limit"], since="sid"),
}


@pytest.mark.parametrize("suite", SUITES)
def test_the_server_and_we_agree(suite: str, case_files: CaseFiles, cache: Path) -> None:
    program = binaries.find("node_exporter", cache=cache, suite=suite).path
    toolkit = _toolkit(suite, cache)
    seen, wanted, verdicts = {}, {}, {}
    for number, (name, shown) in enumerate((WRONG | RIGHT).items()):
        if SUITES.index(suite) < SUITES.index(shown.since):
            assert case_files.verdict(shown.text, toolkit), name
            continue
        config, port = case_files.write(f"{suite}-server-{number}.yml", shown.text), free_port()
        with _started(program, config, port) as process:
            answers = [_ask(case_files, port, known=known, user=shown.user) for known in (True, False)]
            # HTTP/2's cipher suites are checked last, when the port is open already.
            seen[name] = (any(answers) or not _wait_for_exit(process, 0.3), *answers)
        wanted[name] = (shown.starts, shown.known, shown.unknown) if shown.starts else (False, 0, 0)
        verdicts[name] = bool(case_files.verdict(shown.text, toolkit))
    assert seen == wanted
    assert verdicts == {name: name in WRONG for name in verdicts}


@pytest.mark.parametrize("name", [name for name in STRICTER if "interval" in name or "burst" in name])
def test_a_rate_limit_is_described_as_the_server_applies_it(name: str) -> None:
    """Which of two is true, nothing limited or nothing answered, is shown by the statuses above."""
    text, why = STRICTER[name]
    words = {"limits nothing": "limits nothing", "answers nothing": "answers no request at all"}[why]
    assert [
        words in said for said in web_config.check(text.partition("\n  key_file: F/c.key\n")[2].encode())
    ] == [True]
