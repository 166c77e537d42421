"""The commands that work on a stack: scan, plan, apply, verify."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wizard.cli import output
from wizard.cli.new_stack_file import write_stack
from wizard.cli.options import (
    also_accept_broken,
    as_json,
    ask_to_confirm,
    connect,
    diff,
    engine,
    known_broken,
    make_plan,
    passphrase_file,
    password_file,
    renew,
    stack_of,
    yes,
)
from wizard.cli.text_format import (
    container_name,
    container_of,
    end,
    extent_of,
    harmless,
    listen,
    proxy_of,
    show_plan,
    shown_health,
    shown_hosts,
    shown_outcome,
    shown_plan,
    shown_probes,
    shown_unreachable,
    tell_completed,
    unit_of,
    verification_line,
)
from wizard.errors import HostError, InputError
from wizard.redact import plain, redact

if TYPE_CHECKING:
    from wizard.engine import Engine, Exposure, Scan
    from wizard.model import Plan, Stack
    from wizard.workspace import Workspace


_COLOURS = {"open": "red", "partly": "yellow", "secured": "green"}
"""The colour of a protection state; its text has the same meaning without it."""


@click.command()
@click.argument("stack", required=False)
@click.option(
    "--hosts",
    type=click.Path(path_type=Path),
    help="Scan the hosts of this file: an Ansible inventory, or a file_sd file of Prometheus",
)
@click.option(
    "--write",
    type=click.Path(path_type=Path),
    help="Write a stack file: secured components keep their protection, others get the recommended one",
)
@click.option(
    "--leave-out",
    multiple=True,
    metavar="HOST/COMPONENT",
    help="With --write: leave this component as it is; repeatable",
)
@as_json
@click.pass_obj
def scan(
    workspace: Workspace,
    stack: str | None,
    hosts: Path | None,
    write: Path | None,
    leave_out: tuple[str, ...],
    as_json: bool,
) -> None:
    """Show what runs on the hosts, and how it is protected.

    Without STACK, scans this machine. Exit 3: there are findings.

    \b
    Examples:
      firescreen scan --write stack.yaml
      firescreen scan --hosts inventory.ini --write stack.yaml
    """
    with output.print_errors():
        if stack and hosts:
            raise InputError("STACK and --hosts both name hosts", todo="Leave out one of them")
        if write is not None and write.exists():
            raise InputError("the file exists already", where=str(write), todo="Choose another name")
        if leave_out and write is None:
            raise InputError(
                "--leave-out changes only what is written", todo="Add --write FILE, or leave out --leave-out"
            )
        machine = engine(workspace)
        wanted = stack_of(stack, workspace) if stack else None
        if wanted is not None:
            connect(machine, wanted.hosts)
        elif hosts is not None:
            wanted = _stack_of_hosts(machine, hosts)
        found = machine.scan(wanted)
        if write is not None:
            write_stack(found, write, runs=workspace.runs, leave_out=leave_out)
    if as_json:
        output.data(_scan_data(found))
    elif not found.exposures and not found.findings and not found.proxies:
        output.say("No component of Prometheus was found. To try Firescreen out: firescreen practice up")
    else:
        for exposure in found.exposures:
            place = f"{exposure.host:12} {_component_name(exposure):14} {exposure.address:22} "
            words = f"{plain(exposure.words)}{container_name(exposure)}"
            output.show(place + words, indent=" " * len(place), colour=_COLOURS.get(exposure.state))
        for proxy in found.proxies:
            output.show(f"{proxy.host:12} {proxy.name:14} {plain(proxy.words)}", indent=" " * 28)
        for finding in found.remarks:
            todo = f" ({finding.remediation})" if finding.remediation else ""
            output.say(f"! {plain(finding.what)}{todo}", colour="yellow")
    sys.exit(3 if any(finding.severity != "ok" for finding in found.findings) else 0)


def _scan_data(scan_result: Scan) -> dict[str, object]:
    """Returns a scan as JSON."""
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
                **container_of(exposure),
            }
            for exposure in scan_result.exposures
        ],
        "proxies": [proxy_of(proxy) for proxy in scan_result.proxies],
        "findings": [
            {
                "severity": finding.severity,
                "id": finding.id,
                "host": finding.host,
                "component": finding.component,
                **unit_of(finding),
                "what": finding.what,
            }
            for finding in scan_result.findings
        ],
    }


def _component_name(exposure: Exposure) -> str:
    """Returns the name of a component, with its unit if it is a second instance."""
    return plain(exposure.key.removeprefix(f"{exposure.host}/"))


def _stack_of_hosts(machine: Engine, file: Path) -> Stack:
    """Returns the components on the hosts of a file, with the recommended protection."""
    from wizard.engine import proposed_components
    from wizard.inventory import sources
    from wizard.model import Stack

    bare = Stack(hosts=sources.read_inventory(file, ()), components=())
    connect(machine, bare.hosts)
    try:
        facts = machine.inspect(bare).hosts
    except HostError as error:
        raise InputError.from_error(error) from error
    # Unreachable hosts are reported by the scan.
    services = [service for host in bare.hosts if host.name in facts for service in facts[host.name].services]
    return Stack(hosts=bare.hosts, components=proposed_components(services))


@click.command()
@click.argument("stack")
@diff
@as_json
@password_file
@passphrase_file
@renew
@click.pass_obj
def plan(
    workspace: Workspace,
    stack: str,
    diff: bool,
    as_json: bool,
    password_file: Path | None,
    passphrase_file: Path | None,
    renew: tuple[str, ...],
) -> None:
    """Show what would change, without changing it.

    Exit 3: changes are pending.

    \b
    Examples:
      firescreen plan stack.yaml
      firescreen plan stack.yaml --diff > changes.diff
    """
    with output.print_errors():
        wanted = stack_of(stack, workspace)
        machine = engine(workspace, wanted)
        made = make_plan(
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
        show_plan(made, diff=diff)
        if made.changes:
            hint = "" if diff else f" Show the changes with: firescreen plan {plain(stack)} --diff"
            output.say(f"{extent_of(made)}. Nothing was changed.{hint}", bold=True)
        else:
            output.say("Nothing to do: the hosts are as the stack says.", bold=True)
    sys.exit(3 if made.changes else 0)


@click.command()
@click.argument("stack")
@yes
@click.option(
    "--canary",
    default="",
    metavar="HOST|none",
    help="Host that is changed and verified before the others; from four hosts on, one is chosen by default",
)
@click.option(
    "--accept-broken",
    multiple=True,
    metavar="HOST/CLIENT/COMPONENT",
    help="Accept that this client will be rejected, named as in the plan; repeatable",
)
@click.option(
    "--verify-later",
    is_flag=True,
    help="Do not wait for the next scrapes by Prometheus; firescreen verify completes the run",
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
    """Change the hosts as STACK says, and verify the result.

    A host that fails is rolled back; the other hosts go on. Exit 1: a host failed.

    \b
    Examples:
      firescreen apply stack.yaml
      firescreen apply practice --yes --renew passwords
    """
    with output.print_errors():
        wanted = also_accept_broken(stack_of(stack, workspace), accept_broken)
        machine = engine(workspace, wanted)
        from wizard.engine.canary import canary_of

        made = make_plan(
            machine, wanted, password_file=password_file, passphrase_file=passphrase_file, renew=renew
        )
        known_broken(made, accept_broken)
        machine.refuse_silent(made)
        first = canary_of(made, canary)
        if made.changes and not yes:
            _ask(made, stack, first, as_json=as_json)
        refuse_without_hands(made)
    outcome = machine.apply(made, *listen(), canary=first or "none", verify_later=verify_later)
    if as_json:
        output.data(
            {
                **shown_outcome(outcome),
                **shown_probes(outcome.attempts),
                "ok": outcome.ok,
                "hosts": shown_hosts(outcome),
                **shown_health(outcome.health),
            }
        )
    end(outcome)


def _ask(plan: Plan, stack: str, canary: str, *, as_json: bool) -> None:
    """Shows a plan, and asks whether to apply it.

    Raises:
        InputError: the answer is no, or there is no terminal.
    """
    if not as_json:
        show_plan(plan)
    if canary:
        output.say(f"{plain(canary)} is the canary: the other hosts are changed after it is verified.")
    todo = f"Add --yes to apply the plan, or show its changes with: firescreen plan {plain(stack)} --diff"
    ask_to_confirm(f"Apply {extent_of(plan)}?", todo=todo, as_json=as_json)


def refuse_without_hands(plan: Plan) -> None:
    """Rejects a plan that needs a person at a terminal if there is no terminal.

    Raises:
        InputError: a service has to be restarted by a person, and there is no terminal.
    """
    waiting = [change for change in plan.restarts if change.service.is_manual]
    if not waiting or sys.stdin.isatty():
        return
    for change in waiting:
        output.say(f"{plain(change.host)}: {plain(change.title())}, to be done by you:", bold=True)
        for command in change.commands():
            output.say(harmless(command), colour="cyan")
    units = ", ".join(dict.fromkeys(f"{each.service.unit} on {each.host}" for each in waiting))
    raise InputError(
        f"a person has to restart {units}, and there is no terminal; nothing was changed",
        where=plan.stack.source,
        todo="Run the same command at a terminal: it waits while you type the commands above",
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
    """Verify the stack: run all probes.

    Some probes must succeed, and some must be rejected. Exit 1: a probe did not end as expected, or a host is unreachable.

    \b
    Example:
      firescreen verify stack.yaml
    """
    with output.print_errors():
        wanted = stack_of(stack, workspace)
        machine = engine(workspace, wanted)
        made = make_plan(machine, wanted, password_file=password_file, passphrase_file=passphrase_file)
        if not made.is_verified:
            raise InputError(
                "this stack protects no component, so there is nothing to verify",
                where=wanted.source,
                todo="Add to a component: protect: [tls, basic_auth]",
            )
        attempts = machine.run_probes(made, output.tell_wait)
        completed = machine.complete(made, attempts)
    away = made.facts.away
    ok = not any(attempt.failed for attempt in attempts) and not away
    if completed is not None:
        ok &= completed.error is None
    if as_json:
        shown = shown_probes(attempts)
        more = shown_outcome(completed) if completed else {}
        health = shown_health(completed.health if completed else None)
        output.data({**shown, "ok": ok, **shown_unreachable(away), **more, **health})
    else:
        for attempt in attempts:
            output.show(output.attempt_line(attempt))
    if completed is not None:
        tell_completed(completed)
    for host, why in away.items():
        output.say(
            f"✗ {plain(host)} is unreachable, so it is not verified: {redact(plain(why))}",
            colour="red",
        )
    output.say(verification_line(attempts, away), bold=True, colour="green" if ok else "red")
    sys.exit(0 if ok else 1)
