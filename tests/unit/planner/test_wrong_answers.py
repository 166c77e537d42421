"""Every question that is typed, with answers that cannot be meant: each is refused with what is wrong and what to type,
or taken as a text that a configuration can hold."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest

from tests.unit.planner import plan_cases
from wizard.errors import FirescreenError, InputError
from wizard.model import Facts, Question, Stack
from wizard.planner import answer, questions
from wizard.planner.client_login_questions import answer as answer_login
from wizard.planner.client_login_questions import candidates
from wizard.planner.client_login_questions import questions as login_questions

WRONG = {
    "empty": "",
    "blanks": "   ",
    "long": "a" * 5000,
    "long path": "/" + "a" * 5000,
    "deep path": "/a" * 3000,
    "not ASCII": "Zürich→日本",
    "NUL": "a\0b",
    "escape sequence": "a\x1b[31mb",
    "path with a control character": "/etc/\x1b[31mb",
    "port 0": "0",
    "port 99999": "99999",
    "negative": "-1",
    "decimal": "1.5",
    "blank inside": "my host",
    "folder": "/etc/ssl/",
    "two lines": "a\nb",
    "URL": "http://x y",
    "URL with a control character": "https://id.example.net/\x07",
}


@functools.cache
def questions_by_kind() -> Mapping[str, tuple[Stack, Facts, Question]]:
    """Returns one question of each kind with a text answer, and its stack."""
    found: dict[str, tuple[Stack, Facts, Question]] = {}
    for name in plan_cases.names():
        case = plan_cases.case(name)
        for stack in _shapes(case.stack, case.facts):
            with_questions = [each for each in _questions(stack, case.facts) if each.kind != "choice"]
            for question in with_questions:
                setting = question.setting
                found.setdefault(f"{setting.section}.{setting.name}", (stack, case.facts, question))
    return found


def _shapes(stack: Stack, facts: Facts) -> Iterator[Stack]:
    """Returns the stack, also with certificates from files and with sign-in at its front doors."""
    yield stack
    yield replace(stack, certificates=replace(stack.certificates, issued_by="files"))
    for question in _questions(stack, facts):
        if question.setting.name == "access" and "sign_in" in dict(question.choices):
            yield answer(stack, question.setting, "sign_in")


def _questions(stack: Stack, facts: Facts) -> tuple[Question, ...]:
    try:
        return questions(stack, facts)
    except FirescreenError:
        return ()  # a case of a refused plan


def test_every_kind_of_question_has_wrong_answers() -> None:
    assert {
        "users.name",
        "users.password",
        "users.more",
        "components.names",
        "components.files.key_file",
        "components.rate_limit",
        "certificates.days",
        "front_doors.name",
        "front_doors.cors",
        "front_doors.others",
        "front_doors.sign_in.issuer",
        "front_doors.sign_in.client_secret_file",
        "front_doors.sign_in.groups",
    } <= set(questions_by_kind())


@pytest.mark.parametrize("wrong", WRONG)
def test_a_senseless_answer_is_refused_with_what_to_type(wrong: str) -> None:
    value = WRONG[wrong]
    for key, (stack, facts, question) in questions_by_kind().items():
        try:
            taken = answer(stack, question.setting, value)
        except InputError as error:
            _assert_clear_error(key, error)
        else:
            kept = [each.default for each in questions(taken, facts) if each.setting == question.setting]
            assert all(each.isprintable() for each in kept), key
            assert all(len(each) < 4096 for each in kept) or key.endswith((".groups", ".client_id")), key


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("way", ["oauth2", "authorization"])
def test_a_senseless_answer_about_a_token_login_is_refused(way: str, wrong: str) -> None:
    case = plan_cases.case("client-logins")
    bare = replace(case.stack, client_logins=())
    place = next(each for each in candidates(bare, case.facts) if not {"", way} & set(each.obstacles))
    stack = answer_login(bare, place, "way", way)
    names = [each.setting.name for each in login_questions(stack, place) if each.kind == "text"]
    assert "secret_file" in names
    for name in names:
        try:
            taken = answer_login(stack, place, name, WRONG[wrong])
        except InputError as error:
            _assert_clear_error(name, error)
        else:
            now = next(each for each in login_questions(taken, place) if each.setting.name == name)
            assert now.default.isprintable(), name


def _assert_clear_error(key: str, error: InputError) -> None:
    """Asserts that an error names problem and remedy, is short and contains no invisible characters."""
    text = f"{error.what}. {error.todo}"
    assert error.what and error.todo and len(text) < 400, (key, text)
    assert all(each.isprintable() or each == "\n" for each in text), (key, text)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("users.name", "a" * 65, "at most 64 characters"),
        ("components.names", f"{'a' * 64}.example.net", "more than 63 characters"),
        ("components.files.key_file", f"/etc/{'a' * 256}", "too long"),
        ("components.files.key_file", "/etc/ssl/", "a folder"),
        ("front_doors.sign_in.client_secret_file", "/root/\x1b[31mx", "control character"),
        ("front_doors.name", "1.5", "neither an address nor a host name"),
        ("front_doors.name", "0", "neither an address nor a host name"),
    ],
)
def test_the_message_names_the_mistake(key: str, value: str, expected: str) -> None:
    stack, _, question = questions_by_kind()[key]
    with pytest.raises(InputError, match=expected):
        answer(stack, question.setting, value)
