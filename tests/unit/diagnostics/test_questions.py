"""What is answered from what is known of both ends, without a host."""

from __future__ import annotations

import socket

from wizard.diagnostics import catalogue
from wizard.diagnostics.evidence import Evidence
from wizard.diagnostics.questions import Asker


def test_localhost_in_a_container_is_the_container() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    line = f'Get "http://localhost:{port}/metrics": dial tcp [::1]:{port}: connect: connection refused'
    found = catalogue.diagnose(line)
    assert found is not None and "localhost-in-container" in found.possible
    for host in ("localhost", "127.0.0.1", "[::1]"):
        known = Evidence(url=f"http://{host}:{port}/metrics", contained=True)
        assert catalogue.narrow(found, Asker(known)).fault == "localhost-in-container"
    outside = Evidence(url=f"http://localhost:{port}/metrics")
    assert catalogue.narrow(found, Asker(outside)).fault != "localhost-in-container"
