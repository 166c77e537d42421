"""The report of a lab: what was done, how, with how many hints, and what the checks found. No secrets."""

from __future__ import annotations

import os
import time
from pathlib import Path

from wizard.errors import FirescreenError
from wizard.labs.content import Lab
from wizard.labs.state import LabState
from wizard.redact import plain, redact


def write(path: Path, lab: Lab, known: LabState) -> Path:
    """Writes the report as Markdown, 0600, and says where it is.

    Raises:
        FirescreenError: it cannot be written.
    """
    text = redact("\n".join(_lines(lab, known)))
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise FirescreenError(
            f"the report cannot be written: {error.strerror}",
            where=str(path),
            todo="make room, or choose another folder with --workspace",
        ) from error
    return path


def _lines(lab: Lab, known: LabState) -> list[str]:
    done = [step for step in lab.steps if known.step(step.id).done]
    lines = [
        f"# Lab: {plain(lab.title)}",
        "",
        f"- begun: {_when(known.started)}",
        f"- steps done: {len(done)} of {len(lab.steps)}",
        f"- hints taken: {sum(known.step(step.id).hints for step in lab.steps)}",
        "",
        "## Steps",
        "",
    ]
    for number, step in enumerate(lab.steps, start=1):
        now = known.step(step.id)
        how = "not done"
        if now.done:
            how = "done by Firescreen" if now.solved else "done by hand"
            if step.missing:
                how = "not with these programs"
            how += f", {_when(now.done)}"
        if now.hints:
            how += f", {now.hints} {'hint' if now.hints == 1 else 'hints'}"
        lines += [f"{number}. **{plain(step.title)}** ({how})"]
        lines += [f"   - {plain(line)}" for line in now.seen]
    if len(done) == len(lab.steps):
        lines += ["", "## What I can explain now", ""]
        lines += [f"- {plain(question.ask)}" for question in lab.questions]
    return [*lines, ""]


def _when(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(moment))
