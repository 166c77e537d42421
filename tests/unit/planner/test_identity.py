"""A target is recognised as a server of the stack by every address that leads to it, and by no other."""

from __future__ import annotations

from collections.abc import Mapping
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
    Connect,
    Facts,
    FileState,
    FlagPlace,
    HostFacts,
    HostSpec,
    Plan,
    Service,
    Stack,
    UserSpec,
    WriteFile,
)
from wizard.planner import identity

ETC = "/etc/prometheus/prometheus.yml"
MONITOR = ("monitor", "monitor.example.org", "192.0.2.1", "2001:db8::1", "127.0.0.1", "::1", "localhost")
NODE = ("node1", "node1.example.org", "192.0.2.2", "2001:db8::2", "127.0.0.1", "::1", "localhost")


class Files(dict[str, FileState | None]):
    """The files of a host; a path that is missing here does not exist."""

    def __missing__(self, path: str) -> None:
        return None


def service(host: str, component: str, port: int, *listen: str, config: str = "") -> Service:
    return Service(
        host=host,
        component=component,
        manager="systemd",
        unit=component,
        version="3.5.0" if component == "prometheus" else "1.9.0",
        arguments=tuple(f"--web.listen-address={each}" for each in listen),
        listen=f"127.0.0.1:{port}",
        user="prometheus",
        group="prometheus",
        active=True,
        flags=FlagPlace("envfile", f"/etc/default/{component}", "ARGS"),
        home=f"/etc/{component}",
        config_file=config,
    )


def host(
    name: str, names: tuple[str, ...], *services: Service, connect: Connect = "ssh", **files: bytes
) -> HostFacts:
    there = {"/etc/default/node_exporter": b'ARGS=""\n', "/etc/default/prometheus": b'ARGS=""\n'}
    there |= {path.replace("__", "/"): content for path, content in files.items()}
    return HostFacts(
        spec=HostSpec(name=name, connect=connect),
        names=names,
        root=True,
        user="root",
        group="root",
        services=services,
        files=Files({path: FileState(text, 0o640, "root", "prometheus") for path, text in there.items()}),
    )


def with_config(
    known: HostFacts, *targets: str, text: str = "", more: dict[str, str] | None = None
) -> HostFacts:
    listed = "".join(f"      - {target!r}\n" for target in targets)
    config = text or f"scrape_configs:\n- job_name: site\n  static_configs:\n  - targets:\n{listed}"
    files = {ETC: config, **(more or {})}
    states = {path: FileState(each.encode(), 0o640, "root", "prometheus") for path, each in files.items()}
    return replace(known, files=Files({**known.files, **states}))


def site(
    *targets: str,
    resolved: Mapping[str, tuple[str, ...]] | None = None,
    resolver: str = "",
    on: str = "monitor",
    listen: tuple[str, ...] = (),
    text: str = "",
    more: dict[str, str] | None = None,
) -> tuple[Stack, Facts]:
    """A Prometheus on monitor whose one job has these targets, and a node_exporter `on` one of the hosts."""
    prometheus = service("monitor", "prometheus", 9090, config=ETC)
    node = service(on, "node_exporter", 9100, *listen)
    monitor = host("monitor", MONITOR, prometheus, *((node,) if on == "monitor" else ()))
    monitor = replace(
        with_config(monitor, *targets, text=text, more=more), resolved=resolved or {}, resolver=resolver
    )
    hosts = {"monitor": monitor, WORKSPACE: host(WORKSPACE, (), connect="local")}
    if on != "monitor":
        hosts[on] = host(on, NODE, node)
    specs = tuple(each.spec for name, each in hosts.items() if name != WORKSPACE)
    stack = Stack(
        hosts=specs,
        components=(ComponentSpec(host=on, name="node_exporter", protect=("tls", "basic_auth")),),
        users=(
            UserSpec(name="prometheus", cost=4),
        ),  # nobody guesses a password of these tests, so the hash may be cheap
    )
    return stack, Facts(hosts=hosts, workspace="/me")


def config_of(plan: Plan, path: str = ETC, name: str = "monitor") -> bytes:
    """Returns the content of a file after the plan; if the plan does not write it, the present content."""
    found = [
        change.after.content
        for change in plan.changes
        if isinstance(change, WriteFile) and (change.host, change.path) == (name, path) and change.after
    ]
    state = plan.facts.hosts[name].files[path]
    assert state is not None
    return found[-1] if found else state.content


