"""The questions of a stack, and the effect of their answers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.planner import plan_cases
from tests.unit.planner.test_identity import site
from wizard import planner
from wizard.errors import InputError
from wizard.model import (
    Answers,
    CertificateSpec,
    Facts,
    Finding,
    Proxies,
    ProxyRoute,
    Question,
    RateLimit,
    Setting,
    Stack,
)
from wizard.planner.questions import LEVELS

NODE = "srv1/node_exporter"


def case_questions(name: str, **changed: object) -> tuple[Stack, Facts, dict[str, Question]]:
    case = plan_cases.case(name)
    stack = replace(case.stack, **changed)  # type: ignore[arg-type]
    facts = plan_cases.with_requested_files(stack, case.facts)
    return stack, facts, {question.key: question for question in planner.questions(stack, facts)}


def component(stack: Stack) -> object:
    return next(each for each in stack.components if each.key == NODE)


def test_an_unprotected_stack_gets_questions_about_levels_only() -> None:
    _, _, questions = case_questions("level-none")
    assert questions
    assert {question.setting.name for question in questions.values()} == {"protect"}


def test_a_questions_key_is_its_path_in_the_stack_file() -> None:
    _, _, questions = case_questions("all-password")
    assert questions["certificates.days"].setting == Setting("certificates", "days")
    assert questions["users.name"].setting == Setting("users", "name")
    some = next(each for each in questions.values() if each.setting.name == "names")
    assert some.key == f"components.{some.setting.of}.names"
    assert str(Setting("accept_broken", of="a/nginx/b")) == "accept_broken.a/nginx/b"
    assert str(Setting("components", "files.cert_file", NODE)) == f"components.{NODE}.files.cert_file"


@pytest.mark.parametrize("name", ["all-password", "all-mutual-tls", "two-users", "key-rsa-4096"])
def test_accepting_every_default_changes_nothing(name: str) -> None:
    stack, _, questions = case_questions(name)
    for question in questions.values():
        answered = planner.answer(stack, question.setting, question.default)
        if question.kind == "password":
            continue  # an empty field means that a password is generated
        if question.setting.name == "names":
            continue  # the found value is offered, and written once it is accepted
        assert answered == stack, question.key
        assert question.title
        assert question.why
        assert not question.choices or question.default in dict(question.choices)


def test_rarely_changed_settings_have_low_priority() -> None:
    _, _, questions = case_questions("all-mutual-tls")
    low = {question.setting.name for question in questions.values() if question.priority == "low"}
    assert {"client_auth_type", "client_allowed_sans", "min_version", "days", "key", "passphrase"} <= low
    assert questions["certificates.issued_by"].priority == "high"


def test_existing_certificates_get_questions_about_their_files() -> None:
    stack, _, questions = case_questions("all-tls", certificates=CertificateSpec(issued_by="files"))
    names = {question.setting.name for question in questions.values() if question.setting.of}
    assert {"files.cert_file", "files.key_file", "files.ca_file"} <= names
    setting = next(each.setting for each in questions.values() if each.setting.name == "files.key_file")
    named = planner.answer(stack, setting, "/etc/ssl/own.key")
    assert [each.files.key_file for each in named.components if each.key == setting.of] == [
        "/etc/ssl/own.key"
    ]
    assert planner.answer(named, setting, "") == stack
    with pytest.raises(InputError, match="full path"):
        planner.answer(stack, setting, "own.key")


def test_settings_that_a_version_lacks_get_no_question() -> None:
    _, _, new = case_questions("level-tls")
    _, _, old = case_questions("old-node-exporter")
    assert "headers" in {question.setting.name for question in new.values()}
    assert not {"headers", "rate_limit"} & {question.setting.name for question in old.values()}


def test_a_client_that_will_be_rejected_gets_a_question_and_can_be_accepted() -> None:
    case = plan_cases.case("all-password")
    route = ProxyRoute(
        host="here", program="nginx", file="/etc/nginx/x", line=5, upstream="127.0.0.1:9090", scheme="http"
    )
    facts = replace(
        plan_cases.with_requested_files(case.stack, case.facts), proxies={"here": Proxies(routes=(route,))}
    )
    questions = {each.key: each for each in planner.questions(case.stack, facts)}
    question = questions["accept_broken.here/nginx/prometheus"]
    assert "nginx on here" in question.title
    assert route.where in question.more
    accepted = planner.answer(case.stack, question.setting, "yes")
    assert accepted.accept_broken == ("here/nginx/prometheus",)
    assert planner.answer(accepted, question.setting, "yes") == accepted
    assert planner.answer(accepted, question.setting, "").accept_broken == ()


# -- answers ------------------------------------------------------------------------------------------------


def node_setting(name: str) -> Setting:
    return Setting("components", name, NODE)


@pytest.fixture
def stack() -> Stack:
    return plan_cases.case("level-tls").stack


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        *(("protect", level, tuple(filter(None, level.split("+")))) for level, _, _ in LEVELS),
        ("client_auth_type", "VerifyClientCertIfGiven", "VerifyClientCertIfGiven"),
        ("min_version", "TLS13", "TLS13"),
        ("headers", "usual", {"X-Frame-Options": "deny", "X-Content-Type-Options": "nosniff"}),
        ("headers", "", {}),
        ("rate_limit", "100ms 20", RateLimit("100ms", 20)),
        ("rate_limit", " ", None),
        ("names", "a.example, 192.0.2.1 a.example", ("a.example", "192.0.2.1")),
        ("client_allowed_sans", "", ()),
        ("client_allowed_sans", "one two", ("one", "two")),
    ],
)
def test_an_answer_about_a_component_is_kept(stack: Stack, name: str, value: str, kept: object) -> None:
    answered = planner.answer(stack, node_setting(name), value)
    assert getattr(component(answered), name) == kept
    others = [each for each in answered.components if each.key != NODE]
    assert others == [each for each in stack.components if each.key != NODE]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("protect", "basic_auth", "not a level"),
        ("client_auth_type", "Maybe", "cannot be chosen"),
        ("min_version", "SSL3", "cannot be chosen"),
        ("rate_limit", "fast", "not an interval"),
        ("rate_limit", "1s 0", "out of range"),
        ("names", " , ", "at least one name"),
        ("names", "not a/name", "name"),
    ],
)
def test_an_invalid_answer_is_refused_with_a_reason(
    stack: Stack, name: str, value: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        planner.answer(stack, node_setting(name), value)


def test_an_answer_to_an_unknown_question_is_refused(stack: Stack) -> None:
    with pytest.raises(InputError, match="no component"):
        planner.answer(stack, Setting("components", "protect", "srv9/node_exporter"), "tls")


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("name", "metrics", "metrics"),
        ("cost", "12", 12),
        ("password", "a long enough password", "prompt"),
        ("password", "", "generate"),
    ],
)
def test_an_answer_about_the_user_is_kept(stack: Stack, name: str, value: str, kept: object) -> None:
    answered = planner.answer(stack, Setting("users", name), value)
    assert getattr(answered.users[0], name) == kept
    assert answered.components == stack.components


def test_further_users_keep_their_settings(stack: Stack) -> None:
    setting = Setting("users", "more")
    first = stack.users[0].name
    two = planner.answer(stack, setting, f"ada, bob {first} ada")
    assert [user.name for user in two.users] == [first, "ada", "bob"]
    costly = replace(two, users=(two.users[0], replace(two.users[1], cost=12), two.users[2]))
    assert planner.answer(costly, setting, "ada").users == costly.users[:2]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("name", "two words", "user name here is"),
        ("cost", "many", "whole number"),
        ("cost", "31", "out of range"),
        ("password", "x" * 80, "72"),
        ("more", "good bad:name", "user name here is"),
    ],
)
def test_an_invalid_user_is_refused(stack: Stack, name: str, value: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        planner.answer(stack, Setting("users", name), value)


@pytest.mark.parametrize(
    ("name", "value", "spec"),
    [
        ("days", "90", CertificateSpec(days=90)),
        ("key", "ed25519", CertificateSpec(key="ed25519")),
        ("issued_by", "shared", CertificateSpec(issued_by="shared")),
        ("passphrase", "secret words", CertificateSpec(passphrase=True)),
        ("passphrase", "", CertificateSpec(passphrase=False)),
    ],
)
def test_an_answer_about_certificates_is_kept(
    stack: Stack, name: str, value: str, spec: CertificateSpec
) -> None:
    answered = planner.answer(stack, Setting("certificates", name), value)
    assert getattr(answered.certificates, name) == getattr(spec, name)


@pytest.mark.parametrize(
    ("name", "value"), [("days", "0"), ("key", "dsa"), ("issued_by", "nobody"), ("colour", "red")]
)
def test_impossible_certificate_settings_are_refused(stack: Stack, name: str, value: str) -> None:
    with pytest.raises(InputError):
        planner.answer(stack, Setting("certificates", name), value)


def test_a_missing_certificate_name_is_reported_in_the_question_and_the_plan() -> None:
    stack, facts = site("node1:9100", on="node1")
    setting = Setting("components", "names", "node1/node_exporter")

    def named(value: str) -> tuple[Question, list[Finding]]:
        answered = planner.answer(stack, setting, value)
        question = next(each for each in planner.questions(answered, facts) if each.setting == setting)
        plan = planner.plan(answered, facts, Answers())
        return question, [each for each in plan.warnings if each.id == "name-missing"]

    fine, none = named("node1 else.example.org")
    assert not fine.warning and not none
    short, (finding,) = named("else.example.org")
    assert short.warning.startswith("Prometheus on monitor (job site) connects to node1")
    assert finding.where == "node1/node_exporter"
    assert "job site" in finding.what
    assert finding.remediation == "Add node1 to the names of node_exporter"


@pytest.mark.parametrize(
    ("names", "missing"),
    [
        ("*.example.org NODE1", ""),
        ("node1 *.example.net", "node1.example.org"),
        ("*.example.org", "node1"),
    ],
)
def test_a_wildcard_or_another_spelling_covers_a_name(names: str, missing: str) -> None:
    stack, facts = site("Node1.example.org.:9100", "node1:9100", on="node1")
    setting = Setting("components", "names", "node1/node_exporter")
    answered = planner.answer(stack, setting, names)
    warning = next(each for each in planner.questions(answered, facts) if each.setting == setting).warning
    assert f"connects to {missing}:" in warning if missing else not warning
