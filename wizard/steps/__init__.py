"""Facts and answers in, changes and probes out: what has to be done and what proves it. No I/O in here."""

from __future__ import annotations

from wizard.steps.answering import answer
from wizard.steps.asking import questions
from wizard.steps.copies import arrived
from wizard.steps.parting import askers, changed_hosts, following, narrowed, remaining
from wizard.steps.planning import plan
from wizard.steps.wanted import wanted_files, wanted_folders, wanted_names

__all__ = [
    "answer",
    "arrived",
    "askers",
    "changed_hosts",
    "following",
    "narrowed",
    "plan",
    "questions",
    "remaining",
    "wanted_files",
    "wanted_folders",
    "wanted_names",
]
