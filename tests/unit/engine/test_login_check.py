"""A check of logins announces what it waits for, and for how long."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from wizard.engine.login_check import LoginCheck
from wizard.model import NotificationHealth, Watched
from wizard.probes import Monitor

WATCHED = Watched(host="mon1", component="prometheus", alertmanagers=("am1:9093",), remote_writes=())


class Waits:
    """A context in which time passes at once."""

    def __init__(self) -> None:
        self.slept = 0.0

    def idle(self, seconds: float) -> bool:
        self.slept += seconds
        return False

    def log(self, watched: Watched) -> Sequence[str]:
        return ()


class Alerting:
    """A Prometheus whose alert fires, and is sent again at the third query."""

    def __init__(self, *, firing: bool = True) -> None:
        self.firing, self.looks = firing, 0

    def is_alerting(self) -> bool:
        return self.firing

    def notifications(self) -> tuple[NotificationHealth, ...]:
        self.looks += 1
        return (
            NotificationHealth(url="http://am1:9093/api/v2/alerts", sent=1.0 + (self.looks > 3), errors=0.0),
        )


def check(alerting: Alerting, announcements: list[str]) -> tuple[Waits, tuple[str, ...]]:
    waits = Waits()
    found = LoginCheck(waits, WATCHED, cast(Monitor, alerting), from_now=True, tell=announcements.append)
    return waits, tuple(each.what for each in found.run(75.0))


def test_the_awaited_event_and_its_duration_are_announced_once() -> None:
    announcements: list[str] = []
    waits, found = check(Alerting(), announcements)
    assert announcements == ["waiting up to 75 s until Prometheus sends its firing alerts to am1:9093 again"]
    assert (waits.slept, found) == (2.0, ("",))


def test_without_a_wait_nothing_is_announced() -> None:
    announcements: list[str] = []
    waits, found = check(Alerting(firing=False), announcements)
    assert (announcements, waits.slept) == ([], 0.0)
    assert found == ("no alert was sent to am1:9093 in the meantime, so its login could not be looked at",)
