"""The other clients of the fault laboratory: alerts, remote write, blackbox modules, promtool and amtool.

Each connects to a secured server with the usual mistakes; its error must be diagnosed by the true cause.
"""

from __future__ import annotations

import json
import re
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.integration.faults import Kit
from tests.integration.loopback_programs import exporter, free_port, running_program
from tests.processes import run_program
from wizard import binaries
from wizard.connections.local import LocalConnection
from wizard.diagnostics import catalogue
from wizard.diagnostics.evidence import Evidence, at_server, of_job
from wizard.diagnostics.questions import Asker
from wizard.model import Service

pytestmark = pytest.mark.matrix
SUITES = ("bookworm", "trixie", "sid")
HERE = LocalConnection("here")
CAUSES = {"http": "plain-http-to-tls", "noca": "server-ca-not-given", "nopw": "password-none"}


@dataclass(frozen=True)
class SecuredServer:
    """A server with TLS and a password, its CA, and its web.yml."""

    suite: str
    port: int
    kit: Kit
    web: Path
    log: list[str]

    def settings(self, name: str) -> dict[str, Any]:
        return self.kit.trusting() if name == "nopw" else {}

    def url(self, name: str) -> str:
        return f"{'http' if name == 'http' else 'https'}://localhost:{self.port}"

    def evidence(self, job: Mapping[str, Any], name: str) -> Evidence:
        config = {
            "scrape_configs": [
                {
                    "job_name": name,
                    "scheme": "http" if name == "http" else "https",
                    "static_configs": [{"targets": [f"localhost:{self.port}"]}],
                    **job,
                }
            ]
        }
        found = of_job(json.dumps(config).encode(), folder="/", address=f"localhost:{self.port}", client=HERE)
        assert found is not None
        return at_server(found, HERE, self.service(), lambda: tuple(self.log))

    def service(self) -> Service:
        return Service(
            host="here",
            component="node_exporter",
            manager="manual",
            unit="node_exporter",
            listen=f"127.0.0.1:{self.port}",
            web_config=str(self.web),
        )


@pytest.fixture(scope="module", params=SUITES)
def secured_server(
    request: pytest.FixtureRequest, cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SecuredServer]:
    folder = tmp_path_factory.mktemp(f"guarded-{request.param}")
    kit = Kit(folder / "pki")
    port = free_port()
    program = binaries.find("node_exporter", cache=cache, suite=request.param).path
    with exporter(program, folder, port, kit.web + kit.users) as log:
        yield SecuredServer(request.param, port, kit, folder / f"web-{port}.yml", log)


def _cause(text: str, evidence: Evidence) -> str:
    found = catalogue.diagnose(text)
    assert found is not None, text
    closest = catalogue.narrow(found, Asker(evidence))
    return closest.fault or f"{closest.id}?"


def test_alerts_and_samples_that_are_rejected(
    secured_server: SecuredServer, cache: Path, tmp_path: Path
) -> None:
    (tmp_path / "rules.yml").write_text(
        "groups: [{name: g, interval: 1s, rules: [{alert: A, expr: vector(1)}]}]"
    )
    managers = [
        {
            "scheme": secured_server.url(name).partition(":")[0],
            "static_configs": [{"targets": [f"localhost:{secured_server.port}"]}],
            "path_prefix": f"/{name}",
            **secured_server.settings(name),
        }
        for name in CAUSES
    ]
    # Prometheus 3 logs each kind of remote write error once a minute, whichever comes first.
    writing = [name for name in CAUSES if name != "http" or secured_server.suite != "sid"]
    writers = [
        {"url": f"{secured_server.url(name)}/{name}", "name": name, **secured_server.settings(name)}
        for name in writing
    ]
    port = free_port()
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(tmp_path / "rules.yml")],
        "alerting": {"alertmanagers": managers},
        "remote_write": writers,
        "scrape_configs": [
            {"job_name": "self", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]},
        ],
    }
    (tmp_path / "prometheus.yml").write_text(json.dumps(config))
    argv = [
        binaries.find("prometheus", cache=cache, suite=secured_server.suite).path,
        f"--config.file={tmp_path}/prometheus.yml",
        f"--storage.tsdb.path={tmp_path}/data",
        f"--web.listen-address=127.0.0.1:{port}",
        "--rules.alert.resend-delay=1s",
        "--storage.remote.flush-deadline=1s",
    ]
    wanted = {("Error sending alert", name) for name in CAUSES} | {("remote", name) for name in writing}
    seen: dict[tuple[str, str], str] = {}
    with running_program(argv, "Server is ready") as lines:
        end = time.monotonic() + 45
        while set(seen) != wanted:
            for what, name in wanted - set(seen):
                line = next(
                    (each for each in lines if what in each and f"/{name}" in each and "err=" in each), ""
                )
                if line:
                    seen[what, name] = line
            assert time.monotonic() < end, f"never seen: {wanted - set(seen)}"
            time.sleep(0.1)
    for (what, name), line in seen.items():
        cause = _cause(line, secured_server.evidence(secured_server.settings(name), name))
        assert cause == CAUSES[name], f"{what}, {name}: {line}"


