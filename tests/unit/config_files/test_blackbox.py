"""blackbox_exporter's modules are secured and copied, and real exporters of two generations accept the file."""

from __future__ import annotations

import difflib
import subprocess
from pathlib import Path

import pytest

from tests.processes import run_program
from wizard import binaries
from wizard.config_files import blackbox
from wizard.errors import ConfigError

SECURE = {"ca_file": "FOLDER/ca.pem", "username": "blackbox", "password_file": "FOLDER/password"}
PAIR = {"cert_file": "FOLDER/c.pem", "key_file": "FOLDER/k.pem", "server_name": "srv1"}

STOCK = """\
modules:
  http_2xx:
    prober: http
  http_post_2xx:
    prober: http   # with POST
    http:
      method: POST
  tcp_connect:
    prober: tcp
  ssh_banner:
    prober: tcp
    tcp:
      query_response:
      - expect: "^SSH-2.0-"
      - send: "SSH-2.0-blackbox-ssh-check"
  icmp:
    prober: icmp
"""

AWKWARD = {
    "stock": (STOCK, "http_2xx"),
    "stock-with-http": (STOCK, "http_post_2xx"),
    "settings": (
        """\
modules:
    # the one
    'http 2xx':   # quoted
        timeout: 5s
        http:
            valid_status_codes: [200, 401]   # fine
            no_follow_redirects: true
            headers: {Host: "a, b", 'X-Y': "true"}
            preferred_ip_protocol: ip4
            tls_config:
                insecure_skip_verify: true   # for now
                ca: "x"
            basic_auth:
                username: old
                password: clear
        prober: "http"
    # last words
""",
        "http 2xx",
    ),
    "flow": ("{modules: {a: {prober: http, timeout: 5s}, b: {prober: icmp}}}\n", "a"),
    "json": ('{"modules": {"a": {"prober": "http", "http": {"method": "GET"}}}}', "a"),
    "crlf-no-end": ("modules:\r\n  a:\r\n    prober: http\r\n    http:", "a"),
    "null-tls": (
        "modules:\n  a:\n    http:\n      tls_config:\n      basic_auth: ~\n    prober: http\n",
        "a",
    ),
    "anchor-elsewhere": (
        "modules:\n  base: &b {prober: icmp, timeout: 3s}\n  a:\n    <<: *b\n    prober: http\n    http: {}\n",
        "a",
    ),
}


