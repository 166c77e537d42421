"""One person's way through one lab: what is done, hints taken, steps checked, done for them, or all put back.

It works on the practice stack of a workspace alone. What it does for the student is what the lab shows: the very
commands, or the plan of the engine that secures real hosts.
"""

from __future__ import annotations

import re
import shlex
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from wizard import assets, practice
from wizard.account import account
from wizard.engine import Engine, Outcome
from wizard.engine.hosts import Hosts
from wizard.engine.outcome import silent
from wizard.errors import FirescreenError, InputError
from wizard.labs import (
    checks,
    fixtures,
    shell,
    state,
)
from wizard.labs import (
    report as reporting,
)
from wizard.labs import (
    reset as resetting,
)
from wizard.labs.checks import CheckResult, prometheus
from wizard.labs.classroom import Classroom
from wizard.labs.content import Lab, LabStep, find, labs
from wizard.labs.inspection import Look
from wizard.model import (
    CertificateSpec,
    Event,
    Plan,
    PlannedStep,
    Protection,
    Role,
    RunService,
    Stack,
    StepKind,
)
from wizard.redact import plain, redact
from wizard.service_managers.registry import manager_of
from wizard.workspace import Workspace

Emit = Callable[[Event], None]

PATIENCE = 15.0
"""Seconds for what takes its time: Prometheus carries a new scheme over to its targets within ten."""


class InHandError(InputError):
    """Beginning a lab would end what somebody has in hand on the practice stack."""

    title = "Another lab is in hand"


def _quiet(_: str) -> None:
    """For who does not want to hear how far it is."""


