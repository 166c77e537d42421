"""No text for people uses a retired word; texts still to be rewritten are on a list that only shrinks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]
RULES = YAML(typ="safe").load(Path(__file__).parent / "data/retired_words.yaml")


def documents() -> dict[str, str]:
    """The README and all texts among the assets, by their paths."""
    files = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "assets").rglob("*.md")]
    files += [*(ROOT / "assets").rglob("*.yaml"), *(ROOT / "assets").rglob("*.yml")]
    return {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in sorted(files)}


def retired(text: str) -> list[str]:
    """The retired words in a text, each with what to write in its place; line breaks count as blanks."""
    joined = " ".join(text.split())
    return [
        f"{found.group()!r}: write {rule['use']}"
        for rule in RULES["patterns"]
        for found in re.finditer(rule["pattern"], joined, re.IGNORECASE)
    ]


def test_no_document_uses_a_retired_word() -> None:
    found = {name: words for name, text in documents().items() if (words := retired(text))}
    pending = set(RULES["not_yet_clean"])
    assert {name: words for name, words in found.items() if name not in pending} == {}
    assert pending - found.keys() == set(), "clean now: take them off the list"


@pytest.mark.parametrize("text", ["a host out\nof reach", "The proof failed", "it puts everything back"])
def test_a_retired_word_is_found(text: str) -> None:
    assert retired(text)
    assert not retired("The unreachable host is rolled back after verification.")
