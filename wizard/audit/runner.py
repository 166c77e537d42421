"""Runs checks on the evidence: returns a case for each check and host, with findings and what could not be checked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from wizard.audit.report import SEVERITIES, AuditFinding, Case, Check, NotChecked
from wizard.audit.subjects import ClientView, Evidence, Found, HostView, ServerView, Skipped, Unseen
from wizard.errors import FirescreenError
from wizard.redact import plain, redact

Subject: TypeAlias = ServerView | ClientView | HostView | Evidence


def cases(checks: Sequence[Check], seen: Evidence) -> tuple[Case, ...]:
    """Runs every check on every host."""
    return tuple(
        case
        for check in checks
        for case in (
            _of_stack(check, seen)
            if check.scope == "stack"
            else [_case(check, view.name, _subjects(check, view.name, seen)) for view in seen.hosts]
        )
    )


def _subjects(check: Check, host: str, seen: Evidence) -> list[Subject]:
    if check.scope == "host":
        return [each for each in seen.hosts if each.name == host]
    mine: Iterable[ServerView | ClientView] = seen.servers if check.scope == "server" else seen.clients
    return [
        each
        for each in mine
        if each.service.host == host and (not check.components or each.service.component in check.components)
    ]


def _of_stack(check: Check, seen: Evidence) -> list[Case]:
    """Runs a check of all hosts together, and divides the result into a case per host."""
    stack_case = _case(check, "", [seen])
    return [
        Case(
            check=check,
            host=view.name,
            findings=tuple(each for each in stack_case.findings if each.host == view.name),
            not_checked=tuple(each for each in stack_case.not_checked if each.host in ("", view.name)),
            subjects=stack_case.subjects,
        )
        for view in seen.hosts
    ]


def _case(check: Check, host: str, subjects: Sequence[Subject]) -> Case:
    findings: list[AuditFinding] = []
    unseen: list[NotChecked] = []
    skipped = 0
    for subject in subjects:
        component, instance = _component_and_instance(subject)
        try:
            for each in check.look(subject):
                match each:
                    case Found():
                        findings.append(_make_finding(check, host, component, instance, each))
                    case Unseen():
                        unseen.append(_not_checked(check, host, component, instance, each))
                    case Skipped():
                        skipped += 1
        except FirescreenError as error:
            unseen.append(_not_checked(check, host, component, instance, Unseen(str(error))))
    return Case(
        check=check,
        host=host,
        findings=tuple(dict.fromkeys(findings)),
        not_checked=tuple(dict.fromkeys(unseen)),
        subjects=len(subjects) - skipped,
    )


def _component_and_instance(subject: Subject) -> tuple[str, str]:
    """The component and instance of a subject; ('', '') for a host or the whole stack."""
    if isinstance(subject, ServerView | ClientView):
        return subject.service.component, subject.service.instance
    return "", ""


def _make_finding(check: Check, host: str, component: str, instance: str, found: Found) -> AuditFinding:
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
        evidence=redact(plain(found.evidence, 900)),
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
    """Sorts findings by severity, the worst first; accepted ones come last."""
    return tuple(
        sorted(
            findings,
            key=lambda each: (
                each.baseline, SEVERITIES.index(each.severity), each.id, each.where, each.file, each.line,
            ),
        )
    )  # fmt: skip
