"""Secures a stack in the plain mode: scan, questions, plan, apply, verification, undo."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from wizard.cli import plain_logins
from wizard.cli import plain_sentences as sentences
from wizard.cli.options import connect, make_plan
from wizard.cli.plain_dialog import ASKING, Leave, ask, complain, confirm, put, say
from wizard.cli.stacks import refuse_without_hands
from wizard.cli.text_format import OUTCOME_WORDS, exit_code, listen
from wizard.errors import InputError
from wizard.redact import Secret, redact

if TYPE_CHECKING:
    from wizard.engine import Engine, Outcome, Scan
    from wizard.engine.engine import Emit
    from wizard.model import Answers, Plan, Question, Stack

_PLAN_HELP = (
    "yes applies the plan and verifies the result. A host that fails is rolled back.",
    "d and the number of a step, as in d 1, shows what changes in its files.",
    "c and the number of a step, as in c 1, shows the commands that a person would type for it.",
    "p shows the plan again. q leaves, and nothing is changed.",
)


class PlainWizard:
    """A dialog from a scan to a verified stack.

    Args:
        machine: the engine.
        stack: what to secure; None for this machine.
    """

    def __init__(self, machine: Engine, stack: Stack | None) -> None:
        self._engine = machine
        self._wanted = stack
        self._typed: dict[str, Secret] = {}
        self.outcome: Outcome | None = None
        """The result of applying the plan; None before that."""
        self.began = False
        """Whether anything may have been changed."""

    @property
    def exit_code(self) -> int:
        """Returns the program's exit code after the plan is applied."""
        return exit_code(self.outcome) if self.outcome is not None else 0

    def carry_out(self) -> int:
        """Runs the dialog from scan to verification; returns the exit code.

        Raises:
            Leave: the person leaves. FirescreenError: an error before anything was changed.
        """
        self._recover()
        found = self._scan()
        if not found.stack.components:
            return 0
        logins = plain_logins.choose_logins(found)
        if logins is not None:
            stack, answers = logins
        else:
            stack = self._ask_questions(found)
            answers = self._answers(stack)
        if not stack.changes_hosts:
            say("No component is to be protected. Nothing was changed.")
            return 0
        say("Planning.")
        plan = make_plan(self._engine, stack, answers=answers, asking=ASKING)
        self._engine.refuse_silent(plan)
        self._apply(plan)
        return self.exit_code

    def _recover(self) -> None:
        """Offers to roll back an interrupted run: nothing else can be applied before."""
        cut = self._engine.interrupted_run()
        if cut is None:
            return
        say(f"Run {cut.run} was not finished: {cut.title}.")
        for change in cut.changes:
            say(f"{change}.")
        if not confirm("Roll it back now?", yes="Roll it back", no="Leave it, and leave Firescreen"):
            raise Leave
        connect(self._engine, self._engine.hosts_of(), ASKING)
        self.began = True
        for outcome in self._engine.recover(sentences.progress(say)):
            if outcome.error is not None:
                raise outcome.error
            say(f"Run {outcome.run} is rolled back.")

    def _scan(self) -> Scan:
        say("Scanning.")
        if self._wanted is not None:
            connect(self._engine, self._wanted.hosts, ASKING)
        found = self._engine.scan(self._wanted)
        if not found.stack.components:
            say("No component of Prometheus was found.")
            say("To try Firescreen out, type: firescreen --plain --practice")
            return found
        for line in sentences.scan_lines(found):
            say(line)
        return found

    # -- questions -----------------------------------------------------------------------------------------

    def _ask_questions(self, scan: Scan) -> Stack:
        """Returns the stack with the answers to all questions; an answer may raise further questions."""
        from wizard import planner

        stack, answered, everything = scan.stack, set[str](), False
        while True:
            left = [each for each in planner.questions(stack, scan.facts) if each.key not in answered]
            shown = [each for each in left if everything or each.priority == "high"]
            if shown:
                answered.add(shown[0].key)
                stack = self._ask(stack, shown[0])
            elif left and not everything:
                everything = confirm(
                    f"There are {len(left)} more questions, with defaults that fit most stacks.",
                    yes="Ask them too",
                    no="Take the defaults",
                )
                answered |= set() if everything else {each.key for each in left}
            else:
                return stack

    def _ask(self, stack: Stack, question: Question) -> Stack:
        """Returns the stack with one question answered; Enter keeps the default."""
        from wizard import planner

        def explain() -> tuple[str, ...]:
            if question.setting.name != "protect":
                return ()
            from wizard.planner.questions import LEVELS

            return tuple(f"{words}: {meaning}" for _, words, meaning in LEVELS)

        def take(value: str) -> None:
            nonlocal stack
            stack = planner.answer(stack, question.setting, value)
            if question.kind == "password":
                self._typed[question.key] = Secret(value)

        put(question, take, explain=explain)
        return stack

    def _answers(self, stack: Stack) -> Answers:
        """Returns the passwords that were typed."""
        from wizard.model import Answers

        password = self._typed.get("users.password")
        passwords = {stack.users[0].name: password} if password else {}
        return Answers(passwords, self._typed.get("certificates.passphrase"))

    # -- plan, apply, undo ---------------------------------------------------------------------------------

    def _apply(self, plan: Plan) -> None:
        """Shows the plan, applies it after a yes, reports the verification, and offers to undo it."""
        from wizard.engine import consent
        from wizard.engine.canary import canary_of

        if not plan.changes:
            say("Nothing to do: the hosts are as the stack says. Verifying.")
        else:
            consent.refuse(plan, later=False)
            refuse_without_hands(plan)
            self._show(plan)
            self._ask_to_apply(plan)
            say("Applying.")
        canary = canary_of(plan) or "none"
        outcome = self._run(lambda tell, cancel: self._engine.apply(plan, tell, cancel, canary=canary))
        for line in sentences.attempt_lines(outcome.attempts, plan.facts.away) if outcome.attempts else ():
            say(line)
        self._tell(outcome)
        if outcome.run and outcome.state in ("proven", "applied", "changed", "partly"):
            self._offer_undo(outcome.run)

    def _run(self, action: Callable[[Emit, threading.Event], Outcome]) -> Outcome:
        """Applies or undoes; during that, Ctrl+C stops the run, afterwards it ends the dialog again."""
        before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
        tell, cancel = listen(sentences.progress(say))
        self.began = True
        try:
            self.outcome = action(tell, cancel)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        return self.outcome

    def _show(self, plan: Plan) -> None:
        for line in sentences.plan_lines(plan):
            say(line)

    def _ask_to_apply(self, plan: Plan) -> None:
        """Returns if the person typed yes."""
        applied = False

        def take(line: str) -> None:
            nonlocal applied
            word, _, number = line.partition(" ")
            applied = line.lower() == "yes"
            if applied:
                return
            if word.lower() == "p" and not number:
                self._show(plan)
            elif word.lower() in ("c", "d") and number.isdecimal() and 1 <= int(number) <= len(plan.steps):
                step = plan.steps[int(number) - 1]
                shown = (
                    sentences.diff_lines(plan, step) if word.lower() == "d" else sentences.command_lines(step)
                )
                for each in shown:
                    say(each, whole=True)
            else:
                raise InputError(
                    f"'{line[:60]}' does nothing here" if line else "Enter alone does nothing here",
                    todo=f"Type yes, or d or c with a step from 1 to {len(plan.steps)}, or q",
                )

        while not applied:
            ask(
                "Apply this plan? Type yes to apply it, d and a number for the diff of a step, c and a number for its "
                "commands, or q to leave.",
                take,
                explain=lambda: _PLAN_HELP,
            )

    def _tell(self, outcome: Outcome) -> None:
        if outcome.error is not None:
            complain(outcome.error)
        say(OUTCOME_WORDS[outcome.state])
        for line in outcome.summary:
            say(redact(line))

    def _offer_undo(self, run: str) -> None:
        if not confirm("Undo it now?", yes="Undo it: all files are as before the run", no="Keep the changes"):
            say("The applied changes are kept.")
            return
        say("Undoing.")
        self._tell(self._run(lambda tell, cancel: self._engine.undo(run, tell, cancel)))
