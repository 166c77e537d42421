"""One person's way through one lab: what is done, hints taken, steps checked, done for them, or all put back.

It works on the practice stack of a workspace alone. Whatever a step's own text says, doing it for the student
goes through the very engine that secures real hosts.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from wizard import practice
from wizard.engine import Engine, Outcome
from wizard.engine.outcome import silent
from wizard.labs import checks, hand, reporting, resetting, state
from wizard.labs.checks import CheckResult
from wizard.labs.content import Lab, LabStep, find
from wizard.labs.look import Look
from wizard.model import CertificateSpec, Event, Plan, PlannedStep, Protection, RunService, Stack
from wizard.redact import plain
from wizard.steps import words

Emit = Callable[[Event], None]

PATIENCE = 15.0
"""Seconds for what takes its time: Prometheus carries a new scheme over to its targets within ten."""


def _quiet(_: str) -> None:
    """For who does not want to hear how far it is."""


class LabSession:
    """A lab on the practice stack of `engine.workspace`. All methods block; see `open`.

    Args:
        engine: whose workspace has a practice stack that is up.
        lab: as loaded, its placeholders still open.
    """

    def __init__(self, engine: Engine, lab: Lab) -> None:
        self._engine = engine
        self._raw = lab
        self._lock = threading.RLock()
        self._path = engine.workspace.labs / f"{lab.id}.json"
        self.lab = lab
        """The lab with this practice stack's addresses and folders filled in."""
        self._fill()
        kept = state.load(self._path)
        if kept is not None and self._gone(kept):
            kept = None
        self._state = kept or self._fresh()
        if kept is None:
            self._keep(self._state)

    @classmethod
    def open(
        cls,
        engine: Engine,
        lab_id: str = "",
        *,
        progress: Callable[[str], None] | None = None,
        tools: bool = True,
    ) -> LabSession:
        """Brings the practice stack up if it is down, and goes on where the person was.

        Args:
            engine: of the workspace.
            lab_id: '' for the first lab.
            progress: told in a few words what is being done (programs are fetched, perhaps).
            tools: whether to get ready what the printed commands need (htpasswd, a `firescreen` on PATH).

        Raises:
            InputError: there is no such lab. ProgramsError: the programs can be neither found nor fetched.
            ServiceError: one of them does not come up.
        """
        lab = find(lab_id)
        engine.practice(progress)
        if tools:
            hand.prepare(engine.workspace, progress or _quiet)
        return cls(engine, lab)

    # -- what is known -------------------------------------------------------------------------------------

    @property
    def stack(self) -> Stack:
        """What the lab leads to, as a stack."""
        return self._stack(("tls", "basic_auth"))

    @property
    def done(self) -> frozenset[str]:
        """Ids of the steps that were found done; they stay so until a reset."""
        with self._lock:
            return frozenset(name for name, step in self._state.steps.items() if step.done)

    @property
    def hints_used(self) -> Mapping[str, int]:
        """How many hints were taken, by step."""
        with self._lock:
            return {name: step.hints for name, step in self._state.steps.items() if step.hints}

    @property
    def current(self) -> LabStep | None:
        """The first step that is not done; None at the end."""
        done = self.done
        return next((step for step in self.lab.steps if step.id not in done), None)

    @property
    def shell_file(self) -> Path:
        """What a terminal sources so that the printed commands find their programs."""
        return hand.shell_file(self._engine.workspace)

    # -- doing ---------------------------------------------------------------------------------------------

    def check(self, step_id: str, *, patience: float = 0.0) -> CheckResult:
        """Looks whether a step is done, and remembers if it is.

        Args:
            patience: seconds to wait for what takes its time by nature, such as a scrape.

        Raises:
            FirescreenError: there is no such step, or the practice stack cannot be looked at.
        """
        step = self.lab.step(step_id)
        with Look(self._engine.workspace, self.stack) as look:
            result = checks.run(step.checks, look, patience=patience)
        if result.ok:
            with self._lock:
                self._remember(step, result)
        return result

    def _remember(self, step: LabStep, result: CheckResult) -> None:
        new = self._state
        for earlier in self.lab.steps[: self.lab.steps.index(step)]:
            # What there was only to look at is over, and can never be seen again.
            if earlier.solve is None and not new.step(earlier.id).done:
                new = new.with_step(earlier.id, done=time.time())
        if not new.step(step.id).done:
            new = new.with_step(step.id, done=time.time(), seen=result.seen)
        if new is not self._state:
            self._keep(new)

    def hint(self, step_id: str) -> str:
        """The next hint of a step; the last one again when there are no more."""
        step = self.lab.step(step_id)
        with self._lock:
            used = min(self._state.step(step_id).hints + 1, len(step.hints))
            self._keep(self._state.with_step(step_id, hints=used))
        return step.hints[used - 1]

    def solve(self, step_id: str, emit: Emit = silent, cancel: threading.Event | None = None) -> Outcome:
        """Does a step, and first whatever of the earlier ones is missing. Never raises for what the engine met.

        It may take some ten seconds: an earlier step is done only when Prometheus says so.

        Raises:
            FirescreenError: there is no such step, or the practice stack cannot be looked at or planned for.
        """
        wanted = self.lab.step(step_id)
        for step in self.lab.steps:
            last = step is wanted
            if step.solve is not None and (last or not self.check(step.id).ok):
                outcome = self._solve(step, emit if last else _inner(emit), cancel)
                if last or not outcome.ok:
                    return outcome
                self.check(step.id, patience=PATIENCE)
            if last:
                break
        return Outcome(run="", state="nothing", summary=("There is nothing to do in this step but to look.",))

    def _solve(self, step: LabStep, emit: Emit, cancel: threading.Event | None) -> Outcome:
        assert step.solve is not None
        whole = self._engine.plan(self._stack(step.solve.protect))
        plan = whole.only(step.solve.steps)
        if not self.check(step.id).ok:
            plan = _with_turns(plan, step.solve.steps)
        outcome = self._engine.apply(plan, emit, cancel)
        with self._lock:
            if outcome.ok:
                self._state = self._state.with_step(step.id, solved=True)
            if outcome.ok and outcome.run:
                self._state = replace(self._state, runs=(*self._state.runs, outcome.run))
            self._keep(self._state)
        return outcome

    def reset(self, emit: Emit = silent) -> None:
        """Puts the practice stack back to the beginning of the lab; all steps count as not done.

        Raises:
            FirescreenError: a program of the practice stack does not end, or does not come up again.
        """

        def say(text: str) -> None:
            emit(Event(run="", kind="log", text=text))

        with self._lock:
            known = self._state
        undone = resetting.undo_runs(self._engine, known.runs, _inner(emit))
        if not undone or not self._as_at_the_beginning(known):
            say("making the practice stack anew")
            resetting.make_anew(self._engine, say)
        self._fill()
        with self._lock:
            self._keep(self._fresh())

    def _as_at_the_beginning(self, known: state.LabState) -> bool:
        """Whether files and programs are what the lab began with, so that nothing has to be made anew."""
        if not known.beginning or resetting.beginning(self._engine.workspace.practice) != known.beginning:
            return False
        of = next(step.checks[0].of for step in self.lab.steps)
        with Look(self._engine.workspace, self.stack) as look:
            loaded, written = look.loaded_job(of), look.written_job(of)
            same = loaded is not None and written is not None and loaded.scheme == written.scheme
            return same and self._open_still(look)

    def _open_still(self, look: Look) -> bool:
        """Whether what the first step finds on the wire is so; Prometheus' own word may come later."""
        first = tuple(check for check in self.lab.steps[0].checks if check.kind != "prometheus")
        return checks.run(first, look).ok

    def report(self) -> Path:
        """A Markdown report of what was done, to keep or to hand in; it holds no secret.

        Raises:
            FirescreenError: it cannot be written.
        """
        with self._lock:
            known = self._state
        return reporting.write(self._engine.workspace.reports / f"lab-{self.lab.id}.md", self.lab, known)

    # -- inside --------------------------------------------------------------------------------------------

    def _stack(self, protect: tuple[Protection, ...]) -> Stack:
        wanted = practice.stack(self._engine.workspace.root)
        return replace(
            wanted,
            components=tuple(
                replace(component, protect=protect if component.protect else ())
                for component in wanted.components
            ),
            certificates=CertificateSpec(issued_by=cast(Any, self._raw.certificates)),
        )

    def _fill(self) -> None:
        known = practice.status(self._engine.workspace.root)
        assert known is not None
        values = {"lab.shell": str(self.shell_file)}
        for host in known.hosts:
            values |= {
                f"{host.name}.address": host.address,
                f"{host.name}.listen": host.listen,
                f"{host.name}.folder": host.folder,
                f"{host.name}.home": f"{host.folder}/etc/{host.component}",
                f"{host.name}.arguments": f"{host.service_folder}/arguments",
            }
        self.lab = self._raw.filled(values)

    def _fresh(self) -> state.LabState:
        with Look(self._engine.workspace, self.stack) as look:
            untouched = self._open_still(look)
        found = resetting.beginning(self._engine.workspace.practice) if untouched else {}
        return state.LabState(started=time.time(), beginning=found)

    def _gone(self, known: state.LabState) -> bool:
        """Whether what was done is no longer there: the stack was made anew, or the runs were undone."""
        worked = any(step.solve is not None and known.step(step.id).done for step in self.lab.steps)
        return worked and resetting.beginning(self._engine.workspace.practice) == known.beginning

    def _keep(self, new: state.LabState) -> None:
        self._state = new
        state.save(self._path, new)


