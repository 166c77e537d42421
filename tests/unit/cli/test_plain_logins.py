"""Token logins in the plain mode: for which client, of which kind, with which settings, and the resulting plan."""

from __future__ import annotations

import pytest

from tests.unit.cli.test_plain_dialog import type_lines
from tests.unit.planner.test_client_login_questions import CASE, login_candidates
from wizard.cli import plain_logins
from wizard.cli.plain_dialog import Leave
from wizard.engine import Scan
from wizard.model import Answers, Authorization, Facts, OAuth2, Stack
from wizard.planner import client_login_questions

PLACES = login_candidates()
BARE = Stack(hosts=CASE.stack.hosts, components=CASE.stack.components)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> TokenDialog:
    """Runs the dialog with lines that a person types, and returns its result."""
    return TokenDialog(monkeypatch, capsys)


class TokenDialog:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys
        self.said = ""
        monkeypatch.setenv("COLUMNS", "200")  # a sentence a line
        monkeypatch.setattr(client_login_questions, "candidates", lambda *_: tuple(PLACES.values()))

    def __call__(self, *lines: str) -> tuple[Stack, Answers] | None:
        type_lines(self._monkeypatch, *lines)
        scan = Scan(stack=BARE, facts=Facts(hosts={}), exposures=(), findings=())
        try:
            return plain_logins.choose_logins(scan)
        finally:
            self.said = self._capsys.readouterr().out


def test_a_bearer_token_is_requested_and_shown_nowhere(asked: TokenDialog) -> None:
    made = asked("2", "1", "3", "a-secret-token", "/etc/prometheus/api.token", "", "")
    assert made is not None
    stack, answers = made
    (login,) = stack.client_logins
    assert (login.place, login.name) == ("job", "api")
    assert login.way == Authorization(credentials_file="/etc/prometheus/api.token")
    assert answers.login_secrets[login.key].reveal() == "a-secret-token"
    assert "1: job api of mon1 at api.example.net:443, today: no login, the default." in asked.said
    assert "job api of mon1 at api.example.net:443, today: no login, planned: bearer token." in asked.said
    assert "job other" not in asked.said, "it asks by plain http"
    assert "a-secret-token" not in asked.said


def test_oauth2_questions_repeat_until_the_login_is_complete(asked: TokenDialog) -> None:
    oauth2 = (
        "2",
        "3",
        "2",
        "",
        "id.example.net",
        "https://id.example.net/token",
        "prometheus",
        "s",
        "",
        "",
        "",
    )
    made = asked(*oauth2, "2", "audience=x", "1", "1", "")
    assert made is not None
    (login,) = made[0].client_logins
    assert isinstance(login.way, OAuth2)
    assert (login.place, login.way.token_url) == ("remote_write", "https://id.example.net/token")
    assert login.way.endpoint_params == (("audience", "x"),)
    assert login.way.client_secret_file == PLACES['remote_write "long-term"'].file("oauth2")
    assert "An answer is needed: the token URL is needed: Copy it from the provider." in asked.said
    assert "This answer cannot be used: this is not an https URL." in asked.said


def test_levels_are_the_default_and_the_only_choice_without_token_clients(
    asked: TokenDialog, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert asked("") is None
    with pytest.raises(Leave):
        asked("2", "q")
    monkeypatch.setattr(client_login_questions, "candidates", lambda *_: (PLACES["job other"],))
    assert asked() is None
    assert asked.said == ""