def in_the_way(workspace: Workspace, lab_id: str) -> str:
    """What beginning or going on with a lab would put an end to, as a sentence; '' for nothing."""
    lab, root = find(lab_id, workspace.packs), workspace.practice
    held, known = _holder(workspace), practice.load(root)
    if known is None or held == lab.id:
        return ""
    mine = state.load(workspace.labs / f"{lab.id}.json")
    if mine is not None and mine.complete(lab):
        return ""
    if held:
        other = find(held, workspace.packs)
        theirs = state.load(workspace.labs / f"{held}.json")
        done = len(theirs.done) if theirs else 0
        if theirs is None or not done or theirs.complete(other):
            return ""
        return (
            f"the practice stack is in the lab '{other.title}', with {done} of {len(other.steps)} steps done"
        )
    if resetting.is_pristine(root):
        return ""
    return "something was set up on the practice stack"


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
        self._path = self._state_file()
        self.lab = lab
        """The lab with the addresses and folders of its hosts filled in."""
        self._fill()
        kept = state.load(self._path)
        if kept is not None and not kept.complete(lab) and self._gone(kept):
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
        suite: str = "",
        anew: bool = False,
        classroom: Classroom | None = None,
    ) -> LabSession:
        """Brings the practice stack into the lab's beginning, or goes on where the person was.

        Args:
            engine: of the workspace.
            lab_id: '' for the first lab.
            progress: told in a few words what is being done (programs are fetched, perhaps).
            tools: whether to get ready what the printed commands need (htpasswd, a `firescreen` on PATH).
            suite: programs of another suite of the distribution.
            anew: whether what somebody has in hand on the practice stack may be ended.
            classroom: real hosts to do it on in place of the practice stack.

        Raises:
            InputError: there is no such lab. InHandError: see `anew`. ProgramsError: the programs can be neither
            found nor fetched. ServiceError: one of them does not come up.
        """
        lab, say = find(lab_id, engine.workspace.packs), progress or _quiet
        if classroom is not None:
            from wizard.labs.real_hosts import HostSession

            return HostSession.begun(engine, lab, classroom, say, anew=anew)
        workspace = engine.workspace.ensure()
        words = "" if anew else in_the_way(workspace, lab.id)
        if words:
            raise InHandError(
                f"{words}; this lab would begin on a fresh one",
                todo=f"finish that first, or give it up: firescreen lab start {lab.id} --anew",
            )
        begun = _settle(engine, lab, say, suite=suite)
        if tools:
            shell.prepare(workspace, say)
        session = cls(engine, lab)
        if begun and lab.begin:
            session._await_word(session.lab.steps[0])
        return session

    # -- what is known -------------------------------------------------------------------------------------

    @property
    def stack(self) -> Stack:
        """The practice stack as the lab knows it."""
        return self._stack(("tls", "basic_auth"))

    @property
    def done(self) -> frozenset[str]:
        """Ids of the steps that were found done; they stay so until a reset."""
        with self._lock:
            return self._state.done

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
    def patience(self) -> float:
        """Seconds that a check has to wait for what takes its time by nature."""
        return PATIENCE

    @property
    def where(self) -> str:
        """On which hosts it is done, for a person."""
        return "the practice stack"

    @property
    def on_real_hosts(self) -> bool:
        """Whether it is done on real hosts."""
        return False

    def terminal(self, place: str) -> str:
        """Where the commands for a place of a step are typed, for a person."""
        return f"another terminal, for {place}"

    @property
    def shell_file(self) -> Path:
        """What a terminal sources so that the printed commands find their programs."""
        return shell.shell_file(self._engine.workspace)

    def answer(self, step_id: str) -> tuple[str, ...]:
        """The commands that give a step's solution away: none before its last hint was taken."""
        step = self.lab.step(step_id)
        with self._lock:
            return step.answer if self._state.step(step_id).hints >= len(step.hints) else ()

    def has_begun(self, step_id: str) -> bool:
        """Whether a step's fault is in; True for a step that has none."""
        with self._lock:
            return not self.lab.step(step_id).fault or bool(self._state.step(step_id).begun)

    # -- doing ---------------------------------------------------------------------------------------------

    def begin(self, step_id: str) -> None:
        """Puts a step's fault in, on the stack as the lab began; nothing for a step without one.

        Raises:
            FirescreenError: there is no such step, or a file cannot be written.
        """
        step = self.lab.step(step_id)
        if not step.fault:
            return
        with self._lock:
            resetting.put_back(self._engine.workspace.practice, self._copy, everything=False)
            fixtures.place(
                step.fault,
                self._engine.workspace,
                self._values,
                strict=False,
                foreign=self._raw.foreign,
            )
            self._keep(self._state.with_step(step_id, begun=time.time(), done=0.0, solved=False, seen=()))
        self._await_word(step)

    def _await_word(self, step: LabStep) -> None:
        """Prometheus asks a new target within seconds: until then it has nothing to say about it."""
        with self._look() as look:
            prometheus.await_word(step.checks, look, PATIENCE)

    def check(self, step_id: str, *, patience: float = 0.0) -> CheckResult:
        """Looks whether a step is done, and remembers if it is.

        Args:
            patience: seconds to wait for what takes its time by nature, such as a scrape.

        Raises:
            FirescreenError: there is no such step, or the practice stack cannot be looked at.
        """
        step = self.lab.step(step_id)
        if not self.has_begun(step_id):
            return CheckResult(
                False,
                "the fault is not in yet",
                f"Put it in: key 'b' on the screen, or firescreen lab start {self.lab.id} {step_id}",
            )
        if step.missing:
            result = CheckResult(True, step.missing, "", (step.missing,))
        else:
            with self._look() as look:
                # A Prometheus that asks once a minute has its time.
                result = checks.run(step.checks, look, patience=patience and max(patience, self.patience))
        with self._lock:
            self._read_again()
            self._remember(step, result)
        return result

    def _remember(self, step: LabStep, result: CheckResult) -> None:
        now = time.time()
        new = self._state.with_check(step.id, held=result.ok, said=redact(result.what), now=now)
        if result.ok and not self._state.step(step.id).done:
            new = new.with_step(step.id, done=now, seen=result.seen)
        if new is not self._state:
            self._keep(new)

    @property
    def answers(self) -> tuple[str, ...]:
        """What was answered to each question of the lab; '' for nothing yet."""
        with self._lock:
            self._read_again()
            return tuple(self._state.answers.get(question.ask, "") for question in self._raw.questions)

    def respond(self, number: int, text: str) -> None:
        """Keeps an answer to a question, for the report.

        Args:
            number: from 0.
            text: '' takes an answer back.

        Raises:
            FirescreenError: it cannot be kept.
        """
        with self._lock:
            self._read_again()
            self._keep(self._state.with_answer(self._raw.questions[number].ask, text))

    def hint(self, step_id: str) -> str:
        """The next hint of a step; the last one again when there are no more."""
        step = self.lab.step(step_id)
        with self._lock:
            self._read_again()
            used = min(self._state.step(step_id).hints + 1, len(step.hints))
            self._keep(self._state.with_step(step_id, hints=used))
        return step.hints[used - 1]

    def solve(self, step_id: str, emit: Emit = silent, cancel: threading.Event | None = None) -> Outcome:
        """Does a step, and first whatever of the earlier ones is missing. Never raises for what it met.

        It may take some ten seconds: an earlier step is done only when Prometheus says so.

        Raises:
            FirescreenError: there is no such step, or the practice stack cannot be looked at or planned for.
        """
        wanted = self.lab.step(step_id)
        for step in self.lab.steps:
            last = step is wanted
            if last or (not wanted.fault and not step.missing and not self.check(step.id).ok):
                outcome = self._solve(step, emit if last else inner(emit), cancel)
                if last or not outcome.ok:
                    return outcome
                self.check(step.id, patience=PATIENCE)
        raise AssertionError(step_id)

    def _solve(self, step: LabStep, emit: Emit, cancel: threading.Event | None) -> Outcome:
        if step.missing:
            return Outcome(run="", state="nothing", summary=(step.missing,))
        if not self.has_begun(step.id):
            self.begin(step.id)
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
        whole = self._engine.plan(self._stack(step.solve.protect))
        plan = whole.only(step.solve.steps)
        if not self.check(step.id).ok:
            plan = _with_turns(plan, step.solve.steps)
        return self._engine.apply(plan, emit, cancel)

    def _by_typing(self, step: LabStep, emit: Emit) -> Outcome:
        """Types the very commands that the step shows."""
        for typed in self.type(step.id):
            text = f"$ {typed.command}"
            emit(Event(run="", kind="change", state="done", host=step.host, step=step.id, text=text))
            if typed.code:
                last = " ".join(typed.output.splitlines()[-1:]) or f"it ended with {typed.code}"
                return Outcome(
                    run="",
                    state="failed",
                    error=FirescreenError(
                        f"the command '{typed.command.splitlines()[0]}' did not work: {last}",
                        where=step.host,
                        todo="Your files may differ from what the lab expects here. Mend what it names, or put the "
                        "lab back to its beginning (reset) and have the steps done again.",
                    ),
                )
        return Outcome(run="", state="applied")

    def type(self, step_id: str) -> Iterator[shell.Typed]:
        """Types the commands of a step as they are shown, on the hosts that they are for; yields each.

        Raises:
            FirescreenError: there is no such step, or the commands do not end.
        """
        if not shell.is_ready(self._engine.workspace):
            shell.prepare(self._engine.workspace, _quiet)
        yield from shell.run(self.lab.step(step_id), self._engine.workspace)

    def reset(self, emit: Emit = silent) -> None:
        """Puts the practice stack back to the beginning of the lab; all steps count as not done.

        Raises:
            FirescreenError: a program of the practice stack does not end, or does not come up again.
        """

        def say(text: str) -> None:
            emit(Event(run="", kind="log", text=text))

        with self._lock:
            known = self._state
        root = self._engine.workspace.practice
        mine = resetting.holder(root) == self.lab.id and self._copy.is_dir()
        if mine and resetting.undo_runs(self._engine, known.runs, inner(emit)):
            resetting.put_back(root, self._copy, everything=True)
        else:
            say("making the practice stack anew")
            self._path.unlink(missing_ok=True)
            resetting.forget(root)
            _settle(self._engine, self._raw, say)
        self._fill()
        with self._lock:
            self._keep(replace(self._fresh(), answers=known.answers))

    def report(self) -> Path:
        """A report of what was done, to keep or to hand in, in Markdown; beside it the same in HTML.

        It holds no secret. Returns the path of the Markdown.

        Raises:
            FirescreenError: it cannot be written.
        """
        workspace = self._engine.workspace
        written = reporting.gather(workspace, (self.lab,), states=self._path.parent)
        path = workspace.reports / f"lab-{self.lab.id}.md"
        reporting.save(path.with_suffix(".html"), reporting.page(written))
        return reporting.save(path, reporting.markdown(written))

    # -- inside --------------------------------------------------------------------------------------------

    def _state_file(self) -> Path:
        return self._engine.workspace.labs / f"{self._raw.id}.json"

    def _look(self) -> Look:
        workspace, stack = self._engine.workspace, self.stack
        return Look(Hosts(workspace, stack.hosts), stack, notes=str(workspace.practice / "notes"))

    @property
    def _copy(self) -> Path:
        return _copy_of(self._engine.workspace, self._raw)

    @property
    def _values(self) -> Mapping[str, str]:
        return values(self._engine.workspace)

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
        known = practice.load(self._engine.workspace.practice)
        versions = {f"{host.name}/{host.component}": host.version for host in known.hosts} if known else {}
        filled = self._raw.filled(self._values)
        self.lab = replace(filled, steps=tuple(fitted(step, versions) for step in filled.steps))

    def _fresh(self) -> state.LabState:
        return state.LabState(
            started=time.time(), beginning=resetting.beginning(self._engine.workspace.practice)
        )

    def _gone(self, known: state.LabState) -> bool:
        """Whether what was done is no longer there: the stack was made anew, or the runs were undone."""
        root = self._engine.workspace.practice
        if resetting.holder(root) not in ("", self._raw.id):
            return True
        return bool(known.done) and resetting.beginning(root) == known.beginning

    def _read_again(self) -> None:
        """What another terminal has kept meanwhile (a step, a hint, an answer) is not to be lost."""
        found = state.load(self._path)
        if found is not None and found.started == self._state.started:
            self._state = found

    def _keep(self, new: state.LabState) -> None:
        self._state = new
        state.save(self._path, new)


