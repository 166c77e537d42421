"""A file that Go does not read is never reported as a valid certificate, and a key is reported as a key."""

from __future__ import annotations

import json
import ssl
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from wizard import binaries
from wizard.certificates import issue, pem_form, problems
from wizard.cli.certificates import inspect

KEY = issue.new_key("ec-p256")
CA = issue.new_ca(name="Lab CA", key_pem=KEY, days=100)
MARK = b"\xef\xbb\xbf"
PARAMETERS = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"

UNREAD = {
    "byte order mark": (MARK + CA, "byte order mark"),
    "UTF-16": (CA.decode().encode("utf-16"), "UTF-16"),
    "indented": (b"".join(b"  " + line for line in CA.splitlines(keepends=True)), "text before"),
    "DER": (ssl.PEM_cert_to_DER_cert(CA.decode()), "DER form"),
}
READ = {
    "as it is": CA,
    "Windows' line ends": CA.replace(b"\n", b"\r\n"),
    "a mark alone on its line": MARK + b"\n" + CA,
    "words before": b"Bag Attributes\n    friendlyName: x\n" + CA,
}


@pytest.mark.parametrize("name", UNREAD)
def test_inspect_rejects_files_that_go_does_not_read(name: str, tmp_path: Path) -> None:
    content, words = UNREAD[name]
    file = tmp_path / "c.crt"
    file.write_bytes(content)
    (fault,) = pem_form.faults(content)
    assert words in fault
    invoked = CliRunner().invoke(inspect, [str(file)])
    assert invoked.exit_code != 0
    assert words in invoked.output or name == "UTF-16"
    if name in ("byte order mark", "indented"):
        invoked = CliRunner().invoke(inspect, [str(file), "--json"])
        assert invoked.exit_code == 1
        assert json.loads(invoked.stdout)["unreadable"] == [fault]
        assert any(words in each for each in problems(content, names=()))


@pytest.mark.parametrize("name", READ)
def test_inspect_accepts_files_that_go_reads(name: str, tmp_path: Path) -> None:
    file = tmp_path / "c.crt"
    file.write_bytes(READ[name])
    assert pem_form.faults(READ[name]) == ()
    invoked = CliRunner().invoke(inspect, [str(file)])
    assert invoked.exit_code == 0
    assert len(invoked.output.splitlines()) == 6


@pytest.mark.parametrize("name", [name for name in (*UNREAD, *READ) if name != "UTF-16"])
def test_the_exporter_toolkit_agrees_with_inspect(name: str, tmp_path: Path, cache: Path) -> None:
    content = UNREAD[name][0] if name in UNREAD else READ[name]
    (tmp_path / "c.crt").write_bytes(content)
    (tmp_path / "c.key").write_bytes(KEY)
    web = tmp_path / "web.yml"
    web.write_text("tls_server_config: {cert_file: c.crt, key_file: c.key}\n")
    promtool = binaries.find("promtool", cache=cache).path
    ended = subprocess.run(
        [promtool, "check", "web-config", str(web)], check=False, capture_output=True, timeout=60
    )
    assert (ended.returncode == 0) == (name in READ)


@pytest.mark.parametrize("content", [KEY, PARAMETERS + KEY], ids=["key", "parameters"])
def test_a_private_key_is_reported_as_a_key(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "server.key"
    file.write_bytes(content)
    invoked = CliRunner().invoke(inspect, [str(file)])
    assert invoked.exit_code == 2
    assert "private key" in invoked.output
    assert "swap" not in invoked.output
    assert "Name the file of the certificate" in invoked.output
