"""The commands of the practice stack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import click

from wizard.cli import output
from wizard.cli.options import as_json, engine

if TYPE_CHECKING:
    from wizard.workspace import Workspace


@click.group()
def practice() -> None:
    """Start and stop the practice stack, on this machine.

    Its programs are real (Prometheus, node_exporter and others), run without root, and listen on loopback only.

    \b
    Examples:
      firescreen practice up
      firescreen practice down --remove
    """


@practice.command()
@click.option("--suite", default="", help="Use the programs of this Debian suite, e.g. trixie")
@click.option("--whole", is_flag=True, help="Also start Alertmanager, Pushgateway and blackbox_exporter")
@click.option(
    "--with", "more", multiple=True, metavar="COMPONENT", help="Also start this component; may be repeated"
)
@as_json
@click.pass_obj
def up(workspace: Workspace, suite: str, whole: bool, more: tuple[str, ...], as_json: bool) -> None:
    """Start the practice stack: Prometheus, and a node_exporter.

    \b
    Examples:
      firescreen practice up
      firescreen practice up --whole
    """
    from wizard import practice as stack

    with output.print_errors():
        workspace.ensure()
        stack.up(
            workspace.root,
            workspace.cache,
            suite=suite,
            components=(*(stack.WHOLE if whole else ()), *more),
            progress=lambda line: output.say(f"  {line}"),
        )
        _show(workspace, as_json=as_json)


@practice.command()
@as_json
@click.pass_obj
def status(workspace: Workspace, as_json: bool) -> None:
    """Show what runs in the practice stack.

    \b
    Example:
      firescreen practice status
    """
    with output.print_errors():
        _show(workspace, as_json=as_json)


@practice.command()
@click.option("--remove", is_flag=True, help="Also remove its files")
@click.pass_obj
def down(workspace: Workspace, remove: bool) -> None:
    """Stop the practice stack.

    \b
    Examples:
      firescreen practice down
      firescreen practice down --remove
    """
    from wizard import practice as stack

    with output.print_errors():
        if remove:
            engine(workspace).practice_down()
        else:
            stack.down(workspace.root)
        output.say(
            "The practice stack is stopped."
            + (" Its files are removed." if remove else " Its files are kept.")
        )


@practice.command()
@click.argument("service")
@click.pass_obj
def restart(workspace: Workspace, service: str) -> None:
    """Restart a program of the practice stack.

    SERVICE is a component, with its host where several have one: node_exporter, srv2/node_exporter.

    \b
    Example:
      firescreen practice restart node_exporter
    """
    _tell(workspace, service, "restart")


@practice.command()
@click.argument("service")
@click.pass_obj
def reload(workspace: Workspace, service: str) -> None:
    """Reload a program of the practice stack.

    SERVICE is a component, as for restart.

    \b
    Example:
      firescreen practice reload prometheus
    """
    _tell(workspace, service, "reload")


def _tell(workspace: Workspace, name: str, action: Literal["restart", "reload"]) -> None:
    from wizard import practice as stack

    with output.print_errors():
        stack.control_service(workspace.root, name, action)
        output.say(f"{name}: {action} done")


def _show(workspace: Workspace, *, as_json: bool) -> None:
    from wizard import practice as stack
    from wizard.practice import compose_project

    now = stack.status(workspace.root)
    shown: dict[str, Any] = {"up": now is not None, "services": []}
    if now is not None:
        shown["services"] = [
            {
                "host": host.name,
                "component": host.component,
                "address": host.listen,
                "version": host.version,
                "folder": host.folder,
                "active": host.active,
            }
            for host in now.hosts
        ]
    if as_json:
        output.data(shown)
    elif now is None:
        output.say("The practice stack does not run. Start it with: firescreen practice up")
    else:
        for service in shown["services"]:
            click.echo(
                f"{service['host']:12} {service['component']:18} {service['address']:20} {service['version']:10}"
                f" {'up' if service['active'] else 'down'}"
            )
    if not as_json and (missing := compose_project.why_unavailable()):
        output.say(f"The lab 'compose' is skipped: {missing}")