def _with_turns(plan: Plan, wanted: tuple[str, ...]) -> Plan:
    """The plan with the restarts and reloads that the step names, where the engine sees no need.

    A file that already says the right thing, but was not read yet, looks finished to a plan.
    """
    steps = list(plan.steps)
    for name in wanted:
        kind, _, place = name.partition(":")
        if kind not in ("switch", "reload") or any(step.id == name for step in steps):
            continue
        host, _, component = place.partition("/")
        known = plan.facts.hosts.get(host)
        service = known.service(component or "prometheus") if known else None
        if service is None:
            continue
        action = "restart" if kind == "switch" else "reload"
        steps.append(
            PlannedStep(
                id=name,
                title=f"{action.capitalize()} {service.unit}",
                host=host,
                why="So that it reads what its files say by now.",
                changes=(
                    RunService(
                        host=host,
                        service=service,
                        action="restart" if kind == "switch" else "reload",
                        why="It takes effect with this.",
                        by_hand=(words.practice(service, action, workspace=plan.facts.workspace_option),),
                    ),
                ),
            )
        )
    return replace(plan, steps=tuple(steps))


def _inner(emit: Emit) -> Emit:
    """Passes on all but the beginning and the end: the run that is watched is another."""

    def tell(event: Event) -> None:
        if event.kind not in ("started", "finished"):
            emit(replace(event, text=plain(event.text)))

    return tell
