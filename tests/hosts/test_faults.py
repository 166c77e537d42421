"""Faults of real hosts only: systemd hides a folder, gives a service up, sshd rejects every login."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from machines import Machine

from tests.processes import run_program
from wizard.diagnostics import catalogue

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(600)]

# The wizard's steps on that host: find the service, read its journal, diagnose.
ASK = """
import json
from wizard.diagnostics import catalogue
from wizard.diagnostics.questions import Asker
from wizard.diagnostics.evidence import Evidence, at_server
from wizard.connections.local import LocalConnection
from wizard.service_managers import discovery, systemd_discovery as systemd
here = LocalConnection("here")
one = next(each for each in discovery.discover(here) if each.component == %r)
log = systemd.log(here, one, 60)
asker = Asker(at_server(Evidence(url=%r, client=here, known=True), here, one, lambda: log))
told = {}
for text in (*%r, *log):
    found = catalogue.diagnose(text)
    if found is not None:
        closest = catalogue.narrow(found, asker)
        told[text] = closest.fault or closest.id
print("ANSWER" + json.dumps(told))
"""


def _diagnose_all(machine: Machine, component: str, url: str, *texts: str) -> dict[str, str]:
    """Returns the diagnosis of each of the texts, and of each line of the service's journal."""
    ended = machine.python(ASK % (component, url, texts), timeout=120)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    answer: dict[str, str] = json.loads(ended.stdout.rpartition("ANSWER")[2])
    return answer


def _secure(machine: Machine, folder: str) -> None:
    """Writes node_exporter's key and certificate to that folder, readable by all, and makes Prometheus use TLS."""
    machine.check(
        f"mkdir -p {folder} && cd {folder} && openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=x "
        "-addext subjectAltName=DNS:localhost -keyout s.key -out s.crt -days 9 2>/dev/null && chmod 644 s.key"
    )
    web = f"tls_server_config:\n  cert_file: {folder}/s.crt\n  key_file: {folder}/s.key\n"
    machine.push("/etc/prometheus/web.yml", web.encode())
    machine.push("/etc/default/prometheus", b'ARGS="--web.config.file=/etc/prometheus/web.yml"\n')
    machine.run("systemctl restart prometheus")


def _stop_after_its_error(machine: Machine) -> None:
    """Stops Prometheus once it has logged that it may not read a file: on a busy host that takes seconds."""
    machine.check(
        "timeout 60 sh -c 'until journalctl -u prometheus | grep -q \"permission denied\"; do sleep 0.2; done'"
    )
    machine.run("systemctl stop prometheus")


def test_a_folder_that_systemd_hides(machine: Machine) -> None:
    """The files exist and all users may read them; for the service it is 'permission denied'."""
    _secure(machine, "/home/guest/tls")
    _stop_after_its_error(machine)
    diagnoses = _diagnose_all(
        machine, "prometheus", "https://localhost:9090/metrics", "connect: connection refused"
    )
    assert diagnoses["connect: connection refused"] == "web-pair-hidden", diagnoses
    journal = [cause for text, cause in diagnoses.items() if "/home/guest/tls" in text]
    assert journal and set(journal) == {"web-pair-hidden"}, diagnoses


def test_a_service_that_systemd_gives_up(machine: Machine) -> None:
    machine.push("/etc/prometheus/web.yml", b"basic_auth_users:\n  me: plain\n")
    machine.push("/etc/default/prometheus", b'ARGS="--web.config.file=/etc/prometheus/web.yml"\n')
    ended = machine.run("systemctl restart prometheus; sleep 2; systemctl status prometheus --no-pager -l")
    text = ended.stdout + ended.stderr
    diagnoses = _diagnose_all(
        machine, "prometheus", "http://localhost:9090/metrics", text, "connect: connection refused"
    )
    assert set(diagnoses.values()) == {"web-hash"}, diagnoses


def test_a_key_that_the_service_may_not_read(machine: Machine) -> None:
    _secure(machine, "/etc/prometheus/tls")
    machine.check("chmod 600 /etc/prometheus/tls/s.key")
    machine.run("systemctl restart prometheus")
    _stop_after_its_error(machine)
    diagnoses = _diagnose_all(
        machine, "prometheus", "https://localhost:9090/metrics", "connect: connection refused"
    )
    assert diagnoses["connect: connection refused"] == "web-pair-rights", diagnoses


REFUSALS = {
    "ssh-denied": (
        "-o PreferredAuthentications=none -o StrictHostKeyChecking=no {host}",
        "Permission denied",
    ),
    "ssh-host-unknown-strict": ("-o StrictHostKeyChecking=yes {host}", "Host key verification failed"),
    "ssh-refused": ("-p 4 {host}", "Connection refused"),
    "dns-trouble": ("root@nowhere.invalid", "Could not resolve"),
}


def test_ssh_that_rejects_every_login(machine: Machine) -> None:
    diagnoses = {}
    for arguments, words in REFUSALS.values():
        more = arguments.format(host=f"root@{machine.address}").split()
        ended = run_program(
            [
                *machine.network.enter,
                "ssh",
                "-o",
                "BatchMode=yes",
                "-o",
                "UserKnownHostsFile=/dev/null",
                *more,
            ]
        )
        assert ended.returncode != 0 and words in ended.stderr, ended.stderr
        found = catalogue.diagnose(ended.stderr)
        diagnoses[words] = found.id if found else ended.stderr
    assert diagnoses == {words: name for name, (_, words) in REFUSALS.items()}


def test_a_host_that_starts_and_serves_has_nothing_to_explain(machine: Machine) -> None:
    """The journal of a complete boot, of the services and of a reload: no line of it is diagnosed as a fault."""
    machine.run("systemctl reload prometheus; systemctl restart prometheus-node-exporter; sleep 1")
    lines = machine.check("journalctl --no-pager -o short-iso -b").splitlines()
    assert len(lines) > 50
    if folder := os.environ.get("FIRESCREEN_FAULTS"):
        (Path(folder) / f"journal-{machine.name}.txt").write_text("\n".join(lines))
    wrong: dict[str, Any] = {}
    for line in lines:
        found = catalogue.diagnose(line)
        if found is not None and not re.search(r"level=(?:error|ERROR)|Failed|failed", line):
            wrong[line] = found.id
    assert not wrong
