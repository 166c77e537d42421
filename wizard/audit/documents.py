"""Converts a report to documents for other programs: JSON, SARIF 2.1.0, JUnit."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote
from xml.etree import ElementTree as ET

import wizard
from wizard.audit.catalogue import CHECKS
from wizard.audit.report import AuditFinding, AuditReport, Case, Check, NotChecked

_LEVELS: Final = {"high": "error", "medium": "warning", "low": "note"}
_SECURITY: Final = {"high": "8.0", "medium": "5.5", "low": "2.0"}
"""The severity of a rule as a CVSS score, by which code hosts sort results."""
_SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def as_json(report: AuditReport) -> dict[str, Any]:
    """A report as `audit --json` prints it: `assets/audit.schema.json`."""
    return {
        "version": 1,
        "stack": report.stack.source,
        "checked": report.checked,
        "could_not_check": [
            {"id": each.id, "host": each.host, "component": each.component, **_unit(each), "why": each.why}
            for each in report.could_not_check
        ],
        "score": report.score.value,
        "score_parts": [
            {
                "component": part.where,
                "points": part.points,
                "high": part.high,
                "medium": part.medium,
                "low": part.low,
            }
            for part in report.score.parts
        ],
        "baseline": list(report.baseline_notes),
        "findings": [
            {
                "id": each.id,
                "severity": each.severity,
                "host": each.host,
                "component": each.component,
                **_unit(each),
                "title": each.title,
                "evidence": each.evidence,
                "file": each.file,
                "line": each.line,
                "remediation": each.remediation,
                "step": each.step,
                "certain": each.certain,
                "baseline": each.baseline,
                **({"reason": each.reason} if each.baseline else {}),
            }
            for each in report.findings
        ],
    }


def check_fields(check: Check) -> dict[str, Any]:
    """The description of a check as `audit --explain ID --json` prints it."""
    return {
        "id": check.id,
        "severity": check.severity,
        "title": check.title,
        "means": list(check.means),
        "looks_at": check.looks_at,
        "why": check.why,
        "remediation": check.remediation,
        "step": check.step,
    }


def _unit(each: AuditFinding | NotChecked) -> dict[str, str]:
    return {"unit": each.instance} if each.instance else {}


# -- SARIF ---------------------------------------------------------------------------------------------------


def as_sarif(report: AuditReport) -> dict[str, Any]:
    """A report as SARIF 2.1.0: a rule for each check, a result for each finding."""
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "Firescreen",
                        "version": wizard.__version__,
                        "rules": [_rule(check) for check in CHECKS],
                    }
                },
                "invocations": [
                    {
                        "executionSuccessful": not report.could_not_check,
                        "toolExecutionNotifications": [
                            _sarif_notification(each) for each in report.could_not_check
                        ],
                    }
                ],
                "results": [_result(each) for each in report.findings],
                "columnKind": "unicodeCodePoints",
            }
        ],
    }


def _rule(check: Check) -> dict[str, Any]:
    return {
        "id": check.id,
        "shortDescription": {"text": check.title},
        "fullDescription": {"text": f"{check.looks_at} {check.why}"},
        "help": {"text": f"{check.remediation}."},
        "defaultConfiguration": {"level": _LEVELS[check.severity]},
        "properties": {"security-severity": _SECURITY[check.severity], "tags": ["security", *check.means]},
    }


def _result(finding: AuditFinding) -> dict[str, Any]:
    place: dict[str, Any] = {
        "logicalLocations": [{"fullyQualifiedName": finding.where or "stack", "kind": "resource"}]
    }
    if finding.file:
        place["physicalLocation"] = {
            "artifactLocation": {"uri": f"file://{quote(finding.host)}{quote(finding.file)}"},
            **({"region": {"startLine": finding.line}} if finding.line else {}),
        }
    fix = f" ({finding.step})" if finding.step else ""
    text = f"{finding.where}: {finding.title}. {finding.evidence}. {finding.remediation}{fix}."
    return {
        "ruleId": finding.id,
        "ruleIndex": next(index for index, check in enumerate(CHECKS) if check.id == finding.id),
        "level": _LEVELS[finding.severity],
        "message": {"text": text},
        "locations": [place],
        "partialFingerprints": {"check/v1": f"{finding.id}:{finding.where}:{finding.file}"},
        **(
            {"suppressions": [{"kind": "external", "status": "accepted", "justification": finding.reason}]}
            if finding.baseline
            else {}
        ),
    }


def _sarif_notification(each: NotChecked) -> dict[str, Any]:
    rule = {"associatedRule": {"id": each.id}} if each.id else {}
    return {"level": "error", "message": {"text": f"{each.where or 'stack'}: {each.why}"}, **rule}


# -- JUnit ---------------------------------------------------------------------------------------------------


def as_junit(report: AuditReport) -> str:
    """A report as JUnit XML: a test suite for each host, with a test case for each check."""
    hosts = dict.fromkeys(
        [*(case.host for case in report.cases), *(each.host for each in report.could_not_check)]
    )
    suites = [_suite(host, report) for host in hosts]
    root = ET.Element("testsuites", {"name": "firescreen audit", **_totals(suites)})
    root.extend(suites)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _suite(host: str, report: AuditReport) -> ET.Element:
    name = host or "all hosts"
    cases = [_testcase(case, name) for case in report.cases if case.host == host]
    known = {missed for case in report.cases for missed in case.not_checked}
    rest = [each for each in report.could_not_check if each.host == host and each not in known]
    for index, missed in enumerate(rest, 1):
        case = ET.Element("testcase", name=f"can be checked ({index})", classname=name)
        _add(case, "error", "could not be checked", [f"{missed.where}: {missed.why}"])
        cases.append(case)
    suite = ET.Element(
        "testsuite",
        name=name,
        tests=str(len(cases)),
        failures=str(_count(cases, "failure")),
        errors=str(_count(cases, "error")),
        skipped=str(_count(cases, "skipped")),
        timestamp=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S"),
        hostname=name,
    )
    suite.extend(cases)
    return suite


def _testcase(case: Case, host: str) -> ET.Element:
    made = ET.Element("testcase", name=f"{case.check.id} {case.check.title}", classname=host)
    counted = [each for each in case.findings if not each.baseline]
    if counted:
        lines = [f"{each.where}: {_location_prefix(each)}{each.evidence}" for each in counted]
        _add(made, "failure", counted[0].severity, [*lines, f"{case.check.remediation}."])
    elif case.not_checked:
        lines = [f"{each.where}: {each.why}" for each in case.not_checked]
        _add(made, "error", "could not be checked", lines)
    elif case.findings:
        lines = [f"{each.where}: {each.reason}" for each in case.findings]
        _add(made, "skipped", "accepted by the baseline", lines)
    elif not case.subjects:
        _add(made, "skipped", "does not apply", ["nothing here to look at"])
    return made


def _location_prefix(finding: AuditFinding) -> str:
    place = f"{finding.file}:{finding.line}" if finding.line else finding.file
    return f"{place}: " if place and place not in finding.evidence else ""


def _add(case: ET.Element, kind: str, reason: str, lines: Sequence[str]) -> None:
    text = "\n".join(lines).replace("\ufffe", "").replace("\uffff", "")
    ET.SubElement(case, kind, type=reason, message=text.partition("\n")[0]).text = text


def _count(cases: Sequence[ET.Element], kind: str) -> int:
    return sum(case.find(kind) is not None for case in cases)


def _totals(suites: Sequence[ET.Element]) -> dict[str, str]:
    return {
        name: str(sum(int(each.get(name, "0")) for each in suites))
        for name in ("tests", "failures", "errors")
    }
