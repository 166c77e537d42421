"""Every fault, put in place for real, is named by its true cause from whichever end it is seen.

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

from tests.integration.faults import Kit, scrape_faults, start_faults
from tests.integration.faults_stand import Laboratory, Refused, Seen, laboratory, refuse
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


def _evidence(lab: Laboratory, one: Seen) -> Evidence:
    """What the wizard finds: the job in prometheus.yml, the service with its web.yml, its log."""
    found = of_job(
        lab.config.read_bytes(), folder=str(lab.config.parent), address="", client=HERE, job=one.fault.name
    )
    assert found is not None
    service = Service(
        host="here",
        component="node_exporter",
        manager="manual",
        unit="node_exporter",
        listen=f"127.0.0.1:{one.port}",
        active=not one.fault.server,
        web_config=str(one.web or ""),
    )
    return replace(at_server(found, HERE, service, lambda: tuple(one.log)), patience=1.0)


def _cause(text: str, asker: Asker) -> str:
    """The true cause of an error text, as Firescreen finds it; '-' for one that it does not know."""
    found = catalogue.diagnose(text)
    if found is None:
        return "-"
    closest = catalogue.narrow(found, asker)
    return closest.fault or f"{closest.id}?"


def _causes(lab: Laboratory, told: dict[str, dict[str, str]]) -> dict[tuple[str, str], str]:
    """What each text of each fault turns out to be, by the fault's name and the text."""

    def of(one: Seen) -> dict[tuple[str, str], str]:
        asker = Asker(_evidence(lab, one))
        return {(one.fault.name, text): _cause(text, asker) for text in set(told[one.fault.name].values())}

    with ThreadPoolExecutor(12) as pool:
        found = pool.map(of, lab.seen.values())
        return {key: cause for each in found for key, cause in each.items()}


def _said(lab: Laboratory, one: Seen) -> dict[str, str]:
    """Each text that was seen about a fault, by who said it."""
    assert one.attempt is not None
    said = {"prometheus": one.last_error, "probe": one.attempt.reason, "python": one.python}
    if one.fault.hidden:
        lines = [line for line in lab.prometheus_log if f'scrape_pool="{one.fault.name}"' in line]
        assert lines, f"{one.fault.name}: Prometheus logged nothing about the job"
        said["prometheus"] = lines[0]
    curl = re.search(r"curl: \(\d+\).*", one.curl, re.DOTALL)
    status = re.search(r"HTTP/1.1 (\d+)\s*$", one.curl)
    if curl or (status and status[1] != "200"):
        said["curl"] = one.curl
    for line in one.server():
        if "client sent an HTTP request" in line and one.fault.cause != "plain-http-to-tls":
            continue  # somebody who looked which port speaks what: none of this fault's requests
        if re.search(r"handshake error|panic serving|level=(?:error|ERROR)|err=", line):
            # The same line comes of each request: once is enough.
            said.setdefault("server " + re.sub(r"[\d.:]+|0x\w+", "", line)[:300], line)
    # A request that was given up under load says no more than that: what the server says besides is the fault.
    cut = [
        who
        for who, text in said.items()
        if re.search(r"handshake error from \S+: (EOF$|read tcp|write tcp)", text)
    ]
    servers = [who for who in said if who.startswith("server ")]
    if len(cut) < len(servers):
        said = {who: text for who, text in said.items() if who not in cut}
    return {who: text for who, text in said.items() if text}


def test_the_true_cause_of_every_fault(lab: Laboratory) -> None:
    wrong: list[str] = []
    # Written down first: the questions leave lines of their own in the servers' logs.
    told = {name: _said(lab, one) for name, one in lab.seen.items()}
    causes = _causes(lab, told)
    for one in lab.seen.values():
        said = told[one.fault.name]
        if not one.fault.cause:
            assert one.up and not said, f"{one.fault.name}: {said}"
            continue
        assert said.get("prometheus"), f"{one.fault.name}: Prometheus says nothing"
        for who, text in said.items():
            if (cause := causes[one.fault.name, text]) != one.fault.cause:
                wrong.append(f"{one.fault.name}: {who} says {text[-200:]!r}: {cause}, not {one.fault.cause}")
    assert not wrong, f"{len(wrong)} texts:\n" + "\n".join(wrong)


