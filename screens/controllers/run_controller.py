"""Runs (apply, undo, verification or recovery), one at a time, in one thread of the app.

Cancelling sets an event that the engine reads between two changes; the run has ended when the engine says so, not when
a worker's state does (textual#4889).
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from screens.messages import EventsWaiting, WorkDone
from screens.run_state import RunState, advance, begin, final_rows, stop
from screens.state import ErrorMessage
from wizard.redact import plain, redact

if TYPE_CHECKING:
    from textual.timer import Timer

    from screens.base_app import BaseApp
    from screens.engine_client.client import Emit
    from wizard.engine import Outcome
    from wizard.model import Arrow, Event, Plan

TICK = 0.1
"""Seconds between two redraws, however many events there are."""

SHARE = 0.04
"""Seconds of a tick that handling events may use; the remaining events wait, so that keys are handled in between."""


KEPT = 2000
"""How many events are queued; if there are more, log lines are dropped."""
LINE = 500
"""How many characters of a line are kept."""


class EventQueue:
    """Carries the engine's events from its thread to the screen's, a few at a time, without losing any.

    `emit` is called in the engine's thread and never waits. Log lines wait for the next `take`; every other event
    requests one immediately.

    Args:
        wake: requests that the screen's thread calls `take` soon; must be safe to call from any thread.
    """

    def __init__(self, wake: Callable[[], object]) -> None:
        self._events: deque[Event] = deque()
        self._wake = wake

    def emit(self, event: Event) -> None:
        """Queues an event of the engine; its text is made harmless here, so that drawing it is cheap."""
        if event.text:
            limit = 8000 if event.kind == "waiting" else LINE
            event = replace(event, text=redact(plain(event.text, limit)))
        if event.kind == "log" and len(self._events) >= KEPT:
            return
        self._events.append(event)
        if event.kind != "log":
            self._wake()

    def take(self) -> tuple[Event, ...]:
        """Returns all events since the last call, in order."""
        taken = []
        while self._events:
            taken.append(self._events.popleft())
        return tuple(taken)


class RunController:
    """Starts a run and keeps the app's `run_state` up to date.

    Args:
        app: the app that owns the state.
        when_ended: called after each run with its final state.
    """

    def __init__(self, app: BaseApp, when_ended: Callable[[RunState], None]) -> None:
        self._app, self._when_ended = app, when_ended
        self._feed = EventQueue(lambda: app.post_message(EventsWaiting()))
        self._cancel = threading.Event()
        self._returned = threading.Event()
        self._working = False
        self._timer: Timer | None = None
        self._after: Callable[[], None] | None = None
        self._pending: Callable[[], None] | None = None
        self._drained = 0.0
        self._backlog: deque[Event] = deque()

    @property
    def working(self) -> bool:
        """Returns whether the engine's thread is still running."""
        return self._working

    def start(
        self,
        state: RunState,
        work: Callable[[Emit, threading.Event], Outcome | None],
        *,
        when_shown: bool = False,
    ) -> bool:
        """Starts the work unless another run is under way. `work` gets `emit` and `cancel`, and blocks.

        Args:
            when_shown: start only when `go` is called: keys would wait twice for a screen that is still being built.
        """
        if self._working:
            self._app.notify("A run is in progress. Wait until it ends, or stop it.", severity="warning")
            return False
        self._working = True
        self._cancel = threading.Event()
        self._app.run_state = state
        self._timer = self._app.set_interval(TICK, self.drain_soon)
        self._returned = returned = threading.Event()
        cancel, emit = self._cancel, self._feed.emit

        def do() -> Outcome | None:
            try:
                return work(emit, cancel)
            finally:
                returned.set()

        self._pending = lambda: self._app.ask(do, self._end_run, self._broke)
        if not when_shown:
            self.go()
        return True

    def apply(self, plan: Plan, canary: str, *, later: bool) -> bool:
        """Applies a plan once the run's screen is shown and calls `go`; False if another run is under way.

        Args:
            plan: the plan to apply.
            canary: the host that is changed and verified before the others; '' for none.
            later: whether verification is left for later.
        """
        client = self._app.client
        state = begin("apply", plan.steps, away=plan.facts.away, canary=canary)
        return self.start(
            replace(state, arrows=plan.arrows, plan=plan),
            lambda emit, cancel: client.apply(plan, emit, cancel, canary or "none", later=later),
            when_shown=True,
        )

    def undo(self, run: str) -> bool:
        """Undoes a run; False if another run is under way."""
        client = self._app.client
        return self.start(begin("undo"), lambda emit, cancel: client.undo(run, emit, cancel))

    def recover(self) -> bool:
        """Rolls back interrupted runs; False if another run is under way."""
        client = self._app.client
        return self.start(begin("recover"), lambda emit, _cancel: client.recover(emit))

    def verify(self) -> bool:
        """Runs all probes of the current stack, without changing anything; False if another run is under way."""
        session, before, client = self._app.session, self._app.run_state, self._app.client
        stack, answers = session.stack, session.answers
        if stack is None:
            return False

        def work(emit: Emit, cancel: threading.Event) -> Outcome | None:
            plan = client.engine.plan(stack, answers)
            self._set_connections(plan.arrows)
            return client.engine.complete(plan, client.engine.run_probes(plan, emit, cancel), emit, cancel)

        state = replace(begin("verify"), run=before.run, outcome=before.outcome, plan=before.plan)
        return self.start(state, work)

    def probe_connections(self) -> bool:
        """Runs the probes of the present connections, without changing anything; False if another run is under way."""
        session, before, client = self._app.session, self._app.run_state, self._app.client
        stack, scan, answers = session.stack, session.scan, session.answers
        if stack is None or scan is None:
            return False

        def work(emit: Emit, cancel: threading.Event) -> None:
            plan = client.current_connections(scan, stack, answers)
            self._set_connections(plan.arrows)
            client.engine.run_probes(plan, emit, cancel)

        return self.start(replace(begin("verify"), run=before.run, outcome=before.outcome), work)

    def _set_connections(self, arrows: tuple[Arrow, ...]) -> None:
        """Sets the run's connections; called in its thread once the plan is made."""

        def keep() -> None:
            self._app.run_state = replace(self._app.run_state, arrows=arrows)

        self._app.post_message(WorkDone(keep))

    def go(self) -> None:
        """Starts the work that waited for its screen, if any."""
        pending, self._pending = self._pending, None
        if pending:
            pending()

    def cancel(self) -> None:
        """Asks the engine to stop between two changes and to roll back the changes made."""
        self._cancel.set()
        self._app.run_state = stop(self._app.run_state)

    def abandon(self) -> threading.Event | None:
        """As `cancel`, after the screen is gone; the returned event is set when the engine has finished.

        Returns None if the engine is idle.
        """
        if not self._working or self._pending is not None:
            return None
        self._cancel.set()
        return self._returned

    def cancel_then(self, after: Callable[[], None]) -> None:
        """As `cancel`; calls `after` when the engine has finished."""
        self._after = after
        self.cancel()

    def drain_soon(self) -> None:
        """As `drain`, unless that was done a moment ago: then the next tick does it, and keys come in between."""
        if time.monotonic() - self._drained >= 0.9 * TICK:  # a timer never fires exactly on time
            self.drain()

    def drain(self) -> None:
        """Takes in the events since the last call, as far as time allows, with one redraw for all of them."""
        self._drained = time.monotonic()
        self._backlog.extend(self._feed.take())
        until = self._drained + SHARE
        state = self._app.run_state
        while self._backlog and time.monotonic() < until:
            state = advance(state, self._with_typed_commands(self._backlog.popleft()))
        if state is not self._app.run_state:
            self._app.run_state = state

    def _with_typed_commands(self, event: Event) -> Event:
        """Returns the event with the commands in its error rewritten so that they work where they are typed."""
        if event.error is None:
            return event
        typed = self._app.client.as_typed
        what, text, where, todo = event.error
        return replace(event, error=(what, text, where, typed(todo)))

    def _after_all(self, then: Callable[[], None]) -> None:
        """Calls `then` when all emitted events are taken in."""
        self.drain()
        if self._backlog:
            self._app.set_timer(TICK, lambda: self._after_all(then))
        else:
            then()

    def _end_run(self, outcome: Outcome | None) -> None:
        self._after_all(lambda: self._close(outcome))

    def _close(self, outcome: Outcome | None) -> None:
        typed = self._app.client.as_typed
        if outcome is not None:
            if outcome.error is not None:
                outcome.error.todo = typed(outcome.error.todo)
            outcome = replace(outcome, summary=tuple(typed(line) for line in outcome.summary))
        state = replace(self._app.run_state, phase="finished", outcome=outcome, waiting="")
        if outcome is not None:
            error = ErrorMessage.of(outcome.error) if outcome.error else None
            state = replace(
                state,
                run=outcome.run or state.run,
                result=outcome.state,
                attempts=outcome.attempts or state.attempts,
                hosts=final_rows(state.hosts, outcome.hosts),
                error=error or state.error,
            )
        elif not state.result:
            ok = bool(state.attempts) and not any(attempt.failed for attempt in state.attempts)
            state = replace(state, result="proven" if ok else "failed")
        self._finish(state)

    def _broke(self, error: ErrorMessage) -> None:
        self._after_all(
            lambda: self._finish(
                replace(self._app.run_state, phase="finished", result="failed", error=error, waiting="")
            )
        )

    def _finish(self, state: RunState) -> None:
        self._working = False
        if self._timer:
            self._timer.stop()
        self._app.run_state = state
        self._when_ended(state)
        after, self._after = self._after, None
        if after:
            after()
