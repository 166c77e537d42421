"""Formats plans, probes and outcomes as JSON and as text."""

from __future__ import annotations

import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from wizard import terminal
from wizard.cli import line_breaks, output
from wizard.errors import FirescreenError
from wizard.model import WORKSPACE, RunService
from wizard.plurals import count_noun as count_noun  # noqa: PLC0414 - commands take it from here too
from wizard.redact import plain, redact

if TYPE_CHECKING:
    from wizard.engine import Exposure, FoundProxy, Outcome
    from wizard.model import Attempt, Event, Finding, HealthReport, Plan


def shown_plan(plan: Plan) -> dict[str, Any]:
    """Returns a plan as `plan --json` prints it."""
    return {
        "changes": [
            {
                "host": change.host,
                "kind": change.kind,
                "path": change.path,
                "step": step.id,
                "why": change.why,
                "diff": redact(change.diff(), plan.secrets),
                "commands": list(change.commands()),
            }
            for step in plan.steps
            for change in step.changes
        ],
        "restarts": [
            {"host": change.host, "unit": change.service.unit, "action": change.action}
            for change in plan.restarts
        ],
        "gaps": [gap.sentence for gap in plan.gaps],
        "warnings": [
            {
                "id": warning.id,
                "host": warning.host,
                **unit_of(warning),
                "what": warning.what,
                "remediation": warning.remediation,
                "mend": warning.remediation,  # the key of version 1, kept for one more release
            }
            for warning in plan.warnings
        ],
        "broken_clients": [
            {
                "key": client.key,
                "host": client.host,
                "client": client.client,
                "server": client.server,
                "where": list(client.where),
                "lines": list(client.lines),
                "accepted": client.key in plan.stack.accept_broken,
            }
            for client in plan.broken_clients
        ],
    }


def container_name(exposure: Exposure) -> str:
    """Returns the container of a component in brackets; '' for none."""
    return f" (container {plain(exposure.container.name)})" if exposure.container is not None else ""


def container_of(exposure: Exposure) -> dict[str, Any]:
    """Returns the container of a component for JSON; {} for none."""
    box = exposure.container
    if box is None:
        return {}
    return {
        "container": {
            "name": box.name,
            "image": box.image,
            "project": box.project,
            "service": box.service,
            "compose_files": list(box.compose_files),
            "engine": box.engine,
            "quadlet": box.quadlet,
            "unit": box.unit,
            "state": box.state,
            "health": box.health,
            "uid": box.uid,
            "gid": box.gid,
            "network_mode": box.network_mode,
            "networks": [
                {"name": each.name, "address": each.address, "aliases": list(each.aliases)}
                for each in box.networks
            ],
            "published": [
                {"inside": each.inside, "address": each.address, "port": each.port} for each in box.published
            ],
            "mounts": [
                {"kind": each.kind, "source": each.source, "target": each.target, "writable": each.writable}
                for each in box.mounts
            ],
            "unchangeable": box.unchangeable,
        }
    }


def proxy_of(proxy: FoundProxy) -> dict[str, Any]:
    """Returns a reverse proxy as JSON."""
    return {
        "host": proxy.host,
        "proxy": proxy.name,
        "version": proxy.version,
        "unit": proxy.unit,
        "running": proxy.running,
        "sites": [{"name": name, "port": port} for name, port in proxy.sites],
    }


def unit_of(finding: Finding) -> dict[str, str]:
    """Returns the unit of a component's second instance for JSON; {} for the first one."""
    return {"unit": finding.instance} if finding.instance else {}


def shown_probes(attempts: Sequence[Attempt]) -> dict[str, Any]:
    """Returns attempts as `verify --json` prints them."""
    return {
        "ok": not any(attempt.failed for attempt in attempts),
        "probes": [
            {
                "host": attempt.probe.host,
                "component": attempt.probe.component,
                **({"unit": attempt.probe.unit} if attempt.probe.unit else {}),
                "name": attempt.probe.name,
                "expect": attempt.probe.expect,
                "outcome": attempt.outcome,
                "ok": attempt.ok,
                "detail": redact(attempt.excused or attempt.reason or attempt.detail),
                "excused": bool(attempt.excused),
                "curl": attempt.curl,
            }
            for attempt in attempts
        ],
    }


