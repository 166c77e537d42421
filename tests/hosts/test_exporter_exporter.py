"""exporter_exporter as the only open port of a host: jobs of another host's Prometheus are changed with it;
then undone.

Real programs of two Debian generations. Clients without credentials are rejected at the port and reach no
exporter directly.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from machines import Machine, Network, booted
from test_front_door import apply, etc, longest_gap

from tests.tools import ansible_runs
from wizard import audit
from wizard.engine import Engine
from wizard.inventory import stack_file
from wizard.model import Answers, Stack
from wizard.upkeep.comparison import compare
from wizard.upkeep.lifetimes import lifetimes
from wizard.workspace import Workspace

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(600)]

SUITES = ("bookworm", "sid")
PASSWORD = "a vault's long password"
MODULES = "/etc/prometheus/exporter-exporter.yml"
FLAGS = "/etc/default/prometheus-exporter-exporter"
EXPORTERS = ("node_exporter", "blackbox_exporter")
CONFIG = """\
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: node  # two hosts, one of which has one open port
    static_configs:
      - targets: ['localhost:9100', 'web1:9100']
        labels: {{rack: a}}
  - job_name: 'blackbox'
    metrics_path: /metrics
    static_configs: [{{targets: ['{web1}:9115']}}]
  - job_name: probe
    metrics_path: /probe
    params: {{module: [http_2xx]}}
    static_configs: [{{targets: ['http://127.0.0.1:9100/metrics']}}]
    relabel_configs:
      - {{source_labels: [__address__], target_label: __param_target}}
      - {{source_labels: [__param_target], target_label: instance}}
      - {{target_label: __address__, replacement: 'web1:9115'}}
"""
STACK = """\
version: 1
hosts:
  mon1: {connect: local}
  web1: {connect: local}
components:
  - {host: mon1, name: prometheus}
  - {host: web1, name: node_exporter}
  - {host: web1, name: blackbox_exporter}
front_doors:
  - host: web1
    proxy: exporter_exporter
    machines: {client_cert: true}
    routes:
      - {to: node_exporter}
      - {to: blackbox_exporter}
