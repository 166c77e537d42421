"""Formats numbers with nouns, and lists of words, for sentences."""

from __future__ import annotations

from collections.abc import Sequence


def count_noun(number: int, noun: str) -> str:
    """A number with its noun, e.g. '1 host' or '2 hosts'."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def join_words(words: Sequence[str]) -> str:
    """Joins words for a sentence, e.g. 'a', 'a and b' or 'a, b and c'; '' for none."""
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))
