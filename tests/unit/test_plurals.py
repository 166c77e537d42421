"""Numbers with nouns, and lists of nouns."""

from __future__ import annotations

import pytest

from wizard.plurals import count_noun, join_words


@pytest.mark.parametrize(("number", "text"), [(0, "0 labs"), (1, "1 lab"), (2, "2 labs")])
def test_a_count_of_one_is_singular(number: int, text: str) -> None:
    assert count_noun(number, "lab") == text


@pytest.mark.parametrize(
    ("words", "text"), [((), ""), (("a",), "a"), (("a", "b"), "a and b"), (("a", "b", "c"), "a, b and c")]
)
def test_nouns_are_listed_as_in_a_sentence(words: tuple[str, ...], text: str) -> None:
    assert join_words(words) == text
