"""The settings of a front door beyond TLS and login, as data: each with its purpose and its risks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from wizard.model import Blocked


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardening:
    """One setting of a front door in the stack file."""

    key: str
    title: str
    why: str
    breaks: str = ""
    """What it can break; '' for nothing."""

    @property
    def name(self) -> str:
        """Its key as one word: `block_lifecycle`."""
        return self.key.replace(": ", "_")


SETTINGS: Final[tuple[Hardening, ...]] = (
    Hardening(
        key="block: lifecycle",
        title="Block reload and shutdown",
        why="/-/reload and /-/quit reload or stop a component that runs with --web.enable-lifecycle.",
        breaks="A program that reloads Prometheus through the front door.",
    ),
    Hardening(
        key="block: admin_api",
        title="Block the admin API",
        why="/api/v1/admin deletes measurements of a Prometheus or all groups of a Pushgateway, where it is enabled.",
        breaks="A program that takes snapshots through the front door.",
    ),
    Hardening(
        key="max_body_size",
        title="Largest request, in MB",
        why="nginx answers 413 above 1 MB by default: remote_write and large pushes then lose samples.",
    ),
    Hardening(
        key="hsts_days",
        title="Strict-Transport-Security, in days",
        why="Browsers use nothing but https for this name, on every port, until the days are over.",
        breaks="Every other http service under the same name, for as long as browsers remember it.",
    ),
    Hardening(
        key="headers",
        title="Security headers",
        why="Other sites cannot show the pages in a frame, and browsers do not guess the type of a response.",
        breaks="Pages of Prometheus or Alertmanager in a frame of another site.",
    ),
    Hardening(
        key="timeout",
        title="Longest response, in seconds",
        why="Prometheus works on a query for up to 2 minutes; a proxy gives up after one by default.",
    ),
    Hardening(
        key="rate_limit",
        title="Requests a second from one address",
        why="Whoever tries passwords, or asks too much, gets 429 above that, counted over 10 seconds, 100 at least; 0 is no limit. nginx and HAProxy can do that.",
        breaks="Many people behind one address (NAT), and dashboards with many panels.",
    ),
    Hardening(
        key="cors",
        title="Origins that may read responses (CORS)",
        why="Pages of these sites, such as https://grafana.example.net, may read responses in a browser; no others can.",
        breaks="",
    ),
)

BURST_SECONDS: Final = 10
LEAST_BURST: Final = 100
"""Simultaneous requests that every rate limit allows: enough for a page with its assets, or for Firescreen's probes."""


def burst(rate_limit: int) -> int:
    """The requests that one address may send in `BURST_SECONDS`, for a limit in requests a second."""
    return max(rate_limit * BURST_SECONDS, LEAST_BURST)


TUNNEL_SECONDS: Final = 3600
"""Seconds after which an idle WebSocket is closed."""

BLOCKED: Final[dict[Blocked, tuple[str, ...]]] = {
    "lifecycle": ("/-/reload", "/-/quit"),
    "admin_api": ("/api/v1/admin",),
}
"""The paths that each kind of block closes, below the prefix, with everything below them."""

CORS_HEADERS: Final = tuple(
    f"Access-Control-{name}" for name in ("Allow-Origin", "Allow-Methods", "Allow-Headers", "Expose-Headers")
)
"""Headers about other origins that components send themselves (Prometheus allows all). A front door replaces them."""

CORS_ALLOWED: Final[tuple[tuple[str, str], ...]] = (
    ("Access-Control-Allow-Credentials", "true"),
    ("Access-Control-Allow-Methods", "GET, POST, OPTIONS"),
    ("Access-Control-Allow-Headers", "Authorization, Content-Type"),
    ("Vary", "Origin"),
)
"""Response headers for a page of an allowed origin, besides the one with its origin."""

HEADERS: Final[tuple[tuple[str, str], ...]] = (
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "SAMEORIGIN"),
    ("Referrer-Policy", "same-origin"),
)
"""The headers that the setting `headers` adds to every response."""
