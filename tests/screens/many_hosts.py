"""Many hosts without programs: a plan for them, and an engine that emits the events of a real run."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from tests.screens.helpers import QuietEngine
from wizard.engine import HostOutcome, Outcome, Scan
from wizard.errors import PartialFailureError, ServiceError
from wizard.model import (
    WORKSPACE,
    Answers,
    Attempt,
    Change,
    ComponentSpec,
    ContentKind,
    Event,
    Facts,
    FileState,
    HostFacts,
    HostSpec,
    Plan,
    PlannedStep,
    Probe,
    Role,
    RunService,
    Service,
    Stack,
    StepKind,
    WriteFile,
)

MONITOR = "monitor"
WHY = ServiceError(
    "node_exporter ended at once: cannot open web.yml: permission denied",
    where="node_exporter on srv003",
    todo="look at its log: journalctl -u node_exporter",
    log=("level=error msg='cannot open web.yml'",),
)


def names(count: int) -> tuple[str, ...]:
    """Returns the names of `count` hosts, the one with the Prometheus last."""
    return (*(f"srv{number:03}" for number in range(1, count)), MONITOR)


def stack_of(count: int) -> Stack:
    """Returns a stack with a node_exporter on each host, and a Prometheus on the last one."""
    return Stack(
        hosts=tuple(HostSpec(name=name, connect="ssh") for name in names(count)),
        components=tuple(
            ComponentSpec(
                host=name,
                name="prometheus" if name == MONITOR else "node_exporter",
                protect=("tls",),
            )
            for name in names(count)
        ),
    )


def plan(count: int, *, away: tuple[str, ...] = ()) -> Plan:
    """Returns a plan with five changes per host in three steps; Prometheus' configuration changes before the
    restarts.
    """
    reachable = [name for name in names(count) if name not in away]
    steps = [
        PlannedStep(
            id="ca",
            kind=StepKind.CA,
            title="Make a CA",
            host=WORKSPACE,
            why="",
            changes=(_file(WORKSPACE, "ca"),),
        )
    ]
    for name in reachable:
        made = tuple(_file(name, part) for part in ("key", "crt", "web.yml", "flags"))
        steps.append(_step(StepKind.WEB_CONFIG, name, "Write its files", *made))
    steps.append(
        PlannedStep(
            id="job:monitor",
            kind=StepKind.SCRAPE_CONFIG,
            title="Ask by https",
            host=MONITOR,
            why="",
            changes=(_file(MONITOR, "prometheus.yml"),),
            role=Role.CLIENT,
            component="prometheus",
            stage=1,
        )
    )
    for name in reachable:
        restart = RunService(host=name, service=_service(name), action="restart", why="")
        steps.append(_step(StepKind.RESTART, name, "Restart it", restart, stage=2))
    facts = {
        name: HostFacts(spec=HostSpec(name=name, connect="ssh"), root=True, services=(_service(name),))
        for name in reachable
    }
    return Plan(
        stack=stack_of(count),
        facts=Facts(facts, away=dict.fromkeys(away, "it did not answer within ten seconds")),
        steps=tuple(steps),
        probes=tuple(_probe(name) for name in reachable),
    )


def _step(kind: StepKind, host: str, title: str, *changes: Change, stage: int = 0) -> PlannedStep:
    return PlannedStep(
        id=f"{kind}:{host}",
        kind=kind,
        title=title,
        host=host,
        why="",
        changes=changes,
        role=Role.SERVER,
        component="node_exporter",
        stage=stage,
    )


def _file(host: str, part: str) -> WriteFile:
    return WriteFile(
        host=host,
        path=f"/etc/{part}",
        before=None,
        after=FileState(b"x\n"),
        why="",
        content_kind=ContentKind.WEB_CONFIG,
    )


def _service(host: str) -> Service:
    return Service(
        host=host, component="node_exporter", manager="process", unit="node_exporter", listen="127.0.0.1:1"
    )


def _probe(host: str) -> Probe:
    return Probe(
        id=f"{host}/no-TLS",
        host=host,
        component="node_exporter",
        name="without TLS it is rejected",
        client="no TLS",
        expect="400",
        url="http://127.0.0.1:1/",
    )


@dataclass(frozen=True)
class Script:
    """What happens in a run: which hosts fail, in which way, and where the run pauses until the test's gate opens."""

    failing: tuple[str, ...] = ()
    stuck: tuple[str, ...] = ()
    pause_at: str = ""
    """The host before whose restart the run waits for the gate."""
    pace: float = 0.0
    """Seconds that each host takes for its files, or its restart: events without pauses are unlike a real run."""


