"""Bars for a share and for the rest of a certificate's life: the number is always beside the bar."""

from __future__ import annotations

from textual.content import Content

DAY = 86400.0
"""Seconds of a day."""
_SOON = 1 / 3
"""The share of a life below which a certificate is renewed."""


def gauge(share: float, width: int, colour: str = "$primary", *, thick: bool = False) -> Content:
    """Returns a bar of `width` cells, filled to `share` (0 to 1): full only for all, empty only for nothing."""
    filled = round(width * min(max(share, 0.0), 1.0))
    if 0 < share < 1 and width > 1:
        filled = min(max(filled, 1), width - 1)
    full, empty = "█░" if thick else "━─"
    return Content.assemble((full * filled, colour), (empty * (width - filled), "$faint"))


def expiry_colour(left: float, life: float) -> str:
    """Returns the colour for the remaining life of a certificate, both in seconds: fine, to be renewed, or expired."""
    if left <= 0:
        return "$error"
    return "$success" if life <= 0 or left / life > _SOON else "$warning"


def days_left(left: float) -> str:
    """Returns seconds as whole days, which the caller aligns right: '364 d', '5 h' on the last day, 'expired'."""
    if left <= 0:
        return "expired"
    return f"{int(left // DAY)} d" if left >= DAY else f"{int(left // 3600)} h"


def expiry(left: float, life: float, width: int) -> Content:
    """Returns how long a certificate is still valid: days and a bar, together `width` cells.

    Args:
        left: seconds until it expires, negative afterwards.
        life: seconds from its first to its last valid moment; 0 if unknown.
        width: in cells, at least 8; from 12 on there is a bar.
    """
    colour = expiry_colour(left, life)
    words = f"{days_left(left):>7}"
    bar = width - len(words) - 1
    if bar < 4 or life <= 0:
        return Content.assemble((words, colour), " " * max(width - len(words), 0))
    return Content.assemble((words, colour), " ", gauge(left / life, bar, colour))
