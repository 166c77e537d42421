"""The commands `upkeep`: metrics, alert rules and a dashboard that help to keep a stack secured."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wizard import assets, ownfiles
from wizard.cli import output
from wizard.cli.options import as_json, connect, diff, engine, make_plan, stack_of, yes
from wizard.cli.upkeep_timer import agree, carry_out
from wizard.errors import FirescreenError, InputError
from wizard.redact import plain, redact

if TYPE_CHECKING:
    from wizard.workspace import Workspace

_READABLE = 0o644
"""The mode of files that node_exporter, Prometheus and Grafana read; they contain no secret."""

output_file = click.option(
    "-o",
    "--output",
    "file",
    type=click.Path(path_type=Path),
    help="Write this file instead of standard output",
)


@click.group()
def upkeep() -> None:
    """Keep a secured stack secured: metrics, alert rules, a timer."""


@upkeep.command()
@click.argument("stack")
@output_file
@click.pass_obj
def metrics(workspace: Workspace, stack: str, file: Path | None) -> None:
    """Print expiry and drift as metrics.

    They are for node_exporter's textfile collector: FILE is in its folder and ends in .prom. It is replaced in one step.

    Exit 1: a host is unreachable; its certificates are missing in the metrics.

    \b
    Example:
      firescreen upkeep metrics stack.yaml \\
        -o /var/lib/prometheus/node-exporter/firescreen.prom
    """
    with output.print_errors():
        from wizard.upkeep import comparison, lifetimes, record
        from wizard.upkeep.metrics import Upkeep, exposition

        wanted = stack_of(stack, workspace)
        machine = engine(workspace, wanted)
        connect(machine, wanted.hosts)
        differing: int | None = None
        try:
            compared = comparison.compare(machine, wanted)
            facts, differing = compared.facts, len(compared.differences)
        except InputError as error:
            output.say(f"! Drift is not in the metrics: {plain(error.what)}", colour="yellow")
            facts = machine.inspect(wanted)
        upkeep_state = Upkeep(
            now=time.time(),
            lifetimes=lifetimes.lifetimes(wanted, facts),
            renewals=record.load(workspace, wanted),
            verified=comparison.last_verified(workspace, wanted),
            drift=differing,
            unreachable=len(facts.away),
        )
        _write(exposition(upkeep_state), file)
    for host, why in facts.away.items():
        output.say(f"✗ {plain(host)} is unreachable: {redact(plain(why))}", colour="red")
    sys.exit(1 if facts.away else 0)


@upkeep.command()
@output_file
@click.option(
    "--stack", default="", help="Give the rules to each Prometheus of this stack, as a run that can be undone"
)
@diff
@yes
@as_json
@click.pass_obj
def rules(workspace: Workspace, file: Path | None, stack: str, diff: bool, yes: bool, as_json: bool) -> None:
    """Print alert rules for these metrics.

    The alerts are at 28, 14 and 3 days, past the date, and when a metric vanishes. Name FILE in Prometheus' rule_files;
    --stack does that, and reloads Prometheus.

    \b
    Examples:
      firescreen upkeep rules -o firescreen-rules.yml
      firescreen upkeep rules --stack stack.yaml --diff
    """
    with output.print_errors():
        from wizard.upkeep import rule_installation

        if not stack:
            if as_json or diff or yes:
                raise InputError("--json, --diff and --yes go with --stack", todo="Add --stack STACK")
            _write(rule_installation.rules().decode(), file)
            return
        wanted = stack_of(stack, workspace)
        machine = engine(workspace, wanted)
        plan = rule_installation.with_rules(machine, make_plan(machine, wanted))
        agree(plan, diff=diff, yes=yes, as_json=as_json)
    carry_out(machine, plan, as_json=as_json)


@upkeep.command()
@output_file
def dashboard(file: Path | None) -> None:
    """Print a dashboard of these metrics for Grafana, as JSON.

    \b
    Example:
      firescreen upkeep dashboard -o firescreen.json
    """
    with output.print_errors():
        _write(assets.path("upkeep/dashboard.json").read_text(encoding="utf-8"), file)


def _write(text: str, file: Path | None) -> None:
    """Replaces a file in one step, or prints the text.

    Raises:
        FirescreenError: the file cannot be written; its former content is unchanged.
    """
    if file is None:
        click.echo(text, nl=False)
        return
    try:
        ownfiles.replace(file, text, _READABLE)
    except OSError as error:
        raise FirescreenError(
            f"the file cannot be written: {error.strerror}",
            where=str(file),
            todo="Name a file in a folder that exists and that you may write",
        ) from error
    output.say(f"Wrote {file}")