class ManyEngine(QuietEngine):
    """Plans for many hosts and emits the events of their run as `engine.rollout` does."""

    def __init__(self, count: int, script: Script = Script(), *, away: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.count, self.script, self.away = count, script, away
        self.begin = threading.Event()
        self.begin.set()
        self.canaries: list[str] = []
        self.planned = 0

    def scan(self, stack: Stack | None = None, **_: object) -> Scan:
        """Returns all hosts."""
        made = plan(self.count)
        return Scan(stack=stack or made.stack, facts=made.facts, exposures=(), findings=())

    def plan(self, wanted: Stack, answers: Answers | None = None, **_: object) -> Plan:
        """Returns the plan of this module."""
        self.planned += 1
        return replace(plan(self.count, away=self.away), stack=wanted)

    def apply(  # type: ignore[override]
        self,
        made: Plan,
        emit: Callable[[Event], None],
        cancel: threading.Event,
        *,
        canary: str = "",
        verify_later: bool = False,
    ) -> Outcome:
        """Emits the events of the canary, then those of all other hosts stage by stage, then the verification's."""
        self.canaries.append(canary)
        self.begin.wait(60)
        events = EventEmitter(made, emit)
        emit(Event(run="7", kind="started", total=events.total))
        first = "" if canary == "none" else canary
        hosts = [name for name in names(self.count) if name not in self.away]
        for name in hosts:
            events.host(name, "waiting" if first and name != first else "working")
        if first:
            events.steps(lambda step: step.host in (first, WORKSPACE))
            events.probe(first)
            events.host(first, "proven")
        others = [name for name in hosts if name != first]
        for name in others:
            events.host(name, "working")
        for name in (WORKSPACE, *others):
            events.steps(lambda step, name=name: step.host == name and step.stage < 2)  # type: ignore[misc]
            time.sleep(self.script.pace)
        for name in others:
            if name == self.script.pause_at:
                while not self.gate.wait(0.02) and not cancel.is_set():
                    pass
            has_failed = name in self.script.failing or name in self.script.stuck
            events.steps(lambda step, name=name: step.host == name and step.stage == 2, fail=has_failed)  # type: ignore[misc]
            time.sleep(self.script.pace)
            if not has_failed:
                events.host(name, "changed")
        failed_hosts = (*self.script.failing, *self.script.stuck)
        for name in failed_hosts:
            emit(Event(run="7", kind="rollback", host=name, state="undone", text="put back /etc/web.yml"))
            events.host(name, "stuck" if name in self.script.stuck else "rolled-back", error=True)
        proven = [name for name in others if name not in failed_hosts]
        for name in proven:
            events.probe(name)
        for name in proven:
            events.host(name, "proven")
        partly = bool(failed_hosts or self.away)
        error = PartialFailureError(
            f"{len(failed_hosts)} of {len(hosts)} hosts: {WHY.what}",
            where=", ".join(failed_hosts),
            todo="mend that",
        )
        emit(
            Event(
                run="7",
                kind="finished",
                state="partly" if partly else "proven",
                error=(error.title, error.what, error.where, error.todo) if partly else None,
            )
        )
        states = {name: events.state[name] for name in hosts} | dict.fromkeys(self.away, "away")
        return Outcome(
            run="7",
            state="partly" if partly else "proven",
            attempts=tuple(events.attempts),
            error=error if partly else None,
            summary=("Your CA is at /ca.crt.",),
            hosts=tuple(
                HostOutcome(host=name, state=state, error=WHY if name in failed_hosts else None)  # type: ignore[arg-type]
                for name, state in states.items()
            ),
        )


class EventEmitter:
    """Emits the events of a run as the engine does."""

    def __init__(self, made: Plan, emit: Callable[[Event], None]) -> None:
        self._plan, self._emit = made, emit
        self.total = len(made.changes)
        self.state: dict[str, str] = {}
        self.attempts: list[Attempt] = []
        self._done = 0

    def host(self, name: str, state: str, *, error: bool = False) -> None:
        """Emits the state of a host."""
        self.state[name] = state
        parts = (WHY.title, WHY.what, WHY.where, WHY.todo) if error else None
        self._emit(Event(run="7", kind="host", host=name, state=state, error=parts))

    def steps(self, which: Callable[[PlannedStep], bool], *, fail: bool = False) -> None:
        """Emits the changes of the steps that `which` selects."""
        for step in filter(which, self._plan.steps):
            for change in step.changes:
                for state in ("running", "failed" if fail else "done"):
                    self._done += state == "done"
                    self._emit(
                        Event(
                            run="7",
                            kind="change",
                            host=change.host,
                            step=step.id,
                            state=state,
                            done=self._done,
                            total=self.total,
                            text=change.title(),
                        )
                    )

    def probe(self, name: str) -> None:
        """Emits the one probe of a host."""
        attempt = Attempt(probe=_probe(name), ok=True, outcome="400")
        self.attempts.append(attempt)
        self._emit(
            Event(run="7", kind="probe", host=name, step=attempt.probe.id, state="done", attempt=attempt)
        )
