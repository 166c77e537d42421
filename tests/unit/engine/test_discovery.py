"""Discovery of services, of the files that a plan needs and of reasons why some are unknown; and their exposure."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.engine.loopback import serving
from tests.unit.engine.memory import MemoryConnection, Site, completed
from wizard import practice
from wizard.connections.practice import PracticeConnection
from wizard.engine import Engine, discovery, proposed_components
from wizard.engine.hosts import Hosts
from wizard.engine.scan import scan
from wizard.engine.spare_passwords import spares
from wizard.errors import (
    CredentialNeededError,
    HostError,
    InputError,
    PathError,
    UnreachableError,
    UnsafePathError,
)
from wizard.model import (
    WORKSPACE,
    ComponentSpec,
    Examined,
    Facts,
    FileState,
    Forward,
    HostSpec,
    PathInfo,
    Protection,
    Stack,
    UserSpec,
)
from wizard.workspace import Workspace

Make = Callable[..., Site]
CONFIG = "/etc/prometheus/prometheus.yml"


def stack_of(site: Site, *components: tuple[str, str], protect: tuple[Protection, ...] = ("tls",)) -> Stack:
    return Stack(
        hosts=site.specs,
        components=tuple(ComponentSpec(host=host, name=name, protect=protect) for host, name in components),
    )


@pytest.fixture
def pair(make_site: Make) -> Site:
    """srv1 with a node_exporter, and a Prometheus that scrapes it with a CA and target files."""
    site = make_site("srv1", "prom")
    site.manager.services = {
        "srv1": (site.service("srv1", listen="srv1:9100"),),
        "prom": (
            site.service(
                "prom", "prometheus", listen="prom:9090", config_file=CONFIG, home="/etc/prometheus"
            ),
        ),
    }
    site.connections["prom"].files |= {
        CONFIG: FileState(
            b"scrape_configs:\n- job_name: node\n  static_configs: [{targets: ['srv1:9100']}]\n"
            b"- job_name: file\n  scheme: https\n  tls_config: {ca_file: ca.crt}\n"
            b"  file_sd_configs: [{files: ['targets/*.yml']}]\n"
        ),
        "/etc/prometheus/ca.crt": FileState(b"a CA"),
        "/etc/prometheus/targets/a.yml": FileState(b"- targets: ['srv1:9100']\n"),
        "/etc/prometheus/targets/b.json": FileState(b"[]"),
    }
    site.connections["prom"].folders["/etc/prometheus"] = (0o755, "root", "root")
    return site


def discover(site: Site, stack: Stack) -> Facts:
    return discovery.inspect(stack, site.hosts(), site.workspace)


# -- discovery -----------------------------------------------------------------------------------------------


def test_facts_of_an_early_connection_are_used_once_while_fresh(make_site: Make) -> None:
    site = make_site("srv1", "srv2")
    early = {name: (site.service(name, unit="early"),) for name in ("srv1", "srv2")}
    site.manager.services = {name: (site.service(name, unit="late"),) for name in early}
    one, two = site.specs
    now = time.monotonic()
    found = {one: (now, early["srv1"]), two: (now - 60, early["srv2"])}
    kept = {spec: site.connections[spec.name] for spec in site.specs}
    with Hosts(site.workspace, site.specs, None, kept, discovered=found) as hosts:  # type: ignore[arg-type]

        def units(name: str) -> list[str]:
            hosts.ask_ahead(name, stack_of(site))
            return [service.unit for service in hosts.services(name)]

        assert [units("srv1"), units("srv2"), units("srv1")] == [["early"], ["late"], ["late"]]
    assert not found


def test_files_named_in_configuration_files_are_read_too(pair: Site) -> None:
    facts = discover(pair, stack_of(pair, ("srv1", "node_exporter"), ("prom", "prometheus")))
    files = facts.hosts["prom"].files
    assert files[CONFIG] is not None
    assert files["/etc/prometheus/ca.crt"] == FileState(b"a CA")
    assert files["/etc/prometheus/targets/a.yml"] is not None
    assert "/etc/prometheus/targets/b.json" not in files
    assert files["/etc/prometheus/targets/*.yml"] is None, "it stands for: looked at"
    assert facts.hosts["prom"].folders["/etc/prometheus"] == PathInfo("folder", 0o755, "root", "root", 0)
    assert facts.hosts["srv1"].root
    assert facts.hosts["srv1"].service("node_exporter") is not None
    assert facts.workspace == str(pair.workspace.root)
    assert "has no getent" in facts.hosts["prom"].resolver
    assert facts.hosts["prom"].examined[CONFIG] == Examined()


def test_without_protection_no_attributes_are_examined(pair: Site) -> None:
    facts = discover(pair, stack_of(pair, ("srv1", "node_exporter"), protect=()))
    assert facts.hosts["srv1"].examined == {}


def test_an_unreachable_host_is_skipped_if_the_others_do_not_need_it(pair: Site) -> None:
    pair.connections["srv1"].faults["identity", "srv1"] = UnreachableError("no answer", where="srv1")
    stack = stack_of(pair, ("srv1", "node_exporter"), ("prom", "prometheus"))
    facts = discover(pair, stack)
    assert facts.away == {"srv1": "no answer"}
    assert set(facts.hosts) == {WORKSPACE, "prom"}
    pair.connections["srv1"].faults.clear()
    pair.connections["prom"].faults["identity", "prom"] = UnreachableError("no answer", where="prom")
    with pytest.raises(UnreachableError):
        discover(pair, stack)
    only = replace(stack, hosts=pair.specs[1:], components=stack.components[1:])
    with pytest.raises(UnreachableError):
        discover(pair, only)


def test_any_other_failure_of_a_host_is_an_error(pair: Site) -> None:
    pair.connections["srv1"].faults["identity", "srv1"] = HostError("no shell", where="srv1")
    with pytest.raises(HostError, match="no shell"):
        discover(pair, stack_of(pair, ("srv1", "node_exporter")))


def test_untrusted_files_count_as_absent_with_a_reason(pair: Site) -> None:
    pair.connections["prom"].faults["read", "/etc/prometheus/ca.crt"] = UnsafePathError(
        "eve can change its folder", where="/etc/prometheus", todo="Look"
    )
    facts = discover(pair, stack_of(pair, ("srv1", "node_exporter")))
    known = facts.hosts["prom"]
    assert known.files["/etc/prometheus/ca.crt"] is None
    assert known.unreadable["/etc/prometheus/ca.crt"] == Examined(
        problem="eve can change its folder", where="/etc/prometheus", todo="Look"
    )
    assert "/etc/prometheus/ca.crt" not in known.examined
    pair.connections["prom"].faults.clear()
    engine = pair.engine()
    pair.connections["prom"].faults["read", "/etc/prometheus/ca.crt"] = PathError("it is a folder")
    with pytest.raises(HostError, match="left alone: it is a folder"):
        engine.plan(
            stack_of(pair, ("srv1", "node_exporter")),
            facts=discover(pair, stack_of(pair, ("srv1", "node_exporter"))),
        )


def test_an_unreadable_folder_of_target_files_is_reported(
    pair: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsafe(self: MemoryConnection, folder: str) -> tuple[str, ...]:
        raise PathError("eve can change it", where=folder)

    monkeypatch.setattr(MemoryConnection, "names", unsafe)
    facts = discover(pair, stack_of(pair, ("srv1", "node_exporter")))
    assert facts.hosts["prom"].unreadable["/etc/prometheus/targets/*.yml"].where == "/etc/prometheus/targets"


def test_an_unreadable_folder_counts_as_absent(pair: Site) -> None:
    pair.connections["srv1"].faults["stat", "/etc/node_exporter"] = PathError("a file stands there")
    facts = discover(pair, stack_of(pair, ("srv1", "node_exporter")))
    assert facts.hosts["srv1"].folders["/etc/node_exporter"] is None


def test_names_are_resolved_on_the_host(pair: Site) -> None:
    pair.connections["prom"].programs["sh"] = lambda *words: (
        completed("0 srv1 192.0.2.1\n") if "srv1" in words else completed()
    )
    facts = discover(pair, stack_of(pair, ("srv1", "node_exporter")))
    assert facts.hosts["prom"].resolved == {"srv1": ("192.0.2.1",)}
    assert facts.hosts["prom"].resolver == ""


def test_a_manual_host_is_described_by_the_stack_file(make_site: Make, tmp_path: Path) -> None:
    site = make_site("box", connect="manual")
    with serving(lambda path, headers: (200, b"")) as place:
        port = int(place.rpartition(":")[2])
        facts = discover(site, stack_of(site, ("box", "node_exporter"), ("box", "prometheus")))
    known = facts.hosts["box"]
    assert known.names == ("127.0.0.1", "box")
    node = known.service("node_exporter")
    assert node is not None
    assert node.is_manual
    assert node.home == str(site.workspace.outbox / "box" / "node_exporter")
    assert node.web_config == "", f"it does not speak TLS at {port}"
    assert not known.root
    assert "can only be resolved there" in known.resolver or known.resolver == ""


# -- connections ---------------------------------------------------------------------------------------------


def test_each_kind_of_host_has_its_connection(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "w").ensure()
    specs = (
        HostSpec(name="near", connect="local"),
        HostSpec(name="toy", connect="practice", address="127.0.77.1"),
        HostSpec(name="hand", connect="manual", address="192.0.2.9"),
        HostSpec(name="far", connect="ssh", address="192.0.2.8"),
        HostSpec(name="box", connect="incus", instance="box"),
    )
    kept: dict[HostSpec, object] = {}
    with Hosts(workspace, specs, None, kept) as hosts:  # type: ignore[arg-type]
        assert isinstance(hosts.connection("toy"), PracticeConnection)
        assert hosts.connection("near") is hosts.connection("near")
        assert hosts.connection(WORKSPACE).is_local
        assert hosts.names("toy") == ("127.0.77.1", "toy")
        assert hosts.names("hand") == ("192.0.2.9", "hand")
        assert not hosts.connection("far").is_local
        assert list(kept) == [specs[3]]
        assert type(hosts.connection("box")).__name__ == "IncusConnection"
        assert hosts.callers("toy", ()) == ()
        assert hosts.spec("hand").connect == "manual"
        assert hosts.services("toy") == ()


def test_a_forward_leads_through_its_host(make_site: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    site = make_site("srv1")
    asked: list[tuple[str, float]] = []
    left, right = socket.socketpair()

    def tunnel(self: MemoryConnection, place: str, seconds: float) -> socket.socket:
        asked.append((place, seconds))
        return left

    monkeypatch.setattr(MemoryConnection, "open_tunnel", tunnel)
    assert site.engine().dial(Forward(site.specs[0], "127.0.0.1:9100"), 3.0) is left
    assert asked == [("127.0.0.1:9100", 3.0)]
    left.close()
    right.close()

    def lost(self: MemoryConnection, place: str, seconds: float) -> socket.socket:
        raise UnreachableError("no answer")

    monkeypatch.setattr(MemoryConnection, "open_tunnel", lost)
    with pytest.raises(OSError, match="srv1: no answer"):
        site.engine().dial(Forward(site.specs[0], "127.0.0.1:9100"), 3.0)


def test_promtool_is_looked_for_beside_prometheus(pair: Site) -> None:
    hosts = pair.hosts()
    prometheus = pair.service("prom", "prometheus", program="/srv/bin/prometheus")
    assert hosts.promtool("prom", (prometheus,)) == ""
    pair.connections["prom"].files["/opt/prometheus/promtool"] = FileState(b"")
    assert hosts.promtool("prom", (prometheus,)) == "/opt/prometheus/promtool"
    pair.connections["prom"].files["/srv/bin/promtool"] = FileState(b"")
    assert hosts.promtool("prom", (prometheus,)) == "/srv/bin/promtool"


def test_missing_credentials_are_found_when_hosts_are_connected(pair: Site) -> None:
    engine = pair.engine()
    engine.reach(pair.specs)
    needed = CredentialNeededError("the password", kind="password", host="srv1")
    pair.connections["srv1"].faults["identity", "srv1"] = needed
    with pytest.raises(CredentialNeededError):
        engine.reach(pair.specs)
    pair.connections["srv1"].faults["identity", "srv1"] = UnreachableError("no answer")
    engine.reach(pair.specs)  # an unreachable host is tolerated if the others do not need it
    with pytest.raises(UnreachableError):
        engine.reach(pair.specs[:1])


def test_early_connections_are_closed_with_the_engine(tmp_path: Path) -> None:
    begun = MemoryConnection("far")
    engine = Engine(Workspace(tmp_path), None, {HostSpec(name="far", connect="ssh"): begun})
    engine.close()
    engine.close()
    assert begun.closed == 1


# -- exposure ------------------------------------------------------------------------------------------------


@pytest.fixture
def place() -> Iterator[str]:
    def answer(path: str, headers: object) -> tuple[int, bytes]:
        return 200, b"up 1\n"

    with serving(answer) as where:
        yield where


def test_a_scan_reports_unprotected_stopped_and_missing_components(pair: Site, place: str) -> None:
    with serving(lambda path, headers: (401, b"")) as guarded:
        pair.manager.services = {
            "srv1": (
                pair.service("srv1", listen=place, instance="", sockets=(f"*:{place.rpartition(':')[2]}",)),
                pair.service(
                    "srv1", unit="second", listen=guarded, sockets=(f"*:{guarded.rpartition(':')[2]}",)
                ),
                pair.service("srv1", "pushgateway", listen="127.0.0.1:1", sockets=("*:1",)),
            ),
            "prom": (),
        }
        stack = stack_of(pair, ("srv1", "node_exporter"), ("srv1", "pushgateway"), ("prom", "prometheus"))
        found = pair.engine().scan(stack, emit=pair.emit)
    states = {each.key: (each.state, each.words) for each in found.exposures}
    assert states["srv1/pushgateway"] == ("down", "does not answer")
    assert ("open", "unprotected: no TLS, no password") in states.values()
    assert ("partly", "password, but no TLS") in states.values()
    ids = {each.id for each in found.findings}
    assert {"not-found", "not-in-stack", "open-to-everyone", "not-answering"} <= ids
    assert {each.id for each in found.remarks} == {"not-found", "not-in-stack"}
    assert len(pair.events_of_kind("log")) == len(found.exposures)


def test_a_scan_reports_denied_access_to_docker(pair: Site) -> None:
    found = pair.engine().scan(stack_of(pair, ("srv1", "node_exporter")))
    assert "containers-not-shown" not in {each.id for each in found.remarks}
    facts = replace(
        found.facts,
        hosts={
            **found.facts.hosts,
            "srv1": replace(found.facts.hosts["srv1"], docker_denied=True, user="ada"),
        },
    )
    again = scan(found.stack, facts, pair.engine().dial, pair.emit)
    (remark,) = [each for each in again.remarks if each.id == "containers-not-shown"]
    assert remark.what == "containers on srv1 are not shown in full: the user ada may not ask Docker"
    assert remark.remediation == "add ada to the group docker and log in again, or use sudo"
    assert remark.severity == "ok", "it says nothing of how anything is protected"


def test_a_scan_reports_unreachable_hosts(pair: Site) -> None:
    pair.connections["srv1"].faults["identity", "srv1"] = UnreachableError("no answer", where="srv1")
    found = pair.engine().scan(stack_of(pair, ("srv1", "node_exporter"), ("prom", "prometheus")))
    assert next(each for each in found.findings if each.id == "host-away").host == "srv1"
    assert {each.host for each in found.exposures} == {"prom"}


def test_a_plan_from_discovered_facts_is_applied_and_undone(
    pair: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.unit.engine.fleet import Wire

    Wire().install(monkeypatch)
    engine = pair.engine()
    before = pair.files()
    stack = stack_of(pair, ("srv1", "node_exporter"))
    plan = replace(engine.plan(stack), watched=())
    assert plan.changes
    engine.refuse_silent(plan)
    outcome = engine.apply(plan)
    assert (outcome.state, outcome.error) == ("proven", None)
    assert {(each.kind, each.host) for each in engine.inventory(stack, engine.inspect(stack))} >= {
        ("certificate", "srv1"),
        ("authority", "prom"),
    }
    assert engine.undo().error is None
    assert pair.files() == before
    assert len(engine.verify(stack)) == len(plan.probes)


def test_the_recommended_level_is_proposed_for_all_found_components(pair: Site) -> None:
    found = proposed_components(
        [pair.service("srv1"), pair.service("srv1", "alertmanager"), pair.service("prom", "prometheus")]
    )
    recommended = ("tls", "basic_auth")
    assert {each.name: each.protect for each in found} == {
        "node_exporter": recommended,
        "alertmanager": recommended,
        "prometheus": recommended,
    }
    assert proposed_components(()) == ()


# -- passwords -----------------------------------------------------------------------------------------------


def test_a_password_is_generated_while_hosts_are_scanned(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path).ensure()
    user = UserSpec(name="prometheus", password="generate", cost=4)
    stack = Stack(
        hosts=(),
        components=(ComponentSpec(host="a", name="node_exporter", protect=("basic_auth",)),),
        users=(user, UserSpec(name="ada", password="prompt")),
    )
    with spares(stack, workspace) as made:
        found = made()
    assert list(found) == ["prometheus"]
    assert found["prometheus"].hashed.startswith("$2")
    (workspace.users).mkdir()
    (workspace.users / "prometheus.password").write_text("there is one")
    with spares(stack, workspace) as made:
        assert made() == {}
    with spares(replace(stack, components=()), workspace) as made:
        assert made() == {}


def test_the_practice_stack_is_created_in_the_workspace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Path, tuple[str, ...]]] = []
    stack = Stack(hosts=(), components=())
    monkeypatch.setattr(
        practice, "up", lambda root, cache, *, components, progress: asked.append((root, components))
    )
    monkeypatch.setattr(practice, "stack", lambda root: stack)
    engine = Engine(Workspace(tmp_path))
    assert engine.practice() is stack
    assert engine.practice(whole=True) is stack
    assert asked == [(tmp_path, ()), (tmp_path, practice.WHOLE)]


def test_a_component_that_is_not_there_is_an_input_error(pair: Site) -> None:
    pair.manager.services["srv1"] = ()
    with pytest.raises(InputError):
        pair.engine().plan(stack_of(pair, ("srv1", "node_exporter")))
