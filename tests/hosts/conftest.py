"""Hosts for the tests in this folder: one network, and a fresh host of each suite for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import bases
import pytest
from docker_stand import Docker
from host_shapes import NEXT
from incus_hosts import Incus, Instance
from machines import Machine, Network
from machines import fleet as _fleet

SUITES = ("bookworm", "sid")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Lets a test's fixtures know what comes next, so that its hosts can boot meanwhile."""
    item.stash[NEXT] = nextitem


@pytest.fixture(scope="session")
def network() -> Iterator[Network]:
    """The namespace and bridge of this test run; a test that is to stand in it says `with network.entered()`."""
    bases.require()
    with Network() as network:
        yield network


@pytest.fixture(params=SUITES)
def machine(request: pytest.FixtureRequest, network: Network) -> Iterator[Machine]:
    """A fresh host with Prometheus and node_exporter as Debian sets them up, once of each suite."""
    with Machine(str(request.param), f"{request.param}-host", network) as machine:
        yield machine


@pytest.fixture
def fleet(network: Network) -> Iterator[Callable[..., list[Machine]]]:
    """`fleet(suite, count)`: that many fresh hosts at once, srv1 and so on, ended with the test."""
    with ExitStack() as stack:
        yield lambda suite, count, **more: stack.enter_context(_fleet(suite, count, network, **more))


@pytest.fixture(scope="session")
def incus(network: Network) -> Iterator[Incus]:
    """An incus daemon in this test run's network; clients that the tests start talk to it."""
    with Incus(network) as incus, pytest.MonkeyPatch.context() as patch:
        for name, value in incus.environment.items():
            patch.setenv(name, value)
        yield incus


@pytest.fixture(scope="session", params=SUITES)
def instance(request: pytest.FixtureRequest, incus: Incus) -> Iterator[Instance]:
    """A container with Prometheus as Debian sets it up (and node_exporter), once of each suite for all tests."""
    with Instance(str(request.param), "prometheus", incus) as instance:
        yield instance


@pytest.fixture(scope="session")
def docker(network: Network) -> Iterator[Docker]:
    """A dockerd in this test run's network; programs find it by `Docker.environment`."""
    with Docker(network) as docker:
        yield docker
