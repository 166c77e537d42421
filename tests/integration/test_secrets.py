"""No password, key or hash in an argv, environment, journal, event, log, report or traceback."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from tests.processes import run_program
from wizard import practice as practice_stack
from wizard.engine import Engine
from wizard.model import Answers, Event
from wizard.practice import PracticeStack
from wizard.redact import Secret
from wizard.workspace import Workspace

CANARY = "kanarienvogel-4711-XyZ"


def _processes() -> str:
    """Yields command line and environment of every readable process."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        for name in ("cmdline", "environ"):
            try:
                found.append((entry / name).read_bytes().decode("utf-8", "replace"))
            except OSError:
                continue
    return "\n".join(found)


def test_secrets_are_found_nowhere(
    practice: PracticeStack, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRESCREEN_CACHE", str(cache))
    engine = Engine(Workspace(Path(practice.folder).parent))
    stack = practice_stack.stack(engine.workspace.root)
    stack = replace(stack, users=(replace(stack.users[0], password="prompt"),))
    seen: list[str] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.is_set():
            seen.append(_processes())

    watching = threading.Thread(target=watch)
    watching.start()
    events: list[Event] = []
    try:
        plan = engine.plan(stack, Answers(passwords={"prometheus": Secret(CANARY)}))
        outcome = engine.apply(plan, events.append)
        assert outcome.error is None
        verified = engine.verify(stack)
        printed = run_program(
            [
                sys.executable,
                "-m",
                "wizard.cli",
                "--workspace",
                str(engine.workspace.root),
                "plan",
                "practice",
            ]
        )
    finally:
        ended.set()
        watching.join()

    web = next((Path(practice.folder) / "srv1" / "etc").rglob("web.yml")).read_text()
    found = re.search(r"\$2[aby]\$\d\d\$(\S{53})", web)
    assert found is not None
    keys = [
        path.read_text().splitlines()[1]
        for path in engine.workspace.root.rglob("*.key")
        if "PRIVATE KEY" in path.read_text()
    ]
    assert len(keys) == 3
    canaries = [CANARY, found.group(1), *keys]

    report = engine.report(outcome.run).read_text()
    runs = engine.workspace.runs
    journals = "\n".join(path.read_text() for path in runs.rglob("journal.jsonl"))
    details = "\n".join(path.read_text() for path in runs.rglob("details.txt"))
    logs = "\n".join(path.read_text(errors="replace") for path in Path(practice.folder).rglob("log"))
    diffs = "\n".join(change.diff() for change in plan.changes)
    commands = "\n".join(command for change in plan.changes for command in change.commands())
    places = {
        "argv and environ": "\n".join(seen),
        "events": repr(events),
        "plan": repr(plan),
        "outcome": repr(outcome) + repr(verified),
        "command output": printed.stdout + printed.stderr,
        "report": report,
        "journal": journals,
        "details": details,
        "logs of the programs": logs,
        "diffs": diffs,
        "commands": commands,
    }
    assert len(places["argv and environ"]) > 1000
    assert len(journals) > 1000
    assert len(details) > 1000
    for place, text in places.items():
        for canary in canaries:
            assert canary not in text, f"a secret stands in the {place}"


def test_a_traceback_contains_no_secret(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from wizard.redact import Secret\n"
        "from wizard.model import Answers, ContentKind, FileState, WriteFile\n"
        "canary = Secret(sys.stdin.read())\n"
        "answers = Answers(passwords={'p': canary}, passphrase=canary)\n"
        "state = FileState(canary.reveal().encode())\n"
        "change = WriteFile(host='h', path='/p', before=None, after=state, why='', secret=True,\n"
        "    content_kind=ContentKind.PASSWORD)\n"
        "raise RuntimeError(repr((answers, change, change.diff())))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], input=CANARY, capture_output=True, text=True, check=False
    )
    assert "RuntimeError" in ended.stderr
    assert CANARY not in ended.stderr
