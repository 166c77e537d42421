"""What happens while a run goes on, and what is remembered of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from wizard.model.probes import Attempt

HostState: TypeAlias = Literal["waiting", "working", "changed", "proven", "rolled-back", "away", "stuck"]
"""How far a host is: pending (it waits for the canary); being changed; changed and not verified yet; verified; rolled
back after it or the run failed; unreachable; failed and unreachable, so that it needs recovery."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """All that a front needs to draw a run.

    kind: 'started', 'change', 'log', 'waiting' (for what a person has to do), 'probe', 'rollback', 'host', 'finished'.
    state: for 'change' running, done, failed or undone; for 'probe' waiting (asked again), done or failed; for
    'host' a `HostState`, with `error` where it failed; for 'finished' `proven`, `applied`, `changed`, `partly` (some
    hosts failed and were rolled back, the others are verified), `rolled-back`, `undone`, `failed`.
    """

    run: str
    kind: Literal["started", "change", "log", "waiting", "probe", "rollback", "host", "finished"]
    host: str = ""
    step: str = ""
    state: str = ""
    done: int = 0
    total: int = 0
    text: str = ""
    attempt: Attempt | None = None
    error: tuple[str, str, str, str] | None = None
    """title, what, where, todo"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One run as the history shows it.

    `state`: `applied`, `changed` (not verified yet), `proven`, `partly` (some hosts were rolled back), `undone`,
    `rolled-back`, `cut-off` (interrupted), `owed` (an unreachable host needs recovery; `changes` are those on it), or
    `ended` (its practice stack is gone).
    """

    run: str
    started: float
    state: str
    title: str
    changes: tuple[str, ...]
    folder: str
