"""Writes the texts about a run: its title and details for the history, the summary, and the Markdown report."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from wizard import ownfiles
from wizard.certificates import issue
from wizard.errors import FirescreenError
from wizard.journal_reader import Record
from wizard.model import WORKSPACE, Attempt, ContentKind, HealthReport, Plan, Role, StepKind, WriteFile
from wizard.planner import paths
from wizard.planner.health_findings import format_duration
from wizard.planner.questions import level_name
from wizard.redact import plain, redact

_RENEWED = {"ca": "CA replaced", "certificates": "certificates replaced", "passwords": "password replaced"}
"""Text for each kind of renewal (`Answers.renew`)."""
_WAYS = {"oauth2": "OAuth2", "authorization": "bearer token"}
_FEW = 3
"""Maximum number of hosts or components that are named in a line; the others are counted."""


def title(plan: Plan) -> str:
    """The title of a run in the history: what is secured or replaced, and where."""
    secured = [component for component in plan.stack.components if component.protect]
    if plan.steps and all(step.kind is StepKind.UPKEEP for step in plan.steps):
        return plan.steps[0].title
    if _only_logs_in(plan):
        logins = [f"{each.place} {each.name} ({_WAYS[each.setting]})" for each in plan.stack.client_logins]
        return f"Prometheus logs in by token: {plain(', '.join(logins), 200)}"
    doors = ", ".join(door.root for door in plan.stack.front_doors)
    if not secured:
        return f"Front door: {doors}" if doors else "Nothing to protect"
    renewed = plan.answers.renew
    if renewed:
        done = [words for name, words in _RENEWED.items() if name in renewed]
        done += [f"certificate of {key} replaced" for key in sorted(renewed - _RENEWED.keys())]
        hosts = len({component.host for component in secured})
        return f"{done[0][:1].upper()}{', '.join(done)[1:]} ({hosts} host{'s' if hosts > 1 else ''})"
    keys: dict[str, list[str]] = {}
    for component in secured:
        keys.setdefault(level_name(component), []).append(component.key)
    lines = [
        f"{level}: {', '.join(named) if len(named) <= _FEW else f'{len(named)} components'}"
        for level, named in keys.items()
    ]
    return "; ".join([*lines, *([f"front door: {doors}"] if doors else [])])


def _only_logs_in(plan: Plan) -> bool:
    """Whether a plan only sets client logins and changes no server."""
    return bool(plan.stack.client_logins and plan.steps) and all(
        step.role is Role.CLIENT for step in plan.steps
    )


def details(plan: Plan) -> tuple[str, ...]:
    """The redacted diffs of a plan, for the history."""
    lines = []
    for step in plan.steps:
        lines.append(f"# {step.host}: {step.title}")
        for change in step.changes:
            if isinstance(change, WriteFile) and change.secret:
                # The diff of a secret file has no lines, not even the one with its name.
                before = "/dev/null" if change.before is None else change.path
                lines += [f"--- {before}", f"+++ {'/dev/null' if change.after is None else change.path}"]
            lines += redact(change.diff(), plan.secrets).splitlines()
    return tuple(lines)


def summary(plan: Plan, attempts: Sequence[Attempt]) -> tuple[str, ...]:
    """Lines that say what was created, where it is, when it expires, and what to do next."""
    lines = _certificates(plan)
    if plan.secrets and plan.stack.asks_password:
        user = plan.stack.users[0]
        lines.append(f"The password of user {user.name} is in {paths.user_files(plan.facts, user)[0]}.")
    lines += [plain(hint, 2000) for hint in plan.hints]
    if attempts:
        good = sum(attempt.ok for attempt in attempts)
        refused = sum(attempt.ok and not attempt.probe.wanted for attempt in attempts)
        lines.append(
            f"{good} of {len(attempts)} probes ended as expected; {refused} of them were rejected, as they should be."
        )
        lines += [
            f"{attempt.probe.name}: {redact(attempt.excused)}." for attempt in attempts if attempt.excused
        ]
    if plan.changes:
        # The command ends its line, so that it can be copied as a whole.
        lines.append("The previous files are kept. Undo with: firescreen undo --yes")
    return tuple(lines)


def of_health(report: HealthReport | None) -> tuple[str, ...]:
    """Summary lines about the comparison with the state before the run."""
    if report is None:
        return ()
    lines = [f"{report.up_before} targets were up before and are up now."] if report.up_before else []
    lines += [f"{each}." for each in report.down_before]
    lines += [f"You accepted that {each} is rejected." for each in report.accepted]
    lines += [f"Not checked: {each}." for each in report.not_checked]
    return tuple(plain(redact(line), 500) for line in lines)


def later(plan: Plan) -> tuple[str, ...]:
    """Summary lines that say how to complete a postponed verification."""
    stack, wait = plan.stack.source or "STACK", format_duration(plan.longest_wait)
    return (f"Verify it with: firescreen verify {stack} (every target is scraped again within {wait}).",)


def _certificates(plan: Plan) -> list[str]:
    """Summary lines with path and expiry of each certificate; many hosts with the same line are combined."""
    entries: list[tuple[str, str, str]] = []
    made = (
        change for step in plan.steps if step.kind is not StepKind.TRUST_COPIES for change in step.changes
    )
    for change in made:
        if not isinstance(change, WriteFile) or change.after is None:
            continue
        if change.content_kind is not ContentKind.CERTIFICATE:
            continue
        found = issue.summary(change.after.content)
        if "CA" in found.usage and change.host != WORKSPACE:
            alike = f"A copy of your CA's certificate is at {change.path} on"
            entries.append((alike, change.host, f"{alike} {change.host}."))
            continue
        until = time.strftime("%Y-%m-%d", time.localtime(found.not_after))
        what = "Your CA" if "CA" in found.usage else f"The certificate for {', '.join(found.names)}"
        where = f"{change.path}" if change.host == WORKSPACE else f"{change.path} on {change.host}"
        alike = f"A certificate that expires on {until} is at {change.path} on"
        entries.append((alike, change.host, f"{what} is at {where}. It expires on {until}."))
    hosts: dict[str, list[str]] = {}
    for alike, host, _ in entries:
        hosts.setdefault(alike, []).append(host)
    lines = []
    for alike, _, alone in entries:
        names = hosts[alike]
        more = f"{', '.join(names[:_FEW])} and {len(names) - _FEW} more hosts"
        lines.append(plain(f"{alike} {more}, one each." if len(names) > _FEW + 1 else alone))
    return list(dict.fromkeys(lines))


def report(record: Record, path: Path) -> Path:
    """Writes a Markdown report of a run, without secrets, and returns its path.

    Raises:
        FirescreenError: the file cannot be written.
    """
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.started))
    text = [
        f"# Firescreen run {record.run}",
        "",
        f"- what: {plain(record.title)}",
        f"- when: {when}",
        f"- state: {record.state}",
        "",
        "## Changes",
        "",
        *(f"- {entry.host}: {entry.kind} `{plain(entry.path)}`" for entry in record.entries),
        "",
        "## As a diff (secrets masked)",
        "",
        "```diff",
        *record.details,
        "```",
        "",
    ]
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        ownfiles.replace(path, "\n".join(text))
    except OSError as error:
        raise FirescreenError(f"the report cannot be written: {error.strerror}", where=str(path)) from error
    return path
