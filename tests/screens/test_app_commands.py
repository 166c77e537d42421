"""What people look for is found: commands in the palette, actions on the inventory, help by one key."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input

from screens.app import FirescreenApp, make_app
from screens.choices.screen import ChoicesPage
from screens.command_palette import Palette
from screens.dialogs.glossary import GlossaryDialog
from screens.dialogs.help import HelpDialog
from screens.dialogs.manual import ManualDialog
from screens.engine_client import pictures
from screens.inventory import InventoryPage
from screens.navigation.runs import ask_to_undo
from screens.run.screen import RunPage
from screens.run_state import begin
from screens.widgets.field import Field
from tests.screens.helpers import QuietEngine, engine, until
from tests.screens.scenes import SceneEngine
from wizard.engine import Exposure, InventoryItem, Scan
from wizard.errors import HostError
from wizard.inventory.stack_file import load
from wizard.model import (
    Answers,
    ComponentSpec,
    Facts,
    HostFacts,
    HostSpec,
    Plan,
    Question,
    RunRecord,
    Service,
    Setting,
    Stack,
)
from wizard.workspace import Workspace

SRV1 = HostSpec(name="srv1", connect="practice")


def level(component: str, *, tls: bool = True, password: bool = True, client: bool = False) -> Exposure:
    """Returns a component and its level, as a scan finds it."""
    return Exposure(
        host="srv1",
        component=component,
        address="127.0.0.1:9100",
        version="1",
        manager="",
        unit=component,
        tls=tls,
        password=password,
        client_certificate=client,
        state="secured" if tls else "open",
        words="",
    )


class Secured(QuietEngine):
    """Scans to two components, one of which is secured; records the plans that are requested."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.workspace = Workspace(folder).ensure()
        self.planned: list[tuple[Stack, Answers]] = []
        self.seen: tuple[Exposure, ...] = (
            level("node_exporter", client=True),
            level("prometheus", tls=False, password=False),
        )

    def scan(self, stack: Stack | None = None, **_: object) -> Scan:
        """Returns the two components."""
        found = Stack(
            hosts=(SRV1,),
            components=(
                ComponentSpec(host="srv1", name="node_exporter", protect=("tls",)),
                ComponentSpec(host="srv1", name="prometheus", protect=("tls", "basic_auth")),
            ),
        )
        return Scan(stack=stack or found, facts=Facts({}), exposures=self.seen, findings=())

    def plan(self, stack: Stack, answers: Answers) -> Plan:
        """Records the requested stack and answers."""
        self.planned.append((stack, answers))
        return Plan(stack=stack, facts=Facts({}), steps=(), probes=())

    def inspect(self, stack: Stack) -> Facts:
        """Returns no facts."""
        return Facts({})

    def inventory(self, stack: Stack, facts: Facts) -> tuple[InventoryItem, ...]:
        """Returns an entry of each kind."""
        return tuple(
            InventoryItem(
                kind=kind,
                name="x",
                for_whom="srv1",
                host="srv1",
                path=f"/x/{kind}",
                mode=0o600,
                not_after=0,
                note="",
            )
            for kind in ("authority", "certificate", "user")
        )


async def best_match(app: FirescreenApp, words: str) -> str:
    """Returns the title of the palette's first line for a search."""
    hits = [hit async for hit in Palette(app.screen, None).search(words)]
    assert hits, words
    titles = [hit.text for hit in hits]
    assert len(set(titles)) == len(titles), "each is listed once"
    top = max(hits, key=lambda hit: hit.score)
    return str(top.text)


