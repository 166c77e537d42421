"""Checks the logins of a Prometheus at remote_write endpoints and Alertmanagers: samples arrive, alerts are accepted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from wizard.engine.hosts import Hosts
from wizard.errors import HostError
from wizard.model import NotificationHealth, Plan, RemoteWriteHealth, Watched
from wizard.planner import monitors
from wizard.probes import Monitor
from wizard.service_managers.registry import manager_of

_PAUSE: Final = 1.0
_LINES: Final = 40
"""Log lines in which the cause of a failure is searched."""


class Surroundings(Protocol):
    """What a `LoginCheck` needs from its caller."""

    def idle(self, seconds: float) -> bool:
        """Waits; returns True if the person stopped the run."""
        ...

    def log(self, watched: Watched) -> Sequence[str]:
        """The last log lines of a Prometheus."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginResult:
    """The result for one remote_write endpoint or Alertmanager."""

    kind: Literal["remote_write", "alertmanagers"]
    place: str
    what: str = ""
    """What does not work, or why it could not be checked; '' if it works."""
    todo: str = ""
    """What to do; '' if it works or could not be checked."""


class LoginCheck:
    """Checks the remote_write endpoints and Alertmanagers for which one Prometheus got a login.

    Args:
        surroundings: the run or verification that the check belongs to.
        from_now: whether only deliveries from now on count, for a login that was set a while ago. If no alert is
            firing, none is awaited then.
        tell: called once with a line that says what is awaited, and for how long.
    """

    def __init__(
        self,
        surroundings: Surroundings,
        watched: Watched,
        monitor: Monitor,
        *,
        from_now: bool = False,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self._surroundings, self._watched, self._monitor = surroundings, watched, monitor
        self._from_now, self._say = from_now, tell
        self._samples = set(watched.remote_writes)
        self._alerts = set(watched.alertmanagers)
        self._failing: set[str] = set()
        self._first: dict[str, RemoteWriteHealth] = {}

    def run(self, seconds: float) -> tuple[LoginResult, ...]:
        """Waits until all logins work, for at most `seconds`; returns a result for each, () if the person stopped it."""
        last = self._notifications()
        waited = 0.0
        while True:
            self._compare_samples()
            now = self._notifications()
            self._compare(last, now)
            last = now
            if not (self._samples or self._awaits_alert()) or waited >= seconds:
                break
            if not waited and self._say is not None:
                self._say(f"waiting up to {seconds:.0f} s until {self._success_text()}")
            if self._surroundings.idle(_PAUSE):
                return ()
            waited += _PAUSE
        return (
            *(self._of_samples(place) for place in self._watched.remote_writes),
            *(self._of_alerts(place) for place in self._watched.alertmanagers),
        )

    def _success_text(self) -> str:
        """What is awaited, as a clause, e.g. 'Prometheus sends samples to http://db1:9090'."""
        samples = f"Prometheus sends samples to {', '.join(sorted(self._samples))}" if self._samples else ""
        places = ", ".join(sorted(self._alerts))
        alerts = f"Prometheus sends its firing alerts to {places} again" if self._alerts else ""
        return " and ".join(part for part in (samples, alerts) if part)

    def _of_samples(self, place: str) -> LoginResult:
        if place not in self._samples:
            return LoginResult(kind="remote_write", place=place)
        what, todo = self._why(place, f"remote_write to {place} delivers nothing with its login")
        return LoginResult(kind="remote_write", place=place, what=what, todo=todo)

    def _of_alerts(self, place: str) -> LoginResult:
        if place not in self._alerts:
            return LoginResult(kind="alertmanagers", place=place)
        if place in self._failing:
            what, todo = self._why(place, f"Alertmanager {place} rejects alerts with its login")
            return LoginResult(kind="alertmanagers", place=place, what=what, todo=todo)
        since = "in the meantime" if self._from_now else "yet"
        what = f"no alert was sent to {place} {since}, so its login could not be looked at"
        return LoginResult(kind="alertmanagers", place=place, what=what)

    def _compare_samples(self) -> None:
        if not self._samples:
            return
        for each in self._monitor.remote_writes():
            was = self._first.setdefault(each.place, each) if self._from_now else None
            if each.works if was is None else each.is_ahead_of(was):
                self._samples.discard(each.place)

    def _awaits_alert(self) -> bool:
        """Whether a login is still unchecked and an alert may be sent that checks it."""
        if self._from_now and self._alerts and not self._alerts & self._failing:
            return self._monitor.is_alerting()
        return bool(self._alerts)

    def _notifications(self) -> Mapping[str, NotificationHealth]:
        if not self._alerts:
            return {}
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

    def _why(self, place: str, what: str) -> tuple[str, str]:
        """What does not work, with the cause from Prometheus' log if there is one; and what to do."""
        from wizard.diagnostics import catalogue  # imported late: it is large, and a run needs it only here

        for line in reversed(self._surroundings.log(self._watched)):
            diagnosis = catalogue.diagnose(line) if place in line else None
            if diagnosis is not None:
                return f"{what}: {diagnosis.cause}", diagnosis.fix
        return what, "See the log of Prometheus; correct the secret, the token or the CA of that login"


def log_of(watched: Watched, plan: Plan, hosts: Hosts) -> Sequence[str]:
    """The last log lines of a Prometheus; () if its host cannot provide them."""
    for name, client in monitors.monitors(plan.stack, plan.facts):
        if (client.host.spec.name, name) == (watched.host, watched.component):
            try:
                return manager_of(client.service).logs(hosts.connection(watched.host), client.service, _LINES)
            except HostError:
                return ()
    return ()
