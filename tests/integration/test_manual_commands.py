"""The manual commands of a plan, run as printed, secure a stack that is then verified."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.processes import run_program
from wizard import binaries
from wizard import practice as practice_stack
from wizard.engine import Engine
from wizard.practice import PracticeStack
from wizard.workspace import Workspace


@pytest.mark.matrix
@pytest.mark.parametrize("issued_by", ["ca", "self-signed"])
@pytest.mark.parametrize("key", ["ec-p256", "rsa-2048", "ed25519"])
def test_the_printed_commands_secure_the_stack(
    practice: PracticeStack,
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    key: str,
    issued_by: str,
) -> None:
    monkeypatch.setenv("FIRESCREEN_CACHE", str(cache))
    engine = Engine(Workspace(Path(practice.folder).parent))
    stack = practice_stack.stack(engine.workspace.root)
    stack = replace(stack, certificates=replace(stack.certificates, issued_by=issued_by, key=key))  # type: ignore[arg-type]
    plan = engine.plan(stack)
    assert plan.changes

    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "firescreen").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m wizard.cli "$@"\n')
    (tools / "firescreen").chmod(0o755)
    htpasswd = Path(binaries.find("htpasswd", cache=cache).path)
    assert shutil.which("patch"), "install the package patch: the commands use it"
    root = str(Path(__file__).parents[2])
    environment = {
        "PATH": f"{tools}:{htpasswd.parent}:{os.environ['PATH']}",
        "FIRESCREEN_WORKSPACE": str(engine.workspace.root),
        "FIRESCREEN_CACHE": str(cache),
        "HOME": str(tmp_path),
        "PYTHONPATH": root,
    }
    for step in plan.steps:
        for change in step.changes:
            for command in change.commands():
                ended = run_program(["sh", "-eu", "-c", command], env=environment)
                assert ended.returncode == 0, f"{command}\n{ended.stderr}"
    attempts = engine.verify(stack)
    assert [
        (attempt.probe.name, attempt.outcome, attempt.reason) for attempt in attempts if not attempt.ok
    ] == []
    # 'Already done' is read from the host: a change made by hand counts as much as ours.
    left = engine.plan(stack)
    assert [change.title() for change in left.changes] == []
