"""The commands `upkeep install`, `status` and `remove`: the timer that renews what is due."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wizard.cli import output
from wizard.cli.options import as_json, ask_to_confirm, connect, diff, engine, password_days, stack_of, yes
from wizard.cli.text_format import (
    end,
    extent_of,
    listen,
    show_plan,
    shown_outcome,
    shown_plan,
    shown_state,
)
from wizard.errors import InputError
from wizard.redact import plain

if TYPE_CHECKING:
    from wizard.engine import Engine
    from wizard.model import FileState, Plan
    from wizard.upkeep.timer import Timer
    from wizard.workspace import Workspace


@click.command()
@click.argument("stack")
@click.option("--user", "own", is_flag=True, help="A timer of your own systemd; the default for all but root")
@click.option(
    "--metrics",
    type=click.Path(path_type=Path),
    help="Textfile for the metrics; by default in node_exporter's folder, where that is there",
)
@click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path),
    help="File with the passphrase of the CA's key; systemd hands it to the timer",
)
@password_days
@click.option(
    "--calendar", default="*-*-* 00/6:00:00", show_default=True, help="When, as systemd's OnCalendar"
)
@click.option("--delay", default="30min", show_default=True, help="Up to how much later, at random")
@diff
@yes
@as_json
@click.pass_obj
def install(
    workspace: Workspace,
    /,
    stack: str,
    own: bool,
    diff: bool,
    yes: bool,
    as_json: bool,
    **settings: Any,
) -> None:
    """Install a timer that renews what is due.

    It runs firescreen renew --due on this machine, which has the CA, and writes the metrics. Without systemd, root gets a
    file in /etc/cron.d. It is previewed and undone like every change.

    \b
    Examples:
      firescreen upkeep install stack.yaml --diff
      firescreen upkeep install stack.yaml --passwords 180 --yes
    """
    with output.print_errors():
        from wizard.upkeep import timer_installation

        wanted = stack_of(stack, workspace)
        machine = engine(workspace, wanted)
        connect(machine, wanted.hosts)
        found = timer_installation.timer_of(machine, wanted, own=own, **settings)
        plan = timer_installation.plan_of(machine, found)
        agree(plan, diff=diff, yes=yes, as_json=as_json)
    carry_out(machine, plan, as_json=as_json)


@click.command()
@click.argument("stack")
@click.option("--user", "own", is_flag=True, help="The timer of your own systemd")
@diff
@yes
@as_json
@click.pass_obj
def remove(workspace: Workspace, stack: str, own: bool, diff: bool, yes: bool, as_json: bool) -> None:
    """Remove the timer, also one whose stack file is gone.

    \b
    Examples:
      firescreen upkeep remove stack.yaml --diff
      firescreen upkeep remove stack.yaml --yes
    """
    with output.print_errors():
        from wizard.upkeep import timer

        machine = engine(workspace)
        found, there = _installed_timer(machine, stack, own=own)
        plan = timer.removal(found, there)
        agree(plan, diff=diff, yes=yes, as_json=as_json)
    carry_out(machine, plan, as_json=as_json)


@click.command()
@click.argument("stack")
@click.option("--user", "own", is_flag=True, help="The timer of your own systemd")
@as_json
@click.pass_obj
def status(workspace: Workspace, stack: str, own: bool, as_json: bool) -> None:
    """Show the timer: when it ran, and when it runs next.

    Exit 1: it is not installed, does not wait for its next time, or its last run failed.

    \b
    Example:
      firescreen upkeep status stack.yaml
    """
    with output.print_errors():
        from wizard.upkeep import record
        from wizard.upkeep.timer_installation import bare_stack

        machine = engine(workspace)
        found, files = _installed_timer(machine, stack, own=own)
        shown = _timer_json(machine, found, {path for path, state in files.items() if state is not None})
        renewals = record.load(workspace, bare_stack(found.stack))
    shown |= {
        "last_attempt": renewals.attempted,
        "last_success": renewals.succeeded,
        "failures": renewals.failures,
        "reason": renewals.reason,
    }
    ok = bool(shown["installed"] and shown["active"] and shown["result"] in ("success", ""))
    if as_json:
        output.data({"version": 1, "ok": ok, **shown})
    else:
        for name in ("unit", "installed", "active", "last", "next", "result", "failures", "reason"):
            output.show(f"{name:10} {plain(str(shown[name]))}", indent=" " * 11)
    sys.exit(0 if ok else 1)


def _installed_timer(machine: Engine, stack: str, *, own: bool) -> tuple[Timer, dict[str, FileState | None]]:
    """Returns the timer of a stack on this machine, and its present files; also if only the stack file is gone.

    Raises:
        InputError: there is no such stack, and no timer of it.
    """
    from wizard.upkeep import timer_installation as upkeep

    try:
        found = upkeep.timer_of(machine, stack_of(stack, machine.workspace), own=own, look=False)
    except InputError:
        found = upkeep.timer_of(machine, upkeep.bare_stack(stack), own=own, look=False)
        there = upkeep.present_files(machine, found)[0]
        if not any(there.values()):
            raise
        return found, there
    return found, upkeep.present_files(machine, found)[0]


def agree(plan: Plan, *, diff: bool, yes: bool, as_json: bool) -> None:
    """Shows the plan, and asks whether to apply it.

    Raises:
        InputError: the answer is no, or there is no terminal.
    """
    if not plan.changes:
        output.say("Nothing to do.", bold=True)
        if as_json:
            output.data({"run": "", **shown_state("nothing"), "ok": True, **shown_plan(plan)})
        sys.exit(0)
    if not as_json:
        show_plan(plan, diff=diff)
    if not yes:
        ask_to_confirm(f"Apply {extent_of(plan)}?", todo="Add --yes to apply it", as_json=as_json)


def carry_out(machine: Engine, plan: Plan, *, as_json: bool) -> None:
    """Applies a plan, prints the result, and exits."""
    outcome = machine.apply(plan, *listen(), canary="none")
    if as_json:
        output.data(
            {
                **shown_outcome(outcome),
                "ok": outcome.ok,
                **shown_plan(plan),
            }
        )
    end(outcome)


def _timer_json(machine: Engine, found: Timer, files: set[str]) -> dict[str, Any]:
    """Returns what systemd reports about a timer."""
    from wizard.model import HostSpec
    from wizard.service_managers.systemd_timer import systemctl
    from wizard.upkeep.timer import HERE

    common = {"unit": found.service.unit, "installed": set(found.files()) == files, "files": sorted(files)}
    if found.kind == "cron":
        return {**common, "unit": found.name, "active": bool(files), "last": "", "next": "", "result": ""}
    with machine.connections((HostSpec(name=HERE, connect="local"),)) as hosts:
        connection = hosts.connection(HERE)

        def unit_properties(unit: str, *names: str) -> dict[str, str]:
            argv = [*systemctl(found.service), "show", "-p", ",".join(names), "--", unit]
            lines = connection.run(argv, timeout=20).stdout.splitlines()
            return dict(line.partition("=")[::2] for line in lines)

        timer = unit_properties(
            found.service.unit, "ActiveState", "LastTriggerUSec", "NextElapseUSecRealtime"
        )
        service = unit_properties(f"{found.name}.service", "Result")
    return {
        **common,
        "active": timer.get("ActiveState") == "active",
        "last": timer.get("LastTriggerUSec", ""),
        "next": timer.get("NextElapseUSecRealtime", ""),
        "result": service.get("Result", ""),
    }
