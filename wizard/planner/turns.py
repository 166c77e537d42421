"""Targets that change from http to https, and the probes by which their Prometheus reports that."""

from __future__ import annotations

from typing import NamedTuple

from wizard.model import Probe


class Turns(NamedTuple):
    """Probes of targets that change to https, by Prometheus' access before the run and after it."""

    before: tuple[Probe, ...] = ()
    after: tuple[Probe, ...] = ()

    def of(self, asker: str) -> Turns:
        """The probes that query one Prometheus, by its key."""
        return Turns(*(tuple(each for each in probes if each.asker == asker) for probes in self))
