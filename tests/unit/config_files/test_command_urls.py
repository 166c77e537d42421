"""Lines of units, cron tables and scripts that send http requests to a component are found."""

from __future__ import annotations

import pytest

from wizard.config_files.command_urls import Url, plain


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("ExecReload=/usr/bin/curl -X POST http://localhost:9090/-/reload", [("localhost", 9090)]),
        (
            "{ path=/usr/bin/curl ; argv[]=/usr/bin/curl -sf http://127.0.0.1:9090/-/ready ; }",
            [("127.0.0.1", 9090)],
        ),
        (
            "* * * * * root curl -sf localhost:9100/metrics > /dev/null || systemctl restart x",
            [("localhost", 9100)],
        ),
        ("wget -qO- 'http://[::1]:9100/metrics'", [("::1", 9100)]),
        ('curl "http://$HOST:9100/metrics"', [("$HOST", 9100)]),
        ('curl "http://${HOST}:9100/metrics"', [("${HOST}", 9100)]),
        ("curl http://me:secret@node1.example.org:9100/x", [("node1.example.org", 9100)]),
        ("Environment=PROMETHEUS_URL=http://localhost:9090", [("localhost", 9090)]),
        ("ExecStart=/usr/bin/thanos sidecar --prometheus.url=http://localhost:9090", [("localhost", 9090)]),
        ("promtool query instant http://localhost:9090 up", [("localhost", 9090)]),
        ("curl http://a:9090/ http://b:9093/", [("a", 9090), ("b", 9093)]),
        ("ExecReload=/bin/kill -HUP $MAINPID", []),
        ("# curl http://localhost:9090/-/reload", []),
        ("curl --cacert /x https://localhost:9090/-/reload", []),
        (
            "ExecStart=/usr/bin/prometheus --web.external-url=http://mon:9090/ --web.listen-address=0.0.0.0:9090",
            [],
        ),
        ("ExecStart=/usr/bin/node_exporter --web.listen-address 127.0.0.1:9100", []),
        ("nc -z localhost 9100", []),
        ("ListenStream=127.0.0.1:9100", []),
        ("curl http://localhost/metrics", []),
    ],
)
def test_http_requests_in_commands_are_found(line: str, found: list[tuple[str, int]]) -> None:
    assert plain(line) == tuple(Url(*each) for each in found)
