"""Every awkward compose project of the corpus is edited in its own hand, to the byte, and once."""

from __future__ import annotations

import difflib
import os

import pytest
from compose_corpus import Case, cases

from wizard.errors import ConfigError

CASES = cases()
GOLDEN = bool(os.environ.get("FIRESCREEN_GOLDEN"))
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def test_there_are_as_many_as_promised() -> None:
    assert len(CASES) >= 60


@each_case
def test_a_project_is_edited_as_kept(case: Case) -> None:
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
def test_what_is_not_ours_stays_as_it_was(case: Case) -> None:
    """Comments, blank lines and line ends stay; nothing is taken away but a line that an edit replaces by another."""
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
