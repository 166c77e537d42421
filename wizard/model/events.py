"""What happens while a run goes on, and what is remembered of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from wizard.model.proof import Attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """All that a front needs to draw a run.

    kind: 'started', 'change', 'log', 'waiting' (for the person's own hand), 'probe', 'rollback', 'finished'.
    state: for 'change' running, done, failed or undone; for 'probe' waiting (asked again), done or failed; for
    'finished' proven, applied, rolled-back, undone, failed.
    """

    run: str
    kind: Literal["started", "change", "log", "waiting", "probe", "rollback", "finished"]
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

    `state`: applied, proven, undone, rolled-back, cut-off, or ended (its practice stack is gone).
    """

    run: str
    started: float
    state: str
    title: str
    changes: tuple[str, ...]
    folder: str