@pytest.fixture(scope="module")
def exporters(cache: Path) -> list[str]:
    return [
        binaries.find("blackbox_exporter", cache=cache, suite=suite).path for suite in ("bookworm", "sid")
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the modules name."""
    made = tmp_path_factory.mktemp("files")
    key, certificate = made / "k.pem", made / "c.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-subj", "/CN=x", "-days", "2", "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    (made / "ca.pem").write_bytes(certificate.read_bytes())
    (made / "password").write_text("x")
    return made


def check_error(exporters: list[str], content: bytes, folder: Path) -> str:
    """Returns '' if each exporter accepts the file, else the error."""
    file = folder / "blackbox.yml"
    file.write_bytes(content)
    for program in exporters:
        ended = run_program([program, "--config.check", f"--config.file={file}"])  # fmt: skip
        if ended.returncode:
            return ended.stdout + ended.stderr
    return ""


def with_folder(settings: dict[str, str], folder: Path) -> dict[str, str]:
    return {key: text.replace("FOLDER", str(folder)) for key, text in settings.items()}


def read(path: str) -> bytes | None:
    return Path(path).read_bytes() if Path(path).exists() else None


@pytest.mark.parametrize("settings", [SECURE, {**SECURE, **PAIR}], ids=["password", "both"])
@pytest.mark.parametrize("name", AWKWARD)
def test_a_module_is_secured(name: str, settings: dict[str, str], exporters: list[str], folder: Path) -> None:
    text, module = AWKWARD[name]
    before = text.encode()
    assert check_error(exporters, before, folder) == "" or name == "settings"
    given = with_folder(settings, folder)
    after = blackbox.secure_module(before, module=module, **given)

    assert check_error(exporters, after, folder) == ""
    assert blackbox.secure_module(after, module=module, **given) == after
    assert blackbox.check(after, read=read) == ()
    now = {each.name: each for each in blackbox.modules(after)}
    assert now[module].tls["ca_file"] == given["ca_file"]
    assert now[module].tls.get("insecure_skip_verify", "false") == "false"
    assert now[module].basic_auth == {"username": "blackbox", "password_file": given["password_file"]}
    others = [each for each in blackbox.modules(before) if each.name != module]
    assert [(each.name, each.tls, each.basic_auth) for each in others] == [
        (each.name, each.tls, each.basic_auth) for each in now.values() if each.name != module
    ]
    old, new = (each.decode().splitlines(keepends=True) for each in (before, after))
    for line in difflib.ndiff(old, new):
        if line.startswith("- "):
            words = (
                "tls_config",
                "insecure",
                "ca:",
                "basic_auth",
                "username",
                "password",
                "http",
                "modules: {",
            )
            assert any(word in line for word in (*words, '"modules": {')), line
    assert before.endswith(b"\n") == after.endswith(b"\n")
    assert (b"\r\n" in before) == (after.count(b"\r\n") == after.count(b"\n") > 0)


@pytest.mark.parametrize("name", AWKWARD)
def test_a_module_is_copied(name: str, exporters: list[str], folder: Path) -> None:
    text, module = AWKWARD[name]
    before = text.encode()
    given = with_folder(SECURE, folder)
    after = blackbox.add_module(before, name="ours", like=module, **given)
    assert blackbox.add_module(after, name="ours", like=module, **given) == after
    old, new = blackbox.modules(before), blackbox.modules(after)
    assert [each.name for each in new] == [*(each.name for each in old), "ours"]
    assert (new[-1].prober, new[-1].tls["ca_file"]) == ("http", given["ca_file"])
    assert [(each.tls, each.basic_auth) for each in new[:-1]] == [(each.tls, each.basic_auth) for each in old]
    if name == "settings":
        # This file was invalid before the edit: its CA is no PEM.
        assert "valid_status_codes: [200, 401]\n" in after.decode().partition("ours")[2]
        assert "no_follow_redirects: true\n" in after.decode().partition("ours")[2]
        assert "X-Y: 'true'" in after.decode().partition("ours")[2]
        assert after.startswith(before.removesuffix(b"    # last words\n"))
        after = blackbox.secure_module(after, module=module, **given)
    elif not text.startswith("{"):
        assert after.startswith(before)
    assert check_error(exporters, after, folder) == ""
    assert blackbox.check(after, read=read) == ()
    with pytest.raises(ConfigError, match="already"):
        blackbox.add_module(after, name="ours", like=module, username="another")


def test_a_module_is_added_to_an_empty_file(exporters: list[str], folder: Path) -> None:
    given = with_folder({**SECURE, **PAIR}, folder)
    for before in (b"", b"modules:\n", b"modules: {}\n", b"# empty\n"):
        after = blackbox.add_module(before, name="http_tls", **given)
        assert check_error(exporters, after, folder) == ""
        assert [each.name for each in blackbox.modules(after)] == ["http_tls"]
        assert blackbox.add_module(after, name="http_tls", **given) == after


@pytest.mark.parametrize(
    ("text", "module", "words"),
    [
        (STOCK, "tcp_connect", "is tcp, not http"),
        (STOCK, "htp", "no module 'htp'"),
        ("modules: {a: {prober: http, http: {bearer_token: x}}}\n", "a", "authenticates with bearer_token"),
        ("modules: {b: &b {http: {method: GET}}, a: {<<: *b, prober: http}}\n", "a", "merge key"),
        (
            "modules: {a: {prober: http, http: &h {method: GET}}, b: {prober: http, http: *h}}\n",
            "b",
            "another part",
        ),
        ("modules: {a: &a {prober: http, http: {method: GET}}, b: *a}\n", "b", "another part"),
        ("modules: [a]\n", "a", "below `modules:`"),
        ("modules: {a: [http]}\n", "a", "not a mapping"),
        ("modules: {a: {prober: http, http: [x]}}\n", "a", "not a mapping"),
    ],
)
def test_ambiguous_modules_are_refused(text: str, module: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        blackbox.secure_module(text.encode(), module=module, **SECURE)
    assert words in caught.value.what
    assert caught.value.where
    assert caught.value.todo


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("modules: {a: {http: {}}}\n", "line 1: module 'a': there is no prober"),
        (
            "modules: {a: {prober: http, http: {basic_auth: {username: u}, bearer_token: x}}}\n",
            "module 'a': basic_auth and bearer_token exclude each other",
        ),
        ("modules: {a: {}, a: {}}\n", "twice"),
        ("modules: 1\n", "below `modules:`"),
        (
            "modules: {a: {prober: http, http: {tls_config: {ca_file: FOLDER/absent}}}}\n",
            "absent does not exist",
        ),
        ("modules: {a: {prober: http, http: {tls_config: {ca_file: FOLDER/password}}}}\n", "holds no PEM"),
        ("modules: {a: {prober: http, http: {tls_config: {insecure_skip_verify: true}}}}\n", "accepts every"),
    ],
)
def test_mistakes_are_found(text: str, words: str, folder: Path) -> None:
    found = blackbox.check(text.replace("FOLDER", str(folder)).encode(), read=read)
    assert any(words in each for each in found), found


@pytest.mark.parametrize("prober", ["websocket", "http", "unix"])
def test_current_probers_are_known(prober: str) -> None:
    content = f"modules: {{a: {{prober: {prober}}}}}\n".encode()
    assert blackbox.check(content) == blackbox.unfamiliar(content) == ()


def test_unknown_keys_of_a_newer_exporter_are_no_errors() -> None:
    content = b"modules:\n  a: {prober: http}\n  b: {prober: smtp}\n"
    assert blackbox.check(content) == ()
    (warning,) = blackbox.unfamiliar(content)
    assert warning.startswith("line 3: module 'b': the prober 'smtp' is not known here")


def test_without_settings_nothing_changes() -> None:
    assert blackbox.secure_module(STOCK.encode(), module="http_2xx") == STOCK.encode()
    assert "canary" not in repr(
        blackbox.modules(b"modules: {a: {prober: http, http: {basic_auth: {password: canary}}}}")
    )
