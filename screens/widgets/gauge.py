"""A share as a bar, and the rest of a certificate's life as one: the number always stands beside it."""

from __future__ import annotations

from textual.content import Content

DAY = 86400.0
"""Seconds."""
_SOON = 1 / 3
"""The share of a life below which a certificate is renewed."""


def gauge(share: float, width: int, colour: str = "$primary", *, thick: bool = False) -> Content:
    """A bar of `width` cells, filled to `share` of 0 to 1. Only all is drawn as full, and only nothing as empty."""
    filled = round(width * min(max(share, 0.0), 1.0))
    if 0 < share < 1 and width > 1:
        filled = min(max(filled, 1), width - 1)
    full, empty = "█░" if thick else "━─"
    return Content.assemble((full * filled, colour), (empty * (width - filled), "$faint"))


def expiry_colour(left: float, life: float) -> str:
    """By what is left of a certificate's life, both in seconds: fine, to be renewed, or expired."""
    if left <= 0:
        return "$error"
    return "$success" if life <= 0 or left / life > _SOON else "$warning"


def days_left(left: float) -> str:
    """Seconds as whole days, right-aligned by whoever draws it: '364 d', '5 h' of the last day, 'expired'."""
    if left <= 0:
        return "expired"
    return f"{int(left // DAY)} d" if left >= DAY else f"{int(left // 3600)} h"


def expiry(left: float, life: float, width: int) -> Content:
    """How long a certificate is still valid: days and a bar of what is left, together `width` cells.

    Args:
        left: seconds until it expires, negative once it has.
        life: seconds from its first to its last valid moment; 0 where that is not known.
        width: cells, at least 8; from 12 on there is a bar.
    """
    colour = expiry_colour(left, life)
    words = f"{days_left(left):>7}"
    bar = width - len(words) - 1
    if bar < 4 or life <= 0:
        return Content.assemble((words, colour), " " * max(width - len(words), 0))
    return Content.assemble((words, colour), " ", gauge(left / life, bar, colour))
