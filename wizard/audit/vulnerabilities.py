"""Known vulnerabilities and the versions that have them fixed, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from wizard.audit.report import Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Vulnerability:
    """One CVE in one component.

    check: the check that tells of it. fixed: the first version without it; of several lines of versions, one each
    ('8.0.7', '8.1.8'), oldest first. since: the first version that has it, '' for all before.
    """

    cve: str
    check: str
    component: str
    severity: Severity
    fixed: tuple[str, ...]
    what: str
    since: str = ""


BYPASS: Final = "basic authentication can be bypassed by poisoning its cache"

VULNERABILITIES: Final = (
    *(
        Vulnerability(
            cve="CVE-2022-46146",
            check="CVE-01",
            component=component,
            severity="high",
            fixed=(version,),
            what=BYPASS,
        )
        for component, version in (
            ("prometheus", "2.40.4"),
            ("node_exporter", "1.4.1"),
            ("pushgateway", "1.5.1"),
            ("blackbox_exporter", "0.23.0"),
            ("alertmanager", "0.25.0"),
        )
    ),
)
