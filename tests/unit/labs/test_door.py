"""The reverse proxy of the practice stack: its address, its files, and what a pack may change in it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from wizard import assets, labs
from wizard.connections import loopback
from wizard.errors import LabError
from wizard.front_doors.caddy import login_directive
from wizard.labs import sandbox_policy
from wizard.practice import addresses
from wizard.practice.layout import lay_out
from wizard.practice.record import BESIDE, WHOLE, PracticeHost, PracticeStack, practice_components

CADDYFILE = assets.path("practice/Caddyfile").read_text()


def placed() -> str:
    """The Caddyfile at the beginning of the lab, with addresses filled in."""
    text = next(each.options["text"] for each in labs.find("door").begin if each.kind == "file")
    places = {
        "door.address": "127.0.11.2",
        "door.listen": "127.0.11.2:8443",
        "prometheus.listen": "127.0.11.2:9090",
    }
    for name, place in places.items():
        text = text.replace(f"{{{{{name}}}}}", place)
    return str(text)


def practice_stack(root: Path, third: int) -> PracticeStack:
    """A practice stack that was never started."""
    made = [
        ("srv1", 1, 9100, "node_exporter"),
        ("prometheus", 2, 9090, "prometheus"),
        ("door", 2, 8443, "caddy"),
    ]
    return PracticeStack(
        folder=str(root),
        suite="",
        promtool="",
        hosts=tuple(
            PracticeHost(
                name=name,
                address=f"127.0.{third}.{last}",
                port=port,
                component=component,
                program=f"/nowhere/{component}",
                version="1",
                folder=str(root / name),
            )
            for name, last, port, component in made
        ),
    )


def test_the_proxy_leads_to_prometheus_and_starts_only_if_named() -> None:
    assert "caddy" in practice_components() and "caddy" not in WHOLE
    names = ("srv1", "prometheus", "door")
    places = addresses.choose(names, None, running=(), for_whom="a test of the proxy's place")
    assert places["door"][0] == places["prometheus"][0] != places["srv1"][0]
    assert places["door"][1] % 1000 == 443


def test_a_used_port_of_the_proxy_is_replaced() -> None:
    import socket

    with socket.socket() as other:
        other.bind(("127.0.9.2", 8443))
        other.listen()
        assert loopback.free_port("127.0.9.2", 8443) == 9443
    assert loopback.free_port("127.0.9.2", 8443) == 8443


def test_a_loopback_address_of_prometheus_is_not_used_by_other_hosts(tmp_path: Path) -> None:
    hosts = practice_stack(tmp_path, 11).hosts
    assert hosts[1].loopback == "127.0.11.102:9090"
    assert not {host.loopback for host in hosts} & {host.listen for host in hosts}
    shared = replace(hosts[1], address="127.0.0.1")
    assert shared.loopback == "127.0.0.1:9091", "where there is no other address, the port differs"


def test_the_proxys_files_follow_a_changed_address(tmp_path: Path) -> None:
    before = practice_stack(tmp_path / "practice", 11)
    lay_out(tmp_path / "practice", None, before)
    caddyfile = tmp_path / "practice" / "door" / "etc" / "caddy" / "Caddyfile"
    assert "127.0.11.2:8443" in caddyfile.read_text()
    caddyfile.write_text(f"{caddyfile.read_text()}# {before.host('prometheus').loopback}\n")
    lay_out(tmp_path / "practice", before, practice_stack(tmp_path / "practice", 12))
    text = caddyfile.read_text()
    assert "127.0.11" not in text
    assert "default_bind 127.0.12.2\n" in text
    assert "http://127.0.12.2:8443 {" in text
    assert "# 127.0.12.102:9090" in text
    assert "door" not in (tmp_path / "practice/prometheus/etc/prometheus/prometheus.yml").read_text()


def test_the_login_directive_depends_on_the_version() -> None:
    assert login_directive("2.6.2") == "basicauth"
    assert login_directive("2.8.0") == login_directive("2.11.4") == login_directive("") == "basic_auth"
    assert BESIDE == {"door": "prometheus"}


def test_a_pack_can_place_the_same_files_as_a_lab() -> None:
    sandbox_policy.proxy_configuration(placed(), root="/practice")
    whole = CADDYFILE.replace("@door@", "127.0.11.2:8443").replace("@door.address@", "127.0.11.2")
    sandbox_policy.proxy_configuration(whole, root="/practice")
    login = "basic_auth {\n admin $2y$08$abcdefghijklmnopqrstuv\n}\ntls /practice/door/etc/caddy/door.crt\n"
    sandbox_policy.proxy_configuration(placed() + login, root="/practice")


@pytest.mark.parametrize(
    "line",
    [
        "file_server",
        "root * /",
        "import /etc/passwd",
        "admin localhost:2019",
        "reverse_proxy example.org:443",
        "reverse_proxy /x/* unix//run/docker.sock",
        "default_bind 0.0.0.0",
        "https://example.org {",
        "tls /etc/ssl/private/key.pem /etc/ssl/private/key.pem",
        "respond {file./etc/passwd}",
        "respond {$HOME}",
        "respond <<END",
        "handle \\",
        "handle{ file_server",
    ],
)
def test_a_pack_cannot_place_a_proxy_to_another_address(line: str) -> None:
    with pytest.raises(LabError) as refused:
        sandbox_policy.proxy_configuration(f"{placed()}{line}\n", root="/practice")
    assert refused.value.todo


def test_a_proxy_of_a_pack_listens_on_loopback_only() -> None:
    with pytest.raises(LabError, match="no default_bind"):
        sandbox_policy.proxy_configuration(
            placed().replace("default_bind", "# default_bind"), root="/practice"
        )
