"""Checks whether Prometheus could parse a response as metrics: a web page with status 200 is a failed scrape."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from wizard.model import Attempt

# First characters of metric lines and comments.
_STARTS: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_:#{")


def fault(attempt: Attempt) -> str:
    """Prometheus' error for a response that it cannot parse; '' if it can.

    Only the first character is checked, which is enough to distinguish a web page from metrics.
    """
    if attempt.status != HTTPStatus.OK or attempt.outcome != "200":
        return ""
    begin = attempt.body.lstrip()[:1]
    if not begin or begin in _STARTS:
        return ""
    return f'expected a valid start token, got "{begin}" ("INVALID")'
