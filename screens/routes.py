"""The names by which pages open each other without importing each other; `page_registry` maps them to pages."""

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
    """The connections of the current plan, as they will be."""
    RUN = auto()
    """The connections of the last run, with its probes."""
    NOW = auto()
    """The present connections, probed for the map."""
