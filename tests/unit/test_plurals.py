"""Numbers with their nouns."""

from __future__ import annotations

import pytest

from wizard.plurals import counted


@pytest.mark.parametrize(("number", "text"), [(0, "0 labs"), (1, "1 lab"), (2, "2 labs")])
def test_one_is_singular(number: int, text: str) -> None:
    assert counted(number, "lab") == text