def values(workspace: Workspace) -> Mapping[str, str]:
    """What the placeholders of a lab stand for on the practice stack of a workspace."""
    known = practice.load(workspace.practice)
    assert known is not None
    found = {
        "lab.promtool": "promtool",
        "lab.notes": str(workspace.practice / "notes"),
        "lab.examples": str(assets.path("examples")),
    }
    asks = next((host.folder for host in known.hosts if host.component == "prometheus"), "")
    for host in known.hosts:
        unit = f"{host.name}/{host.component}" if host.name in practice.MORE else host.component
        home = f"{host.folder}/etc/{host.component}"
        found |= {
            f"{host.name}.address": host.address,
            f"{host.name}.port": str(host.port),
            f"{host.name}.listen": host.listen,
            f"{host.name}.home": home,
            f"{host.name}.from": home,
            f"{host.name}.flags": f"{host.service_folder}/arguments",
            f"{host.name}.addflag": f'echo "$flag" >> {shlex.quote(f"{host.service_folder}/arguments")}',
            f"{host.name}.log": f"{host.service_folder}/log",
            f"{host.name}.group": account()[1],
            f"{host.name}.targets": f"{asks}/etc/prometheus/targets.d/node.yml",
            f"{host.name}.asked": host.address,
            f"{host.name}.san": f"IP:{host.address},DNS:{host.name}",
            f"{host.name}.job": "node" if host.component == "node_exporter" else host.component,
            f"{host.name}.version": host.version,
            f"{host.name}.restart": f"firescreen practice restart {unit}",
            f"{host.name}.reload": f"firescreen practice reload {unit}",
        }
    return found


