"""Alertmanagers, remote_write, remote_read and probes are found and secured, and the real promtool accepts the file."""

from __future__ import annotations

import difflib
import io
import re
import time
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.bench.bench_edit import large
from tests.processes import run_program
from wizard import binaries
from wizard.config_files import prometheus
from wizard.errors import ConfigError
from wizard.redact import MASK

CA = "/etc/prometheus/ca.pem"
SECURE = {"ca_file": CA, "username": "prometheus", "password_file": "/etc/prometheus/password"}
CLIENT = {"cert_file": "/etc/prometheus/c.pem", "key_file": "/etc/prometheus/k.pem", "server_name": "srv1"}
TOUCHED = re.compile(
    r"scheme|url|tls_config|basic_auth|insecure_skip_verify|username|password|ca:|alertmanagers\"?: \["
)

AWKWARD = {
    "plain": """\
alerting:
  alertmanagers:
    - static_configs:
        - targets: ['localhost:9093', 'am2']
    - path_prefix: /am   # behind a proxy
      scheme: http
      static_configs: [{targets: [localhost:9094]}]
remote_write:
  - url: http://localhost:9090/api/v1/write
  - url: "http://[::1]/w"   # no port
    name: second
remote_read:
  - url: http://srv1.example.net:9090/api/v1/read?a=b#c
    read_recent: true
# the end
""",
    "dash-at-0": """\
remote_write:
- url: 'http://localhost:9090/api/v1/write'
  queue_config:
    capacity: 1
# about nothing
alerting:
    alertmanagers:
    - timeout: 5s
      static_configs:
      - targets:
        - localhost:9093   # ours
""",
    "flow": "alerting: {alertmanagers: [{static_configs: [{targets: ['localhost:9093']}]}]}\n"
    'remote_write: [{url: \'http://localhost:9090/w\'}, {"url": "http://localhost:9091/w"}]\n',
    "json": '{"remote_read": [{"url": "http://localhost:9090/r"}],\n'
    ' "alerting": {"alertmanagers": [{"static_configs": [{"targets": ["localhost:9093"]}]}]}}\n',
    "crlf-no-end": "\ufeffremote_write:\r\n  - url: HTTP://localhost:9090/w\r\n    tls_config:\r\n      insecure_skip_verify: true",
    "settings": """\
remote_write:
  - url: https://localhost:9090/w
    basic_auth:
      password: clear   # to go
      username: 'old'
    tls_config: {ca: "PEM", insecure_skip_verify: yes}
  - tls_config:
    basic_auth: ~
    url: http://localhost:9090/w
alerting:
  alert_relabel_configs: []
  alertmanagers:
  - scheme: "http"
    static_configs: [{targets: [localhost:9093]}]
    tls_config: {}
""",
    "empty": "alerting: {alertmanagers: [{}]}\nremote_write: [{url: http://h:1/}]\n",
    "last-line-comment": "alerting:\n  alertmanagers:\n  - static_configs:\n    - targets: [a:1]\n      # deep\n  # am\n# root",
}


def data(content: bytes) -> Any:
    """Returns the file as another YAML parser reads it."""
    text = re.sub(r"(?<=[\[ ])([a-z]+:\d+)(?=[,\]])", r"'\1'", content.decode("utf-8-sig"))
    return YAML(typ="safe", pure=True).load(io.StringIO(text))


def check_error(programs: list[str], content: bytes, folder: Path) -> str:
    """Returns '' if each promtool accepts the file, else the error."""
    file = folder / "prometheus.yml"
    file.write_bytes(content)
    for program in programs:
        ended = run_program([program, "check", "config", str(file)])
        if ended.returncode:
            return ended.stdout + ended.stderr
    return ""


@pytest.fixture(scope="module")
def promtools(cache: Path) -> list[str]:
    return [binaries.find("promtool", cache=cache, suite=suite).path for suite in ("bookworm", "sid")]


