"""Colours for YAML, environment files and shell, by line: enough to find key, value and comment."""

from __future__ import annotations

import re

from textual.content import Content

_TOKEN = re.compile(
    r"""(?P<remark>(?:^|(?<=\s))\#.*$)
    | (?P<text>"(?:\\.|[^"\\])*"|'(?:''|[^'])*')
    | (?P<key>(?:^|(?<=[\s{,]))[A-Za-z_][\w.-]*(?=:(?:\s|$)|=))
    | (?P<flag>(?<!\S)--?[A-Za-z][\w.-]*)
    | (?P<number>(?<![\w./-])(?:true|false|null|\d+(?:\.\d+)?(?:ms|[smhd])?)(?![\w./-]))
    """,
    re.VERBOSE,
)
_STYLES = {
    "remark": "italic $quiet",
    "text": "$success",
    "key": "$secondary",
    "flag": "$primary",
    "number": "$warning",
}


def highlight(line: str) -> Content:
    """Returns one line with colours; markup in it is not interpreted."""
    content = Content(line)
    for match in _TOKEN.finditer(line):
        content = content.stylize(_STYLES[match.lastgroup or ""], match.start(), match.end())
    return content
