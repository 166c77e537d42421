"""Waits until a Prometheus sends with the logins that it has been given: samples arrive, and alerts are accepted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from wizard.diagnostics import catalogue
from wizard.model import NotificationHealth, Watched
from wizard.probes import Monitor

_PAUSE: Final = 1.0


class Surroundings(Protocol):
    """What a check needs of the comparison that it is part of."""

    def idle(self, seconds: float) -> bool:
        """Waits; True if the person stopped the run."""
        ...

    def log(self, watched: Watched) -> Sequence[str]:
        """The last lines that a Prometheus has logged."""
        ...


class LoginCheck:
    """The remote_write endpoints and Alertmanagers of one Prometheus that got a login.

    Args:
        lost: told what does not work, and what to do.
        not_checked: told what cannot be said yet.
    """

    def __init__(
        self,
        whole: Surroundings,
        watched: Watched,
        monitor: Monitor,
        *,
        lost: Callable[[str, str], None],
        not_checked: Callable[[str], None],
    ) -> None:
        self._whole, self._watched, self._monitor = whole, watched, monitor
        self._lost, self._not_checked = lost, not_checked
        self._samples = set(watched.remote_writes)
        self._alerts = set(watched.alertmanagers)
        self._failing: set[str] = set()

    def run(self, seconds: float) -> None:
        """Returns when all of them work, or when that time is over."""
        last = self._notifications()
        waited = 0.0
        while self._samples or self._alerts:
            self._samples -= {each.place for each in self._monitor.remote_writes() if each.works}
            now = self._notifications()
            self._compare(last, now)
            last = now
            if not (self._samples or self._alerts) or waited >= seconds:
                break
            if self._whole.idle(_PAUSE):
                return
            waited += _PAUSE
        for place in sorted(self._samples):
            self._tell(place, f"remote_write to {place} delivers nothing with its login")
        for place in sorted(self._alerts & self._failing):
            self._tell(place, f"Alertmanager {place} rejects alerts with its login")
        for place in sorted(self._alerts - self._failing):
            self._not_checked(f"no alert was sent to {place} yet, so its login could not be looked at")

    def _notifications(self) -> Mapping[str, NotificationHealth]:
        found = {each.place: each for each in self._monitor.notifications()}
        return {place: each for place, each in found.items() if place in self._alerts}

    def _compare(self, last: Mapping[str, NotificationHealth], now: Mapping[str, NotificationHealth]) -> None:
        for place, each in now.items():
            was = last.get(place)
            if was is None or each.sent <= was.sent:
                continue
            if each.errors > was.errors:
                self._failing.add(place)
            else:
                self._alerts.discard(place)

    def _tell(self, place: str, what: str) -> None:
        """With what Prometheus has logged of it."""
        for line in reversed(self._whole.log(self._watched)):
            diagnosis = catalogue.diagnose(line) if place in line else None
            if diagnosis is not None:
                self._lost(f"{what}: {diagnosis.cause}", diagnosis.fix)
                return
        self._lost(what, "See the log of Prometheus; correct the secret, the token or the CA of that login")
