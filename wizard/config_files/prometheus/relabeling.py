"""Relabeling as in Prometheus: the effect of relabel_configs on the labels of a target."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from ruamel.yaml.nodes import Node

from wizard.config_files.go_regexp import PatternError, compile_pattern, expand
from wizard.config_files.yaml_edit import fields
from wizard.config_files.yaml_edit.document import null, text_of

ACTIONS = (
    "replace", "keep", "drop", "keepequal", "dropequal", "labelmap", "labeldrop", "labelkeep", "hashmod",
    "lowercase", "uppercase",
)  # fmt: skip
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


@dataclass(frozen=True, slots=True)
class Rule:
    """One entry of relabel_configs with defaults filled in."""

    action: str
    source_labels: tuple[str, ...]
    separator: str
    regex: str
    target_label: str
    replacement: str
    modulus: int


def rule(node: Node) -> Rule:
    """Parses one entry; a missing field has Prometheus' default."""
    of = fields.fields([node])
    modulus = fields.value(of, "modulus").replace("_", "")
    return Rule(
        action=fields.value(of, "action").lower() or "replace",
        source_labels=tuple(text_of(each) for each in fields.items(of, "source_labels")),
        separator=_value_or_default(of, "separator", ";"),
        regex=_value_or_default(of, "regex", "(.*)"),
        target_label=fields.value(of, "target_label"),
        replacement=_value_or_default(of, "replacement", "$1"),
        modulus=int(modulus) if modulus.isascii() and modulus.isdigit() else 0,
    )


def trouble(of: Rule) -> str:
    """Why this rule cannot be followed, or ''."""
    if of.action not in ACTIONS:
        return f"its relabelling has an action {of.action!r}, which is not known"
    if of.action == "hashmod" and not of.modulus:
        return "its relabelling has a hashmod without a modulus"
    try:
        compile_pattern(of.regex)
    except PatternError as problem:
        return f"its relabelling has the pattern {of.regex!r}: {problem}"
    return ""


def relabel(labels: Mapping[str, str], rules: tuple[Rule, ...]) -> dict[str, str] | None:
    """The labels after these rules (all without `trouble`), or None if one drops the target."""
    now = {name: text for name, text in labels.items() if text}
    for each in rules:
        if not _apply(now, each):
            return None
    return now


def _apply(now: dict[str, str], of: Rule) -> bool:
    """Applies a rule to `now`; returns False if it drops the target."""
    text = of.separator.join(now.get(name, "") for name in of.source_labels)
    if of.action in ("keep", "drop"):
        return (compile_pattern(of.regex).match(text) is not None) == (of.action == "keep")
    if of.action in ("keepequal", "dropequal"):
        return (now.get(of.target_label, "") == text) == (of.action == "keepequal")
    if of.action == "replace":
        _replace(now, of, text)
    elif of.action.startswith("label"):
        _names(now, of)
    elif of.action == "hashmod":
        # The last 8 of MD5's 16 bytes, as Prometheus has always done it; this has nothing to do with security.
        digest = hashlib.md5(text.encode(), usedforsecurity=False).digest()
        _put(now, of.target_label, str(int.from_bytes(digest[8:], "big") % of.modulus))
    else:
        _put(now, of.target_label, text.lower() if of.action == "lowercase" else text.upper())
    return True


def _replace(now: dict[str, str], of: Rule, text: str) -> None:
    pattern = compile_pattern(of.regex)
    found = pattern.match(text)
    if found is None:
        return
    target = expand(of.target_label, pattern, found)
    if _NAME.fullmatch(target) or ("$" not in of.target_label and target):
        _put(now, target, expand(of.replacement, pattern, found))


def _names(now: dict[str, str], of: Rule) -> None:
    """Applies labelmap, labeldrop and labelkeep, whose patterns match label names."""
    pattern = compile_pattern(of.regex)
    for name, value in list(now.items()):
        found = pattern.match(name)
        if of.action == "labelmap":
            if found is not None:
                _put(now, expand(of.replacement, pattern, found), value)
        elif (found is not None) == (of.action == "labeldrop"):
            del now[name]


def _put(now: dict[str, str], name: str, text: str) -> None:
    """Sets a label; an empty value removes it."""
    if text:
        now[name] = text
    else:
        now.pop(name, None)


def _value_or_default(of: fields.Fields, key: str, default: str) -> str:
    """As `fields.value`, but an empty text in quotes is a value."""
    for node in reversed(of.get(key, ())):
        if not null(node):
            return text_of(node)
    return default
