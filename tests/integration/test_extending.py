"""The files that CONTRIBUTING names for an exporter, a diagnosis and a lab suffice: toy ones, made of those
files only.

Each question has an answer that the stack file stores. A service manager: test_service_manager.py. The format
of a file: tests/unit/config_files/test_edits.py.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from screens.app import make_app
from tests.processes import run_program
from tests.screens.helpers import until
from tests.unit.planner import plan_cases
from wizard import binaries, components, planner
from wizard import practice as practice_stack
from wizard.engine import Engine
from wizard.inventory import stack_file
from wizard.practice import record
from wizard.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]
EXPORTER = """
from wizard.components.base import Component

COMPONENT = Component(
    name="toy_exporter",
    title="Toy exporter",
    default_port=9099,
    programs=("toy_exporter",),
    units=("toy_exporter",),
    variables=("ARGS",),
    web_flags=(("1.0.0", "web.config.file"),),
    toolkits=(("1.0", "0.5.1"),),
    first_safe_version="1.5.0",
    home="/etc/toy_exporter",
    packages=("toy-exporter",),
    practice_arguments=("--collector.disable-defaults", "--collector.loadavg"),
)
"""
DIAGNOSIS = """
- id: toy-fuel
  where: server
  match: ['toy engine has no (?P<fuel>\\w+)']
  cause: The toy has no {fuel}.
  fix: Fill in {fuel}.
  faults: [toy-tank]
"""
FAULT = """
- id: toy-tank
  cause: The tank is empty.
  fix: Fill it.
  other_end: The other end sees nothing.
  check: Look into the tank.
"""
OTHER = {"number": "11", "text": "other", "names": "other", "password": "a long secret phrase"}
"""An answer other than the default, by the kind of a question; of a choice, the first other one."""


@pytest.fixture
def toy_exporter(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Adds one file to the components; the program is a node_exporter under another name."""
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "toy_exporter.py").write_text(EXPORTER)
    monkeypatch.setattr(components, "__path__", [*components.__path__, str(tmp_path / "more")])
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "toy_exporter").symlink_to(binaries.find("node_exporter", cache=cache).path)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    caches = (components._components, components.all_components, record.host_ports)
    for each in caches:
        each.cache_clear()
    workspace = tmp_path / "workspace"
    yield workspace
    practice_stack.down(workspace, remove=True)
    monkeypatch.undo()
    sys.modules.pop("wizard.components.toy_exporter", None)
    for each in caches:
        each.cache_clear()


async def test_one_file_adds_an_exporter_to_practice_runs_and_home(toy_exporter: Path, cache: Path) -> None:
    practice_stack.up(toy_exporter, cache, components=("toy_exporter",))
    engine = Engine(Workspace(toy_exporter))
    plan = engine.plan(practice_stack.stack(toy_exporter))
    outcome = engine.apply(plan, lambda event: None, threading.Event())
    assert outcome.state == "proven", outcome.error
    probed = {attempt.probe.component for attempt in outcome.attempts if attempt.ok}
    assert "toy_exporter" in probed

    app = make_app(workspace=toy_exporter)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, "Follow a lab")
        await pilot.press("p")
        await until(pilot, "toy_exporter")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Returns a copy of the program with its data, to be extended."""
    for name in ("assets", "screens", "wizard"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def run(copy: Path, cache: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return run_program(
        [sys.executable, "-m", "screens", "--workspace", str(copy / "workspace"), *words],
        cwd=copy,
        env={**os.environ, "FIRESCREEN_CACHE": str(cache), "PYTHONPATH": str(copy)},
        stdin=subprocess.DEVNULL,
        timeout=180,
    )


def test_rows_in_two_tables_add_a_diagnosis(copy: Path, cache: Path) -> None:
    asked = ("explain", 'level=error msg="toy engine has no steam"', "--no-ask", "--json")
    assert run(copy, cache, *asked).returncode == 1
    for name, text in (("diagnoses.yaml", DIAGNOSIS), ("faults.yaml", FAULT)):
        with (copy / "assets" / name).open("a", encoding="utf-8") as file:
            file.write(text)
    ended = run(copy, cache, *asked)
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert found["id"] == "toy-fuel"
    assert found["fix"] in ("Fill it.", "Fill in steam.")


def test_a_folder_adds_a_lab(copy: Path, cache: Path) -> None:
    folder = copy / "assets" / "labs" / "990-toy"
    shutil.copytree(copy / "assets" / "examples" / "lab-pack" / "010-open-key", folder)
    page = folder / "lab.yaml"
    page.write_text(page.read_text(encoding="utf-8").replace("id: open-key", "id: toy"), encoding="utf-8")
    listed = run(copy, cache, "lab", "list")
    assert "toy " in listed.stdout, listed.stderr
    for how in ((), ("--by-hand",)):
        played = run(copy, cache, "lab", "play", "toy", *how)
        assert played.returncode == 0, played.stdout + played.stderr


@pytest.mark.parametrize(
    "name", ["all-password", "all-mutual-tls", "two-users", "key-rsa-4096", "level-none"]
)
def test_every_question_has_an_answer_in_the_stack_file(name: str) -> None:
    case = plan_cases.case(name)
    for question in planner.questions(case.stack, plan_cases.with_requested_files(case.stack, case.facts)):
        others = [value for value, _ in question.choices if value != question.default]
        value = OTHER[question.kind] if question.kind in OTHER else others[0]
        answered = planner.answer(case.stack, question.setting, value)
        written = stack_file.dump(answered)
        assert written != stack_file.dump(case.stack) or question.setting.name == "password", question.key
        kept = stack_file.parse(written, source=answered.source)
        assert kept == answered, question.key
