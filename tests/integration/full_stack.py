"""A practice stack of all five components for tests, queried by a client without our code.

The answers of Prometheus and Alertmanager are read with Python's own ssl and urllib, so that a bug in the
project's
probes cannot hide one in what they measure.
"""

from __future__ import annotations

import base64
import json
import ssl
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias, TypeVar
from urllib.parse import quote

from wizard import practice as practice_stack
from wizard.engine import Engine, Outcome
from wizard.model import CertificateSpec, Protection, Stack
from wizard.practice import PracticeStack
from wizard.workspace import Workspace

Levels: TypeAlias = Mapping[str, tuple[Protection, ...]]
"""Component -> its protection; one that is missing is unprotected."""

LEVELS: Mapping[str, tuple[Protection, ...]] = {
    "tls": ("tls",),
    "password": ("tls", "basic_auth"),
    "certificate": ("tls", "client_cert"),
    "both": ("tls", "basic_auth", "client_cert"),
}
SUITES = ("bookworm", "trixie", "sid")
JOBS: Mapping[str, str] = {
    "prometheus": "prometheus",
    "node": "node_exporter",
    "alertmanager": "alertmanager",
    "pushgateway": "pushgateway",
    "blackbox": "blackbox_exporter",
    "blackbox-http": "blackbox_exporter",
}
"""Each job of the whole practice stack, with the component that answers its scrapes."""
START = 8
"""Seconds: a Prometheus that starts begins to scrape only after its discovery's first five-second tick."""
_HOSTS = {"node_exporter": "srv1", "blackbox_exporter": "blackbox"}
_ALL_ITS_TIME = 0.95
"""Seconds after which a scrape with a timeout of one second has timed out, and was not rejected."""
_STOPPED = 3.0
"""Seconds without a sample after which Prometheus itself was down, and not only busy."""
_LIMIT = 40.0
"""Seconds after which waiting for something is a failure."""

_BY_CA = CertificateSpec()
_T = TypeVar("_T")


def wait_until(check: Callable[[], tuple[bool, _T]], what: str, *, limit: float = _LIMIT) -> _T:
    """Waits until `look` returns (true, value), and returns the value; fails with the last value."""
    deadline = time.monotonic() + limit
    while True:
        is_reached, found = check()
        if is_reached:
            return found
        assert time.monotonic() < deadline, f"{what}: {found}"
        time.sleep(0.1)


