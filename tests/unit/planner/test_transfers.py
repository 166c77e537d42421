"""Transfers of certificates to another host are listed in the plan; transfers of keys are refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wizard import planner
from wizard.certificates import issue
from wizard.errors import InputError
from wizard.model import (
    WORKSPACE,
    Answers,
    CertificateSpec,
    ComponentSpec,
    ContentKind,
    Facts,
    FileState,
    FlagPlace,
    HostFacts,
    HostSpec,
    OwnFiles,
    Plan,
    Protection,
    Service,
    Stack,
    WriteFile,
)
from wizard.planner import transfers

ROOM = "/me"
CONFIG = b"""\
scrape_configs:
  - job_name: prometheus
    static_configs: [{targets: ['localhost:9090']}]
  - job_name: node
    static_configs: [{targets: ['srv1:9100']}]
"""
LEVEL: tuple[Protection, ...] = ("tls", "client_cert")


class Files(dict[str, FileState | None]):
    """The files of a host; a path that is missing here does not exist."""

    def __missing__(self, path: str) -> None:
        return None


def make_pair(name: str, *, client: bool = False) -> tuple[bytes, bytes]:
    """A self-signed certificate and its key."""
    key = issue.new_key("ec-p256")
    names = (name, "localhost", "192.0.2.1", "192.0.2.2")
    return issue.self_signed(key_pem=key, names=names, days=90, common_name=name, client=client), key


def service(host: str, component: str, port: int, *, config: str = "") -> Service:
    return Service(
        host=host,
        component=component,
        manager="systemd",
        unit=f"{component}.service",
        version="3.5.0" if component == "prometheus" else "1.9.0",
        listen=f"{host}:{port}",
        user="prometheus",
        group="prometheus",
        active=True,
        flags=FlagPlace("envfile", f"/etc/default/{component}", "ARGS"),
        home=f"/etc/{component}",
        config_file=config,
    )


def facts(**files: dict[str, bytes]) -> Facts:
    """srv1 with node_exporter and prometheus with Prometheus, both over SSH, with additional files."""
    own = {
        "srv1": {"/etc/default/node_exporter": b'ARGS=""\n'},
        "prometheus": {"/etc/default/prometheus": b'ARGS=""\n', "/etc/prometheus/prometheus.yml": CONFIG},
        WORKSPACE: {},
    }
    services = {
        "srv1": (service("srv1", "node_exporter", 9100),),
        "prometheus": (service("prometheus", "prometheus", 9090, config="/etc/prometheus/prometheus.yml"),),
        WORKSPACE: (),
    }
    return Facts(
        hosts={
            host: HostFacts(
                spec=HostSpec(name=host, connect="local" if host == WORKSPACE else "ssh"),
                names=(host,),
                root=True,
                user="root",
                group="root",
                services=services[host],
                files=Files(
                    {
                        path: FileState(content, 0o640, "root", "prometheus")
                        for path, content in {**own[host], **files.get(host, {})}.items()
                    }
                ),
            )
            for host in own
        },
        workspace=ROOM,
    )


def stack(issued_by: str = "ca", **own: OwnFiles) -> Stack:
    return Stack(
        hosts=(HostSpec(name="srv1", connect="ssh"), HostSpec(name="prometheus", connect="ssh")),
        components=tuple(
            ComponentSpec(host=host, name=name, protect=LEVEL, files=own.get(host, OwnFiles()))
            for host, name in (("srv1", "node_exporter"), ("prometheus", "prometheus"))
        ),
        certificates=CertificateSpec(issued_by=issued_by),  # type: ignore[arg-type]
    )


def make_plan(wanted: Stack, found: Facts) -> Plan:
    return planner.plan(wanted, found, Answers())


def transfer_text(plan: Plan, host: str, path: str) -> list[str]:
    """Returns the plan's text about a file, from the word 'from' on."""
    (change,) = (each for each in writes(plan) if (each.host, each.path) == (host, path))
    shown = change.diff()
    assert all(line in shown for line in change.about), "what it says is drawn"
    begin = next((n for n, line in enumerate(change.about) if line.startswith("from ")), len(change.about))
    return list(change.about[begin:])


def writes(plan: Plan) -> list[WriteFile]:
    return [change for change in plan.changes if isinstance(change, WriteFile)]


def fingerprint(pem: bytes) -> str:
    return issue.summary(pem).fingerprint


# -- certificates -------------------------------------------------------------------------------------------


def test_the_plan_names_source_and_target_of_each_certificate() -> None:
    plan = make_plan(stack(), facts())
    assert transfer_text(plan, "prometheus", "/etc/prometheus/firescreen-ca.crt") == [
        "from       this machine: /me/ca/ca.crt",
        "to         prometheus: /etc/prometheus/firescreen-ca.crt, 0644 root:prometheus",
    ]
    assert transfer_text(plan, "srv1", "/etc/node_exporter/node_exporter.crt") == [
        "from       this machine, where it is made",
        "to         srv1: /etc/node_exporter/node_exporter.crt, 0644 root:prometheus",
    ]
    for change in writes(plan):
        crosses = change.host != WORKSPACE and change.path.endswith(".crt")
        assert any(line.startswith("to ") for line in change.about) == crosses, change.path
        if crosses and change.after:
            assert fingerprint(change.after.content) in change.diff()


