"""The commands about past runs: undo, recover, history."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from wizard import journal_reader
from wizard.cli import output
from wizard.cli.options import as_json, ask_to_confirm, connect, engine, yes
from wizard.cli.text_format import end, listen, shown_outcome, shown_state
from wizard.errors import InputError
from wizard.redact import plain, redact

if TYPE_CHECKING:
    from wizard.engine import Engine, Remains
    from wizard.workspace import Workspace


@click.command()
@click.argument("run", required=False, default="")
@yes
@as_json
@click.pass_obj
def undo(workspace: Workspace, run: str, yes: bool, as_json: bool) -> None:
    """Undo a run; the newest run by default.

    \b
    Examples:
      firescreen undo
      firescreen undo 20270101-120000-1a2b --yes
    """
    with output.print_errors():
        machine = engine(workspace)
        if not yes:
            _show_undo(machine, run)
            ask_to_confirm("Undo this run?", todo="Add --yes to undo it", as_json=as_json)
        if machine.interrupted_run() is None:
            connect(machine, machine.hosts_of(run))
    outcome = machine.undo(run, *listen())
    if as_json:
        output.data(shown_outcome(outcome))
    end(outcome)


def _show_undo(machine: Engine, run: str) -> None:
    """Prints what an undo would change; for the newest run if `run` is ''."""
    undoable = ("proven", "applied", "changed", "partly")
    runs = [
        run_record
        for run_record in machine.history()
        if run_record.state in undoable and run in ("", run_record.run)
    ]
    for run_record in runs[:1]:
        output.say(f"This would undo: {plain(run_record.title)}")
        for change in run_record.changes:
            output.say(f"  {plain(change)}")


@click.command()
@click.argument("run", required=False, default="")
@yes
@click.option(
    "--forget",
    is_flag=True,
    help="Roll nothing back: compare the files with those before the run, and close the run if they agree",
)
@click.option(
    "--as-it-is",
    is_flag=True,
    help="With --forget: close the run even where files differ or a host is gone; copies stay in the workspace",
)
@as_json
@click.pass_obj
def recover(workspace: Workspace, run: str, yes: bool, forget: bool, as_it_is: bool, as_json: bool) -> None:
    """Roll back an interrupted run, and hosts that need recovery.

    RUN is an id from firescreen history; by default, all that is left to roll back.

    \b
    Examples:
      firescreen recover
      firescreen recover --forget      (if the host does not exist any more)
    """
    with output.print_errors():
        if not forget and (run or as_it_is):
            raise InputError("RUN and --as-it-is go with --forget", todo="Add --forget, or leave them out")
        machine = engine(workspace)
        if forget:
            sys.exit(_forget(machine, run, yes=yes, as_it_is=as_it_is, as_json=as_json))
        cut = machine.interrupted_run()
        if cut is not None and not yes:
            how = (
                "left a host that needs recovery; this would be rolled back"
                if cut.state == "owed"
                else "was interrupted; this would be rolled back"
            )
            output.say(f"Run {cut.run} {how}:")
            for change in cut.changes:
                output.say(f"  {plain(change)}")
            ask_to_confirm("Roll it back?", todo="Add --yes to roll it back", as_json=as_json)
            yes = True
        if cut is not None:
            connect(machine, machine.hosts_of())
    outcomes = machine.recover(output.progress()) if yes else ()
    if as_json:
        output.data({"runs": [shown_outcome(done) for done in outcomes]})
    if not outcomes:
        output.say("Nothing to recover.")
    for outcome in outcomes:
        if outcome.error is not None:
            output.complain(outcome.error)
        else:
            output.say(f"Run {outcome.run} is rolled back.")
    sys.exit(0 if all(outcome.error is None for outcome in outcomes) else 1)


def _forget(machine: Engine, run: str, *, yes: bool, as_it_is: bool, as_json: bool) -> int:
    """Compares the hosts with the journals of runs that were not rolled back, and closes these runs with `yes`.

    Raises:
        InputError: that run has nothing to recover, or `yes` is missing.
    """
    if machine.interrupted_run() is not None:
        _meet(machine)
    left = machine.remains(run)
    for each in left:
        _tell_remains(each)
    if left and not yes:
        differs = any(each.differences for each in left)
        raise InputError(
            "the run was not closed",
            todo="Roll it back with: firescreen recover --yes. Or keep what differs: add --as-it-is --yes"
            if differs
            else "Add --yes to close it",
        )
    outcomes = machine.forget(run, as_it_is=as_it_is) if left else ()
    if as_json:
        differences = {each.run: each.differences for each in left}
        output.data(
            {
                "runs": [
                    {
                        **shown_outcome(done),
                        "differences": [
                            {"host": one.host, "path": one.path, "what": redact(one.what), "copy": one.copy}
                            for one in differences.get(done.run, ())
                        ],
                    }
                    for done in outcomes
                ]
            }
        )
    if not outcomes:
        output.say("Nothing to recover.")
    for outcome in outcomes:
        if outcome.error is not None:
            output.complain(outcome.error)
        else:
            output.say(f"Run {outcome.run} is closed: it will not be rolled back.")
            for line in outcome.summary:
                output.say(f"  {plain(line)}")
    return 0 if all(outcome.error is None for outcome in outcomes) else 1


def _meet(machine: Engine) -> None:
    """Connects to the hosts; a run can be closed even if one of them no longer exists."""
    try:
        connect(machine, machine.hosts_of())
    except InputError as error:
        output.say(f"! {plain(str(error))}", colour="yellow")


def _tell_remains(remains: Remains) -> None:
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(remains.started))
    output.say(f"Run {remains.run} ({when}, {plain(remains.title)}) was not rolled back.", bold=True)
    for one in remains.differences:
        place = ":".join(part for part in (one.host, one.path) if part)
        output.say(f"  ✗ {plain(place)}: {redact(plain(one.what))}", colour="red")
        if one.copy:
            output.say(f"    before the run: {plain(one.copy)}")
    if not remains.differences:
        where = ", ".join(remains.hosts) or "this machine"
        output.say(
            f"  ✓ On {plain(where)}, every file is as before the run, and the services run.", colour="green"
        )


@click.command()
@as_json
@click.pass_obj
def history(workspace: Workspace, as_json: bool) -> None:
    """List the runs, the newest first.

    \b
    Examples:
      firescreen history
      firescreen history --json
    """
    with output.print_errors():
        runs = journal_reader.history(workspace)
    if as_json:
        output.data(
            [
                {
                    "run": run.run,
                    "started": run.started,
                    **shown_state(run.state),
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
        state = output.RUN_WORDS.get(run.state, run.state)
        output.show(f"{run.run}  {when}  {state:15} {plain(run.title)}", indent="    ")
