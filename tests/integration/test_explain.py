"""`firescreen explain` checks the hosts of the stack for the cause, and connects to no other host."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

from tests.integration.command_line import firescreen
from wizard.connections.practice import PracticeConnection
from wizard.diagnostics.evidence import addresses, urls
from wizard.engine import Engine
from wizard.model import Service, Stack
from wizard.practice import PracticeStack
from wizard.practice import stack as practice_stack
from wizard.service_managers import supervised
from wizard.workspace import Workspace


def _diagnose(practice: PracticeStack) -> tuple[Engine, Stack, dict[str, Service]]:
    root = Path(practice.folder).parent
    machine, stack = Engine(Workspace(root)), practice_stack(root)
    facts = machine.inspect(stack)
    services = {each.component: each for known in facts.hosts.values() for each in known.services}
    return machine, stack, services


def _run_and_read_error(practice: PracticeStack, command: str, text: str, *more: str, code: int = 0) -> Any:
    ended = firescreen("--workspace", str(Path(practice.folder).parent), command, text, "--json", *more)
    assert ended.returncode == code, ended.stderr
    return json.loads(ended.stdout)


def _explain(practice: PracticeStack, text: str, *more: str) -> Any:
    return _run_and_read_error(practice, "explain", text, *more)


def test_the_hosts_of_the_stack_narrow_down_the_cause(practice: PracticeStack) -> None:
    machine, stack, services = _diagnose(practice)
    node, prometheus = services["node_exporter"], services["prometheus"]
    config = Path(prometheus.config_file)

    # The job uses https now, and the exporter still plain http.
    https = f'Get "https://{node.listen}/metrics": http: server gave HTTP response to HTTPS client'
    assert _explain(practice, https, "--stack", "practice")["id"] == "tls-to-plain-http"
    assert _explain(practice, https, "--stack", "practice", "--no-ask")["id"] == "scrape-tls-to-plain"

    # A job without a password, and an exporter that requires one: read from the files at both ends.
    unauthorized = f"server returned HTTP status 401 Unauthorized: http://{node.listen}/metrics"
    found = machine.explain(unauthorized, stack)
    assert found is not None and found.fault == "password-none"
    text = config.read_text()
    (config.parent / "pw").write_text("secret\n")
    login = "    basic_auth: {username: prometheus, password_file: nowhere}\n    static_configs:"
    config.write_text(text.replace("    static_configs:", login))
    found = machine.explain(unauthorized, stack)
    assert found is not None and found.fault == "password-file"
    config.write_text(text)

    # The service does not run: its log, and its port, say so.
    refused = f'Get "http://{node.listen}/metrics": dial tcp {node.listen}: connect: connection refused'
    connection = PracticeConnection(node.host, Path(practice.folder) / node.host)
    supervised.stop(connection, supervised.folder_of(node))
    down = _explain(practice, refused, "--stack", "practice")
    assert down["id"] == "service-down"
    assert set(down) == {"id", "cause", "fix", "other_end", "next", "matched"}
    # Errors of our own probes are explained in the same way.
    url = f"http://{node.listen}/metrics"
    alone = _run_and_read_error(practice, "probe", url, code=1)["diagnosis"]
    diagnosis = _run_and_read_error(practice, "probe", url, "--stack", "practice", code=1)["diagnosis"]
    assert (alone["id"], diagnosis["id"]) == ("go-refused", "service-down")


def test_a_page_without_metrics_is_a_failure(practice: PracticeStack) -> None:
    """Prometheus cannot parse it: `probe` reports that too, although the status is 200."""
    _, _, services = _diagnose(practice)
    url = f"http://{services['node_exporter'].listen}"
    for path, code in (("/metrics", 0), ("/", 1)):
        ended = firescreen("--workspace", str(Path(practice.folder).parent), "probe", url + path, "--json")
        document = json.loads(ended.stdout)
        assert (ended.returncode, document["ok"], document["status"]) == (code, code == 0, 200), ended.stdout
        assert (document["diagnosis"] or {}).get("id") == (None if code == 0 else "scrape-html")


def test_an_address_outside_the_stack_is_never_contacted(practice: PracticeStack) -> None:
    """A pasted text cannot make Firescreen connect to an address that it names."""
    machine, stack, _ = _diagnose(practice)
    with socket.socket() as trap:
        trap.bind(("127.0.0.1", 0))
        trap.listen()
        trap.settimeout(0.5)
        place = f"127.0.0.1:{trap.getsockname()[1]}"
        found = machine.explain(f'Get "https://{place}/metrics": context deadline exceeded', stack)
        assert found is not None and not found.fault
        try:
            trap.accept()
        except TimeoutError:
            return
    raise AssertionError("it was asked")


def test_addresses_are_read_from_a_text() -> None:
    assert addresses(
        'Get "https://srv1:9100/metrics": dial tcp 192.0.2.7:9100: connect: connection refused'
    ) == (
        "srv1:9100",
        "192.0.2.7:9100",
    )
    assert addresses("curl: (7) Failed to connect to localhost port 9100 after 0 ms") == ("localhost:9100",)
    # An attempt's error names the URL that Prometheus scraped.
    assert urls("down\nhttps://srv1:9100/metrics, last scraped never") == {
        "srv1:9100": "https://srv1:9100/metrics"
    }
    assert addresses("http://[::1/ https://a:99999/ nothing") == ()
