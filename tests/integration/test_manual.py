"""Commands in the README and the manual run as printed; the manual names every key of `--json` and every command.

A document is one session: its commands run in order, in one folder and workspace, with a `firescreen.yaml` of
a practice stack. A comment `# exit N` gives the expected exit code; 0 without one.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import click
import pytest

from tests.processes import run_program
from wizard import practice as practice_stack
from wizard.cli import firescreen

pytestmark = pytest.mark.spread
ROOT = Path(__file__).resolve().parents[2]
MANUAL = ROOT / "assets" / "docs"
DOCUMENTS = [ROOT / "README.md", *sorted(MANUAL.glob("*.md"))]
FIRST_READ = {"README", "getting-started", "plain-mode"}
"""What a newcomer types from; the other documents' commands run in make matrix."""
FENCE = re.compile(r"^(?P<indent> *)```sh\n(?P<body>.*?)^ *```$", re.DOTALL | re.MULTILINE)
NOT_RUN = {
    "git clone": "there is no network in tests",
    "make ": "CI runs these, see tests/unit/test_house.py",
    "firescreen serve": "runs until it is stopped: tests/integration/test_serve.py",
    "ansible-playbook": "needs hosts with systemd: tests/hosts/test_export.py",
    "--classroom": "needs real hosts: tests/hosts/test_labs.py",
    "--due": "needs a stack that is secured: tests/integration/test_renewal.py",
    "firescreen drift": "likewise: tests/integration/test_drift.py",
    "firescreen upkeep": "changes this machine: tests/hosts/test_upkeep.py",
    "firescreen lab board": "needs a class: tests/integration/test_class_board.py",
    "firescreen lab join": "needs a board: tests/integration/test_class_board.py",
    "firescreen lab check-pack": "plays the pack twice: tests/integration/test_packs.py",
}
"""A command that holds one of these is not run here, nor is what follows it in its block; and why."""


def commands(text: str) -> Iterator[str]:
    """Returns each command in the shell blocks of a document, continued lines joined."""
    for fence in FENCE.finditer(text):
        for line in fence["body"].replace("\\\n", " ").splitlines():
            if line.strip() and not line.strip().startswith("#"):
                yield line.strip()


def expected(command: str) -> set[int]:
    """Returns the accepted exit codes of a command."""
    comment = re.search(r"# .*?\bexit (\d)", command)
    if comment:
        return {int(comment[1])}
    words = command.partition("#")[0].split()
    return {0, 3} if words[-2:] == [words[0], "scan"] else {0}  # this machine may have components


def runnable(document: Path) -> list[str]:
    """Returns the commands of a document that can run here."""
    blocks = FENCE.finditer(document.read_text(encoding="utf-8"))
    return [
        command
        for block in blocks
        for command in takewhile(lambda line: not any(part in line for part in NOT_RUN), commands(block[0]))
    ]


@pytest.fixture
def folder(tmp_path: Path, cache: Path) -> Iterator[Path]:
    """Returns a folder in which `.venv/bin/firescreen` is ours, with an empty workspace."""
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / "FILE").write_text("the vault's long password")
    yield tmp_path
    practice_stack.down(tmp_path / "workspace", remove=True)


def shell(command: str, folder: Path, cache: Path) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.prefix) / 'bin'}{os.pathsep}{os.environ['PATH']}"
    places = {"FIRESCREEN_WORKSPACE": str(folder / "workspace"), "FIRESCREEN_CACHE": str(cache), "PATH": path}
    return run_program(
        ["bash", "-c", command], cwd=folder, env=os.environ | places, stdin=subprocess.DEVNULL, timeout=180
    )


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(path, marks=() if path.stem in FIRST_READ else pytest.mark.matrix, id=path.stem)
        for path in DOCUMENTS
        if runnable(path)
    ],
)
def test_the_commands_of_a_document_run_as_printed(document: Path, folder: Path, cache: Path) -> None:
    printed = runnable(document)
    story = "\n".join(printed)
    if "firescreen.yaml" in story and "--write firescreen.yaml" not in story:
        practice_stack.up(folder / "workspace", cache)
        assert shell("firescreen scan practice --write firescreen.yaml", folder, cache).returncode == 3
    for command in printed:
        ended = shell(command, folder, cache)
        assert ended.returncode in expected(command), f"{command}\n{ended.stdout}\n{ended.stderr}"


def test_each_exception_is_needed() -> None:
    every = [command for path in DOCUMENTS for command in commands(path.read_text(encoding="utf-8"))]
    assert [part for part in NOT_RUN if not any(part in command for command in every)] == []


def test_the_manual_names_every_key_of_the_json_documents() -> None:
    text = (MANUAL / "json.md").read_text(encoding="utf-8")
    kept = json.loads((ROOT / "tests/integration/data/contract.json").read_text(encoding="utf-8"))
    keys = {
        re.split(r"[.\[]", place.replace("[]", ""))[-1] for each in kept.values() for place in each["shape"]
    }
    assert sorted(key for key in keys if key and not re.search(rf"`\.?{key}(\[\])?`", text)) == []


def help_paths(command: click.Command, path: str) -> Iterator[str]:
    if not isinstance(command, click.Group):
        yield path
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        each = command.get_command(context, name)
        if each is not None and not each.hidden:
            yield from help_paths(each, f"{path} {name}")


def test_the_manual_names_every_command() -> None:
    text = (MANUAL / "commands.md").read_text(encoding="utf-8")
    named = re.sub(r"`[^`]*`", lambda match: match[0].replace("\\|", " ").replace("|", " "), text)
    words = [path.split() for path in help_paths(firescreen, "firescreen")]
    missing = [
        " ".join(path)
        for path in words
        if not re.search(
            rf"`(?:firescreen )?{path[1]} [^`]*\b{path[-1]}\b" if path[2:] else rf"`firescreen {path[1]}\b",
            named,
        )
    ]
    assert missing == []
