"""The targets in a configuration equal those on the target page of the real Prometheus of three generations."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.bench.bench_edit import large
from tests.integration.loopback_programs import free_port
from wizard import binaries
from wizard.config_files import prometheus
from wizard.config_files.go_regexp import PatternError, compile_pattern, expand
from wizard.config_files.prometheus.scrape_jobs import survey

CONFIG = r"""
# Nothing is scraped within a test: only the target page is wanted.
global: {scrape_interval: 12h}
alerting:
  alertmanagers:
  - static_configs: [{targets: ['localhost:9093', 'localhost', 'drop:1'], labels: {which: a}}]
    path_prefix: /am/
    relabel_configs: [{source_labels: [__address__, which], regex: 'drop.*;a', action: drop}]
  - scheme: https
    static_configs: [{targets: [localhost]}]
  - file_sd_configs: [{files: ['sd/tw*.JSON']}]
    relabel_configs: [{source_labels: [__address__], regex: '(.*):1', replacement: '$1:9', target_label: __address__}]
scrape_configs:
- job_name: plain
  static_configs: [{targets: ['127.0.0.1:9100', 'localhost', '[::1]', '[::1]:9100', '127.0.0.1:9100']}]
- job_name: https-without-port
  scheme: https
  metrics_path: /m
  static_configs: [{targets: [localhost, 'localhost:8443', '[::1]']}]
- job_name: labels-win
  params: {module: [a, b], target: ['']}
  static_configs:
  - targets: ['localhost:1']
    labels: {job: other, instance: web, __scheme__: https, __metrics_path__: /x, __address__: 'no:1', __param_module: c}
  - targets: ['localhost:2']
    labels: {job: '', instance: '', __param_target: t}
- job_name: file-json
  file_sd_configs: [{files: [sd/one.json, sd/absent.json]}]
- job_name: file-globs
  file_sd_configs: [{files: ['sd/g*.yml', FOLDER/sd/g1.yml]}, {files: ['sd/[gh]?.yaml', 'sd/x[^1].yml']}]
- job_name: file-and-static
  static_configs: [{targets: ['localhost:9']}]
  file_sd_configs: [{files: [./sd/../sd/two.JSON]}]
- job_name: file-broken
  file_sd_configs: [{files: ['sd/broken*.yml', 'sd/broken*.json']}]
- job_name: file-path-label
  file_sd_configs: [{files: ['sd/g*.yml']}]
  relabel_configs:
  - {source_labels: [__meta_filepath], regex: '.*/(\w+)\.yml', target_label: instance}
- job_name: blackbox
  metrics_path: /probe
  params: {module: [http_2xx]}
  static_configs: [{targets: ['http://localhost:9090/-/ready', 'https://[::1]:9/x?y=z&a=b']}]
  relabel_configs:
  - {source_labels: [__address__], target_label: __param_target}
  - {source_labels: [__param_target], target_label: instance}
  - {target_label: __address__, replacement: 'localhost:9115'}
- job_name: ports
  static_configs: [{targets: ['localhost', 'db1:5432', 'db2']}]
  relabel_configs:
  - {source_labels: [__address__], regex: '([^:]+)(?::\d+)?', replacement: '${1}:9100', target_label: __address__}
- job_name: keep-drop
  static_configs: [{targets: ['a1:1', 'a2:1', 'b1:1', 'ab1:1', 'a1:12']}]
  relabel_configs:
  - {source_labels: [__address__], regex: 'a\d:1', action: keep}
  - {source_labels: [__address__], regex: a2, action: drop}
- job_name: separators
  static_configs: [{targets: ['x:1'], labels: {a: one, b: two}}]
  relabel_configs:
  - {source_labels: [a, b, c], target_label: instance}
  - {source_labels: [a, b], separator: '', target_label: job}
  - {source_labels: [a, b], separator: '@', regex: '(?P<first>.*)@(.*)', replacement: '$2-${first}-$$-${3}-$1x', target_label: __param_module}
