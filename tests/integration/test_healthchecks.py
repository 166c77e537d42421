"""Healthchecks by curl and wget, changed for a real node_exporter's level and run by the shell as Docker does."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from wizard import passwords
from wizard.certificates import issue
from wizard.config_files import compose
from wizard.config_files.compose.healthcheck import adapt_test
from wizard.redact import Secret

DEMANDS = {
    "tls": compose.Demands(tls=True),
    "password": compose.Demands(password=True),
    "both": compose.Demands(tls=True, password=True),
    "all": compose.Demands(tls=True, password=True, client_certificate=True),
}
TESTS = {
    "list": ["CMD", "curl", "-fsS", "http://127.0.0.1:{port}/metrics"],
    "shell": ["CMD-SHELL", "curl -f http://127.0.0.1:{port}/metrics || exit 1"],
}


@contextmanager
def serve_exporter(program: str, folder: Path, demands: compose.Demands) -> Iterator[int]:
    """Runs a node_exporter with these requirements; yields its port."""
    key = issue.new_key("ec-p256")
    ca = issue.new_ca(name="Lab CA", key_pem=key, days=30)
    made = issue.issue(
        ca_cert=ca, ca_key=key, key_pem=key, names=["127.0.0.1"], days=9, common_name="127.0.0.1"
    )
    for name, content in {"key": key, "crt": made, "ca": ca}.items():
        (folder / name).write_bytes(content)
    text = "tls_server_config: {cert_file: crt, key_file: key" if demands.tls else ""
    if demands.client_certificate:
        text += ", client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca"
    text += "}\n" if demands.tls else ""
    if demands.password:
        text += f"basic_auth_users: {{prometheus: {passwords.hash_password(Secret('a long password'), 4)}}}\n"
    (folder / "web.yml").write_text(text)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    flags = [f"--web.listen-address=127.0.0.1:{port}", f"--web.config.file={folder / 'web.yml'}"]
    with subprocess.Popen([program, *flags], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        try:
            deadline = time.monotonic() + 60
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=5).close()
                    break
                except OSError:
                    assert time.monotonic() < deadline and running.poll() is None
                    time.sleep(0.02)
            yield port
        finally:
            running.terminate()
            running.wait(20)


def exit_code(test: tuple[str, ...]) -> int:
    """Returns the exit code that Docker would get."""
    argv = ["sh", "-c", test[1]] if test[0] == "CMD-SHELL" else list(test[1:])
    return subprocess.run(argv, capture_output=True, timeout=60, check=False).returncode


@pytest.mark.matrix
@pytest.mark.parametrize("demands", DEMANDS.values(), ids=DEMANDS)
def test_a_changed_healthcheck_by_curl_passes_and_fails_correctly(
    node_exporter: str, tmp_path: Path, demands: compose.Demands
) -> None:
    with serve_exporter(node_exporter, tmp_path, demands) as port:
        tests = [tuple(word.format(port=port) for word in words) for words in TESTS.values()]
        changed = [adapt_test(test, demands) for test in tests]
        assert [exit_code(test) != 0 for test in tests] == [True, True]
        assert [exit_code(test) for test in changed] == [0, 0]
    assert [exit_code(test) != 0 for test in changed] == [True, True], "a program that is gone is not healthy"
