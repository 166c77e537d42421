"""Prometheus' durations as text, e.g. 1m30s."""

from __future__ import annotations

import re
from typing import Final

_UNITS: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}
_PART: Final = re.compile(r"(\d+)(ms|[smhdwy])")


def seconds(duration: str) -> float:
    """The seconds of a Prometheus duration, e.g. 90 for '1m30s'; 0 for an invalid one."""
    text = duration.strip()
    parts = _PART.findall(text)
    if "".join(number + unit for number, unit in parts) != text:
        return 0.0
    return float(sum(int(number) * _UNITS[unit] for number, unit in parts))
