"""No text for people uses a retired word; texts still to be rewritten are on a list that only shrinks."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest
from ruamel.yaml import YAML

from wizard.cli import firescreen

ROOT = Path(__file__).resolve().parents[2]
RULES = YAML(typ="safe").load(Path(__file__).parent / "data/retired_words.yaml")
PATTERNS = [(re.compile(rule["pattern"], re.IGNORECASE), rule["use"]) for rule in RULES["patterns"]]
CODE = re.compile(r"```(?:json|python)\n.*?```|`[^`\s]+`", re.DOTALL)
"""Code in a text: a block of JSON or Python, and words without a blank in backquotes."""


def _is_text(value: str) -> bool:
    """Whether a string is for people: identifiers, keys and state names have no blank and no capital letter first."""
    return " " in value.strip() or value[:1].isupper()


def _is_code(node: ast.AST) -> bool:
    """Whether a node contains no text for people: a regular expression or a Textual style sheet."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return isinstance(node.func.value, ast.Name) and node.func.value.id == "re"
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return any(isinstance(target, ast.Name) and target.id.endswith("CSS") for target in targets)


def python_texts(node: ast.AST) -> Iterator[tuple[int, str]]:
    """The texts of a module with their lines; a formatted value counts as `{}`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else "{}" for part in child.values]
            yield child.lineno, "".join(map(str, parts))
            for part in child.values:
                if isinstance(part, ast.FormattedValue):
                    yield from python_texts(part)
        elif isinstance(child, ast.Constant) and isinstance(child.value, str):
            yield child.lineno, child.value
        elif not _is_code(child):
            yield from python_texts(child)


def json_texts(value: object) -> Iterator[str]:
    """The values of a JSON document that are texts, e.g. a schema's descriptions."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from json_texts(item)


def help_pages(command: click.Command, path: str = "firescreen") -> Iterator[tuple[str, str]]:
    """Yields the output of `--help` for a command and its subcommands."""
    with click.Context(command, info_name=path) as context:
        yield f"wizard/cli/{path} --help", command.get_help(context)
    for name, below in getattr(command, "commands", {}).items():
        yield from help_pages(below, f"{path} {name}")


@cache
def texts() -> dict[str, list[tuple[int, str]]]:
    """Returns every text that a person can see, by file or command, as (line, or 0 for the whole file; text)."""
    found: dict[str, list[tuple[int, str]]] = {page: [(0, text)] for page, text in help_pages(firescreen)}
    files = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")]
    files += [
        path for path in (ROOT / "assets").rglob("*") if path.suffix in {".md", ".yaml", ".yml", ".html"}
    ]
    for path in files:
        if path.exists():
            found[str(path.relative_to(ROOT))] = [(0, path.read_text(encoding="utf-8"))]
    for path in (ROOT / "assets").rglob("*.json"):
        values = json_texts(json.loads(path.read_text(encoding="utf-8")))
        found[str(path.relative_to(ROOT))] = [(0, value) for value in values if _is_text(value)]
    for folder in ("wizard", "screens"):
        for path in (ROOT / folder).rglob("*.py"):
            strings = python_texts(ast.parse(path.read_bytes()))
            found[str(path.relative_to(ROOT))] = [item for item in strings if _is_text(item[1])]
    return found


def retired(text: str) -> list[str]:
    """Returns the retired words in a text, each with its replacement; line breaks count as blanks."""
    joined = " ".join(CODE.sub("CODE", text).split())
    for exception in RULES["exceptions"]:
        joined = joined.replace(exception["phrase"], "")
    return [
        f"{found.group()!r}: write {use}" for pattern, use in PATTERNS for found in pattern.finditer(joined)
    ]


def test_no_text_uses_a_retired_word() -> None:
    found = {
        name: [f"{line}: {word}" for line, text in items for word in retired(text)]
        for name, items in texts().items()
    }
    found = {name: words for name, words in found.items() if words}
    pending = {
        entry: {n for n in found if f"{n}/".startswith(f"{entry}/")} for entry in RULES["not_yet_clean"]
    }
    assert {name: found[name] for name in found.keys() - set().union(*pending.values())} == {}
    assert [entry for entry, names in pending.items() if not names] == [], "clean now: take them off the list"


def test_every_exception_has_a_reason_and_is_used() -> None:
    assert all(exception["reason"] for exception in RULES["exceptions"])
    every = "".join(" ".join(text.split()) for items in texts().values() for _line, text in items)
    assert [item["phrase"] for item in RULES["exceptions"] if item["phrase"] not in every] == []


@pytest.mark.parametrize("text", ["a host out\nof reach", "The change is proven", "it puts everything back"])
def test_a_retired_word_is_detected(text: str) -> None:
    assert retired(text)
    assert not retired("The unreachable host is rolled back after verification.")


def test_texts_of_a_module_are_searched_and_identifiers_are_not() -> None:
    source = '"""A doc."""\nimport re\nA = f"no {A!r} proof"\nB = re.compile("a proof")\nCSS = "a proof"\nC = "proof"\n'
    strings = [text for _line, text in python_texts(ast.parse(source)) if _is_text(text)]
    assert strings == ["A doc.", "no {} proof"]
    assert list(json_texts({"proof": [{"title": "A title"}]})) == ["A title"]
    assert not retired("`prove.yml` and ```json\n{'a': 'the proof'}\n```")