@dataclass
class FullStack:
    """A running practice stack of all components, its engine, and the present protection of its components."""

    practice: PracticeStack
    engine: Engine
    levels: Levels = field(default_factory=dict)

    @property
    def root(self) -> Path:
        """Returns the workspace."""
        return self.engine.workspace.root

    def stack(self, levels: Levels, certificates: CertificateSpec = _BY_CA, **settings: Any) -> Stack:
        """Returns the stack with these levels; `settings` apply to every protected component."""
        plain = practice_stack.stack(self.root)
        return replace(
            plain,
            certificates=certificates,
            components=tuple(
                replace(each, protect=levels.get(each.name, ()), **(settings if each.name in levels else {}))
                for each in plain.components
            ),
        )

    def apply(self, stack: Stack) -> Outcome:
        """Plans and applies a stack, which must be verified, and remembers its levels."""
        outcome = self.engine.apply(self.engine.plan(stack))
        self.check_verified(outcome, stack)
        return outcome

    def check_verified(self, outcome: Outcome, stack: Stack) -> None:
        """Checks that a run was verified, with every probe as expected, and remembers the levels."""
        bad = [(each.probe.id, each.probe.expect, each.outcome, each.reason) for each in outcome.attempts]
        bad = [each for each, attempt in zip(bad, outcome.attempts, strict=True) if not attempt.ok]
        details = (outcome.state, str(outcome.error or ""), getattr(outcome.error, "log", ()), bad)
        assert outcome.state == "proven" and not bad, details
        self.levels = {each.name: each.protect for each in stack.components if each.protect}

    def undo(self) -> None:
        """Undoes the newest run; everything is unprotected then."""
        outcome = self.engine.undo()
        assert (outcome.state, outcome.error) == ("undone", None)

    def file(self, component: str, name: str) -> Path:
        """Returns a file in the etc folder of a component."""
        return self.etc(component) / name

    def etc(self, component: str) -> Path:
        """Returns the folder of a component's configuration."""
        return Path(self.practice.folder) / _HOSTS.get(component, component) / "etc" / component

    def arguments(self, component: str) -> Path:
        """Returns the file with a component's flags."""
        return Path(self.practice.host(_HOSTS.get(component, component)).service_folder) / "arguments"

    def listen(self, component: str) -> str:
        """Returns a component's address:port."""
        return self.practice.host(_HOSTS.get(component, component)).listen

    def get(self, component: str, path: str) -> bytes:
        """Returns the answer of a component, requested with the credentials that its level requires."""
        level = self.levels.get(component, ())
        handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
        request = urllib.request.Request(f"{'https' if level else 'http'}://{self.listen(component)}{path}")
        if level:
            label = f"{_HOSTS.get(component, component)}-{component}"
            context = ssl.create_default_context(cafile=str(self.root / "trust" / f"{label}.crt"))
            if "client_cert" in level:
                pair = (self.root / "clients" / f"firescreen.{end}" for end in ("crt", "key"))
                context.load_cert_chain(*map(str, pair))
            handlers.append(urllib.request.HTTPSHandler(context=context))
        if "basic_auth" in level:
            password = (self.root / "users" / "prometheus.password").read_text()
            login = base64.b64encode(f"prometheus:{password}".encode()).decode()
            request.add_header("Authorization", f"Basic {login}")
        with urllib.request.build_opener(*handlers).open(request, timeout=5) as answer:
            return bytes(answer.read())

    def get_json(self, component: str, path: str) -> Any:
        """Returns the answer as JSON."""
        return json.loads(self.get(component, path))

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Returns the result of a query to Prometheus."""
        answer = self.get_json("prometheus", f"/api/v1/query?query={quote(expression, safe='')}")
        return list(answer["data"]["result"])

    def wait_until_all_up(self, since: float) -> None:
        """Waits until Prometheus reports up = 1 for every job, scraped after `since` with the expected scheme."""
        wait_until(lambda: self._up(since), "not every job is up")

    def _up(self, since: float) -> tuple[bool, Any]:
        try:
            targets = self.get_json("prometheus", "/api/v1/targets?state=active")["data"]["activeTargets"]
            up = {_target(row): row["value"][1] for row in self.query("up")}
            fresh = {_target(row): float(row["value"][1]) for row in self.query("timestamp(up)")}
        except OSError as problem:  # Prometheus itself may be restarting
            return False, problem
        found = {
            target["labels"]["job"]: (
                target["health"],
                target["scrapeUrl"].partition(":")[0],
                target["lastError"],
            )
            for target in targets
        }
        wanted = {
            job: ("up", "https" if self.levels.get(component) else "http", "")
            for job, component in JOBS.items()
        }
        # A removed target may still have its last sample for some minutes.
        active = {(target["labels"]["job"], target["labels"]["instance"]) for target in targets}
        good = found == wanted and all(up.get(each) == "1" and fresh[each] > since for each in active)
        return good, (found, up, fresh, since)

    def wait_for_alert(self, since: float) -> None:
        """Waits until Alertmanager has the alert that always fires, sent by Prometheus after `since`."""

        def check() -> tuple[bool, Any]:
            try:
                alerts = self.get_json("alertmanager", "/api/v2/alerts")
            except OSError as problem:
                return False, problem
            mine = [alert for alert in alerts if alert["labels"].get("alertname") == "Watchdog"]
            return any(_seconds(alert["updatedAt"]) > since for alert in mine), alerts

        wait_until(check, "the alert does not arrive")

    def wait_for_probe_success(self, since: float) -> None:
        """Waits until Prometheus has probe_success 1 from the blackbox exporter after `since`, and no 0."""

        def check() -> tuple[bool, Any]:
            rows = self.query(f"probe_success and timestamp(probe_success) > {since}")
            return [row["value"][1] for row in rows] == ["1"], rows

        wait_until(check, "the blackbox exporter does not get through")


def _target(row: Mapping[str, Any]) -> tuple[str, str]:
    return row["metric"]["job"], row["metric"]["instance"]


def _seconds(stamp: str) -> float:
    """Returns the Unix time of an RFC 3339 time with any number of decimals, to the microsecond."""
    head, _, rest = stamp.partition(".")
    digits = rest[:6].rstrip("Z+-:") if rest else "0"
    moment = datetime.fromisoformat(f"{head.removesuffix('Z')}+00:00")
    return moment.timestamp() + float(f"0.{digits or 0}")


@contextmanager
def full_stack(workspace: Path, cache: Path, *, suite: str = "") -> Iterator[FullStack]:
    """Starts a practice stack of all components, unprotected and scraped once; removes it afterwards."""
    place = Workspace(workspace)
    place.ensure()
    try:
        begin = time.time()
        found = practice_stack.up(workspace, cache, suite=suite, components=practice_stack.WHOLE)
        running_stack = FullStack(found, Engine(place))
        running_stack.wait_until_all_up(begin)
        yield running_stack
    finally:
        practice_stack.down(workspace, remove=True)


@dataclass(frozen=True)
class LostScrapes:
    """The failed and missing scrapes of a target in a window, at an interval of one second."""

    failed: int
    """Scrapes that were made and failed (up = 0) before their time was over: somebody said no."""
    late: int
    """Scrapes that failed because nobody answered within their second: the machine was busy."""
    missing: int
    """Scrapes that were not made: intervals without a sample."""
    widest: float
    """Seconds between two samples."""
    aborted: int = 0
    """Those of `failed` after which no scrape was made for a while: Prometheus aborts what runs as it stops."""

    @property
    def scrapes(self) -> int:
        """Returns the number of lost scrapes."""
        return self.failed + self.late + self.missing


def lost_scrapes_by_job(running_stack: FullStack, begin: float, end: float) -> dict[str, LostScrapes]:
    """Returns job -> lost scrapes between two moments (Unix time), from Prometheus' own samples."""
    return lost_scrapes(running_stack.query, JOBS, begin, end)


