"""The Python push example with real Pushgateways that our own web configuration secures at every level."""

from __future__ import annotations

import ssl
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bcrypt
import pytest

from tests.integration.loopback_programs import free_port, running_program
from tests.processes import run_program
from wizard import assets, binaries
from wizard.certificates import issue
from wizard.config_files import web_config

SCRIPT = str(assets.path("examples/push_to_pushgateway.py"))


@dataclass(frozen=True)
class SecuredPushgateways:
    """The Pushgateways by level, and the files of their clients."""

    folder: Path
    ports: dict[str, int]

    def file(self, name: str) -> str:
        return str(self.folder / name)

    @property
    def password(self) -> list[str]:
        return ["--user", "backup", "--password-file", self.file("right.pw")]

    @property
    def certificate(self) -> list[str]:
        return ["--cert", self.file("client.crt"), "--key", self.file("client.key")]

    def push(self, level: str, *more: str, ca: str = "ca.crt") -> str:
        """Runs the example; returns its error, '' if it has pushed."""
        port = self.ports[level]
        argv = [sys.executable, SCRIPT, "--gateway", f"localhost:{port}", "--ca", self.file(ca), *more]
        ended = run_program(argv)
        assert "Traceback" not in ended.stderr
        assert (ended.returncode == 0) == (not ended.stderr), ended
        assert not ended.stdout
        return ended.stderr


@pytest.fixture(scope="module", params=["bookworm", "sid"])
def pushgateways(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, cache: Path
) -> Iterator[SecuredPushgateways]:
    folder = tmp_path_factory.mktemp("push")
    ca_key, other_key = issue.new_key("ec-p256"), issue.new_key("ec-p256")
    ca = issue.new_ca(name="Lab CA", key_pem=ca_key, days=100)
    other = issue.new_ca(name="Other CA", key_pem=other_key, days=100)

    def write(name: str, content: bytes) -> None:
        (folder / name).write_bytes(content)

    def leaf(name: str, *names: str, signed: tuple[bytes, bytes] = (ca, ca_key), **uses: Any) -> None:
        key = issue.new_key("ec-p256")
        cert, by = signed
        write(f"{name}.key", key)
        write(
            f"{name}.crt",
            issue.issue(ca_cert=cert, ca_key=by, key_pem=key, names=names, days=30, common_name=name, **uses),
        )

    leaf("server", "localhost", "127.0.0.1")
    leaf("client", "backup.lab", server=False, client=True)
    leaf("stranger", "backup.lab", signed=(other, other_key), server=False, client=True)
    for name, content in {
        "ca.crt": ca,
        "other.crt": other,
        "right.pw": b"canary\n",
        "wrong.pw": b"x\n",
    }.items():
        write(name, content)
    users = {"backup": bcrypt.hashpw(b"canary", bcrypt.gensalt(4)).decode()}
    mutual = {"client_ca_file": str(folder / "ca.crt"), "client_auth_type": "RequireAndVerifyClientCert"}
    levels: dict[str, dict[str, Any]] = {
        "tls": {},
        "password": {"users": users},
        "certificate": mutual,
        "both": {"users": users, **mutual},
    }
    program = binaries.find("pushgateway", cache=cache, suite=request.param).path
    pair: dict[str, Any] = {"cert_file": str(folder / "server.crt"), "key_file": str(folder / "server.key")}
    with ExitStack() as stack:
        ports = {}
        for level, demands in levels.items():
            write(f"{level}.yml", web_config.secure(None, **pair, **demands))
            ports[level] = free_port()
            argv = [program, f"--web.listen-address=127.0.0.1:{ports[level]}"]
            stack.enter_context(running_program([*argv, f"--web.config.file={folder / level}.yml"], "TLS is"))
        yield SecuredPushgateways(folder, ports)


@pytest.mark.parametrize("handler", ["stock", "own"])
@pytest.mark.parametrize("level", ["tls", "password", "certificate", "both"])
def test_it_pushes_at_every_level(pushgateways: SecuredPushgateways, level: str, handler: str) -> None:
    more = ["--handler", handler]
    if level in ("password", "both"):
        more += pushgateways.password
    if level in ("certificate", "both"):
        more += pushgateways.certificate
    output = pushgateways.push(level, *more)
    if (level, handler) == ("both", "stock"):
        assert output == (
            "The stock handlers cannot do a certificate and a password together: use --handler own.\n"
        )
    else:
        assert output == ""


def test_pushed_metrics_can_be_read(pushgateways: SecuredPushgateways) -> None:
    assert pushgateways.push("tls", "--job", "nightly") == ""
    context = ssl.create_default_context(cafile=pushgateways.file("ca.crt"))
    url = f"https://localhost:{pushgateways.ports['tls']}/metrics"
    with urllib.request.urlopen(url, timeout=10, context=context) as answer:
        assert 'job_last_success_timestamp_seconds{instance="",job="nightly"}' in answer.read().decode()


@pytest.mark.parametrize("handler", ["stock", "own"])
def test_its_errors_are_clear(pushgateways: SecuredPushgateways, handler: str) -> None:
    options = ["--handler", handler]
    wrong = [*pushgateways.password[:3], pushgateways.file("wrong.pw")]
    assert "refuses this user name or password (401)" in pushgateways.push("password", *options, *wrong)
    assert "refuses this user name or password (401)" in pushgateways.push("password", *options)
    for level in ("tls", "password"):
        output = pushgateways.push(level, *options, *pushgateways.password, ca="other.crt")
        assert "unable to get local issuer certificate" in output or "self-signed" in output
        assert "Is --ca the right CA?" in output
    assert "it demands a client certificate" in pushgateways.push("certificate", *options)
    assert "Cannot use the CA" in pushgateways.push(
        "tls", *options, *pushgateways.certificate[:3], pushgateways.file("server.key")
    )


def test_a_foreign_certificate_and_incomplete_credentials_are_rejected(
    pushgateways: SecuredPushgateways,
) -> None:
    stranger = ["--cert", pushgateways.file("stranger.crt"), "--key", pushgateways.file("stranger.key")]
    for handler in ("stock", "own"):
        assert "has its client CA signed" in pushgateways.push("certificate", "--handler", handler, *stranger)
    assert "it demands a client certificate" in pushgateways.push("both", *pushgateways.password)
    assert "(401)" in pushgateways.push("both", *pushgateways.certificate)
    assert "go together" in pushgateways.push("tls", "--user", "backup")
    assert "Cannot use the CA" in pushgateways.push("tls", ca="absent")
