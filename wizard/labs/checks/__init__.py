"""The checks of labs, by the name in a lab's file. A check tests the result, not how it was reached.

A failed check says what is not done yet and where to look.
"""

from __future__ import annotations

from collections.abc import Callable

from wizard.labs.checks import access, artifacts, containers, front_door, prometheus, server
from wizard.labs.content import Check
from wizard.labs.inspection import Look
from wizard.labs.results import CheckResult, NotYet
from wizard.redact import plain

__all__ = ["CheckResult", "run"]


def run(checks: tuple[Check, ...], look: Look, *, patience: float = 0.0) -> CheckResult:
    """Runs the checks of a step in their order, until one fails.

    Args:
        checks: of the step.
        look: the hosts of the lab.
        patience: seconds to wait for a scrape; 0 to check once.

    Raises:
        FirescreenError: a host cannot be inspected.
    """
    seen: list[str] = []
    for check in checks:
        try:
            seen += _VOCABULARY[check.kind](check, look, patience)
        except NotYet as missing:
            return CheckResult(False, plain(missing.what, 600), plain(missing.todo, 600), tuple(seen))
    return CheckResult(True, seen[-1] if seen else "", "", tuple(seen))


_VOCABULARY: dict[str, Callable[[Check, Look, float], list[str]]] = {
    "serves": server.serves,
    "certificate": server.certificate,
    "web-config": server.web_config,
    "closed": server.file_mode_is_strict,
    "prometheus": prometheus.prometheus,
    "sends-password": prometheus.sends_password,
    "query": prometheus.query,
    "alerts": prometheus.alerts,
    "answers": access.answers,
    "noted": artifacts.note_has_value,
    "grafana": artifacts.grafana_source,
    "key-stays": artifacts.key_stays,
    "container": containers.container,
    "door": front_door.door,
    "hidden": front_door.hidden,
}