def test_a_blackbox_module_without_ca_or_password(
    secured_server: SecuredServer, cache: Path, tmp_path: Path
) -> None:
    modules = {
        name: {"prober": "http", "timeout": "2s", "http": secured_server.settings(name)} for name in CAUSES
    }
    (tmp_path / "blackbox.yml").write_text(json.dumps({"modules": modules}))
    port = free_port()
    argv = [
        binaries.find("blackbox_exporter", cache=cache, suite=secured_server.suite).path,
        f"--config.file={tmp_path}/blackbox.yml",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with running_program(argv, "istening"):
        for name, cause in CAUSES.items():
            query = f"module={name}&debug=true&target={secured_server.url(name)}/metrics"
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/probe?{query}", timeout=10) as answer:
                text = answer.read().decode()
            lines = [line for line in text.splitlines() if re.search("Error for HTTP|Invalid HTTP", line)]
            assert lines, text
            assert _cause(lines[0], secured_server.evidence(secured_server.settings(name), name)) == cause, (
                lines
            )


@pytest.mark.parametrize("name", [*CAUSES, "wrongpw"])
def test_promtool_and_amtool_without_the_right_credentials(
    name: str, secured_server: SecuredServer, cache: Path, tmp_path: Path
) -> None:
    client = tmp_path / "client.yml"
    wrong = secured_server.kit.shop.write("wrong", b"not this one")
    settings: dict[str, Any] = {
        "nopw": secured_server.kit.trusting(),
        "wrongpw": secured_server.kit.trusting() | secured_server.kit.login(password_file=wrong),
    }.get(name, {})
    client.write_text(json.dumps(settings))
    url = secured_server.url(name)
    tool = {
        each: binaries.find(each, cache=cache, suite=secured_server.suite).path
        for each in ("promtool", "amtool")
    }
    more = [f"--http.config.file={client}"] if settings else []
    commands = [[tool["amtool"], *more, "alert", "query", f"--alertmanager.url={url}"]]
    if secured_server.suite != "bookworm" or not settings:
        commands.append([tool["promtool"], "query", "instant", *more, url, "up"])
    if secured_server.suite != "bookworm":
        commands.append([tool["promtool"], "check", "healthy", *more, f"--url={url}"])
    for argv in commands:
        ended = run_program(argv, timeout=30)
        text = ended.stdout + ended.stderr
        assert ended.returncode != 0
        cause = CAUSES.get(name, "password-wrong")
        assert _cause(text, secured_server.evidence(settings, name)) == cause, text


def test_a_valid_certificate_on_a_host_with_a_wrong_clock(
    secured_server: SecuredServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (
        "x509: certificate has expired or is not yet valid: current time 2031-01-01T00:00:00Z is after 2027"
    )
    evidence = secured_server.evidence(secured_server.kit.trusting(), "clock")
    # The clock is right: no diagnosis of the clock is made.
    assert _cause(text, evidence) == "x509-time?"
    program = tmp_path / "date"
    program.write_text("#!/bin/sh\necho 1925000000\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert _cause(text, evidence) == "client-clock"


TARGETS = "  static_configs:\n  - targets: ['localhost:9100']\n"
JOB = "scrape_configs:\n- job_name: a\n"
CONFIGS = {
    "config-tls-in-targets": JOB + TARGETS + "    tls_config:\n      ca_file: x\n",
    "config-tls-too-high": "tls_config:\n  ca_file: x\n",
    "config-web-block": "tls_server_config:\n  cert_file: x\n" + JOB + TARGETS,
    "config-field-unknown": JOB + "  tls_config:\n    static_configs:\n    - targets: [a]\n",
    "config-user-key": JOB + "  basic_auth:\n    user: x\n" + TARGETS,
    "config-two-passwords": JOB + "  basic_auth: {username: a, password: b, password_file: c}\n" + TARGETS,
    "config-two-authorizations": JOB
    + "  basic_auth: {username: a, password: b}\n  authorization: {credentials: x}\n"
    + TARGETS,
    "config-authorization-basic": JOB + "  authorization: {type: basic, credentials: x}\n" + TARGETS,
    "config-oauth-client-id": JOB + "  oauth2: {token_url: 'http://x'}\n" + TARGETS,
    "config-target-scheme": JOB + TARGETS.replace("localhost", "https://localhost"),
    "config-target-path": JOB + TARGETS.replace("9100", "9100/metrics"),
    "config-job-twice": JOB + TARGETS + "- job_name: a\n" + TARGETS,
    "config-timeout": JOB + "  scrape_interval: 1s\n  scrape_timeout: 5s\n" + TARGETS,
    "config-duplicate": JOB + "  basic_auth: {username: a}\n  basic_auth: {username: a}\n" + TARGETS,
    "config-client-key-without": JOB + "  tls_config: {cert_file: /etc/hostname}\n" + TARGETS,
    "config-client-cert-missing": JOB
    + "  tls_config: {cert_file: /no/a.crt, key_file: /no/a.key}\n"
    + TARGETS,
    "config-duration": JOB + "  scrape_interval: 15\n" + TARGETS,
    "config-shape": "scrape_configs:\n  job_name: a\n" + TARGETS,
    "config-tls-version": JOB + "  tls_config: {min_version: TLS1.2}\n" + TARGETS,
    "config-job-name": "scrape_configs:\n- scheme: https\n" + TARGETS,
    "config-yaml": JOB + "\tscheme: https\n" + TARGETS,
}


@pytest.mark.parametrize("suite", SUITES)
def test_the_error_of_promtool_for_each_mistake_in_prometheus_yml(
    suite: str, cache: Path, tmp_path: Path
) -> None:
    promtool = binaries.find("promtool", cache=cache, suite=suite).path
    found = {}
    for name, content in CONFIGS.items():
        (tmp_path / f"{name}.yml").write_text(content)
        ended = run_program([promtool, "check", "config", str(tmp_path / f"{name}.yml")], timeout=30)
        assert ended.returncode != 0, name
        diagnosis = catalogue.diagnose(ended.stdout + ended.stderr)
        found[name] = diagnosis.id if diagnosis else ended.stderr
    assert found == {name: name for name in CONFIGS}
