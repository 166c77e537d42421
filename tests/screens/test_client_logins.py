"""Prometheus' logins by token: found in the palette, filled in by keyboard, planned, and errors shown in their field."""

from __future__ import annotations

from dataclasses import replace

import pytest
from textual.widgets import Input, OptionList

from screens.app import make_app
from screens.widgets.field import Field
from tests.screens.helpers import drawn, engine, until
from tests.screens.login_scenes import CASE, LoginEngine, filled, oauth2, page, pasted, plan
from wizard.model import OAuth2


@pytest.mark.parametrize(
    "words",
    ["bearer", *(pytest.param(each, marks=pytest.mark.matrix) for each in ("oauth2", "log in by token"))],
)
async def test_the_palette_finds_it(words: str) -> None:
    app = make_app(build=engine(LoginEngine()))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "1 component")
        await pilot.press("ctrl+p", *words)
        await until(pilot, "OAuth2 or a bearer token")
        await pilot.press("enter")
        await until(pilot, "How Prometheus logs in at job api")
        assert isinstance(app.focused, OptionList)


async def test_each_connection_is_listed_with_its_login() -> None:
    app = make_app(build=engine(LoginEngine()))
    async with app.run_test(size=(80, 24)) as pilot:
        await page(pilot)
        lines = [line.split() for line in drawn(pilot).splitlines()]
        (api,) = [line for line in lines if line[1:3] == ["job", "api"]]
        assert api[1:] == ["job", "api", "api.example.net:443", "no", "login", "keep", "as", "is", "│"]
        assert "4 places" in drawn(pilot)
        await pilot.press("down")
        await until(pilot, "How Prometheus logs in at job other")
        await pilot.press("enter", "down")
        await until(pilot, "uses plain http, a token would be sent unencrypted")
        await pilot.press("ctrl+s")
        assert app.screen.query(Field).first().wrong
        assert type(app.screen).__name__ == "ClientLoginsPage"


async def test_oauth2_by_keyboard_leads_to_a_plan_for_this_login_only() -> None:
    one = LoginEngine()
    app = make_app(build=engine(one))
    async with app.run_test(size=(120, 40)) as pilot:
        await plan(pilot)
        made = app.session.plan
        assert made is not None
        assert [step.kind for step in made.steps] == ["password", "login", "reload"]
        (login,) = made.stack.client_logins
        assert login.way == OAuth2(
            client_id="prometheus",
            client_secret_file="/etc/prometheus/job-api.client-secret",
            token_url="https://id.example.net/token",
            scopes=("metrics",),
        )
        assert "the-secret" not in drawn(pilot)
        assert app.session.stack is not None
        assert app.session.stack.client_logins == (), "it is no part of the stack before it is applied"
        # Back on the page, every answer is still there.
        await pilot.press("escape")
        text = await until(pilot, "https://id.example.net/token")
        assert "the-secret" not in text


@pytest.mark.matrix
async def test_the_secret_is_masked_and_removed_with_its_login() -> None:
    app = make_app(build=engine(LoginEngine()))
    async with app.run_test(size=(120, 40)) as pilot:
        await filled(pilot)
        (hidden,) = [each for each in app.screen.query(Input) if each.password]
        assert hidden.value == "the-secret"
        app.screen.query(Field).first().enter()
        await pilot.press("down")
        await until(pilot, "File with the token")
        (hidden,) = [each for each in app.screen.query(Input) if each.password]
        assert hidden.value == ""
        await pilot.press("ctrl+s")
        await until(pilot, "the file with the token is not there: Write it there")
        assert app.screen.query("Field.-wrong").first().has_focus_within
        assert all(not key.startswith("client_logins") for key, _ in app.session.typed)


@pytest.mark.matrix
async def test_a_missing_or_wrong_value_is_reported_in_its_field() -> None:
    app = make_app(build=engine(LoginEngine()))
    async with app.run_test(size=(120, 40)) as pilot:
        await oauth2(pilot)
        await pilot.press("ctrl+s")
        await until(pilot, "the token URL is needed: Copy it from the provider")
        await until(pilot, "the client ID is needed")
        await until(pilot, lambda: isinstance(app.focused, Input))
        await pasted(pilot, "http://id")
        await until(pilot, "this is not an https URL: Type a URL such as")
        await pilot.press("ctrl+u")
        await pasted(pilot, "https://id.example.net/token")
        await pilot.press("tab", *"me")
        await until(pilot, lambda: not app.screen.query("Field.-wrong"))
        await pilot.press("ctrl+s")
        await until(pilot, "the file with the client secret is not there")


@pytest.mark.matrix
async def test_the_fields_show_the_values_of_the_stack_file() -> None:
    app = make_app(build=engine(LoginEngine(replace(CASE.stack))))
    async with app.run_test(size=(120, 40)) as pilot:
        await page(pilot)
        text = await until(pilot, "/etc/prometheus/id-ca.crt")
        assert "https://id.example.net/token" in text
        assert text.count("OAuth2  ") >= 2, "of the job and of remote_write"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: app.session.plan is not None)
        assert app.session.plan is not None
        assert app.session.plan.stack.client_logins == CASE.stack.client_logins


@pytest.mark.matrix
async def test_going_back_keeps_the_answers_and_plans_no_incomplete_login() -> None:
    app = make_app(build=engine(LoginEngine()))
    async with app.run_test(size=(120, 40)) as pilot:
        await oauth2(pilot)
        await pilot.press("tab")
        await pasted(pilot, "https://id.example.net/token")
        await pilot.press("tab", "tab")
        await pasted(pilot, "the-secret")
        await pilot.press("escape")
        await until(pilot, "What to do next")
        assert app.session.wanted == app.session.stack
        await pilot.press("g")
        await until(pilot, "https://id.example.net/token")
        (hidden,) = [each for each in app.screen.query(Input) if each.password]
        assert hidden.value == "the-secret"