def test_a_pinned_certificate_goes_from_server_to_prometheus() -> None:
    certificate, key = make_pair("srv1")
    own = OwnFiles(cert_file="/etc/ssl/own.crt", key_file="/etc/ssl/own.key")
    found = facts(srv1={"/etc/ssl/own.crt": certificate, "/etc/ssl/own.key": key})
    plan = make_plan(stack("self-signed", srv1=own), found)
    assert transfer_text(plan, "prometheus", "/etc/prometheus/srv1-node_exporter.crt")[:1] == [
        "from       srv1: /etc/ssl/own.crt"
    ]


def test_the_manual_commands_copy_the_servers_trust_anchor() -> None:
    ca_key = issue.new_key("ec-p256")
    authority = issue.new_ca(name="theirs", key_pem=ca_key, days=90)
    key = issue.new_key("ec-p256")
    names = ("srv1", "localhost", "192.0.2.1")
    certificate = issue.issue(
        ca_cert=authority, ca_key=ca_key, key_pem=key, names=names, days=30, common_name="srv1"
    )
    files = {"/etc/ssl/own.crt": certificate, "/etc/ssl/own.key": key, "/etc/ssl/ca.crt": authority}
    own = OwnFiles(cert_file="/etc/ssl/own.crt", key_file="/etc/ssl/own.key", ca_file="/etc/ssl/ca.crt")
    plan = make_plan(stack("self-signed", srv1=own), facts(srv1=files))
    (copied,) = (each for each in writes(plan) if each.path == f"{ROOM}/trust/srv1-node_exporter.crt")
    assert copied.after is not None
    assert copied.after.content == authority
    assert "/etc/ssl/ca.crt" in copied.commands()[0]


def test_the_plan_names_each_of_several_certificates() -> None:
    plan = make_plan(stack("self-signed"), facts())
    bundle = next(each for each in writes(plan) if each.path == "/etc/node_exporter/client-ca.crt")
    assert bundle.after is not None
    many = [line for line in bundle.about if line.startswith("SHA-256")]
    assert len(many) == bundle.after.content.count(b"BEGIN CERTIFICATE") == 2
    assert sorted(line for line in bundle.about if line.startswith("from ")) == [
        "from       prometheus: /etc/prometheus/prometheus-client.crt",
        "from       this machine: /me/clients/firescreen.crt",
    ]


def test_no_certificate_is_transferred_on_one_machine() -> None:
    found = facts()
    hosts = {
        name: replace(known, spec=replace(known.spec, connect="local")) for name, known in found.hosts.items()
    }
    plan = make_plan(stack(), replace(found, hosts=hosts))
    assert [change.path for change in writes(plan) if any("from  " in line for line in change.about)] == []


def test_the_received_file_is_compared_with_the_sent_one() -> None:
    plan = make_plan(stack(), facts())
    change = next(each for each in writes(plan) if each.path == "/etc/prometheus/firescreen-ca.crt")
    assert change.after is not None
    assert planner.transfer_fault(change, change.after) == ""
    other = make_pair("other")[0]
    fault = planner.transfer_fault(change, replace(change.after, content=other))
    assert fingerprint(other) in fault
    assert fingerprint(change.after.content) in fault
    assert "0600 root:prometheus" in planner.transfer_fault(change, replace(change.after, mode=0o600))
    assert "not there" in planner.transfer_fault(change, None)
    assert planner.transfer_fault(change, replace(change.after, content=b"cut")) != ""


# -- keys ---------------------------------------------------------------------------------------------------


def refusal_of(wanted: Stack, found: Facts) -> InputError:
    with pytest.raises(InputError) as problem:
        make_plan(wanted, found)
    assert problem.value.todo
    return problem.value


def keys_on(plan: Plan, host: str) -> set[bytes]:
    """Returns the private keys that a plan writes to a host, also in its diffs and commands."""
    mine = [change for change in writes(plan) if change.host == host]
    shown = "".join("".join((change.diff(), *change.commands())) for change in writes(plan))
    assert "PRIVATE KEY" not in shown
    return {key for each in mine if each.after for key in transfers.private_keys(each.after.content)}


def test_an_ordinary_plan_puts_each_key_on_one_host_only() -> None:
    plan = make_plan(stack(), facts())
    by_host = [keys_on(plan, host) for host in (WORKSPACE, "srv1", "prometheus")]
    assert [len(keys) for keys in by_host] == [3, 1, 2], (
        "the CA's and the probes' two; a server's; and a client's"
    )
    assert len(set.union(*by_host)) == 6


