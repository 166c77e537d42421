"""The HTTP client file of promtool and amtool: with it they reach secured servers, without it they do not."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bcrypt
import pytest

from tests.integration.loopback_programs import free_port, running_program
from tests.processes import run_program
from wizard import binaries
from wizard.certificates import issue
from wizard.config_files import http_client, web_config
from wizard.errors import ConfigError


@dataclass(frozen=True)
class SecuredServers:
    """A Prometheus and an Alertmanager that require a client certificate and a password."""

    folder: Path
    suite: str
    cache: Path
    prometheus: int
    alertmanager: int

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        path = binaries.find(program, cache=self.cache, suite=self.suite).path
        return run_program([path, *arguments])

    def file(self, **left_out: str) -> str:
        """Returns the client file without the named parts."""
        names = {
            "ca_file": "ca.crt",
            "cert_file": "client.crt",
            "key_file": "client.key",
            "password_file": "pw",
        }
        given: dict[str, Any] = {key: str(self.folder / name) for key, name in names.items()}
        path = self.folder / "client.yml"
        path.write_bytes(http_client.text(**{**given, "username": "admin", **left_out}))
        return f"--http.config.file={path}"


@pytest.fixture(scope="module", params=["trixie", "sid"])
def secured_servers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, cache: Path
) -> Iterator[SecuredServers]:
    folder = tmp_path_factory.mktemp("client file")
    ca_key = issue.new_key("ec-p256")
    ca = issue.new_ca(name="Lab CA", key_pem=ca_key, days=100)
    (folder / "ca.crt").write_bytes(ca)
    (folder / "pw").write_text("canary\n")
    for name, client in (("server", False), ("client", True)):
        key = issue.new_key("ec-p256")
        certificate = issue.issue(
            ca_cert=ca,
            ca_key=ca_key,
            key_pem=key,
            names=["server.lab"],
            days=30,
            common_name=name,
            server=not client,
            client=client,
        )
        (folder / f"{name}.crt").write_bytes(certificate)
        (folder / f"{name}.key").write_bytes(key)
    (folder / "web.yml").write_bytes(
        web_config.secure(
            None,
            cert_file=str(folder / "server.crt"),
            key_file=str(folder / "server.key"),
            client_ca_file=str(folder / "ca.crt"),
            client_auth_type="RequireAndVerifyClientCert",
            users={"admin": bcrypt.hashpw(b"canary", bcrypt.gensalt(4)).decode()},
        )
    )
    (folder / "alertmanager.yml").write_text("route: {receiver: none}\nreceivers: [{name: none}]\n")
    (folder / "prometheus.yml").write_text("scrape_configs: []\n")
    ports = free_port(), free_port()
    commands = {
        "prometheus": (f"--storage.tsdb.path={folder}/data", f"--config.file={folder}/prometheus.yml"),
        "alertmanager": (
            f"--storage.path={folder}/am",
            f"--config.file={folder}/alertmanager.yml",
            "--cluster.listen-address=",
        ),
    }
    with ExitStack() as stack:
        for (name, flags), port in zip(commands.items(), ports, strict=True):
            program = binaries.find(name, cache=cache, suite=request.param).path
            argv = [
                program,
                *flags,
                f"--web.listen-address=127.0.0.1:{port}",
                f"--web.config.file={folder}/web.yml",
            ]
            ready = "Server is ready" if name == "prometheus" else "TLS is enabled"
            stack.enter_context(running_program(argv, ready, cwd=folder))
        yield SecuredServers(folder, request.param, cache, *ports)


REFUSED = [
    ({"ca_file": ""}, "certificate signed by unknown authority"),
    # With TLS 1.3 the client may see the closed connection before it reads the alert.
    ({"cert_file": "", "key_file": ""}, "certificate required|connection reset|broken pipe|EOF"),
    ({"username": "", "password_file": ""}, "401|Unauthorized|unauthorized"),
    ({"server_name": ""}, "doesn't contain any IP SANs"),
]


def test_promtool_needs_every_part_of_the_file_for_prometheus(secured_servers: SecuredServers) -> None:
    url = f"https://127.0.0.1:{secured_servers.prometheus}"
    ended = secured_servers.run(
        "promtool", "query", "instant", secured_servers.file(server_name="server.lab"), url, "vector(42)"
    )
    assert ended.returncode == 0, ended.stderr
    assert "=> 42" in ended.stdout
    for left_out, words in REFUSED:
        ended = secured_servers.run(
            "promtool",
            "query",
            "instant",
            secured_servers.file(**{"server_name": "server.lab", **left_out}),
            url,
            "up",
        )
        assert ended.returncode != 0
        assert re.search(words, ended.stderr), ended.stderr


def test_amtool_needs_every_part_of_the_file_for_alertmanager(secured_servers: SecuredServers) -> None:
    flags = ["cluster", "show", f"--alertmanager.url=https://127.0.0.1:{secured_servers.alertmanager}"]
    ended = secured_servers.run("amtool", *flags, secured_servers.file(server_name="server.lab"))
    assert ended.returncode == 0, ended.stderr
    for left_out, words in REFUSED:
        ended = secured_servers.run(
            "amtool", *flags, secured_servers.file(**{"server_name": "server.lab", **left_out})
        )
        assert ended.returncode != 0
        assert re.search(words, ended.stderr), ended.stderr


def test_the_file_contains_no_secret_and_only_the_given_settings() -> None:
    assert http_client.text() == b"{}\n"
    assert http_client.text(ca_file="/c a", username="1", password_file="/p") == (
        b"tls_config:\n  ca_file: '/c a'\nbasic_auth:\n  username: '1'\n  password_file: /p\n"
    )


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"ca_file": "ca.crt"}, "not an absolute path"),
        ({"cert_file": "/c"}, "cert_file and key_file go together"),
        ({"key_file": "/c"}, "cert_file and key_file go together"),
        ({"username": "a"}, "username and password_file go together"),
        ({"password_file": "/p"}, "username and password_file go together"),
    ],
)
def test_a_certificate_without_key_or_a_relative_path_is_refused(given: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        http_client.text(**given)
    assert caught.value.todo
