"""Facts and answers in, changes and probes out: what has to be done and what proves it. No I/O in here."""

from __future__ import annotations

from wizard.steps.asking import answer, questions
from wizard.steps.layout import wanted_files, wanted_folders
from wizard.steps.planning import plan

__all__ = ["answer", "plan", "questions", "wanted_files", "wanted_folders"]
