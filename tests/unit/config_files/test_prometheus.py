"""Jobs are read as Prometheus reads them, edits that affect other jobs are refused, and what promtool misses is found."""

from __future__ import annotations

import datetime as dt
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from wizard.config_files import prometheus
from wizard.errors import ConfigError

CA = "/etc/prometheus/ca.pem"


def pair(*, passphrase: bytes = b"") -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "srv1")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    encryption = (
        serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    )
    return (
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption),
    )


def test_a_job_is_read_as_prometheus_reads_it() -> None:
    content = b"""
scrape_configs:
  - job_name: a
    scheme: https
    <<: {scheme: http, tls_config: {insecure_skip_verify: true, server_name: x}}
    tls_config: {ca_file: /ca}
    basic_auth: {username: u, password: canary}
    static_configs: [{targets: ['h1:1', 'h2:2']}, {targets: [h3:3]}]
  - job_name: b
    authorization: {credentials: canary}
    file_sd_configs: [{files: ['x.json']}]
"""
    one, two = prometheus.jobs(content)
    # A merge key below an explicit key wins, and structures are merged field by field (go-yaml 2).
    assert one.scheme == "http"
    assert one.tls == {"insecure_skip_verify": "true", "server_name": "x", "ca_file": "/ca"}
    assert one.targets == ("h1:1", "h2:2", "h3:3")
    assert (one.line, one.static, one.metrics_path) == (3, True, "/metrics")
    assert (two.static, two.other_auth, two.scheme) == (False, "authorization", "http")
    assert "canary" not in repr((one, two)) + str(dict(one.basic_auth))


@pytest.mark.parametrize(
    ("target", "names", "port", "found"),
    [
        ("srv1:9100", ["SRV1"], 9100, True),
        ("srv1:9100", ["srv1"], 910, False),
        ("srv10:9100", ["srv1"], 9100, False),
        ("[::1]:9100", ["0:0:0:0:0:0:0:1"], 9100, True),
        ("localhost:9100", ["127.0.0.1", "localhost"], 9100, True),
        ("srv1", ["srv1"], 80, True),
        ("srv1.", ["srv1"], 80, True),
    ],
)
def test_the_jobs_of_a_target_are_found(target: str, names: list[str], port: int, *, found: bool) -> None:
    content = f"scrape_configs:\n- job_name: x\n  static_configs: [{{targets: ['{target}']}}]\n".encode()
    assert bool(prometheus.job_for(content, names, port)) is found


