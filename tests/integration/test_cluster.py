"""Alertmanager's cluster over TLS: real instances with certificates form a cluster, one without TLS stays outside."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.loopback_programs import free_port, running_program
from wizard import binaries
from wizard.certificates import issue
from wizard.components import component
from wizard.config_files import alertmanager_cluster
from wizard.errors import ConfigError

GIVEN = {"cert_file": "/x/c.crt", "key_file": "/x/c.key", "ca_file": "/x/ca.crt"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cluster")
    ca_key = issue.new_key("ec-p256")
    ca = issue.new_ca(name="Lab CA", key_pem=ca_key, days=100)
    (folder / "ca.crt").write_bytes(ca)
    for name, names in (("c", ["am.lab", "127.0.0.1"]), ("named", ["am.lab"])):
        key = issue.new_key("ec-p256")
        certificate = issue.issue(
            ca_cert=ca, ca_key=ca_key, key_pem=key, names=names, days=30, common_name="am.lab", client=True
        )
        (folder / f"{name}.crt").write_bytes(certificate)
        (folder / f"{name}.key").write_bytes(key)
    (folder / "junk").write_text("junk\n")
    (folder / "alertmanager.yml").write_text("route: {receiver: none}\nreceivers: [{name: none}]\n")
    return folder


def _files(folder: Path, name: str = "c") -> dict[str, str]:
    return {
        "cert_file": str(folder / f"{name}.crt"),
        "key_file": str(folder / f"{name}.key"),
        "ca_file": str(folder / "ca.crt"),
    }


def _read(path: str) -> bytes | None:
    return Path(path).read_bytes() if Path(path).exists() else None


@dataclass(frozen=True)
class Instance:
    """A running Alertmanager."""

    web: int
    gossip: int

    def peers(self) -> int:
        """Returns the number of cluster members that it knows, including itself."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.web}/api/v2/status", timeout=5) as answer:
            return len(json.load(answer)["cluster"]["peers"])

    def wait_for_peers(self, peers: int) -> int:
        """Returns the number once it is `peers`, or after ten seconds."""
        for _ in range(100):
            if self.peers() == peers:
                break
            time.sleep(0.1)
        return self.peers()


@contextmanager
def _alertmanager(program: str, folder: Path, config: str, *peers: Instance) -> Iterator[Instance]:
    instance = Instance(free_port(), free_port())
    argv = [
        program,
        f"--config.file={folder}/alertmanager.yml",
        f"--storage.path={folder}/{instance.web}",
        f"--web.listen-address=127.0.0.1:{instance.web}",
        f"--cluster.listen-address=127.0.0.1:{instance.gossip}",
        "--cluster.settle-timeout=1s",
        "--cluster.reconnect-interval=300ms",
        # It waits this long, several times, for a TLS peer that takes its unencrypted packets for a broken handshake.
        "--cluster.tcp-timeout=500ms",
        *(f"--cluster.peer=127.0.0.1:{peer.gossip}" for peer in peers),
    ]
    if config:
        argv.append(f"--cluster.tls-config={config}")
    with running_program(argv, "TLS is"):
        yield instance


@pytest.mark.parametrize(("suite", "name"), [("bookworm", "c"), ("sid", "c"), ("sid", "named")])
def test_peers_with_certificates_find_each_other_and_no_others(
    suite: str, name: str, folder: Path, cache: Path
) -> None:
    found = binaries.find("alertmanager", cache=cache, suite=suite)
    content = alertmanager_cluster.secure(
        None, **_files(folder, name), server_name="am.lab" if name == "named" else ""
    )
    assert alertmanager_cluster.check(content, read=_read) == ()
    config = folder / f"{suite}-{name}.yml"
    config.write_bytes(content)
    with ExitStack() as stack:
        first = stack.enter_context(_alertmanager(found.path, folder, str(config)))
        second = stack.enter_context(_alertmanager(found.path, folder, str(config), first))
        assert (first.wait_for_peers(2), second.wait_for_peers(2)) == (2, 2)
        plain = stack.enter_context(_alertmanager(found.path, folder, "", first))
        for _ in range(15):
            # Several times its reconnect interval; it was already rejected at its start.
            assert (first.peers(), second.peers(), plain.peers()) == (2, 2, 1)
            time.sleep(0.1)


@pytest.mark.parametrize(
    "before",
    [
        None,
        b"",
        b"# mine\n",
        b"tls_server_config: # mine\n    cert_file: 'old'\n    min_version: TLS13\n# end\n",
        b"tls_client_config: {ca_file: old, insecure_skip_verify: true, server_name: am.lab}\n",
        b"tls_client_config:\r\n  ca: |\r\n    PEM\r\ntls_server_config:\r\n",
    ],
)
def test_both_sections_are_written_and_the_rest_is_kept(before: bytes | None) -> None:
    content = alertmanager_cluster.secure(before, **GIVEN)
    config = alertmanager_cluster.parse(content)
    pair = {"cert_file": "/x/c.crt", "key_file": "/x/c.key"}
    server = {**pair, "client_ca_file": "/x/ca.crt", "client_auth_type": "RequireAndVerifyClientCert"}
    assert config.server.items() >= server.items()
    assert config.client.items() >= {**pair, "ca_file": "/x/ca.crt"}.items()
    assert "ca" not in config.client
    assert config.client.get("insecure_skip_verify", "false") == "false"
    assert alertmanager_cluster.check(content) == ()
    assert alertmanager_cluster.secure(content, **GIVEN) == content
    for kept in (b"# mine", b"min_version: TLS13", b"# end", b"server_name: am.lab"):
        assert (kept in content) == (kept in (before or b""))
    assert content.count(b"\r\n") == (content.count(b"\n") if b"\r" in (before or b"") else 0)


