"""Listening sockets in the output of `ss` and of the kernel, and the one with a program's web address."""

from __future__ import annotations

import pytest

from wizard.components import component
from wizard.service_managers import program_facts, sockets

SS = """\
LISTEN 0      4096               *:9100             *:*    uid:998 ino:11 sk:1 cgroup:/x v6only:0 <->
LISTEN 0      4096       127.0.0.1:9101       0.0.0.0:*    uid:998 ino:12 sk:2 cgroup:/x <->
LISTEN 0      4096            [::]:9102          [::]:*    ino:13 sk:3 v6only:1 <->
LISTEN 0      4096           [::1]:9103          [::]:*    ino:14 sk:4 v6only:1 <->
LISTEN 0      4096   127.0.0.53%lo:53         0.0.0.0:*    ino:15 sk:5 <->
LISTEN 0      4096 [fe80::1]%eth0:9104          [::]:*    ino:16 sk:6 <->
"""
KERNEL = """\
0100007F:238D ino:12
00000000:238C ino:11
00000000000000000000000001000000:238F ino:14
00000000000000000000000000000000:238C ino:21
0000000000000000FFFF00000100007F:2390 ino:22
"""


def test_the_output_of_ss_is_read_with_every_kind_of_address() -> None:
    assert sockets.listening_sockets(SS) == {
        "11": "*:9100",
        "12": "127.0.0.1:9101",
        "13": "[::]:9102",
        "14": "[::1]:9103",
        "15": "127.0.0.53:53",
        "16": "[fe80::1]:9104",
    }


def test_proc_net_tcp_gives_the_same_sockets() -> None:
    assert sockets.listening_sockets(KERNEL) == {
        "12": "127.0.0.1:9101",
        "11": "0.0.0.0:9100",
        "14": "[::1]:9103",
        "21": "*:9100",
        "22": "127.0.0.1:9104",
    }


def test_invalid_lines_are_skipped() -> None:
    assert sockets.listening_sockets("Error: no\n\nLISTEN 0 1 nonsense x ino:1\n") == {}


def test_only_sockets_of_the_process_count() -> None:
    assert sockets.open_addresses(sockets.listening_sockets(SS), ["14", "99", "11", "14"]) == (
        "[::1]:9103",
        "*:9100",
    )


@pytest.mark.parametrize(
    ("name", "arguments", "held", "wanted"),
    [
        # The port came from the environment, not from a flag.
        ("postgres_exporter", (), ("*:9188",), "127.0.0.1:9188"),
        ("node_exporter", (), ("[::1]:9200",), "[::1]:9200"),
        ("node_exporter", (), ("[::]:9200",), "[::1]:9200"),
        ("node_exporter", (), ("10.0.0.7:9200",), "10.0.0.7:9200"),
        # A flag that agrees with a socket is kept as written.
        ("node_exporter", ("--web.listen-address=:9300",), ("*:9300",), "127.0.0.1:9300"),
        ("node_exporter", ("--web.listen-address=node.lan:9300",), ("10.0.0.7:9300",), "node.lan:9300"),
        ("node_exporter", ("--web.listen-address=[::]:9300",), ("[::]:9300",), "[::1]:9300"),
        # A flag that agrees with no socket is ignored (the environment or a file overrides it).
        ("node_exporter", ("--web.listen-address=:9300",), ("*:9400",), "127.0.0.1:9400"),
        # The first of several flags counts; the cluster port is never the web address.
        (
            "node_exporter",
            ("--web.listen-address=10.0.0.7:9300", "--web.listen-address=127.0.0.1:9301"),
            ("10.0.0.7:9300", "127.0.0.1:9301"),
            "10.0.0.7:9300",
        ),
        ("alertmanager", (), ("*:9094", "*:9093"), "127.0.0.1:9093"),
        ("alertmanager", ("--cluster.listen-address=0.0.0.0:9194",), ("*:9194", "*:9999"), "127.0.0.1:9999"),
        ("alertmanager", (), ("*:9094", "*:9999"), "127.0.0.1:9999"),
        ("alertmanager", (), (), "127.0.0.1:9093"),
    ],
)
def test_the_web_address_is_one_of_the_sockets(
    name: str, arguments: tuple[str, ...], held: tuple[str, ...], wanted: str
) -> None:
    assert program_facts.served_at(component(name), arguments, held) == wanted


def test_loopback_sockets_are_told_from_public_ones() -> None:
    assert sockets.is_enclosed(("127.0.0.1:1", "[::1]:1", "127.9.9.9:1"))
    assert not sockets.is_enclosed(("127.0.0.1:1", "10.0.0.7:1"))
    assert not sockets.is_enclosed(("*:1",)) and not sockets.is_enclosed(())
