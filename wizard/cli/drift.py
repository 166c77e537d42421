"""The command `drift`: what differs from the last verified state."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from wizard.cli import output
from wizard.cli.options import agreed, as_json, engine, reached, stack_of, yes
from wizard.cli.text_format import counted
from wizard.redact import plain, redact

if TYPE_CHECKING:
    from wizard.workspace import Workspace


@click.command()
@click.argument("stack")
@click.option("--adopt", is_flag=True, help="Take what is there now as the verified state: it is meant so")
@yes
@as_json
@click.pass_obj
def drift(workspace: Workspace, stack: str, adopt: bool, yes: bool, as_json: bool) -> None:
    """Show what differs from the last verified state.

    Compares files, their modes and owners, flags, unit files, certificates, jobs, and the answers of the components.
    Nothing is changed on the hosts. To restore what the stack says: firescreen apply.

    Exit 3: something differs. Exit 1: a host is unreachable, and nothing differs on the others.

    \b
    Examples:
      firescreen drift stack.yaml
      firescreen drift stack.yaml --adopt --yes
    """
    with output.explained():
        from wizard.upkeep import comparison
        from wizard.upkeep import drift as found_drift

        wanted = stack_of(stack, workspace)
        machine = engine(workspace, wanted.hosts)
        if adopt and not yes:
            agreed(
                "Take what is there now as the verified state?", todo="Add --yes to adopt it", as_json=as_json
            )
        reached(machine, wanted.hosts)
        found = comparison.compare(machine, wanted, adopt=adopt)
    away = found.facts.away
    if as_json:
        output.data(
            {
                "version": 1,
                "since": found.since,
                "checked": sum(len(host.files) for host in found.facts.hosts.values()),
                "differences": [found_drift.shown(each) for each in found.differences],
                "away": [{"host": host, "why": redact(why)} for host, why in away.items()],
                "adopted": adopt and not away,
            }
        )
    else:
        for each in found.differences:
            click.echo(f"{plain(each.place)}: {each.kind}: {redact(plain(each.what, 400))}")
    for host, why in away.items():
        output.say(f"✗ {plain(host)} is unreachable: {redact(plain(why))}", colour="red")
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(found.since)) if found.since else "the last run"
    if found.differences:
        output.say(f"{counted(len(found.differences), 'difference')} since {when}.", bold=True, colour="red")
        output.say(
            "  Meant so: firescreen drift STACK --adopt. Restore what the stack says: firescreen apply STACK."
        )
    else:
        output.say(f"Nothing differs since {when}.", bold=True, colour="green")
    sys.exit(3 if found.differences else 1 if away else 0)