BASE = "scrape_configs:\n  - job_name: node\n    static_configs: [{targets: ['a:1', 'b:1']}]\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (BASE.replace("node", "nod"), "Did you mean 'nod'"),
        (BASE + BASE.removeprefix("scrape_configs:\n"), "2 scrape jobs"),
        (BASE + "    authorization: {credentials: x}\n", "authenticates with authorization"),
        (BASE + "    bearer_token: x\n", "authenticates with bearer_token"),
        (BASE + "    scheme: http\n    <<: {scheme: http}\n", "merge key"),
        ("scrape_configs:\n  - &j\n    job_name: node\n  - <<: *j\n    job_name: b\n", "used elsewhere"),
        ("scrape_configs: [&j {job_name: node}, {<<: *j, job_name: b}]\n", "used elsewhere"),
        (
            "scrape_configs: [{job_name: node, tls_config: &t {server_name: x}}, {job_name: b, tls_config: *t}]",
            "used elsewhere",
        ),
        ("scrape_configs: {job_name: node}\n", "not a list"),
        ("scrape_configs:\n  - node\n", "not a mapping"),
        ("- job_name: node\n", "this is a list"),
        (BASE + "    tls_config: [x]\n", "cannot be edited safely"),
    ],
)
def test_ambiguous_jobs_are_refused(content: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        prometheus.secure_job(content.encode(), job="node", scheme="https", ca_file=CA, username="u")
    assert words in f"{caught.value.what} {caught.value.todo}"
    assert caught.value.where
    assert caught.value.todo


def test_file_paths_are_replaced_in_place() -> None:
    old = (
        BASE + "    basic_auth: {username: u, password_file: /old/p}\n"
        "    tls_config:\n      key_file: '/old/k'   # key\n      cert_file: /old/c\n      ca_file: \"/old/ca\"\n"
        "    scheme: https\n"
    )
    after = prometheus.secure_job(
        old.encode(),
        job="node",
        scheme="https",
        ca_file="/new/ca",
        cert_file="/new/c",
        key_file="/new/k",
        password_file="/new/p",
    )
    assert after.decode() == old.replace("/old/", "/new/")


@pytest.mark.parametrize(
    ("content", "targets", "new", "words"),
    [
        (BASE, ["a:1", "b:1"], "n", "no target would be left"),
        (BASE, ["c:1"], "n", "does not name the target c:1"),
        (BASE, [], "n", "does not name the target"),
        (BASE, ["a:1"], "node", "already"),
        (
            BASE.replace("[{targets", "&x [{targets") + "  - job_name: c\n    static_configs: *x\n",
            ["a:1"],
            "n",
            "used",
        ),
        (BASE.replace("    static", "    <<: {static").replace("]}]", "]}]}"), ["a:1"], "n", "merge key"),
    ],
)
def test_a_job_that_cannot_be_divided_is_refused(
    content: str, targets: list[str], new: str, words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        prometheus.split_job(content.encode(), job="node", targets=targets, new_job=new)


@pytest.mark.parametrize(
    ("before", "start"),
    [
        (b"", b"scrape_configs:\n  - job_name: new\n"),
        (b"# nothing", b"# nothing\nscrape_configs:\n  - job_name: new\n"),
        (b"global:\n    scrape_interval: 1m\n", b"global:\n    scrape_interval: 1m\nscrape_configs:\n"),
        (b"scrape_configs:\nrule_files: []\n", b"scrape_configs:\n  - job_name: new\n    scheme: https\n"),
        (b"scrape_configs: []\r\n", b"scrape_configs:\r\n  - job_name: new\r\n    scheme: https\r\n"),
        (b"{}\n", b"{scrape_configs: [{job_name: new, scheme: https, "),
    ],
)
def test_a_job_is_added_to_a_file_without_jobs(
    before: bytes, start: bytes, promtool: str, tmp_path: Path
) -> None:
    after = prometheus.add_job(before, job="new", target="srv1:9100", scheme="https", ca_file=CA)
    assert after.startswith(start)
    (job,) = prometheus.job_for(after, ["srv1"], 9100)
    assert (job.name, job.scheme, job.tls) == ("new", "https", {"ca_file": CA})
    assert promtool_takes(promtool, after, tmp_path)


def test_a_hostile_value_is_quoted() -> None:
    name = "x: y\n  - job_name: evil # {'\"$1\\"
    after = prometheus.add_job(BASE.encode(), job=name, target="a:1", username="u'\n\"", scheme="https")
    assert [job.name for job in prometheus.jobs(after)] == ["node", name]
    assert prometheus.jobs(after)[1].basic_auth == {"username": "u'\n\""}


def promtool_takes(promtool: str, content: bytes, folder: Path) -> bool:
    file = folder / "prometheus.yml"
    file.write_bytes(content)
    ended = subprocess.run(
        [promtool, "check", "config", str(file)], capture_output=True, timeout=60, check=False
    )
    return ended.returncode == 0


TLS = "  scheme: https\n  tls_config: {ca_file: FOLDER/ca.pem, cert_file: FOLDER/c.pem, key_file: FOLDER/k.pem}\n"
ONE = "scrape_configs:\n- job_name: a\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (ONE + "  scheme: HTTPS\n", "line 3: job 'a': there is no scheme 'HTTPS' (write https)"),
        (ONE + "  tls_config: {ca_file: FOLDER/absent.pem}\n", "ca_file FOLDER/absent.pem does not exist"),
        (
            ONE + "  tls_config: {ca_file: FOLDER/junk.pem}\n",
            "ca_file FOLDER/junk.pem holds no PEM certificate",
        ),
        (ONE + "  tls_config: {ca_file: FOLDER/der.pem}\n", "is in binary form"),
        (
            ONE + TLS.replace("k.pem", "other.pem"),
            "key_file FOLDER/other.pem does not belong to the certificate",
        ),
        (ONE + TLS.replace("k.pem", "locked.pem"), "holds an encrypted key"),
        (ONE + TLS.replace("c.pem", "k.pem"), "the two files may be switched"),
        (
            ONE + "  basic_auth: {username: u, password_file: FOLDER/absent}\n",
            "password_file FOLDER/absent does not",
        ),
        (ONE + "  tls_config: {ca_file: FOLDER/ca.pem, insecure_skip_verify: true}\n", "never looked at"),
        (ONE + "---\nscrape_configs: []\n", "line 3: a second YAML document"),
        (
            "alerting:\n  alertmanagers:\n  - tls_config: {ca_file: FOLDER/absent.pem}\n",
            "line 3: alertmanagers: ca_file FOLDER/absent.pem does not exist",
        ),
    ],
)
def test_mistakes_that_promtool_accepts_are_found(
    text: str, words: str, promtool: str, tmp_path: Path
) -> None:
    certificate, key = pair()
    files = {
        "ca.pem": certificate,
        "c.pem": certificate,
        "k.pem": key,
        "other.pem": pair()[1],
        "locked.pem": pair(passphrase=b"secret")[1],
        "junk.pem": b"junk\n",
        "der.pem": b"\x30\x82\x01",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    content = text.replace("FOLDER", str(tmp_path)).encode()

    def read(path: str) -> bytes | None:
        return Path(path).read_bytes() if Path(path).exists() else None

    assert promtool_takes(promtool, content, tmp_path)
    found = prometheus.check(content, read=read)
    assert any(words.replace("FOLDER", str(tmp_path)) in each for each in found), found
    assert prometheus.check((ONE + TLS).replace("FOLDER", str(tmp_path)).encode(), read=read) == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (ONE + "- job_name: a\n", "line 3: there is a scrape job 'a' further up already"),
        (ONE + "- scheme: http\n", "line 3: this scrape job has no job_name"),
        (ONE + "  basic_auth: {username: u}\n  authorization: {credentials: x}\n", "exclude each other"),
        (ONE + "  tls_config: {cert_file: /c}\n", "has a cert and no key"),
        ("a: b: c", "line 1: it is not valid YAML"),
        ("scrape_configs: 1", "not a list"),
    ],
)
def test_mistakes_that_promtool_rejects_are_found_too(
    text: str, words: str, promtool: str, tmp_path: Path
) -> None:
    assert not promtool_takes(promtool, text.encode(), tmp_path)
    assert any(words in each for each in prometheus.check(text.encode()))
