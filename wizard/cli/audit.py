"""firescreen audit: all checks, as text or as a document for other programs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from wizard.cli import output
from wizard.cli.options import as_json, engine, reached, stack_of
from wizard.cli.text_format import counted
from wizard.redact import plain

if TYPE_CHECKING:
    from wizard.audit import AuditFinding, AuditReport, FailOn
    from wizard.workspace import Workspace


@click.command()
@click.argument("stack", required=False)
@click.option(
    "--fail-on",
    type=click.Choice(["high", "medium", "low", "none"]),
    default="medium",
    show_default=True,
    help="Exit 3 with a finding of that severity or above",
)
@as_json
@click.pass_obj
def audit(workspace: Workspace, stack: str | None, fail_on: FailOn, as_json: bool) -> None:
    """Find what is open, weak or due; change nothing.

    Without STACK, checks this machine. Exit 3: there are findings. Exit 1: something could not be checked.

    \b
    Examples:
      firescreen audit
      firescreen audit stack.yaml --fail-on high
    """
    with output.explained():
        from wizard import audit as auditing

        machine = engine(workspace)
        wanted = stack_of(stack, workspace) if stack else None
        if wanted is not None:
            reached(machine, wanted.hosts)
        report = auditing.run(machine, wanted)
    if as_json:
        output.data(document(report))
    else:
        click.echo(text(report), nl=False)
    sys.exit(report.exit_code(fail_on))


def document(report: AuditReport) -> dict[str, Any]:
    """A report as `audit --json` prints it."""
    return {
        "version": 1,
        "stack": report.stack.source,
        "checked": report.checked,
        "could_not_check": [
            {
                "id": each.id,
                "host": each.host,
                "component": each.component,
                **({"unit": each.instance} if each.instance else {}),
                "why": each.why,
            }
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
        "findings": [_shown(each) for each in report.findings],
    }


def _shown(finding: AuditFinding) -> dict[str, Any]:
    return {
        "id": finding.id,
        "severity": finding.severity,
        "host": finding.host,
        "component": finding.component,
        **({"unit": finding.instance} if finding.instance else {}),
        "title": finding.title,
        "evidence": finding.evidence,
        "file": finding.file,
        "line": finding.line,
        "remediation": finding.remediation,
        "step": finding.step,
        "certain": finding.certain,
        "baseline": finding.baseline,
    }


def text(report: AuditReport) -> str:
    """A report for a person."""
    lines: list[str] = []
    for finding in report.findings:
        mark = "accepted" if finding.baseline else finding.severity
        lines.append(f"{mark:8} {finding.id}  {plain(finding.where or 'all hosts')}: {finding.title}")
        place = f"{finding.file}:{finding.line}" if finding.line else finding.file
        seen = finding.evidence if not place or place in finding.evidence else f"{place}: {finding.evidence}"
        lines.append(f"         {plain(seen, 900)}")
        fix = f" (step: {plain(finding.step)})" if finding.step else ""
        lines.append(f"         {finding.remediation}{fix}")
    for missed in report.could_not_check:
        name = f"{missed.id}  " if missed.id else ""
        lines.append(f"not checked {name}{plain(missed.where)}: {plain(missed.why)}")
    counts = report.counts()
    said = ", ".join(f"{count} {severity}" for severity, count in counts.items() if count)
    parts = ", ".join(f"{plain(part.where)} {part.points}" for part in report.score.parts)
    findings = counted(len(report.counted), "finding") + (f" ({said})" if said else "")
    lines += [
        "",
        f"{counted(report.checked, 'check')} made, {findings}, {len(report.could_not_check)} not checked",
        f"Score {report.score.value} of 100 ({parts})" if parts else "No component of Prometheus was found.",
    ]
    return "\n".join(lines).lstrip("\n") + "\n"
