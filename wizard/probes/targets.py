"""Reads from Prometheus' API whether its scrapes of an instance succeed, which decides a verification."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlsplit

from wizard import endpoints
from wizard.certificates import one_line
from wizard.model import Probe


@dataclass(frozen=True, slots=True)
class TargetState:
    """The state of a target: `outcome` is 'up', 'down' or 'error', `reason` is Prometheus' lastError."""

    outcome: str
    reason: str
    detail: str
    pending: bool = False
    """Whether it was not scraped since `Probe.not_before` yet."""
    scrape_url: str = ""


def targets_url(probe: Probe) -> str:
    """The API URL for active targets; with a job only its own (the parameter is ignored before Prometheus 2.44)."""
    pool = f"&scrapePool={quote(probe.job, safe='')}" if probe.job else ""
    return f"{probe.url.rstrip('/')}/api/v1/targets?state=active{pool}"


def judge(probe: Probe, body: bytes) -> TargetState:
    """The state of the probe's instance in a response of the API; of several targets, the worst."""
    try:
        document = json.loads(body)
        targets = document["data"]["activeTargets"]
        found = [target for target in targets if _is_target(probe, target)]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return TargetState("error", "this is not an answer of Prometheus' targets API", "")
    if not found:
        job = f" in the job {one_line(probe.job, 100)}" if probe.job else ""
        reason = f"Prometheus has no target {one_line(probe.instance, 100)}{job}"
        return TargetState("down", reason, "the job may have been dropped while loading: see Prometheus' log")
    states = [_state(probe, target) for target in found]
    return next((state for state in states if state.outcome != "up"), states[0])


def _is_target(probe: Probe, target: Mapping[str, Any]) -> bool:
    labels, discovered = target.get("labels") or {}, target.get("discoveredLabels") or {}
    if probe.job and probe.job not in (labels.get("job"), target.get("scrapePool"), discovered.get("job")):
        return False
    try:
        scraped = urlsplit(str(target.get("scrapeUrl", "")))
    except ValueError:
        scraped = urlsplit("")
    if probe.instance in (scraped.netloc, labels.get("instance"), discovered.get("__address__")):
        return True
    # Prometheus 3 leaves out the default port of the scheme.
    return bool(scraped.netloc) and endpoints.split(scraped.netloc, scraped.scheme) == endpoints.split(
        probe.instance
    )


def _state(probe: Probe, target: Mapping[str, Any]) -> TargetState:
    stamp = str(target.get("lastScrape", ""))
    url = one_line(str(target.get("scrapeUrl", "")))
    detail = one_line(f"{url}, last scraped {stamp or 'never'}")
    if target.get("health") == "unknown":
        return TargetState("down", "not scraped yet", detail, pending=True, scrape_url=url)
    if time_of(stamp) < probe.not_before:
        return TargetState("down", "not scraped yet since the change", detail, pending=True, scrape_url=url)
    if target.get("health") == "up":
        return TargetState("up", "", detail, scrape_url=url)
    return TargetState("down", one_line(str(target.get("lastError", "")), 1000), detail, scrape_url=url)


def time_of(stamp: str) -> float:
    """The unix time of an RFC 3339 time with up to nine decimals (Python parses six); 0 if it is invalid."""
    head, dot, rest = stamp.partition(".")
    digits = len(rest) - len(rest.lstrip("0123456789"))
    text = f"{head}{dot}{rest[: min(digits, 6)]}{rest[digits:]}" if dot else stamp
    try:
        moment = datetime.fromisoformat(text)
        return moment.timestamp() if moment.tzinfo else 0.0
    except (ValueError, OverflowError):
        return 0.0
