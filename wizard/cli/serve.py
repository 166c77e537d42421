"""The command `serve`: the wizard in a browser. The web server is in the package `screens`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wizard.cli import output
from wizard.errors import InputError

if TYPE_CHECKING:
    from wizard.workspace import Workspace

Serve = Callable[..., int]
"""(workspaces, stack, say, and the options as named) -> exit code."""

a_file = click.Path(exists=True, dir_okay=False, readable=True)


@click.command()
@click.argument("stack", required=False, default="")
@click.option(
    "--listen", default="127.0.0.1", metavar="ADDRESS", help="Address to listen on; loopback by default"
)
@click.option(
    "--port", default=8000, type=click.IntRange(0, 65535), help="Port to listen on; 0 for any free port"
)
@click.option("--cert", type=a_file, help="Certificate of this server, for https")
@click.option("--key", type=a_file, help="Private key of the certificate")
@click.option("--url", default="", metavar="URL", help="URL for browsers, if a proxy with https is in front")
@click.option(
    "--students",
    default=0,
    type=click.IntRange(0, 60),
    metavar="N",
    help="Print a link for each of N students, each with a workspace and a practice stack",
)
@click.pass_context
def serve(
    context: click.Context, /, stack: str, listen: str, port: int, students: int, **options: Any
) -> None:
    """Serve the wizard to a browser.

    Prints a link that contains a secret. Everybody who has the link uses the wizard as you, with your permissions
    on your hosts: do not share it. The server listens on loopback only. With --listen and another address it needs
    https: --cert and --key, or a proxy and --url.

    \b
    Examples:
      firescreen serve stack.yaml
      firescreen serve --students 12 --listen 192.0.2.4 \\
        --cert server.crt --key server.key
    """
    opener: Serve | None = getattr(context.find_root().command, "serve_wizard", None)
    workspace: Workspace = context.obj
    with output.print_errors():
        if opener is None:
            raise InputError("the wizard is not part of this installation", todo="Install all of Firescreen")
        if students and stack:
            raise InputError(
                "with --students, each student has a practice stack", where=stack, todo="Leave out STACK"
            )
        if stack not in ("", "practice") and not (
            Path(stack).is_file() and stack.endswith((".yaml", ".yml"))
        ):
            raise InputError(
                "there is no such stack file", where=stack, todo="Name a .yaml file, or practice"
            )
        rooms: tuple[Workspace, ...] = (workspace,)
        if students:
            rooms = tuple(
                type(workspace)(workspace.root / "students" / f"{n:02}") for n in range(1, students + 1)
            )
            stack = "practice"
        _warn(listen, students)
        sys.exit(
            opener(
                rooms,
                str(Path(stack).absolute()) if stack not in ("", "practice") else stack,
                click.echo,
                listen=listen,
                port=port,
                cert=options["cert"] or "",
                key=options["key"] or "",
                url=options["url"],
            )
        )


def _warn(listen: str, students: int) -> None:
    """Prints what a link allows, before the first link is printed."""
    output.say(
        "Everybody who has a link uses this wizard as you, with your permissions. Do not share it.", bold=True
    )
    if students:
        output.say("All students act as your user: start this as a user without files and permissions.")
    if listen not in ("127.0.0.1", "::1", "localhost"):
        output.say(
            f"The server listens on {listen}: every machine that reaches this address can connect.", bold=True
        )
    output.say("Ctrl+C stops the server and all wizards.")
