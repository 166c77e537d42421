"""The events of a run, and its record in the history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from wizard.model.probes import Attempt

HostState: TypeAlias = Literal["waiting", "working", "changed", "proven", "rolled-back", "away", "stuck"]
"""The state of a host in a run: `waiting` (pending, for the canary); `working` (being changed); `changed` (not verified
yet); `proven` (verified); `rolled-back` (after the host or the whole run failed); `away` (unreachable); `stuck` (failed
and could not be rolled back, so that it needs recovery)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An event of a run, for the screens and the command line.

    kind: 'started', 'change', 'log', 'waiting' (a person has to do something), 'probe', 'rollback', 'host', 'finished'.
    state: for 'change': running, done, failed or undone. For 'probe': waiting (it is repeated), done or failed. For
    'host': a `HostState`, with `error` if it failed. For 'finished': `proven`, `applied`, `changed`, `partly` (some
    hosts failed and were rolled back, the others are verified), `rolled-back`, `undone` or `failed`.
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
    """(title, what, where, todo)"""


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
