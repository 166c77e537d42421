"""The audit on real systemd hosts: sockets on all addresses, packages, modes and owners, and an unprivileged user."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bases
import pytest
from compose_projects import Project, project
from debs import install
from docker_hosts import Docker
from machines import FIRESCREEN, STACK, Machine, Network

from tests.integration import audit_host_coverage
from wizard import binaries
from wizard.binaries.versions import version_of

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(600)]

LEFT = {"CRT-06", "AUT-04", "CFG-04", "CVE-01", "CVE-02"}
"""What Firescreen leaves on a host that it has secured, and is so."""


def audit(machine: Machine, *words: str, code: int, user: str = "root") -> Any:
    ended = machine.run([FIRESCREEN, "audit", *words, "--json"], timeout=240, user=user)
    assert ended.returncode == code, f"{ended.returncode}\n{ended.stdout}\n{ended.stderr}"
    return json.loads(ended.stdout)


def found(report: Any) -> set[tuple[str, str]]:
    return {(each["id"], each["component"]) for each in report["findings"]}


def test_a_real_host_unprotected_secured_and_with_faults(machine: Machine) -> None:
    before = audit(machine, code=3)
    assert before["could_not_check"] == []
    assert found(before) >= {
        (check, component)
        for check in ("EXP-01", "EXP-02", "EXP-03")
        for component in ("node_exporter", "prometheus")
    }
    package = machine.check("dpkg-query -W -f '${Package} ${Version}' prometheus").strip()
    for each in before["findings"]:
        if each["id"].startswith("CVE"):
            assert not each["certain"] and each["evidence"].startswith("possibly: ")
            assert each["component"] != "prometheus" or package in each["evidence"]

    machine.check(["tee", "/root/stack.yaml"], stdin=STACK)
    ended = machine.run([FIRESCREEN, "apply", "/root/stack.yaml", "--yes"], timeout=240)
    assert ended.returncode == 0, ended.stderr
    state = (
        "find /etc -xdev -type f -exec sha256sum {} + | sort; find /etc -xdev -printf '%p %m %u %g\\n' | sort"
    )
    files = machine.run(state, timeout=60).stdout
    secured = audit(machine, "/root/stack.yaml", code=3)
    assert secured["could_not_check"] == [] and {check for check, _ in found(secured)} <= LEFT
    assert secured["score"] > before["score"]
    assert machine.run(state, timeout=60).stdout == files, "an audit changes nothing"

    machine.check("chmod 0644 /etc/node_exporter/*.key && chmod 0755 /etc/node_exporter")
    faulty = audit(machine, "/root/stack.yaml", code=3)
    (key,) = (each for each in faulty["findings"] if each["id"] == "FIL-01")
    assert key["file"].startswith("/etc/node_exporter/") and "mode 0644" in key["evidence"]
    assert key["step"] == "secure here/node_exporter"
    machine.check("chmod 0640 /etc/node_exporter/*.key")
    assert found(audit(machine, "/root/stack.yaml", code=3)) == found(secured)

    # Without root, each unreadable file is named, with the checks that cannot run for it; the other checks run.
    machine.check("cp /root/stack.yaml /tmp && useradd -m student")
    readable = audit(machine, "/tmp/stack.yaml", code=3, user="student")
    assert not {each["id"] for each in readable["could_not_check"]} & {"CFG-01", "CFG-04", "CRT-06"}, readable
    assert "CRT-06" in {check for check, _ in found(readable)}, "prometheus.yml is there for everyone to read"
    assert all("/etc/node_exporter" in why or "/etc/prometheus" in why for why in reasons(readable)), readable
    machine.check("chmod 0640 /etc/prometheus/prometheus.yml")
    without_rights = audit(machine, "/tmp/stack.yaml", code=1, user="student")
    new = reasons(without_rights) - reasons(readable)
    assert new and all("/etc/prometheus/prometheus.yml" in why for why in new), new
    missed = without_rights["could_not_check"]
    assert any("permission denied" in each["why"].lower() for each in missed)
    assert {each["id"] for each in missed} >= {"CFG-01", "CRT-06"}, "what reads a configuration is no pass"
    assert without_rights["checked"] > 10, "what is asked on the wire is checked all the same"


PROXIES = ("PRX-02", "PRX-03", "PRX-04", "PRX-05")
PROXY = """\
server {
    listen 80;
    location / { proxy_pass http://127.0.0.1:9090; }
}
"""


def program(name: str, suite: str) -> Path:
    """Returns the real program of a generation, from its package."""
    found = Path(binaries.find(name, cache=bases.cache() / "programs", suite=suite).path).resolve()
    # A program that expects files at fixed paths is started by a script here; on a host the files are at those paths.
    packaged = found.parents[1] / "usr/bin" / f"prometheus-{name}"
    return packaged if packaged.exists() else found


def put(machine: Machine, path: str, content: bytes) -> None:
    """Installs a program; a running one is not interrupted."""
    machine.push(f"{path}.new", content, mode=0o755)
    machine.check(["mv", f"{path}.new", path])


def test_gossip_and_a_way_past_a_proxy(fleet: Callable[..., list[Machine]]) -> None:
    (machine,) = fleet("bookworm", 1, programs=("prometheus", "alertmanager"))
    shown = {audit_host_coverage.SHOWN[check] for check in ("EXP-02", "API-08", "PRX-01", *PROXIES)}
    assert len(shown) == 1
    for suite in next(iter(shown))[1]:
        machine.check("systemctl stop prometheus prometheus-alertmanager")
        for name, there in (("prometheus", "prometheus"), ("alertmanager", "prometheus-alertmanager")):
            put(machine, f"/usr/bin/{there}", program(name, suite).read_bytes())
        gossip_and_a_way_past(machine)


def gossip_and_a_way_past(machine: Machine) -> None:
    machine.push("/etc/nginx/sites-enabled/default", PROXY.encode())
    machine.check("rm -f /etc/default/prometheus; touch /etc/default/prometheus; systemctl restart nginx")
    # Without a private address, Alertmanager needs the address for its cluster.
    advertised = f"--cluster.advertise-address={machine.address}:9094"
    machine.check(f"echo 'ARGS=\"{advertised}\"' > /etc/default/prometheus-alertmanager")
    machine.check("systemctl reset-failed; systemctl restart prometheus prometheus-alertmanager")
    report = audit(machine, code=3)
    assert ("EXP-02", "prometheus") in found(report)
    faulty = {each["id"]: each for each in report["findings"]}
    assert faulty["API-08"]["component"] == "alertmanager" and "9094" in faulty["API-08"]["evidence"]
    assert faulty["PRX-01"]["component"] == "prometheus", faulty["PRX-01"]
    assert "nginx" in faulty["PRX-01"]["evidence"], faulty["PRX-01"]

    machine.check("echo 'ARGS=\"--cluster.listen-address=\"' > /etc/default/prometheus-alertmanager")
    machine.check("echo 'ARGS=\"--web.listen-address=127.0.0.1:9090\"' > /etc/default/prometheus")
    machine.check("systemctl restart prometheus prometheus-alertmanager")
    mended = audit(machine, code=3)
    assert {"API-08", "PRX-01"}.isdisjoint(each["id"] for each in mended["findings"]), mended["findings"]
    assert ("EXP-02", "prometheus") not in found(mended)
    _proxy_that_asks_nobody(machine)


def _proxy_that_asks_nobody(machine: Machine) -> None:
    """Makes and repairs each fault of a proxy and requests it: no login, plain HTTP, lifecycle, a path that differs."""
    site = "/etc/nginx/sites-enabled/default"
    flags = "--web.listen-address=127.0.0.1:9090 --web.enable-lifecycle"

    def faults(text: str) -> dict[str, Any]:
        machine.push(site, text.encode())
        machine.check("systemctl reload nginx; sleep 0.5")
        return {each["id"]: each for each in audit(machine, code=3)["findings"] if "PRX" in each["id"]}

    machine.check(f"echo 'ARGS=\"{flags}\"' > /etc/default/prometheus; systemctl restart prometheus")
    machine.check(
        "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=x -keyout /etc/ssl/x.key -out /etc/ssl/x.crt -days 9 "
        "2>/dev/null; htpasswd -bc /etc/nginx/users admin secret 2>/dev/null"
    )
    found = faults(PROXY)
    assert {"PRX-02", "PRX-03", "PRX-04"} <= set(found), found
    for each in found.values():
        assert each["file"] == site and each["line"] == 3, each
    assert {"PRX-05"} == set(faults(LOCKED % ("/prometheus/", "http://127.0.0.1:9090/")))
    assert set(faults(LOCKED % ("/", "http://127.0.0.1:9090"))) == set()


LOCKED = """\
server {
    listen 443 ssl;
    ssl_certificate /etc/ssl/x.crt;
    ssl_certificate_key /etc/ssl/x.key;
    auth_basic x;
    auth_basic_user_file /etc/nginx/users;
    location ~ /-/ { return 403; }
    location %s { proxy_pass %s; }
}
"""


UNIT = "[Service]\nExecStart=/usr/local/bin/{name} {flags}\n"
FLAGS = {
    "alertmanager": "--config.file=/etc/a.yml --storage.path=/var/tmp/a --cluster.listen-address=",
    "node_exporter": "",
}


def with_version(name: str, suite: str, wanted: str) -> bytes:
    """Returns a real program that reports another version of the same length; '' for its own."""
    path = program(name, suite)
    content = path.read_bytes()
    own = version_of(str(path))
    if not wanted:
        return content
    version = f"{wanted}{'0' * len(own)}"[: len(own)]
    return content.replace(own.encode(), version.encode())


def test_versions_with_known_vulnerabilities(fleet: Callable[..., list[Machine]]) -> None:
    """Programs outside of packages. No generation is that old: the programs are real, the versions that they
    report are not.
    """
    (machine,) = fleet("bookworm", 1, programs=())
    machine.push("/etc/a.yml", b"route: {receiver: x}\nreceivers: [{name: x}]\n")
    for name, flags in FLAGS.items():
        machine.push(f"/etc/systemd/system/{name}.service", UNIT.format(name=name, flags=flags).encode())

    def audited(suite: str, **versions: str) -> dict[str, dict[str, Any]]:
        for name, version in versions.items():
            put(machine, f"/usr/local/bin/{name}", with_version(name, suite, version))
            machine.check(f"systemctl daemon-reload && systemctl restart {name}")
        return {
            each["id"]: each for each in audit(machine, code=3)["findings"] if each["id"].startswith("CVE")
        }

    shown = {audit_host_coverage.SHOWN[check] for check in ("CVE-01", "CVE-02")}
    assert len(shown) == 1
    for suite in next(iter(shown))[1]:
        faulty = audited(suite, node_exporter="1.4.", alertmanager="0.25.")
        bypass, other = faulty["CVE-01"], faulty["CVE-02"]
        assert bypass["evidence"].startswith("node_exporter 1.4.0") and "CVE-2022-46146" in bypass["evidence"]
        assert other["evidence"].startswith("alertmanager 0.25.0") and "CVE-2023-40577" in other["evidence"]
        assert (bypass["component"], bypass["severity"], bypass["certain"]) == ("node_exporter", "high", True)
        assert (other["component"], other["severity"], other["certain"]) == ("alertmanager", "medium", True)
        assert audited(suite, node_exporter="", alertmanager="0.99.") == {}


GRAFANA = """\
[Service]
EnvironmentFile=/etc/default/grafana-server
ExecStart=/usr/sbin/grafana-server 100000
"""
SOURCES = """\
apiVersion: 1
datasources:
  - name: Prometheus
    type: prometheus
    url: https://localhost:9090
    jsonData: {tlsSkipVerify: true}
"""
CONTROL = (
    "Package: grafana\nVersion: {version}\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: x\n"
)


def test_what_a_grafana_is_told_by_its_files_its_unit_and_its_package(
    fleet: Callable[..., list[Machine]],
) -> None:
    """Real files, systemd and dpkg; a program named like Grafana stands in, as no suite of Debian has Grafana."""
    (machine,) = fleet("bookworm", 1, programs=())
    machine.check("mkdir -p /etc/grafana/provisioning/datasources && cp /bin/sleep /usr/sbin/grafana-server")
    ini, unit = "/etc/grafana/grafana.ini", "/etc/systemd/system/grafana-server.service"
    sources, default = "/etc/grafana/provisioning/datasources/p.yml", "/etc/default/grafana-server"
    dropin = f"{unit}.d/local.conf"

    def audited() -> dict[tuple[str, str], dict[str, Any]]:
        machine.check("systemctl daemon-reload && systemctl restart grafana-server")
        ended = machine.run([FIRESCREEN, "audit", "--json"], timeout=240)
        assert ended.returncode in (0, 3), ended.stderr
        said = json.loads(ended.stdout)
        assert said["could_not_check"] == []
        return {
            (each["id"], each["file"]): each for each in said["findings"] if each["component"] == "grafana"
        }

    def packaged(version: str) -> None:
        machine.check("mkdir -p /root/deb/DEBIAN")
        machine.push("/root/deb/DEBIAN/control", CONTROL.format(version=version).encode())
        machine.check("dpkg-deb -b /root/deb /root/grafana.deb && dpkg -i /root/grafana.deb")

    machine.push(unit, GRAFANA.encode())
    machine.push(default, b"# none\nGF_SECURITY_ADMIN_PASSWORD=admin\n")
    machine.push(dropin, b'[Service]\nEnvironment="GF_AUTH_ANONYMOUS_ENABLED=true"\n')
    machine.push(ini, b"[auth.anonymous]\nenabled = false\n[security]\nadmin_password = hunter2\n")
    machine.push(sources, SOURCES.encode())
    packaged("8.3.0")
    faulty = audited()
    assert {(check, file, each["line"]) for (check, file), each in faulty.items()} == {
        ("GRF-01", dropin, 2),
        ("GRF-01", default, 2),
        ("GRF-01", sources, 3),
        ("CVE-03", "", 0),
    }, faulty
    assert "GF_AUTH_ANONYMOUS_ENABLED=true" in faulty["GRF-01", dropin]["evidence"]
    assert "grafana 8.3.0" in faulty["CVE-03", ""]["evidence"] and "hunter2" not in json.dumps(
        list(faulty.values())
    )

    machine.check(f"rm {dropin} && echo > {default} && sed -i 's/true/false/' {sources}")
    packaged("12.0.1")
    assert audited() == {}
    machine.push(ini, b"[auth.anonymous]\nenabled = true\n[security]\nadmin_password = admin\n")
    by_file = audited()
    assert set(by_file) == {("GRF-01", ini)}
    machine.push(default, b"GF_AUTH_ANONYMOUS_ENABLED=false\nGF_SECURITY_ADMIN_PASSWORD=hunter2\n")
    assert audited() == {}, "the environment overrides the file"


CONTAINER = """\
services:
  exporter:
    image: {image}
    user: "{user}"
    ports: ["{port}:9100"]
"""
IN_CONTAINER = """\
version: 1
hosts: {here: {connect: local}}
components:
  - {host: here, name: node_exporter, protect: [], service: docker, project: mon}
"""


def test_a_container_as_root_on_all_addresses(docker: Docker, network: Network, tmp_path: Path) -> None:
    shown = {audit_host_coverage.SHOWN[check] for check in ("CTR-01", "EXP-05")}
    assert len(shown) == 1

    def audited(mine: Project, *, image: str, user: str, port: str, code: int) -> dict[str, str]:
        (mine.folder / "compose.yaml").write_text(CONTAINER.format(image=image, user=user, port=port))
        mine.up(9100)
        told = mine.run("audit", str(mine.stack), "--json", code=code)
        assert told["could_not_check"] == []
        return {each["id"]: each["evidence"] for each in told["findings"]}

    with project(docker, network, tmp_path, "sid") as mine:
        mine.write("", "scrape_configs: []\n", IN_CONTAINER)
        for suite in next(iter(shown))[1]:
            image = docker.image("node_exporter", suite=suite)
            faulty = audited(mine, image=image, user="0:0", port="9100", code=3)
            assert "user number 0" in faulty["CTR-01"] and "9100 on all addresses" in faulty["EXP-05"]
            mended = audited(mine, image=image, user="65534:65534", port="127.0.0.1:9100", code=0)
            assert {"CTR-01", "EXP-05"}.isdisjoint(mended), mended


def reasons(report: Any) -> set[str]:
    return {each["why"] for each in report["could_not_check"]}


def test_an_exporter_exporter_is_audited_as_a_proxy(fleet: Callable[..., list[Machine]]) -> None:
    """For hosts with only one open port: it is audited, and the lines to change are named before its exporter
    uses TLS.
    """
    (machine,) = fleet("bookworm", 1, programs=("node_exporter",))
    install(machine, "prometheus-exporter-exporter")
    config = "/etc/prometheus/exporter-exporter.yml"
    machine.push(config, b"modules:\n  node:\n    method: http\n    http:\n      port: 9100\n")
    machine.check("systemctl restart prometheus-exporter-exporter")
    url = "http://127.0.0.1:9999/proxy?module=node"
    machine.check(f"for n in $(seq 50); do curl -sf -o /dev/null '{url}' && exit; sleep 0.1; done; exit 1")
    stack = "version: 1\nhosts: {here: {connect: local}}\ncomponents: [{host: here, name: node_exporter, protect: [tls]}]\n"
    machine.push("/root/one.yaml", stack.encode())
    faults = {
        each["id"]: each
        for each in audit(machine, "/root/one.yaml", code=3)["findings"]
        if "PRX" in each["id"]
    }
    assert {"PRX-01", "PRX-02", "PRX-03"} <= set(faults), faults
    assert (faults["PRX-02"]["file"], faults["PRX-02"]["line"]) == (config, 5)
    output = machine.run([FIRESCREEN, "plan", "/root/one.yaml"], timeout=120)
    assert "here/exporter_exporter/node_exporter" in output.stdout + output.stderr, output
    assert "update-ca-certificates" in output.stdout + output.stderr, output
