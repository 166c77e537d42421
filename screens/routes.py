"""The names by which pages open each other without importing each other; `page_registry` knows what stands behind them."""

from __future__ import annotations

from enum import Enum, auto


class Route(Enum):
    """A page of the wizard."""

    HOSTS = auto()
    CHOICES = auto()
    CLIENT_LOGINS = auto()
    PLAN = auto()
    RUN = auto()
    VERIFICATION = auto()
    TRUST_MAP = auto()
    CERTIFICATE_DISTRIBUTION = auto()
    LAB = auto()
    PROBE_CONSOLE = auto()
    INVENTORY = auto()
    HISTORY = auto()
    AUDIT = auto()
    BOARD = auto()


class MapView(Enum):
    """Which connections the trust map shows."""

    PLAN = auto()
    """Those of the current plan, as they will be."""
    RUN = auto()
    """Those of the last run, with its probes."""
    NOW = auto()
    """Those of the present state, probed for the map."""