def lost_scrapes(
    query: Callable[[str], list[dict[str, Any]]],
    keys: Iterable[str],
    begin: float,
    end: float,
    *,
    label: str = "job",
) -> dict[str, LostScrapes]:
    """Returns the scrapes that each target lost between two moments (Unix time), from Prometheus' own samples.

    Waits for two samples of each target after `end`, so that the window is complete.

    Args:
        query: asks Prometheus.
        keys: the values of `label`, one for each target.
    """

    def samples(name: str) -> dict[str, list[tuple[float, str]]]:
        span = int(time.time() - begin) + 3
        seen: dict[str, list[tuple[float, str]]] = {key: [] for key in keys}
        for row in query(f"{name}[{span}s]"):
            seen[row["metric"][label]] += [(float(at), value) for at, value in row["values"]]
        return seen

    def check() -> tuple[bool, dict[str, list[tuple[float, str]]]]:
        seen = samples("up")
        later = [sum(at > end for at, _ in values) for values in seen.values()]
        return min(later) >= 2, {job: sorted(values) for job, values in seen.items()}

    found = wait_until(check, "no samples after the run")
    took = {job: dict(values) for job, values in samples("scrape_duration_seconds").items()}
    lost_by_key = {}
    for job, values in found.items():
        # The first sample before the window counts as its start: a gap at the very beginning is found too.
        window = [(at, value) for at, value in values if at >= begin - 1.5]
        gaps = [later - earlier for (earlier, _), (later, _) in pairwise(window)]
        down = [float(took[job].get(at, "0")) >= _ALL_ITS_TIME for at, value in window if value == "0"]
        lost_by_key[job] = LostScrapes(
            failed=down.count(False),
            late=down.count(True),
            missing=sum(max(0, round(gap) - 1) for gap in gaps),
            widest=round(max(gaps), 2),
            aborted=sum(
                value == "0" and float(took[job].get(at, "0")) < _ALL_ITS_TIME and gap >= _STOPPED
                for (at, value), gap in zip(window, gaps, strict=False)
            ),
        )
    return lost_by_key
