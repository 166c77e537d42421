"""The page that explains a pasted error: harmless text, its diagnosis, and one key to the fix."""

from __future__ import annotations

import threading

import pytest
from textual import events
from textual.widgets import TextArea

from screens.app import make_app
from screens.dialogs.diagnosis import DiagnosisDialog
from screens.inventory import InventoryPage
from tests.screens import example_stack
from tests.screens.helpers import QuietEngine, engine, until
from wizard.diagnostics import catalogue
from wizard.diagnostics.catalogue import Diagnosis
from wizard.model import Stack


class Asking(QuietEngine):
    """Diagnoses with hosts that say that the certificate has expired."""

    def explain(self, text: str, stack: Stack | None = None) -> Diagnosis | None:
        found = catalogue.diagnose(text)
        return catalogue.narrow(found, lambda *_: "server-expired") if found else None


async def test_a_pasted_error_is_explained_by_what_the_hosts_say() -> None:
    app = make_app(build=engine(Asking()))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "No Prometheus component was found")
        await pilot.press("x")
        await until(pilot, "Paste an error")
        app.screen.query_one(TextArea).post_message(
            events.Paste(
                "x509: certificate has expired or is not yet valid: "
                "current time 2026-11-30T10:00:00Z is after 2026-11-01T00:00:00Z"
            )
        )
        text = await until(pilot, "Cause")
        assert "The certificate has expired: on the host" in text
        await until(pilot, "Check the hosts")
        assert "Fix it" not in text
        await pilot.press("tab", "enter")
        text = await until(pilot, "Checked on the hosts")
        assert "The server's certificate has expired." in text
        await until(pilot, "Fix it")
        await pilot.press("shift+tab", "tab")
        await pilot.click("#fix")
        await until(pilot, lambda: isinstance(app.screen, InventoryPage))


async def test_pasted_text_cannot_style_the_screen_and_its_secrets_are_masked() -> None:
    app = make_app(build=engine(example_stack.ExampleEngine()))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "5 of 5")
        next(one for one in app.get_system_commands(app.screen) if one.title == "Explain an error").callback()
        await until(pilot, "Paste an error")
        assert isinstance(app.screen, DiagnosisDialog)
        evil = "lookup [bold]\x1b[31mevil[/bold] on 1.1.1.1:53: no such host\nhttps://me:s3cretpw@srv1/"
        app.screen.query_one(TextArea).post_message(events.Paste(evil))
        text = await until(pilot, "Cause")
        assert "[bold]␛[31mevil" in text
        assert "\x1b" not in text and "s3cretpw" not in text


async def test_an_unknown_error_is_reported_as_unknown() -> None:
    app = make_app(build=engine(QuietEngine()))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "No Prometheus component was found")
        await pilot.press("x", *"hello")
        await until(pilot, "No diagnosis for this text")
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, DiagnosisDialog))


async def test_text_typed_while_the_diagnoses_load_is_explained_when_they_are_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = make_app(build=engine(QuietEngine()))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "No Prometheus component was found")
        loaded = threading.Event()
        asked: list[str] = []

        def load() -> None:
            assert loaded.wait(60)

        def diagnosis(text: str, **_: object) -> Diagnosis | None:
            asked.append(text)
            return catalogue.diagnose(text)

        monkeypatch.setattr(app.client, "load_diagnoses", load)
        monkeypatch.setattr(app.client, "diagnosis", diagnosis)
        await pilot.press("x")
        await until(pilot, "Paste an error")
        await pilot.press(*"NET::ERR_CERT_REVOKED")
        await until(pilot, "Looking it up")
        assert not asked, "a second thread would load them again"
        loaded.set()
        assert "revoked" in await until(pilot, "Cause")
        assert asked == ["NET::ERR_CERT_REVOKED"]
