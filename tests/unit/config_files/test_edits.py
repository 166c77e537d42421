"""Edits of configuration files as golden files: the result is equal byte for byte, and a second edit changes nothing.

A format needs only its module and a folder in tests/unit/data/edits; FIRESCREEN_GOLDEN=1 rewrites `after`.
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from wizard import config_files

EDITS = Path(__file__).parents[1] / "data" / "edits"
TOY = '''
def set_port(text: str, *, port: str) -> str:
    """The file with its one setting changed."""
    lines = [f"port = {port}" if line.startswith("port") else line for line in text.splitlines()]
    return "\\n".join(lines) + "\\n"
'''


def edit(folder: Path, before: bytes) -> bytes:
    """Edits a file with the function that the folder is named after."""
    settings: dict[str, Any] = YAML(typ="safe").load(folder / "edit.yaml")
    module, _, name = settings["function"].rpartition(".")
    function = getattr(importlib.import_module(f"wizard.config_files.{module}"), name)
    content = before.decode() if settings.get("text") else before
    after: str | bytes = function(content, **settings["arguments"])
    return after.encode() if isinstance(after, str) else after


def check(folder: Path) -> None:
    before, after = ((folder / name).read_bytes() for name in ("before", "after"))
    assert edit(folder, before) == after
    assert edit(folder, after) == after, "a second edit changes nothing"
    comments = [line for line in before.splitlines() if line.lstrip().startswith(b"#")]
    assert set(comments) <= set(after.splitlines())


@pytest.mark.parametrize("folder", sorted(EDITS.glob("*/")), ids=lambda folder: folder.name)
def test_an_edit_equals_the_golden_file(folder: Path) -> None:
    if os.environ.get("FIRESCREEN_GOLDEN"):
        (folder / "after").write_bytes(edit(folder, (folder / "before").read_bytes()))
    check(folder)


def test_each_format_has_a_module_and_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "toy_format.py").write_text(TOY)
    monkeypatch.setattr(config_files, "__path__", [*config_files.__path__, str(tmp_path)])
    (tmp_path / "edit.yaml").write_text(
        "{function: toy_format.set_port, text: true, arguments: {port: '9100'}}"
    )
    (tmp_path / "before").write_text("# mine\nport = 1\n")
    (tmp_path / "after").write_text("# mine\nport = 9100\n")
    check(tmp_path)
    (tmp_path / "after").write_text("port = 9100\n")
    with pytest.raises(AssertionError):
        check(tmp_path)