def make_plan(stack: Stack, facts: Facts) -> Plan:
    return planner.plan(stack, facts, Answers())


def names_in_certificate(plan: Plan, name: str) -> tuple[str, ...]:
    (found,) = (
        change.after.content
        for change in plan.changes
        if isinstance(change, WriteFile)
        and change.path == "/etc/node_exporter/node_exporter.crt"
        and change.host == name
        and change.after
    )
    return issue.summary(found).names


def assert_recognised(plan: Plan, address: str) -> None:
    """Asserts that the plan edits the existing job and queries Prometheus about its target."""
    text = config_of(plan)
    assert text.count(b"job_name") == 1, text.decode()
    assert b"scheme: https" in text and address.encode() in text
    (up,) = (probe for probe in plan.probes if probe.kind == "up")
    assert up.instance == address and up.job == "site"
    assert "target-unclear" not in [each.id for each in plan.warnings]


# -- spellings ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "san"),
    [
        ("LOCALHOST:9100", "localhost"),
        ("localhost.:9100", "localhost"),
        ("localhost.localdomain:9100", "localhost.localdomain"),
        ("ip6-localhost:9100", "ip6-localhost"),
        ("127.0.1.1:9100", "127.0.1.1"),
        ("0.0.0.0:9100", "0.0.0.0"),
        ("[::]:9100", "::"),
        ("[0:0:0:0:0:0:0:1]:9100", "::1"),
        ("[::ffff:127.0.0.1]:9100", "127.0.0.1"),
        ("[::ffff:192.0.2.1]:9100", "192.0.2.1"),
        ("[2001:DB8:0::1]:9100", "2001:db8::1"),
        ("MONITOR.:9100", "monitor"),
        ("Monitor.Example.ORG:9100", "monitor.example.org"),
    ],
)
def test_addresses_of_the_prometheus_host_are_recognised(target: str, san: str) -> None:
    plan = make_plan(*site(target))
    assert_recognised(plan, target)
    assert san in names_in_certificate(plan, "monitor")


@pytest.mark.parametrize(
    ("target", "san"), [("NODE1.:9100", "node1"), ("Node1.example.org.:9100", "node1.example.org")]
)
def test_a_name_of_another_host_is_compared_as_dns_does(target: str, san: str) -> None:
    plan = make_plan(*site(target, on="node1"))
    assert_recognised(plan, target)
    assert san in names_in_certificate(plan, "node1")


@pytest.mark.parametrize(
    "addresses", [("192.0.2.2",), ("192.0.2.2", "2001:db8::2"), ("fe80::2", "192.0.2.2")]
)
def test_a_name_that_only_the_prometheus_host_resolves_is_recognised(addresses: tuple[str, ...]) -> None:
    known = {"metrics-a.example.org": addresses}
    plan = make_plan(*site("metrics-a.example.org:9100", on="node1", resolved=known))
    assert_recognised(plan, "metrics-a.example.org:9100")
    assert "metrics-a.example.org" in names_in_certificate(plan, "node1")
    assert config_of(plan).count(b"metrics-a") == 1, "the target stays as it was written"


def test_the_address_of_a_host_in_the_stack_file_need_not_be_on_its_interfaces() -> None:
    known = {"metrics-a.example.org": ("203.0.113.9",), "node1": ("203.0.113.9",)}
    assert_recognised(
        make_plan(*site("metrics-a.example.org:9100", on="node1", resolved=known)),
        "metrics-a.example.org:9100",
    )


def test_any_loopback_address_reaches_a_wildcard_listener_only() -> None:
    listener = identity.Listener(*_listening(":9100"))
    asker = listener.host
    assert identity.means(asker, "127.9.8.7:9100", listener)
    alone = identity.Listener(*_listening("127.0.0.1:9100"))
    assert identity.means(alone.host, "127.0.0.1:9100", alone)
    assert not identity.means(alone.host, "127.0.1.1:9100", alone)
    public = identity.Listener(*_listening("192.0.2.1:9100"))
    assert identity.means(public.host, "192.0.2.1:9100", public)
    assert not identity.means(public.host, "localhost:9100", public)
    assert not identity.means(public.host, "0.0.0.0:9100", public)
    several = identity.Listener(*_listening("192.0.2.1:9100", "[::1]:9101"))
    assert identity.means(several.host, "localhost:9101", several)
    assert not identity.means(several.host, "192.0.2.1:9101", several)


def _listening(*listen: str) -> tuple[HostFacts, Service]:
    mine = service("monitor", "node_exporter", 9100, *listen)
    return host("monitor", MONITOR, mine), mine


