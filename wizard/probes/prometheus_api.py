"""Reads targets and `up` from Prometheus' API, with the TLS settings and the password of a probe."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeAlias

from wizard.certificates import one_line
from wizard.model import Attempt, Probe
from wizard.probes.attempts import run
from wizard.probes.socket_deadline import Dial
from wizard.redact import redact

Ask: TypeAlias = Literal["targets", "up"]
PATHS: Final[Mapping[Ask, str]] = {
    "targets": "/api/v1/targets?state=active",
    "up": "/api/v1/query?query=up",
}
_NO_ANSWER: Final = "this is not an answer of Prometheus' API"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One target as Prometheus' API reports it; texts are one line each, without control characters."""

    job: str
    instance: str
    url: str = ""
    health: str
    """'up', 'down' or 'unknown'; from a query for `up`, by its last value."""
    error: str = ""
    """Prometheus' lastError; '' from a query for `up`."""
    scraped: str = ""
    """The time of the last scrape, as formatted by Prometheus."""


def api_url(url: str, ask: Ask) -> str:
    """The API URL of the Prometheus at `url` (its root, or any of its pages under /api, /targets, /metrics …)."""
    root = url.partition("?")[0].partition("#")[0]
    for page in ("/api/", "/targets", "/metrics", "/graph", "/query", "/-/"):
        head, found, _ = root.partition(page)
        if found and "://" in head:
            root = head
    return root.rstrip("/") + PATHS[ask]


def ask_prometheus(probe: Probe, ask: Ask, *, dial: Dial | None = None) -> tuple[Attempt, tuple[Target, ...]]:
    """Queries the Prometheus at `probe.url`; the targets are empty if it did not answer. Never raises.

    The outcome is 'other' if the response is not one of Prometheus' API.
    """
    bodies: list[bytes] = []
    attempt = run(replace(probe, url=api_url(probe.url, ask)), dial=dial, on_body=bodies.append)
    if attempt.outcome != "200":
        return attempt, ()
    try:
        data = json.loads(bodies[0])["data"]
        rows = _targets(data["activeTargets"]) if ask == "targets" else _samples(data["result"])
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        return replace(attempt, ok=False, outcome="other", reason=_NO_ANSWER, detail=_NO_ANSWER), ()
    return attempt, rows


def _targets(found: list[Mapping[str, Any]]) -> tuple[Target, ...]:
    return tuple(
        Target(
            job=_text((each.get("labels") or {}).get("job") or each.get("scrapePool")),
            instance=_text((each.get("labels") or {}).get("instance")),
            url=_text(each.get("scrapeUrl")),
            health=_text(each.get("health")),
            error=_text(each.get("lastError"), 1000),
            scraped=_text(each.get("lastScrape")),
        )
        for each in found
    )


def _samples(found: list[Mapping[str, Any]]) -> tuple[Target, ...]:
    return tuple(
        Target(
            job=_text(each["metric"].get("job")),
            instance=_text(each["metric"].get("instance")),
            health={"1": "up", "0": "down"}.get(str(each["value"][1]), "unknown"),
        )
        for each in found
    )


def _text(value: object, limit: int = 300) -> str:
    return one_line(redact(str(value or "")), limit)
