"""An undo makes Prometheus return to http before its servers, and checks that it did; no password is sent over http."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.unit.engine.memory import Site, attempt, create, edit, host_error, probe, service_action
from wizard import journal_reader, probes
from wizard.engine import service_control
from wizard.engine.journal import Journal
from wizard.journal_reader import Record
from wizard.model import Attempt, Change, ContentKind, FileState, Forward, Probe, WriteFile
from wizard.redact import Secret

Make = Callable[..., Site]
CONFIG = "/etc/prometheus/prometheus.yml"
WEB = "/etc/node/web.yml"
BEFORE = b"""\
global: {scrape_interval: 1s}
scrape_configs:
  - job_name: node
    static_configs: [{targets: ['srv1:9100']}]
  - job_name: other
    static_configs: [{targets: ['srv2:9100']}]
"""
AFTER = b"""\
global: {scrape_interval: 1s}
scrape_configs:
  - job_name: node
    static_configs: [{targets: ['srv1:9100']}]
    scheme: https
    tls_config:
      ca_file: /etc/prometheus/ca.crt
    basic_auth:
      username: prometheus
      password_file: /etc/prometheus/prometheus.password
  - job_name: other
    static_configs: [{targets: ['srv2:9100']}]
"""
BETWEEN = BEFORE.replace(
    b"['srv1:9100']}]\n", b"['srv1:9100']}]\n    tls_config:\n      ca_file: /etc/prometheus/ca.crt\n"
)
DEMANDS = b"tls_server_config:\n  cert_file: a\n  key_file: b\nbasic_auth_users:\n  prometheus: $2y$10$x\n"
UP = probe("srv1", "up", kind="up", instance="srv1:9100", job="node", url="http://127.0.0.1:1")
SECURED = replace(UP, url="https://127.0.0.1:1", user="prometheus", password=Secret("a secret"))


def wrote(path: str, before: bytes, after: bytes) -> WriteFile:
    return edit("srv1", path, after, before=FileState(before), content_kind=ContentKind.PROMETHEUS_CONFIG)


def applied(site: Site, *changes: Change) -> Record:
    """Records a verified run that made these changes."""
    log = Journal.create(site.workspace.runs, title="a test", hosts=site.specs, changes=changes, details=())
    for number, change in enumerate(changes):
        log.begin(number)
        if isinstance(change, WriteFile) and change.after is not None:
            site.connections[change.host].files[change.path] = change.after
        log.done(number)
    log.state("proven")
    log.close()
    found = journal_reader.read(log.folder)
    assert found is not None
    return found


def secured(site: Site, before: bytes = BEFORE, after: bytes = AFTER) -> Record:
    """Records a run that set up TLS and a password in node_exporter and in its Prometheus."""
    service = site.service("srv1", "prometheus", config_file=CONFIG)
    users = site.workspace.users
    users.mkdir(parents=True, exist_ok=True)
    (users / "prometheus.password").write_text("a secret\n")
    return applied(
        site,
        create("srv1", WEB, DEMANDS, content_kind=ContentKind.WEB_CONFIG),
        wrote(CONFIG, before, after),
        service_action(service, "reload", turns=(UP,), turned=(SECURED,)),
        service_action(site.service("srv1")),
    )


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Probe]:
    """The probes of Prometheus: it scrapes over https, and over http from the third answer on."""
    found: list[Probe] = []

    def run(each: Probe, **_: object) -> Attempt:
        found.append(each)
        if each.url.startswith("http:"):
            return attempt(each, "plain")
        secure = len([one for one in found if one.url == each.url]) < 3
        return attempt(each, "up", scrape_url=f"{'https' if secure else 'http'}://srv1:9100/metrics")

    monkeypatch.setattr(probes, "run", run)
    return found


def test_prometheus_leaves_https_before_its_servers(make_site: Make, asked: list[Probe]) -> None:
    site = make_site()
    record = secured(site)
    texts: list[tuple[str, bytes | None, bytes]] = []

    def look(action: str, _: object) -> None:
        files = site.connections["srv1"].files
        texts.append((action, files[WEB].content if WEB in files else None, files[CONFIG].content))

    site.manager.before = look
    outcome = site.engine().undo(emit=site.emit)
    assert (outcome.state, outcome.error) == ("undone", None)
    relaxed = DEMANDS.partition(b"basic_auth_users")[0]
    assert texts[0] == ("reload", relaxed, BETWEEN), "no password any more, neither demanded nor sent"
    assert [(action, config) for action, _, config in texts[1:]] == [("reload", BEFORE), ("restart", BEFORE)]
    assert site.connections["srv1"].files[CONFIG].content == BEFORE
    assert WEB not in site.connections["srv1"].files
    assert {each.password for each in asked if each.user} == {Secret("a secret")}, "the journal has none"
    assert any("scrapes srv1:9100 by http (" in event.text for event in site.events_of_kind("log"))
    found = journal_reader.read(record.folder)
    assert found is not None and found.state == "undone"


def test_an_undo_killed_during_the_preparation_is_finished(make_site: Make, asked: list[Probe]) -> None:
    site = make_site()
    secured(site)

    def dies(action: str, _: object) -> None:
        raise KeyboardInterrupt

    site.manager.before = dies
    with pytest.raises(KeyboardInterrupt):
        site.engine().undo()
    assert site.connections["srv1"].files[CONFIG].content == BETWEEN
    site.manager.before = lambda action, service: None
    (outcome,) = site.engine().recover()
    assert (outcome.state, outcome.error) == ("undone", None)
    assert site.connections["srv1"].files[CONFIG].content == BEFORE
    assert WEB not in site.connections["srv1"].files


def test_a_failed_preparation_does_not_stop_the_undo(make_site: Make, asked: list[Probe]) -> None:
    site = make_site()
    secured(site)
    site.manager.faults["reload", "prometheus-srv1"] = [host_error()]
    outcome = site.engine().undo(emit=site.emit)
    assert (outcome.state, outcome.error) == ("undone", None)
    assert site.connections["srv1"].files[CONFIG].content == BEFORE
    assert any(event.text.startswith("scrapes may be lost: ") for event in site.events_of_kind("log"))


@pytest.mark.parametrize("outcome", ["up", "error"])
def test_the_wait_for_http_times_out(make_site: Make, monkeypatch: pytest.MonkeyPatch, outcome: str) -> None:
    """A Prometheus that does not list its targets is not awaited for longer."""
    monkeypatch.setattr(service_control, "TURN_TIMEOUT", 0.05)
    monkeypatch.setattr(
        probes, "run", lambda each, **_: attempt(each, outcome, scrape_url="https://srv1:9100")
    )
    site = make_site()
    secured(site)
    assert site.engine().undo().state == "undone"
    asked = ["reload"] * (outcome == "up")
    assert [action for action, *_ in site.manager.actions] == [*asked, "reload", "restart"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(b"scrape_interval: 1s", b"scrape_interval: 15s", id="scraped seldom"),
        pytest.param(b"job_name: node", b"job_name: another", id="a job of another name"),
    ],
)
def test_no_wait_happens_where_it_saves_no_scrape(
    make_site: Make, asked: list[Probe], old: bytes, new: bytes
) -> None:
    site = make_site()
    secured(site, BEFORE.replace(old, new), AFTER.replace(old, new) if b"interval" in old else AFTER)
    assert site.engine().undo().state == "undone"
    assert asked == []
    assert [action for action, *_ in site.manager.actions] == ["reload", "restart"]


def test_a_journal_without_preparation_is_undone_too(make_site: Make, asked: list[Probe]) -> None:
    site = make_site()
    record = secured(site)
    file = record.folder / "journal.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines() if line]
    for entry in lines[0]["changes"]:
        del entry["turns"], entry["content"]
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    assert site.engine().undo().state == "undone"
    assert asked == []


def test_the_journal_keeps_a_target_of_each_job_and_no_password(make_site: Make) -> None:
    site = make_site()
    through = replace(UP, forward=Forward(site.specs[0], "127.0.0.1:9090"), instance="srv3:9100")
    service = site.service("srv1", "prometheus", config_file=CONFIG)
    record = applied(site, service_action(service, "reload", turns=(UP, through), turned=(SECURED,)))
    assert record.entries[0].turns == (UP, replace(SECURED, password=None))
    assert "a secret" not in (record.folder / "journal.jsonl").read_text()
    record = applied(site, service_action(service, "reload", turns=(through,)))
    assert record.entries[0].turns == (through,)
