"""Exercises on the practice stack: their content is data, and checks test the running programs.

Help comes in three sizes: hints, the answer, and a step done by Firescreen.
"""

from __future__ import annotations

from wizard.labs.catalogue import find, labs
from wizard.labs.checks import CheckResult
from wizard.labs.content import Lab, LabQuestion, LabStep
from wizard.labs.lab_file import load
from wizard.labs.session import LabSession

__all__ = ["CheckResult", "Lab", "LabQuestion", "LabSession", "LabStep", "find", "labs", "load"]
