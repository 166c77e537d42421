"""A small web server on loopback with the answers of a test."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = tuple[int, bytes]


@contextmanager
def serving(answer: Callable[[str, Mapping[str, str]], Answer]) -> Iterator[str]:
    """Starts a server that answers each path (with its query) by `answer`; yields its host:port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answer(self.path, dict(self.headers.items()))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815 - as the base class calls it

        def log_message(self, *_: object) -> None:
            """Logs nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01), daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def prometheus(
    *targets: Mapping[str, object],
    alertmanagers: tuple[str, ...] = (),
    metrics: str = "prometheus_config_last_reload_successful 1\n",
) -> Callable[[str, Mapping[str, str]], Answer]:
    """Returns the answers of a Prometheus with these targets."""

    def answer(path: str, headers: Mapping[str, str]) -> Answer:
        answers: dict[str, Mapping[str, object]] = {
            "/api/v1/targets?state=active": {"activeTargets": list(targets)},
            "/api/v1/alertmanagers": {"activeAlertmanagers": [{"url": url} for url in alertmanagers]},
            "/api/v1/rules": {"groups": []},
            "/api/v1/query?query=probe_success": {"result": []},
        }
        data = answers.get(path)
        if data is not None:
            return 200, json.dumps({"status": "success", "data": data}).encode()
        return (200, metrics.encode()) if path == "/metrics" else (404, b"")

    return answer


def target(instance: str, *, job: str = "node", health: str = "up", error: str = "") -> dict[str, object]:
    """An active target in the format of Prometheus' API, scraped in the far future."""
    return {
        "scrapePool": job,
        "labels": {"job": job, "instance": instance},
        "discoveredLabels": {"__address__": instance},
        "scrapeUrl": f"http://{instance}/metrics",
        "health": health,
        "lastError": error,
        "lastScrape": "2100-01-01T00:00:00Z",
        "scrapeInterval": "1s",
        "scrapeTimeout": "1s",
    }
