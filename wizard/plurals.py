"""Numbers with their nouns."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """A number with its noun, e.g. '1 host' or '2 hosts'."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
