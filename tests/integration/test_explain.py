"""`firescreen explain` puts the follow-up questions to a real stack, and to nobody else."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

from tests.integration.in_process import firescreen
from wizard.connections.practice import PracticeConnection
from wizard.diagnostics.evidence import addresses, urls
from wizard.engine import Engine
from wizard.model import Service, Stack
from wizard.practice import PracticeStack
from wizard.practice import stack as practice_stack
from wizard.service_managers import supervised
from wizard.workspace import Workspace


def _found(practice: PracticeStack) -> tuple[Engine, Stack, dict[str, Service]]:
    root = Path(practice.folder).parent
    machine, stack = Engine(Workspace(root)), practice_stack(root)
    facts = machine.inspect(stack)
    services = {each.component: each for known in facts.hosts.values() for each in known.services}
    return machine, stack, services


def _said(practice: PracticeStack, command: str, text: str, *more: str, code: int = 0) -> Any:
    ended = firescreen("--workspace", str(Path(practice.folder).parent), command, text, "--json", *more)
    assert ended.returncode == code, ended.stderr
    return json.loads(ended.stdout)


def _explain(practice: PracticeStack, text: str, *more: str) -> Any:
    return _said(practice, "explain", text, *more)


def test_the_hosts_of_the_stack_say_which_it_is(practice: PracticeStack) -> None:
    machine, stack, services = _found(practice)
    node, prometheus = services["node_exporter"], services["prometheus"]
    config = Path(prometheus.config_file)

    # The job says https now, and the exporter speaks plain http still.
    https = f'Get "https://{node.listen}/metrics": http: server gave HTTP response to HTTPS client'
    assert _explain(practice, https, "--stack", "practice")["id"] == "tls-to-plain-http"
    assert _explain(practice, https, "--stack", "practice", "--no-ask")["id"] == "scrape-tls-to-plain"

    # A job without a password, and an exporter that wants one: asked of the files at both ends.
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

    # It does not run: its own log, and what listens, say so.
    refused = f'Get "http://{node.listen}/metrics": dial tcp {node.listen}: connect: connection refused'
    connection = PracticeConnection(node.host, Path(practice.folder) / node.host)
    supervised.stop(connection, supervised.folder_of(node))
    down = _explain(practice, refused, "--stack", "practice")
    assert down["id"] == "service-down"
    assert set(down) == {"id", "cause", "fix", "other_end", "next", "matched"}
    # What our own request met is asked about in the same way.
    url = f"http://{node.listen}/metrics"
    alone = _said(practice, "probe", url, code=1)["diagnosis"]
    told = _said(practice, "probe", url, "--stack", "practice", code=1)["diagnosis"]
    assert (alone["id"], told["id"]) == ("go-refused", "service-down")


def test_a_page_that_is_no_metrics_is_no_success(practice: PracticeStack) -> None:
    """Prometheus could not read it: `probe` says so too, though the status is 200."""
    _, _, services = _found(practice)
    url = f"http://{services['node_exporter'].listen}"
    for path, code in (("/metrics", 0), ("/", 1)):
        ended = firescreen("--workspace", str(Path(practice.folder).parent), "probe", url + path, "--json")
        told = json.loads(ended.stdout)
        assert (ended.returncode, told["ok"], told["status"]) == (code, code == 0, 200), ended.stdout
        assert (told["diagnosis"] or {}).get("id") == (None if code == 0 else "scrape-html")


def test_an_address_that_is_not_the_stacks_is_never_asked(practice: PracticeStack) -> None:
    """A pasted line cannot make Firescreen connect to wherever it says."""
    machine, stack, _ = _found(practice)
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


def test_addresses_that_a_text_names() -> None:
    assert addresses(
        'Get "https://srv1:9100/metrics": dial tcp 192.0.2.7:9100: connect: connection refused'
    ) == (
        "srv1:9100",
        "192.0.2.7:9100",
    )
    assert addresses("curl: (7) Failed to connect to localhost port 9100 after 0 ms") == ("localhost:9100",)
    # As an attempt's own words name what Prometheus scraped.
    assert urls("down\nhttps://srv1:9100/metrics, last scraped never") == {
        "srv1:9100": "https://srv1:9100/metrics"
    }
    assert addresses("http://[::1/ https://a:99999/ nothing") == ()
