"""The engine: discovery, plan, apply, verification, rollback and the journal of runs."""

from __future__ import annotations

from wizard.engine.engine import Engine
from wizard.engine.outcome import Exposure, FoundProxy, HostOutcome, InventoryItem, Outcome, Scan
from wizard.engine.scan import proposed_components
from wizard.engine.unfinished_runs import Difference, Remains

__all__ = [
    "Difference",
    "Engine",
    "Exposure",
    "FoundProxy",
    "HostOutcome",
    "InventoryItem",
    "Outcome",
    "Remains",
    "Scan",
    "proposed_components",
]
