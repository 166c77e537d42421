"""Other clients of a secured server, run as the plan says: promtool, amtool, pushes, Grafana's files."""

from __future__ import annotations

import os
import posixpath
import shlex
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.integration.loopback_programs import free_port, running_program
from tests.integration.snapshot import Snapshot, differences, snapshot
from tests.integration.test_cluster import Instance
from tests.processes import run_program
from wizard import binaries
from wizard import practice as practice_stack
from wizard.certificates import issue
from wizard.config_files import alertmanager_cluster, grafana
from wizard.engine import Engine
from wizard.errors import ConfigError
from wizard.model import Answers, Facts, FileState, MakeFolder, PathInfo, Plan, Stack, WriteFile
from wizard.planner import wanted_files
from wizard.practice import WHOLE, PracticeStack
from wizard.workspace import Workspace

LEVELS: dict[str, tuple[Any, ...]] = {
    "password": ("tls", "basic_auth"),
    "both": ("tls", "basic_auth", "client_cert"),
}

# Data sources written by hand: comments, a second source, a comment at the end.
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

IN_CLEAR = """\
datasources:
- name: M
  url: http://{prometheus}
  basicAuth: true
  basicAuthUser: old
  basicAuthPassword: canary-in-clear
"""

# A configuration in another style, for a server that is secured.
IN_FILES = """\
datasources:
- {{name: F, url: 'https://{prometheus}', basicAuth: true, basicAuthUser: prometheus,
   jsonData: {{tlsAuthWithCACert: true}},
   secureJsonData: {{tlsCACert: '$__file{{%(root)s/ca/ca.crt}}',
                    basicAuthPassword: '$__file{{%(root)s/users/prometheus.password}}'}}}}
"""
INLINE = """\
datasources:
- name: I
  type: prometheus
  url: https://{prometheus}
  basicAuth: true
  basicAuthUser: prometheus
  jsonData: {{tlsAuthWithCACert: true}}
  secureJsonData:
    basicAuthPassword: '%(password)s'
    tlsCACert: |
%(ca)s
"""
ELSEWHERE = """\
datasources:
- name: E
  url: https://{prometheus}
  basicAuth: true
  basicAuthUser: prometheus
  jsonData: {{tlsAuthWithCACert: true}}
  secureJsonData: {{tlsCACert: $PROM_CA, basicAuthPassword: $PROM_PASSWORD}}
"""
BY_HAND = {
    "broken.yml": "datasources: [{{name: [",
    "browser.yml": "datasources:\n- {{name: B, url: 'http://{prometheus}', access: direct}}\n",
    "oauth.yaml": "datasources:\n- {{name: O, url: 'http://{prometheus}', jsonData: {{oauthPassThru: true}}}}\n",
}


class PracticeWithClients:
    """A practice stack of all components with an engine."""

    def __init__(self, practice: PracticeStack, cache: Path) -> None:
        self.practice, self.cache = practice, cache
        self.engine = Engine(Workspace(Path(practice.folder).parent))

    @property
    def root(self) -> Path:
        return self.engine.workspace.root

    def stack(self, *protect: Any, **certificates: Any) -> Stack:
        """Returns a stack with Prometheus, Alertmanager and Pushgateway at these levels; the rest is unchanged."""
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
        """Writes a provisioning file of a Grafana on that host."""
        folder = Path(self.practice.host(host).folder) / "etc/grafana/provisioning/datasources"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / name
        path.write_text(
            text.format(prometheus=self.listen("prometheus"), alertmanager=self.listen("alertmanager"))
        )
        return path

    def applied(self, stack: Stack) -> Plan:
        """Applies and verifies the plan, and returns it; a second one has no steps."""
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
        """Runs a command as printed, with this Python and the programs of a suite."""
        found = [binaries.find(name, cache=self.cache, suite=suite).path for name in ("promtool", "amtool")]
        folders = [str(Path(sys.executable).parent), *(str(Path(each).parent) for each in found)]
        return run_program(
            ["sh", "-c", command], env={**os.environ, "PATH": os.pathsep.join([*folders, os.environ["PATH"]])}
        )


