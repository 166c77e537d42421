"""Certificate distribution: files that are sent, that arrived and that must stay, and private keys sent
between hosts.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from screens.certificate_distribution.data import (
    Distribution,
    count_states,
    found_distribution,
    planned_distribution,
    read_back,
)
from screens.certificate_distribution.screen import describe_certificate, describe_keys
from tests.screens.many_hosts import names, stack_of
from wizard.certificates import issue
from wizard.model import (
    WORKSPACE,
    Change,
    ContentKind,
    Facts,
    FileState,
    HostFacts,
    HostSpec,
    Plan,
    PlannedStep,
    StepKind,
    WriteFile,
)

ROOT = "/home/anna/firescreen"
CA, CA_KEY = f"{ROOT}/ca/ca.crt", f"{ROOT}/ca/ca.key"
HOSTS = names(3)


@pytest.fixture(scope="module")
def pem_files() -> dict[str, bytes]:
    """Returns a CA and a server's certificate and key, as PEM."""
    ca_key, key = issue.new_key("ec-p256"), issue.new_key("ec-p256")
    ca = issue.new_ca(name="Firescreen CA", key_pem=ca_key, days=30)
    leaf = issue.issue(
        ca_cert=ca, ca_key=ca_key, key_pem=key, names=("srv001",), days=10, common_name="srv001"
    )
    return {"ca": ca, "ca_key": ca_key, "leaf": leaf, "key": key}


def facts(files: dict[str, dict[str, FileState | None]] | None = None) -> Facts:
    """Returns facts of three hosts and the workspace with these files."""
    known = {
        host: HostFacts(spec=HostSpec(name=host, connect="practice"), files=(files or {}).get(host, {}))
        for host in (WORKSPACE, *HOSTS)
    }
    return Facts(known, workspace=ROOT)


def write(host: str, path: str, content: bytes, mode: int = 0o644) -> WriteFile:
    kind = ContentKind.PRIVATE_KEY if path.endswith(".key") else ContentKind.CERTIFICATE
    return WriteFile(
        host=host, path=path, before=None, after=FileState(content, mode), why="", content_kind=kind
    )


def distribution_plan(pem_files: dict[str, bytes], *more: Change) -> Plan:
    """Returns a plan for a new CA, its copy on two hosts, and a certificate and key for one of them."""
    changes = (
        write(WORKSPACE, CA_KEY, pem_files["ca_key"], 0o600),
        write(WORKSPACE, CA, pem_files["ca"], 0o600),
        write("monitor", "/etc/prometheus/ca.crt", pem_files["ca"]),
        write("srv001", "/etc/node_exporter/client-ca.crt", pem_files["ca"]),
        write("srv001", "/etc/node_exporter/node.crt", pem_files["leaf"]),
        write("srv001", "/etc/node_exporter/node.key", pem_files["key"], 0o640),
        *more,
    )
    step = PlannedStep(id="all", kind=StepKind.CA, title="All", host="srv001", why="", changes=changes)
    return Plan(stack=stack_of(3), facts=facts(), steps=(step,), probes=())


def files_after_run(plan: Plan) -> dict[str, dict[str, FileState | None]]:
    """Returns the files as a run of the plan leaves them."""
    left: dict[str, dict[str, FileState | None]] = {}
    for change in plan.changes:
        assert isinstance(change, WriteFile)
        left.setdefault(change.host, {})[change.path] = change.after
    return left


def keys(travels: Distribution) -> str:
    return " ".join(describe_keys(travels, 60).plain.split())


def test_each_certificate_is_listed_once_with_all_its_places(pem_files: dict[str, bytes]) -> None:
    ca, leaf = planned_distribution(distribution_plan(pem_files)).certificates
    assert (ca.kind, ca.hosts) == ("CA certificate", ("monitor", "srv001"))
    assert ca.made is not None and ca.made.place == (WORKSPACE, CA)
    assert (leaf.kind, leaf.hosts, leaf.made) == ("server certificate", ("srv001",), None)
    assert {copy.state for one in (ca, leaf) for copy in one.copies} == {"planned"}
    text = describe_certificate(ca, 60).plain
    for part in (
        "/etc/prometheus/ca.crt",
        "0644 root:root",
        issue.summary(pem_files["ca"]).fingerprint[:20],
        CA,
    ):
        assert part in text


def test_a_certificate_that_is_in_place_is_not_sent_again(pem_files: dict[str, bytes]) -> None:
    plan = distribution_plan(pem_files)
    again = replace(plan, facts=facts(files_after_run(plan)))
    assert count_states(planned_distribution(again).certificates) == {"there": 3}
    assert count_states(found_distribution(again.facts).certificates) == {"there": 3}


def test_files_on_the_host_are_compared_with_those_sent(pem_files: dict[str, bytes]) -> None:
    plan = distribution_plan(pem_files)
    files = files_after_run(plan)
    assert count_states(read_back(plan, facts(files)).certificates) == {"arrived": 3}
    stranger = issue.new_ca(name="A stranger", key_pem=issue.new_key("ec-p256"), days=5)
    files["monitor"]["/etc/prometheus/ca.crt"] = FileState(stranger, 0o644)
    files["srv001"]["/etc/node_exporter/client-ca.crt"] = None
    del files["srv001"]["/etc/node_exporter/node.crt"]
    travels = read_back(plan, facts(files))
    assert count_states(travels.certificates) == {"other": 1, "missing": 1, "unseen": 1}
    text = describe_certificate(travels.certificates[0], 60).plain
    assert "✗ monitor: another certificate" in text
    assert issue.summary(stranger).fingerprint[:20] in text
    assert "✗ srv001: missing" in text


def test_a_bundle_is_read_certificate_by_certificate(pem_files: dict[str, bytes]) -> None:
    bundle = {
        "monitor": {
            "/etc/bundle": FileState(pem_files["leaf"] + pem_files["ca"]),
            "/etc/bad": FileState(BROKEN),
        }
    }
    on_hosts = found_distribution(facts(bundle))  # type: ignore[arg-type]
    assert [one.kind for one in on_hosts.certificates] == ["CA certificate", "server certificate"]


BROKEN = b"-----BEGIN CERTIFICATE-----\nbm90IG9uZQ==\n-----END CERTIFICATE-----\n"


def test_a_key_that_stays_is_named_and_one_that_is_copied_is_reported(pem_files: dict[str, bytes]) -> None:
    text = keys(planned_distribution(distribution_plan(pem_files)))
    assert "✓ The CA's key is in the workspace only" in text
    assert "✓ A key of srv001 is there only" in text
    assert "✗" not in text
    worse = distribution_plan(
        pem_files,
        write("srv002", "/etc/ca.key", pem_files["ca_key"] + b"\n"),
        write("srv002", "/etc/node.key", pem_files["key"]),
    )
    text = keys(planned_distribution(worse))
    assert "✗ The CA's key is on srv002" in text
    assert "! A shared key is on srv001, srv002" in text
    assert "PRIVATE KEY" not in text
