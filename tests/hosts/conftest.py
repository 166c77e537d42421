"""Hosts for the tests in this folder: one network, and a fresh host of each suite for each test."""

from __future__ import annotations

from collections.abc import Iterator

import bases
import pytest
from machines import Machine, Network

SUITES = ("bookworm", "sid")


@pytest.fixture(scope="session")
def network() -> Iterator[Network]:
    """The namespace and bridge of this test run."""
    bases.require()
    with Network() as network:
        yield network


@pytest.fixture(params=SUITES)
def machine(request: pytest.FixtureRequest, network: Network) -> Iterator[Machine]:
    """A fresh host with Prometheus and node_exporter as Debian sets them up, once of each suite."""
    with Machine(str(request.param), f"{request.param}-host", network) as machine:
        yield machine
