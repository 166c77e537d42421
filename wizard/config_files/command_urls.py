"""Finds the http URLs in a command line: of a unit's Exec line, a cron job or a script."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ADDRESS = re.compile(
    r"""
    (?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://)?
    (?:[^\s/@"'=]*@)?
    (?P<host>\[[0-9A-Fa-f:.]+\]|\$\{?\w+\}?|[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?)
    :(?P<port>\d{1,5})(?![\d:.])
    """,
    re.VERBOSE,
)
_ASKS = re.compile(
    r"\b(?:curl|wget|http|httpie|lwp-request|GET|promtool|amtool|check_http|fetch)\b|\burl\b|_URL\b",
    re.IGNORECASE,
)
_OWN_FLAG = re.compile(r"--(?:web|cluster|storage)\.[a-z.-]+[= ]\S*")


@dataclass(frozen=True, slots=True)
class Url:
    """What is asked by plain http. `host` as written, brackets dropped; a shell variable with its `$`."""

    host: str
    port: int


def plain(text: str) -> tuple[Url, ...]:
    """The addresses that a line asks by plain http, in order; () for a comment.

    An address without a scheme counts where a program that takes it for http stands in the line.
    """
    if text.lstrip()[:1] in ("#", ";"):
        return ()
    # What a component is told of itself (--web.external-url, --web.listen-address) is no request.
    line = _OWN_FLAG.sub(" ", text)
    asks = bool(_ASKS.search(line))
    found = [
        Url(match["host"].strip("[]"), int(match["port"]))
        for match in _ADDRESS.finditer(line)
        if (match["scheme"] or "").lower() == "http" or (asks and match["scheme"] is None)
    ]
    return tuple(dict.fromkeys(found))
