"""The audit's checks on real programs of three generations: each finds its fault, and does not once it is repaired."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.integration import audit_faults
from tests.integration.audit_faults import POWERS, AuditSnapshot
from tests.integration.full_stack import SUITES

pytestmark = [pytest.mark.matrix, pytest.mark.slow, pytest.mark.timeout(300)]

FAULTS = (
    # check, host, state with the fault, part of its evidence, end of its file, part of that line
    ("EXP-01", "srv1", "open", "/metrics: 200", "", ""),
    ("EXP-01", "blackbox", "open", "/metrics: 200", "", ""),
    ("EXP-03", "pushgateway", "open", "/debug/pprof/: 200", "", ""),
    ("EXP-04", "prometheus", "open", "/api/v1/status/config: 200", "", ""),
    ("EXP-04", "alertmanager", "open", "/api/v2/status: 200", "", ""),
    ("API-01", "prometheus", "open", "--web.enable-admin-api in the arguments", "", ""),
    ("API-01", "prometheus", "open", "says web.enable-admin-api: true", "", ""),
    ("API-02", "prometheus", "open", "says web.enable-lifecycle: true", "", ""),
    ("API-03", "prometheus", "open", "--web.enable-remote-write-receiver", "", ""),
    ("API-04", "pushgateway", "open", "honor_labels: true", "prometheus.yml", "job_name: pushgateway"),
    ("API-05", "alertmanager", "open", "/api/v2/silences: 200", "", ""),
    ("API-06", "blackbox", "open", "arget parameter", "", ""),
    ("API-07", "prometheus", "open", "--web.cors.origin is '.*'", "", ""),
    ("TLS-01", "srv1", "faulty", "TLS 1.1 was accepted", "web.yml", "min_version: TLS10"),
    ("TLS-02", "srv1", "faulty", "VerifyClientCertIfGiven", "web.yml", "client_auth_type"),
    (
        "TLS-03",
        "blackbox",
        "faulty",
        "also signed the certificate of alertmanager",
        "web.yml",
        "client_ca_file",
    ),
    ("TLS-03", "alertmanager", "faulty", "holds 2 CAs", "web.yml", "client_ca_file"),
    ("TLS-04", "srv1", "faulty", "cipher_suites", "web.yml", "cipher_suites"),
    ("CRT-01", "srv1", "faulty", "(in 10 days)", "node_exporter.crt", ""),
    ("CRT-02", "srv1", "faulty", "job node of prometheus/prometheus asks for 127.", "prometheus.yml", "node"),
    ("CRT-03", "srv1", "faulty", "it is a CA's", "node_exporter.crt", ""),
    ("CRT-04", "srv1", "faulty", "RSA 1024, it is signed with SHA1", "node_exporter.crt", ""),
    ("CRT-05", "srv1", "faulty", "is also that of pushgateway", "node_exporter.crt", ""),
    ("CRT-05", "pushgateway", "faulty", "is also that of srv1", "pushgateway.crt", ""),
    ("CRT-06", "prometheus", "secured", "rules.yml", "prometheus.yml", ""),
    ("AUT-01", "srv1", "faulty", "job plain of prometheus/prometheus sends", "prometheus.yml", "plain"),
    ("AUT-02", "srv1", "faulty", "Prometheus' guide", "web.yml", "prometheus: $2b$12$"),
    ("AUT-03", "srv1", "faulty", "cost 12", "web.yml", "prometheus: $2b$12$"),
    ("AUT-04", "srv1", "secured", "the same hash for alertmanager", "web.yml", "prometheus: $2y$"),
    ("FIL-01", "srv1", "faulty", "mode 0644", "web.yml", ""),
    ("FIL-02", "prometheus", "faulty", "password_file is possible", "prometheus.yml", "password: hunter2"),
    ("FIL-02", "alertmanager", "faulty", "slack_api_url", "alertmanager.yml", "slack_api_url"),
    ("FIL-03", "srv1", "faulty", "spare.key is the private key of the CA", "spare.key", ""),
    (
        "CFG-01",
        "prometheus",
        "faulty",
        "insecure_skip_verify",
        "prometheus.yml",
        "insecure_skip_verify: true",
    ),
    ("CFG-02", "prometheus", "faulty", "holds a user and a password", "prometheus.yml", "https://me:"),
    ("CFG-03", "prometheus", "faulty", "job plain", "prometheus.yml", "honor_labels: true"),
    ("CFG-04", "prometheus", "secured", "CVE-2023-45289", "prometheus.yml", ""),
    ("GRF-01", "prometheus", "faulty", "tlsSkipVerify: true", "p.yml", "- name: P"),
    ("GRF-01", "prometheus", "faulty", "anonymous access", "grafana.ini", "enabled = true"),
    ("GRF-01", "prometheus", "faulty", "the one that Grafana comes with", "grafana.ini", "admin_password"),
)
"""Where the state is 'secured', Firescreen itself leaves it so, and the state 'mended' has it mended."""
LEFT = {"CRT-06", "AUT-04", "CFG-04", "CVE-01", "CVE-02"}
"""What may be found on a stack that Firescreen has secured, and is so."""


@pytest.fixture(scope="module", params=SUITES)
def states(
    request: pytest.FixtureRequest, cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, AuditSnapshot]:
    folder = tmp_path_factory.mktemp("audit")
    with audit_faults.start_stack(folder, cache, request.param) as audited_stack:
        found = {}
        without = audited_stack.flags("prometheus", *POWERS)
        found["open"] = audited_stack.take_snapshot()
        without()
        audited_stack.secure()
        found["secured"] = audited_stack.take_snapshot()
        audit_faults.correct_settings_left_by_firescreen(audited_stack)
        found["mended"] = audited_stack.take_snapshot()
        audited_stack.mend()
        audit_faults.make_faults(audited_stack, folder)
        found["faulty"] = audited_stack.take_snapshot()
        # TLS-03 is a real fault here: the certificate of one server is accepted by another server as a client's.
        assert audit_faults.accepts_client(audited_stack, "blackbox", audited_stack.pair("alertmanager"))
        assert not audit_faults.accepts_client(audited_stack, "blackbox", None)
        audited_stack.mend()
        found["again"] = audited_stack.take_snapshot()
    return found


@pytest.mark.parametrize(("check", "host", "state", "evidence", "file", "line"), FAULTS)
def test_a_fault_is_found_with_its_evidence(
    states: Mapping[str, AuditSnapshot],
    check: str,
    host: str,
    state: str,
    evidence: str,
    file: str,
    line: str,
) -> None:
    seen = states[state]
    found = seen.findings(check, host)
    good = [each for each in found if evidence in each.evidence and each.file.endswith(file)]
    assert good, [each.evidence for each in found]
    assert any(line in seen.line(each) for each in good), [seen.line(each) for each in good]
    assert "hunter2" not in "".join(each.evidence for each in seen.report.findings)


@pytest.mark.parametrize(("check", "host", "state"), sorted({row[:3] for row in FAULTS}))
def test_a_repaired_fault_is_not_found(
    states: Mapping[str, AuditSnapshot], check: str, host: str, state: str
) -> None:
    if check == "CFG-04" and not states[state].findings(check):
        return  # this generation has it mended already
    assert states[state].findings(check, host)
    mended = {"open": "secured", "faulty": "again", "secured": "mended"}[state]
    if check == "AUT-04":  # another hash on one of them
        mended = "faulty"
    assert not states[mended].findings(check, host)


def test_a_secured_stack_has_no_other_finding(states: Mapping[str, AuditSnapshot]) -> None:
    assert {each.id for each in states["secured"].report.findings} <= LEFT
    assert states["again"].found == states["secured"].found
    missed = {each.id for seen in states.values() for each in seen.report.could_not_check}
    assert missed == {"CVE-03"}, "the version of a Grafana that is nothing but files"
    values = [states[name].report.score.value for name in ("open", "faulty", "secured", "mended")]
    assert values == sorted(values), values
    assert values[0] < 40 and values[2] > 80


def test_all_checks_agree_on_the_version_of_a_distribution(states: Mapping[str, AuditSnapshot]) -> None:
    for seen in states.values():
        for finding in seen.report.findings:
            if finding.id.startswith("CVE"):
                assert not finding.certain and finding.severity == "low"
                assert finding.evidence.startswith("possibly: ")
