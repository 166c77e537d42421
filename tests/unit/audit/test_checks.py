"""Checks that no practice stack can show: sockets of other hosts, containers, proxies, Grafana, packages, missing files."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.serialization import Encoding

from tests.unit.audit.views import OPEN, SECURED, cases_of, evidence, findings_of, grafana, host, server
from wizard.audit import CHECKS, check_of
from wizard.audit.certificate_checks import _warns
from wizard.audit.report import Check
from wizard.audit.subjects import Evidence, PassedOn
from wizard.audit.version_checks import affects
from wizard.audit.vulnerabilities import VULNERABILITIES
from wizard.certificates import issue, load
from wizard.cli import firescreen
from wizard.components import component
from wizard.errors import InputError
from wizard.model import Attempt, Container, Probe, Proxies, ProxyRoute, PublishedPort
from wizard.probes.server_handshake import Handshake

GOSSIP = "--cluster.listen-address=0.0.0.0:9094"
DOCKER: dict[str, Any] = {
    "name": "mon-prometheus-1",
    "image": "prom/prometheus:v3.5.0",
    "project": "mon",
    "service": "prometheus",
    "compose_files": ("/srv/mon/compose.yaml",),
    "inside_port": 9090,
    "state": "running",
    "uid": 65534,
}
SOURCES = "apiVersion: 1\ndatasources:\n  - name: Prometheus\n    type: prometheus\n    url: https://p:9090\n"
ROUTE = ProxyRoute(
    host="srv1",
    program="nginx",
    file="/etc/nginx/nginx.conf",
    line=7,
    upstream="127.0.0.1:9090",
    scheme="http",
)


def docker_container(**more: Any) -> Container:
    return Container(**{**DOCKER, **more})


def test_every_check_has_a_unique_id_and_complete_texts() -> None:
    assert len(CHECKS) == 44 == len({check.id for check in CHECKS})
    for check in CHECKS:
        assert re.fullmatch(r"[A-Z]{3}-\d\d", check.id)
        assert check.title and check.why.endswith(".") and check.looks_at.endswith(".")
        assert not check.remediation.endswith(".") and check.remediation[0].isupper()


def test_a_check_is_found_by_id_and_similar_ids_are_named() -> None:
    assert check_of(" exp-01 ").id == "EXP-01"
    with pytest.raises(InputError, match="EXP-99") as caught:
        check_of("EXP-99")
    assert "Did you mean EXP-0" in caught.value.todo


@pytest.mark.parametrize(
    ("sockets", "exposed", "is_found"),
    [
        (("*:9100",), OPEN, True),
        (("192.0.2.1:9100", "127.0.0.1:9100"), OPEN, True),
        (("127.0.0.1:9100",), OPEN, False),
        (("*:9100",), SECURED, False),
    ],
)
def test_plain_http_reachable_from_other_hosts_is_found(
    sockets: tuple[str, ...], exposed: Any, is_found: bool
) -> None:
    some = findings_of("EXP-02", evidence(server(sockets=sockets, exposed=exposed)))
    assert bool(some) == is_found
    if is_found:
        assert some[0].evidence.startswith("192.0.2.1:9100 answers plain HTTP; it listens on ")
        assert some[0].step == "secure srv1/node_exporter"


def test_a_published_port_that_bypasses_the_firewall_is_found() -> None:
    everywhere = (PublishedPort(9090, "0.0.0.0", 9090), PublishedPort(9090, "::", 9090))
    (finding,) = findings_of(
        "EXP-05", evidence(server("prometheus", container=docker_container(published=everywhere)))
    )
    assert "container mon-prometheus-1" in finding.evidence and "port 9090" in finding.evidence
    assert finding.file == "/srv/mon/compose.yaml"
    near = (PublishedPort(9090, "127.0.0.1", 9090),)
    for mended in (
        server("prometheus", container=docker_container(published=near)),
        server("prometheus", container=docker_container(published=everywhere), exposed=SECURED),
    ):
        assert not findings_of("EXP-05", evidence(mended))
    (case,) = cases_of("EXP-05", evidence(server("prometheus")))
    assert case.subjects == 0, "without a container it does not apply"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "0.0.0.0:9094 by default"),
        ((GOSSIP,), "0.0.0.0:9094 by its flag"),
        (("--cluster.listen-address=127.0.0.1:9094",), ""),
        (("--cluster.listen-address=",), ""),
        ((GOSSIP, "--cluster.tls-config=/etc/alertmanager/cluster.yml"), ""),
    ],
)
def test_unencrypted_gossip_of_alertmanagers_is_found(arguments: tuple[str, ...], expected: str) -> None:
    some = findings_of("API-08", evidence(server("alertmanager", arguments=arguments, version="0.27.0")))
    assert [expected in each.evidence for each in some] == ([True] if expected else [])


def test_a_container_that_runs_as_root_is_found() -> None:
    (finding,) = findings_of("CTR-01", evidence(server("prometheus", container=docker_container(uid=0))))
    assert "user number 0" in finding.evidence and finding.file == "/srv/mon/compose.yaml"
    assert not findings_of("CTR-01", evidence(server("prometheus", container=docker_container())))
    assert not findings_of(
        "CTR-01", evidence(server("prometheus", container=docker_container(uid=0, state="exited")))
    )


def test_a_server_reachable_without_its_reverse_proxy_is_found() -> None:
    proxies = {"srv1": Proxies(routes=(ROUTE,))}
    listening: dict[str, Any] = {"listen": "192.0.2.1:9090", "sockets": ("*:9090",)}
    (finding,) = findings_of("PRX-01", evidence(server("prometheus", **listening), proxies=proxies))
    assert (
        finding.file == "/etc/nginx/nginx.conf"
        and finding.line == 7
        and finding.step == "secure srv1/prometheus"
    )
    assert "192.0.2.1:9090 answers a stranger past it" in finding.evidence
    enclosed: dict[str, Any] = {"listen": "127.0.0.1:9090", "sockets": ("127.0.0.1:9090",)}
    assert not findings_of("PRX-01", evidence(server("prometheus", **enclosed), proxies=proxies))
    assert not findings_of(
        "PRX-01", evidence(server("prometheus", exposed=SECURED, **listening), proxies=proxies)
    )
    (case,) = cases_of("PRX-01", evidence(server("prometheus", **listening)))
    assert not case.subjects, "without a proxy it does not apply"
    (unread,) = cases_of(
        "PRX-01", evidence(server("prometheus"), proxies={"srv1": Proxies(unread=("a.conf",))})
    )
    assert unread.not_checked


def proxied_server(
    *, status: int | None, route: ProxyRoute = ROUTE, quit_status: int = 404, **more: Any
) -> Evidence:
    one = server("prometheus", **more)
    seen = PassedOn(
        route=route,
        server=one,
        url=f"{route.url}api",
        status=status,
        quit_url=f"{route.url}-/quit",
        quit_status=quit_status,
    )
    return replace(evidence(one), passed_on=(seen,))


def test_unprotected_reverse_proxy_sites_are_found() -> None:
    tls = replace(ROUTE, tls=True, port=443, site="noc.example.net", path="/prometheus/")
    for check, bad, good in (
        ("PRX-02", proxied_server(status=200, route=tls), proxied_server(status=401, route=tls)),
        ("PRX-03", proxied_server(status=401), proxied_server(status=301)),
        (
            "PRX-04",
            proxied_server(status=200, quit_status=405, arguments=("--web.enable-lifecycle",)),
            proxied_server(status=200, quit_status=403, arguments=("--web.enable-lifecycle",)),
        ),
    ):
        (finding,) = findings_of(check, bad)
        assert (
            finding.file == "/etc/nginx/nginx.conf"
            and finding.line == 7
            and finding.step == "secure srv1/prometheus"
        )
        assert not findings_of(check, good)
    (silent,) = cases_of("PRX-02", proxied_server(status=0, route=tls))
    assert silent.not_checked
    (none,) = cases_of("PRX-02", evidence(server("prometheus")))
    assert not none.subjects


@pytest.mark.parametrize(
    ("path", "text", "flags", "expected"),
    [
        ("/prometheus/", "proxy_pass http://127.0.0.1:9090;", (), "passes /prometheus/ on as /prometheus"),
        ("/prometheus/", "proxy_pass http://127.0.0.1:9090/;", (), "name their scripts below /"),
        (
            "/prometheus/",
            "proxy_pass http://127.0.0.1:9090;",
            ("--web.external-url=https://n/prometheus/",),
            "",
        ),
        (
            "/prometheus/",
            "proxy_pass http://127.0.0.1:9090/;",
            ("--web.external-url=https://n/prometheus/", "--web.route-prefix=/"),
            "",
        ),
        ("/", "proxy_pass http://127.0.0.1:9090;", ("--web.external-url=https://n/p/",), "passes / on as /"),
        ("/", "proxy_pass http://127.0.0.1:9090;", (), ""),
    ],
)
def test_paths_that_differ_between_proxy_and_component_are_found(
    path: str, text: str, flags: tuple[str, ...], expected: str
) -> None:
    some = findings_of(
        "PRX-05", proxied_server(status=404, route=replace(ROUTE, path=path, text=text), arguments=flags)
    )
    assert [expected in each.evidence for each in some] == ([True] if expected else [])


@pytest.mark.parametrize(
    ("name", "text", "line", "expected"),
    [
        (
            "provisioning/datasources/p.yml",
            SOURCES + "    jsonData: {tlsSkipVerify: true}\n",
            3,
            "tlsSkipVerify",
        ),
        ("grafana.ini", "[security]\nadmin_user = admin\nadmin_password = admin\n", 3, "admin_password"),
        (
            "grafana.ini",
            "app_mode = production\n[auth.anonymous]\n;enabled = false\nenabled = true\n",
            4,
            "anonymous",
        ),
        ("provisioning/datasources/p.yml", SOURCES, 0, ""),
        ("grafana.ini", "[auth.anonymous]\n;enabled = true\n[security]\n;admin_password = admin\n", 0, ""),
        ("grafana.ini", "[security]\nadmin_password = a-long-one\n", 0, ""),
    ],
)
def test_unprotected_access_to_grafana_is_found(name: str, text: str, line: int, expected: str) -> None:
    some = findings_of("GRF-01", evidence(hosts=(grafana({name: text}),)))
    assert [(each.line, expected in each.evidence) for each in some] == ([(line, True)] if expected else [])


@pytest.mark.parametrize(
    ("check", "name", "version", "fixed"),
    [
        ("CVE-01", "prometheus", "2.40.3", "2.40.4"),
        ("CVE-01", "node_exporter", "1.4.0", "1.4.1"),
        ("CVE-01", "pushgateway", "1.5.0", "1.5.1"),
        ("CVE-01", "blackbox_exporter", "0.22.0", "0.23.0"),
        ("CVE-01", "alertmanager", "0.24.0", "0.25.0"),
        ("CVE-02", "prometheus", "3.13.1", "3.13.2"),
        ("CVE-02", "alertmanager", "0.25.0", "0.26.0"),
    ],
)
def test_known_vulnerabilities_are_found_by_version(check: str, name: str, version: str, fixed: str) -> None:
    program = "/usr/local/bin/x"
    (finding,) = findings_of(check, evidence(server(name, version=version, program=program)))
    assert finding.evidence.startswith(f"{name} {version}: CVE-") and finding.certain
    assert finding.severity == check_of(check).severity
    assert not findings_of(check, evidence(server(name, version=fixed, program=program)))
    packaged = host(packages={program: f"{name} {version}-1+deb12u2"})
    (maybe,) = findings_of(check, evidence(server(name, at=packaged, version=version, program=program)))
    assert maybe.evidence.startswith("possibly: ") and f"{version}-1+deb12u2" in maybe.evidence
    assert not maybe.certain and maybe.severity == "low"


def test_an_unknown_version_is_not_a_pass() -> None:
    (case,) = cases_of("CVE-01", evidence(server(version="")))
    assert [each.why for each in case.not_checked] == ["its version is not known"] and not case.findings


def test_minimum_versions_agree_with_the_component_tables() -> None:
    for each in VULNERABILITIES:
        if each.check == "CVE-01":
            assert each.fixed == (component(each.component).first_safe_version,)


@pytest.mark.parametrize(
    ("version", "affected"),
    [("7.5.0", False), ("8.0.6", True), ("8.0.7", False), ("8.2.6", True), ("8.3.0", True), ("8.3.1", False)],
)
def test_a_fix_in_several_release_branches_is_recognised(version: str, affected: bool) -> None:
    (of,) = (each for each in VULNERABILITIES if each.cve == "CVE-2021-43798")
    assert affects(of, version) == affected


def test_grafanas_version_comes_from_its_package() -> None:
    (finding,) = findings_of("CVE-03", evidence(hosts=(grafana({}, version="grafana 8.3.0"),)))
    assert (
        "CVE-2021-43798" in finding.evidence and finding.severity == "high" and finding.component == "grafana"
    )
    assert not findings_of("CVE-03", evidence(hosts=(grafana({}, version="grafana 12.0.1"),)))
    (case,) = cases_of("CVE-03", evidence(hosts=(grafana({}, version=""),)))
    assert case.not_checked


@pytest.mark.parametrize(
    "check",
    [check for check in CHECKS if "wire" in check.means and check.scope == "server" and check.id != "EXP-05"],
    ids=lambda check: check.id,
)
def test_a_server_that_does_not_answer_is_not_a_pass(check: Check) -> None:
    name = check.components[0] if check.components else "node_exporter"
    flags = ("--web.enable-admin-api", "--web.enable-lifecycle", "--web.enable-otlp-receiver")
    down = server(name, exposed={**OPEN, "state": "down"}, arguments=flags)
    (case,) = cases_of(check.id, evidence(down))
    assert case.not_checked and not case.findings
    beyond = replace(down, service=replace(down.service, out_of_reach="it listens on its own loopback"))
    (case,) = cases_of(check.id, evidence(beyond))
    assert "cannot be probed from here" in case.not_checked[0].why


def test_an_unreadable_web_configuration_is_not_a_pass() -> None:
    unread = replace(server(web_config="/etc/web.yml"), web_problem="/etc/web.yml: permission denied")
    for check in ("TLS-01", "TLS-02", "TLS-04", "AUT-02", "AUT-03"):
        (case,) = cases_of(check, evidence(unread))
        assert case.not_checked[0].why == "/etc/web.yml: permission denied"


def test_findings_on_loopback_have_low_severity() -> None:
    page = component("node_exporter").metrics_path(lambda _: "")
    probe = Probe(
        id="",
        host="srv1",
        component="",
        name="",
        client="",
        expect="200",
        url="http://127.0.0.1:9100/metrics",
    )
    answers = {"answers": {page: Attempt(probe=probe, ok=True, outcome="200", status=200)}}
    (near,) = findings_of("EXP-01", evidence(server(sockets=("127.0.0.1:9100",), answers=answers)))
    (far,) = findings_of("EXP-01", evidence(server(sockets=("*:9100",), answers=answers)))
    assert (near.severity, far.severity) == ("low", "high")


def _pem(name: str, *, client: bool, ca: tuple[bytes, bytes]) -> bytes:
    key = issue.new_key("ec-p256")
    return issue.issue(
        ca_cert=ca[0], ca_key=ca[1], key_pem=key, names=[name], days=30, common_name=name, client=client
    )


@pytest.mark.parametrize(
    ("both_uses", "allowed", "bundles", "expected"),
    [
        (True, "", 1, "also signed the certificate of srv2/node_exporter"),
        (False, "", 2, "holds 2 CAs"),
        (True, "  client_allowed_sans: [prometheus]\n", 1, ""),
        (False, "", 1, ""),
    ],
)
def test_a_client_ca_shared_with_others_is_found(
    both_uses: bool, allowed: str, bundles: int, expected: str
) -> None:
    key = issue.new_key("ec-p256")
    ca = issue.new_ca(name="Test CA", key_pem=key, days=30)
    web = f"tls_server_config:\n  client_ca_file: ca.crt\n  client_auth_type: RequireAndVerifyClientCert\n{allowed}"
    at = host(files={"/etc/x/ca.crt": ca.decode() * bundles})
    one = server(at=at, exposed=SECURED, web=web, web_config="/etc/x/web.yml")
    shown = load(_pem("srv2", client=both_uses, ca=(ca, key))).public_bytes(Encoding.DER)
    other = server(
        at=host("srv2"), exposed=SECURED, answers={"handshake": Handshake(chain=(shown,), answered=True)}
    )
    some = findings_of("TLS-03", evidence(one, other))
    assert [expected in each.evidence for each in some] == ([True] if expected else [])
    if expected:
        assert (some[0].host, some[0].file, some[0].line) == ("srv1", "/etc/x/web.yml", 2)
        assert some[0].step == "secure srv1/node_exporter"


def test_firescreens_own_rules_count_as_an_expiry_warning() -> None:
    printed = CliRunner().invoke(firescreen, ["upkeep", "rules"])
    assert printed.exit_code == 0
    assert _warns(printed.stdout_bytes)
    assert not _warns(b"groups:\n  - name: a\n    rules:\n      - alert: Down\n        expr: up == 0\n")
