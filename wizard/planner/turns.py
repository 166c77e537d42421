"""Targets that turn from http to https, and how their Prometheus says that it scrapes them so."""

from __future__ import annotations

from typing import NamedTuple

from wizard.model import Probe


class Turns(NamedTuple):
    """Targets that turn to https, as their Prometheus is asked about them before the run and after it."""

    before: tuple[Probe, ...] = ()
    after: tuple[Probe, ...] = ()

    def of(self, asker: str) -> Turns:
        """Those of one Prometheus, by its key."""
        return Turns(*(tuple(each for each in probes if each.asker == asker) for probes in self))
