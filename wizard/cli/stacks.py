"""The commands that work on a stack: scan, plan, apply, verify."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wizard.cli import output
from wizard.cli.options import (
    accepting,
    as_json,
    engine,
    known_broken,
    passphrase_file,
    password_file,
    planned,
    reached,
    renew,
    stack_of,
    yes,
)
from wizard.cli.text_format import (
    end,
    error_of,
    harmless,
    listening,
    shown_health,
    shown_hosts,
    shown_plan,
    shown_probes,
    tell_completed,
    tell_plan,
    unit_of,
)
from wizard.errors import HostError, InputError
from wizard.redact import plain, redact

if TYPE_CHECKING:
    from wizard.engine import Engine, Exposure, Scan
    from wizard.model import Plan, Stack
    from wizard.workspace import Workspace


@click.command()
@click.argument("stack", required=False)
@click.option(
    "--hosts",
    type=click.Path(path_type=Path),
    help="Look at the hosts of this file in place of a stack's: an Ansible inventory, or Prometheus' file_sd.",
)
@click.option(
    "--write",
    type=click.Path(path_type=Path),
    help="Write what was found as a stack file, with the protection that is proposed.",
)
@as_json
@click.pass_obj
def scan(
    workspace: Workspace, stack: str | None, hosts: Path | None, write: Path | None, as_json: bool
) -> None:
    """Show what runs where, and how it is protected (exit 3: something stands open)."""
    with output.explained():
        if stack and hosts:
            raise InputError("a stack names its hosts itself", todo="leave out STACK or --hosts")
        if write is not None and write.exists():
            raise InputError("there is a file already", where=str(write), todo="name a new one")
        machine = engine(workspace)
        wanted = stack_of(stack, workspace) if stack else None
        if wanted is not None:
            reached(machine, wanted.hosts)
        elif hosts is not None:
            wanted = _stack_of_hosts(machine, hosts)
        found = machine.scan(wanted)
        if write is not None:
            _write_stack(found, write)
    if as_json:
        output.data(_scan_data(found))
    elif not found.exposures and not found.findings:
        output.say("Nothing of Prometheus was found on this machine. Try: firescreen practice up")
    else:
        for exposure in found.exposures:
            click.echo(
                f"{exposure.host:12} {_named(exposure):14} {exposure.address:22} {plain(exposure.words)}"
            )
        for finding in found.remarks:
            todo = f" ({finding.mend})" if finding.mend != "firescreen" else ""
            output.say(f"! {plain(finding.what)}{todo}", colour="yellow")
    sys.exit(3 if any(finding.severity != "ok" for finding in found.findings) else 0)


def _scan_data(found: Scan) -> dict[str, object]:
    """A scan as JSON."""
    return {
        "components": [
            {
                "host": exposure.host,
                "component": exposure.component,
                "address": exposure.address,
                "version": exposure.version,
                "unit": exposure.unit,
                "manager": exposure.manager,
                "tls": exposure.tls,
                "password": exposure.password,
                "client_certificate": exposure.client_certificate,
                "state": exposure.state,
                "through": exposure.through,
            }
            for exposure in found.exposures
        ],
        "findings": [
            {
                "severity": finding.severity,
                "id": finding.id,
                "host": finding.host,
                "component": finding.component,
                **unit_of(finding),
                "what": finding.what,
            }
            for finding in found.findings
        ],
    }


def _named(exposure: Exposure) -> str:
    """A component, with the unit of a further instance."""
    return plain(exposure.key.removeprefix(f"{exposure.host}/"))


def _stack_of_hosts(machine: Engine, file: Path) -> Stack:
    """What runs on the hosts of a file, with the protection that is proposed for it."""
    from wizard.engine import proposed
    from wizard.inventory import sources
    from wizard.model import Stack

    bare = Stack(hosts=sources.listed(file, ()), components=())
    reached(machine, bare.hosts)
    try:
        known = machine.inspect(bare).hosts
    except HostError as error:
        raise InputError(error.what, where=error.where, todo=error.todo) from error
    # One that cannot be reached has told nothing; the scan says so of it.
    services = [service for host in bare.hosts if host.name in known for service in known[host.name].services]
    return Stack(hosts=bare.hosts, components=proposed(services))


def _write_stack(found: Scan, path: Path) -> None:
    from wizard.inventory.stack_file import dump

    if not found.stack.components:
        silent = ", ".join(found.facts.away)
        raise InputError(
            "nothing of Prometheus was found, so there is no stack to write"
            + (f" (not reached: {plain(silent)})" if silent else ""),
            where=str(path),
            todo="Make these hosts reachable and scan again" if silent else "",
        )
    try:
        path.write_text(dump(found.stack), encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"the stack file cannot be written: {error.strerror}",
            where=str(path),
            todo="choose another place",
        ) from error
    output.say(f"{path} describes it. Look at it, then: firescreen plan {path}")


@click.command()
@click.argument("stack")
@as_json
@password_file
@passphrase_file
@renew
@click.pass_obj
def plan(
    workspace: Workspace,
    stack: str,
    as_json: bool,
    password_file: Path | None,
    passphrase_file: Path | None,
    renew: tuple[str, ...],
) -> None:
    """Show what would change, as diffs and commands; writes nothing (exit 3: changes are pending)."""
    with output.explained():
        wanted = stack_of(stack, workspace)
        machine = engine(workspace, wanted.hosts)
        made = planned(
            machine,
            wanted,
            password_file=password_file,
            passphrase_file=passphrase_file,
            renew=renew,
        )
        machine.refuse_silent(made)
    if as_json:
        output.data(shown_plan(made))
    else:
        tell_plan(made)
        output.say("Nothing has been written." if made.changes else "Nothing to do: it is as it should be.")
    sys.exit(3 if made.changes else 0)


@click.command()
@click.argument("stack")
@yes
@click.option(
    "--canary",
    default="",
    metavar="HOST|none",
    help="The host that is changed and proven before the others; by default the first that can be, from four hosts on.",
)
@click.option(
    "--accept-broken",
    multiple=True,
    metavar="HOST/CLIENT/COMPONENT",
    help="Accept that this client (a reverse proxy, say) is rejected after the run, as the plan names it; may be given several times.",
)
@click.option(
    "--verify-later",
    is_flag=True,
    help="Do not wait for Prometheus' next scrapes: the run ends as 'changed', and firescreen verify completes it.",
)
@as_json
@password_file
@passphrase_file
@renew
@click.pass_obj
def apply(
    workspace: Workspace,
    stack: str,
    yes: bool,
    canary: str,
    accept_broken: tuple[str, ...],
    verify_later: bool,
    as_json: bool,
    password_file: Path | None,
    passphrase_file: Path | None,
    renew: tuple[str, ...],
) -> None:
    """Plan, apply and prove; a host that fails is put back, the others go on (exit 1)."""
    with output.explained():
        wanted = accepting(stack_of(stack, workspace), accept_broken)
        machine = engine(workspace, wanted.hosts)
        from wizard.engine.canary import canary_of

        made = planned(
            machine, wanted, password_file=password_file, passphrase_file=passphrase_file, renew=renew
        )
        known_broken(made, accept_broken)
        machine.refuse_silent(made)
        first = canary_of(made, canary)
        if not yes:
            tell_plan(made)
            if first:
                output.say(f"{plain(first)} would go first: the others are touched once it is proven.")
            raise InputError("nothing was touched", todo="add --yes to do it")
        _refuse_without_hands(made)
    outcome = machine.apply(made, *listening(), canary=first or "none", verify_later=verify_later)
    if as_json:
        output.data(
            {
                "run": outcome.run,
                "state": outcome.state,
                **shown_probes(outcome.attempts),
                "ok": outcome.ok,
                "hosts": shown_hosts(outcome),
                **shown_health(outcome.health),
                **error_of(outcome),
            }
        )
    end(outcome)


def _refuse_without_hands(plan: Plan) -> None:
    """Whether somebody is there to restart what Firescreen does not restart itself.

    Raises:
        InputError: nobody is. Nothing was touched.
    """
    waiting = [change for change in plan.restarts if change.service.is_manual]
    if not waiting or sys.stdin.isatty():
        return
    for change in waiting:
        output.say(f"{plain(change.host)}: {plain(change.title())}, by hand:", bold=True)
        for command in change.commands():
            output.say(harmless(command), colour="cyan")
    units = ", ".join(dict.fromkeys(f"{each.service.unit} on {each.host}" for each in waiting))
    raise InputError(
        f"a person has to restart {units}, and nobody is at a terminal; nothing was touched",
        where=plan.stack.source,
        todo="Run the same command at a terminal: it waits while you type the lines above",
    )


@click.command()
@click.argument("stack")
@as_json
@password_file
@passphrase_file
@click.pass_obj
def verify(
    workspace: Workspace, stack: str, as_json: bool, password_file: Path | None, passphrase_file: Path | None
) -> None:
    """Run all the probes, wanted and unwanted (exit 1: one did not end as it must, or a host is out of reach)."""
    with output.explained():
        wanted = stack_of(stack, workspace)
        machine = engine(workspace, wanted.hosts)
        made = planned(machine, wanted, password_file=password_file, passphrase_file=passphrase_file)
        if not made.probes:
            raise InputError(
                "this stack protects nothing, so there is nothing to prove",
                where=wanted.source,
                todo="say how: protect: [tls, basic_auth]",
            )
        attempts = machine.prove(made)
        completed = machine.complete(made, attempts)
    away = made.facts.away
    ok = not any(attempt.failed for attempt in attempts) and not away
    if completed is not None:
        ok &= completed.error is None
    if as_json:
        shown = shown_probes(attempts)
        out_of_reach = [{"host": host, "why": redact(why)} for host, why in away.items()]
        more = {"run": completed.run, "state": completed.state, **error_of(completed)} if completed else {}
        health = shown_health(completed.health if completed else None)
        output.data({**shown, "ok": ok, "away": out_of_reach, **more, **health})
    else:
        for attempt in attempts:
            click.echo(output.attempt_line(attempt))
    if completed is not None:
        tell_completed(completed)
    for host, why in away.items():
        output.say(
            f"✗ {plain(host)} cannot be reached, so nothing is proven of it: {redact(plain(why))}",
            colour="red",
        )
    sys.exit(0 if ok else 1)
