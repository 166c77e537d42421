"""Every fault, reproduced on real programs, is diagnosed by its true cause from either end.

One laboratory for each generation of programs (`make matrix`).
"""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from tests.integration.fault_laboratory import Laboratory, Observation, Refused, laboratory, refuse
from tests.integration.faults import Kit, scrape_faults, start_faults
from wizard import binaries, probes
from wizard.connections.local import LocalConnection
from wizard.diagnostics import catalogue
from wizard.diagnostics.evidence import Evidence, at_server, of_job
from wizard.diagnostics.questions import Asker
from wizard.model import Probe, Service
from wizard.probes import metrics

pytestmark = pytest.mark.matrix
SUITES = ("bookworm", "trixie", "sid")
HERE = LocalConnection("here")


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Kit:
    return Kit(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module", params=SUITES)
def lab(
    request: pytest.FixtureRequest, kit: Kit, cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Laboratory]:
    folder = tmp_path_factory.mktemp(f"lab-{request.param}")
    with laboratory(scrape_faults(kit), folder, suite=request.param, cache=cache) as lab:
        _keep(lab)
        yield lab


def _evidence(lab: Laboratory, observation: Observation) -> Evidence:
    """Returns what the wizard reads: the job in prometheus.yml, the service with its web.yml, its log."""
    found = of_job(
        lab.config.read_bytes(),
        folder=str(lab.config.parent),
        address="",
        client=HERE,
        job=observation.fault.name,
    )
    assert found is not None
    service = Service(
        host="here",
        component="node_exporter",
        manager="manual",
        unit="node_exporter",
        listen=f"127.0.0.1:{observation.port}",
        active=not observation.fault.server,
        web_config=str(observation.web or ""),
    )
    return replace(at_server(found, HERE, service, lambda: tuple(observation.log)), patience=1.0)


def _cause(text: str, asker: Asker) -> str:
    """Returns Firescreen's diagnosis of an error text; '-' for an unknown one."""
    found = catalogue.diagnose(text)
    if found is None:
        return "-"
    closest = catalogue.narrow(found, asker)
    return closest.fault or f"{closest.id}?"


def _causes(lab: Laboratory, texts_by_fault: dict[str, dict[str, str]]) -> dict[tuple[str, str], str]:
    """Returns the diagnosis of each text of each fault, by the fault's name and the text."""

    def diagnose(observation: Observation) -> dict[tuple[str, str], str]:
        asker = Asker(_evidence(lab, observation))
        return {
            (observation.fault.name, text): _cause(text, asker)
            for text in set(texts_by_fault[observation.fault.name].values())
        }

    with ThreadPoolExecutor(12) as pool:
        found = pool.map(diagnose, lab.seen.values())
        return {key: cause for each in found for key, cause in each.items()}


def _texts_of(lab: Laboratory, observation: Observation) -> dict[str, str]:
    """Returns each text about a fault, by the program that wrote it."""
    assert observation.attempt is not None
    texts = {
        "prometheus": observation.last_error,
        "probe": observation.attempt.reason,
        "python": observation.python,
    }
    if observation.fault.hidden:
        lines = [line for line in lab.prometheus_log if f'scrape_pool="{observation.fault.name}"' in line]
        assert lines, f"{observation.fault.name}: Prometheus logged nothing about the job"
        texts["prometheus"] = lines[0]
    curl = re.search(r"curl: \(\d+\).*", observation.curl, re.DOTALL)
    status = re.search(r"HTTP/1.1 (\d+)\s*$", observation.curl)
    if curl or (status and status[1] != "200"):
        texts["curl"] = observation.curl
    for line in observation.server():
        if "client sent an HTTP request" in line and observation.fault.cause != "plain-http-to-tls":
            continue  # from a port check: none of this fault's requests
        if re.search(r"handshake error|panic serving|level=(?:error|ERROR)|err=", line):
            # The same line comes with each request: one is enough.
            texts.setdefault("server " + re.sub(r"[\d.:]+|0x\w+", "", line)[:300], line)
    # A timeout under load has no further meaning: the cause is in the server's log.
    cut = [
        who
        for who, text in texts.items()
        if re.search(r"handshake error from \S+: (EOF$|read tcp|write tcp)", text)
    ]
    servers = [who for who in texts if who.startswith("server ")]
    if len(cut) < len(servers):
        texts = {who: text for who, text in texts.items() if who not in cut}
    return {who: text for who, text in texts.items() if text}


def test_the_true_cause_of_every_fault(lab: Laboratory) -> None:
    wrong: list[str] = []
    # Texts are recorded first: diagnosing them adds lines to the servers' logs.
    texts_by_fault = {name: _texts_of(lab, observation) for name, observation in lab.seen.items()}
    causes = _causes(lab, texts_by_fault)
    for observation in lab.seen.values():
        texts = texts_by_fault[observation.fault.name]
        if not observation.fault.cause:
            assert observation.up and not texts, f"{observation.fault.name}: {texts}"
            continue
        assert texts.get("prometheus"), f"{observation.fault.name}: Prometheus says nothing"
        for who, text in texts.items():
            if (cause := causes[observation.fault.name, text]) != observation.fault.cause:
                wrong.append(
                    f"{observation.fault.name}: {who} says {text[-200:]!r}: {cause}, not {observation.fault.cause}"
                )
    assert not wrong, f"{len(wrong)} texts:\n" + "\n".join(wrong)


def test_a_probe_and_prometheus_report_the_same_error(lab: Laboratory) -> None:
    """A probe succeeds and fails as Prometheus does, for the same reason; except with proxies, which a probe
    does not use.
    """
    compared = 0
    for observation in lab.seen.values():
        assert observation.attempt is not None
        if "proxy_url" in observation.fault.job:
            continue
        if observation.fault.cause == "metrics-content-type":
            continue  # It depends on Prometheus' version, which a probe does not know.
        ok = observation.attempt.outcome == "200" and not metrics.fault(observation.attempt)
        assert ok == observation.up, (
            f"{observation.fault.name}: {observation.attempt.reason!r}, and Prometheus {observation.last_error!r}"
        )
        compared += 1
    assert compared >= 45


@pytest.fixture(scope="module", params=SUITES)
def refused(
    request: pytest.FixtureRequest, kit: Kit, cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> list[Refused]:
    folder = tmp_path_factory.mktemp(f"start-{request.param}")
    program = binaries.find("node_exporter", cache=cache, suite=request.param).path
    with socket.socket() as taken, ThreadPoolExecutor(4) as pool:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = int(taken.getsockname()[1])
        wanted = [fault for fault in start_faults(kit) if request.param in fault.suites]
        return list(pool.map(lambda fault: refuse(fault, folder, program=program, taken=port), wanted))


def test_a_program_that_does_not_start_is_diagnosed_from_both_ends(refused: list[Refused]) -> None:
    """Server: the program's own last output. Client: 'connection refused', until the host is asked."""
    wrong: list[str] = []
    for observation in refused:
        assert observation.code != 0, f"{observation.fault.name}: it starts:\n{observation.text}"
        asker = Asker(_stopped_service(observation))
        last = observation.text.splitlines()[-1]
        texts = {"log": observation.text, "last line": last}
        if not any("web.listen" in flag for flag in observation.fault.flags):
            attempt = probes.run(_asking_for(observation.port))
            assert "connection refused" in attempt.reason
            texts["client"] = f'Get "http://127.0.0.1:{observation.port}/metrics": {attempt.reason}'
        for who, text in texts.items():
            if (cause := _cause(text, asker)) != observation.fault.cause:
                wrong.append(
                    f"{observation.fault.name}: {who} says {text[-200:]!r}: {cause}, not {observation.fault.cause}"
                )
    assert not wrong, f"{len(wrong)} texts:\n" + "\n".join(wrong)


def _stopped_service(observation: Refused) -> Evidence:
    service = Service(
        host="here",
        component="node_exporter",
        manager="manual",
        unit="node_exporter",
        listen=f"127.0.0.1:{observation.port}",
        web_config=str(observation.folder / "web.yml"),
    )
    probe = _asking_for(observation.port)
    asked = Evidence(url=probe.url, client=HERE, known=True, patience=probe.timeout)
    return at_server(asked, HERE, service, lambda: tuple(observation.text.splitlines()))


def _asking_for(port: int) -> Probe:
    return Probe(
        id="down",
        host="here",
        component="node_exporter",
        name="down",
        client="Prometheus",
        expect="200",
        url=f"http://127.0.0.1:{port}/metrics",
    )


WRAPPED = ("key of another", "misspelt", "MD5 hash", "web.yml not readable")
"""Start faults that each of the other programs wraps in words of its own."""


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("program", ["prometheus", "alertmanager", "pushgateway", "blackbox_exporter"])
def test_start_errors_of_other_programs_are_diagnosed(
    program: str, suite: str, kit: Kit, cache: Path, tmp_path: Path
) -> None:
    path = binaries.find(program, cache=cache, suite=suite).path
    (tmp_path / "empty.yml").write_text(EMPTY[program])
    more = (*([f"--config.file={tmp_path}/empty.yml"] if EMPTY[program] else []), *MORE.get(program, ()))
    for fault in start_faults(kit):
        if fault.name not in WRAPPED:
            continue
        observation = refuse(replace(fault, flags=more), tmp_path, program=path, taken=0)
        # A Pushgateway that cannot serve exits with 0: systemd then reports it as inactive, not failed.
        assert observation.code != 0 or program == "pushgateway", observation.text
        assert _cause(observation.text, Asker(_stopped_service(observation))) == fault.cause, observation.text


EMPTY = {
    "prometheus": "scrape_configs: []\n",
    "alertmanager": "{route: {receiver: a}, receivers: [{name: a}]}\n",
    "pushgateway": "",
    "blackbox_exporter": "modules: {}\n",
}
MORE = {"alertmanager": ("--cluster.listen-address=",)}


def _keep(lab: Laboratory) -> None:
    """Writes the texts to the folder that FIRESCREEN_FAULTS names, if any."""
    folder = os.environ.get("FIRESCREEN_FAULTS")
    if folder:
        records = {
            name: {"cause": observation.fault.cause} | _texts_of(lab, observation)
            for name, observation in lab.seen.items()
        }
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / f"scrape-{lab.suite}.json").write_text(
            json.dumps(records, indent=1, ensure_ascii=False)
        )