@pytest.mark.parametrize(
    "target",
    [
        "localhost:9100",
        "127.0.0.1:9100",
        "127.0.1.1:9100",
        "[::1]:9100",
        "0.0.0.0:9100",
        "ip6-localhost:9100",
    ],
)
def test_a_loopback_address_never_means_another_host(target: str) -> None:
    plan = make_plan(*site(target, on="node1"))
    assert config_of(plan).count(b"job_name") == 2
    assert config_of(plan).count(b"https") == 1


def test_a_name_that_resolves_to_loopback_never_means_another_host() -> None:
    plan = make_plan(*site("node1:9100", on="node1", resolved={"node1": ("127.0.1.1",)}))
    assert config_of(plan).count(b"job_name") == 2


def test_a_docker_bridge_address_means_the_clients_host() -> None:
    docker = "172.17.0.1"
    _, facts = site(f"{docker}:9100", on="node1")
    asker = replace(facts.hosts["monitor"], names=(*MONITOR, docker))
    other = replace(facts.hosts["node1"], names=(*NODE, docker))
    assert not identity.means(asker, f"{docker}:9100", identity.Listener(other, other.services[0]))


@pytest.mark.parametrize("target", ["node1:9101", "node11:9100", "1node1:9100", "192.0.2.22:9100", "node1"])
def test_another_port_or_name_is_not_recognised(target: str) -> None:
    stack, facts = site(target, on="node1", resolved={"node11": ("192.0.2.77",), "1node1": ()})
    assert config_of(make_plan(stack, facts)).count(b"job_name") == 2


# -- uncertain targets --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "resolved", "resolver", "words"),
    [
        ("pool.example.org:9100", {"pool.example.org": ("192.0.2.2", "192.0.2.1")}, "", "several hosts"),
        ("pool.example.org:9100", {"pool.example.org": ("192.0.2.2", "198.51.100.7")}, "", "several hosts"),
        (
            "gone.example.org:9100",
            {"gone.example.org": ()},
            "",
            "gone.example.org does not resolve on monitor",
        ),
        ("nat.example.org:9100", {"nat.example.org": ("198.51.100.7",)}, "", "198.51.100.7"),
        ("nat.example.org:19100", {"nat.example.org": ("192.0.2.2",)}, "", "port 19100"),
        ("far.example.org:9100", {}, "monitor has no getent", "no getent"),
    ],
)
def test_an_uncertain_target_is_reported_and_not_guessed(
    target: str, resolved: dict[str, tuple[str, ...]], resolver: str, words: str
) -> None:
    plan = make_plan(*site(target, on="node1", resolved=resolved, resolver=resolver))
    (warning,) = (each for each in plan.warnings if each.id == "target-unclear")
    assert words in warning.what and target in warning.what and "node1/node_exporter" in warning.what
    assert warning.host == "monitor" and warning.remediation


def test_an_alertmanager_with_an_ambiguous_name_is_reported() -> None:
    text = "alerting: {alertmanagers: [{static_configs: [{targets: ['alerts.example.org:9093']}]}]}\n"
    known = {"alerts.example.org": ("192.0.2.1", "192.0.2.2")}
    stack, facts = site(on="node1", text=text, resolved=known)
    node = facts.hosts["node1"]
    alerts = service("node1", "alertmanager", 9093)
    facts = replace(facts, hosts={**facts.hosts, "node1": replace(node, services=(*node.services, alerts))})
    stack = replace(stack, components=(ComponentSpec(host="node1", name="alertmanager", protect=("tls",)),))
    (warning,) = (each for each in make_plan(stack, facts).warnings if each.id == "target-unclear")
    assert (
        "alertmanagers 1" in warning.what
        and "node1/alertmanager" in warning.what
        and "several hosts" in warning.what
    )


@pytest.mark.parametrize(
    ("target", "on"), [("198.51.100.7:9100", "node1"), ("nat.example.org:9100", "monitor")]
)
def test_an_address_outside_the_stack_is_not_uncertain(target: str, on: str) -> None:
    plan = make_plan(*site(target, on=on, resolved={"nat.example.org": ("198.51.100.7",)}))
    assert "target-unclear" not in [each.id for each in plan.warnings]


