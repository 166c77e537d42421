"""Whether Prometheus could parse a response as metrics: a web page with status 200 is a failed scrape."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from wizard.model import Attempt

# What a line of metrics, a comment or an empty line can begin with.
_STARTS: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_:#{")


def fault(attempt: Attempt) -> str:
    """Prometheus' words for an answer that it cannot read, or ''.

    Only how the answer begins is looked at, which tells a page from metrics.
    """
    if attempt.status != HTTPStatus.OK or attempt.outcome != "200":
        return ""
    begin = attempt.body.lstrip()[:1]
    if not begin or begin in _STARTS:
        return ""
    return f'expected a valid start token, got "{begin}" ("INVALID")'