def _copy_of(workspace: Workspace, lab: Lab) -> Path:
    return workspace.labs / f"{lab.id}.beginning"


def _holder(workspace: Workspace) -> str:
    """The id of the lab that the practice stack is in; '' for none, or for one that is no longer there."""
    held = resetting.holder(workspace.practice)
    return held if held and any(lab.id == held for lab in labs(workspace.packs)) else ""


def _settle(engine: Engine, lab: Lab, say: Callable[[str], None], *, suite: str = "") -> bool:
    """Brings the practice stack to where the lab is, or begins; what it is in otherwise is ended.

    Returns:
        Whether the lab begins with this.
    """
    workspace, root = engine.workspace, engine.workspace.practice
    known, held = state.load(workspace.labs / f"{lab.id}.json"), _holder(workspace)
    before = practice.load(root)
    if before is not None and (held == lab.id or (known is not None and known.complete(lab))):
        practice.up(workspace.root, workspace.cache, suite=suite, progress=say)
        return False
    former = state.load(workspace.labs / f"{held}.json") if held and held == lab.follows else None
    follows = former is not None and former.complete(find(held, workspace.packs))
    plainly = not (lab.begin or lab.components or lab.hosts) and (
        before is None or (not held and resetting.is_pristine(root))
    )
    if follows or plainly:
        practice.up(workspace.root, workspace.cache, suite=suite, progress=say)
        if follows:
            say(f"This lab goes on where '{find(held, workspace.packs).title}' ended")
    else:
        resetting.make_anew(engine, say, suite=suite, components=lab.components, hosts=lab.hosts)
        if lab.begins:
            say(lab.begins)
        fixtures.place(lab.begin, workspace, values(workspace), strict=True, foreign=lab.foreign)
    resetting.hold(root, lab.id)
    resetting.keep(root, _copy_of(workspace, lab))
    (workspace.labs / f"{lab.id}.json").unlink(missing_ok=True)
    return True