WORDS = (
    ("renew", "Renew certificates"),
    ("expire", "Renew certificates"),
    ("expir", "Renew certificates"),
    ("password", "Change the password"),
    ("rotate", "Change the password|Rotate the CA|Renew certificates"),
    ("rotate ca", "Rotate the CA"),
    ("new ca", "Rotate the CA"),
    ("rollback", "History"),
    ("roll back", "History"),
    ("undo", "History"),
    ("revert", "History"),
    ("dark", "Dark mode|Dark theme"),
    ("theme", "Change theme|Dark theme|Light theme|High contrast theme"),
    ("colours", "Change theme"),
    ("screenshot", "Screenshot as SVG|Screenshot as PNG"),
    ("png", "Screenshot as PNG"),
    ("manual", "Manual"),
    ("documentation", "Manual"),
    ("help", "Help"),
    ("keys", "Help|Certificates and users"),
    ("inventory", "Certificates and users"),
    ("demo", "Practise"),
    ("playground", "Practise"),
    ("tutorial", "Follow a lab"),
    ("ssh", "Other hosts"),
    ("curl", "Probe console"),
    ("refresh", "Rescan"),
    ("exit", "Quit"),
    ("verify", "Verify"),
    ("drift", "History"),
    ("alerts", "Audit"),
    ("nginx", "Secure"),
    ("apache", "Secure"),
    ("haproxy", "Secure"),
    ("sign in", "Secure"),
    ("openid", "Secure"),
    ("docker", "Secure"),
)
"""What people type, and the commands that may come first."""


async def test_the_palette_finds_commands_by_ordinary_words() -> None:
    app = make_app(build=engine())
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "No Prometheus component was found")
        found = {words: await best_match(app, words) for words, _ in WORDS}
        assert {words: found[words] for words, titles in WORDS if found[words] not in titles.split("|")} == {}


async def secured(tmp_path: Path, keys: Callable[[FirescreenApp], None]) -> tuple[Stack, Answers]:
    """Returns the stack and answers that are planned after these keys; one of two components is secured."""
    one = Secured(tmp_path)
    app = make_app(build=engine(one))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "node_exporter")
        keys(app)
        await until(pilot, "There is nothing to change")
        assert app.session.stack is not None
        assert app.session.stack.components[1].protect == ("tls", "basic_auth"), "the choices stay"
    return one.planned[-1]


@pytest.mark.parametrize(
    ("title", "what"),
    [
        ("Renew certificates", "certificates"),
        ("Change the password", "passwords"),
        ("Rotate the CA", "ca"),
    ],
)
async def test_a_replacement_keeps_the_present_levels(title: str, what: str, tmp_path: Path) -> None:
    def chosen(app: FirescreenApp) -> None:
        next(one for one in app.get_system_commands(app.screen) if one.title == title).callback()

    stack, answers = await secured(tmp_path, chosen)
    assert answers.renew == {what}
    assert [set(one.protect) for one in stack.components] == [{"tls", "basic_auth", "client_cert"}, set()]


async def test_an_entry_of_the_inventory_can_be_replaced(tmp_path: Path) -> None:
    one = Secured(tmp_path)
    app = make_app(build=engine(one))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "node_exporter")
        app.push_screen(InventoryPage())
        for key, what in (("n", "certificates"), ("p", "passwords"), ("a", "ca")):
            await until(pilot, "Rotate the CA")
            await pilot.press(key)
            await until(pilot, "There is nothing to change")
            assert one.planned[-1][1].renew == {what}
            await pilot.press("escape")


async def test_choosing_levels_afterwards_cancels_the_replacement(tmp_path: Path) -> None:
    app = make_app(build=engine(Secured(tmp_path)))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "node_exporter")
        app.session = replace(app.session, renew=frozenset({"ca"}))
        app.open_menu_entry("secure")
        assert not app.session.renew


async def test_without_a_secured_component_nothing_can_be_replaced(tmp_path: Path) -> None:
    one = Secured(tmp_path)
    one.seen = one.seen[1:]
    app = make_app(build=engine(one))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "prometheus")
        app.session = replace(
            app.session, stack=replace(app.session.stack or Stack(hosts=(), components=()), components=())
        )
        next(one for one in app.get_system_commands(app.screen) if one.title == "Rotate the CA").callback()
        await until(pilot, "There is nothing to")
        assert not one.planned


