"""Facts and answers in, changes and probes out: what has to change and what verifies it. No I/O in here."""

from __future__ import annotations

from wizard.planner.answers import answer
from wizard.planner.planner import plan
from wizard.planner.questions import questions
from wizard.planner.required_files import wanted_files, wanted_folders, wanted_names
from wizard.planner.subset import askers, changed_hosts, following, narrowed, remaining
from wizard.planner.transfers import arrived

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
