"""Where curl and Prometheus differ: a real certificate, a real node_exporter, the printed curl command, and our note."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.loopback_programs import exporter, free_port
from wizard import binaries, passwords, probes
from wizard.certificates import issue
from wizard.model import Attempt, Probe
from wizard.probes import metrics
from wizard.redact import Secret

OPENSSL = "OpenSSL" in subprocess.run(["curl", "-V"], capture_output=True, text=True, check=True).stdout

# name: (subject, extensions of openssl, days, ids of the differences)
CERTIFICATES: Mapping[str, tuple[str, str, int, tuple[str, ...]]] = {
    "good": ("/CN=node", "subjectAltName=IP:127.0.0.1", 9, ()),
    "cn-only": ("/CN=127.0.0.1", "basicConstraints=CA:FALSE", 9, ("common-name",)),
    "mail-san": ("/CN=127.0.0.1", "subjectAltName=email:ops@node.test", 9, ("other-san",)),
    "mail-san-other-cn": ("/CN=node", "subjectAltName=email:ops@node.test", 9, ()),
    "cn-of-another": ("/CN=node", "basicConstraints=CA:FALSE", 9, ()),
    "address-as-dns-name": ("/CN=node", "subjectAltName=DNS:127.0.0.1", 9, ()),
    "another-name": ("/CN=127.0.0.1", "subjectAltName=DNS:node.test", 9, ()),
    "expired": ("/CN=node", "subjectAltName=IP:127.0.0.1", -1, ()),
    "client-only": ("/CN=node", "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=clientAuth", 9, ()),
}


@pytest.fixture(scope="module")
def node_exporter() -> str:
    return binaries.find("node_exporter", cache=Path.home() / ".cache/firescreen").path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Makes a CA in ca.crt and ca.key."""
    made = tmp_path_factory.mktemp("differences")
    key = issue.new_key("ec-p256")
    (made / "ca.key").write_bytes(key)
    (made / "ca.crt").write_bytes(issue.new_ca(name="Difference CA", key_pem=key, days=30))
    return made


def openssl(*arguments: str, folder: Path) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=folder, timeout=30)


def certificate(folder: Path, name: str) -> str:
    """Makes a certificate with openssl; returns a web configuration with it."""
    subject, extensions, days, _ = CERTIFICATES[name]
    (folder / f"{name}.ext").write_text(extensions)
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl(
        "req",
        "-new",
        *curve,
        "-keyout",
        f"{name}.key",
        "-out",
        f"{name}.csr",
        "-subj",
        subject,
        folder=folder,
    )
    signing = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", str(days))
    files = ("-in", f"{name}.csr", "-out", f"{name}.crt", "-extfile", f"{name}.ext")
    openssl("x509", "-req", *files, *signing, folder=folder)
    return f"tls_server_config:\n  cert_file: {folder}/{name}.crt\n  key_file: {folder}/{name}.key\n"


def probe(folder: Path, url: str, **more: Any) -> Probe:
    values: dict[str, Any] = {"ca_file": str(folder / "ca.crt"), "timeout": 10.0} | more
    return Probe(id="d", host="", component="", name="", client="", expect="200", url=url, **values)


def curl_succeeds(attempt: Attempt, environment: Mapping[str, str] | None = None) -> bool:
    """Returns whether the printed command exits with 0 in a shell."""
    clean = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    ended = subprocess.run(
        shlex.split(attempt.curl),
        check=False,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=30,
        env=clean | dict(environment or {}),
    )
    return ended.returncode == 0


def ids(attempt: Attempt, environment: Mapping[str, str] | None = None) -> tuple[str, ...]:
    return tuple(one.id for one in probes.differences(attempt, environment or {}))


@contextmanager
def probe_server(
    node_exporter: str, folder: Path, web: str, path: str = "/metrics", **more: Any
) -> Iterator[Attempt]:
    port = free_port()
    with exporter(node_exporter, folder, port, web):
        scheme = "https" if "cert_file" in web else "http"
        yield probes.run(probe(folder, f"{scheme}://127.0.0.1:{port}{path}", **more))


@pytest.mark.skipif(not OPENSSL, reason="the rows are about curl with OpenSSL")
@pytest.mark.parametrize("name", CERTIFICATES)
def test_certificates(name: str, folder: Path, node_exporter: str) -> None:
    with probe_server(node_exporter, folder, certificate(folder, name)) as attempt:
        assert ids(attempt) == CERTIFICATES[name][3], attempt.reason
        assert (attempt.ok != curl_succeeds(attempt)) == bool(ids(attempt)), (
            "a difference is told where there is one"
        )


def test_a_page_without_metrics(folder: Path, node_exporter: str) -> None:
    with probe_server(node_exporter, folder, certificate(folder, "good"), path="/") as attempt:
        assert curl_succeeds(attempt)
        assert metrics.fault(attempt)
        assert ids(attempt) == ("no-metrics",)


def test_curl_succeeds_with_a_wrong_password(folder: Path, node_exporter: str) -> None:
    web = f"basic_auth_users:\n  prom: {passwords.hash_password(Secret('right one'), 4)}\n"
    with probe_server(node_exporter, folder, web) as attempt:
        assert attempt.outcome == "401"
        assert curl_succeeds(attempt)
        assert ids(attempt) == ("status",)


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"https_proxy": "http://127.0.0.1:1"}, True),
        ({"HTTPS_PROXY": "http://127.0.0.1:1"}, True),
        ({"ALL_PROXY": "http://127.0.0.1:1"}, True),
        ({"http_proxy": "http://127.0.0.1:1"}, False),
        ({"https_proxy": "http://127.0.0.1:1", "no_proxy": "node.test,127.0.0.1"}, False),
        ({"https_proxy": "http://127.0.0.1:1", "NO_PROXY": "*"}, False),
        ({"https_proxy": "http://127.0.0.1:1", "no_proxy": "node.test"}, True),
    ],
)
def test_a_proxy_in_the_environment(
    environment: Mapping[str, str], told: bool, folder: Path, secured: str
) -> None:
    attempt = probes.run(probe(folder, secured))
    assert attempt.ok
    assert curl_succeeds(attempt, environment) != told
    assert ids(attempt, environment) == (("proxy",) if told else ())


@pytest.fixture(scope="module")
def secured(folder: Path, node_exporter: str) -> Iterator[str]:
    """Returns the URL of a server with a good certificate."""
    port = free_port()
    with exporter(node_exporter, folder, port, certificate(folder, "good")):
        yield f"https://127.0.0.1:{port}/metrics"