async def test_manual_glossary_and_help_open(tmp_path: Path) -> None:
    app = make_app(build=engine())
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "No Prometheus component was found")
        for title, dialog in (("Manual", ManualDialog), ("Glossary", GlossaryDialog), ("Help", HelpDialog)):
            next(one for one in app.get_system_commands(app.screen) if one.title == title).callback()
            await until(pilot, lambda dialog=dialog: isinstance(app.screen, dialog))  # type: ignore[misc]
            await pilot.press("escape")


async def test_a_picture_is_saved_as_svg_and_png(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    converter = tmp_path / "rsvg-convert"
    converter.write_text('#!/bin/sh\nprintf PNG > "$4"\n')
    converter.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    app = make_app(build=engine(Secured(tmp_path / "workspace")))
    async with app.run_test(size=(120, 30)) as pilot:
        await until(pilot, "node_exporter")
        for form, begin_of in (("SVG", b"<svg"), ("PNG", b"PNG")):
            title = f"Screenshot as {form}"
            next(one for one in app.get_system_commands(app.screen) if one.title == title).callback()
            reports = tmp_path / "workspace" / "reports"
            await until(pilot, partial(_any, reports, f"*.{form.lower()}"))
            (saved,) = reports.glob(f"*.{form.lower()}")
            assert saved.read_bytes().startswith(begin_of)
            assert saved.stat().st_mode & 0o077 == 0 or form == "PNG"


def _any(folder: Path, pattern: str) -> bool:
    return any(folder.glob(pattern))


def test_without_a_converter_the_svg_is_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(HostError, match="no program on this machine") as raised:
        pictures.save(Workspace(tmp_path), "<svg/>", "png")
    assert Path(raised.value.where).read_text() == "<svg/>"


async def test_one_key_opens_help_on_pages_in_fields_and_in_dialogs(tmp_path: Path) -> None:
    app = make_app(build=engine(Secured(tmp_path)))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "node_exporter")
        await pilot.press("question_mark")
        await until(pilot, "Help · Home")
        await pilot.press("question_mark")
        app.push_screen(ManualDialog())
        await until(pilot, lambda: isinstance(app.screen, ManualDialog))
        await pilot.press("question_mark")
        await until(pilot, "Help · Manual")
        await pilot.press("escape", "escape")
        question = Question(
            setting=Setting("users", "name"), title="User name", why="", more="", kind="text", default="x"
        )
        form = Field(question, "x", why="")
        await app.screen.mount(form)
        form.enter()
        await pilot.press("question_mark")
        await until(pilot, "Help · Home")
        assert form.query_one(Input).value == "x"


async def test_a_password_may_contain_a_question_mark(tmp_path: Path) -> None:
    app = make_app(build=engine(Secured(tmp_path)))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "node_exporter")
        question = Question(
            setting=Setting("users", "password"), title="P", why="", more="", kind="password", default=""
        )
        form = Field(question, "", why="")
        await app.screen.mount(form)
        form.enter()
        await pilot.press("question_mark")
        await until(pilot, lambda: form.query_one(Input).value == "?")


