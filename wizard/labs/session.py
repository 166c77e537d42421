"""One person's work on one lab: finished steps, hints, checks, steps done by Firescreen, reset.

Firescreen does a step as the lab shows it: with the same commands, or with the plan of the engine that secures real
hosts. The hosts are those of a `LabEnvironment`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from wizard.engine import Engine, Outcome
from wizard.engine.outcome import silent
from wizard.errors import FirescreenError
from wizard.labs import checks, finished_labs, shell, state
from wizard.labs import report as reporting
from wizard.labs.catalogue import find
from wizard.labs.checks import CheckResult, prometheus
from wizard.labs.classroom import Classroom
from wizard.labs.compose_environment import ComposeEnvironment
from wizard.labs.content import Lab, LabStep
from wizard.labs.environment import PATIENCE, Emit, LabEnvironment, LabInProgressError, Say, inner_events
from wizard.labs.practice_environment import PracticeEnvironment
from wizard.labs.real_hosts import RealHosts
from wizard.labs.step_plan import with_restarts
from wizard.model import Event, Stack
from wizard.redact import redact


def environment_for(engine: Engine, classroom: Classroom | None, lab: Lab) -> LabEnvironment:
    """Returns the hosts of a classroom, a lab's containers, or the practice stack of the engine's workspace."""
    if classroom is not None:
        return RealHosts(engine, classroom)
    return ComposeEnvironment(engine) if lab.docker else PracticeEnvironment(engine)


class LabSession:
    """A lab on the hosts of an environment. All methods block; see `open`.

    Args:
        engine: whose workspace stores the progress.
        lab: as loaded, without values for its placeholders.
        environment: running hosts; the practice stack by default.
    """

    def __init__(self, engine: Engine, lab: Lab, environment: LabEnvironment | None = None) -> None:
        self._engine = engine
        self._raw = lab
        self._environment = environment or environment_for(engine, None, lab)
        self._lock = threading.RLock()
        self._path = self._environment.state_file(lab)
        self.lab = self._environment.fill(lab)
        """The lab with the addresses and folders of its hosts filled in."""
        kept = state.load(self._path)
        if kept is not None and not kept.complete(lab) and self._environment.is_stale(lab, kept):
            kept = None
        self._state = kept or self._environment.new_state()
        if kept is None:
            self._keep(self._state)

    @classmethod
    def open(
        cls,
        engine: Engine,
        lab_id: str = "",
        *,
        progress: Say | None = None,
        tools: bool = True,
        suite: str = "",
        anew: bool = False,
        classroom: Classroom | None = None,
    ) -> LabSession:
        """Brings the hosts to the lab's beginning, or resumes the person's progress.

        Args:
            engine: of the workspace.
            lab_id: '' for the first lab.
            progress: gets short lines of progress (programs are downloaded, perhaps).
            tools: whether to install what the printed commands need (htpasswd, a `firescreen` on PATH).
            suite: programs of another suite of the distribution.
            anew: whether what was begun on these hosts may be ended.
            classroom: real hosts instead of the practice stack.

        Raises:
            InputError: there is no such lab, or it cannot be done on these hosts. LabInProgressError: see `anew`.
            ProgramUnavailableError: programs are neither installed nor can they be downloaded. ServiceError: one of
                them does not start. CredentialNeededError, HostError: see `Engine.reach`.
        """
        lab = find(lab_id, engine.workspace.packs)
        engine.workspace.ensure()
        environment = environment_for(engine, classroom, lab)
        environment.require(lab)
        conflict = "" if anew else environment.conflict(lab)
        if conflict:
            raise LabInProgressError(
                f"{conflict}; to begin this lab would discard that",
                todo=f"Finish that first, or discard it: firescreen lab start {lab.id} --anew",
            )
        begins = environment.prepare(lab, progress or (lambda _: None), tools=tools, suite=suite)
        environment.go_on()
        session = cls(engine, lab, environment)
        if begins and lab.begin:
            session._await_scrape(session.lab.steps[0])
        return session

    # -- state ---------------------------------------------------------------------------------------------

    @property
    def stack(self) -> Stack:
        """Returns the hosts of the lab as a stack."""
        return self._environment.stack(self._raw, ("tls", "basic_auth"))

    @property
    def done(self) -> frozenset[str]:
        """Returns the ids of the finished steps; they stay finished until a reset."""
        with self._lock:
            return self._state.done

    @property
    def current(self) -> LabStep | None:
        """Returns the first unfinished step; None at the end."""
        done = self.done
        return next((step for step in self.lab.steps if step.id not in done), None)

    @property
    def where(self) -> str:
        """Returns the hosts on which the lab is done, for a person."""
        return self._environment.title

    @property
    def on_real_hosts(self) -> bool:
        """Returns whether it is done on real hosts."""
        return self._environment.has_real_hosts

    def terminal(self, place: str) -> str:
        """Returns where a person types the commands for a place of a step."""
        return self._environment.terminal(place)

    @property
    def shell_file(self) -> Path:
        """Returns the file that a terminal sources so that the printed commands find their programs."""
        return shell.shell_file(self._engine.workspace)

    def answer(self, step_id: str) -> tuple[str, ...]:
        """Returns the commands that solve a step: none before its last hint was shown."""
        step = self.lab.step(step_id)
        with self._lock:
            return step.answer if self._state.step(step_id).hints >= len(step.hints) else ()

    def has_begun(self, step_id: str) -> bool:
        """Returns whether the fault of a step is placed; True for a step without one."""
        with self._lock:
            return not self.lab.step(step_id).fault or bool(self._state.step(step_id).begun)

    # -- actions -------------------------------------------------------------------------------------------

    def begin(self, step_id: str) -> None:
        """Places the fault of a step, on the stack as the lab began; does nothing for a step without one.

        Raises:
            FirescreenError: there is no such step, or a file cannot be written.
        """
        step = self.lab.step(step_id)
        if not step.fault:
            return
        with self._lock:
            self._environment.place_fault(self._raw, step)
            new = self._state.with_step(step_id, begun=time.time(), done=0.0, solved=False, seen=())
            for other in self.lab.steps:  # their faults are gone: the stack was repaired first
                if other.fault and other is not step and other.id not in new.done:
                    new = new.with_step(other.id, begun=0.0)
            self._keep(replace(new, placed=self._environment.fingerprints()))
        self._await_scrape(step)

    def _await_scrape(self, step: LabStep) -> None:
        """Waits for the first scrape of a new target, which comes within seconds."""
        with self._environment.look(self._raw) as look:
            prometheus.await_scrape(step.checks, look, PATIENCE)

    def check(self, step_id: str, *, patience: float = 0.0, by_student: bool = False) -> CheckResult:
        """Checks whether a step is done, and stores the result.

        Args:
            step_id: of the step.
            patience: seconds to wait for slow effects, such as a scrape.
            by_student: whether the student requested the check; such checks are counted until the step is done.

        Raises:
            FirescreenError: there is no such step, or a host cannot be inspected.
        """
        step = self.lab.step(step_id)
        if not self.has_begun(step_id):
            return CheckResult(
                False,
                "the fault is not placed yet",
                f"Press key 'b' on the screen, or run: firescreen lab start {self.lab.id} {step_id}",
            )
        if step.missing:
            result = CheckResult(True, step.missing, "", (step.missing,))
        else:
            with self._environment.look(self._raw) as look:
                # Some Prometheus servers scrape only once a minute.
                result = checks.run(
                    step.checks, look, patience=patience and max(patience, self._environment.check_patience)
                )
        with self._lock:
            self._read_again()
            self._remember(step, result, by_student=by_student)
        return replace(result, found=step.found) if result.ok else result

    def _remember(self, step: LabStep, result: CheckResult, *, by_student: bool) -> None:
        now = time.time()
        new = self._state.with_check(
            step.id, passed=result.ok, message=redact(result.what), now=now, by_student=by_student
        )
        if result.ok and not self._state.step(step.id).done:
            new = new.with_step(step.id, done=now, seen=result.seen)
        if new is not self._state:
            if new.complete(self.lab) and not self._state.complete(self.lab):
                finished_labs.mark(self._path.parent, self.lab.id, seconds=now - new.started)
            self._keep(new)

    @property
    def answers(self) -> tuple[str, ...]:
        """Returns the answer to each question of the lab; '' for none yet."""
        with self._lock:
            self._read_again()
            return tuple(self._state.answers.get(question.ask, "") for question in self._raw.questions)

    def respond(self, number: int, text: str) -> None:
        """Stores an answer to a question, for the report.

        Args:
            number: from 0.
            text: '' deletes the answer.

        Raises:
            FirescreenError: it cannot be stored.
        """
        with self._lock:
            self._read_again()
            self._keep(self._state.with_answer(self._raw.questions[number].ask, text))

    def hint(self, step_id: str) -> str:
        """Returns the next hint of a step; the last one again when there are no more."""
        step = self.lab.step(step_id)
        if step_id in self.done:
            return "This step is done: it needs no hint."
        with self._lock:
            self._read_again()
            used = min(self._state.step(step_id).hints + 1, len(step.hints))
            self._keep(self._state.with_step(step_id, hints=used))
        return step.hints[used - 1]

    def solve(self, step_id: str, emit: Emit = silent, cancel: threading.Event | None = None) -> Outcome:
        """Does a step, after the earlier unfinished steps. Failures on hosts are in the outcome.

        Needs about ten seconds if an earlier step is checked by a scrape.

        Raises:
            FirescreenError: there is no such step, or a host cannot be inspected or planned for.
        """
        wanted = self.lab.step(step_id)
        for step in self.lab.steps:
            last = step is wanted
            if last or (not wanted.fault and not step.missing and not self.check(step.id).ok):
                outcome = self._solve(step, emit if last else inner_events(emit), cancel)
                if last or not outcome.ok:
                    return outcome
                self.check(step.id, patience=PATIENCE)
        raise AssertionError(step_id)

    def jump(self, step_id: str, emit: Emit = silent, cancel: threading.Event | None = None) -> Outcome:
        """Does the steps before a step, so that it can be begun. Failures on hosts are in the outcome.

        Raises:
            FirescreenError: see `solve`.
        """
        wanted = self.lab.step(step_id)
        before = self.lab.steps[: self.lab.steps.index(wanted)]
        if wanted.fault or not before or {step.id for step in before} <= self.done:
            return Outcome(run="", state="nothing")
        outcome = self.solve(before[-1].id, emit, cancel)
        if outcome.ok:
            self.check(before[-1].id, patience=PATIENCE)
        return outcome

    def _solve(self, step: LabStep, emit: Emit, cancel: threading.Event | None) -> Outcome:
        if step.missing:
            return Outcome(run="", state="nothing", summary=(step.missing,))
        if step.fault and (
            not self.has_begun(step.id) or self._environment.fingerprints() != self._state.placed
        ):
            self.begin(step.id)  # again after other attempts: the commands repair this fault only
        outcome = self._by_plan(step, emit, cancel) if step.solve else self._by_typing(step, emit)
        with self._lock:
            if outcome.ok:
                self._state = self._state.with_step(step.id, solved=True)
            if outcome.ok and outcome.run:
                self._state = replace(self._state, runs=(*self._state.runs, outcome.run))
            self._keep(self._state)
        return outcome

    def _by_plan(self, step: LabStep, emit: Emit, cancel: threading.Event | None) -> Outcome:
        assert step.solve is not None
        full_plan = self._engine.plan(self._environment.stack(self._raw, step.solve.protect))
        plan = full_plan.only(step.solve.steps)
        if not self.check(step.id).ok:
            plan = with_restarts(plan, step.solve.steps)
        return self._engine.apply(plan, emit, cancel)

    def _by_typing(self, step: LabStep, emit: Emit) -> Outcome:
        """Runs the commands that the step shows."""
        for typed in self.type(step.id):
            text = f"$ {typed.command}"
            emit(Event(run="", kind="change", state="done", host=step.host, step=step.id, text=text))
            if typed.code:
                last = " ".join(typed.output.splitlines()[-1:]) or f"it ended with {typed.code}"
                return Outcome(
                    run="",
                    state="failed",
                    error=FirescreenError(
                        f"the command '{typed.command.splitlines()[0]}' failed: {last}",
                        where=step.host,
                        todo="Correct what the message names: your files may differ from what the lab expects. Or reset the lab: "
                        "firescreen lab reset",
                    ),
                )
        return Outcome(run="", state="applied")

    def type(self, step_id: str) -> Iterator[shell.Typed]:
        """Runs the commands of a step as printed, each on its host; yields each.

        Raises:
            FirescreenError: there is no such step, or the commands do not end.
        """
        yield from self._environment.type_commands(self.lab.step(step_id))

    def reset(self, emit: Emit = silent) -> None:
        """Restores the hosts to the beginning of the lab; all steps count as unfinished.

        Raises:
            FirescreenError: a host cannot be reached or written, or a service does not start again.
        """
        with self._lock:
            former_state = self._state
        self._environment.reset(self._raw, former_state, emit)
        self.lab = self._environment.fill(self._raw)
        with self._lock:
            self._keep(replace(self._environment.new_state(), answers=former_state.answers))

    def report(self) -> Path:
        """Writes a report of the lab, to keep or to hand in, in Markdown, and beside it the same in HTML.

        It contains no secret. Returns the path of the Markdown.

        Raises:
            FirescreenError: it cannot be written.
        """
        workspace = self._engine.workspace
        written = reporting.gather(workspace, (self.lab,), states=self._path.parent)
        path = workspace.reports / f"lab-{self.lab.id}.md"
        reporting.save(path.with_suffix(".html"), reporting.page(written))
        return reporting.save(path, reporting.markdown(written))

    # -- inside --------------------------------------------------------------------------------------------

    def _read_again(self) -> None:
        """Reads what another terminal has stored meanwhile: a step, a hint, an answer."""
        found = state.load(self._path)
        if found is not None and found.started == self._state.started:
            self._state = found

    def _keep(self, new: state.LabState) -> None:
        self._state = new
        state.save(self._path, new)
