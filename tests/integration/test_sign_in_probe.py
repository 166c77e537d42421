"""The probe of a page without sign-in: it must redirect to the provider, with this client and redirect URI."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlencode

import pytest

from tests.processes import run_program
from wizard import probes
from wizard.model import Probe

BACK = "https://noc.example.net/oauth2/callback"
ASKED = {"client_id": "firescreen", "redirect_uri": BACK, "response_type": "code"}
PROVIDER = "https://id.example.net/auth?"


@contextmanager
def serve_redirects(redirects: dict[str, str]) -> Iterator[str]:
    """Runs a server that redirects a browser for each of these paths; all other requests get 401."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            to = redirects.get(self.path) if "text/html" in self.headers.get("Accept", "") else None
            self.send_response(302 if to else 401)
            if to:
                self.send_header("Location", to)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Logs nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=lambda: server.serve_forever(poll_interval=0.01), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def probe(root: str) -> Probe:
    return Probe(
        id="a",
        host="web1",
        component="prometheus",
        name="a page leads to the OpenID provider",
        client="page, not signed in",
        expect="302",
        kind="sign_in",
        url=f"{root}/page",
        holds=urlencode(ASKED),
    )


@pytest.mark.parametrize(
    ("redirects", "outcome", "reason"),
    [
        ({"/page": PROVIDER + urlencode({**ASKED, "state": "x y"})}, "302", ""),
        (
            {"/page": "/oauth2/start?rd=/page", "/oauth2/start?rd=/page": PROVIDER + urlencode(ASKED)},
            "302",
            "",
        ),
        ({}, "401", ""),
        ({"/page": PROVIDER + urlencode({**ASKED, "redirect_uri": "https://x/"})}, "other", "redirect_uri"),
        ({"/page": PROVIDER + urlencode({**ASKED, "client_id": "another"})}, "other", "client_id"),
        ({"/page": "http" + PROVIDER[5:] + urlencode(ASKED)}, "other", "http://id.example.net/auth"),
        ({"/page": "/page"}, "other", "without the right"),
    ],
)
def test_the_redirect_of_a_page(redirects: dict[str, str], outcome: str, reason: str) -> None:
    with serve_redirects(redirects) as root:
        attempt = probes.run(probe(root))
    assert (attempt.outcome, attempt.ok) == (outcome, outcome == "302")
    assert reason in attempt.reason


def test_the_printed_command_shows_the_redirect() -> None:
    address = PROVIDER + urlencode(ASKED)
    with serve_redirects({"/page": address}) as root:
        ended = run_program(shlex.split(probes.curl(probe(root))), timeout=30, check=True)
    assert ended.stdout.replace("\\n", "").split() == ["302", address]