@pytest.fixture
def practice_bed(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[PracticeWithClients]:
    monkeypatch.setenv("FIRESCREEN_CACHE", str(cache))
    workspace = tmp_path / "workspace"
    try:
        yield PracticeWithClients(
            practice_stack.up(workspace, cache, suite="bookworm", components=WHOLE), cache
        )
    finally:
        practice_stack.down(workspace, remove=True)


def commands(plan: Plan) -> dict[str, str]:
    """Returns the command of each hint, by component."""
    return {
        hint.partition(": ")[0].rpartition("/")[2].split(" ")[0]: hint.partition(": ")[2]
        for hint in plan.hints
    }


def without(command: str, *options: str) -> str:
    """Returns a command without these options and their values."""
    words = shlex.split(command)
    for option in options:
        place = words.index(option)
        del words[place : place + 2]
    return shlex.join(words)


def prints(practice_bed: PracticeWithClients, command: str, suite: str, wanted: str) -> bool:
    """Returns whether a command succeeds and prints this text within some seconds, e.g. after a first scrape
    or alert.
    """
    deadline = time.monotonic() + 60
    while True:
        ended = practice_bed.run(command, suite)
        assert ended.returncode == 0, ended.stderr
        if wanted in ended.stdout or time.monotonic() > deadline:
            return wanted in ended.stdout
        time.sleep(0.2)


def check_commands(practice_bed: PracticeWithClients, plan: Plan, *, certificate: bool) -> None:
    """Runs the commands of the summary and the warnings as printed, and each without one of its parts."""
    printed = commands(plan)
    assert sorted(printed) == ["alertmanager", "prometheus", "pushgateway"]
    mended = [each.remediation for each in plan.warnings if each.id == "others-ask-it-too"]
    assert len(mended) == 3
    assert all(any(mend.endswith(command) for mend in mended) for command in printed.values())

    # bookworm's promtool does not have the option yet, and the text says so.
    assert any("with a promtool of 2.43 or newer" in hint for hint in plan.hints)
    for suite in ("trixie", "sid"):
        assert prints(practice_bed, printed["prometheus"], suite, 'job="node"')
    assert prints(practice_bed, printed["alertmanager"], "bookworm", "Watchdog")
    assert practice_bed.run(printed["alertmanager"], "sid").returncode == 0
    pushed = practice_bed.run(printed["pushgateway"], "sid")
    assert (pushed.returncode, pushed.stdout, pushed.stderr) == (0, "", "")

    for name in ("prometheus", "alertmanager"):
        path = practice_bed.root / "tools" / f"{name}-{name}.yml"
        assert path.stat().st_mode & 0o777 == 0o600
        content = path.read_text()
        assert ("cert_file" in content, "basic_auth" in content) == (certificate, True)
        path.write_text("{}\n")
        assert practice_bed.run(printed[name], "trixie").returncode != 0
        path.write_text(content)
    refused = practice_bed.run(without(printed["pushgateway"], "--user", "--password-file"), "sid")
    assert "(401)" in refused.stderr
    if certificate:
        refused = practice_bed.run(without(printed["pushgateway"], "--cert", "--key"), "sid")
        assert "it demands a client certificate" in refused.stderr


def grafana_warnings(plan: Plan) -> dict[str, str]:
    """Returns the texts of the warnings on Grafana, by id."""
    return {
        each.id: f"{each.what}: {each.remediation}" for each in plan.warnings if each.component == "grafana"
    }


def resolve_settings(source: grafana.DataSource) -> dict[str, str]:
    """Returns the settings, with the content of the file in place of `$__file{…}`, as Grafana reads them."""
    return {
        key: Path(text[8:-1]).read_text().strip() if text.startswith("$__file{") else text
        for key, text in source.says.items()
    }


def grafana_gets(source: grafana.DataSource, path: str, folder: Path) -> str:
    """Returns the HTTP status, or curl's error, of a request with exactly the settings of a data source."""
    resolved = resolve_settings(source)
    command = [
        "curl",
        "-sS",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
        "--max-time",
        "10",
        source.url.rstrip("/") + path,
    ]
    for key, option in (("tlsCACert", "--cacert"), ("tlsClientCert", "--cert"), ("tlsClientKey", "--key")):
        if key in resolved:
            (folder / key).write_text(resolved[key] + "\n")
            command += [option, str(folder / key)]
    if "basicAuthUser" in resolved:
        command += ["-u", f"{resolved['basicAuthUser']}:{resolved['basicAuthPassword']}"]
    ended = run_program(command, timeout=30)
    return ended.stdout if ended.returncode == 0 else ended.stderr


@pytest.mark.matrix
def test_clients_with_a_password(practice_bed: PracticeWithClients, tmp_path: Path) -> None:
    file = practice_bed.source("prometheus", IN_CLEAR)
    before = snapshot(practice_bed.root)
    plan = practice_bed.applied(practice_bed.stack(*LEVELS["password"]))
    check_commands(practice_bed, plan, certificate=False)

    # A password in plain text is replaced, and never shown.
    assert "canary" not in file.read_text()
    step = next(step for step in plan.steps if step.id == "grafana:prometheus")
    shown = "".join(text for change in step.changes for text in (change.diff(), *change.commands()))
    assert "canary" not in shown
    assert "basicAuthUser: prometheus" in shown
    assert grafana_gets(grafana.datasources(file.read_bytes())[0], "/-/ready", tmp_path) == "200"

    check_manual_commands(practice_bed, plan)
    check_existing_sources(practice_bed)
    practice_bed.undone(before)
    assert "canary" in file.read_text()


@pytest.mark.matrix
def test_clients_with_a_password_and_pinned_certificates_that_are_renewed(
    practice_bed: PracticeWithClients, tmp_path: Path
) -> None:
    file = practice_bed.source("prometheus", SOURCES)
    first = file.read_text()
    before = snapshot(practice_bed.root)
    stack = practice_bed.stack(*LEVELS["both"], issued_by="self-signed")
    plan = practice_bed.applied(stack)
    check_commands(practice_bed, plan, certificate=True)
    step = next(step for step in plan.steps if step.id == "grafana:prometheus")
    assert "systemctl restart grafana-server" in grafana_warnings(plan)["grafana-restart"]
    assert any(
        "shows nothing from Metrics and Alerts until you restart it" in gap.message for gap in plan.gaps
    )
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
    kept = ("# Grafana's own", "# ours", "httpMethod: POST", "url: http://127.0.0.99:9090", "# end")
    assert all(each in text for each in kept)
    password = (practice_bed.root / "users/prometheus.password").read_text()
    assert password not in text
    assert password not in "".join(change.diff() for change in step.changes)
    check_sources(file, tmp_path)

    renewal = practice_bed.engine.plan(stack, Answers(renew=frozenset({"certificates", "passwords"})))
    assert "grafana-restart" in grafana_warnings(renewal)
    outcome = practice_bed.engine.apply(renewal)
    assert outcome.error is None, outcome.error
    assert password != (practice_bed.root / "users/prometheus.password").read_text()
    check_sources(file, tmp_path)
    assert [change.title() for change in practice_bed.engine.plan(stack).changes] == []

    assert practice_bed.engine.undo().error is None
    check_sources(file, tmp_path)
    practice_bed.undone(before)
    assert file.read_text() == first


def check_sources(file: Path, folder: Path) -> None:
    """Checks that both data sources can log in, and cannot without one of their settings."""
    metrics, alerts, _ = grafana.datasources(file.read_bytes())
    assert grafana_gets(metrics, "/api/v1/query?query=up", folder) == "200"
    assert grafana_gets(alerts, "/api/v2/status", folder) == "200"
    for missing in ("basicAuthUser", "tlsCACert", "tlsClientCert"):
        less = replace(metrics, says={key: text for key, text in metrics.says.items() if key != missing})
        assert grafana_gets(less, "/-/ready", folder) != "200"


def check_manual_commands(practice_bed: PracticeWithClients, plan: Plan) -> None:
    """Checks that the manual commands of the two steps write the same files."""
    changes = [
        change for step in plan.steps if step.id in ("tools", "grafana:prometheus") for change in step.changes
    ]
    written = [change for change in changes if isinstance(change, WriteFile)]
    assert len(written) == 5
    for change in written:
        path = Path(change.path)
        assert change.after is not None
        # The password in plain text cannot be typed: the diff shows what to do.
        if "as the diff shows" in change.commands()[0]:
            continue
        path.unlink()
        for command in change.commands():
            ended = practice_bed.run(command, "sid")
            assert ended.returncode == 0, ended.stderr
        assert path.read_bytes() == change.after.content
        assert path.stat().st_mode & 0o777 == change.after.mode


def check_existing_sources(practice_bed: PracticeWithClients) -> None:
    """Checks that a working source is kept, and that a source that cannot be edited is reported without an error."""
    stack = practice_bed.stack(*LEVELS["password"])
    given = {
        "root": str(practice_bed.root),
        "ca": textwrap.indent((practice_bed.root / "ca/ca.crt").read_text(), " " * 6),
        "password": (practice_bed.root / "users/prometheus.password").read_text(),
    }
    sources = {"srv1": IN_FILES, "alertmanager": INLINE, "blackbox": ELSEWHERE}
    added = [practice_bed.source(host, text % given) for host, text in sources.items()]
    assert [change.title() for change in practice_bed.engine.plan(stack).changes] == []

    # It has another password, which the user cannot have meant.
    wrong = added[1].read_text().replace(given["password"], "something-else")
    added[1].write_text(wrong)
    assert [step.id for step in practice_bed.engine.plan(stack).steps] == ["grafana:alertmanager"]
    added[1].unlink()

    added += [practice_bed.source("pushgateway", text, name) for name, text in BY_HAND.items()]
    plan = practice_bed.engine.plan(stack)
    assert plan.changes == ()
    warnings = " ".join(each.what for each in plan.warnings if each.id == "grafana-by-hand")
    assert "broken.yml cannot be read" in warnings
    assert "data source B" in warnings
    assert "browser of the reader" in warnings
    assert "oauthPassThru" in warnings
    for path in added:
        shutil.rmtree(path.parents[2], ignore_errors=True)


def test_a_packaged_grafana_gets_files_of_its_group_and_a_valid_server_name(
    practice: PracticeStack, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRESCREEN_CACHE", str(cache))
    engine = Engine(Workspace(Path(practice.folder).parent))
    stack = practice_stack.stack(engine.workspace.root)
    stack = replace(
        stack, components=tuple(replace(each, protect=LEVELS["both"]) for each in stack.components)
    )
    facts = engine.inspect(stack)
    port = practice.host("prometheus").port
    path = "/etc/grafana/provisioning/datasources/prometheus.yaml"
    content = f"datasources:\n- name: P\n  type: prometheus\n  url: http://localhost:{port}\n"

    def packaged(root: bool) -> Facts:
        known = facts.hosts["prometheus"]
        (service,) = known.services
        # A packaged Prometheus listens on all addresses: only then localhost reaches it.
        everywhere = tuple(each for each in service.arguments if "web.listen-address" not in each)
        here = replace(
            known,
            spec=replace(known.spec, connect="local"),
            root=root,
            services=(replace(service, arguments=everywhere),),
            files={**known.files, path: FileState(content.encode(), 0o640, "root", "grafana")},
            folders={
                **known.folders,
                posixpath.dirname(path): PathInfo("folder", 0o755, "root", "grafana", 0),
            },
        )
        return replace(facts, hosts={**facts.hosts, "prometheus": here})

    assert path.replace("prometheus.yaml", "*.y*ml") in wanted_files(stack, packaged(True))["prometheus"]
    plan = engine.plan(stack, facts=packaged(True))
    step = next(step for step in plan.steps if step.id == "grafana:prometheus")
    made = {change.path: change for change in step.changes}
    home = "/etc/grafana/firescreen"
    assert sorted(made) == sorted(
        [
            home,
            path,
            *(f"{home}/{name}" for name in ("firescreen-ca.crt", "grafana-prometheus.password")),
            *(f"{home}/grafana-client.{end}" for end in ("crt", "key")),
        ]
    )
    edit = made.pop(path)
    assert isinstance(edit, WriteFile)
    assert edit.after is not None
    for change in made.values():
        state = change.after if isinstance(change, WriteFile) else change
        assert isinstance(state, FileState | MakeFolder)
        assert (state.owner, state.group) == ("root", "grafana")
        assert state.mode in (0o750, 0o640, 0o644)
    # Nothing scrapes Prometheus as localhost, so its certificate has other names.
    shown = next(change for change in plan.changes if change.path.endswith("/prometheus.crt"))
    assert isinstance(shown, WriteFile)
    assert shown.after is not None
    names = issue.summary(shown.after.content).names
    assert "localhost" not in names
    source = grafana.datasources(edit.after.content)[0]
    assert source.url == f"https://localhost:{port}"
    assert source.says["serverName"] in names
    assert not [
        step for step in engine.plan(stack, facts=packaged(False)).steps if step.id.startswith("grafana:")
    ]


# -- other kinds of authentication of a job


@pytest.mark.parametrize(
    "other",
    [
        "authorization: {credentials_file: /etc/token}",
        "oauth2: {client_id: a, client_secret_file: /etc/s, token_url: 'https://idp.lab/t'}",
    ],
)
def test_another_kind_of_authentication_of_a_job_is_kept_with_tls_and_excludes_a_password(
    practice: PracticeStack, cache: Path, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    monkeypatch.setenv("FIRESCREEN_CACHE", str(cache))
    engine = Engine(Workspace(Path(practice.folder).parent))
    stack = practice_stack.stack(engine.workspace.root)
    config = next((Path(practice.folder) / "prometheus/etc").rglob("prometheus.yml"))
    text = config.read_text()
    assert text.count("job_name: node\n") == 1
    config.write_text(text.replace("job_name: node\n", f"job_name: node\n    {other}\n"))

    def protected(*levels: Any) -> Stack:
        components = tuple(
            replace(each, protect=levels if each.name == "node_exporter" else ()) for each in stack.components
        )
        return replace(stack, components=components)

    plan = engine.plan(protected("tls"))
    job = next(step for step in plan.steps if step.id == "job:prometheus").changes[0]
    assert isinstance(job, WriteFile)
    assert job.after is not None
    planned = job.after.content.decode()
    assert f"    {other}\n" in planned
    assert "scheme: https" in planned
    assert "basic_auth" not in planned
    kind = other.partition(":")[0]
    with pytest.raises(ConfigError, match=f"job node authenticates with {kind}") as caught:
        engine.plan(protected("tls", "basic_auth"))
    assert f"Remove {kind} there" in caught.value.todo


# -- Alertmanagers in a cluster


@pytest.mark.matrix
def test_real_alertmanagers_form_the_planned_cluster(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRESCREEN_CACHE", str(cache))
    workspace = tmp_path / "workspace"
    try:
        practice = practice_stack.up(workspace, cache, suite="bookworm", components=["alertmanager"])
        engine = Engine(Workspace(workspace))
        stack = practice_stack.stack(workspace)
        stack = replace(
            stack,
            components=tuple(
                replace(each, protect=("tls",), cluster_tls=True)
                if each.name == "alertmanager"
                else replace(each, protect=())
                for each in stack.components
            ),
        )
        plan = engine.plan(stack)
    finally:
        practice_stack.down(workspace)
    step = next(step for step in plan.steps if step.id == "cluster:alertmanager/alertmanager")
    for change in step.changes:
        assert isinstance(change, WriteFile)
        assert change.after is not None
        Path(change.path).write_bytes(change.after.content)
    config = next(change.path for change in step.changes if change.path.endswith(".yml"))
    assert (
        alertmanager_cluster.check(Path(config).read_bytes(), read=lambda path: Path(path).read_bytes()) == ()
    )

    host = practice.host("alertmanager")
    flag = next(step for step in plan.steps if step.id == "flag:alertmanager/alertmanager").changes[0]
    assert isinstance(flag, WriteFile)
    assert flag.after is not None
    assert f"--cluster.tls-config={config}" in flag.after.content.decode()
    for suite in ("bookworm", "sid"):
        program = binaries.find("alertmanager", cache=cache, suite=suite).path
        with ExitStack() as running_ones:
            peers: list[Instance] = []
            for tls in (config, config, ""):
                instance = Instance(free_port(), free_port())
                argv = [
                    program,
                    f"--config.file={host.folder}/etc/alertmanager/alertmanager.yml",
                    f"--storage.path={tmp_path}/{suite}-{instance.web}",
                    f"--web.listen-address=127.0.0.1:{instance.web}",
                    f"--cluster.listen-address={host.address}:{instance.gossip}",
                    "--cluster.settle-timeout=1s",
                    "--cluster.tcp-timeout=500ms",
                    "--cluster.reconnect-interval=300ms",
                    *(f"--cluster.peer={host.address}:{peer.gossip}" for peer in peers[:1]),
                    *([f"--cluster.tls-config={tls}"] if tls else []),
                ]
                running_ones.enter_context(running_program(argv, "TLS is"))
                peers.append(instance)
            first, second, plain = peers
            assert (first.wait_for_peers(2), second.wait_for_peers(2)) == (2, 2)
            assert plain.peers() == 1