def test_a_probe_says_what_prometheus_says(lab: Laboratory) -> None:
    """Whether it gets through, and if not, why: in every case, but for proxies, which a probe does not use."""
    compared = 0
    for one in lab.seen.values():
        assert one.attempt is not None
        if "proxy_url" in one.fault.job:
            continue
        if one.fault.cause == "metrics-content-type":
            continue  # a matter of Prometheus' version, which a probe does not know
        ok = one.attempt.outcome == "200" and not metrics.fault(one.attempt)
        assert ok == one.up, f"{one.fault.name}: {one.attempt.reason!r}, and Prometheus {one.last_error!r}"
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


def test_a_program_that_does_not_start_says_why_and_its_client_is_told(refused: list[Refused]) -> None:
    """Server end: the program's own last words. Client end: 'connection refused', until the host is asked."""
    wrong: list[str] = []
    for one in refused:
        assert one.code != 0, f"{one.fault.name}: it starts:\n{one.text}"
        asker = Asker(_down(one))
        last = one.text.splitlines()[-1]
        texts = {"log": one.text, "last line": last}
        if not any("web.listen" in flag for flag in one.fault.flags):
            attempt = probes.run(_asking_for(one.port))
            assert "connection refused" in attempt.reason
            texts["client"] = f'Get "http://127.0.0.1:{one.port}/metrics": {attempt.reason}'
        for who, text in texts.items():
            if (cause := _cause(text, asker)) != one.fault.cause:
                wrong.append(f"{one.fault.name}: {who} says {text[-200:]!r}: {cause}, not {one.fault.cause}")
    assert not wrong, f"{len(wrong)} texts:\n" + "\n".join(wrong)


def _down(one: Refused) -> Evidence:
    service = Service(
        host="here",
        component="node_exporter",
        manager="manual",
        unit="node_exporter",
        listen=f"127.0.0.1:{one.port}",
        web_config=str(one.folder / "web.yml"),
    )
    probe = _asking_for(one.port)
    asked = Evidence(url=probe.url, client=HERE, known=True, patience=probe.timeout)
    return at_server(asked, HERE, service, lambda: tuple(one.text.splitlines()))


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
def test_the_other_programs_say_it_in_their_own_words(
    program: str, suite: str, kit: Kit, cache: Path, tmp_path: Path
) -> None:
    path = binaries.find(program, cache=cache, suite=suite).path
    (tmp_path / "empty.yml").write_text(EMPTY[program])
    more = (*([f"--config.file={tmp_path}/empty.yml"] if EMPTY[program] else []), *MORE.get(program, ()))
    for fault in start_faults(kit):
        if fault.name not in WRAPPED:
            continue
        one = refuse(replace(fault, flags=more), tmp_path, program=path, taken=0)
        # A Pushgateway that cannot serve ends with 0: systemd then calls it inactive, not failed.
        assert one.code != 0 or program == "pushgateway", one.text
        assert _cause(one.text, Asker(_down(one))) == fault.cause, one.text


EMPTY = {
    "prometheus": "scrape_configs: []\n",
    "alertmanager": "{route: {receiver: a}, receivers: [{name: a}]}\n",
    "pushgateway": "",
    "blackbox_exporter": "modules: {}\n",
}
MORE = {"alertmanager": ("--cluster.listen-address=",)}


def _keep(lab: Laboratory) -> None:
    """Writes down what was seen, where FIRESCREEN_FAULTS names a folder for it."""
    folder = os.environ.get("FIRESCREEN_FAULTS")
    if folder:
        told = {name: {"cause": one.fault.cause} | _said(lab, one) for name, one in lab.seen.items()}
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / f"scrape-{lab.suite}.json").write_text(json.dumps(told, indent=1, ensure_ascii=False))
