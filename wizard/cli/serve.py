"""The command that offers the wizard to browsers. What it takes is said here; the front door brings who does it."""

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
    "--listen", default="127.0.0.1", metavar="ADDRESS", help="Address to listen on; loopback by default."
)
@click.option("--port", default=8000, type=click.IntRange(0, 65535), help="0 takes any that is free.")
@click.option("--cert", type=a_file, help="Certificate of this server: it speaks https then.")
@click.option("--key", type=a_file, help="Its key.")
@click.option(
    "--url", default="", metavar="URL", help="Where browsers find it, if a proxy with https stands before."
)
@click.option(
    "--students",
    default=0,
    type=click.IntRange(0, 60),
    metavar="N",
    help="A link for each of N students, each with a workspace and practice stack of its own.",
)
@click.pass_context
def serve(
    context: click.Context, /, stack: str, listen: str, port: int, students: int, **options: Any
) -> None:
    """Offer the wizard to a browser. STACK is a file, or the word practice.

    It prints a link with a secret in it. Whoever has the link drives the wizard as you, on your hosts, with your
    rights: give it to nobody else. It listens on this machine only, unless --listen says otherwise; then it needs
    https (--cert and --key, or a proxy and --url).
    """
    opener: Serve | None = getattr(context.find_root().command, "serve_wizard", None)
    workspace: Workspace = context.obj
    with output.explained():
        if opener is None:
            raise InputError(
                "the wizard is not part of this installation", todo="install the whole of Firescreen"
            )
        if students and stack:
            raise InputError(
                "students have practice stacks of their own", where=stack, todo="leave STACK out"
            )
        if stack not in ("", "practice") and not (
            Path(stack).is_file() and stack.endswith((".yaml", ".yml"))
        ):
            raise InputError(
                "there is no such stack file", where=stack, todo="name a .yaml file, or practice"
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
    """What it means, before a link is there to be given away."""
    output.say(
        "Whoever has a link drives this wizard as you, with your rights: give it to nobody else.", bold=True
    )
    if students:
        output.say("Each student has a workspace, but all are you: start this as a user who owns nothing.")
    if listen not in ("127.0.0.1", "::1", "localhost"):
        output.say(f"It listens on {listen}: every machine that reaches this one can knock.", bold=True)
    output.say("Ctrl+C ends it, and the wizards with it.")
