"""Targets under names that only the Prometheus host resolves, jobs in included files, two Prometheus: each stays up.

Two Prometheus share a site of three exporters. No target is spelled as in the stack file, and none may be
down afterwards, be scraped twice, or remain after an undo.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from machines import Machine, Network, booted

from wizard.config_files import prometheus as scrape
from wizard.engine import Engine
from wizard.model import ComponentSpec, Protection, Stack
from wizard.workspace import Workspace

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(600)]

MONITOR = """\
global: {scrape_interval: 3s}
scrape_configs:
  - job_name: by-name   # only this host knows it
    static_configs:
      - targets: [ 'Metrics-A.example.org.:9100' ]
  - job_name: itself
    static_configs:
      - targets: ['LOCALHOST:9100', '[0:0:0:0:0:0:0:1]:9100', 0.0.0.0:9100, 127.0.1.1:9100, 'ip6-localhost:9100']
"""
SHARD = """\
global: {scrape_interval: 3s}
scrape_config_files:
  - jobs/*.yml
"""
FEDERATION = """\
scrape_configs:
- {job_name: federate, metrics_path: /federate, params: {'match[]': [up]},
   static_configs: [{targets: ['MONITOR:9090']}]}
"""
INCLUDED = """\
# of the web team, with tabs behind:\t
scrape_configs:

  -   job_name:   "web"
      static_configs: [{targets: ["SRV2.Example.org.:9100"], labels: {instance: shop}}]   # as ever
"""
LEVEL: tuple[Protection, ...] = ("tls", "basic_auth")
ASK = """\
import base64, json, pathlib, ssl, urllib.request as u
path = pathlib.Path('/etc/prometheus/prometheus.password')
secret = base64.b64encode(b'prometheus:' + path.read_bytes()).decode() if path.exists() else ''
opener = u.build_opener(u.HTTPSHandler(context=ssl._create_unverified_context()))
for scheme in ('http', 'https'):
    request = u.Request(scheme + '://127.0.0.1:9090/api/v1/targets?state=active')
    if secret:
        request.add_header('Authorization', 'Basic ' + secret)
    try:
        answer = json.load(opener.open(request, timeout=5))
        break
    except OSError:
        continue
print(json.dumps([[t['scrapePool'], t['discoveredLabels']['__address__'], t['health'], t['lastError'],
    t['labels']['instance'], t['scrapeUrl'].partition(':')[0]] for t in answer['data']['activeTargets']]))
"""


def etc(machine: Machine) -> dict[str, tuple[str, int, int, int]]:
    """Returns every file below /etc with its content, mode and owners."""
    return {
        str(path.relative_to(machine.root)): (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            path.stat().st_mode,
            path.stat().st_uid,
            path.stat().st_gid,
        )
        for path in sorted((machine.root / "etc").rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def targets(
    machine: Machine, *, count: int, limit: float = 60
) -> dict[tuple[str, str], tuple[str, str, str]]:
    """Returns (job, address) of each target of a Prometheus -> health and error, label `instance`, scheme;
    once all are up.
    """
    end = time.monotonic() + limit
    rows: list[list[str]] = []
    while time.monotonic() < end:
        asked = machine.python(ASK)
        rows = json.loads(asked.stdout) if asked.returncode == 0 else []
        if len(rows) == count and all(row[2] == "up" for row in rows):
            break
        time.sleep(0.5)
    return {(job, at): (f"{up} {error}".strip(), name, scheme) for job, at, up, error, name, scheme in rows}


@pytest.fixture
def site(network: Network) -> Iterator[dict[str, Machine]]:
    """Boots monitor and shard with a Prometheus each, srv1, srv2 and monitor with a node_exporter."""
    both = ("prometheus", "node_exporter")
    machines = {
        "monitor": Machine("sid", "monitor", network, programs=both),
        "shard": Machine("sid", "shard", network, programs=("prometheus",)),
        "srv1": Machine("sid", "srv1", network, programs=("node_exporter",)),
        "srv2": Machine("sid", "srv2", network, programs=("node_exporter",)),
    }
    with booted(list(machines.values())):
        monitor, shard = machines["monitor"], machines["shard"]
        names = f"\n{machines['srv1'].address} metrics-a.example.org\n::1 ip6-localhost ip6-loopback\n"
        monitor.push("/etc/hosts", monitor.read("/etc/hosts") + names.encode())
        monitor.push("/etc/prometheus/prometheus.yml", MONITOR.encode())
        # Go does not find a single name with a trailing dot in /etc/hosts; with a domain it does.
        longer = f"\n{machines['srv2'].address} srv2.example.org\n"
        shard.push("/etc/hosts", shard.read("/etc/hosts") + longer.encode())
        shard.push("/etc/prometheus/prometheus.yml", SHARD.encode())
        shard.push("/etc/prometheus/jobs/web.yml", INCLUDED.encode())
        shard.push("/etc/prometheus/jobs/federation.yml", FEDERATION.encode())
        for machine in (monitor, shard):
            machine.check(["systemctl", "restart", "prometheus"])
        yield machines


def test_targets_under_any_name_stay_up_and_are_restored(
    site: dict[str, Machine], network: Network, tmp_path: Path
) -> None:
    monitor, shard = site["monitor"], site["shard"]
    was = targets(monitor, count=6), targets(shard, count=2)
    assert all(health == "up" for each in was for health, _, _ in each.values()), was
    files = {name: etc(machine) for name, machine in site.items()}
    stack = Stack(
        hosts=tuple(machine.spec() for machine in site.values()),
        components=tuple(
            ComponentSpec(host=host, name=name, protect=LEVEL)
            for host, name in (
                ("monitor", "node_exporter"),
                ("srv1", "node_exporter"),
                ("srv2", "node_exporter"),
                ("monitor", "prometheus"),
            )
        ),
    )
    workspace = Workspace(tmp_path / "workspace")
    workspace.ensure()
    engine = Engine(workspace)
    with network.entered():
        plan = engine.plan(stack)
        assert not [each for each in plan.warnings if each.id in ("job-added", "target-unclear")]
        outcome = engine.apply(plan)
        assert (outcome.state, outcome.error) == ("proven", None), [
            (each.probe.id, each.outcome, each.reason) for each in outcome.attempts if not each.ok
        ]
        assert engine.plan(stack).steps == (), "a second plan has nothing to do"
    now = targets(monitor, count=6), targets(shard, count=2)
    for before, after in zip(was, now, strict=True):
        assert after.keys() == before.keys(), "the same jobs with the same targets, none twice"
        assert {(health, scheme) for health, _, scheme in after.values()} == {("up", "https")}, after
        assert {key: row[1] for key, row in after.items()} == {key: row[1] for key, row in before.items()}
    jobs = [job.name for job in scrape.jobs(monitor.read("/etc/prometheus/prometheus.yml"))]
    assert jobs == ["by-name", "itself"]
    assert shard.read("/etc/prometheus/prometheus.yml") == SHARD.encode()
    included = shard.read("/etc/prometheus/jobs/web.yml").decode()
    assert included.startswith(
        '# of the web team, with tabs behind:\t\nscrape_configs:\n\n  -   job_name:   "web"\n'
    )
    assert '[{targets: ["SRV2.Example.org.:9100"], labels: {instance: shop}}]   # as ever\n' in included
    with network.entered():
        undone = engine.undo(outcome.run)
        assert undone.error is None, undone
    assert {name: etc(machine) for name, machine in site.items()} == files
    again = targets(monitor, count=6), targets(shard, count=2)
    assert [set(each) for each in again] == [set(each) for each in was]
    assert all(health == "up" for each in again for health, _, _ in each.values()), again


def test_a_name_with_two_hosts_is_an_error(
    site: dict[str, Machine], network: Network, tmp_path: Path
) -> None:
    monitor = site["monitor"]
    pool = "".join(f"{site[name].address} pool.example.org\n" for name in ("srv1", "srv2"))
    monitor.push("/etc/hosts", monitor.read("/etc/hosts") + pool.encode())
    text = MONITOR.replace("Metrics-A.example.org.:9100", "pool.example.org:9100")
    monitor.push("/etc/prometheus/prometheus.yml", text.encode())
    stack = Stack(
        hosts=tuple(site[name].spec() for name in ("monitor", "srv1", "srv2")),
        components=(ComponentSpec(host="srv1", name="node_exporter", protect=LEVEL),),
    )
    workspace = Workspace(tmp_path / "workspace")
    workspace.ensure()
    with network.entered():
        plan = Engine(workspace).plan(stack)
    (warning,) = (each for each in plan.warnings if each.id == "target-unclear")
    assert (
        "pool.example.org:9100" in warning.what
        and "several hosts" in warning.what
        and "srv1, srv2" in warning.what
    )


def test_a_host_without_getent_is_reported(
    site: dict[str, Machine], network: Network, tmp_path: Path
) -> None:
    monitor = site["monitor"]
    monitor.check("mv /usr/bin/getent /usr/bin/getent.away")
    stack = Stack(
        hosts=tuple(site[name].spec() for name in ("monitor", "srv1")),
        components=(ComponentSpec(host="srv1", name="node_exporter", protect=LEVEL),),
    )
    workspace = Workspace(tmp_path / "workspace")
    workspace.ensure()
    with network.entered():
        plan = Engine(workspace).plan(stack)
    (warning,) = (each for each in plan.warnings if each.id == "target-unclear")
    assert "Metrics-A.example.org.:9100" in warning.what and "no getent" in warning.what
