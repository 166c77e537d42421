"""Known vulnerabilities by version. A distribution's version alone says little: it may have the fix without the number."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from wizard.audit.report import Check
from wizard.audit.subjects import Found, ServerView, Unseen
from wizard.audit.vulnerabilities import VULNERABILITIES, Vulnerability
from wizard.components.base import numbers

_OF_DISTRIBUTION: Final = re.compile(r"\+ds|\+dfsg|~deb|ubuntu|\.el\d|\.fc\d|[-+~]\d*deb")


def affects(vulnerability: Vulnerability, version: str) -> bool:
    """Whether a version has a vulnerability, by its number."""
    mine = numbers(version)
    if vulnerability.since and mine < numbers(vulnerability.since):
        return False
    for fixed in map(numbers, vulnerability.fixed):
        if mine >= fixed and (mine[:2] == fixed[:2] or fixed == numbers(vulnerability.fixed[-1])):
            return False
    return True


def _known(server: ServerView, check: str) -> Iterator[Found | Unseen]:
    service = server.service
    listed = [each for each in VULNERABILITIES if each.check == check and each.component == service.component]
    if not listed:
        return
    if not service.version:
        yield Unseen("its version is not known")
        return
    package = server.host.packages.get(service.program, "")
    packaged = package or (service.version if _OF_DISTRIBUTION.search(service.version) else "")
    for each in listed:
        if not affects(each, service.version):
            continue
        known = f"{service.component} {service.version}: {each.cve} ({each.what}), fixed in {', '.join(each.fixed)}"
        if packaged:
            of = f"package {package}" if package else "a distribution's version"
            known = f"possibly: {known}; this is {of}, which may have the fix under an older number"
        yield Found(evidence=known, severity=each.severity, certain=not packaged)


def _authentication_bypass(server: ServerView) -> Iterator[Found | Unseen]:
    yield from _known(server, "CVE-01")


CHECKS: Final = (
    Check(
        id="CVE-01",
        severity="high",
        title="Basic authentication can be bypassed (CVE-2022-46146)",
        means=("unit",),
        looks_at="Compares each component's version with the first one that is fixed.",
        why="Whoever knows a hash of web.yml is accepted without the password.",
        remediation="Update the program to a version that is fixed",
        scope="server",
        look=_authentication_bypass,
    ),
)
