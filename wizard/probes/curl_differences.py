"""Explains why a request can succeed with curl and fail in Prometheus.

Each row is tested with real programs: the tests create the certificate, and make the request with curl and like
Prometheus.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from wizard.model import Attempt
from wizard.probes.metrics import fault


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference between the two; `words` say what curl does, what Prometheus does, and why."""

    id: str
    words: str
    applies: Callable[[Attempt, Mapping[str, str]], bool]


def _says(pattern: str) -> Callable[[Attempt, Mapping[str, str]], bool]:
    found = re.compile(pattern)
    return lambda attempt, _: attempt.outcome == "untrusted" and bool(found.search(attempt.reason))


def _only_common_name(attempt: Attempt, _: Mapping[str, str]) -> bool:
    """Whether the certificate only has SANs of other types (e-mail, URI), and the requested name as CN."""
    match = re.search(
        r"not valid for any names, but wanted to match (\S+)$|cannot validate certificate for (\S+) because",
        attempt.reason,
    )
    if match is None or attempt.tls is None or not attempt.tls.chain or attempt.tls.chain[0].names:
        return False
    name = (match[1] or match[2]).lower()
    return f"cn={name}" in attempt.tls.chain[0].subject.lower().split(",")


def _unsuccessful(attempt: Attempt, _: Mapping[str, str]) -> bool:
    return attempt.status not in (0, HTTPStatus.OK) and attempt.outcome == str(attempt.status)


def _uses_proxy(attempt: Attempt, environment: Mapping[str, str]) -> bool:
    target = urlsplit(attempt.probe.url)
    named = f"{target.scheme}_proxy"
    # curl only reads http_proxy in lower case.
    names = (named, "all_proxy", "ALL_PROXY", *(() if target.scheme == "http" else (named.upper(),)))
    if not any(environment.get(name) for name in names):
        return False
    excluded = environment.get("no_proxy", environment.get("NO_PROXY", "")).split(",")
    host = target.hostname or ""
    return not any(
        rule in ("*", host) or host.endswith(f".{rule}")
        for rule in (each.strip().strip("[]").removeprefix(".").lower() for each in excluded)
        if rule
    )


TABLE: Final = (
    Difference(
        "common-name",
        "curl with OpenSSL (curl -V names its library) accepts this certificate: it has no SAN, and curl falls back "
        "to its CN. Prometheus never reads the CN. Issue the certificate again with a SAN.",
        _says("relies on legacy Common Name"),
    ),
    Difference(
        "other-san",
        "curl with OpenSSL (curl -V names its library) accepts this certificate by its CN, as its SANs contain no host "
        "name and no address. Prometheus never reads the CN. Issue the certificate again with the name as SAN.",
        _only_common_name,
    ),
    Difference(
        "no-metrics",
        "curl shows 200 and does not parse the response. Prometheus does, and these are not metrics; check the path "
        "(/metrics, or metrics_path).",
        lambda attempt, _: bool(fault(attempt)),
    ),
    Difference(
        "status",
        "curl exits with 0 for any HTTP status (unless --fail is given). For Prometheus every status other than 200 is "
        "a failed scrape.",
        _unsuccessful,
    ),
    Difference(
        "proxy",
        "curl uses the proxy in this shell's environment (https_proxy, http_proxy or all_proxy). Prometheus does not, "
        "unless its job has proxy_url; add --noproxy '*' to the curl command.",
        _uses_proxy,
    ),
)


def differences(attempt: Attempt, environment: Mapping[str, str] | None = None) -> tuple[Difference, ...]:
    """The differences that apply to a request; () if curl would get the same result.

    Args:
        attempt: the result by Prometheus' rules.
        environment: the environment in which curl would run; by default that of this program.
    """
    return tuple(
        row for row in TABLE if row.applies(attempt, os.environ if environment is None else environment)
    )