@pytest.mark.parametrize("name", AWKWARD)
def test_every_block_is_secured_in_its_own_style(name: str, promtools: list[str], tmp_path: Path) -> None:
    before = AWKWARD[name].encode()
    start = data(before)
    after = before
    for place in range(len(prometheus.clients(before))):
        once = prometheus.secure_client(after, prometheus.clients(after)[place], **SECURE)
        assert prometheus.secure_client(once, prometheus.clients(once)[place], **SECURE) == once
        others = [each for number, each in enumerate(prometheus.clients(once)) if number != place]
        were = [each for number, each in enumerate(prometheus.clients(after)) if number != place]
        assert [(each.tls, each.basic_auth, each.url, each.scheme) for each in others] == [
            (each.tls, each.basic_auth, each.url, each.scheme) for each in were
        ]
        after = once
    # A newer promtool checks that the files exist.
    for file in ("password", "ca.pem"):
        (tmp_path / file).write_text("x")
    there = after.decode().replace("/etc/prometheus", str(tmp_path)).encode()
    assert check_error(promtools, there, tmp_path) == ""
    assert prometheus.check(after) == ()
    for block in prometheus.clients(after):
        assert block.scheme == "https"
        assert block.tls["ca_file"] == CA
        assert block.tls.get("insecure_skip_verify", "false") == "false"
        assert block.basic_auth == {"username": "prometheus", "password_file": SECURE["password_file"]}
    assert [block.targets for block in prometheus.clients(after)] == [
        tuple(
            target.replace(":80", ":443") if block.kind == "alertmanagers" else target
            for target in block.targets
        )
        for block in prometheus.clients(before)
    ]
    end = data(after)
    for root in (start, end):
        for block in root.get("remote_write", []) + root.get("remote_read", []):
            for key in ("url", "tls_config", "basic_auth"):
                block.pop(key, None)
        for block in root.get("alerting", {}).get("alertmanagers", []):
            for key in ("scheme", "tls_config", "basic_auth"):
                block.pop(key, None)
    assert start == end
    old, new = (each.decode().splitlines(keepends=True) for each in (before, after))
    for line in difflib.ndiff(old, new):
        if line.startswith("- "):
            ended = line[2:] == old[-1] and not line.endswith("\n")
            assert TOUCHED.search(line) or ended, line
    assert before.endswith(b"\n") == after.endswith(b"\n")
    assert before.startswith(b"\xef\xbb\xbf") == after.startswith(b"\xef\xbb\xbf")
    assert (b"\r\n" in before) == (after.count(b"\r\n") == after.count(b"\n") > 0)


CORPUS = sorted((Path(__file__).parents[2] / "corpus" / "prometheus").glob("*.yml"))


@pytest.mark.parametrize(
    "path",
    [path for path in CORPUS if prometheus.clients(path.read_bytes())],
    ids=lambda path: path.stem,
)
def test_the_blocks_of_the_corpus_are_secured(path: Path, promtools: list[str], tmp_path: Path) -> None:
    before = after = path.read_bytes()
    for place, block in enumerate(prometheus.clients(before)):
        after = prometheus.secure_client(after, block, server_name="srv1")
        assert prometheus.secure_client(after, prometheus.clients(after)[place], server_name="srv1") == after
    assert {block.scheme for block in prometheus.clients(after)} == {"https"}
    assert prometheus.jobs(after) != ()
    assert [(job.name, job.tls) for job in prometheus.jobs(after)] == [
        (job.name, job.tls) for job in prometheus.jobs(before)
    ]
    assert check_error(promtools, after, tmp_path) == ""


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_the_targets_of_the_corpus_are_found(path: Path) -> None:
    content = path.read_bytes()
    (job,) = prometheus.job_for(content, ["srv1.example.net"], 9100)
    found = [
        each for each in prometheus.scraped_targets(content, folder="/", files={}) if each.job == job.name
    ]
    assert "srv1.example.net:9100" in [each.address for each in found]


def test_a_url_keeps_its_quotes_and_its_port() -> None:
    after = AWKWARD["plain"].encode()
    for place in range(len(prometheus.clients(after))):
        after = prometheus.secure_client(after, prometheus.clients(after)[place], **CLIENT)
    text = after.decode()
    assert "  - url: https://localhost:9090/api/v1/write\n" in text
    assert '  - url: "https://[::1]:80/w"   # no port\n' in text
    assert "'https://srv1.example.net:9090/api/v1/read?a=b#c'" in text
    assert text.count("server_name: srv1") == 5
    assert text.endswith("# the end\n")


