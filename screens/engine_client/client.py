"""The client of the engine: builds the engine when first needed, and calls it only in threads.

Nothing here imports the engine at the top: the first frame must not wait for cryptography and YAML.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar, cast

from screens.engine_client.lab_client import LabClient
from screens.state import wholly_protected

if TYPE_CHECKING:
    from wizard.connections.credentials import SecretKind
    from wizard.diagnostics.catalogue import Diagnosis
    from wizard.engine import Engine, InventoryItem, Outcome, Remains, Scan
    from wizard.engine.manual_probe import Answered, Request
    from wizard.inventory.sources import Instance
    from wizard.model import (
        Answers,
        Attempt,
        ClientLogin,
        Event,
        Facts,
        HostFacts,
        HostSpec,
        Plan,
        Question,
        RunRecord,
        Setting,
        Stack,
    )
    from wizard.planner.client_login_questions import LoginCandidate
    from wizard.redact import Secret
    from wizard.workspace import Workspace

Answer = TypeVar("Answer")
Emit: TypeAlias = "Callable[[Event], None]"


class EngineClient(LabClient):
    """The engine calls of the screens. Every method may block: call it through `FirescreenApp.ask`.

    Args:
        folder: the workspace; None for the user's own.
        build: makes the engine, for tests that use a different one.
    """

    def __init__(self, folder: Path | None, build: Callable[[], Engine] | None = None) -> None:
        self._folder = folder
        self._remembers = folder is not None or build is None
        self._build = build or self._real
        self._engine: Engine | None = None
        self._lock = threading.Lock()
        self._import_lock = threading.Lock()

    def do(self, work: Callable[[], Answer]) -> Answer:
        """Does a thread's work once the engine and the labs are imported.

        Threads that import different parts of a package at the same time can each find the other's module half
        imported: Python lets one of them go on with it, which fails. So one thread imports them, and the others wait.
        """
        with self._import_lock:
            from wizard import engine, labs
            from wizard.errors import FirescreenError

            del engine, labs
        try:
            return work()
        except FirescreenError as error:
            error.todo = self.as_typed(error.todo)
            raise

    def as_typed(self, text: str) -> str:
        """Rewrites Firescreen's commands in a text so that they work where they are typed, see `wizard.invocation`."""
        from wizard import invocation

        return invocation.as_typed(text, self.workspace)

    def _real(self) -> Engine:
        from wizard.engine import Engine
        from wizard.engine.verification import MOST_BESIDE_A_SCREEN

        return Engine(self.workspace.ensure(), most=MOST_BESIDE_A_SCREEN)

    @cached_property
    def workspace(self) -> Workspace:
        """Returns the workspace, without creating any of it."""
        from wizard.workspace import Workspace

        return Workspace(self._folder) if self._folder else Workspace.default()

    def remembered_theme(self) -> str:
        """Returns the name of the theme chosen last, unchecked, or '' if there is none. Reads one small file."""
        if not self._remembers:
            return ""
        try:
            with self.workspace.theme.open(encoding="utf-8") as file:
                return file.read(100).strip()
        except (OSError, ValueError):
            return ""

    def remember_theme(self, name: str) -> None:
        """Remembers the name of the chosen theme for the next start. Raises `HostError` if it cannot be written."""
        from wizard import ownfiles
        from wizard.errors import HostError

        if not self._remembers:
            return
        try:
            ownfiles.replace(file := self.workspace.ensure().theme, f"{name}\n")
        except OSError as error:
            what = f"The chosen theme is not remembered: {error.strerror}"
            raise HostError(what, where=str(file), todo="Check the folder's rights and free space") from error

    @property
    def engine(self) -> Engine:
        """Returns the engine, made on first use. Raises `JournalError` or `InputError` for an unusable workspace."""
        with self._lock:
            if self._engine is None:
                self._engine = self._build()
            return self._engine

    def interrupted_run(self) -> RunRecord | None:
        """Returns an interrupted run, if there is one."""
        return self.engine.interrupted_run()

    def history(self) -> tuple[RunRecord, ...]:
        """Returns the runs, the newest first."""
        return self.engine.history()

    def practice(self, say: Callable[[str], None], *, whole: bool) -> Stack:
        """Starts the practice stack; `whole`: with all five components. `say` gets lines of progress."""
        return self.engine.practice(say, whole=True) if whole else self.engine.practice(say)

    def stop_practice(self) -> None:
        """Stops the practice programs and removes their folders."""
        self.engine.practice_down()

    def load(self, path: Path) -> Stack:
        """Reads a stack file. Raises `StackError` with file and line."""
        from wizard.inventory import stack_file as stack

        return stack.load(path)

    def remembered_stack(self) -> Stack | None:
        """Returns the hosts that were chosen last time. Raises `StackError` with file and line."""
        from wizard.inventory import stack_file as stack

        path = self._kept
        return stack.load(path) if path.is_file() else None

    def remember(self, chosen: Stack) -> None:
        """Remembers the chosen hosts for the next start; a stack holds no secret. Raises `HostError`."""
        from wizard.errors import HostError
        from wizard.inventory import stack_file as stack

        staged = self._kept.with_suffix(".new")
        try:
            staged.unlink(missing_ok=True)
            staged.touch(mode=0o600)
            staged.write_text(stack.dump(chosen), encoding="utf-8")
            staged.replace(self._kept)
        except OSError as error:
            raise HostError(
                f"the hosts cannot be remembered: {error.strerror}",
                where=str(self._kept),
                todo="They can be used now. Free some space there, or check the folder's permissions",
            ) from error

    def forget(self) -> None:
        """Forgets the chosen hosts: the next start offers none."""
        self._kept.unlink(missing_ok=True)

    @property
    def _kept(self) -> Path:
        return self.engine.workspace.root / "stack.yaml"

    def give(self, kind: str, host: str, secret: Secret, *, everywhere: bool = False) -> None:
        """Gives a secret to the connection that needs it, or (`everywhere`) to all; see `errors.CredentialNeededError`."""
        self.engine.access.give(cast("SecretKind", kind), host, secret, everywhere=everywhere)

    def accept(self, host: str, fingerprint: str) -> None:
        """Accepts a host key."""
        self.engine.access.accept(host, fingerprint)

    def offered_hosts(self) -> tuple[tuple[str, ...], tuple[Instance, ...], str]:
        """Returns names from ~/.ssh/config, instances of this machine, and why there are no instances."""
        from wizard.inventory import sources

        return (sources.ssh_names(), *sources.instances())

    def typed_hosts(self, text: str, names: tuple[str, ...]) -> tuple[tuple[HostSpec, ...], str]:
        """Returns the typed host, or the hosts in the named file, and that file. Raises `InputError`."""
        from wizard.inventory import sources

        file = sources.file_of(text)
        if file is None:
            return (sources.parse_host(text, names),), ""
        return sources.read_inventory(file, names), str(file)

    def reach(self, spec: HostSpec, through: tuple[HostSpec, ...] = ()) -> HostFacts:
        """Connects to a host and reads its user and services. Raises `CredentialNeededError` and `HostError`."""
        from wizard.model import Stack

        return self.engine.inspect(Stack(hosts=(*through, spec), components=())).hosts[spec.name]

    def scan_host(self, facts: HostFacts, through: tuple[HostSpec, ...] = ()) -> Scan:
        """Scans the components of a host; the stack in the scan is a proposal for them. Raises `HostError`."""
        from wizard.engine import proposed_components
        from wizard.model import Stack

        return self.engine.scan(
            Stack(hosts=(*through, facts.spec), components=proposed_components(facts.services))
        )

    def apply(
        self, plan: Plan, emit: Emit, cancel: threading.Event, canary: str = "", *, later: bool = False
    ) -> Outcome:
        """Calls `Engine.apply`. Raises `CredentialNeededError` if a connection needs something before anything was changed."""
        return _raise_needed_credential(
            lambda tell: self.engine.apply(plan, tell, cancel, canary=canary, verify_later=later), emit
        )

    def plan_for_apply(self, stack: Stack, answers: Answers) -> Plan:
        """Calls `Engine.plan` for an apply. Raises `InputError` if a service that it restarts does not answer now."""
        plan = self.engine.plan(stack, answers)
        self.engine.refuse_silent(plan)
        return plan

    def remains(self) -> tuple[Remains, ...]:
        """Calls `Engine.remains`: what is left of runs that were not rolled back."""
        return self.engine.remains()

    def forget_run(self, *, as_it_is: bool) -> None:
        """Calls `Engine.forget`. Raises the first error."""
        for outcome in self.engine.forget(as_it_is=as_it_is):
            if outcome.error is not None:
                raise outcome.error

    def undo(self, run: str, emit: Emit, cancel: threading.Event) -> Outcome:
        """Calls `Engine.undo`, as `apply`."""
        return _raise_needed_credential(lambda tell: self.engine.undo(run, tell, cancel), emit)

    def recover(self, emit: Emit) -> Outcome:
        """Calls `Engine.recover`: returns the first failure, or the last outcome; it can always be continued later."""
        from wizard.engine import Outcome

        def work(tell: Emit) -> Outcome:
            outcomes = self.engine.recover(tell)
            last = outcomes[-1] if outcomes else Outcome(run="", state="nothing")
            return next((one for one in outcomes if one.error), last)

        return _raise_needed_credential(work, emit, later=True)

    def questions(self, stack: Stack, facts: Facts) -> tuple[Question, ...]:
        """Returns the questions about this stack, the most important first."""
        from wizard import planner

        return planner.questions(stack, facts)

    def meanings(self) -> dict[str, str]:
        """Returns what each level of protection means, one sentence by its value."""
        from wizard.planner.questions import LEVELS

        return {value: words for value, _, words in LEVELS}

    def answer(self, stack: Stack, setting: Setting, value: str) -> Stack:
        """Returns the stack with one question answered. Raises `InputError`. Pure and quick once imported."""
        from wizard import planner

        return planner.answer(stack, setting, value)

    def login_candidates(self, stack: Stack, facts: Facts) -> tuple[LoginCandidate, ...]:
        """Returns where the Prometheus servers of the stack are clients, and how they log in there today."""
        from wizard.planner import client_login_questions

        return client_login_questions.candidates(stack, facts)

    def login_questions(self, stack: Stack, candidate: LoginCandidate) -> tuple[Question, ...]:
        """Returns the questions about the login at one of them."""
        from wizard.planner import client_login_questions

        return tuple(client_login_questions.questions(stack, candidate))

    def answer_login(self, stack: Stack, candidate: LoginCandidate, setting: Setting, value: str) -> Stack:
        """Returns the stack with one of these questions answered. Raises `InputError`."""
        from wizard.planner import client_login_questions

        return client_login_questions.answer(stack, candidate, setting.name, value)

    def missing_login(self, login: ClientLogin) -> dict[str, str]:
        """Returns what a login still lacks: the error by the name of the question."""
        from wizard.planner import client_login_questions

        return client_login_questions.missing_answers(login)

    def inventory(self, stack: Stack) -> tuple[InventoryItem, ...]:
        """Returns the existing certificates and users, also if the current stack does not need any."""
        protected_stack = wholly_protected(stack)
        return self.engine.inventory(protected_stack, self.engine.inspect(protected_stack))

    def current_connections(self, scan: Scan, stack: Stack, answers: Answers) -> Plan:
        """Returns the present connections: a plan with only the probes that test them."""
        from screens.engine_client.current_connections import plan_of_connections

        return plan_of_connections(self.engine, scan, stack, answers)

    def glossary(self) -> tuple[str, ...]:
        """Returns the entries of the glossary, Markdown each, by title."""
        from wizard import glossary

        return tuple(sorted(map(glossary.term, glossary.terms()), key=str.casefold))

    def manual(self) -> tuple[tuple[str, str], ...]:
        """Returns the manual: title and Markdown of each topic."""
        from wizard import glossary

        return tuple((glossary.title(text), text) for text in glossary.manual().values())

    def load_diagnoses(self) -> None:
        """Loads the diagnoses before the first is asked for, which would wait for them."""
        from wizard.diagnostics import catalogue

        catalogue.load()

    def diagnosis(self, text: str, *, ask: bool = False, stack: Stack | None = None) -> Diagnosis | None:
        """Returns the diagnosis of an error text; with `ask`, checks on the stack's hosts (or this machine) refine it."""
        from wizard.diagnostics import catalogue

        return self.engine.explain(text, stack) if ask else catalogue.diagnose(text)

    def explain(self, attempt: Attempt, stack: Stack | None = None) -> Diagnosis | None:
        """Returns the diagnosis of a failed probe, or None.

        If Prometheus itself reports a target of the stack as down, its hosts are checked for the cause.
        """
        if attempt.probe.kind != "up" or stack is None:
            return self.diagnosis(attempt.reason or attempt.detail)
        return self.engine.explain(f"{attempt.reason}\n{attempt.detail}", stack)

    def send(self, request: Request, facts: Facts | None = None) -> Answered:
        """Sends a request of the probe console. Raises `InputError` if something in it is invalid.

        Args:
            facts: of the stack, whose servers this machine may not reach directly.
        """
        from wizard.engine import manual_probe
        from wizard.engine.reachability import forward_to

        if facts and not request.resolve and request.forward is None:
            request = replace(request, forward=forward_to(facts, request.url))
        return manual_probe.ask(request, self.engine.workspace, dial=self.engine.dial)

    def explain_text(self, text: str) -> tuple[str, ...]:
        """Returns what an error text means, in lines."""
        return lines_of(self.diagnosis(text))


def lines_of(diagnosis: Diagnosis | None) -> tuple[str, ...]:
    """Returns the meaning and what to do, a line each; no lines if nothing is known."""
    lines = (diagnosis.cause, diagnosis.fix, diagnosis.other_end, diagnosis.next) if diagnosis else ()
    return tuple(line for line in lines if line)


def _raise_needed_credential(work: Callable[[Emit], Outcome], emit: Emit, *, later: bool = False) -> Outcome:
    """Returns the outcome of `work`; if it stopped because a credential is needed, raises that error instead.

    Args:
        work: a run; it gets the function that receives its events.
        emit: receives the events.
        later: whether the run can be started again even after it has changed something.

    Raises:
        CredentialNeededError: a connection needs something.
    """
    from wizard.errors import CredentialNeededError

    held_events: list[Event] = []

    def tell(event: Event) -> None:
        if event.kind == "finished":
            held_events.append(event)
        else:
            emit(event)

    outcome = work(tell)
    error = outcome.error
    if isinstance(error, CredentialNeededError) and error.kind and (later or not outcome.run):
        raise error
    for event in held_events:
        emit(event)
    return outcome
