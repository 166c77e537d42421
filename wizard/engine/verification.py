"""Verifies a stack: runs its probes in parallel, and waits until Prometheus has scraped the targets again."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from urllib.parse import urlsplit

from wizard import probes
from wizard.model import Attempt, Event, Probe

Emit = Callable[[Event], None]

_AT_ONCE = 2
"""Each wrong password costs the server a bcrypt comparison: more probes at once would only queue there, and if the
server is on this machine, they would take the processor from the thread that draws the screen."""
_SECOND_THOUGHT = 5.0
"""Seconds within which a failed probe is repeated: one that asks a server about another one, as its answer may be
outdated, and the first one of a server that has just been changed and did not answer in time."""
MOST = 32
"""Maximum number of machines whose servers are probed at once."""
MOST_BESIDE_A_SCREEN = 16
"""The same if a screen is drawn too: a redraw has to wait for its turn among that many threads."""


def run_probes(
    wanted: Sequence[Probe],
    *,
    run: str,
    emit: Emit,
    cancel: threading.Event,
    since: float = 0.0,
    most: int = MOST,
    dial: probes.Dial | None = None,
    excuse: Callable[[Attempt], str] = lambda attempt: "",
    beside: int = 0,
) -> tuple[Attempt, ...]:
    """Runs probes and returns their attempts in the given order; emits an event for each when it is done.

    Args:
        since: unix time; only scrapes after it count for the state of a target.
        most: maximum number of machines that are probed at once.
        dial: opens connections through another host.
        excuse: returns why a failed attempt does not count; '' if it counts.
        beside: number of probes that the caller runs afterwards; included in the total of the events.
    """
    if not wanted:
        return ()
    verification = _Verification(len(wanted) + beside, run, emit, cancel, since, dial, excuse)
    # Probes that wait for Prometheus' next scrape must not delay the probes of the servers themselves.
    waiting = [probe for probe in wanted if probe.kind == "up"]
    others = [probe for probe in wanted if probe.kind != "up"]
    places = {_address(probe) for probe in others}
    lanes = min(max(len(places), _AT_ONCE), most)
    with (
        ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix="probe-up") as patient,
        ThreadPoolExecutor(max_workers=lanes, thread_name_prefix="probe") as pool,
    ):
        futures = {id(probe): pool.submit(verification.attempt, probe) for probe in _in_turn(others)}
        futures |= {id(probe): patient.submit(verification.attempt, probe) for probe in waiting}
        return tuple(futures[id(probe)].result() for probe in wanted)


class _Verification:
    """Runs probes from several threads, and emits an event for each result."""

    def __init__(
        self,
        total: int,
        run: str,
        emit: Emit,
        cancel: threading.Event,
        since: float,
        dial: probes.Dial | None,
        excuse: Callable[[Attempt], str],
    ) -> None:
        self._total, self._run, self._emit = total, run, emit
        self._cancel, self._since, self._dial, self._excuse = cancel, since, dial, excuse
        self._trusts = probes.Trusts()
        self._lock = threading.Lock()
        self._finished = 0
        self._slow: set[str] = set()
        """The addresses of servers that did not answer a probe in time."""

    def attempt(self, probe: Probe) -> Attempt:
        """Runs one probe, repeatedly if necessary until its result is final."""
        if probe.kind == "up":
            fresh = replace(probe, not_before=self._since)
            attempt = self._wait(fresh, probe.timeout, settled=self._is_settled)
            attempt = replace(attempt, excused=self._excuse(attempt))
        else:
            attempt = probes.run(probe, cancel=self._cancel, trusts=self._trusts, dial=self._dial)
            if not attempt.ok and (probe.holds or self._is_first_timeout(attempt)):
                attempt = self._wait(probe, _SECOND_THOUGHT)
        with self._lock:
            self._finished += 1
            done = self._finished
        self._tell(attempt, "failed" if attempt.failed else "done", done)
        return attempt

    def _is_first_timeout(self, attempt: Attempt) -> bool:
        """Whether a server that was changed just now did not answer in time, for the first time.

        Its first answer may take longer on a busy host. A server that hangs is waited for once.
        """
        if not self._since or attempt.reason != probes.TIMEOUT:
            return False
        address = _address(attempt.probe)
        with self._lock:
            is_first = address not in self._slow
            self._slow.add(address)
        return is_first

    def _is_settled(self, look: Attempt) -> bool:
        """Whether a failure is final without waiting for the next scrape.

        It is if the failure is excused. It also is if nothing was changed before and the failure is not a target that
        is down: for example, a Prometheus that answers by plain http, or not at all, will stay like that.
        """
        return bool(self._excuse(look)) or (not self._since and look.outcome != "down")

    def _wait(
        self, probe: Probe, seconds: float, *, settled: Callable[[Attempt], bool] | None = None
    ) -> Attempt:
        return probes.wait(
            probe,
            until=time.monotonic() + seconds,
            cancel=self._cancel,
            meanwhile=lambda look: self._tell(look, "waiting", self._finished),
            dial=self._dial,
            settled=settled,
        )

    def _tell(self, attempt: Attempt, state: str, done: int) -> None:
        self._emit(
            Event(
                run=self._run,
                kind="probe",
                host=attempt.probe.host,
                step=attempt.probe.id,
                state=state,
                done=done,
                total=self._total,
                text=attempt.probe.name,
                attempt=attempt,
            )
        )


def _address(probe: Probe) -> str:
    """The address of the machine that is probed."""
    if probe.forward is not None:
        return f"{probe.forward.host.name} {probe.forward.place}"
    return probe.resolve.split(":", 2)[-1] or urlsplit(probe.url).hostname or ""


def _in_turn(wanted: Sequence[Probe]) -> list[Probe]:
    """Interleaves the probes: the first of each host, then the second of each, and so on, so that no host has a queue."""
    seen: Counter[str] = Counter()
    turns: list[tuple[int, Probe]] = []
    for probe in sorted(wanted, key=_haste):
        turns.append((seen[probe.host], probe))
        seen[probe.host] += 1
    return [probe for _, probe in sorted(turns, key=lambda turn: turn[0])]


def _haste(probe: Probe) -> int:
    """Sort key for the probes of one host, cheapest last.

    A password costs the server a bcrypt comparison, one at a time, and a correct one also the page.
    """
    if probe.password is None or probe.expect == "untrusted":
        return 2
    return 0 if probe.expect == "200" else 1
