"""The front without a screen: the commands that scripts, CI and people in a hurry use.

Exit codes: 0 it is so, or nothing to do; 1 it ran and the answer is no; 2 bad usage or bad input, nothing
touched; 3 `plan`: changes are pending, `scan`: findings.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

import wizard
from wizard.cli import (
    docs,
    export,
    labs,
    output,
    packs,
    runs,
    serve,
    stacks,
    tools,
)
from wizard.cli import (
    practice as practising,
)

if TYPE_CHECKING:
    from wizard.workspace import Workspace

OpenWizard = Callable[[str, bool, "Workspace"], int]
"""(stack argument or '', whether to open on the practice stack, workspace) -> exit code."""


class _Front(click.Group):
    """Takes a first word that is no command for the STACK that the wizard opens."""

    open_wizard: OpenWizard | None = None
    serve_wizard: serve.Serve | None = None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        word = args[0]
        known = self.get_command(ctx, word) is not None or word.startswith("-")
        if not known and (
            word == "practice" or word.endswith((".yaml", ".yml")) or os.path.exists(word)  # noqa: PTH110
        ):
            return "open", _open, args
        return super().resolve_command(ctx, args)


@click.group(
    cls=_Front, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(wizard.__version__, prog_name="firescreen")
@click.option(
    "--workspace",
    "folder",
    type=click.Path(path_type=Path),
    help="Where the CA, the journal, the practice stack and the reports live.",
)
@click.option("--practice", is_flag=True, help="Open the wizard on the practice stack.")
@click.pass_context
def firescreen(context: click.Context, folder: Path | None, practice: bool) -> None:
    """Secure a Prometheus stack step by step, and prove it. Without a command, the wizard opens.

    \b
    firescreen [STACK]     open the wizard, on a stack file if one is named
    """
    from wizard.workspace import Workspace

    context.obj = Workspace.at(folder) if folder else Workspace.default()
    if context.invoked_subcommand is None:
        _open_wizard(context, "", practice=practice)


@click.command(hidden=True)
@click.argument("stack")
@click.pass_context
def _open(context: click.Context, stack: str) -> None:
    """Open the wizard on a stack."""
    parent = context.parent
    assert parent is not None
    _open_wizard(parent, stack, practice=stack == "practice")


def _open_wizard(context: click.Context, stack: str, *, practice: bool) -> None:
    opener: OpenWizard | None = getattr(context.command, "open_wizard", None)
    if opener is None or not (sys.stdin.isatty() and sys.stdout.isatty()):
        output.say("The wizard needs a terminal, and this is none (a pipe, or CI).", bold=True)
        output.say("Without a screen, the same is done by:")
        output.say("  firescreen scan                what runs here and how open it is")
        output.say("  firescreen lab play            the first lab, in plain lines")
        output.say("  firescreen apply STACK --yes   secure what a stack file describes")
        output.say("  firescreen --help              everything else")
        sys.exit(2)
    sys.exit(opener(stack, practice, context.obj))


for command in (
    stacks.scan,
    stacks.plan,
    stacks.apply,
    stacks.verify,
    runs.undo,
    runs.recover,
    runs.history,
    tools.probe,
    tools.explain,
    tools.cert,
    tools.hash_command,
    practising.practice,
    labs.lab,
    export.export,
    serve.serve,
    docs.docs,
):
    firescreen.add_command(command)


for command in (packs.add, packs.remove, packs.check_pack, packs.new):
    labs.lab.add_command(command)


def main(open_wizard: OpenWizard | None = None, serve_wizard: serve.Serve | None = None) -> None:
    """Runs the command line; `open_wizard` and `serve_wizard` are what the front door brings."""
    _Front.open_wizard = staticmethod(open_wizard) if open_wizard else None
    _Front.serve_wizard = staticmethod(serve_wizard) if serve_wizard else None
    try:
        firescreen(standalone_mode=False)
    except click.exceptions.Abort:
        output.say("Stopped.")
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except BrokenPipeError:
        sys.exit(1)
