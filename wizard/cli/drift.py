"""The command `drift`: shows differences from the last verified state, and restores that state."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from wizard.cli import output
from wizard.cli.options import as_json, ask_to_confirm, connect, diff, engine, stack_of, yes
from wizard.cli.text_format import (
    count_noun,
    end,
    extent_of,
    listen,
    show_plan,
    shown_outcome,
    shown_plan,
    shown_state,
    shown_unreachable,
)
from wizard.errors import InputError
from wizard.redact import plain, redact

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wizard.engine import Engine
    from wizard.model import Stack
    from wizard.upkeep.drift import Difference
    from wizard.workspace import Workspace


@click.command()
@click.argument("stack")
@click.option("--adopt", is_flag=True, help="Make the present state the verified state")
@click.option("--restore", is_flag=True, help="Restore what was verified, as a run that can be undone")
@diff
@yes
@as_json
@click.pass_obj
def drift(
    workspace: Workspace, stack: str, adopt: bool, restore: bool, diff: bool, yes: bool, as_json: bool
) -> None:
    """Show what differs from the last verified state.

    Compares files, their modes and owners, flags, unit files, certificates, jobs, and the answers of the components.
    Nothing is changed on the hosts unless --restore is given: it shows a plan, and asks.

    Exit 3: something differs. Exit 1: a host is unreachable, and nothing differs on the others.

    \b
    Examples:
      firescreen drift stack.yaml
      firescreen drift stack.yaml --adopt --yes
      firescreen drift stack.yaml --restore --diff
    """
    with output.print_errors():
        if adopt and restore:
            raise InputError("--adopt and --restore exclude each other", todo="Leave one of them out")
        if diff and not restore:
            raise InputError("--diff goes with --restore", todo="Add --restore")
        wanted = stack_of(stack, workspace)
        machine = engine(workspace, wanted)
        if adopt and not yes:
            ask_to_confirm(
                "Take what is there now as the verified state?", todo="Add --yes to adopt it", as_json=as_json
            )
        connect(machine, wanted.hosts)
    if restore:
        _restore(machine, wanted, diff=diff, yes=yes, as_json=as_json)
    _compare(machine, wanted, adopt=adopt, as_json=as_json)


def _compare(machine: Engine, wanted: Stack, *, adopt: bool, as_json: bool) -> None:
    with output.print_errors():
        from wizard.upkeep import comparison
        from wizard.upkeep import drift as found_drift

        found = comparison.compare(machine, wanted, adopt=adopt)
    away = found.facts.away
    if as_json:
        output.data(
            {
                "version": 1,
                "since": found.since,
                "checked": sum(len(host.files) for host in found.facts.hosts.values()),
                "differences": [found_drift.difference_fields(each) for each in found.differences],
                **shown_unreachable(away),
                "adopted": adopt and not away,
            }
        )
    else:
        _tell(found.differences)
    _tell_away(away)
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(found.since)) if found.since else "the last run"
    if found.differences:
        output.say(
            f"{count_noun(len(found.differences), 'difference')} since {when}.", bold=True, colour="red"
        )
        output.say(
            "  Meant so: firescreen drift STACK --adopt. Restore it: firescreen drift STACK --restore."
        )
    else:
        output.say(f"Nothing differs since {when}.", bold=True, colour="green")
    sys.exit(3 if found.differences else 1 if away else 0)


def _restore(machine: Engine, wanted: Stack, *, diff: bool, yes: bool, as_json: bool) -> None:
    """Shows the plan that restores the verified state, and applies it.

    Exits with 0 if everything is restored, with 1 if something is left for a person to restore.
    """
    with output.print_errors():
        from wizard.upkeep import drift as found_drift
        from wizard.upkeep.restoration import restoration

        found = restoration(machine, wanted)
        left = [found_drift.difference_fields(each) for each in found.left]
        if not found.plan.changes:
            _tell_left(found.left)
            _tell_away(found.plan.facts.away)
            if not left:
                output.say("Nothing to restore.", bold=True)
            if as_json:
                output.data(
                    {
                        "run": "",
                        **shown_state("nothing"),
                        "ok": not left,
                        "left": left,
                        **shown_plan(found.plan),
                    }
                )
            sys.exit(1 if left or found.plan.facts.away else 0)
        if not as_json:
            show_plan(found.plan, diff=diff)
        if not yes:
            ask_to_confirm(f"Apply {extent_of(found.plan)}?", todo="Add --yes to apply it", as_json=as_json)
    outcome = machine.apply(found.plan, *listen(), canary="none")
    if as_json:
        output.data(
            {
                **shown_outcome(outcome),
                "ok": outcome.ok,
                "left": left,
                **shown_plan(found.plan),
            }
        )
    if outcome.ok and left:
        _tell_left(found.left)
        sys.exit(1)
    end(outcome)


def _tell(differences: Iterable[Difference]) -> None:
    for each in differences:
        output.show(f"{plain(each.place)}: {each.kind}: {redact(plain(each.what, 400))}", indent="  ")


def _tell_left(differences: Iterable[Difference]) -> None:
    """Lists the differences that the plan does not restore."""
    for each in differences:
        output.say(
            f"! Restore it yourself: {plain(each.place)}: {redact(plain(each.what, 400))}", colour="yellow"
        )


def _tell_away(away: Mapping[str, str]) -> None:
    for host, why in away.items():
        output.say(f"✗ {plain(host)} is unreachable: {redact(plain(why))}", colour="red")
