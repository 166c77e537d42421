"""The vocabulary of the labs' checks. Each asks the thing itself whether it is so, whichever way it came about.

A check that fails says what is not so yet and what to look at; it never says 'wrong'.
"""

from __future__ import annotations

from collections.abc import Callable

from wizard.labs import keeping, knocking, scraping, serving
from wizard.labs.content import Check
from wizard.labs.look import Look
from wizard.labs.verdicts import CheckResult, NotYet
from wizard.redact import plain

__all__ = ["CheckResult", "run"]


def run(checks: tuple[Check, ...], look: Look, *, patience: float = 0.0) -> CheckResult:
    """Makes the checks of a step in their order, until one is not so yet.

    Args:
        patience: seconds to wait for what takes its time by nature (a scrape); 0 for one look.

    Raises:
        FirescreenError: the practice stack cannot be looked at.
    """
    seen: list[str] = []
    for check in checks:
        try:
            seen += _VOCABULARY[check.kind](check, look, patience)
        except NotYet as missing:
            return CheckResult(False, plain(missing.what, 600), plain(missing.todo, 600), tuple(seen))
    return CheckResult(True, seen[-1] if seen else "", "", tuple(seen))


_VOCABULARY: dict[str, Callable[[Check, Look, float], list[str]]] = {
    "serves": serving.serves,
    "certificate": serving.certificate,
    "web-config": serving.web_config,
    "closed": serving.closed,
    "prometheus": scraping.prometheus,
    "sends-password": scraping.sends_password,
    "query": scraping.query,
    "alerts": scraping.alerts,
    "answers": knocking.answers,
    "noted": keeping.noted,
    "grafana": keeping.grafana_source,
    "key-stays": keeping.key_stays,
}