def harmless(text: str) -> str:
    """Returns the text unchanged for a file or a pipe; on a terminal, control characters are made visible."""
    return plain(text, 10_000_000) if sys.stdout.isatty() or sys.stderr.isatty() else text


def show_plan(plan: Plan, *, diff: bool = False) -> None:
    """Prints a plan: its steps with their files; with `diff`, also the changes and the manual commands.

    Files and diffs go to standard output, all other lines to standard error.
    """
    for step in plan.steps:
        title = line_breaks.break_lines(
            f"{step.host}: {plain(step.title)}", line_breaks.of_terminal(sys.stdout)
        )
        click.secho(title, bold=True)
        for change in step.changes:
            output.show(f"  {plain(change.title())}", indent="    ")
    if diff:
        _show_changes(plan)
    for warning in plan.warnings:
        output.say(f"warning: {plain(warning.what)} ({plain(warning.remediation)})", colour="yellow")
    for gap in plan.gaps:
        output.say(f"  {plain(gap.sentence)}")
    if plan.asked:
        output.say(f"  {plain(plan.asked)}")


def _show_changes(plan: Plan) -> None:
    for step in plan.steps:
        output.say(f"\n{step.host}: {plain(step.title)}", bold=True)
        output.say(f"  {step.why}")
        for change in step.changes:
            here = step.host == WORKSPACE or (not isinstance(change, RunService) and change.typed_here)
            where = "on this machine" if here else f"on {step.host}"
            click.echo(f"\n# {step.host}: {plain(change.title())}")
            click.echo(harmless(redact(change.diff(), plan.secrets)), nl=False)
            if commands := change.commands():
                # Not indented: the last line of a here-document ends it only at the beginning of a line.
                output.say(f"Commands, {where}:")
                for command in commands:
                    output.say(harmless(command), colour="cyan", whole=True)


def extent_of(plan: Plan) -> str:
    """Returns how much a plan changes, e.g. '12 changes on 2 hosts'."""
    changes = [change for step in plan.steps for change in step.changes]
    hosts = {step.host for step in plan.steps} - {WORKSPACE}
    return f"{count_noun(len(changes), 'change')} on {count_noun(len(hosts), 'host')}"


def verification_line(attempts: Sequence[Attempt], away: Collection[str]) -> str:
    """Returns the result of a verification in a line."""
    failed = [attempt.probe.host for attempt in attempts if attempt.failed]
    excused = sum(bool(attempt.excused) for attempt in attempts)
    parts = []
    if failed:
        hosts = ", ".join(dict.fromkeys(failed))
        parts.append(f"{len(failed)} of {count_noun(len(attempts), 'probe')} failed, on {plain(hosts)}")
    elif attempts:
        parts.append(f"{count_noun(len(attempts), 'probe')} ended as expected")
    if excused:
        parts.append(f"{excused} of them excused")
    if away:
        parts.append(f"{count_noun(len(away), 'host')} unreachable: {plain(', '.join(away))}")
    return f"{'Not verified' if failed or away else 'Verified'}: {'; '.join(parts)}."


def listen(tell: Callable[[Event], None] | None = None) -> tuple[Any, threading.Event]:
    """Returns a listener, and an event that Ctrl+C or the end of the terminal sets.

    The run then stops between two changes and rolls back.

    Args:
        tell: the listener; by default one that prints a line for each event.
    """
    cancel = threading.Event()

    def stop(*_: object) -> None:
        output.say("Stopping and rolling back …")
        cancel.set()

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)

    def hang_up(*_: object) -> None:
        terminal.let_go()
        cancel.set()

    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # started by nohup
        signal.signal(signal.SIGHUP, hang_up)
    return tell or output.progress(), cancel


