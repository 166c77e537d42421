"""Which labs were finished, and how fast. Kept apart from the progress of a lab, which is reset with the lab."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from wizard import ownfiles
from wizard.errors import FirescreenError
from wizard.labs import state
from wizard.labs.content import Lab
from wizard.plurals import count_noun

_NAME = "finished"
_LONGEST = 24 * 3600.0
"""Seconds after which the time says more about pauses than about the lab."""


@dataclass(frozen=True, slots=True)
class Finished:
    """When a lab was last finished (unix time), and the seconds since its beginning."""

    at: float
    seconds: float


def load(folder: Path) -> dict[str, Finished]:
    """Returns the finished labs by id; none if the file is missing or unreadable.

    Args:
        folder: where the progress of labs is stored.
    """
    try:
        found = json.loads((folder / _NAME).read_text(encoding="utf-8"))
        return {
            str(name): Finished(float(entry["at"]), float(entry["seconds"])) for name, entry in found.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def mark(folder: Path, lab_id: str, *, seconds: float) -> None:
    """Records that a lab is finished now.

    Raises:
        FirescreenError: the file cannot be written.
    """
    finished = {**load(folder), lab_id: Finished(time.time(), seconds)}
    try:
        ownfiles.replace(folder / _NAME, json.dumps({name: asdict(one) for name, one in finished.items()}))
    except OSError as error:
        raise FirescreenError(
            f"it cannot be saved that the lab is finished: {error.strerror}",
            where=str(folder / _NAME),
            todo="Free some space, or choose another folder with --workspace",
        ) from error


@dataclass(frozen=True, slots=True)
class Mark:
    """The progress of a lab, for a list of labs."""

    sign: str
    """A check mark for a finished lab, a triangle for one in progress, otherwise a space."""
    text: str
    """Steps and time, e.g. '2 of 4 steps done'."""


def marks(folder: Path, labs: tuple[Lab, ...]) -> dict[str, Mark]:
    """Returns the progress of each lab by its id.

    Args:
        folder: where the progress of labs is stored.
        labs: all labs.
    """
    ended = load(folder)
    return {lab.id: _mark(lab, state.load(folder / f"{lab.id}.json"), ended.get(lab.id)) for lab in labs}


def _mark(lab: Lab, lab_state: state.LabState | None, ended: Finished | None) -> Mark:
    all_steps = count_noun(len(lab.steps), "step")
    done = len(lab_state.done) if lab_state is not None else 0
    if 0 < done < len(lab.steps):
        return Mark("✓" if ended else "▸", f"{done} of {all_steps} done")
    if not ended and not done:
        return Mark(" ", f"{all_steps}, about {lab.minutes} min")
    took = f" in {max(round(ended.seconds / 60), 1)} min" if ended and ended.seconds < _LONGEST else ""
    return Mark("✓", f"{all_steps} done{took}")
