"""Asks in the plain mode where Prometheus logs in by token: jobs, Alertmanagers, remote_write and remote_read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from wizard.cli.plain_dialog import choose, confirm, put, say
from wizard.model import Answers, Question, Stack
from wizard.plurals import count_noun
from wizard.redact import Secret, plain

if TYPE_CHECKING:
    from wizard.engine import Scan
    from wizard.planner.client_login_questions import LoginCandidate

_HELP = (
    "Where a company's sign-in is in front of what Prometheus asks, it accepts a token in place of a user and password.",
    "The plan changes these logins alone: every level of protection stays as it is.",
)


def choose_logins(scan: Scan) -> tuple[Stack, Answers] | None:
    """Returns the stack with the chosen logins, and the secrets; None if components are to be secured instead.

    Asks nothing if there is no place where Prometheus can log in by token.

    Raises:
        Leave: the person leaves.
    """
    from wizard.planner import client_login_questions

    candidates = [each for each in client_login_questions.candidates(scan.stack, scan.facts) if _ways(each)]
    if not candidates:
        return None
    wanted = choose(
        "What do you want to change?",
        (
            ("levels", "How the components are protected"),
            ("logins", f"Log in by token: how Prometheus logs in at {count_noun(len(candidates), 'place')}"),
        ),
        "levels",
        explain=lambda: _HELP,
    )
    if wanted == "levels":
        return None
    conversation = _Conversation(_with_present_levels(scan), candidates)
    conversation.hold()
    return conversation.stack, Answers(login_secrets=conversation.secrets)


def _with_present_levels(scan: Scan) -> Stack:
    """Returns the stack with the protection that the scan found, so that the plan does not change it."""
    seen, stack = {each.key: each for each in scan.exposures}, scan.stack
    return replace(
        stack,
        components=tuple(
            one
            if stack.doors_to(one.host, one.name)
            else replace(one, protect=seen[one.key].level(one.protect) if one.key in seen else ())
            for one in stack.components
        ),
    )


def _ways(candidate: LoginCandidate) -> tuple[str, ...]:
    """Returns the kinds of login that a place supports."""
    if "" in candidate.obstacles:
        return ()
    return tuple(way for way in ("oauth2", "authorization") if way not in candidate.obstacles)


class _Conversation:
    """The questions place by place, until the person goes on to the plan."""

    def __init__(self, stack: Stack, candidates: Sequence[LoginCandidate]) -> None:
        self.stack = stack
        self.secrets: dict[str, Secret] = {}
        self._candidates = candidates

    def hold(self) -> None:
        """Asks for places and their logins."""
        while True:
            places = [(str(number), self._line(each)) for number, each in enumerate(self._candidates)]
            any_login = any(each.login(self.stack) for each in self._candidates)
            more = [("plan", "Go on to the plan")] if any_login else []
            default = "plan" if any_login else "0"
            where = choose("Where is Prometheus to log in?", (*places, *more), default, explain=lambda: _HELP)
            if where == "plan":
                return
            self._ask(self._candidates[int(where)])

    def _line(self, candidate: LoginCandidate) -> str:
        from wizard.planner.client_login_questions import NOW

        login = candidate.login(self.stack)
        first = f" at {candidate.addresses[0]}" if candidate.addresses else ""
        today = NOW.get(candidate.now, candidate.now)
        planned = f", planned: {NOW[login.setting]}" if login is not None else ""
        return plain(f"{candidate.how} of {candidate.host}{first}, today: {today}{planned}", 300)

    def _ask(self, candidate: LoginCandidate) -> None:
        """Asks all questions about one place; required answers are asked for until they are given."""
        answered, everything = set[str](), False
        while True:
            left = [each for each in self._questions(candidate) if each.key not in answered]
            shown = [each for each in left if everything or each.priority == "high"]
            if shown:
                answered.add(shown[0].key)
                put(shown[0], lambda value, question=shown[0]: self._take(candidate, question, value))  # type: ignore[misc]
                self._demand(candidate, shown[0], answered)
            elif left:
                everything = confirm(
                    f"There {'is 1 more question' if len(left) == 1 else f'are {len(left)} more questions'}, "
                    "with a default that fits most providers.",
                    yes="Ask that too",
                    no="Take the default",
                )
                answered |= set() if everything else {each.key for each in left}
            else:
                return

    def _questions(self, candidate: LoginCandidate) -> list[Question]:
        """Returns the present questions about a place, with the kinds of login that it supports."""
        from wizard.planner import client_login_questions

        found = list(client_login_questions.questions(self.stack, candidate))
        able = ("", *_ways(candidate))
        found[0] = replace(found[0], choices=tuple(each for each in found[0].choices if each[0] in able))
        return found

    def _take(self, candidate: LoginCandidate, question: Question, value: str) -> None:
        from wizard.planner import client_login_questions

        name = question.setting.name
        self.stack = client_login_questions.answer(self.stack, candidate, name, value)
        if name == "way":
            self.secrets.pop(candidate.key, None)
        elif name == "secret" and value.strip():
            self.secrets[candidate.key] = Secret(value.strip())

    def _demand(self, candidate: LoginCandidate, question: Question, answered: set[str]) -> None:
        """Asks a question again if its answer is required and missing."""
        from wizard.planner import client_login_questions

        login = candidate.login(self.stack)
        lacking = client_login_questions.missing_answers(login).get(question.setting.name) if login else None
        if lacking:
            say(f"An answer is needed: {lacking}.")
            answered.discard(question.key)
