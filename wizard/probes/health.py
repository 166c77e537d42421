"""Reads from Prometheus' API the state of its targets, Alertmanagers, rules and remote_write queues."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlsplit

from wizard.certificates import one_line
from wizard.config_files.durations import seconds
from wizard.model import (
    AlertmanagerHealth,
    NotificationHealth,
    Probe,
    ProbedHealth,
    PrometheusHealth,
    RemoteWriteHealth,
    RuleHealth,
    TargetHealth,
)
from wizard.probes.attempts import run
from wizard.probes.socket_deadline import Dial
from wizard.probes.targets import time_of
from wizard.redact import redact

TARGETS: Final = "/api/v1/targets?state=active"
_ALERTMANAGERS: Final = "/api/v1/alertmanagers"
_RULES: Final = "/api/v1/rules"
_ALERTS: Final = "/api/v1/alerts"
_METRICS: Final = "/metrics"
_PROBED: Final = "/api/v1/query?query=probe_success"
_SAMPLE: Final = re.compile(
    r"^(prometheus_(?:config_last_reload_success(?:ful|_timestamp_seconds)|remote_storage_samples_(?:(?:retried_|failed_)?total|pending)"
    r"|remote_storage_queue_highest_sent_timestamp_seconds))"
    r"(\{[^}]*\})? (\S+)",
    re.MULTILINE,
)
_NOTIFICATIONS: Final = re.compile(
    r"^prometheus_notifications_(sent|errors)_total(\{[^}]*\}) (\S+)", re.MULTILINE
)
_LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_PATIENCE: Final = 10.0
"""Time limit of one query in seconds: a response with five thousand targets has about 8 MB."""


class Monitor:
    """A client for the API of one Prometheus. Of several ways to connect, the first that succeeds is used from then on.

    Args:
        host: the name of its host.
        component: e.g. prometheus.
        ways: probes with its root URL and credentials, see `Watched`.
        dial: see `attempts.run`.
        cancel: ends queries early.
        interval: returns scrape interval and timeout of a job in seconds, for versions that do not report them.
    """

    def __init__(
        self,
        host: str,
        component: str,
        ways: Sequence[Probe],
        *,
        dial: Dial | None = None,
        cancel: threading.Event | None = None,
        interval: Callable[[str], tuple[float, float]] = lambda job: (60.0, 10.0),
    ) -> None:
        self._host, self._component = host, component
        self._ways = tuple(ways)
        self._dial, self._cancel = dial, cancel
        self._interval = interval

    def targets(self) -> tuple[str, tuple[TargetHealth, ...]]:
        """The error ('' if there was none), and the active targets sorted by job and labels."""
        why, data = self._api(TARGETS)
        if why:
            return why, ()
        rows = data.get("activeTargets") or []
        found = [self._target(row) for row in rows if isinstance(row, dict)]
        return "", tuple(sorted(found, key=lambda each: (each.pool, each.identity)))

    def look(self) -> PrometheusHealth:
        """Reads everything that it reports. Never raises."""
        why, targets = self.targets()
        known = PrometheusHealth(host=self._host, component=self._component, unanswered=why, targets=targets)
        if why:
            return known
        reloaded, loaded, writes = self._metrics()
        return replace(
            known,
            alertmanagers=self.alertmanagers(),
            rules=self.rules(),
            reloaded=reloaded,
            loaded=loaded,
            remote_writes=writes,
            probed=self.probe_results(),
        )

    def alertmanagers(self) -> tuple[AlertmanagerHealth, ...]:
        """The Alertmanagers to which it sends; their own status is not requested."""
        rows = self._api(_ALERTMANAGERS)[1].get("activeAlertmanagers") or []
        return tuple(AlertmanagerHealth(url=_text(row.get("url"))) for row in rows if isinstance(row, dict))

    def rules(self) -> tuple[RuleHealth, ...]:
        """The loaded rules."""
        found = []
        for group in self._api(_RULES)[1].get("groups") or []:
            name = f"{_text(group.get('file'))} {_text(group.get('name'))}"
            for row in group.get("rules") or []:
                health = str(row.get("health"))
                found.append(
                    RuleHealth(
                        group=name,
                        name=_text(row.get("name")),
                        health=health if health in ("ok", "err") else "unknown",  # type: ignore[arg-type]
                        error=_text(row.get("lastError"), 500),
                        evaluated=time_of(str(row.get("lastEvaluation", ""))),
                        interval=_number(group.get("interval"), 60.0),
                    )
                )
        return tuple(found)

    def probe_results(self) -> tuple[ProbedHealth, ...]:
        """The latest results of blackbox exporters in its storage."""
        found = []
        for row in self._api(_PROBED)[1].get("result") or []:
            labels = {str(name): _text(value) for name, value in _as_mapping(row.get("metric")).items()}
            at, value = row.get("value") or (0, "")
            found.append(ProbedHealth(labels=labels, success=str(value) == "1", at=_number(at, 0.0)))
        return tuple(sorted(found, key=lambda each: each.identity))

    def remote_writes(self) -> tuple[RemoteWriteHealth, ...]:
        """The remote_write queues, from its own metrics."""
        return self._metrics()[2]

    def notifications(self) -> tuple[NotificationHealth, ...]:
        """The counters of notifications to each Alertmanager, from its own metrics."""
        outcome, body = self._get(_METRICS)
        found: dict[str, dict[str, float]] = {}
        for name, labels, value in (
            _NOTIFICATIONS.findall(body.decode("utf-8", "replace")) if not outcome else ()
        ):
            url = dict(_LABEL.findall(labels)).get("alertmanager", "")
            found.setdefault(url, {})[name] = _number(value, 0.0)
        return tuple(
            NotificationHealth(url=_text(url), sent=each.get("sent", 0.0), errors=each.get("errors", 0.0))
            for url, each in found.items()
        )

    def is_alerting(self) -> bool:
        """Whether an alert is firing now, which is sent repeatedly."""
        rows = self._api(_ALERTS)[1].get("alerts") or []
        return any(isinstance(row, dict) and row.get("state") == "firing" for row in rows)

    def last_reload_succeeded(self) -> bool | None:
        """Whether its last reload succeeded; None if unknown."""
        return self._metrics()[0]

    def _metrics(self) -> tuple[bool | None, float, tuple[RemoteWriteHealth, ...]]:
        outcome, body = self._get(_METRICS)
        if outcome:
            return None, 0.0, ()
        reloaded: bool | None = None
        loaded = 0.0
        queues: dict[tuple[str, str], dict[str, float]] = {}
        for name, labels, value in _SAMPLE.findall(body.decode("utf-8", "replace")):
            if name == "prometheus_config_last_reload_successful":
                reloaded = _number(value, 0.0) == 1
                continue
            if name == "prometheus_config_last_reload_success_timestamp_seconds":
                loaded = _number(value, 0.0)
                continue
            named = dict(_LABEL.findall(labels))
            queue = queues.setdefault((named.get("remote_name", ""), named.get("url", "")), {})
            queue[name.removeprefix("prometheus_remote_storage_").removeprefix("samples_")] = _number(
                value, 0.0
            )
        return (
            reloaded,
            loaded,
            tuple(
                RemoteWriteHealth(
                    name=_text(name),
                    url=_text(url),
                    # The total includes failed and retried samples.
                    delivered=each.get("total", 0.0)
                    - each.get("failed_total", 0.0)
                    - each.get("retried_total", 0.0),
                    failed=each.get("failed_total", 0.0),
                    pending=each.get("pending", 0.0),
                    newest=each.get("queue_highest_sent_timestamp_seconds", 0.0),
                )
                for (name, url), each in queues.items()
            ),
        )

    def _api(self, path: str) -> tuple[str, Mapping[str, Any]]:
        why, body = self._get(path)
        if why:
            return why, {}
        try:
            document = json.loads(body)
            data = document["data"]
            if not isinstance(data, dict):
                raise TypeError
        except (ValueError, KeyError, TypeError, RecursionError):
            return "the answer is not one of Prometheus' API", {}
        return "", data

    def _get(self, path: str) -> tuple[str, bytes]:
        """The error ('' if there was none), and the body of the response."""
        first = "no way to ask it is known"
        for number, way in enumerate(self._ways):
            bodies: list[bytes] = []
            probe = replace(way, url=f"{way.url.rstrip('/')}{path}", timeout=_PATIENCE)
            attempt = run(probe, cancel=self._cancel, dial=self._dial, on_body=bodies.append)
            if attempt.outcome == "200":
                self._ways = (way,)
                return "", bodies[0]
            if not number:
                first = attempt.reason or f"it answered {attempt.outcome}"
        return first, b""

    def _target(self, row: Mapping[str, Any]) -> TargetHealth:
        labels = {str(name): _text(value) for name, value in _as_mapping(row.get("labels")).items()}
        discovered = {
            str(name): str(value) for name, value in _as_mapping(row.get("discoveredLabels")).items()
        }
        pool = _text(row.get("scrapePool") or labels.get("job"))
        health = str(row.get("health"))
        interval, timeout = (
            seconds(str(row.get("scrapeInterval", ""))),
            seconds(str(row.get("scrapeTimeout", ""))),
        )
        usual = self._interval(pool) if not interval else (interval, timeout)
        url = _text(row.get("scrapeUrl"), 1000)
        return TargetHealth(
            pool=pool,
            labels=labels,
            address=_text(discovered.get("__address__")) or _endpoint(url),
            url=url,
            health=health if health in ("up", "down") else "unknown",  # type: ignore[arg-type]
            error=_text(row.get("lastError"), 1000),
            scraped=time_of(str(row.get("lastScrape", ""))),
            interval=usual[0],
            timeout=usual[1],
            discovered=any(name.startswith("__meta_") and name != "__meta_filepath" for name in discovered),
        )


def _endpoint(url: str) -> str:
    try:
        return urlsplit(url).netloc
    except ValueError:
        return ""


def _as_mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(value: object, usual: float) -> float:
    try:
        return float(str(value))
    except ValueError:
        return usual


def _text(value: object, limit: int = 300) -> str:
    return one_line(redact(str(value or "")), limit)
