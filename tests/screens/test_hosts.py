"""The hosts page: a connection is tested before a host is added; questions of SSH and sudo become masked dialogs."""

from __future__ import annotations

import functools
import stat
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input

from screens.app import FirescreenApp, make_app
from screens.dialogs.credentials import SecretDialog
from screens.hosts.screen import HostsPage
from screens.run.screen import RunPage
from screens.run_state import begin
from screens.themes import host_colours
from screens.widgets.title_bar import TitleBar
from tests.screens import example_stack
from tests.screens.helpers import drawn, engine, svg_text, until
from wizard.connections.credentials import Access
from wizard.engine import Outcome, Scan
from wizard.errors import CredentialNeededError, FirescreenError, HostError
from wizard.model import Event, Facts, HostFacts, HostSpec, Stack
from wizard.workspace import Workspace

PRINT = "SHA256:Vq1abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNO"
CANARY = "kanarienvogel4711"


class RemoteEngine(example_stack.ExampleEngine):
    """Hosts whose connections ask the questions that a test sets, in order; each runs what `example_stack` has on srv1."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.workspace = Workspace(root)
        self.access = Access()
        self.user = "root"
        self.may_sudo = True
        self.asks_key = self.asks_login = self.asks_sudo = True
        self.down = False
        self.held: threading.Event | None = None
        self.applied = 0

    def _connect(self, spec: HostSpec) -> None:
        name = spec.name
        if self.held:
            self.held.wait(30)
        if self.down:
            raise HostError("nothing listens on 192.0.2.1:22", where=name, todo="Check the port")
        if self.asks_key and self.access.accepted_fingerprint(name) != PRINT:
            what = f"its host key is not known yet: ssh-ed25519 {PRINT}"
            raise CredentialNeededError(
                what,
                where=name,
                todo="Compare it there.",
                kind="host-key",
                host=name,
                fingerprint=PRINT,
                key_type="ssh-ed25519",
            )
        for kind, asked in (("password", self.asks_login), ("sudo", self.asks_sudo and bool(spec.become))):
            given = self.access.secret(kind, name)  # type: ignore[arg-type]
            if asked and (given is None or given.reveal() != CANARY):
                words = "asks for a password" if given is None else "was not accepted"
                raise CredentialNeededError(
                    f"the {kind} {words}", where=name, todo="Type it.", kind=kind, host=name
                )
            self.access.secret_accepted(kind, name)  # type: ignore[arg-type]
        if spec.become and not self.may_sudo:
            raise HostError("this user may not use sudo", where=name, todo="Log in as root")

    def inspect(self, stack: Stack) -> Facts:
        """Connects, and returns the facts that `example_stack` has for srv1."""
        known = {}
        for spec in stack.hosts:
            if spec.connect == "ssh":
                self._connect(spec)
            root = self.user == "root" or bool(spec.become)
            services = tuple(
                example_stack.service(spec.name, *place[1:]) for place in example_stack.PLACES[:2]
            )
            known[spec.name] = HostFacts(
                spec=spec, root=root, user="root" if root else self.user, services=services
            )
        return Facts(known)

    def scan(self, stack: Stack | None = None, **_: object) -> Scan:
        """Returns the two components of srv1 for each host."""
        if stack is None:
            return super().scan(Stack(hosts=(HostSpec(name="here", connect="local"),), components=()))
        facts = self.inspect(stack)
        seen = tuple(
            replace(one, host=host.name) for host in stack.hosts for one in example_stack.exposures()[:2]
        )
        return Scan(stack=stack, facts=facts, exposures=seen, findings=())

    def apply(self, plan: object, emit: Any, cancel: threading.Event, **_: object) -> Outcome:
        """Fails at once while an answer is missing."""
        self.applied += 1
        error: FirescreenError | None = None
        try:
            for spec in plan.stack.hosts:  # type: ignore[attr-defined]
                self._connect(spec)
        except FirescreenError as needed:
            error = needed
        state = "failed" if error else "proven"
        emit(Event(run="" if error else "7", kind="finished", state=state))
        return Outcome(run="" if error else "7", state=state, error=error)  # type: ignore[arg-type]


@pytest.fixture
def remote(tmp_path: Path) -> RemoteEngine:
    return RemoteEngine(tmp_path)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sets an empty home, so that no hosts of the real user are offered."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "config").write_text("Host web* !x\nHost srv1\n")


def build(remote: RemoteEngine) -> FirescreenApp:
    return make_app(build=engine(remote))


async def add(pilot: Any, text: str = "anna@srv9") -> None:
    await until(pilot, "Other hosts")
    await until(pilot, lambda: not pilot.app.session.busy)
    await pilot.press("o")
    await until(pilot, "srv1")
    await pilot.press("a")
    await until(pilot, "user@host")
    await pilot.press(*text, "enter")


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_hosts_are_added_by_keyboard(remote: RemoteEngine, size: tuple[int, int]) -> None:
    app = build(remote)
    remote.user = "anna"
    pictures = []
    async with app.run_test(size=size) as pilot:
        await add(pilot)
        text = await until(pilot, "Accept this host key?")
        assert PRINT in text
        assert "ssh-ed25519" in text
        await pilot.press("y", "left", "right", "tab")
        await until(pilot, "Accept this host key?")
        await pilot.press("enter")  # the focus has been moved to "yes" on purpose
        await until(pilot, "the password asks for a password")
        await pilot.press(*"wrong", "enter")
        await until(pilot, "the password was not accepted")
        await pilot.press(*CANARY)
        pictures.append(svg_text(app.export_screenshot()))
        await pilot.press("enter")
        text = await until(pilot, "Use sudo on srv9?")
        assert "anna" in text
        await pilot.press("enter")
        await until(pilot, "the sudo asks for a password")
        await pilot.press(*CANARY, "enter")
        text = await until(pilot, "as root, with sudo")
        assert "2 of 2 unprotected" in text
        assert "pushgateway" in text
        assert app.screen.query_one(TitleBar).hosts == (("srv9", host_colours(["srv9"])["srv9"]),)
        pictures.append(svg_text(app.export_screenshot()))
        await pilot.press("u")
        await until(pilot, "Components on your hosts")
        text = await until(pilot, "2 of 2")
        assert app.screen.query_one(TitleBar).hosts == (("srv9", host_colours(["srv9"])["srv9"]),)
        assert "Secure these hosts" in text
        stack = app.session.stack
        assert stack is not None
        assert stack.hosts[0].become == "sudo"
        assert {one.name: one.protect for one in stack.components} == {
            "node_exporter": ("tls", "basic_auth"),
            "pushgateway": ("tls", "basic_auth"),
        }
        kept = remote.workspace.root / "stack.yaml"
        await until(pilot, kept.exists)
    assert all(CANARY not in picture for picture in pictures)
    assert CANARY not in kept.read_text()
    assert "anna" in kept.read_text()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


async def test_an_accidental_enter_does_not_accept_a_host_key(remote: RemoteEngine) -> None:
    app = build(remote)
    async with app.run_test(size=(80, 24)) as pilot:
        await add(pilot)
        await until(pilot, "Accept this host key?")
        await pilot.press("enter")
        await until(pilot, "test failed")
        assert remote.access.accepted_fingerprint("srv9") == ""


async def test_escape_stops_a_connection_test_and_its_late_result_is_dropped(remote: RemoteEngine) -> None:
    remote.held = threading.Event()
    app = build(remote)
    async with app.run_test(size=(80, 24)) as pilot:
        await add(pilot)
        await until(pilot, "connecting…")
        await pilot.press("down", "up")
        await pilot.press("escape")
        await until(pilot, "test stopped")
        assert isinstance(app.screen, HostsPage), "the first Escape stops, the second leaves"
        remote.held.set()
        for _ in range(20):
            await pilot.pause(0.01)
        assert isinstance(app.screen, HostsPage)
        assert "test failed" not in drawn(pilot)
        await pilot.press("escape")
        await until(pilot, lambda: len(app.screen_stack) == 1)


async def test_a_user_who_cannot_become_root_gets_an_error(remote: RemoteEngine) -> None:
    remote.user, remote.may_sudo, remote.asks_key, remote.asks_login, remote.asks_sudo = (
        "anna",
        False,
        False,
        False,
        False,
    )
    app = build(remote)
    async with app.run_test(size=(80, 24)) as pilot:
        await add(pilot)
        await until(pilot, "Use sudo on srv9?")
        await pilot.press("enter")
        text = await until(pilot, "no root privileges")
        assert "this user may not use sudo" in text
        assert "nothing can be changed there" in text
        assert not app.host_list.taken


async def test_the_error_of_an_unreachable_host_says_what_to_do(remote: RemoteEngine) -> None:
    remote.down = True
    app = build(remote)
    async with app.run_test(size=(80, 24)) as pilot:
        await add(pilot, "srv9:2222")
        text = await until(pilot, "test failed")
        assert "nothing listens on" in text
        assert "Check the port" in text


async def test_an_invalid_host_is_reported_in_the_dialog(remote: RemoteEngine) -> None:
    app = build(remote)
    async with app.run_test(size=(80, 24)) as pilot:
        await add(pilot, "root@")
        await until(pilot, "names no host")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, HostsPage))


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_the_hosts_of_a_file_are_added_and_tested_together(
    remote: RemoteEngine, tmp_path: Path, size: tuple[int, int]
) -> None:
    remote.asks_key = remote.asks_login = remote.asks_sudo = False
    inventory = tmp_path / "hosts.ini"
    inventory.write_text("[campus]\nsrv1\nnode[01:03] ansible_user=anna ansible_become=yes\n")
    app = build(remote)
    async with app.run_test(size=size) as pilot:
        await until(pilot, "Other hosts")
        await until(pilot, lambda: not app.session.busy)
        await pilot.press("o")
        await until(pilot, "srv1")
        await pilot.press("a")
        text = await until(pilot, "user@host")
        assert "Ansible" in text
        app.screen.query_one(Input).value = str(tmp_path / "nowhere.yml")
        await pilot.press("enter")
        await until(pilot, "cannot be read")
        app.screen.query_one(Input).value = str(inventory)
        await pilot.press("enter")
        text = await until(pilot, "anna@node03")
        assert [entry.name for entry in app.hosts].count("srv1") == 1, "it is in ~/.ssh/config too"
        assert "'t' tests all added hosts" in text and text.count("from hosts.ini") == 4
        assert {entry.state for entry in app.hosts} == {""}, "nothing is tested without being asked"
        await pilot.press("t")
        await until(pilot, lambda: len(app.host_list.taken) == 3)
        assert [entry.spec.become for entry in app.host_list.taken] == ["sudo"] * 3
        assert not app.host_list.entry("srv1").components, "only what was added"  # type: ignore[union-attr]


async def test_previously_used_hosts_are_offered(remote: RemoteEngine) -> None:
    remote.asks_key = remote.asks_login = remote.asks_sudo = False
    (remote.workspace.root / "stack.yaml").write_text(
        "version: 1\nhosts: {srv1: {connect: ssh}}\ncomponents: [{host: srv1, name: node_exporter, protect: [tls]}]\n"
    )
    app = build(remote)
    async with app.run_test(size=(80, 24)) as pilot:
        text = await until(pilot, "Continue with your hosts?")
        assert "srv1" in text
        await pilot.press("enter")
        await until(pilot, "Components on your hosts")
        assert app.session.hosts == ("srv1",)


async def test_a_question_during_an_apply_is_asked_and_the_apply_repeated(remote: RemoteEngine) -> None:
    remote.asks_key = False
    stack = Stack(hosts=(HostSpec(name="srv1", connect="ssh"),), components=())
    plan = replace(example_stack.plan(), stack=stack)
    app = build(remote)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "Other hosts")
        app.runs.start(begin("apply"), lambda emit, cancel: app.client.apply(plan, emit, cancel))
        app.push_screen(RunPage())
        await until(pilot, lambda: isinstance(app.screen, SecretDialog))
        assert app.run_state.phase == "running", "the end of what was cut short is not told"
        assert app.screen.query_one(Input).password
        await pilot.press(*CANARY, "enter")
        await until(pilot, lambda: not app.runs.working)
        assert app.run_state.result == "proven"
        assert remote.applied == 2


@pytest.mark.parametrize("everywhere", [True, False])
async def test_a_password_is_for_one_host_or_for_all(remote: RemoteEngine, everywhere: bool) -> None:
    remote.asks_key = remote.asks_login = False
    specs = tuple(HostSpec(name=name, connect="ssh", become="sudo") for name in ("srv1", "srv2", "srv3"))
    app = build(remote)
    questions: list[object] = []
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "Other hosts")
        await until(pilot, lambda: not app.session.busy)
        app.session = replace(app.session, stack=Stack(hosts=specs, components=()))
        for spec in specs:
            app.ask(functools.partial(app.client.reach, spec), questions.append)
        await until(pilot, "Use for all hosts")
        asked = 0
        for _ in specs:
            if len(questions) < len(specs):
                await until(pilot, lambda: isinstance(app.screen, SecretDialog))
                asked += 1
                await pilot.press(*CANARY, "tab", *(["tab"] if everywhere else []), "enter")
                goal = len(specs) if everywhere else asked
                await until(pilot, functools.partial(lambda goal: len(questions) == goal, goal))
        assert (len(questions), asked) == (3, 1 if everywhere else 3)
        assert len(app.screen_stack) == 1


async def test_concurrent_scans_ask_a_question_only_once(remote: RemoteEngine) -> None:
    remote.asks_key = False
    spec = HostSpec(name="srv1", connect="ssh")
    app = build(remote)
    questions: list[object] = []
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "Other hosts")
        for _ in range(3):
            app.ask(lambda: app.client.reach(spec), questions.append)
        await until(pilot, lambda: isinstance(app.screen, SecretDialog))
        await pilot.press(*CANARY, "enter")
        await until(pilot, lambda: len(questions) == 3)
        assert len(app.screen_stack) == 1