def test_another_service_of_the_host_is_not_uncertain() -> None:
    stack, facts = site("192.0.2.2:9104", on="node1")
    node = facts.hosts["node1"]
    other = service("node1", "mysqld_exporter", 9104)
    facts = replace(facts, hosts={**facts.hosts, "node1": replace(node, services=(*node.services, other))})
    assert "target-unclear" not in [each.id for each in make_plan(stack, facts).warnings]


def test_only_unknown_names_are_resolved() -> None:
    stack, facts = site("node1:9100", "metrics-a.example.org.:9100", "METRICS-A.example.org:9101", on="node1")
    assert planner.wanted_names(stack, facts) == {"monitor": ("metrics-a.example.org", "monitor", "node1")}
    stack, facts = site("192.0.2.2:9100", "localhost:9100", "[::1]:9100", on="node1")
    assert planner.wanted_names(stack, facts) == {}


# -- other blocks of the configuration ----------------------------------------------------------------------


OTHERS = """\
scrape_configs:
- job_name: site
  static_configs: [{targets: ['Metrics-A.example.org:9100']}]
- job_name: probes
  metrics_path: /probe
  params: {module: [http_2xx]}
  relabel_configs:
  - {source_labels: [__address__], target_label: __param_target}
  - {source_labels: [__param_target], target_label: instance}
  - {target_label: __address__, replacement: 'IP6-Localhost:9115'}
  static_configs: [{targets: ['http://metrics-a.example.org.:9100/metrics']}]
alerting:
  alertmanagers:
  - static_configs: [{targets: ['ALERTS.example.org:9093']}]
remote_write:
- url: http://Store.example.org.:9090/api/v1/write
"""


def test_alertmanagers_remote_write_and_probed_urls_are_recognised_too() -> None:
    stack, facts = site(
        on="node1",
        text=OTHERS,
        resolved={
            "metrics-a.example.org": ("192.0.2.2",),
            "alerts.example.org": ("192.0.2.2",),
            "store.example.org": ("127.0.1.1",),
        },
        more={"/etc/blackbox.yml": "modules:\n  http_2xx:\n    prober: http\n"},
    )
    monitor, node = facts.hosts["monitor"], facts.hosts["node1"]
    prober = service("monitor", "blackbox_exporter", 9115, config="/etc/blackbox.yml")
    alerts = service("node1", "alertmanager", 9093)
    hosts = {
        **facts.hosts,
        "monitor": replace(monitor, services=(*monitor.services, prober)),
        "node1": replace(node, services=(*node.services, alerts)),
    }
    components = tuple(
        ComponentSpec(host=name, name=component, protect=("tls",))
        for name, component in (
            ("node1", "node_exporter"),
            ("node1", "alertmanager"),
            ("monitor", "prometheus"),
        )
    )
    plan = make_plan(replace(stack, components=components), replace(facts, hosts=hosts))
    arrows = {(arrow.how, arrow.server_host, arrow.server) for arrow in plan.arrows}
    assert ("alertmanagers 1", "node1", "alertmanager") in arrows
    assert ('remote_write "http://Store.example.org.:9090/api/v1/write"', "monitor", "prometheus") in arrows
    text = config_of(plan)
    assert b"https://metrics-a.example.org.:9100/metrics" in text
    assert b"url: https://Store.example.org.:9090/api/v1/write" in text


def test_the_query_for_up_names_the_labels_that_prometheus_has() -> None:
    text = (
        "scrape_configs:\n- job_name: site\n  static_configs: [{targets: ['NODE1.:9100'], "
        "labels: {instance: shop, job: nodes}}]\n"
    )
    plan = make_plan(*site(on="node1", text=text))
    (up,) = (probe for probe in plan.probes if probe.kind == "up")
    assert (up.instance, up.job, up.instance_label, up.job_label) == ("NODE1.:9100", "site", "shop", "nodes")


def test_a_target_without_a_port_is_refused_because_https_has_another() -> None:
    stack, facts = site("node1", on="node1", listen=(":80",))
    with pytest.raises(InputError) as error:
        make_plan(stack, facts)
    assert "port 443" in error.value.what and error.value.where == f"monitor:{ETC}"
    assert "node1:80" in error.value.todo


# -- files that a configuration includes --------------------------------------------------------------------


MAIN = """\
scrape_config_files: [jobs/*.yml, /srv/more.yml]
scrape_configs:
- job_name: prometheus  # itself
  static_configs: [{targets: ['localhost:9090']}]
"""
INCLUDED = """\
# managed by the web team
scrape_configs:
  - job_name:   'web'
    file_sd_configs: [{files: [lists/*.json]}]
    basic_auth: {username: old, password_file: old.pw}   # as ever
"""
LIST = '[{"targets": ["NODE1.:9100"]}]'


