"""Questions that are answered from the evidence alone, without a host."""

from __future__ import annotations

import socket
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer

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


class Plain(BaseHTTPRequestHandler):
    """Answers every request with 200."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Logs nothing."""


def test_a_container_that_was_not_recreated_is_recognised() -> None:
    server = HTTPServer(("127.0.0.1", 0), Plain)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"https://127.0.0.1:{server.server_port}/metrics"
    found = catalogue.diagnose(f'Get "{url}": http: server gave HTTP response to HTTPS client')
    assert found is not None
    try:
        for difference, fault in (
            ("does not run as its Compose files say now", "container-not-recreated"),
            ("", "tls-to-plain-http"),
        ):
            known = Evidence(url=url, container_difference=partial(str, difference))
            assert catalogue.narrow(found, Asker(known)).fault == fault
    finally:
        server.shutdown()
        server.server_close()
