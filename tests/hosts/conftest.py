"""Fixtures with hosts: one network for all tests, and a new host of each suite for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import bases
import pytest
from docker_hosts import Docker
from host_shapes import NEXT
from incus_hosts import Incus, Instance
from machines import Machine, Network
from machines import fleet as _fleet

SUITES = ("bookworm", "sid")
LONGEST = (
    # They mostly wait; the screen test of many hosts then has the processors that it measures with.
    *("test_fleet", "test_oauth2", "test_many_hosts", "test_missing_hosts", "test_plan_facts"),
    *("test_export_front_doors", "test_container_matrix", "test_sign_in", "test_safe_paths", "test_labs"),
    *("test_export", "test_ssh", "test_foreign_folders", "test_upkeep", "test_door_to_other_hosts"),
    *(
        "test_exporter_exporter",
        "test_front_door",
        "test_existing_sites",
        "test_oauth2_proxy",
        "test_installation",
    ),
    *("test_fleet_kill", "test_container_kill", "test_container_clients", "test_containers"),
)
"""Files whose tests take longest on one worker; measured with --durations=0."""
SHORTEST = ("test_host_shapes",)
"""Many short tests, each of which runs on whichever worker is free."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Starts with the longest tests and ends with short ones, so that all workers finish at about the same time."""
    ranks = {name: place for place, name in enumerate((*LONGEST, "", *SHORTEST))}
    items.sort(key=lambda item: ranks.get(item.path.stem, ranks[""]))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Passes the next test to the fixtures, so that its hosts can boot meanwhile."""
    item.stash[NEXT] = nextitem


@pytest.fixture(scope="session")
def network() -> Iterator[Network]:
    """Returns the namespace and bridge of this test run; a test enters it with `with network.entered()`."""
    bases.require()
    with Network() as network:
        yield network


@pytest.fixture(params=SUITES)
def machine(request: pytest.FixtureRequest, network: Network) -> Iterator[Machine]:
    """Returns a new host with Prometheus and node_exporter as Debian sets them up, for each suite."""
    with Machine(str(request.param), f"{request.param}-host", network) as machine:
        yield machine


@pytest.fixture
def fleet(network: Network) -> Iterator[Callable[..., list[Machine]]]:
    """Returns `fleet(suite, count)`, which boots that many new hosts at once, srv1 and so on, until the test ends."""
    with ExitStack() as stack:
        yield lambda suite, count, **more: stack.enter_context(_fleet(suite, count, network, **more))


@pytest.fixture(scope="session")
def incus(network: Network) -> Iterator[Incus]:
    """Returns an incus daemon in this test run's network; clients that the tests start connect to it."""
    with Incus(network) as incus, pytest.MonkeyPatch.context() as patch:
        for name, value in incus.environment.items():
            patch.setenv(name, value)
        yield incus


@pytest.fixture(scope="session", params=SUITES)
def instance(request: pytest.FixtureRequest, incus: Incus) -> Iterator[Instance]:
    """Returns a container with Prometheus as Debian sets it up (and node_exporter), one per suite for all tests."""
    with Instance(str(request.param), "prometheus", incus) as instance:
        yield instance


@pytest.fixture(scope="session")
def docker(network: Network) -> Iterator[Docker]:
    """Returns a dockerd in this test run's network; programs find it with `Docker.environment`."""
    with Docker(network) as docker:
        yield docker