PAIR = "cert_file: C, key_file: K"
SERVER = f"tls_server_config: {{{PAIR}, client_ca_file: A, client_auth_type: RequireAndVerifyClientCert}}\n"
CLIENT = f"tls_client_config: {{{PAIR}, ca_file: A}}\n"


def _filled(text: str, folder: Path) -> str:
    for letter, name in (("C", "c.crt"), ("K", "c.key"), ("A", "ca.crt"), ("J", "junk"), ("O", "named.key")):
        text = text.replace(f"file: {letter}", f"file: {folder}/{name}")
    return text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "tls_server_config is missing, and Alertmanager needs both"),
        (SERVER, "tls_client_config is missing"),
        (CLIENT, "tls_server_config is missing"),
        (SERVER + CLIENT + "tls_config: {}\n", "there is no setting 'tls_config' at the top"),
        (
            SERVER + CLIENT.replace("ca_file", "client_ca_file"),
            "there is no setting 'client_ca_file' in tls_client_config",
        ),
        (SERVER + "tls_client_config: {cert_file: C}\n", "key_file is missing in tls_client_config"),
        (
            SERVER + CLIENT.replace("file: A", "file: J"),
            "/junk holds no PEM certificate, so no server would be",
        ),
        (SERVER + CLIENT.replace("file: K", "file: C"), "/c.crt holds no PEM private key"),
        (SERVER + CLIENT.replace("file: K", "file: O"), "/named.key does not belong to the certificate"),
        (
            SERVER.replace("key_file", "keyfile") + CLIENT,
            "there is no setting 'keyfile' in tls_server_config",
        ),
        (SERVER.replace("file: K", "file: O") + CLIENT, "/named.key does not belong to the certificate"),
        ("tls_server_config: [a]\n", "tls_server_config is not a mapping"),
        ("- a\n", "the file is not a mapping"),
        (SERVER + SERVER + CLIENT, "twice"),
    ],
)
def test_a_configuration_that_alertmanager_rejects_is_reported(
    content: str, words: str, folder: Path, cache: Path
) -> None:
    content = _filled(content, folder)
    program = binaries.find("alertmanager", cache=cache, suite="bookworm")
    toolkit = component("alertmanager").known_toolkit(program.version)
    found = alertmanager_cluster.check(content.encode(), toolkit=toolkit, read=_read)
    assert any(words in each for each in found), found
    # An Alertmanager may be newer than our list: an unknown name alone is no error.
    newer = alertmanager_cluster.check(content.encode(), read=_read)
    assert any(words in each for each in newer) == ("'keyfile'" not in words)
    config = folder / "refused.yml"
    config.write_text(content)
    with pytest.raises(AssertionError, match="never said"), _alertmanager(program.path, folder, str(config)):
        pass


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (f"tls_server_config: {{{PAIR}}}\n{CLIENT}", "anybody may join"),
        (
            SERVER.replace("file: A", "file: J") + CLIENT,
            "/junk holds no PEM certificate, so every client would be rejected",
        ),
        (
            SERVER + CLIENT.replace("ca_file", "insecure_skip_verify: true, ca_file"),
            "accepts every certificate",
        ),
        (f"{SERVER}tls_client_config: {{{PAIR}}}\n", "ca_file is missing in tls_client_config"),
        (f"{SERVER}tls_client_config: {{ca_file: A}}\n", "cert_file is missing in tls_client_config"),
    ],
)
def test_a_faulty_configuration_that_alertmanager_accepts_is_reported(
    content: str, words: str, folder: Path, cache: Path
) -> None:
    content = _filled(content, folder)
    found = alertmanager_cluster.check(content.encode(), read=_read)
    assert any(words in each for each in found), found
    config = folder / "taken.yml"
    config.write_text(content)
    program = binaries.find("alertmanager", cache=cache, suite="bookworm").path
    with _alertmanager(program, folder, str(config)):
        pass


def test_a_setting_newer_than_the_program_is_reported(folder: Path, cache: Path) -> None:
    version = binaries.find("alertmanager", cache=cache, suite="bookworm").version
    assert version.startswith("0.25")
    content = alertmanager_cluster.secure(None, **_files(folder))
    more = content.replace(b"  client_auth_type", b"  client_allowed_sans: [am.lab]\n  client_auth_type")
    assert len(alertmanager_cluster.check(more, toolkit="0.8.2", read=_read)) == 1
    assert alertmanager_cluster.check(more, toolkit="0.10", read=_read) == ()


def test_a_file_that_cannot_be_edited_safely_is_refused() -> None:
    for content in (
        b"tls_server_config: &x {cert_file: a}\ntls_client_config: *x\n",
        b"tls_server_config: a\n",
        b"- a\n",
        b"tls_server_config: {cert_file: a, <<: {cert_file: b}}\n",
    ):
        with pytest.raises(ConfigError) as caught:
            alertmanager_cluster.secure(content, **GIVEN)
        assert caught.value.todo
