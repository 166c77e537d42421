"""Finds http URLs in a command line: of a unit's Exec line, a cron job or a script."""

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
    """The address of a plain http request. `host` as written, without brackets; a shell variable with its `$`."""

    host: str
    port: int


def plain(text: str) -> tuple[Url, ...]:
    """The addresses to which a line makes plain http requests, in order; () for a comment.

    An address without a scheme counts if the line has a program that uses http for such an address.
    """
    if text.lstrip()[:1] in ("#", ";"):
        return ()
    # A component's flags about itself (--web.external-url, --web.listen-address) are not requests.
    line = _OWN_FLAG.sub(" ", text)
    asks = bool(_ASKS.search(line))
    found = [
        Url(match["host"].strip("[]"), int(match["port"]))
        for match in _ADDRESS.finditer(line)
        if (match["scheme"] or "").lower() == "http" or (asks and match["scheme"] is None)
    ]
    return tuple(dict.fromkeys(found))