def fitted(step: LabStep, versions: Mapping[str, str]) -> LabStep:
    """A step that these programs are too old for says so, and has nothing to type."""
    if step.needs is None:
        return step
    have = versions.get(step.needs.of, "")
    if _number(have) >= _number(step.needs.version):
        return step
    component = step.needs.of.partition("/")[2]
    missing = f"{component} {have} is too old for this step: it needs {step.needs.version} or newer"
    text = f"*{missing}. Read it and go on: there is nothing to do.*\n\n{step.text}"
    return replace(step, missing=missing, text=text, commands=(), answer=())


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


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
                kind=StepKind(kind),
                role=Role.SERVER if kind == StepKind.RESTART else Role.CLIENT,
                component=service.component,
                instance=service.instance,
                title=f"{action.capitalize()} {service.unit}",
                host=host,
                why="So that it reads what its files say by now.",
                changes=(
                    RunService(
                        host=host,
                        service=service,
                        action="restart" if kind == "switch" else "reload",
                        why="It takes effect with this.",
                        by_hand=manager_of(service).manual_commands(
                            service, action, workspace=plan.facts.workspace_option
                        ),
                    ),
                ),
            )
        )
    return replace(plan, steps=tuple(steps))


def inner(emit: Emit) -> Emit:
    """Passes on all but the beginning and the end: the run that is watched is another."""

    def tell(event: Event) -> None:
        if event.kind not in ("started", "finished"):
            emit(replace(event, text=plain(event.text)))

    return tell
