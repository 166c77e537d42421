"""The commands that look back: undo, recover, history."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from wizard.cli import output
from wizard.cli.asking import as_json, engine, reached, yes
from wizard.cli.shown import end, error_of, listening
from wizard.errors import InputError
from wizard.redact import plain

if TYPE_CHECKING:
    from wizard.workspace import Workspace


@click.command()
@click.argument("run", required=False, default="")
@yes
@as_json
@click.pass_obj
def undo(workspace: Workspace, run: str, yes: bool, as_json: bool) -> None:
    """Put back what a run changed; the newest run by default."""
    with output.explained():
        machine = engine(workspace)
        if not yes:
            runs = [
                known
                for known in machine.history()
                if known.state in ("proven", "applied", "changed", "partly")
            ]
            which = run or (runs[0].run if runs else "")
            for known in runs:
                if known.run == which:
                    output.say(f"This would put back: {plain(known.title)}")
                    for change in known.changes:
                        output.say(f"  {plain(change)}")
            raise InputError("nothing was touched", todo="add --yes to do it")
        if machine.cut_off() is None:
            reached(machine, machine.hosts_of(run))
    outcome = machine.undo(run, *listening())
    if as_json:
        output.data({"run": outcome.run, "state": outcome.state, **error_of(outcome)})
    end(outcome)


@click.command()
@yes
@as_json
@click.pass_obj
def recover(workspace: Workspace, yes: bool, as_json: bool) -> None:
    """Finish the undo of a run that was cut off."""
    with output.explained():
        machine = engine(workspace)
        cut = machine.cut_off()
        if cut is not None and not yes:
            how = (
                "left a host behind; this would be put back"
                if cut.state == "owed"
                else "was cut off; it would be put back"
            )
            output.say(f"Run {cut.run} {how}:")
            for change in cut.changes:
                output.say(f"  {plain(change)}")
            raise InputError("nothing was touched", todo="add --yes to do it")
        if cut is not None:
            reached(machine, machine.hosts_of())
    outcomes = machine.recover(output.progress()) if yes else ()
    if as_json:
        output.data({"runs": [{"run": done.run, "state": done.state, **error_of(done)} for done in outcomes]})
    if not outcomes:
        output.say("Nothing to recover.")
    for outcome in outcomes:
        if outcome.error is not None:
            output.complain(outcome.error)
        else:
            output.say(f"Run {outcome.run} is put back.")
    sys.exit(0 if all(outcome.error is None for outcome in outcomes) else 1)


@click.command()
@as_json
@click.pass_obj
def history(workspace: Workspace, as_json: bool) -> None:
    """List the runs, the newest first."""
    with output.explained():
        runs = engine(workspace).history()
    if as_json:
        output.data(
            [
                {
                    "run": run.run,
                    "started": run.started,
                    "state": run.state,
                    "title": run.title,
                    "changes": list(run.changes),
                }
                for run in runs
            ]
        )
        return
    if not runs:
        output.say("No runs yet.")
    for run in runs:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(run.started))
        click.echo(f"{run.run}  {when}  {run.state:12} {plain(run.title)}")
