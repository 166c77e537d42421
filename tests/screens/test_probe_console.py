"""The probe console in the real app, with a real node_exporter and a real Prometheus behind it."""

from __future__ import annotations

import asyncio
import shlex
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from screens.app import FirescreenApp, make_app
from screens.dialogs.attempt import AttemptDialog
from screens.probe_console.result import wrong
from screens.probe_console.screen import ConsolePage, form_values
from tests.integration.loopback_programs import exporter, free_port, prometheus_server
from tests.processes import run_program
from tests.screens.helpers import QuietEngine, engine, until
from wizard import binaries, passwords, probes
from wizard.certificates import issue
from wizard.model import Forward, HostSpec, Probe
from wizard.redact import Secret
from wizard.workspace import Workspace

PASSWORD = Secret("wörd 'and\" more")


@dataclass(frozen=True)
class ProbedStack:
    """A secured node_exporter, a secured Prometheus that scrapes it, and a port where nothing listens."""

    folder: Path
    node: int
    prometheus: int
    promtool: str


@pytest.fixture(scope="module")
def probed_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProbedStack]:
    folder = tmp_path_factory.mktemp("console")
    cache = Path.home() / ".cache/firescreen"
    programs = {
        name: binaries.find(name, cache=cache).path for name in ("node_exporter", "prometheus", "promtool")
    }
    ca_key, key = issue.new_key("ec-p256"), issue.new_key("ec-p256")
    ca = issue.new_ca(name="Console CA", key_pem=ca_key, days=30)
    other = issue.new_ca(name="Other CA", key_pem=key, days=30)
    leaf = issue.issue(
        ca_cert=ca,
        ca_key=ca_key,
        key_pem=key,
        names=("localhost", "127.0.0.1", "node.test"),
        days=9,
        common_name="node",
    )
    for name, content in (("ca.crt", ca), ("other.crt", other), ("node.crt", leaf), ("node.key", key)):
        (folder / name).write_bytes(content)
    (folder / "password").write_text(PASSWORD.reveal())
    hashed = passwords.hash_password(PASSWORD, 4)
    web = (
        f"tls_server_config:\n  cert_file: {folder}/node.crt\n  key_file: {folder}/node.key\n"
        f"basic_auth_users:\n  prom: {hashed}\n"
    )
    node, port, dead = free_port(), free_port(), free_port()
    config = f"""\
global:
  scrape_interval: 1s
scrape_configs:
  - job_name: node
    scheme: https
    tls_config: {{ca_file: {folder}/ca.crt}}
    basic_auth: {{username: prom, password_file: {folder}/password}}
    static_configs: [{{targets: ['127.0.0.1:{node}']}}]
  - job_name: dead
    static_configs: [{{targets: ['127.0.0.1:{dead}']}}]
"""
    with (
        exporter(programs["node_exporter"], folder, node, web),
        prometheus_server(programs["prometheus"], folder, port, config),
    ):
        yield ProbedStack(folder, node, port, programs["promtool"])


@pytest.fixture
def app(tmp_path: Path) -> FirescreenApp:
    quiet = QuietEngine()
    quiet.workspace = Workspace(tmp_path / "work")
    return make_app(build=engine(quiet))


def typed(words: list[str]) -> subprocess.CompletedProcess[str]:
    """Runs a printed command, with no terminal that could answer a question."""
    nobody = subprocess.DEVNULL
    return run_program(words, timeout=20, stdin=nobody)


async def fill(pilot: Pilot[Any], **values: str) -> None:
    """Types into the fields."""
    for name, value in values.items():
        pilot.app.screen.query_one(f"#{name}", Input).value = value


async def test_a_request_shows_its_parts(app: FirescreenApp, probed_stack: ProbedStack) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "No Prometheus component was found")
        await pilot.press("a")
        await until(pilot, "--cacert")
        url = f"https://127.0.0.1:{probed_stack.node}/metrics"
        await pilot.press(*url)
        await fill(pilot, cacert=f"{probed_stack.folder}/ca.crt", user="prom", password=PASSWORD.reveal())
        await pilot.press("enter")
        text = await until(pilot, "✓ 200: Prometheus can scrape it")
        assert PASSWORD.reveal() not in text
        assert "Command" in text
        await pilot.resize_terminal(120, 60)
        text = await until(pilot, "signed by CN=Console CA")
        for words in (
            "┌─ leaf: CN=node",
            "localhost, node.test, 127.0.0.1",
            "in 9 days",
            "✓ this CA is in the CA file",
            "← Certificate",
            "connect",
            "# HELP",
        ):
            assert words in text
        await pilot.press("c")
        ended = await asyncio.to_thread(typed, shlex.split(app.clipboard))
        assert ended.stdout == "200\n", ended.stderr
        assert PASSWORD.reveal() not in app.clipboard
        await pilot.press("f6")
        await until(pilot, lambda: "← Certificate" not in str(app.screen.query_one("#answer").render()))

        await fill(pilot, cacert=f"{probed_stack.folder}/other.crt")
        await pilot.press("f2")
        text = await until(pilot, "not trusted")
        assert "this CA: not in the CA file" in text
        assert "Diagnosis" in text

        await fill(pilot, cacert=f"{probed_stack.folder}/ca.crt", password="wrong")
        await pilot.press("f2")
        text = await until(pilot, "✗ 401")
        assert "! curl exits with 0" in text

        await fill(pilot, cacert="/nowhere.crt")
        await pilot.press("f2")
        await until(pilot, "the file cannot be read /nowhere.crt")


