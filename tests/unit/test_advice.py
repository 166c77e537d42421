"""The remedy of an error (`todo`) begins with a capital letter, like a sentence."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
INSERTED = frozenset(
    {"wizard/config_files/web_config/validation.py", "wizard/config_files/alertmanager_cluster.py"}
)
"""Modules in which the remedy is in brackets within a longer sentence."""


def _texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Returns (line, first part) of each text that is passed as `todo`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "todo":
            yield from _beginnings(node.value)
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                names = target.elts if isinstance(target, ast.Tuple) else [target]
                values = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]
                for name, value in zip(names, values, strict=False):
                    called = getattr(name, "id", getattr(name, "attr", ""))
                    if called == "todo" and len(names) == len(values):
                        yield from _beginnings(value)


def _beginnings(value: ast.expr) -> Iterator[tuple[int, str]]:
    if isinstance(value, ast.IfExp):
        yield from _beginnings(value.body)
        yield from _beginnings(value.orelse)
    elif isinstance(value, ast.JoinedStr) and value.values:
        yield from _beginnings(value.values[0])
    elif isinstance(value, ast.Constant) and isinstance(value.value, str):
        yield value.lineno, value.value


def test_remedies_begin_with_a_capital_letter() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {text}"
        for folder in ("wizard", "screens")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if str(path.relative_to(ROOT)) not in INSERTED
        for line, text in _texts(ast.parse(path.read_text(encoding="utf-8")))
        if text[:1].islower()
    ]
    assert wrong == []
