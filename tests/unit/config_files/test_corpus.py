"""Every unusual prometheus.yml of the corpus is edited in its own style, and the real promtool accepts it."""

from __future__ import annotations

import difflib
import io
import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.processes import run_program
from wizard.config_files import http_client, prometheus
from wizard.config_files.prometheus import client_settings
from wizard.config_files.prometheus.scrape_jobs import NAME
from wizard.config_files.yaml_edit.document import load

CORPUS = sorted((Path(__file__).parents[2] / "corpus" / "prometheus").glob("*.yml"))
NAMES = ["srv1.example.net"]
PORT = 9100
SECURE = {
    "scheme": "https",
    "ca_file": "/etc/prometheus/firescreen/ca.pem",
    "username": "prometheus",
    "password_file": "/etc/prometheus/firescreen/prometheus.password",
}
OURS = ("scheme", "tls_config", "basic_auth")
TOUCHED = re.compile(
    r"scheme|tls_config|basic_auth|ca_file|insecure_skip_verify|username|password|job_name: node,|"
    r"static_configs\W*: \[|^\s*\],$"
)

each_file = pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)


def check_error(promtool: str, content: bytes, folder: Path) -> str:
    """Returns '' if the real promtool accepts the file, else its output."""
    file = folder / "prometheus.yml"
    file.write_bytes(content)
    ended = run_program([promtool, "check", "config", str(file)])
    return "" if ended.returncode == 0 else ended.stdout + ended.stderr


def data(content: bytes) -> Any:
    """Returns the first document as another YAML parser (ruamel's own, in Python) reads it."""
    # That parser accepts neither an unquoted port in flow style nor a tab after a colon.
    text = content.decode("utf-8-sig").replace("\t", " ")
    text = re.sub(r"(?<=[\[ ])(srv\d\.example\.net:9100|db1:9187)(?=[,\]])", r"'\1'", text)
    return next(iter(YAML(typ="safe", pure=True).load_all(io.StringIO(text))))


def the_job(content: bytes) -> prometheus.ScrapeJob:
    (job,) = prometheus.job_for(content, NAMES, PORT)
    return job


def test_the_corpus_is_complete() -> None:
    assert len(CORPUS) >= 60


@each_file
def test_a_job_gets_tls_and_nothing_else_changes(path: Path, promtool: str, tmp_path: Path) -> None:
    before = path.read_bytes()
    assert check_error(promtool, before, tmp_path) == ""
    job = the_job(before)

    after = prometheus.secure_job(before, job=job.name, **SECURE)

    assert check_error(promtool, after, tmp_path) == ""
    assert prometheus.secure_job(after, job=job.name, **SECURE) == after
    place = [each.name for each in prometheus.jobs(before)].index(job.name)
    now = prometheus.jobs(after)[place]
    assert (now.name, now.scheme, now.targets) == (job.name, "https", job.targets)
    assert now.tls["ca_file"] == SECURE["ca_file"]
    assert now.tls.get("insecure_skip_verify", "false") == "false"
    assert now.basic_auth == {"username": "prometheus", "password_file": SECURE["password_file"]}

    old, new = data(before), data(after)
    for root in (old, new):
        for key in OURS:
            root["scrape_configs"][place].pop(key, None)
    assert old == new


@each_file
def test_only_lines_of_the_job_differ(path: Path) -> None:
    before = path.read_bytes()
    job = the_job(before)
    after = prometheus.secure_job(before, job=job.name, **SECURE)
    old, new = before.decode().splitlines(keepends=True), after.decode().splitlines(keepends=True)

    jobs = prometheus.jobs(before)
    place = [each.name for each in jobs].index(job.name)
    first = job.line - 1
    after_job = (
        old[jobs[place + 1].line - 1 :] if place + 1 < len(jobs) and jobs[place + 1].line > job.line else []
    )
    assert new[:first] == old[:first]
    assert not after_job or new[-len(after_job) :] == after_job

    gone = [line[2:] for line in difflib.ndiff(old, new) if line.startswith("- ")]
    for line in gone:
        ended_the_file = line == old[-1] and line + "\n" in (each.replace("\r\n", "\n") for each in new)
        assert TOUCHED.search(line) or ended_the_file, line
    # Line ends, a byte order mark and a missing newline at the end must stay as they are.
    assert before.startswith(b"\xef\xbb\xbf") == after.startswith(b"\xef\xbb\xbf")
    assert before.endswith(b"\n") == after.endswith(b"\n")
    if before.count(b"\r\n") == before.count(b"\n"):
        assert after.count(b"\r\n") == after.count(b"\n")


@each_file
def test_a_job_edited_alone_equals_one_edited_in_the_whole_file(path: Path) -> None:
    before = path.read_bytes()
    job = the_job(before)
    place = [each.name for each in prometheus.jobs(before)].index(job.name)
    want = http_client.wanted_settings(**SECURE)
    document = load(before, NAME)
    where = ("scrape_configs", place)

    whole = client_settings.secure(document, where, prometheus._job_node(document, where), want).content

    assert prometheus.secure_job(before, job=job.name, **SECURE) == whole


@each_file
def test_a_job_is_added(path: Path, promtool: str, tmp_path: Path) -> None:
    before = path.read_bytes()
    after = prometheus.add_job(before, job="added: job", target="srv7.example.net:9100", **SECURE)

    assert check_error(promtool, after, tmp_path) == ""
    added = prometheus.jobs(after)[-1]
    assert (added.name, added.scheme, added.targets) == ("added: job", "https", ("srv7.example.net:9100",))
    old, new = data(before), data(after)
    assert new["scrape_configs"].pop()["job_name"] == "added: job"
    assert old == new
    gone = [
        line
        for line in difflib.unified_diff(before.decode().splitlines(), after.decode().splitlines(), n=0)
        if line.startswith("-") and not line.startswith("---")
    ]
    assert gone == [] or path.stem.startswith(("flow-", "very-long-flow"))


@pytest.mark.parametrize(
    "path",
    [path for path in CORPUS if len(the_job(path.read_bytes()).targets) > 1],
    ids=lambda path: path.stem,
)
def test_a_job_is_divided(path: Path, promtool: str, tmp_path: Path) -> None:
    before = path.read_bytes()
    job = the_job(before)
    moved = tuple(target for target in job.targets if target.startswith(NAMES[0]))

    divided = prometheus.split_job(before, job=job.name, targets=moved, new_job="node-https")
    after = prometheus.secure_job(divided, job="node-https", **SECURE)

    assert check_error(promtool, after, tmp_path) == ""
    found = {each.name: each for each in prometheus.jobs(after)}
    assert found["node-https"].targets == moved
    assert found["node-https"].scheme == "https"
    assert found["node-https"].static
    assert found[job.name].targets == tuple(target for target in job.targets if target not in moved)
    assert (found[job.name].scheme, found[job.name].static) == (job.scheme, job.static)
    old, new = data(before), data(after)
    copy = next(each for each in new["scrape_configs"] if each["job_name"] == "node-https")
    assert copy["relabel_configs"][0]["replacement"] == job.name
    assert [each for each in old["scrape_configs"] if each["job_name"] != job.name] == [
        each for each in new["scrape_configs"] if each["job_name"] not in (job.name, "node-https")
    ]