def test_blocks_are_read_as_prometheus_reads_them() -> None:
    content = b"""
alerting:
  alertmanagers:
  - file_sd_configs: [{files: [am/*.json]}]
    static_configs: [{targets: [a, b:1]}]
    relabel_configs: [{source_labels: [__address__], regex: 'b:.*', action: drop}]
  - dns_sd_configs: [{names: [x]}]
    sigv4: {region: x}
remote_write:
- {name: mine, url: 'http://user:canary@h/write', authorization: {credentials: canary}}
- {url: 'https://user:canary@h:9/write', basic_auth: {username: u, password: canary}}
- url: ${URL}
"""
    one, two, three, four, five = prometheus.clients(content)
    assert (one.title, one.targets, one.static, one.line, one.kind) == (
        "alertmanagers 1", ("a:80",), False, 4, "alertmanagers",
    )  # fmt: skip
    assert (two.title, two.static, two.other_auth, two.index) == ("alertmanagers 2", False, "sigv4", 1)
    assert (three.title, three.targets, three.scheme) == ('remote_write "mine"', ("h:80",), "http")
    assert (three.other_auth, three.url) == ("authorization", f"http://{MASK}@h/write")
    assert (four.targets, four.other_auth, four.static) == (("h:9",), "url", True)
    assert five.targets == ()
    assert "canary" not in repr((one, two, three, four, five)) + str(dict(four.basic_auth))
    files = {"/etc/p/am/x.json": b'[{"targets": ["f:9093"]}]'}
    assert prometheus.sd_files(content, "/etc/p") == ("/etc/p/am/*.json",)
    known = prometheus.clients(content, folder="/etc/p", files=files)[0]
    assert (known.targets, known.static) == (("a:80", "f:9093"), True)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("remote_write: [{url: 'http://u:p@h:1/'}]\n", "the url contains a user name"),
        ("remote_write: [{url: '${URL}'}]\n", "does not begin with http"),
        (
            "remote_write: [{url: 'http://h', authorization: {credentials: x}}]\n",
            "authenticates with authorization",
        ),
        ("remote_write: [{url: 'http://h', sigv4: {}}]\n", "authenticates with sigv4"),
        ("remote_read: [{url: 'http://h', oauth2: {client_id: x}}]\n", "authenticates with oauth2"),
        ("remote_read: [{url: 'http://h', bearer_token: x}]\n", "authenticates with bearer_token"),
        ("remote_read:\n- url: http://h\n  <<: {url: 'http://h'}\n", "merge key"),
        ("remote_read: &r [{url: 'http://h'}]\nremote_write: *r\n", "another part"),
    ],
)
def test_ambiguous_blocks_are_refused(text: str, words: str) -> None:
    content = text.encode()
    with pytest.raises(ConfigError) as caught:
        prometheus.secure_client(content, prometheus.clients(content)[0], **SECURE)
    assert words in caught.value.what
    assert caught.value.where
    assert caught.value.todo


def test_a_missing_block_is_refused() -> None:
    block = prometheus.clients(b"remote_write: [{url: 'http://h:1/'}]\n")[0]
    with pytest.raises(ConfigError, match="any more"):
        prometheus.secure_client(b"remote_write: []\n", block, **SECURE)


BLOCKS = {
    "scrape_configs:\n- job_name: x\n": "job 'x'",
    "alerting:\n  alertmanagers:\n  - static_configs: [{targets: [h:1]}]\n  ": "alertmanagers",
    "remote_write:\n- url: http://h/\n": "remote_write",
    "remote_read:\n- url: http://h/\n": "remote_read",
}


@pytest.mark.parametrize("start", BLOCKS)
@pytest.mark.parametrize(
    "rival",
    ["authorization: {credentials: x}", "oauth2: {client_id: x, client_secret: y, token_url: 'http://h/'}",
     "bearer_token: x", "bearer_token_file: x"],
)  # fmt: skip
def test_two_kinds_of_authentication_are_reported_like_prometheus(
    start: str, rival: str, promtools: list[str], tmp_path: Path
) -> None:
    lead = "  " if start.endswith(" ") else ""
    one = f"{start.rstrip(' ')}{lead}  basic_auth: {{username: u}}\n"
    both = f"{one}{lead}  {rival}\n"
    assert check_error(promtools, one.encode(), tmp_path) == ""
    assert prometheus.check(one.encode()) == ()
    assert check_error(promtools, both.encode(), tmp_path)
    found = prometheus.check(both.encode())
    assert any(
        f"{BLOCKS[start]}: basic_auth and {rival.partition(':')[0]} exclude each other" in each
        for each in found
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("alerting: {alertmanagers: [{tls_config: {ca_file: absent}}]}", "alertmanagers: ca_file absent does not"),
        ("alerting: {alertmanagers: [{scheme: HTTPS}]}", "there is no scheme 'HTTPS' (write https)"),
        ("remote_write: [{url: 'http://h/', tls_config: {ca_file: junk}}]", "ca_file junk holds no PEM"),
        ("remote_read: [{url: 'http://h/', basic_auth: {username: u, password_file: absent}}]", "absent does not"),
        ("remote_read: [{url: 'http://h/', authorization: {credentials_file: empty}}]", "empty is empty"),
        (
            "remote_read:\n- url: http://h/\n  oauth2: {client_id: x, token_url: 'http://h/', client_secret_file: absent,\n    tls_config: {ca_file: junk}}",
            "oauth2: ca_file junk holds no PEM",
        ),
    ],
)  # fmt: skip
def test_mistakes_that_promtool_accepts_are_found_in_every_block(
    text: str, words: str, promtools: list[str], tmp_path: Path
) -> None:
    (tmp_path / "junk").write_text("junk\n")
    (tmp_path / "empty").write_text("")

    def read(path: str) -> bytes | None:
        return Path(path).read_bytes() if Path(path).exists() else None

    assert check_error(promtools[:1], text.encode(), tmp_path) == ""
    found = prometheus.check(text.encode(), read=read, folder=str(tmp_path))
    assert any(words in each for each in found), found
    assert prometheus.check(text.encode(), read=read) == prometheus.check(text.encode())


