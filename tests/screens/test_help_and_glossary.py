"""Help on every screen, glossary entries one key from there, and labels of buttons."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from pathlib import Path

from textual.widgets import OptionList

import screens
from screens.app import make_app
from screens.base_screen import Page
from screens.dialogs.glossary import GlossaryDialog
from tests.screens.helpers import drawn, engine, until
from wizard import glossary

MEANT = (
    "ca leaf san cn eku mutual-tls bcrypt scrape target tls certificate private-key pem chain self-signed fingerprint "
    "handshake basic-authentication hash exporter web-config reload unit mode file-sd server-name client-auth-type "
    "alertmanager gossip pushgateway blackbox-exporter data-source promql host-key probe canary stack practice-stack "
    "lab-pack"
).split()
"""What the labs and the screens speak of and a newcomer may not know."""


def pages() -> list[type[Page]]:
    for module in pkgutil.walk_packages(screens.__path__, "screens."):
        if module.name != "screens.__main__":
            importlib.import_module(module.name)
    return sorted(_concrete_pages(Page), key=lambda page: page.__name__)


def _concrete_pages(base: type[Page]) -> list[type[Page]]:
    """Returns the pages that can be opened: those that no other page is based on."""
    return [page for each in base.__subclasses__() for page in _concrete_pages(each) or [each]]


def test_every_screen_has_help_on_its_purpose_and_keys() -> None:
    assert len(pages()) >= 11
    for page in pages():
        assert len(page.HELP) > 150, page.__name__
        for line in page.HELP.splitlines():
            assert not line.startswith(" "), (page.__name__, "a line that was not joined")
        explained = [binding for binding in page.BINDINGS if getattr(binding, "show", False)]
        assert all(getattr(binding, "description", "") for binding in explained)


def test_every_glossary_entry_is_short() -> None:
    assert set(MEANT) == set(glossary.terms())
    for name in MEANT:
        title, _, text = glossary.term(name).partition("\n")
        assert title.startswith("# ") and len(text) > 60
        assert "[" not in text, "nothing to click: it is read in a terminal"


async def test_a_glossary_entry_is_two_keys_away_from_every_screen() -> None:
    app = make_app(build=engine())
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "Follow a lab")
        await pilot.press("question_mark")
        await until(pilot, "Open glossary")
        await pilot.press("g")
        await until(pilot, lambda: isinstance(app.screen, GlossaryDialog))
        await until(pilot, "Receives the alerts of Prometheus")
        await pilot.press("s", "s")
        await until(pilot, "One request of Prometheus to a target")
        listed = app.screen.query_one(OptionList)
        await pilot.press("end")
        await until(pilot, lambda: listed.highlighted == len(MEANT) - 1)
        longest = max(glossary.terms(), key=lambda name: len(glossary.term(name)))
        app.screen.query_one(OptionList).highlighted = sorted(
            map(glossary.term, glossary.terms()), key=str.casefold
        ).index(glossary.term(longest))
        last = glossary.term(longest).split()[-1]
        await until(pilot, last)
        await pilot.press("escape")
        await until(pilot, "Follow a lab")
        assert "Glossary" not in drawn(pilot)


async def test_the_manual_can_be_read_by_keyboard_alone() -> None:
    app = make_app(build=engine())
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "Follow a lab")
        await pilot.press("question_mark")
        await until(pilot, "Open manual")
        await pilot.press("m")
        await until(pilot, "Getting started")
        topics = [title for title, _ in app.client.manual()]
        assert topics[0] == "Getting started"
        await pilot.press(*["down"] * topics.index("Commands"), "enter")
        await until(pilot, "Manual · Commands")
        await pilot.press(*["pagedown"] * 60)
        await until(pilot, "changes are pending")
        await pilot.press("escape")
        await until(pilot, "Getting started")
        await pilot.press("escape")
        await until(pilot, "Follow a lab")


def labels() -> list[tuple[str, str]]:
    """Returns (file, label) of each button of a dialog, from the source."""
    found = []
    for path in sorted(Path(screens.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            texts: list[ast.expr] = []
            if isinstance(node, ast.Call):
                texts = [word.value for word in node.keywords if word.arg in ("yes", "no")]
            elif isinstance(node, ast.FunctionDef) and node.name == "buttons":
                pairs = [each for each in ast.walk(node) if isinstance(each, ast.Tuple)]
                texts = [pair.elts[1] for pair in pairs if len(pair.elts) == 2]
            found += [(path.name, text.value) for text in texts if isinstance(text, ast.Constant)]
    return [(name, text) for name, text in found if isinstance(text, str)]


def test_every_button_is_a_verb() -> None:
    assert len(labels()) > 40
    silent = {"Cancel", "OK", "Yes", "No", "Not yet", "Later", "Abort"}
    assert not [(name, text) for name, text in labels() if text in silent or not text[:1].isupper()]
