"""Whoever else asks a secured server, run for real as the plan says: promtool, amtool, a push, Grafana's files."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.integration.snapshot import Snapshot, differences, snapshot
from tests.integration.test_cluster import _alertmanager
from wizard import binaries, pki
from wizard import practice as practice_stack
from wizard.configs import cluster, grafana
from wizard.engine import Engine
from wizard.errors import ConfigError
from wizard.model import Answers, Plan, Stack, WriteFile
from wizard.practice import WHOLE, PracticeStack
from wizard.workspace import Workspace

# A data source by hand: comments, another one beside it, a remark at the end.
SOURCES = """\
# Grafana's own sources
apiVersion: 1
datasources:
  - name: Metrics   # ours
    type: prometheus
    access: proxy
    url: http://{prometheus}
    jsonData:
      httpMethod: POST
  - name: Alerts
    type: alertmanager
    url: 'http://{alertmanager}/'
  - name: Elsewhere
    type: prometheus
    url: http://127.0.0.99:9090
# end
"""


class Whole:
    """A whole practice stack with an engine."""

    def __init__(self, practice: PracticeStack, cache: Path) -> None:
        self.practice, self.cache = practice, cache
        self.engine = Engine(Workspace(Path(practice.folder).parent))

    @property
    def root(self) -> Path:
        return self.engine.workspace.root

    def stack(self, *protect: Any, **certificates: Any) -> Stack:
        """Prometheus, Alertmanager and Pushgateway so protected; the rest as it is."""
        found = practice_stack.stack(self.root)
        asked = ("prometheus", "alertmanager", "pushgateway")
        components = tuple(
            replace(each, protect=protect if each.name in asked else ()) for each in found.components
        )
        users = tuple(replace(user, cost=4) for user in found.users)
        return replace(
            found,
            components=components,
            users=users,
            certificates=replace(found.certificates, **certificates),
        )

    def listen(self, name: str) -> str:
        return self.practice.host(name).listen

    def source(self, host: str, text: str, name: str = "lab.yaml") -> Path:
        """A provisioning file of a Grafana on that host."""
        folder = Path(self.practice.host(host).folder) / "etc/grafana/provisioning/datasources"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / name
        path.write_text(
            text.format(prometheus=self.listen("prometheus"), alertmanager=self.listen("alertmanager"))
        )
        return path

    def applied(self, stack: Stack) -> Plan:
        """The plan that was applied and proven; a second one is empty."""
        plan = self.engine.plan(stack)
        outcome = self.engine.apply(plan)
        assert outcome.error is None, outcome.error
        assert outcome.state == "proven"
        for hint in plan.hints:
            assert hint in outcome.summary
        again = self.engine.plan(stack)
        assert [change.title() for change in again.changes] == []
        assert again.hints == plan.hints
        assert not [each for each in again.warnings if each.component == "grafana"]
        return plan

    def undone(self, before: Snapshot) -> None:
        assert self.engine.undo().error is None
        assert differences(before, snapshot(self.root)) == []

    def run(self, command: str, suite: str) -> subprocess.CompletedProcess[str]:
        """A command as it is printed, with this Python and the programs of a suite."""
        found = [
            binaries.find(name, cache=self.cache, suite=suite).path for name in ("promtool", "amtool")
        ]
        folders = [str(Path(sys.executable).parent), *(str(Path(each).parent) for each in found)]
        return subprocess.run(
            ["sh", "-c", command],
            env={**os.environ, "PATH": os.pathsep.join([*folders, os.environ["PATH"]])},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def whole(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Whole]:
    monkeypatch.setenv("FIRESCREEN_CACHE", str(cache))
    workspace = tmp_path / "workspace"
    try:
        yield Whole(practice_stack.up(workspace, cache, suite="bookworm", components=WHOLE), cache)
    finally:
        practice_stack.down(workspace, remove=True)


def commands(plan: Plan) -> dict[str, str]:
    """The command of each hint, by component."""
    return {hint.partition(": ")[0].rpartition("/")[2].split(" ")[0]: hint.partition(": ")[2] for hint in plan.hints}


def without(command: str, *options: str) -> str:
    """A command without these options and their values."""
    words = shlex.split(command)
    for option in options:
        place = words.index(option)
        del words[place : place + 2]
    return shlex.join(words)


def alarmed(whole: Whole, command: str) -> str:
    """What amtool says once the alert that always fires has come to the Alertmanager."""
    deadline = time.monotonic() + 30
    while True:
        ended = whole.run(command, "bookworm")
        assert ended.returncode == 0, ended.stderr
        if len(ended.stdout.splitlines()) > 1 or time.monotonic() > deadline:
            return ended.stdout
        time.sleep(0.2)


@pytest.mark.parametrize("level", [("tls",), ("tls", "basic_auth"), ("tls", "basic_auth", "client_cert")])
def test_the_commands_of_the_summary_get_in_as_printed(whole: Whole, level: tuple[str, ...]) -> None:
    before = snapshot(whole.root)
    plan = whole.applied(whole.stack(*level))
    said = commands(plan)
    assert sorted(said) == ["alertmanager", "prometheus", "pushgateway"]
    mended = [each.mend for each in plan.warnings if each.id == "others-ask-it-too"]
    assert len(mended) == 3
    assert all(any(mend.endswith(command) for mend in mended) for command in said.values())

    # bookworm's promtool does not know the option yet, and the sentence says so.
    assert any("with a promtool of 2.43 or newer" in hint for hint in plan.hints)
    for suite in ("trixie", "sid"):
        ended = whole.run(said["prometheus"], suite)
        assert ended.returncode == 0, ended.stderr
        assert 'job="node"' in ended.stdout
    assert "Watchdog" in alarmed(whole, said["alertmanager"])
    assert whole.run(said["alertmanager"], "sid").returncode == 0
    pushed = whole.run(said["pushgateway"], "sid")
    assert (pushed.returncode, pushed.stdout, pushed.stderr) == (0, "", "")

    # What the files and options say is needed: without it each is refused.
    for name, file in (("prometheus", "prometheus-prometheus"), ("alertmanager", "alertmanager-alertmanager")):
        path = whole.root / "tools" / f"{file}.yml"
        assert path.stat().st_mode & 0o777 == 0o600
        content = path.read_text()
        assert ("cert_file" in content, "basic_auth" in content) == ("client_cert" in level, "basic_auth" in level)
        path.write_text("{}\n")
        assert whole.run(said[name], "trixie").returncode != 0
        path.write_text(content)
    if "basic_auth" in level:
        refused = whole.run(without(said["pushgateway"], "--user", "--password-file"), "sid")
        assert "(401)" in refused.stderr
    if "client_cert" in level:
        refused = whole.run(without(said["pushgateway"], "--cert", "--key"), "sid")
        assert "it demands a client certificate" in refused.stderr
    whole.undone(before)


# -- Grafana ------------------------------------------------------------------------------------------------


def told(plan: Plan) -> dict[str, str]:
    """What the warnings say of Grafana, by id."""
    return {each.id: f"{each.what}: {each.mend}" for each in plan.warnings if each.component == "grafana"}


def resolved(source: grafana.DataSource) -> dict[str, str]:
    """Its settings, with the text of the file in place of `$__file{…}`, as Grafana reads them."""
    return {
        key: Path(text[8:-1]).read_text().strip() if text.startswith("$__file{") else text
        for key, text in source.says.items()
    }


def asked_as_grafana_does(source: grafana.DataSource, path: str, folder: Path) -> str:
    """The HTTP status, or curl's reason, of a request with all that a data source says and no more."""
    says = resolved(source)
    command = ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "10", source.url.rstrip("/") + path]
    for key, option in (("tlsCACert", "--cacert"), ("tlsClientCert", "--cert"), ("tlsClientKey", "--key")):
        if key in says:
            (folder / key).write_text(says[key] + "\n")
            command += [option, str(folder / key)]
    if "basicAuthUser" in says:
        command += ["-u", f"{says['basicAuthUser']}:{says['basicAuthPassword']}"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return ended.stdout if ended.returncode == 0 else ended.stderr


@pytest.mark.parametrize("issued_by", ["ca", "self-signed"])
def test_grafanas_data_sources_ask_as_the_servers_want_and_go_back(
    whole: Whole, issued_by: str, tmp_path: Path
) -> None:
    file = whole.source("prometheus", SOURCES)
    first = file.read_text()
    before = snapshot(whole.root)
    stack = whole.stack("tls", "basic_auth", "client_cert", issued_by=issued_by)
    plan = whole.applied(stack)
    step = next(step for step in plan.steps if step.id == "grafana:prometheus")
    assert file.read_text() == next(
        change.after.content.decode()
        for change in step.changes
        if isinstance(change, WriteFile) and change.path == str(file) and change.after
    )
    assert "systemctl restart grafana-server" in told(plan)["grafana-restart"]
    assert any("shows nothing from Metrics and Alerts until you restart it" in gap for gap in plan.gaps)
    assert {arrow.how for arrow in plan.arrows if arrow.client == "grafana"} == {
        "data source Metrics",
        "data source Alerts",
    }
    copies = file.parents[2] / "firescreen"
    assert copies.stat().st_mode & 0o777 == 0o750
    rights = {each.name: each.stat().st_mode & 0o777 for each in copies.iterdir()}
    assert {"grafana-prometheus.password", "grafana-client.key", "grafana-client.crt"} <= rights.keys()
    assert all(mode & 0o007 == 0 for name, mode in rights.items() if not name.endswith("client.crt"))
    text = file.read_text()
    for kept in ("# Grafana's own sources", "# ours", "httpMethod: POST", "url: http://127.0.0.99:9090", "# end"):
        assert kept in text
    password = (whole.root / "users/prometheus.password").read_text()
    assert password not in text
    assert password not in "".join(change.diff() for change in step.changes)

    metrics, alerts, _ = grafana.datasources(file.read_bytes())
    assert asked_as_grafana_does(metrics, "/api/v1/query?query=up", tmp_path) == "200"
    assert asked_as_grafana_does(alerts, "/api/v2/status", tmp_path) == "200"
    for missing in ("basicAuthUser", "tlsCACert", "tlsClientCert"):
        less = replace(metrics, says={key: text for key, text in metrics.says.items() if key != missing})
        assert asked_as_grafana_does(less, "/-/ready", tmp_path) != "200"

    whole.undone(before)
    assert file.read_text() == first


def test_a_data_source_that_serves_stays_and_a_broken_or_foreign_one_stops_nothing(whole: Whole) -> None:
    stack = whole.stack("tls", "basic_auth")
    whole.applied(stack)
    # By hand, in another style: the CA inline, the password from Grafana's environment.
    ca = (whole.root / "ca/ca.crt").read_text()
    inline = "".join(f"        {line}\n" for line in ca.splitlines())
    mine = (
        "datasources:\n- {{name: M, type: prometheus, url: 'https://{prometheus}', basicAuth: true,\n"
        "   basicAuthUser: prometheus, jsonData: {{tlsAuthWithCACert: true}},\n"
        "   secureJsonData: {{tlsCACert: $__file{{/CA}}, basicAuthPassword: $__file{{/PW}}}}}}\n"
    )
    mine = mine.replace("/CA", f"{whole.root}/ca/ca.crt").replace("/PW", f"{whole.root}/users/prometheus.password")
    whole.source("srv1", mine)
    whole.source(
        "alertmanager",
        "datasources:\n- name: I\n  type: prometheus\n  url: https://{prometheus}\n  basicAuth: true\n"
        "  basicAuthUser: prometheus\n  jsonData: {{tlsAuthWithCACert: true}}\n"
        f"  secureJsonData:\n    basicAuthPassword: '{(whole.root / 'users/prometheus.password').read_text()}'\n"
        f"    tlsCACert: |\n{inline}",
    )
    assert [change.title() for change in whole.engine.plan(stack).changes] == []

    whole.source("pushgateway", "datasources: [{{name: [", "broken.yml")
    whole.source(
        "pushgateway",
        "datasources:\n- {{name: B, url: 'http://{prometheus}', access: direct}}\n",
        "browser.yml",
    )
    whole.source(
        "pushgateway",
        "datasources:\n- {{name: O, url: 'http://{prometheus}', jsonData: {{oauthPassThru: true}}}}\n",
        "oauth.yaml",
    )
    plan = whole.engine.plan(stack)
    assert plan.changes == ()
    said = " ".join(each.what for each in plan.warnings if each.id == "grafana-by-hand")
    assert "broken.yml cannot be read" in said
    assert "data source B" in said
    assert "reader's browser" in said
    assert "oauthPassThru" in said


def test_a_password_in_clear_gives_way_and_is_shown_nowhere(whole: Whole) -> None:
    file = whole.source(
        "prometheus",
        "datasources:\n- name: M\n  url: http://{prometheus}\n  basicAuth: true\n  basicAuthUser: old\n"
        "  basicAuthPassword: canary-in-clear\n",
    )
    before = snapshot(whole.root)
    plan = whole.applied(whole.stack("tls", "basic_auth"))
    assert "canary" not in file.read_text()
    step = next(step for step in plan.steps if step.id == "grafana:prometheus")
    shown = "".join(text for change in step.changes for text in (change.diff(), *change.commands()))
    assert "canary" not in shown
    assert "basicAuthUser: prometheus" in shown
    whole.undone(before)


def test_a_renewed_ca_and_certificate_reach_grafana(whole: Whole, tmp_path: Path) -> None:
    file = whole.source("prometheus", SOURCES)
    stack = whole.stack("tls", "client_cert")
    whole.applied(stack)
    renewal = replace(Answers(), renew=frozenset({"ca", "passwords"}))
    plan = whole.engine.plan(stack, renewal)
    assert any(step.id == "grafana:prometheus" for step in plan.steps)
    assert "grafana-restart" in told(plan)
    outcome = whole.engine.apply(plan)
    assert outcome.error is None, outcome.error
    metrics = grafana.datasources(file.read_bytes())[0]
    assert asked_as_grafana_does(metrics, "/-/ready", tmp_path) == "200"
    assert whole.engine.plan(stack).changes == ()
