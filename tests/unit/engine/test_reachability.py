"""How a service of another host is probed from this machine: real listeners here, prepared answers of the host."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from wizard.connections.errors import ForbiddenError
from wizard.engine.reachability import Way, forward_to, seen_from_here
from wizard.model import Facts, Forward, HostFacts, HostSpec, Service

SRV1 = HostSpec(name="srv1", connect="ssh", address="127.0.0.1")
ELSEWHERE = "192.0.2.1"
"""A documentation address that no host has (RFC 5737)."""


@pytest.fixture
def port() -> Iterator[int]:
    """A port on 127.0.0.1 with a listener."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def closed() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def service(port: int, address: str = "", *, active: bool = True) -> Service:
    return Service(
        host="srv1",
        component="node_exporter",
        manager="systemd",
        unit="node_exporter",
        arguments=(f"--web.listen-address={address}:{port}",) if address else (),
        listen=f"{address or '127.0.0.1'}:{port}",
        active=active,
    )


def make_way(
    address: str, *, holder: HostSpec | None = SRV1, inside: bool = False, behind: bool = False
) -> Way:
    return Way(address=address, holder=holder, inside=inside, behind=behind)


class There:
    """The other host's prepared answer to a connection request, and the addresses that were requested."""

    def __init__(self, says: OSError | None = None) -> None:
        self.says = says
        self.places: list[str] = []

    def __call__(self, forward: Forward, _seconds: float) -> socket.socket:
        self.places.append(forward.place)
        if self.says is not None:
            raise self.says
        return socket.socket()


def never(_forward: Forward, _seconds: float) -> socket.socket:
    raise AssertionError("nobody is to be asked")


def test_a_reachable_service_is_probed_directly(port: int) -> None:
    found = seen_from_here(service(port), make_way("127.0.0.1"), never)
    assert (found.listen, found.forward, found.out_of_reach) == (f"127.0.0.1:{port}", None, "")


def test_a_service_that_does_not_run_is_probed_directly(closed: int) -> None:
    found = seen_from_here(service(closed, active=False), make_way("127.0.0.1"), never)
    assert found.forward is None


def test_a_service_behind_a_firewall_is_probed_over_ssh_at_its_loopback(closed: int) -> None:
    there = There()
    found = seen_from_here(service(closed), make_way("127.0.0.1"), there)
    assert found.forward == Forward(SRV1, f"127.0.0.1:{closed}")
    assert there.places == [f"127.0.0.1:{closed}"]


def test_a_service_that_nothing_reaches_is_down_and_probed_directly(closed: int) -> None:
    found = seen_from_here(service(closed), make_way("127.0.0.1"), There(ConnectionRefusedError()))
    assert (found.forward, found.out_of_reach) == (None, "")


def test_a_loopback_listener_is_probed_over_ssh_under_its_hosts_address(port: int) -> None:
    # Something listens at that address on this machine: it is another service and not probed.
    there = There()
    found = seen_from_here(service(port, "127.0.0.1"), make_way(ELSEWHERE), there)
    assert (found.listen, found.forward) == (f"{ELSEWHERE}:{port}", Forward(SRV1, f"127.0.0.1:{port}"))


@pytest.mark.parametrize("behind", [False, True])
def test_without_ssh_forwarding_the_service_is_unreachable(closed: int, behind: bool) -> None:
    there = There(ForbiddenError("its SSH server forwards nothing"))
    found = seen_from_here(service(closed), make_way("127.0.0.1", behind=behind), there)
    assert found.forward is None
    assert found.out_of_reach == "it takes no connection from here, and its SSH server forwards nothing"
    enclosed = seen_from_here(service(closed, "127.0.0.1"), make_way(ELSEWHERE, behind=behind), there)
    assert enclosed.listen == f"127.0.0.1:{closed}"
    assert enclosed.out_of_reach.startswith("it listens on its own machine's loopback, and ")


def test_behind_jump_hosts_ssh_is_preferred_to_a_direct_connection(port: int) -> None:
    assert seen_from_here(service(port), make_way("127.0.0.1", behind=True), There()).forward is not None
    found = seen_from_here(service(port), make_way("127.0.0.1", behind=True), There(ForbiddenError("closed")))
    assert (found.forward, found.out_of_reach) == (None, "")


def test_an_incus_instance_is_reached_from_its_machine(closed: int) -> None:
    there = There()
    found = seen_from_here(service(closed), make_way("127.0.0.7", inside=True), there)
    assert found.forward == Forward(SRV1, f"127.0.0.7:{closed}")
    alone = seen_from_here(service(closed, "127.0.0.1"), make_way(ELSEWHERE, inside=True), there)
    assert alone.out_of_reach == "it listens on its own machine's loopback"
    here = seen_from_here(service(closed), make_way("127.0.0.7", holder=None, inside=True), never)
    assert (here.forward, here.out_of_reach) == (None, "")


@pytest.mark.parametrize(
    ("url", "known"),
    [
        ("https://srv1:9100/metrics", True),
        ("http://SRV1.lab:9100/", True),
        ("http://192.0.2.1:9100", True),
        ("http://srv1:9101/metrics", False),
        ("http://srv2:9100/metrics", False),
        ("http://srv1:x/", False),
        ("nothing", False),
    ],
)
def test_a_url_of_the_stack_is_recognised_by_any_name(url: str, known: bool) -> None:
    forward = Forward(SRV1, "127.0.0.1:9100")
    each = Service(
        host="srv1", component="node_exporter", manager="systemd", unit="n", listen=f"{ELSEWHERE}:9100", forward=forward
    )  # fmt: skip
    facts = Facts({"srv1": HostFacts(spec=SRV1, names=("srv1.lab",), services=(each,))})
    assert forward_to(facts, url) == (forward if known else None)
