"""The engine: discovery, plan, apply, verification, rollback and the journal of runs."""

from __future__ import annotations

from wizard.engine.engine import Engine
from wizard.engine.outcome import Exposure, Holding, HostOutcome, Outcome, Scan
from wizard.engine.scan import proposed
from wizard.engine.unfinished_runs import Difference, Remains

__all__ = [
    "Difference",
    "Engine",
    "Exposure",
    "Holding",
    "HostOutcome",
    "Outcome",
    "Remains",
    "Scan",
    "proposed",
]