- job_name: empty-replacement
  static_configs: [{targets: ['x:1'], labels: {a: one}}]
  relabel_configs:
  - {source_labels: [a], regex: one, replacement: '', target_label: job}
  - {source_labels: [none], regex: '', replacement: empty, target_label: __param_target}
  - {replacement: $1, target_label: __metrics_path__, source_labels: [none]}
- job_name: dynamic-target
  static_configs: [{targets: ['x:1'], labels: {a: instance}}]
  relabel_configs:
  - {source_labels: [a], regex: (.*), target_label: '$1', replacement: named}
  - {source_labels: [a], target_label: '${1}_$1', replacement: named}
- job_name: labelmap
  static_configs: [{targets: ['x:1'], labels: {__meta_role: web, __meta_param: t}}]
  relabel_configs:
  - {action: labelmap, regex: __meta_(role)}
  - {action: labelmap, regex: __meta_(p.*), replacement: '__$1_target'}
  - {source_labels: [role], target_label: instance}
- job_name: labeldrop
  static_configs: [{targets: ['x:1'], labels: {instance: gone, job: gone}}]
  relabel_configs:
  - {action: labeldrop, regex: instance|job}
- job_name: labelkeep
  static_configs: [{targets: ['x:1'], labels: {instance: gone}}]
  relabel_configs:
  - {action: labelkeep, regex: '__.*'}
- job_name: hashmod
  static_configs: [{targets: ['a:1', 'b:1', 'c:1', 'd:1', 'e:1', 'f:1', 'g:1']}]
  relabel_configs:
  - {source_labels: [__address__], modulus: 3, target_label: __tmp_hash, action: hashmod}
  - {source_labels: [__address__], modulus: 1000003, target_label: instance, action: hashmod}
  - {source_labels: [__tmp_hash], regex: '1', action: keep}
- job_name: cases
  static_configs: [{targets: ['Host-A:1']}]
  relabel_configs:
  - {source_labels: [__address__], target_label: instance, action: lowercase}
  - {source_labels: [__address__], target_label: job, action: UPPERCASE}
- job_name: equal
  static_configs: [{targets: ['a:1', 'b:1', 'c:1'], labels: {which: 'a:1'}}, {targets: ['d:1'], labels: {which: 'd:1', not: 'd:1'}}]
  relabel_configs:
  - {source_labels: [__address__], target_label: which, action: keepequal}
  - {source_labels: [__address__], target_label: not, action: dropequal}
- job_name: patterns
  static_configs: [{targets: ['host-07.lab.example:9100']}]
  relabel_configs:
  - {source_labels: [__address__], regex: '(?i)HOST-0*([[:digit:]]+)\.(.+?)\.(.+):(\d{2,4})', replacement: '$1/$2/$3/$4', target_label: instance}
  - {source_labels: [__address__], regex: '\Qhost-07.\E(a|lab|[^\W\d_]+)*\.(?U:(.+)(.*)):.*', replacement: '$1/$2/$3', target_label: job}
  - {source_labels: [__address__], regex: '(?:[\w-]+\.?)+(x)?(:\d+)', replacement: '<$1$2>', target_label: __param_module}
  - {source_labels: [__address__], regex: '(([a-z0-9.-]*)*)*:(9|91)(00|100)\b', replacement: '$3+$4', target_label: __param_target}
- job_name: merged
  static_configs: &groups [{targets: ['m:1']}]
  relabel_configs: &rules
  - &rule {source_labels: [__address__], target_label: instance, replacement: 'i-$1'}
- job_name: merging
  static_configs: *groups
  relabel_configs: [{<<: *rule, target_label: __param_target}]
- job_name: no-address
  static_configs: [{targets: ['x:1', 'y:1']}]
  relabel_configs: [{source_labels: [__address__], regex: 'x:1', target_label: __address__, replacement: ''}]