@pytest.mark.parametrize("sure", ["again", "seen"])
async def test_a_weak_password_must_be_repeated_or_shown(sure: str, tmp_path: Path) -> None:
    one = Secured(tmp_path)
    component = ComponentSpec(host="srv1", name="node_exporter", protect=("tls", "basic_auth"))
    stack = Stack(hosts=(SRV1,), components=(component,))
    service = Service(host="srv1", component="node_exporter", manager="", unit="node_exporter")
    facts = Facts({"srv1": HostFacts(spec=SRV1, services=(service,))})
    one.scan = lambda stack=None, **_: Scan(  # type: ignore[method-assign]
        stack=stack or Stack(hosts=(SRV1,), components=(component,)), facts=facts, exposures=(), findings=()
    )
    app = make_app(build=engine(one))
    async with app.run_test(size=(80, 40)) as pilot:
        await until(pilot, lambda: app.session.scan is not None)
        app.session = replace(app.session, stack=stack)
        app.push_screen(ChoicesPage())
        await until(pilot, "Password")
        field = next(each for each in app.screen.query(Field) if each.question.setting.name == "password")
        field.enter()
        await pilot.press("s")
        await until(pilot, "Guessed within seconds")
        await pilot.press("ctrl+s")
        await pilot.pause()
        assert isinstance(app.screen, ChoicesPage), "no plan with such a password"
        if sure == "seen":
            await pilot.press("ctrl+r")
        else:
            await pilot.press("enter", "s")
        await until(pilot, lambda: not field.wrong)
        assert app.session.answers.passwords[stack.users[0].name].reveal() == "s"
        field.enter()
        await pilot.press("end", *"x-long-horse-battery-9")
        await until(pilot, lambda: not field.wrong)


async def test_ctrl_c_says_how_to_stop_the_run(tmp_path: Path) -> None:
    one = Secured(tmp_path)
    app = make_app(build=engine(one))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until(pilot, "node_exporter")
        await pilot.press("ctrl+c")
        await until(pilot, "Ctrl+Q closes the wizard")
        nothing: Any = None
        app.runs.start(begin("apply"), lambda emit, cancel: one.apply(nothing, emit, cancel))
        app.push_screen(RunPage())
        try:
            await until(pilot, "still at it")
            await pilot.press("ctrl+c")
            await until(pilot, "'x' stops the run")
            assert app.runs.working
        finally:
            one.gate.set()
        await until(pilot, lambda: not app.runs.working)


async def test_the_undo_dialog_names_its_run(tmp_path: Path) -> None:
    one = Secured(tmp_path)
    title = "Password replaced (5 hosts)"
    record = RunRecord(run="7", started=0.0, state="proven", title=title, changes=(), folder="/x")
    one.history = lambda: (record,)  # type: ignore[method-assign]
    app = make_app(build=engine(one))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "node_exporter")
        ask_to_undo(app, "7")
        text = await until(pilot, "Undo this run?")
        assert "Password replaced (5 hosts), 1970-01-01" in text
        assert "Keep the run" in text


class SlowInventory(SceneEngine):
    """Returns its inventory after the page has been drawn, as real hosts do."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()

    def inventory(self, *_: object) -> tuple[InventoryItem, ...]:
        """Returns the inventory when the test sets the gate."""
        self.gate.wait(30)
        return tuple(replace(each, host="monitoring-host") for each in super().inventory())


async def test_an_inventory_that_arrives_late_has_all_its_columns() -> None:
    one = SlowInventory()
    app = make_app(build=engine(one))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, "5 of 5")
        await pilot.press("c")
        await until(pilot, "reading")
        one.gate.set()
        await until(pilot, "kind        for ")
        text = await until(pilot, "monitoring-host")
        assert re.search(r"certificate +srv1, 127\.0\.0\.2 +monitoring-host", text), text


async def test_the_present_stack_is_written_to_a_file(tmp_path: Path) -> None:
    """Writes secured components with their level and unprotected ones with none, so that a timer finds no drift."""
    file = tmp_path / "firescreen.yaml"
    app = make_app(build=engine(Secured(tmp_path / "own")))
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, "2 components")
        for there in (False, True):
            await pilot.press("ctrl+p", *"stack file")
            await until(pilot, "For commands and CI")
            await pilot.press("enter")
            await until(pilot, "Type its name")
            app.screen.query_one(Input).value = str(file)
            await pilot.press("enter")
            await until(pilot, "the file exists already" if there else file.is_file)
    written = load(file)
    assert {each.name: each.protect for each in written.components} == {
        "node_exporter": ("tls", "basic_auth", "client_cert"),
        "prometheus": (),
    }
