"""The command `inventory`: certificates, private keys and users of all hosts."""

from __future__ import annotations

import csv
import sys
import time
from dataclasses import asdict, fields
from typing import TYPE_CHECKING

import click

from wizard.cli import output
from wizard.cli.options import as_json, connect, engine, stack_of
from wizard.cli.text_format import shown_unreachable
from wizard.errors import InputError
from wizard.redact import plain, redact

if TYPE_CHECKING:
    from wizard.workspace import Workspace

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Beginnings of a cell that a spreadsheet would execute."""


@click.command()
@click.argument("stack")
@click.option("--csv", "as_csv", is_flag=True, help="Print comma-separated values on standard output")
@as_json
@click.pass_obj
def inventory(workspace: Workspace, stack: str, as_csv: bool, as_json: bool) -> None:
    """List certificates, private keys and users.

    With expiry, fingerprint, and what uses each. No key, password or hash is printed.

    Exit 1: a host is unreachable, and its items are missing.

    \b
    Example:
      firescreen inventory stack.yaml --csv > inventory.csv
    """
    with output.print_errors():
        from wizard.upkeep.inventory import Item
        from wizard.upkeep.inventory import inventory as items_of

        if as_csv and as_json:
            raise InputError("--csv and --json both name a format", todo="Leave out one of them")
        wanted = stack_of(stack, workspace)
        machine = engine(workspace, wanted)
        connect(machine, wanted.hosts)
        facts = machine.inspect(wanted)
        found = items_of(wanted, facts)
    if as_json:
        rows = [asdict(each) for each in found]
        # `holdings` is the key's former name, kept until the next release.
        output.data({"version": 1, "inventory": rows, "holdings": rows, **shown_unreachable(facts.away)})
    elif as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow([field.name for field in fields(Item)])
        for each in found:
            writer.writerow([_cell(value) for value in asdict(each).values()])
    else:
        for each in found:
            until = time.strftime("%Y-%m-%d", time.gmtime(each.not_after)) if each.not_after else "-"
            used = f"  [{plain(each.used_by)}]" if each.used_by else ""
            output.show(
                f"{plain(each.host):12} {each.kind:11} {until:10} {plain(each.path)}  {each.subject}{used}",
                indent=" " * 25,
            )
    for host, why in facts.away.items():
        output.say(f"✗ {plain(host)} is unreachable: {redact(plain(why))}", colour="red")
    sys.exit(1 if facts.away else 0)


def _cell(value: object) -> object:
    """Returns a value for a spreadsheet; text that a spreadsheet would execute is marked as text."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