def test_the_shared_pair_may_be_copied_to_nodes() -> None:
    certificate, key = make_pair("srv1", client=True)
    found = facts(**{WORKSPACE: {f"{ROOM}/shared/node.crt": certificate, f"{ROOM}/shared/node.key": key}})
    assert keys_on(make_plan(stack("shared"), found), "srv1") == set(transfers.private_keys(key))


def test_prometheus_own_key_as_the_pair_of_all_nodes_is_refused() -> None:
    certificate, key = make_pair("srv1", client=True)
    found = facts(
        **{WORKSPACE: {f"{ROOM}/shared/node.crt": certificate, f"{ROOM}/shared/node.key": key}},
        prometheus={"/etc/prometheus/prometheus.crt": certificate, "/etc/prometheus/prometheus.key": key},
    )
    problem = refusal_of(stack("shared"), found)
    assert "Prometheus' own private key on prometheus would be copied to" in problem.what
    assert "on srv1" in problem.what
    assert problem.where == "prometheus:/etc/prometheus/prometheus.key"


def test_the_ca_s_key_as_the_pair_of_all_nodes_is_refused() -> None:
    key = issue.new_key("ec-p256")
    authority = issue.new_ca(name="mine", key_pem=key, days=90)
    certificate = issue.self_signed(
        key_pem=key, names=("srv1", "192.0.2.1"), days=90, common_name="srv1", client=True
    )
    found = facts(
        **{
            WORKSPACE: {
                f"{ROOM}/ca/ca.crt": authority,
                f"{ROOM}/ca/ca.key": key,
                f"{ROOM}/shared/node.crt": certificate,
                f"{ROOM}/shared/node.key": key,
            }
        }
    )
    problem = refusal_of(stack("shared"), found)
    assert "the private key of your CA would be copied to /etc/node_exporter/node_exporter.key on srv1" in (
        problem.what
    )
    assert problem.where == f"{ROOM}/shared/node.key"


@pytest.mark.parametrize("which", ["key_file", "client_key_file"])
def test_the_ca_s_key_for_a_server_or_client_is_refused(which: str) -> None:
    key = issue.new_key("ec-p256")
    authority = issue.new_ca(name="mine", key_pem=key, days=90)
    certificate = issue.self_signed(
        key_pem=key, names=("prometheus", "localhost"), days=90, common_name="x", client=True
    )
    files = {"/etc/ssl/own.crt": certificate, "/etc/ssl/own.key": key}
    found = facts(**{WORKSPACE: {f"{ROOM}/ca/ca.crt": authority, f"{ROOM}/ca/ca.key": key}}, prometheus=files)
    named = {which: "/etc/ssl/own.key", which.replace("key", "cert"): "/etc/ssl/own.crt"}
    problem = refusal_of(stack(prometheus=OwnFiles(**named)), found)
    assert "the private key of your CA" in problem.what
    assert problem.where == "prometheus:/etc/ssl/own.key"


def test_only_the_certificate_of_a_file_with_its_key_is_copied() -> None:
    certificate, key = make_pair("srv1")
    own = OwnFiles(cert_file="/etc/ssl/both.pem", key_file="/etc/ssl/both.pem")
    plan = make_plan(stack("self-signed", srv1=own), facts(srv1={"/etc/ssl/both.pem": certificate + key}))
    for host in (WORKSPACE, "prometheus"):
        assert not keys_on(plan, host) & set(transfers.private_keys(key))
    copied = next(each for each in writes(plan) if each.path == "/etc/prometheus/srv1-node_exporter.crt")
    assert copied.after is not None
    assert copied.after.content == certificate
    typed = [command.partition("\n")[0] for each in writes(plan) for command in each.commands()]
    assert not [command for command in typed if "both.pem" in command], "it would bring the key along"


def test_a_password_file_that_is_a_key_is_not_sent() -> None:
    # The least obvious case: a stack file names the CA's key as a password file.
    key = issue.new_key("ec-p256")
    change = WriteFile(
        host="srv1",
        path="/etc/x",
        before=None,
        after=FileState(b"user: x\n" + key),
        why="",
        content_kind=ContentKind.PASSWORD,
        secret=True,
    )
    found = facts(**{WORKSPACE: {f"{ROOM}/ca/ca.crt": issue.new_ca(name="mine", key_pem=key, days=90)}})
    plan = make_plan(stack(), facts())
    step = replace(plan.steps[0], changes=(change,))
    with pytest.raises(InputError, match="private key of your CA would be copied to /etc/x on srv1"):
        transfers.refuse(stack(), found, (step,))


def test_an_encrypted_key_is_recognised_too() -> None:
    from wizard.redact import Secret

    locked = issue.lock(issue.new_key("ec-p256"), Secret("a passphrase"))
    assert transfers.private_keys(locked) == transfers.private_keys(b"text before\n" + locked)
    assert transfers.private_keys(locked) != transfers.private_keys(
        issue.lock(issue.new_key("ec-p256"), Secret("x"))
    )