async def test_the_targets_of_prometheus_are_shown(app: FirescreenApp, probed_stack: ProbedStack) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "No Prometheus component was found")
        next(one for one in app.get_system_commands(app.screen) if one.title == "Probe console").callback()
        await until(pilot, "--cacert")
        await fill(pilot, url=f"http://127.0.0.1:{probed_stack.prometheus}/targets")

        async def scraped() -> str:
            await pilot.press("f3")
            return await until(pilot, "Targets")  # Prometheus answers before it has a target

        text = await scraped()
        for _ in range(200):
            if "✓ up" in text and "✗ down" in text:
                break
            text = await scraped()
        assert "2 targets, 1 not up" in text
        assert "connection refused" in text
        assert "→ " in text, "what that means stands beneath"
        await pilot.press("f4")
        await until(pilot, "query=up")
        answered = app.screen._answered  # type: ignore[attr-defined]
        assert {one.health for one in answered.targets} == {"up", "down"}
        assert len(answered.commands) == 2
        for command in answered.commands:
            words = [probed_stack.promtool if word == "promtool" else word for word in shlex.split(command)]
            ended = await asyncio.to_thread(typed, words)
            assert ended.returncode == 0, ended.stderr
            assert "node" in ended.stdout
            assert "dead" in ended.stdout


def right_client(probed_stack: ProbedStack, **more: Any) -> Probe:
    """Returns a request of the verification."""
    told: dict[str, Any] = {
        "url": f"https://127.0.0.1:{probed_stack.node}/metrics",
        "ca_file": f"{probed_stack.folder}/ca.crt",
        "server_name": "node.test",
        "user": "prom",
        "password": PASSWORD,
    }
    return Probe(
        id="x",
        host="srv1",
        component="node_exporter",
        name="right client",
        client="right client",
        expect="200",
        **(told | more),
    )


async def test_a_cell_of_the_verification_opens_the_console_filled_in(
    app: FirescreenApp, probed_stack: ProbedStack
) -> None:
    probe = right_client(probed_stack)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "No Prometheus component was found")
        app.push_screen(AttemptDialog(probes.run(probe)))
        await until(pilot, "Open in probe console")
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, ConsolePage))
        text = await until(pilot, "https://node.test")
        assert f"node.test:{probed_stack.node}:127.0.0.1" in text
        await pilot.press("enter")
        text = await until(pilot, "✓ 200: Prometheus can scrape it")
        assert PASSWORD.reveal() not in text


async def test_a_request_is_forwarded_by_its_host_until_another_address_is_typed(
    tmp_path: Path, probed_stack: ProbedStack
) -> None:
    class Leading(QuietEngine):
        def dial(self, forward: Forward, seconds: float) -> socket.socket:
            host, _, port = forward.place.partition(":")
            return socket.create_connection((host, int(port)), seconds)

    leading = Leading()
    leading.workspace = Workspace(tmp_path / "work")
    srv1 = HostSpec(name="srv1", connect="ssh", address="192.0.2.1")
    probe = right_client(
        probed_stack,
        url="https://192.0.2.1:9100/metrics",
        forward=Forward(srv1, f"127.0.0.1:{probed_stack.node}"),
    )
    app = make_app(build=engine(leading))
    async with app.run_test(size=(80, 30)) as pilot:
        await until(pilot, "No Prometheus component was found")
        app.push_screen(AttemptDialog(probes.run(probe, dial=leading.dial)))
        text = await until(pilot, f"through  the SSH connection to srv1, to 127.0.0.1:{probed_stack.node}")
        assert "with a prompt for the password" not in text
        await pilot.press("a")
        await until(pilot, "https://node.test")
        await pilot.press("enter")
        text = await until(pilot, "✓ 200: Prometheus can scrape it")
        assert "ssh -f -o ExitOnForwardFailure=yes" in text
        await fill(pilot, url="https://node.test:9101/metrics")
        await pilot.press("f2")
        await until(pilot, "no such host")


async def test_one_key_leads_to_the_fix(app: FirescreenApp, probed_stack: ProbedStack) -> None:
    nobody: dict[str, Any] = {"server_name": "", "user": "", "password": None}
    probe = right_client(probed_stack, ca_file=f"{probed_stack.folder}/other.crt", **nobody)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "No Prometheus component was found")
        app.push_screen(AttemptDialog(probes.run(probe)))
        text = await until(pilot, "Fix it")
        assert "Open in probe console" in text
        await pilot.press("m")
        # The page for the certificate opens; on this machine it lists nothing.
        await until(pilot, "There is nothing to secure")
        await pilot.press("escape", "a")
        await until(pilot, "--cacert")
        assert not app.screen.check_action("fix", ()), "nothing was asked yet"
        await fill(pilot, url=probe.url, cacert=probe.ca_file)
        await pilot.press("f2")
        await until(pilot, "m Fix it")
        await pilot.press("m")
        await until(pilot, "There is nothing to secure")


def test_the_certificate_that_is_not_trusted_is_named(probed_stack: ProbedStack) -> None:
    probe = Probe(
        id="x",
        host="",
        component="",
        name="",
        client="",
        expect="200",
        url=f"https://127.0.0.2:{probed_stack.node}/",
        resolve=f"127.0.0.2:{probed_stack.node}:127.0.0.1",
        ca_file=f"{probed_stack.folder}/ca.crt",
    )
    assert wrong(probes.run(probe)) == (0, "not valid for the requested name")


def test_without_a_request_the_fields_are_empty() -> None:
    assert form_values(None) == ({}, None)
