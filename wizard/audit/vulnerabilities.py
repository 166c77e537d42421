"""A table of known vulnerabilities and the versions in which they are fixed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from wizard.audit.report import Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Vulnerability:
    """One CVE in one component.

    check: the id of the check that reports it. fixed: the first fixed version of each release line ('8.0.7', '8.1.8'),
    oldest first. since: the first affected version; '' if all versions before `fixed` are affected.
    """

    cve: str
    check: str
    component: str
    severity: Severity
    fixed: tuple[str, ...]
    what: str
    since: str = ""


_BYPASSED_BEFORE: Final = (
    ("prometheus", "2.40.4"),
    ("node_exporter", "1.4.1"),
    ("pushgateway", "1.5.1"),
    ("blackbox_exporter", "0.23.0"),
    ("alertmanager", "0.25.0"),
)
"""The first version of each component in which CVE-2022-46146 is fixed."""
# CVE, component, first affected version, first fixed versions, severity, description.
_ROWS: Final[tuple[tuple[str, str, str, tuple[str, ...], Severity, str], ...]] = (
    ("CVE-2021-29622", "prometheus", "2.23.0", ("2.26.1", "2.27.1"), "medium", "open redirect at /new"),
    ("CVE-2019-10215", "prometheus", "", ("2.13.0",), "medium", "cross-site scripting in the web page"),
    ("CVE-2026-40179", "prometheus", "", ("3.11.2",), "medium", "see the advisory"),
    ("CVE-2026-42151", "prometheus", "", ("3.11.3",), "medium", "see the advisory"),
    ("CVE-2026-42154", "prometheus", "", ("3.11.3",), "medium", "see the advisory"),
    ("CVE-2026-44990", "prometheus", "", ("3.13.0",), "medium", "see the advisory"),
    ("CVE-2026-56852", "prometheus", "", ("3.13.2",), "medium", "see the advisory"),
    ("CVE-2023-40577", "alertmanager", "", ("0.26.0",), "medium", "cross-site scripting by an alert"),
    (
        "CVE-2021-43798",
        "grafana",
        "8.0.0",
        ("8.0.7", "8.1.8", "8.2.7", "8.3.1"),
        "high",
        "anyone reads files of the host",
    ),
    ("CVE-2025-4123", "grafana", "", ("12.0.1",), "high", "an open redirect that runs scripts"),
)

VULNERABILITIES: Final = (
    *(
        Vulnerability(
            cve="CVE-2022-46146",
            check="CVE-01",
            component=component,
            severity="high",
            fixed=(version,),
            what="basic authentication can be bypassed by poisoning its cache",
        )
        for component, version in _BYPASSED_BEFORE
    ),
    *(
        Vulnerability(
            cve=cve,
            check="CVE-03" if component == "grafana" else "CVE-02",
            component=component,
            since=since,
            fixed=fixed,
            severity=severity,
            what=what,
        )
        for cve, component, since, fixed, severity, what in _ROWS
    ),
)
