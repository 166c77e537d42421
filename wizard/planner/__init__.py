"""The planner: from facts and answers, it derives the changes and the probes that verify them. No I/O in here."""

from __future__ import annotations

from wizard.planner.answers import answer
from wizard.planner.planner import plan
from wizard.planner.questions import questions
from wizard.planner.required_files import wanted_files, wanted_folders, wanted_names
from wizard.planner.subset import askers, changed_hosts, plan_remaining_hosts, remaining_steps, restrict_plan
from wizard.planner.transfers import transfer_fault

__all__ = [
    "answer",
    "askers",
    "changed_hosts",
    "plan",
    "plan_remaining_hosts",
    "questions",
    "remaining_steps",
    "restrict_plan",
    "transfer_fault",
    "wanted_files",
    "wanted_folders",
    "wanted_names",
]
