"""Every unusual Compose project of the corpus is edited in its own style, byte for byte, and only once."""

from __future__ import annotations

import copy
import difflib
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from compose_corpus import Case, cases
from ruamel.yaml import YAML

from wizard.config_files import compose
from wizard.errors import ConfigError

CASES = cases()
GOLDEN = bool(os.environ.get("FIRESCREEN_GOLDEN"))
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def test_the_corpus_is_complete() -> None:
    assert len(CASES) >= 60


@each_case
def test_an_edited_project_equals_the_golden_file(case: Case) -> None:
    before = case.before
    if case.refused:
        with pytest.raises(ConfigError) as refusal:
            case.edited(before)
        assert case.refused in str(refusal.value)
        assert refusal.value.todo
        return
    changed = case.edited(before)
    if GOLDEN:
        for name, content in changed.items():
            path = case.folder / "after" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    assert changed == case.after
    assert case.edited({**before, **changed}) == {}, "a second edit changes nothing"


@each_case
def test_lines_of_the_user_are_unchanged(case: Case) -> None:
    """Comments, blank lines and line ends are kept; only lines that an edit replaces are removed."""
    if case.refused:
        return
    for name, content in case.after.items():
        old, new = (text.splitlines(keepends=True) for text in (case.before[name], content))
        for kind, low, high, _, _ in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
            for line in old[low:high] if kind in ("delete", "replace") else ():
                assert not line.lstrip().startswith(b"#")
                assert line.strip() or high - low > 1
        crlf = case.before[name].count(b"\r\n")
        assert (content.count(b"\r\n") == content.count(b"\n")) == (
            crlf == case.before[name].count(b"\n") > 0
        )


@pytest.mark.parametrize("value", ["/with space", '/it\'s "here"', "/fire$creen#1"])
def test_the_program_gets_the_exact_value(value: str) -> None:
    for case in CASES:
        if case.refused:
            continue
        change = replace(case.wanted, flags={"web.config.file": value})
        before = compose.read(case.files, case.before.get, case.variables)
        changed = compose.edit(before, case.service, change, case.variables)
        after = compose.read(case.files, {**case.before, **changed}.get, case.variables)
        service = after.service(case.service)
        words = [*(service.entrypoint or ()), *(service.command or ())]
        assert words.count(f"--web.config.file={value}") == 1, case.name
        assert compose.edit(after, case.service, change, case.variables) == {}, case.name


@pytest.mark.parametrize("name", ["alias-volumes", "ports-long", "healthcheck-block-list"])
def test_no_file_causes_a_traceback(name: str) -> None:
    """With any other value in place of each value, the edit is made or refused with an error text."""
    (case,) = (case for case in CASES if case.name == name)
    whole = YAML(typ="safe", pure=True).load(case.before["compose.yaml"].decode())
    for path in list(places(whole)):
        for odd in (None, "x", [], ["a"], {}, {"a": "b"}, [{"a": ["b"]}], [[1]]):
            changed = replace_value(whole, path, odd)
            with suppress(ConfigError):
                case.edited({"compose.yaml": json.dumps(changed).encode()})


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    for key, each in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        yield from places(each, (*path, key))


def replace_value(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    changed = copy.copy(value)
    changed[path[0]] = replace_value(value[path[0]], path[1:], new)
    return changed
