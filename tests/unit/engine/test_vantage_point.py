"""Whether a host can connect to an address is tested from that host, with the programs that it has."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from tests.unit.engine.loopback import serving
from tests.unit.engine.memory import MemoryConnection, MemoryHosts, Site, completed
from wizard.connections.errors import ForbiddenError
from wizard.engine import vantage_point
from wizard.errors import UnreachableError
from wizard.model import Completed

Make = Callable[..., Site]
Dial = Callable[[MemoryConnection, str, float], socket.socket]


def dialled(monkeypatch: pytest.MonkeyPatch, dial: Dial) -> None:
    monkeypatch.setattr(MemoryConnection, "open_tunnel", dial)


def refused(fault: Exception) -> Dial:
    def dial(self: MemoryConnection, place: str, seconds: float) -> socket.socket:
        raise fault

    return dial


def direct(self: MemoryConnection, place: str, seconds: float) -> socket.socket:
    host, _, port = place.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=seconds)


def printing(text: str, asked: list[tuple[str, ...]]) -> Callable[..., Completed]:
    """A shell that prints this text for any script."""

    def shell(script: str, *words: str) -> Completed:
        asked.append(words)
        return completed(text)

    return shell


def hosts(make_site: Make, connect: str = "ssh") -> tuple[Site, MemoryHosts]:
    site = make_site("srv1", connect=connect)
    return site, site.hosts()


# -- whether it can connect ----------------------------------------------------------------------------------


def test_hosts_on_this_machine_are_probed_directly(make_site: Make) -> None:
    _, known = hosts(make_site, "practice")
    with serving(lambda path, headers: (200, b"")) as place:
        assert vantage_point.refusal(known, "srv1", place) == ""
    assert vantage_point.refusal(known, "srv1", place) == "it takes no connection"


def test_a_loopback_address_of_another_machine_is_unreachable(make_site: Make) -> None:
    _, known = hosts(make_site)
    assert (
        vantage_point.refusal(known, "srv1", "127.0.0.1:9100") == "it listens on its own machine's loopback"
    )


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (TimeoutError(), "no answer within 5 s"),
        (ConnectionRefusedError(), "connection refused, no route to it, or no such host"),
        (OSError(), None),
    ],
)
def test_a_refusal_by_the_ssh_server_gives_the_reason(
    fault: Exception, reason: str | None, make_site: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, known = hosts(make_site)
    dialled(monkeypatch, refused(fault))
    assert vantage_point.refusal(known, "srv1", "srv2:9100") == reason


def test_the_ssh_server_of_a_host_connects_for_it(make_site: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    _, known = hosts(make_site)
    left, right = socket.socketpair()
    dialled(monkeypatch, lambda self, place, seconds: left)
    assert vantage_point.refusal(known, "srv1", "srv2:9100") == ""
    right.close()


@pytest.mark.parametrize(
    ("printed", "reason"), [("ok\n", ""), ("no such host\n", "no such host"), ("", None)]
)
def test_without_ssh_forwarding_a_program_on_the_host_connects(
    printed: str, reason: str | None, make_site: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, known = hosts(make_site)
    dialled(monkeypatch, refused(ForbiddenError("no")))
    asked: list[tuple[str, ...]] = []
    site.connections["srv1"].programs["sh"] = printing(printed, asked)
    assert vantage_point.refusal(known, "srv1", "[2001:db8::1]:9100") == reason
    assert asked == [("2001:db8::1", "9100")]


def test_manual_and_unreachable_hosts_give_no_answer(
    make_site: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, manual = hosts(make_site, "manual")
    assert vantage_point.refusal(manual, "srv1", "srv2:9100") is None
    assert vantage_point.status(manual, "srv1", "http://srv2:9100/") is None
    assert vantage_point.addresses(manual, "srv1", "srv2") == ()
    site, known = hosts(make_site)
    dialled(monkeypatch, refused(ForbiddenError("no")))
    site.connections["srv1"].faults["script", "srv2"] = UnreachableError("gone")
    site.connections["srv1"].faults["script", "http://srv2:9100/"] = UnreachableError("gone")
    assert vantage_point.refusal(known, "srv1", "srv2:9100") is None
    assert vantage_point.status(known, "srv1", "http://srv2:9100/") is None
    assert vantage_point.addresses(known, "srv1", "srv2") == ()


# -- the status of a URL -------------------------------------------------------------------------------------


def test_the_http_status_of_a_url_is_returned(make_site: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    _, near = hosts(make_site, "practice")
    _, far = hosts(make_site)
    dialled(monkeypatch, direct)
    with serving(lambda path, headers: (301 if path == "/x" else 404, headers["Host"].encode())) as place:
        for known in (near, far):
            assert vantage_point.status(known, "srv1", f"http://{place}/x") == 301, "not followed"
            assert vantage_point.status(known, "srv1", f"http://{place}/") == 404
            port = place.rpartition(":")[2]
            assert vantage_point.status(known, "srv1", f"http://a.test:{port}/x", there="127.0.0.1") == 301
    assert vantage_point.status(near, "srv1", f"http://{place}/") == 0
    assert vantage_point.status(far, "srv1", f"http://{place}/") == 0
    assert vantage_point.status(far, "srv1", "http://[") is None


@pytest.mark.parametrize(("printed", "expected"), [("503", 503), ("", None), ("000", 0)])
def test_a_program_on_the_host_gives_the_http_status(
    printed: str, expected: int | None, make_site: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, known = hosts(make_site)
    dialled(monkeypatch, refused(ForbiddenError("no")))
    asked: list[tuple[str, ...]] = []
    site.connections["srv1"].programs["sh"] = printing(printed, asked)
    assert vantage_point.status(known, "srv1", "https://a.test/x", there="127.0.0.1") == expected
    assert asked == [("https://a.test/x", "a.test:443:127.0.0.1")]


def test_a_name_is_resolved_on_the_host(make_site: Make) -> None:
    site, known = hosts(make_site)
    site.connections["srv1"].programs["sh"] = lambda text, *words: completed(
        "192.0.2.1\n192.0.2.1\n2001:db8::1\n"
    )
    assert vantage_point.addresses(known, "srv1", "srv2") == ("192.0.2.1", "2001:db8::1")
