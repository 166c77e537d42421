"""Kills an apply and checks the recovery: everything is old, or everything is new and verified; nothing between.

    kill_trials.py WORKSPACE lines             after each line that the journal writes
    kill_trials.py WORKSPACE lines --share 1/4   only the first of every four of them
    kill_trials.py WORKSPACE random COUNT      at COUNT random instants (seed printed; --seed N repeats)

Works on a practice stack that runs in WORKSPACE. Each trial forks a child that applies and dies by SIGKILL,
then recovers and compares every file with its former state. Prints a line per trial and exits with 1 at the
first error.
"""

from __future__ import annotations

import argparse
import os
import random
import select
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.integration.snapshot import Snapshot, differences, snapshot
from tests.integration.unprotected_prometheus import stack_with_unprotected_prometheus
from wizard import practice as practice_stack
from wizard import probes
from wizard.engine import Engine, journal
from wizard.model import Probe
from wizard.workspace import Workspace


class Trial:
    """A practice stack and its state before the trials."""

    def __init__(self, workspace: Path) -> None:
        self.engine = Engine(Workspace(workspace))
        self.stack = stack_with_unprotected_prometheus(workspace)
        self.before: Snapshot = snapshot(workspace)

    def kill(self, arm: Callable[[], None], wait: Callable[[int], None]) -> bool:
        """Forks a child that applies; `arm` runs in it, `wait` in the parent. Returns true if it was killed."""
        child = os.fork()
        if child == 0:
            try:
                arm()
                outcome = self.engine.apply(self.engine.plan(self.stack))
                os._exit(0 if outcome.state == "proven" else 3)
            except BaseException:  # noqa: BLE001 - a forked child must end here, whatever happens
                sys.excepthook(*sys.exc_info())
                os._exit(4)
        wait(child)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            return True
        if os.WEXITSTATUS(status) != 0:
            sys.exit(f"the apply itself failed with {os.WEXITSTATUS(status)}")
        return False

    def settle(self) -> str:
        """Recovers in a child (this process must not start threads), checks, and returns the resulting state."""
        child = os.fork()
        if child == 0:
            try:
                os._exit(self._recover())
            except BaseException:  # noqa: BLE001 - a forked child must end here, whatever happens
                sys.excepthook(*sys.exc_info())
                os._exit(4)
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        if code not in (10, 11):
            sys.exit(f"recovery failed ({code})")
        left = differences(self.before, snapshot(self.engine.workspace.root))
        if left:
            sys.exit(f"not as it was: {left}")
        strays = list(self.engine.workspace.root.rglob(".*firescreen-*"))
        if strays:
            sys.exit(f"stray temporary files: {strays}")
        return "old" if code == 10 else "new, proven, then undone"

    def _recover(self) -> int:
        for outcome in self.engine.recover():
            if outcome.error is not None:
                print(outcome.error, outcome.error.__dict__)
                return 5
        if self.engine.interrupted_run() is not None:
            return 6
        code = 10
        standing = [run for run in self.engine.history() if run.state in ("proven", "applied")]
        if standing:
            attempts = self.engine.verify(self.stack)
            if not all(attempt.ok for attempt in attempts):
                print([(attempt.probe.name, attempt.outcome, attempt.reason) for attempt in attempts])
                return 7
            undone = self.engine.undo()
            if undone.error is not None:
                print(undone.error)
                return 8
            code = 11
        if not self._scraped():
            return 9
        return code

    def _scraped(self) -> bool:
        """Returns whether the exporter serves plain HTTP and Prometheus reports that it scrapes it."""
        hosts = {host.name: host.address for host in self.stack.hosts}
        now = practice_stack.status(self.engine.workspace.root)
        assert now is not None
        place = now.host("srv1").listen
        asked = Probe(
            id="up",
            host="srv1",
            component="node_exporter",
            name="up",
            client="Prometheus",
            expect="up",
            kind="up",
            url=f"http://{now.host('prometheus').listen}",
            instance=place,
            job="node",
            not_before=time.time(),
        )
        attempt = probes.wait(asked, until=time.monotonic() + 20)
        plain = probes.run(
            Probe(
                id="p", host="", component="", name="", client="", expect="200", url=f"http://{place}/metrics"
            )
        )
        if not (attempt.ok and plain.ok):
            print(hosts, attempt.outcome, attempt.reason, plain.outcome, plain.reason)
        return attempt.ok and plain.ok


def after_lines(trial: Trial, *, first: int, every: int) -> int:
    """Runs a trial for each line of this share; ends when the apply finishes before its line is written."""
    for count in range(first, 500, every):

        def arm(last: int = count) -> None:
            written = 0
            real = journal.Journal._append

            def counted(self: journal.Journal, line: Mapping[str, Any], *, durable: bool = True) -> None:
                nonlocal written
                real(self, line, durable=durable)
                written += 1
                if written == last:
                    os.kill(os.getpid(), signal.SIGKILL)

            journal.Journal._append = counted  # type: ignore[method-assign]

        killed = trial.kill(arm, lambda child: None)
        print(f"line {count}: {'killed' if killed else 'finished'}, {trial.settle()}", flush=True)
        if not killed:
            return count
    sys.exit("the journal has no end")


def at_random(trial: Trial, count: int, chance: random.Random) -> int:
    """Runs COUNT trials at instants spread over 1.1 times the duration of an apply."""
    begin = time.monotonic()
    trial.kill(lambda: None, lambda child: None)
    duration = time.monotonic() - begin
    trial.settle()
    print(f"an apply takes {duration:.2f} s", flush=True)
    killed = 0
    for number in range(count):
        instant = chance.uniform(0, duration * 1.1)

        def wait(child: int, seconds: float = instant) -> None:
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                    return
                select.select([], [], [], min(0.002, max(0.0, deadline - time.monotonic())))
            os.kill(child, signal.SIGKILL)

        dead = trial.kill(lambda: None, wait)
        killed += dead
        print(
            f"{number + 1}/{count} at {instant:.3f} s: {'killed' if dead else 'finished'}, {trial.settle()}",
            flush=True,
        )
    return killed


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("kind", choices=["lines", "random"])
    parser.add_argument("count", type=int, nargs="?", default=200)
    parser.add_argument("--share", default="1/1")
    parser.add_argument("--seed", type=int, default=None)
    given = parser.parse_args()
    trial = Trial(given.workspace)
    if given.kind == "lines":
        first, every = (int(part) for part in given.share.split("/"))
        print(f"up to line {after_lines(trial, first=first, every=every)}, each survived")
        return
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(2**31)
    print(f"seed {seed}")
    print(f"{at_random(trial, given.count, random.Random(seed))} kills, each survived")


if __name__ == "__main__":
    main()