_STATUS = {
    "proven": "verified",
    "waiting": "pending",
    "working": "running",
    "away": "unreachable",
    "stuck": "needs-recovery",
    "owed": "needs-recovery",
    "cut-off": "interrupted",
}


def shown_state(state: str) -> dict[str, str]:
    """Returns the state of a run or host for JSON: `status`, and `state`, its former name until the next release."""
    return {"state": state, "status": _STATUS.get(state, state)}


def shown_outcome(outcome: Outcome) -> dict[str, Any]:
    """Returns the result of a run for JSON: `run`, `status` and, if it failed, `error`."""
    return {"run": outcome.run, **shown_state(outcome.state), **error_of(outcome)}


def shown_unreachable(hosts: Mapping[str, str]) -> dict[str, list[dict[str, str]]]:
    """Returns unreachable hosts with reasons for JSON; `away` is the key's former name until the next release."""
    rows = [{"host": host, "why": redact(why)} for host, why in hosts.items()]
    return {"unreachable": rows, "away": rows}


def shown_hosts(outcome: Outcome) -> list[dict[str, Any]]:
    """Returns the result of a run on each host, for JSON."""
    return [
        {"host": one.host, **shown_state(one.state), "error": _error_json(one.error) if one.error else None}
        for one in outcome.hosts
    ]


def shown_health(report: HealthReport | None) -> dict[str, Any]:
    """Returns what worked before a run and whether it works now, for JSON; {} if that was not compared."""
    if report is None:
        return {}
    return {
        "health": {
            "up_before": report.up_before,
            **{
                name: [redact(line) for line in getattr(report, name)]
                for name in ("broken", "down_before", "accepted", "not_checked")
            },
        }
    }


def tell_completed(outcome: Outcome) -> None:
    """Prints the result of the verification that `--verify-later` had postponed."""
    if outcome.error is not None:
        output.complain(outcome.error)
        output.say(f"Run {outcome.run} is applied, but not verified.", bold=True, colour="red")
        return
    output.say(f"Run {outcome.run} is verified now.", bold=True, colour="green")
    for line in outcome.summary:
        output.say(f"  {plain(line)}")


def error_of(outcome: Outcome) -> dict[str, Any]:
    """Returns the error of an outcome for JSON; {} without an error."""
    return {"error": _error_json(outcome.error)} if outcome.error else {}


def _error_json(error: FirescreenError) -> dict[str, str]:
    return {"title": error.title, "what": redact(error.what), "where": error.where, "todo": error.todo}


OUTCOME_WORDS = {
    "proven": "Applied and verified.",
    "applied": "Applied.",
    "changed": "Changed, and not verified yet.",
    "partly": "Applied on some hosts; the other hosts are unchanged.",
    "nothing": "Nothing to do: the hosts are as the stack says.",
    "rolled-back": "Failed and rolled back.",
    "cancelled": "Stopped and rolled back.",
    "undone": "Undone.",
    "failed": "Failed.",
}
"""The result of a run in words, by its state."""


def end(outcome: Outcome) -> None:
    """Prints the last lines of a run, and exits: 2 for bad input without a change, 1 for any other failure."""
    if outcome.error is not None:
        output.complain(outcome.error)
    output.say(OUTCOME_WORDS[outcome.state], bold=True, colour="green" if outcome.ok else "red")
    if len(outcome.hosts) > 1:
        counts = Counter(output.HOST_WORDS.get(one.state, one.state) for one in outcome.hosts)
        output.say("  Hosts: " + ", ".join(f"{count} {word}" for word, count in counts.items()) + ".")
    for line in outcome.summary:
        output.say(f"  {plain(line)}")
    sys.exit(exit_code(outcome))


def exit_code(outcome: Outcome) -> int:
    """Returns 0 without an error; 2 for bad input without a change, 1 for any other failure."""
    if outcome.error is None:
        return 0
    return outcome.error.exit_code if not outcome.run else 1