def with_included_files(**more: str) -> tuple[Stack, Facts]:
    files = {
        "/etc/prometheus/jobs/web.yml": INCLUDED,
        "/etc/prometheus/jobs/lists/a.json": LIST,
        "/srv/more.yml": "scrape_configs: []\n",
        **more,
    }
    return site(on="node1", text=MAIN, more=files)


def test_a_job_in_an_included_file_is_edited_and_not_duplicated() -> None:
    plan = make_plan(*with_included_files())
    assert config_of(plan) == MAIN.encode(), "its own file stays as it is"
    after = config_of(plan, "/etc/prometheus/jobs/web.yml").decode()
    assert after.startswith("# managed by the web team\nscrape_configs:\n  - job_name:   'web'\n")
    assert "scheme: https" in after and "username: prometheus" in after and "# as ever" in after
    assert "ca_file: /etc/prometheus/firescreen-ca.crt" in after
    edits = [each for each in plan.changes if isinstance(each, WriteFile) and each.path.endswith("web.yml")]
    assert {each.check for each in edits if each.host == "monitor"} == {"prometheus-config"}
    (up,) = (probe for probe in plan.probes if probe.kind == "up")
    assert (up.job, up.instance) == ("web", "NODE1.:9100")


def test_paths_in_an_included_file_are_relative_to_it() -> None:
    stack, facts = with_included_files()
    wanted = planner.wanted_files(stack, facts)["monitor"]
    for path in (
        "/etc/prometheus/jobs/*.yml",
        "/srv/more.yml",
        "/etc/prometheus/jobs/lists/*.json",
        "/etc/prometheus/jobs/old.pw",
    ):
        assert path in wanted


def test_a_new_job_goes_to_the_main_file_with_an_unused_name() -> None:
    taken = "scrape_configs: [{job_name: node_exporter, static_configs: [{targets: ['other:1']}]}]\n"
    empty = {"/etc/prometheus/jobs/web.yml": taken}
    plan = make_plan(*with_included_files(**empty))
    assert config_of(plan, "/etc/prometheus/jobs/web.yml") == taken.encode()
    assert b"job_name: node_exporter-node1" in config_of(plan)


def test_a_damaged_included_file_is_named() -> None:
    with pytest.raises(InputError) as error:
        make_plan(*with_included_files(**{"/srv/more.yml": "scrape_configs: {a\n"}))
    assert error.value.where.startswith("monitor:/srv/more.yml")


# -- several Prometheus -------------------------------------------------------------------------------------


def two_prometheus(first: str, second: str) -> tuple[Stack, Facts]:
    """Two Prometheus with the given targets, and a node_exporter on another host."""
    stack, facts = site(first, on="node1")
    shard = host("shard", ("shard", "192.0.2.3"), service("shard", "prometheus", 9090, config=ETC))
    hosts = {**facts.hosts, "shard": with_config(shard, second)}
    return replace(stack, hosts=(*stack.hosts, hosts["shard"].spec)), replace(facts, hosts=hosts)


def test_a_server_that_one_prometheus_scrapes_gets_no_job_on_another() -> None:
    plan = make_plan(*two_prometheus("elsewhere:9100", "NODE1.:9100"))
    assert b"https" not in config_of(plan) and config_of(plan).count(b"job_name") == 1
    assert config_of(plan, name="shard").count(b"job_name") == 1
    assert b"scheme: https" in config_of(plan, name="shard")
    assert "job-added" not in [each.id for each in plan.warnings]


def test_an_unscraped_server_gets_one_job_and_the_plan_says_where() -> None:
    plan = make_plan(*two_prometheus("elsewhere:1", "elsewhere:2"))
    assert config_of(plan).count(b"job_name") == 2 and config_of(plan, name="shard").count(b"job_name") == 1
    (warning,) = (each for each in plan.warnings if each.id == "job-added")
    assert "monitor/prometheus gets a job" in warning.what and "first of the stack" in warning.what


def test_the_prometheus_of_the_servers_own_host_is_preferred() -> None:
    stack, facts = two_prometheus("elsewhere:1", "elsewhere:2")
    shard = facts.hosts["shard"]
    node = service("shard", "node_exporter", 9100)
    facts = replace(facts, hosts={**facts.hosts, "shard": replace(shard, services=(*shard.services, node))})
    stack = replace(stack, components=(ComponentSpec(host="shard", name="node_exporter", protect=("tls",)),))
    plan = make_plan(stack, facts)
    assert config_of(plan).count(b"job_name") == 1 and config_of(plan, name="shard").count(b"job_name") == 2
    (warning,) = (each for each in plan.warnings if each.id == "job-added")
    assert "same host" in warning.what


