"""The commands that work on a stack: scan, plan, apply, verify."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wizard.cli import output
from wizard.cli.asking import (
    as_json,
    engine,
    passphrase_file,
    password_file,
    planned,
    reached,
    renew,
    stack_of,
    yes,
)
from wizard.cli.shown import end, error_of, listening, shown_plan, shown_probes, tell_plan
from wizard.errors import InputError
from wizard.redact import plain

if TYPE_CHECKING:
    from wizard.workspace import Workspace


@click.command()
@click.argument("stack", required=False)
@as_json
@click.pass_obj
def scan(workspace: Workspace, stack: str | None, as_json: bool) -> None:
    """Show what runs where, and how it is protected (exit 3: something stands open)."""
    with output.explained():
        machine = engine(workspace)
        wanted = stack_of(stack, workspace) if stack else None
        if wanted is not None:
            reached(machine, wanted.hosts)
        found = machine.scan(wanted)
    if as_json:
        output.data(
            {
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
                    }
                    for exposure in found.exposures
                ],
                "findings": [
                    {
                        "severity": finding.severity,
                        "id": finding.id,
                        "host": finding.host,
                        "component": finding.component,
                        "what": finding.what,
                    }
                    for finding in found.findings
                ],
            }
        )
    elif not found.exposures and not found.findings:
        output.say("Nothing of Prometheus was found on this machine. Try: firescreen practice up")
    else:
        for exposure in found.exposures:
            click.echo(
                f"{exposure.host:12} {exposure.component:14} {exposure.address:22} {plain(exposure.words)}"
            )
        for finding in found.findings:
            if finding.id == "not-found":
                output.say(finding.what)
    sys.exit(3 if found.findings else 0)


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
        made = planned(
            engine(workspace),
            wanted,
            password_file=password_file,
            passphrase_file=passphrase_file,
            renew=renew,
        )
    if as_json:
        output.data(shown_plan(made))
    else:
        tell_plan(made)
        output.say("Nothing has been written." if made.changes else "Nothing to do: it is as it should be.")
    sys.exit(3 if made.changes else 0)


@click.command()
@click.argument("stack")
@yes
@as_json
@password_file
@passphrase_file
@renew
@click.pass_obj
def apply(
    workspace: Workspace,
    stack: str,
    yes: bool,
    as_json: bool,
    password_file: Path | None,
    passphrase_file: Path | None,
    renew: tuple[str, ...],
) -> None:
    """Plan, apply and prove; what fails is put back (exit 1)."""
    with output.explained():
        wanted = stack_of(stack, workspace)
        machine = engine(workspace)
        made = planned(
            machine, wanted, password_file=password_file, passphrase_file=passphrase_file, renew=renew
        )
        if not yes:
            tell_plan(made)
            raise InputError("nothing was touched", todo="add --yes to do it")
    outcome = machine.apply(made, *listening())
    if as_json:
        output.data(
            {
                "run": outcome.run,
                "state": outcome.state,
                **shown_probes(outcome.attempts),
                "ok": outcome.ok,
                **error_of(outcome),
            }
        )
    end(outcome)


@click.command()
@click.argument("stack")
@as_json
@password_file
@passphrase_file
@click.pass_obj
def verify(
    workspace: Workspace, stack: str, as_json: bool, password_file: Path | None, passphrase_file: Path | None
) -> None:
    """Run all the probes, wanted and unwanted (exit 1: one did not end as it must)."""
    with output.explained():
        wanted = stack_of(stack, workspace)
        machine = engine(workspace)
        made = planned(machine, wanted, password_file=password_file, passphrase_file=passphrase_file)
        if not made.probes:
            raise InputError(
                "this stack protects nothing, so there is nothing to prove",
                where=wanted.source,
                todo="say how: protect: [tls, basic_auth]",
            )
        attempts = machine.prove(made)
    if as_json:
        output.data(shown_probes(attempts))
    else:
        for attempt in attempts:
            click.echo(output.attempt_line(attempt))
    sys.exit(0 if all(attempt.ok for attempt in attempts) else 1)
