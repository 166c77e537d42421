"""Runs all checks on what was gathered: findings, what could not be checked, and a case for each check and host."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from wizard.audit.report import SEVERITIES, AuditFinding, Case, Check, NotChecked, Scope
from wizard.audit.subjects import ClientView, Evidence, Found, HostView, ServerView, Unseen
from wizard.errors import FirescreenError
from wizard.redact import plain, redact

Subject: TypeAlias = ServerView | ClientView | HostView | Evidence
STACK: Final = ""
"""The host of a case that is about all hosts together."""


def cases(checks: Sequence[Check], seen: Evidence) -> tuple[Case, ...]:
    """Every check on every host."""
    return tuple(_case(check, host, seen) for check in checks for host in _hosts(check.scope, seen))


def _hosts(scope: Scope, seen: Evidence) -> Iterable[str]:
    return (STACK,) if scope == "stack" else [view.name for view in seen.hosts]


def _subjects(check: Check, host: str, seen: Evidence) -> list[Subject]:
    match check.scope:
        case "server":
            mine: Iterable[ServerView | ClientView] = (
                each for each in seen.servers if each.service.host == host
            )
        case "client":
            mine = (each for each in seen.clients if each.service.host == host)
        case "host":
            return [each for each in seen.hosts if each.name == host]
        case "stack":
            return [seen]
    return [each for each in mine if not check.components or each.service.component in check.components]


def _case(check: Check, host: str, seen: Evidence) -> Case:
    findings: list[AuditFinding] = []
    unseen: list[NotChecked] = []
    subjects = _subjects(check, host, seen)
    for subject in subjects:
        component, instance = _named(subject)
        try:
            for each in check.look(subject):
                if isinstance(each, Found):
                    findings.append(_finding(check, host, component, instance, each))
                else:
                    unseen.append(_not_checked(check, host, component, instance, each))
        except FirescreenError as error:
            unseen.append(_not_checked(check, host, component, instance, Unseen(str(error))))
    return Case(
        check=check,
        host=host,
        findings=tuple(dict.fromkeys(findings)),
        not_checked=tuple(dict.fromkeys(unseen)),
        subjects=len(subjects),
    )


def _named(subject: Subject) -> tuple[str, str]:
    """Component and instance of a subject."""
    if isinstance(subject, ServerView | ClientView):
        return subject.service.component, subject.service.instance
    return "", ""


def _finding(check: Check, host: str, component: str, instance: str, found: Found) -> AuditFinding:
    host = found.host or host
    if found.component:
        component, instance = found.component, found.instance
    target = "/".join(part for part in (host, component, instance) if part)
    step = found.step if found.step is not None else f"{check.step} {target}" if check.step else ""
    return AuditFinding(
        id=check.id,
        severity=found.severity or check.severity,
        host=host,
        component=component,
        instance=instance,
        title=found.title or check.title,
        evidence=redact(plain(found.evidence, 600)),
        remediation=check.remediation,
        file=found.file,
        line=found.line,
        step=step,
        certain=found.certain,
    )


def _not_checked(check: Check, host: str, component: str, instance: str, unseen: Unseen) -> NotChecked:
    return NotChecked(
        id=check.id, host=host, component=component, instance=instance, why=redact(plain(unseen.why, 300))
    )


def worst_first(findings: Iterable[AuditFinding]) -> tuple[AuditFinding, ...]:
    """Findings in the order in which a person reads them; accepted ones last."""
    return tuple(
        sorted(
            findings,
            key=lambda each: (
                each.baseline, SEVERITIES.index(each.severity), each.id, each.where, each.file, each.line,
            ),
        )
    )  # fmt: skip