def test_a_prometheus_that_does_not_scrape_the_server_gets_no_certificate() -> None:
    stack, facts = two_prometheus("elsewhere:9100", "NODE1.:9100")
    (component,) = stack.components
    stack = replace(
        stack,
        components=(replace(component, protect=("tls", "client_cert")),),
        certificates=CertificateSpec(issued_by="self-signed"),
    )
    plan = make_plan(stack, facts)
    (bundle,) = (
        each.after.content
        for each in plan.changes
        if isinstance(each, WriteFile) and each.path.endswith("client-ca.crt") and each.after
    )
    assert bundle.count(b"BEGIN CERTIFICATE") == 2, "the shard's and that of the probes"
    assert not [each for each in plan.changes if each.host == "monitor"]


def test_federation_counts_as_a_scrape_and_gets_ca_and_login() -> None:
    stack, facts = two_prometheus("elsewhere:1", "elsewhere:2")
    federate = (
        "scrape_configs:\n- job_name: federate\n  metrics_path: /federate\n  honor_labels: true\n"
        "  params: {'match[]': ['{job=\"node\"}']}\n  static_configs: [{targets: ['SHARD:9090']}]\n"
    )
    facts = replace(
        facts, hosts={**facts.hosts, "monitor": with_config(facts.hosts["monitor"], text=federate)}
    )
    protected = ComponentSpec(host="shard", name="prometheus", protect=("tls", "basic_auth"))
    plan = make_plan(replace(stack, components=(protected,)), facts)
    text = config_of(plan).decode()
    assert text.count("job_name") == 1 and "scheme: https" in text and "password_file" in text
    assert config_of(plan, name="shard").count(b"job_name") == 1


# -- existing passwords -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "words"),
    [("\ufeffsecret", "byte order mark"), ("J\udcf6rg", "not UTF-8"), ("one\ntwo", "has 2 lines")],
)
def test_a_binary_password_file_is_refused_with_its_path(content: str, words: str) -> None:
    stack, facts = site("node1:9100", on="node1")
    monitor = facts.hosts["monitor"]
    path = "/etc/prometheus/prometheus.password"
    state = FileState(content.encode("utf-8", "surrogateescape"), 0o640, "root", "prometheus")
    monitor = replace(monitor, files=Files({**monitor.files, path: state}))
    with pytest.raises(InputError) as error:
        make_plan(stack, replace(facts, hosts={**facts.hosts, "monitor": monitor}))
    assert words in error.value.what and error.value.where == f"monitor:{path}"


def applied(plan: Plan) -> Facts:
    """Returns the facts after a plan was applied."""
    hosts = dict(plan.facts.hosts)
    for change in plan.changes:
        known = hosts[change.host]
        if isinstance(change, WriteFile):
            hosts[change.host] = replace(known, files=Files({**known.files, change.path: change.after}))
    node = hosts["node1"]
    running = replace(node.services[0], web_config="/etc/node_exporter/web.yml")
    hosts["node1"] = replace(node, services=(running,))
    return replace(plan.facts, hosts=hosts)


def test_a_password_is_replaced_in_an_included_file_too() -> None:
    stack, facts = with_included_files()
    facts = applied(make_plan(stack, facts))
    path = "/etc/prometheus/jobs/web.yml"
    was = facts.hosts["monitor"].files[path]
    plan = planner.plan(stack, facts, Answers(renew=frozenset({"passwords"})))
    edits = [each for each in plan.changes if isinstance(each, WriteFile) and each.path == path]
    assert [each.before == was for each in edits] == [True, False] and edits[-1].after == was
    assert edits[0].after is not None and b"username: prometheus-next" in edits[0].after.content
    assert not [each for each in plan.changes if isinstance(each, WriteFile) and each.path == ETC]


def test_a_second_plan_changes_nothing_on_the_hosts() -> None:
    stack, facts = with_included_files()
    facts = applied(make_plan(stack, facts))
    again = [each for each in make_plan(stack, facts).changes if isinstance(each, WriteFile)]
    assert [
        each.path for each in again if each.host != WORKSPACE and each.path != "/etc/default/node_exporter"
    ] == []
