"""Variables in Compose files: `$NAME`, `${NAME}`, `${NAME:-default}` and the like, and `$$` for a dollar sign.

A variable without a known value and a default stays as written: Compose would insert nothing, but the environment in
which Compose was started is unknown here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATOR = re.compile(r":?[-?+]")
_DEEPEST = 20


def escape(text: str) -> str:
    """`text` as a Compose file must have it so that Compose leaves it unchanged: `$` doubled."""
    return text.replace("$", "$$")


def expand(text: str, variables: Mapping[str, str], *, depth: int = 0) -> str:
    """`text` as Compose passes it on.

    Args:
        text: a value as written in the file.
        variables: the variables in `.env` and the environment, as far as they are known.
        depth: nesting depth, for defaults within defaults.
    """
    pieces: list[str] = []
    at = 0
    while at < len(text):
        dollar = text.find("$", at)
        if dollar < 0 or depth > _DEEPEST:
            pieces.append(text[at:])
            break
        pieces.append(text[at:dollar])
        end = variable_end(text, dollar)
        if text.startswith("$$", dollar):
            pieces.append("$")
        else:
            pieces.append(_value(text[dollar:end], variables, depth))
        at = end
    return "".join(pieces)


def variable_end(text: str, dollar: int) -> int:
    """Index just after the variable (or the `$$`, or the lone `$`) that begins at index `dollar`."""
    if text.startswith("$$", dollar):
        return dollar + 2
    if not text.startswith("${", dollar):
        name = _NAME.match(text, dollar + 1)
        return name.end() if name else dollar + 1
    deep, at = 0, dollar
    while at < len(text):
        if text.startswith("${", at):
            deep, at = deep + 1, at + 2
        elif text[at] == "}":
            deep, at = deep - 1, at + 1
            if deep == 0:
                return at
        else:
            at += 1
    return dollar + 1


def _value(written: str, variables: Mapping[str, str], depth: int) -> str:
    inner = written[2:-1] if written.startswith("${") else written[1:]
    name = _NAME.match(inner)
    if name is None:
        return written
    value = variables.get(name.group())
    operator = _OPERATOR.match(inner, name.end())
    if operator is None:
        return written if value is None else value
    kind, default = operator.group(), inner[operator.end() :]
    is_set = bool(value) if kind.startswith(":") else value is not None
    if kind.endswith("+"):
        return expand(default, variables, depth=depth + 1) if is_set else ""
    if is_set and value is not None:
        return value
    return expand(default, variables, depth=depth + 1) if kind.endswith("-") else written
