"""Checks of versions for known vulnerabilities. A distribution's version is uncertain: it may include a backported fix."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from wizard.audit.report import SEVERITIES, Check
from wizard.audit.subjects import Found, HostView, Seen, ServerView, Skipped, Unseen
from wizard.audit.vulnerabilities import VULNERABILITIES, Vulnerability
from wizard.components.base import numbers
from wizard.model import Service
from wizard.redact import plain

_OF_DISTRIBUTION: Final = re.compile(r"\+ds|\+dfsg|~deb|ubuntu|\.el\d|\.fc\d|\+security")


def affects(vulnerability: Vulnerability, version: str) -> bool:
    """Whether a version has a vulnerability, by its number alone.

    If there are several fixed versions, each is for its own release line (8.0, 8.1 …); all later versions are fixed.
    """
    installed = numbers(version)
    if vulnerability.since and installed < numbers(vulnerability.since):
        return False
    fixed = [numbers(each) for each in vulnerability.fixed]
    if installed >= fixed[-1]:
        return False
    return not any(installed[:2] == first[:2] and installed >= first for first in fixed)


def is_packaged(host: HostView, service: Service) -> bool:
    """Whether the program was probably built by a distribution."""
    practice = host.facts.spec.connect == "practice"
    return bool(
        host.packages.get(service.program)
        or is_marked_by_distribution(service.version)
        or (practice and ("/packages/" in service.program or service.program.startswith("/usr/bin/")))
    )


def is_marked_by_distribution(version: str) -> bool:
    """Whether the version string shows that a distribution built it."""
    return bool(_OF_DISTRIBUTION.search(version))


def vulnerability_finding(
    listed: list[Vulnerability], component: str, version: str, package: str, *, packaged: bool
) -> Found | None:
    """One finding for all vulnerabilities of a version; None if it has none."""
    affecting = [each for each in listed if affects(each, version)]
    if not affecting:
        return None
    named = ", ".join(f"{each.cve} ({each.what}; fixed in {', '.join(each.fixed)})" for each in affecting)
    evidence = f"{component} {plain(version, 60)}: {named}"
    if packaged:
        source = f"the package {plain(package, 100)}" if package else "a distribution's version"
        evidence = f"possibly: {evidence}. This is {source}, which may have a fix under an older number"
    worst = min((each.severity for each in affecting), key=SEVERITIES.index)
    return Found(
        evidence=evidence, severity="low" if packaged else worst, certain=not packaged, component=component
    )


def _known_vulnerabilities(server: ServerView, check: str) -> Seen:
    service = server.service
    listed = [each for each in VULNERABILITIES if each.check == check and each.component == service.component]
    if not listed:
        yield Skipped()
    elif not service.version:
        yield Unseen("its version is not known")
    else:
        package = server.host.packages.get(service.program, "")
        packaged = is_packaged(server.host, service)
        if found := vulnerability_finding(
            listed, service.component, service.version, package, packaged=packaged
        ):
            yield replace(found, component="")


def _authentication_bypass(server: ServerView) -> Seen:
    yield from _known_vulnerabilities(server, "CVE-01")


def _others(server: ServerView) -> Seen:
    yield from _known_vulnerabilities(server, "CVE-02")


CHECKS: Final = (
    Check(
        id="CVE-01",
        severity="high",
        title="Basic authentication can be bypassed (CVE-2022-46146)",
        means=("unit",),
        looks_at="Compares each component's version with the first one that is fixed. A distribution's version is "
        "answered with 'possibly', and low: it may have the fix under an older number.",
        why="Whoever knows a hash of web.yml is accepted without the password.",
        remediation="Update the program to a version that is fixed",
        look=_authentication_bypass,
    ),
    Check(
        id="CVE-02",
        severity="medium",
        title="A known vulnerability of this version",
        means=("unit",),
        looks_at="Compares the versions of Prometheus and Alertmanager with those in which vulnerabilities were fixed. "
        "A distribution's version is answered with 'possibly', and low.",
        why="See the advisory of the CVE that the evidence names.",
        remediation="Update the program to a version that is fixed",
        components=("prometheus", "alertmanager"),
        look=_others,
    ),
)
