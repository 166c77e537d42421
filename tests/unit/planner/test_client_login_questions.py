"""Prometheus' logins as questions: found clients, questions, refused answers, and the resulting plan."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.planner import plan_cases
from tests.unit.planner.test_client_logins import CONFIG, SECRET, text, version, with_edited_config
from wizard import planner
from wizard.errors import FirescreenError, InputError
from wizard.model import Answers, Authorization, Facts, OAuth2, Plan, Stack, WriteFile
from wizard.planner import client_login_questions as asked
from wizard.redact import Secret

CASE = plan_cases.case("client-logins")
BARE = replace(CASE.stack, client_logins=())


def login_candidates(facts: Facts = CASE.facts, stack: Stack = BARE) -> dict[str, asked.LoginCandidate]:
    facts = plan_cases.with_requested_files(CASE.stack, facts)
    return {each.how: each for each in asked.candidates(stack, facts)}


def apply_answers(candidate: asked.LoginCandidate, *answers: tuple[str, str], stack: Stack = BARE) -> Stack:
    for name, value in answers:
        stack = asked.answer(stack, candidate, name, value)
    return stack


def plan(stack: Stack, facts: Facts = CASE.facts, **answers: object) -> Plan:
    return planner.plan(stack, plan_cases.with_requested_files(stack, facts), Answers(**answers))  # type: ignore[arg-type]


OAUTH2 = (
    ("way", "oauth2"),
    ("token_url", "https://id.example.net/token"),
    ("client_id", "prometheus"),
    ("scopes", "metrics, all"),
    ("ca_file", "/etc/prometheus/id-ca.crt"),
    ("endpoint_params", "audience=https://api.example.net"),
)


def test_the_clients_in_a_configuration_are_found_with_their_logins() -> None:
    config = "basic_auth: {username: x, password_file: y}\n    scheme: https   #"
    places = login_candidates(with_edited_config(CASE.facts, "scheme: https   #", config))
    assert [(each.how, each.addresses, each.now) for each in places.values()] == [
        ("job api", ("api.example.net:443",), "basic_auth"),
        ("job other", ("localhost:9090",), ""),
        ("alertmanagers 1", ("alerts.example.net:443",), ""),
        ('remote_write "long-term"', ("store.example.net:443",), ""),
    ]
    assert places["job api"].folder == "/etc/prometheus"


def test_answers_equal_the_settings_in_the_stack_file() -> None:
    for candidate in login_candidates(stack=CASE.stack).values():
        login = candidate.login(CASE.stack)
        shown = {each.setting.name: each for each in asked.questions(CASE.stack, candidate)}
        if login is None:
            assert set(shown) == {"way"}
            assert shown["way"].default == ""
            continue
        assert shown["way"].default == login.setting
        assert shown["secret_file"].default == login.secret_file
        again = CASE.stack
        for name, question in shown.items():
            # Scopes are sent separated by spaces: "read all" are two scopes, in whichever form a file lists them.
            if name not in ("way", "scopes"):
                again = asked.answer(again, candidate, name, question.default)
        assert again == CASE.stack


def test_oauth2_by_questions_is_the_same_login_as_in_a_stack_file() -> None:
    candidate = login_candidates()["job api"]
    stack = apply_answers(candidate, *OAUTH2)
    (login,) = stack.client_logins
    assert login.way == OAuth2(
        client_id="prometheus",
        client_secret_file="/etc/prometheus/job-api.client-secret",
        token_url="https://id.example.net/token",
        scopes=("metrics", "all"),
        endpoint_params=(("audience", "https://api.example.net"),),
        ca_file="/etc/prometheus/id-ca.crt",
    )
    assert asked.missing_answers(login) == {}
    assert apply_answers(candidate, ("way", ""), stack=stack) == BARE


def test_a_typed_secret_is_written_to_its_file_and_shown_nowhere() -> None:
    stack = apply_answers(login_candidates()["job api"], *OAUTH2)
    typed = {stack.client_logins[0].key: Secret("never-shown")}
    made = plan(stack, login_secrets=typed)
    (write,) = [
        each
        for each in made.changes
        if isinstance(each, WriteFile) and each.path.endswith("job-api.client-secret")
    ]
    assert (write.after.content, write.after.mode) == (b"never-shown", 0o640)  # type: ignore[union-attr]
    assert write.secret
    assert "never-shown" not in write.diff() + repr(write.by_hand)
    after = plan_cases.facts_after_plan(made, CASE.facts)
    assert plan(stack, after, login_secrets=typed).steps == ()
    assert plan(stack, after).steps == (), "the file has it now"


def test_a_typed_secret_replaces_the_one_in_its_file() -> None:
    stack = apply_answers(login_candidates()["job api"], *OAUTH2, ("secret_file", SECRET))
    made = plan(stack, login_secrets={stack.client_logins[0].key: Secret("newer")})
    (write,) = [each for each in made.changes if isinstance(each, WriteFile) and each.path == SECRET]
    assert write.before is not None
    assert write.before.content == b"s3cret\n"


def test_without_a_typed_secret_the_file_must_be_there() -> None:
    with pytest.raises(InputError, match="client secret is not there"):
        plan(apply_answers(login_candidates()["job api"], *OAUTH2))


def test_a_token_is_set_up_for_alertmanager() -> None:
    candidate = login_candidates()["alertmanagers 1"]
    stack = apply_answers(
        candidate, ("way", "authorization"), ("secret_file", "/etc/prometheus/token"), ("type", "Token")
    )
    assert stack.client_logins[0].way == Authorization(credentials_file="/etc/prometheus/token", type="Token")
    assert [step.kind for step in plan(stack).steps] == ["login", "reload"]


def test_existing_settings_are_filled_in() -> None:
    config = (
        "oauth2: {client_id: old, client_secret_file: /s, token_url: 'https://id/t', scopes: [a],"
        " endpoint_params: {b: c}, tls_config: {ca_file: /ca}}\n    scheme: https   #"
    )
    candidate = login_candidates(with_edited_config(CASE.facts, "scheme: https   #", config))["job api"]
    assert candidate.now == "oauth2"
    (login,) = apply_answers(candidate, ("way", "oauth2")).client_logins
    assert login.way == OAuth2(
        client_id="old",
        client_secret_file="/s",
        token_url="https://id/t",
        scopes=("a",),
        endpoint_params=(("b", "c"),),
        ca_file="/ca",
    )
    with pytest.raises(InputError, match="only one way is allowed"):
        apply_answers(candidate, ("way", "authorization"))


@pytest.mark.parametrize(
    ("config", "way"),
    [
        ("authorization: {credentials: in-clear}", "oauth2"),
        ("oauth2: {client_id: x, client_secret: in-clear, token_url: 'https://id/t'}", "authorization"),
        ("bearer_token: in-clear", "oauth2"),
        ("basic_auth: {username: x, password: in-clear}", "authorization"),
    ],
)
def test_only_one_kind_of_login_is_allowed_and_no_secret_is_shown(config: str, way: str) -> None:
    candidate = login_candidates(
        with_edited_config(CASE.facts, "scheme: https   #", f"{config}\n    scheme: https   #")
    )["job api"]
    with pytest.raises(InputError, match="only one way is allowed") as refused:
        apply_answers(candidate, ("way", way))
    assert refused.value.todo.startswith("Remove ")
    assert "in-clear" not in repr(candidate)
    assert candidate.present is None


WRONG = (
    ("token_url", "http://id.example.net/token", "not an https URL"),
    ("token_url", "https://id.example.net/.well-known/openid-configuration", "provider's description"),
    ("client_id", "two words", "not a client ID"),
    ("secret", "a\x00b", "cannot be typed"),
    ("secret_file", "secret", "full path"),
    ("secret_file", "/etc/prometheus/", "folder"),
    ("ca_file", "ca.crt", "full path"),
    ("scopes", 'a"b', "a scope has"),
    ("endpoint_params", "audience", "list of pairs"),
)


@pytest.mark.parametrize(("name", "value", "words"), WRONG)
def test_an_invalid_answer_is_refused_at_once(name: str, value: str, words: str) -> None:
    candidate = login_candidates()["job api"]
    stack = apply_answers(candidate, ("way", "oauth2"))
    with pytest.raises(InputError) as refused:
        asked.answer(stack, candidate, name, value)
    assert words in refused.value.what
    assert refused.value.todo


def test_refusals_depend_on_the_kind_of_client() -> None:
    with pytest.raises(InputError, match="plain http"):
        apply_answers(login_candidates()["job other"], ("way", "oauth2"))
    old = login_candidates(version(CASE.facts, "2.26.1"))["job api"]
    with pytest.raises(InputError, match=r"came with 2\.27"):
        apply_answers(old, ("way", "oauth2"))
    apply_answers(old, ("way", "authorization"))
    older = login_candidates(version(CASE.facts, "2.30.4"))["job api"]
    with pytest.raises(InputError, match=r"came with 2\.31"):
        apply_answers(older, *OAUTH2)
    with pytest.raises(InputError, match="not the type of a token"):
        apply_answers(login_candidates()["job api"], ("way", "authorization"), ("type", "Basic"))
    with pytest.raises(InputError, match="keeps its login"):
        apply_answers(login_candidates()["job api"], ("client_id", "x"))
    with pytest.raises(InputError, match="cannot be chosen"):
        apply_answers(login_candidates()["job api"], ("way", "sigv4"))


def test_each_missing_answer_is_named_by_its_question() -> None:
    (login,) = apply_answers(
        login_candidates()["job api"], ("way", "oauth2"), ("secret_file", "")
    ).client_logins
    assert set(asked.missing_answers(login)) == {"token_url", "client_id", "secret_file"}


def test_an_unreadable_configuration_has_no_clients() -> None:
    assert login_candidates(text(CASE.facts, CONFIG, "scrape_configs: [")) == {}
    with pytest.raises(FirescreenError):
        plan(CASE.stack, text(CASE.facts, CONFIG, "scrape_configs: ["))
