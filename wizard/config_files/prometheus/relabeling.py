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
    mapping = fields.fields([node])
    modulus = fields.value(mapping, "modulus").replace("_", "")
    return Rule(
        action=fields.value(mapping, "action").lower() or "replace",
        source_labels=tuple(text_of(each) for each in fields.items(mapping, "source_labels")),
        separator=_value_or_default(mapping, "separator", ";"),
        regex=_value_or_default(mapping, "regex", "(.*)"),
        target_label=fields.value(mapping, "target_label"),
        replacement=_value_or_default(mapping, "replacement", "$1"),
        modulus=int(modulus) if modulus.isascii() and modulus.isdigit() else 0,
    )


def trouble(rule: Rule) -> str:
    """Why this rule cannot be followed, or ''."""
    if rule.action not in ACTIONS:
        return f"its relabelling has an action {rule.action!r}, which is not known"
    if rule.action == "hashmod" and not rule.modulus:
        return "its relabelling has a hashmod without a modulus"
    try:
        compile_pattern(rule.regex)
    except PatternError as problem:
        return f"its relabelling has the pattern {rule.regex!r}: {problem}"
    return ""


def relabel(labels: Mapping[str, str], rules: tuple[Rule, ...]) -> dict[str, str] | None:
    """The labels after these rules (all without `trouble`), or None if one drops the target."""
    now = {name: text for name, text in labels.items() if text}
    for each in rules:
        if not _apply(now, each):
            return None
    return now


def _apply(now: dict[str, str], rule: Rule) -> bool:
    """Applies a rule to `now`; returns False if it drops the target."""
    text = rule.separator.join(now.get(name, "") for name in rule.source_labels)
    if rule.action in ("keep", "drop"):
        return (compile_pattern(rule.regex).match(text) is not None) == (rule.action == "keep")
    if rule.action in ("keepequal", "dropequal"):
        return (now.get(rule.target_label, "") == text) == (rule.action == "keepequal")
    if rule.action == "replace":
        _replace(now, rule, text)
    elif rule.action.startswith("label"):
        _names(now, rule)
    elif rule.action == "hashmod":
        # The last 8 of MD5's 16 bytes, as Prometheus has always done it; this has nothing to do with security.
        digest = hashlib.md5(text.encode(), usedforsecurity=False).digest()
        _put(now, rule.target_label, str(int.from_bytes(digest[8:], "big") % rule.modulus))
    else:
        _put(now, rule.target_label, text.lower() if rule.action == "lowercase" else text.upper())
    return True


def _replace(now: dict[str, str], rule: Rule, text: str) -> None:
    pattern = compile_pattern(rule.regex)
    found = pattern.match(text)
    if found is None:
        return
    target = expand(rule.target_label, pattern, found)
    if _NAME.fullmatch(target) or ("$" not in rule.target_label and target):
        _put(now, target, expand(rule.replacement, pattern, found))


def _names(now: dict[str, str], rule: Rule) -> None:
    """Applies labelmap, labeldrop and labelkeep, whose patterns match label names."""
    pattern = compile_pattern(rule.regex)
    for name, value in list(now.items()):
        found = pattern.match(name)
        if rule.action == "labelmap":
            if found is not None:
                _put(now, expand(rule.replacement, pattern, found), value)
        elif (found is not None) == (rule.action == "labeldrop"):
            del now[name]


def _put(now: dict[str, str], name: str, text: str) -> None:
    """Sets a label; an empty value removes it."""
    if text:
        now[name] = text
    else:
        now.pop(name, None)


def _value_or_default(mapping: fields.Fields, key: str, default: str) -> str:
    """As `fields.value`, but an empty text in quotes is a value."""
    for node in reversed(mapping.get(key, ())):
        if not null(node):
            return text_of(node)
    return default