- job_name: bad-address
  static_configs: [{targets: ['http://x:1', 'y:1']}]
  relabel_configs: [{target_label: unused, replacement: x}]
- job_name: twice-after-relabelling
  static_configs: [{targets: ['x:1', 'y:1', 'z:1']}]
  relabel_configs: [{source_labels: [__address__], regex: '[xy](:.*)', target_label: __address__, replacement: 'same$1'}]
- job_name: federation
  honor_labels: true
  metrics_path: /federate
  params: {'match[]': ['{job="a"}', up]}
  static_configs: [{targets: ['localhost:9091']}]
- {job_name: 12, static_configs: [{targets: [localhost:5]}]}
- job_name: found-elsewhere
  http_sd_configs: [{url: 'http://127.0.0.1:1/none', refresh_interval: 12h}]
  static_configs: [{targets: ['localhost:6']}]
"""

FILES = {
    "sd/one.json": '[{"targets": ["j1:1", "j2:1"], "labels": {"job": "from-file", "instance": ""}},\n {"Targets": ["j3:1"]}, {}]',
    "sd/g1.yml": "- targets: [g1:1, 'g2:1']\n  labels: {__scheme__: https}\n- targets: []\n",
    "sd/g2.yml": "# nothing\n",
    "sd/gg.yaml": '[{"targets": ["gg:1"]}]',
    "sd/h3.yaml": "- {targets: [h3]}\n",
    "sd/i3.yaml": "- {targets: [i3]}\n",
    "sd/x1.yml": "- {targets: [x1]}\n",
    "sd/x2.yml": "- {targets: [x2]}\n",
    "sd/two.JSON": '[{"targets": ["two:1"]}]',
    "sd/broken1.json": '[{"targets": ["b1:1"]}, null]',
    "sd/broken2.json": '[{"targets": ["b2:1"], "port": 1}]',
    "sd/broken3.json": '[{"targets": ["b3:1"]},]',
    "sd/broken4.json": '[{"targets": [1]}]',
    "sd/broken5.json": '{"targets": ["b5:1"]}',
    "sd/broken1.yml": "- targets: [b1:1]\n  port: 1\n",
    "sd/broken2.yml": "targets: [b2:1]\n",
    "sd/broken3.yml": "- targets: [b3:1]\n-\n",
    "sd/broken4.yml": "- targets: [b4:1]\n  targets: [b4:1]\n",
}


@dataclass(frozen=True)
class RealPrometheus:
    """The targets of a real Prometheus, and the files of its configuration."""

    major: int
    folder: Path
    targets: list[dict[str, Any]]
    alertmanagers: list[str]


def api_data(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return json.load(answer)["data"]


def run_prometheus(program: str, folder: Path, major: int) -> RealPrometheus:
    """Starts Prometheus, waits until its target page has every possible job, and stops it."""
    (folder / "sd").mkdir(parents=True)
    for name, text in FILES.items():
        (folder / name).write_text(text)
    (folder / "prometheus.yml").write_text(CONFIG.replace("FOLDER", str(folder)))
    port = free_port()
    argv = [
        program,
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=log)
        try:
            end = time.monotonic() + 60
            before: list[dict[str, Any]] = []
            while time.monotonic() < end and process.poll() is None:
                try:
                    now = api_data(f"http://127.0.0.1:{port}/api/v1/targets?state=active")["activeTargets"]
                except (OSError, urllib.error.URLError):
                    now = []
                pools = {each["scrapePool"] for each in now}
                if {"file-globs", "found-elsewhere", "file-json"} <= pools and len(now) == len(before):
                    page = api_data(f"http://127.0.0.1:{port}/api/v1/alertmanagers")["activeAlertmanagers"]
                    if len(page) >= 4:
                        return RealPrometheus(major, folder, list(now), [each["url"] for each in page])
                before = now
                time.sleep(0.5)
            raise AssertionError((folder / "log").read_text()[-3000:])
        finally:
            process.terminate()
            process.wait(20)
            shutil.rmtree(folder / "data", ignore_errors=True)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Iterator[dict[str, RealPrometheus]]:
    suites = {"bookworm": 2, "trixie": 2, "sid": 3}
    folders = {suite: tmp_path_factory.mktemp(suite) / "etc" for suite in suites}
    programs = {suite: binaries.find("prometheus", cache=cache, suite=suite).path for suite in suites}
    with ThreadPoolExecutor(3) as each:
        pages = {
            suite: each.submit(run_prometheus, programs[suite], folders[suite], major)
            for suite, major in suites.items()
        }
        yield {suite: page.result() for suite, page in pages.items()}


def configuration_files(folder: Path) -> dict[str, bytes | None]:
    """Returns every file that the configuration may name, and one that does not exist."""
    content = CONFIG.replace("FOLDER", str(folder)).encode()
    names = prometheus.sd_files(content, str(folder))
    assert str(folder / "sd/two.JSON") in names
    files = {str(folder / name): text.encode() for name, text in FILES.items()}
    return {**files, str(folder / "sd/absent.json"): None}


@pytest.mark.parametrize("suite", ["bookworm", "trixie", "sid"])
def test_targets_equal_those_of_the_real_prometheus(seen: dict[str, RealPrometheus], suite: str) -> None:
    page = seen[suite]
    content = CONFIG.replace("FOLDER", str(page.folder)).encode()
    ours = prometheus.scraped_targets(
        content, folder=str(page.folder), files=configuration_files(page.folder), major=page.major
    )

    found = sorted(
        (
            each.job,
            # Prometheus in Debian 12 lists some of these after relabelling.
            each.discovered if page.major > 2 else "",
            each.scheme,
            each.address,
            each.path,
            each.instance,
            each.job_label,
            each.param_target,
            each.module,
            "" if each.source == "static" else each.source,
        )
        for each in ours
    )
    real = sorted(real_target(each, major=page.major) for each in page.targets)
    assert found == real
    assert len({each[0] for each in real}) >= 25


@pytest.mark.parametrize("suite", ["bookworm", "trixie", "sid"])
def test_alertmanagers_equal_those_of_the_real_prometheus(
    seen: dict[str, RealPrometheus], suite: str
) -> None:
    page = seen[suite]
    content = CONFIG.replace("FOLDER", str(page.folder)).encode()
    blocks = prometheus.clients(content, folder=str(page.folder), files=configuration_files(page.folder))
    real = [urllib.parse.urlsplit(url) for url in page.alertmanagers]
    assert sorted((each.scheme, target) for each in blocks for target in each.targets) == sorted(
        (url.scheme, url.netloc if ":" in url.netloc else f"{url.netloc}:{'443' if url.scheme[4:] else '80'}")
        for url in real
    )
    assert all(each.static for each in blocks)
    assert not prometheus.clients(content)[2].static


def real_target(target: dict[str, Any], *, major: int) -> tuple[str, ...]:
    url = urllib.parse.urlsplit(target["scrapeUrl"])
    query = urllib.parse.parse_qs(url.query, keep_blank_values=True)
    address = url.netloc
    if address.endswith("]") or ":" not in address:
        address += ":443" if url.scheme == "https" else ":80"
    labels = target["labels"]
    return (
        target["scrapePool"],
        target["discoveredLabels"]["__address__"] if major > 2 else "",
        url.scheme,
        address,
        url.path,
        labels.get("instance", ""),
        labels.get("job", ""),
        query.get("target", [""])[0],
        query.get("module", [""])[0],
        target["discoveredLabels"].get("__meta_filepath", ""),
    )


def test_uncertain_targets_are_named() -> None:
    content = (CONFIG + "- {job_name: script, relabel_configs: [{regex: '\\C'}]}\n").encode()
    found = dict(prometheus.unknown_jobs(content))
    assert set(found) == {"found-elsewhere", "script"}
    assert found["found-elsewhere"] == "its targets come from http_sd_configs"
    assert r"\C" in found["script"]
    more = prometheus.unknown_jobs(content, folder="/etc", files={"/etc/sd/broken5.json": b"{}"})
    assert ("file-json", "its target file /etc/sd/absent.json is not there") in more
    assert (
        "file-broken",
        "its target file /etc/sd/broken5.json is damaged, and Prometheus ignores it",
    ) in more
    assert prometheus.unknown_jobs(b"scrape_config_files: [a.yml]\n")[0][0] == "scrape_config_files"


def test_the_files_to_read_are_absolute() -> None:
    content = (
        b"scrape_configs: [{job_name: a, file_sd_configs: [{files: [sd/*.json, ../x.yml, /y/z.yml]}]}]\n"
    )
    assert prometheus.sd_files(content, "/etc/p") == ("/etc/p/sd/*.json", "/etc/x.yml", "/y/z.yml")


@pytest.mark.parametrize(
    ("pattern", "text", "groups"),
    [
        ("a+?(a*)", "aaa", ("aaa", "aa")),
        ("(a|ab)(c|bcd)(d*)", "abcd", ("abcd", "a", "bcd", "")),
        ("(?i)É+", "éÉ", ("éÉ",)),
        ("a{2}", "aaa", None),
        ("a{,2}", "a{,2}", ("a{,2}",)),
        (r"\x{41}\101\t", "AA\t", ("AA\t",)),
        ("[]a-]+", "]-a", ("]-a",)),
        ("[^[:alpha:]]", "1", ("1",)),
        (".", "\n", ("\n",)),
        ("(?-s).", "\n", None),
        ("(?m)a$\n^b", "a\nb", ("a\nb",)),
        ("a$", "a\n", None),
        (r"\d", "٣", None),
        (r"\pN\p{Lu}\PL", "1A-", ("1A-",)),
        ("(a*)*b", "a" * 500, None),
        ("(x+x+)+y", "x" * 200, None),
        ("", "", ("",)),
        ("(|a)*", "aa", ("aa", "a")),
        (r"\p{Greek}+", "αβγ", ("αβγ",)),
        ("(?i)s", "ſ", ("ſ",)),
        (r"\Q\C\E[\]\\(]", r"\C(", (r"\C(",)),
        ("[](]", "(", ("(",)),
    ],
)
def test_patterns_match_as_in_go(pattern: str, text: str, groups: tuple[str, ...] | None) -> None:
    assert compile_pattern(pattern).match(text) == groups


@pytest.mark.parametrize(
    "pattern", ["(", ")", "a**", "*a", "[a", "[b-a]", r"\1", r"\Z", "a{1001}", "(?=a)", "(?x)a", "\\", "(" * 200,
                "(((a{99}){99}){99})", "(?P<>a)", r"\x{110000}", r"\C", r"a\\\C", "(?P<a>x)(?P<a>y)", "(" * 1001 + ")" * 1001],
)  # fmt: skip
def test_patterns_that_go_rejects_are_refused(pattern: str) -> None:
    with pytest.raises(PatternError):
        compile_pattern(pattern)


def test_a_template_is_filled_in() -> None:
    pattern = compile_pattern("(?P<host>[^:]+):(.*)")
    found = pattern.match("a:1")
    assert found is not None
    assert expand("$host-${2}-$2x-$$-${host-$-$9", pattern, found) == "a-1--$-${host-$-"


def test_five_thousand_jobs_are_read_quickly() -> None:
    content = large()
    survey.cache_clear()
    began = time.process_time()
    first = prometheus.scraped_targets(content, folder="/etc/prometheus", files={})
    took = time.process_time() - began
    assert len(first) == 5000
    assert first[-1].address == "host04999.example.net:9100"
    assert took < 3
    assert prometheus.scraped_targets(content, folder="/etc/prometheus", files={}) is first