"""


@contextmanager
def _booted(suite: str, network: Network) -> Iterator[tuple[Machine, Machine]]:
    packages = ("prometheus-exporter-exporter",)
    made = [
        Machine(suite, "mon1", network, label=f"one-{suite[:3]}-m"),
        Machine(suite, "web1", network, programs=EXPORTERS, packages=packages, label=f"one-{suite[:3]}-w"),
    ]
    with booted(made) as (mon1, web1):
        mon1.check(f"echo '{web1.address} web1' >>/etc/hosts")
        mon1.push("/etc/prometheus/prometheus.yml", CONFIG.format(web1=web1.address).encode())
        mon1.check("systemctl restart prometheus", timeout=90)
        web1.check("systemctl restart prometheus-exporter-exporter")
        yield mon1, web1


def _stack(mon1: Machine, web1: Machine) -> Stack:
    read = stack_file.parse(STACK, source="one.yaml")
    return replace(read, hosts=(mon1.spec(), web1.spec()))


@pytest.mark.parametrize("suite", SUITES)
def test_one_port_for_the_exporters_of_a_host(suite: str, network: Network, tmp_path: Path) -> None:
    with _booted(suite, network) as (mon1, web1):
        stack = _stack(mon1, web1)
        assert stack_file.parse(stack_file.dump(stack), source="one.yaml") == stack
        before = etc(mon1), etc(web1)
        with network.entered(), closing(Engine(Workspace(tmp_path / "work"))) as engine:
            started = time.monotonic()
            plan, outcome = apply(engine, stack)
            print(f"{suite}: {len(plan.steps)} steps, {time.monotonic() - started:.1f} s")
            for attempt in outcome.attempts:
                print(f"  {attempt.probe.id}: {attempt.outcome}")
            _serves(mon1, web1)
            # As for a front door: shorter than Prometheus' default interval, even on a busy machine.
            assert _longest_gap(mon1) < 15
            assert engine.plan(stack).steps == ()
            assert _drift(engine, stack) == ()
            _check_scan_and_audit(engine, stack)
            if suite == SUITES[0]:
                _check_renewal(engine, stack, web1)
                _check_drift(engine, stack, web1)
            begin = time.time()
            while engine.undo().state == "undone":
                pass
            assert (etc(mon1), etc(web1)) == before
            if suite == SUITES[0]:
                assert longest_gap(mon1, begin) < 10
            modules = web1.read(MODULES)
            _checks_modules(engine, stack, web1)
            if suite == SUITES[1]:
                web1.push(MODULES, modules)
                _by_ansible(network, engine, stack, tmp_path / "playbook")
                _serves(mon1, web1)


def _by_ansible(network: Network, engine: Engine, stack: Stack, folder: Path) -> None:
    """Sets up the same by a playbook: Firescreen then finds nothing to change, and a second run changes nothing."""
    for changes in (True, False):
        made = ansible_runs.export(engine, stack, folder, PASSWORD)
        ran = ansible_runs.run(made, PASSWORD, enter=network.enter)
        assert (ran.code, ran.changed > 0) == (0, changes), ran.output
        assert engine.plan(stack).steps == ()
    assert [each for each in engine.verify(stack) if not each.ok] == []


def _drift(engine: Engine, stack: Stack) -> tuple[tuple[str, str], ...]:
    return tuple((each.kind, each.path) for each in compare(engine, stack).differences)


def _check_scan_and_audit(engine: Engine, stack: Stack) -> None:
    """Checks that the scan names their addresses, and that the audit finds nothing at the port."""
    seen = {each.key: (each.state, each.words) for each in engine.scan(stack).exposures}
    words = "TLS + client certificate at the front door https://web1:9999"
    assert {seen[f"web1/{name}"] for name in EXPORTERS} == {("secured", words)}, seen
    report = audit.run(engine, stack)
    assert not report.could_not_check, report.could_not_check
    # A file that only programs of the host itself can read is a low finding.
    here = [each for each in report.findings if each.host == "web1"]
    assert not [each.id for each in here if each.id.startswith("PRX") or each.severity != "low"], here


def _check_renewal(engine: Engine, stack: Stack, web1: Machine) -> None:
    """Checks that its certificate is replaced with a restart, and that the server presents the new one."""
    shown = f"echo | openssl s_client -connect {web1.address}:9999 2>/dev/null | openssl x509 -noout -serial"
    first = web1.check(shown)
    key = "web1/exporter_exporter"
    assert key in {each.renew for each in lifetimes(stack, engine.plan(stack).facts)}
    assert engine.apply(engine.plan(stack, Answers(renew=frozenset((key,))))).state == "proven"
    assert web1.check(shown) != first


def _check_drift(engine: Engine, stack: Stack, web1: Machine) -> None:
    """Checks that a plain port that was opened again is reported, and closed by the next run."""
    web1.check(f"sed -i 's/--web.listen-address=/--web.listen-address=:9998/' {FLAGS}")
    web1.check("systemctl restart prometheus-exporter-exporter")
    assert ("file", FLAGS) in _drift(engine, stack)
    apply(engine, stack)
    assert web1.run(f"curl -s -o /dev/null http://{web1.address}:9998/").returncode != 0
    # Foreign changes must be removed before the first run can be undone.
    assert engine.undo().state == "undone"
    web1.check(f"sed -i 's/--web.listen-address=:9998/--web.listen-address=/' {FLAGS}")


def _checks_modules(engine: Engine, stack: Stack, web1: Machine) -> None:
    """Checks that the program rejects a configuration with which it would not start, and that nothing is
    changed then.
    """
    web1.check(f"printf 'odd: 1\n' >>{MODULES}")
    kept = web1.read(MODULES)
    outcome = engine.apply(engine.plan(stack))
    assert outcome.state != "proven" and outcome.error is not None
    assert "exporter_exporter rejects it" in outcome.error.what, outcome.error
    assert web1.read(MODULES) == kept


def _serves(mon1: Machine, web1: Machine) -> None:
    asked = "curl -sG 127.0.0.1:9090/api/v1/query --data-urlencode 'query=up == 1'"
    found = [each["metric"] for each in json.loads(mon1.check(asked))["data"]["result"]]
    assert {(each["job"], each["instance"], each.get("rack")) for each in found} == {
        ("node", "localhost:9100", "a"),
        ("node", "web1:9100", "a"),
        ("blackbox", f"{web1.address}:9115", None),
        ("probe", "http://127.0.0.1:9100/metrics", None),
    }
    output = mon1.check(asked.replace("up == 1", "probe_success == 1"))
    assert [each["metric"]["job"] for each in json.loads(output)["data"]["result"]] == ["probe"]
    for machine in (mon1, web1):
        for url in (
            f"http://{web1.address}:9100/metrics",
            f"http://{web1.address}:9115/metrics",
            f"http://{web1.address}:9999/proxy?module=node",
            f"https://{web1.address}:9999/proxy?module=node",
        ):
            output = machine.run(f"curl -sk -o /dev/null -w '%{{http_code}}' '{url}'").stdout
            assert output in ("000", "400"), (url, output)


def _longest_gap(mon1: Machine) -> float:
    """Returns the seconds for which an exporter of the other host was not scraped during the change: once a
    second normally.
    """
    asked = (
        """curl -sG 127.0.0.1:9090/api/v1/query --data-urlencode 'query=up{instance!~"localhost.*"}[2m]'"""
    )
    gaps = []
    for series in json.loads(mon1.check(asked))["data"]["result"]:
        good = [at for at, value in series["values"] if value == "1"]
        gaps.append(max((later - earlier for earlier, later in pairwise(good)), default=0))
    print("longest gaps, s:", gaps)
    return float(max(gaps))
