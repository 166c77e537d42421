"""firescreen audit: all checks, as text or as a document for other programs."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wizard.cli import output
from wizard.cli.options import connect, engine, stack_of
from wizard.errors import CredentialNeededError, InputError
from wizard.plurals import count_noun
from wizard.redact import plain

if TYPE_CHECKING:
    from wizard.audit import AuditReport, Check, FailOn
    from wizard.engine import Engine
    from wizard.model import Stack
    from wizard.workspace import Workspace

file = click.Path(path_type=Path)


@click.command()
@click.argument("stack", required=False)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "sarif", "junit"]),
    default="text",
    show_default=True,
    help="What to print on standard output",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json")
@click.option(
    "--fail-on",
    type=click.Choice(["high", "medium", "low", "none"]),
    default="medium",
    show_default=True,
    help="Exit 3 with a finding of that severity or above",
)
@click.option("--baseline", type=file, help="File with findings that are accepted")
@click.option(
    "--write-baseline",
    type=file,
    help="Write all present findings into this file as accepted; reasons and dates in it stay",
)
@click.option("--explain", metavar="ID", help="Say what a check looks at and why, without checking anything")
@click.pass_obj
def audit(
    workspace: Workspace,
    stack: str | None,
    form: str,
    as_json: bool,
    fail_on: FailOn,
    baseline: Path | None,
    write_baseline: Path | None,
    explain: str | None,
) -> None:
    """Find what is open, weak or due; change nothing.

    Without STACK, checks this machine. Exit 3: there are findings. Exit 1: something could not be checked.

    \b
    Examples:
      firescreen audit
      firescreen audit stack.yaml --fail-on high --baseline accepted.yaml
      firescreen audit stack.yaml --format sarif > audit.sarif
      firescreen audit --explain EXP-01
    """
    form = "json" if as_json else form
    with output.print_errors():
        from wizard import audit as auditing
        from wizard.audit import baseline as accepted

        if explain is not None:
            _explain(auditing.check_of(explain), as_json=form == "json")
            return
        baseline_entries = accepted.load(baseline) if baseline else ()
        if write_baseline is not None and write_baseline.exists() and write_baseline != baseline:
            baseline_entries = (*baseline_entries, *accepted.load(write_baseline))
        machine = engine(workspace)
        wanted = stack_of(stack, workspace) if stack else None
        if wanted is not None:
            _reach(machine, wanted)
        today = datetime.now(UTC).date()
        report = auditing.run(machine, wanted)
        if write_baseline is not None:
            baseline_entries = accepted.save(write_baseline, report, today=today, known=baseline_entries)
            output.say(f"Wrote {write_baseline}: {count_noun(len(baseline_entries), 'accepted finding')}.")
        report = accepted.apply_baseline(report, baseline_entries, today=today)
    _print(report, form)
    for note in report.baseline_notes if form != "text" else ():
        output.say(plain(note), colour="yellow")
    sys.exit(report.exit_code(fail_on))


def _reach(machine: Engine, stack: Stack) -> None:
    """Connects to the hosts and prompts for what they need; the report lists unreachable hosts.

    Raises:
        CredentialNeededError: a password or a confirmation is needed, and there is no terminal.
    """
    try:
        connect(machine, stack.hosts)
    except CredentialNeededError:
        raise
    except InputError:
        return


def _print(report: AuditReport, form: str) -> None:
    from wizard.audit import documents

    match form:
        case "json":
            output.data(documents.as_json(report))
        case "sarif":
            output.data(documents.as_sarif(report))
        case "junit":
            click.echo(documents.as_junit(report), nl=False)
        case _:
            output.show(_text(report).removesuffix("\n"), indent=" " * 9)


def _explain(check: Check, *, as_json: bool) -> None:
    if as_json:
        from wizard.audit import documents

        output.data(documents.check_fields(check))
        return
    click.echo(f"{check.id} ({check.severity}): {check.title}\n")
    for title, words in (
        ("Looks at", f"{check.looks_at} ({', '.join(check.means)})"),
        ("Why", check.why),
        ("What to do", f"{check.remediation}."),
        ("Plan step", f"{check.step} HOST/COMPONENT" if check.step else "none: a person changes it"),
    ):
        output.show(f"{title + ':':12} {words}", indent=" " * 13)


def _text(report: AuditReport) -> str:
    """Returns the report as text."""
    lines: list[str] = []
    for finding in report.findings:
        mark = "accepted" if finding.baseline else finding.severity
        lines.append(f"{mark:8} {finding.id}  {plain(finding.where or 'all hosts')}: {finding.title}")
        place = f"{finding.file}:{finding.line}" if finding.line else finding.file
        seen = finding.evidence if not place or place in finding.evidence else f"{place}: {finding.evidence}"
        lines.append(f"         {plain(seen, 900)}")
        if finding.baseline:
            lines.append(f"         Accepted: {plain(finding.reason)}")
            continue
        fix = f" (step: {plain(finding.step)})" if finding.step else ""
        lines.append(f"         {finding.remediation}{fix}")
    for missed in report.could_not_check:
        name = f"{missed.id}  " if missed.id else ""
        lines.append(f"not checked {name}{plain(missed.where)}: {plain(missed.why)}")
    lines += [f"baseline: {plain(note)}" for note in report.baseline_notes]
    counted = ", ".join(f"{count} {severity}" for severity, count in report.counts().items() if count)
    findings = count_noun(len(report.counted), "finding") + (f" ({counted})" if counted else "")
    accepted = len(report.findings) - len(report.counted)
    findings += f", {accepted} accepted" if accepted else ""
    parts = ", ".join(f"{plain(part.where)} {part.points}" for part in report.score.parts)
    lines += [
        "",
        f"{count_noun(report.checked, 'check')} made, {findings}, {len(report.could_not_check)} not checked",
        f"Score {report.score.value} of 100 ({parts})" if parts else "No component of Prometheus was found.",
    ]
    return "\n".join(lines).lstrip("\n") + "\n"
