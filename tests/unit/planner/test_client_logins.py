"""Client logins: impossible ones are refused with place and remedy; the plan itself is a golden file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.unit.planner import plan_cases
from wizard import planner
from wizard.errors import FirescreenError, StackError
from wizard.inventory import stack_file
from wizard.model import Answers, Facts, FileState, Plan, Stack

CONFIG = "/etc/prometheus/prometheus.yml"
SECRET = "/etc/prometheus/oauth.secret"


def mon1(facts: Facts, **changed: object) -> Facts:
    return replace(
        facts,
        hosts={**facts.hosts, "mon1": replace(facts.hosts["mon1"], **changed)},  # type: ignore[arg-type]
    )


def text(facts: Facts, path: str, content: str | None) -> Facts:
    state = None if content is None else FileState(content.encode())
    return mon1(facts, files={**facts.hosts["mon1"].files, path: state})


def with_edited_config(facts: Facts, old: str, new: str) -> Facts:
    state = facts.hosts["mon1"].files[CONFIG]
    assert state is not None
    assert old in state.content.decode()
    return text(facts, CONFIG, state.content.decode().replace(old, new, 1))


def version(facts: Facts, number: str) -> Facts:
    return mon1(facts, services=tuple(replace(e, version=number) for e in facts.hosts["mon1"].services))


REFUSED: dict[str, tuple[Callable[[Facts], Facts], str]] = {
    "too old for a CA of the token endpoint": (
        lambda facts: version(facts, "2.30.4"),
        "2.30.4 does not know oauth2.tls_config, which came with 2.31",
    ),
    "too old for oauth2": (lambda facts: version(facts, "2.26.1"), "does not know oauth2"),
    "too old for authorization": (lambda facts: version(facts, "2.24.0"), "does not know"),
    "no such job": (
        lambda facts: with_edited_config(facts, "job_name: api", "job_name: apis"),
        "has no job api",
    ),
    "no such remote_write": (
        lambda facts: with_edited_config(facts, "name: long-term", "name: short"),
        "no remote_write",
    ),
    "by plain http": (
        lambda facts: with_edited_config(facts, "scheme: https   # theirs", "scheme: http"),
        "unencrypted",
    ),
    "a password is there already": (
        lambda facts: with_edited_config(
            facts, "scheme: https   #", "basic_auth: {username: x}\n    scheme: https   #"
        ),
        "authenticates with basic_auth already",
    ),
    "no secret": (lambda facts: text(facts, SECRET, None), "client secret is not there"),
    "an empty token": (lambda facts: text(facts, "/etc/prometheus/token", "\n"), "token is empty"),
    "no CA": (lambda facts: text(facts, "/etc/prometheus/id-ca.crt", None), "CA of the token endpoint"),
    "no Prometheus": (lambda facts: mon1(facts, services=()), "no Prometheus on mon1"),
}


def plan_for(stack: Stack, facts: Facts) -> Plan:
    return planner.plan(stack, plan_cases.with_requested_files(stack, facts), Answers())


@pytest.mark.parametrize("name", REFUSED)
def test_an_impossible_login_is_refused(name: str) -> None:
    case = plan_cases.case("client-logins")
    change, words = REFUSED[name]
    with pytest.raises(FirescreenError) as refused:
        plan_for(case.stack, change(case.facts))
    assert words in refused.value.what
    assert refused.value.where
    assert refused.value.todo


def test_only_the_login_that_differs_is_replaced() -> None:
    case = plan_cases.case("client-logins")
    facts = with_edited_config(
        case.facts, "scheme: https   #", "oauth2: {client_id: old}  # mine\n    scheme: https   #"
    )
    plan = plan_for(case.stack, facts)
    (change,) = [each for step in plan.steps if step.kind == "login" for each in step.changes]
    after = change.after.content.decode()  # type: ignore[union-attr]
    assert after.count("oauth2:") == 2
    assert "client_id: old" not in after
    assert "scheme: https   # theirs" in after


def test_logins_are_written_to_the_stack_file() -> None:
    stack = plan_cases.case("client-logins").stack
    again = stack_file.parse(stack_file.dump(stack), source="firescreen.yaml")
    assert again.client_logins == stack.client_logins


HEAD = """\
version: 1
hosts: {mon1: {connect: local}}
components: [{host: mon1, name: prometheus}]
client_logins:
"""
OAUTH = "oauth2: {client_id: x, client_secret_file: /s, token_url: 'https://id/token'}"
WRONG = {
    "another host": (f"  - {{host: mon2, job: a, {OAUTH}}}\n", "there is no prometheus on mon2"),
    "twice": (f"  - {{host: mon1, job: a, {OAUTH}}}\n" * 2, "listed twice"),
    "a secret in clear": (
        f"  - {{host: mon1, job: a, {OAUTH.replace('https', 'http')}}}\n",
        "would be sent unencrypted",
    ),
    "two places": (f"  - {{host: mon1, job: a, remote_write: b, {OAUTH}}}\n", "has job and remote_write"),
    "two ways": (
        f"  - {{host: mon1, job: a, {OAUTH}, authorization: {{credentials_file: /t}}}}\n",
        "has oauth2 and authorization",
    ),
    "no way": ("  - {host: mon1, job: a}\n", "none of oauth2, authorization"),
}


@pytest.mark.parametrize("name", WRONG)
def test_an_invalid_login_is_refused_with_its_line(name: str) -> None:
    entry, words = WRONG[name]
    with pytest.raises(StackError) as refused:
        stack_file.parse(HEAD + entry, source="firescreen.yaml")
    assert words in refused.value.what
    assert "firescreen.yaml:" in refused.value.where