PROBES = """\
scrape_configs:
  - job_name: probes   # by blackbox
    metrics_path: /probe
    params: {module: [http_2xx]}
    static_configs:
      - targets:
          - http://h:9090/-/ready   # Prometheus
          - "http://h:9093/-/ready"
          - 'http://h:9090/-/ready'
      - targets: [http://h:9091/x, http://h:9090/-/ready]
    relabel_configs:
      - {source_labels: [__address__], target_label: __param_target}
      - {target_label: __address__, replacement: 'h:9115'}
  - job_name: other
    params:
      x: [y]
    static_configs: [{targets: ['http://h:9090/-/ready']}]
    relabel_configs: [{target_label: __address__, replacement: 'h:9115'}]
"""


def test_probed_urls_change_their_scheme() -> None:
    before = PROBES.encode()
    old, new = "http://h:9090/-/ready", "https://h:9090/-/ready"
    after = prometheus.probe_url(before, job="probes", old=old, new=new)
    head, tail = PROBES.split("  - job_name: other")
    assert after.decode() == head.replace(old, new) + "  - job_name: other" + tail
    assert prometheus.probe_url(after, job="probes", old=old, new=new) == after
    assert prometheus.scraped_targets(after, folder="/", files={})[0].param_target == new
    with pytest.raises(ConfigError, match="does not name"):
        prometheus.probe_url(before, job="probes", old="http://h:1/", new=new)
    odd = prometheus.probe_url(before, job="probes", old=old, new="https://h:9090/a b,c")
    assert "https://h:9090/a b,c" in prometheus.jobs(odd)[0].targets


def test_the_module_of_a_probe_job_changes(promtools: list[str], tmp_path: Path) -> None:
    before = PROBES.encode()
    one = prometheus.set_module(before, job="probes", module="http_2xx_auth")
    assert one.decode() == PROBES.replace("[http_2xx]", "[http_2xx_auth]")
    two = prometheus.set_module(one, job="other", module="m")
    assert "    params:\n      x: [y]\n      module: [m]\n" in two.decode()
    three = prometheus.set_module(b"scrape_configs:\n- job_name: a\n", job="a", module="m")
    assert three == b"scrape_configs:\n- job_name: a\n  params:\n    module: [m]\n"
    for name, content, module in (("probes", one, "http_2xx_auth"), ("other", two, "m"), ("a", three, "m")):
        assert prometheus.set_module(content, job=name, module=module) == content
        assert check_error(promtools, content, tmp_path) == ""
    merged = b"scrape_configs:\n- job_name: a\n  params: {module: [x]}\n  <<: {params: {module: [y]}}\n"
    with pytest.raises(ConfigError, match="merge key"):
        prometheus.set_module(merged, job="a", module="m")


def test_federation_is_read_like_any_job() -> None:
    before = b"""\
scrape_configs:
- job_name: federate
  honor_labels: true
  metrics_path: /federate
  params:
    'match[]':
    - '{job="node"}'
  static_configs:
  - targets: [srv1:9090]
"""
    (job,) = prometheus.job_for(before, ["srv1"], 9090)
    after = prometheus.secure_job(before, job=job.name, scheme="https", **SECURE)
    assert after.startswith(before)
    assert prometheus.scraped_targets(after, folder="/", files={})[0].scheme == "https"


def test_a_block_of_a_large_file_is_edited_in_seconds() -> None:
    content = b"remote_write:\n- url: http://h:9090/w\n" + large()
    began = time.process_time()
    after = prometheus.secure_client(content, prometheus.clients(content)[0], **SECURE)
    assert time.process_time() - began < 6
    assert after.endswith(content[40:])
