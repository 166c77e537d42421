"""The commands: everything that the wizard does, for scripts, CI and people at a shell.

Exit codes: 0 success, or nothing to do; 1 the command ran and the result is negative; 2 bad usage or bad input, nothing
changed; 3 `plan`: changes are pending, `scan` and `audit`: findings.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import click

import wizard
from wizard.cli import output

if TYPE_CHECKING:
    from wizard.cli import board, serve
    from wizard.workspace import Workspace

OpenWizard = Callable[[str, bool, "Workspace"], int]
"""(stack argument or '', whether to start on the practice stack, workspace) -> exit code."""


_COMMANDS = {
    "scan": "stacks:scan",
    "plan": "stacks:plan",
    "apply": "stacks:apply",
    "verify": "stacks:verify",
    "audit": "audit:audit",
    "renew": "renewal:renew",
    "drift": "drift:drift",
    "inventory": "inventory:inventory",
    "upkeep": "upkeep:upkeep",
    "undo": "runs:undo",
    "recover": "runs:recover",
    "history": "runs:history",
    "probe": "tools:probe",
    "explain": "tools:explain",
    "cert": "certificates:cert",
    "hash": "tools:hash_command",
    "practice": "practice:practice",
    "lab": "labs:lab",
    "export": "export:export",
    "serve": "serve:serve",
    "docs": "docs:docs",
    "completion": "completion:completion",
}
"""For each command its module in this package and its name there: only the typed command is imported."""
_BELOW = {
    "upkeep": ("upkeep_timer:install", "upkeep_timer:status", "upkeep_timer:remove"),
    "lab": (
        "packs:add",
        "packs:remove",
        "packs:check_pack",
        "packs:new",
        "board:board",
        "class_member:join",
        "class_member:leave",
        "class_member:signal",
        "rehearsal:rehearse",
    ),
}
"""The commands of a group that are in other modules than the group."""


class _Front(click.Group):
    """The top-level group; a first word that is no command is the STACK that the wizard opens."""

    open_wizard: OpenWizard | None = None
    serve_wizard: serve.Serve | None = None
    open_board: board.OpenBoard | None = None

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Returns the names of all commands."""
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Returns a command, which is imported when it is first needed."""
        if cmd_name not in self.commands and cmd_name in _COMMANDS:
            command = _import_command(_COMMANDS[cmd_name])
            for place in _BELOW.get(cmd_name, ()):
                assert isinstance(command, click.Group)
                command.add_command(_import_command(place))
            _complete_help(command)
            self.add_command(command, cmd_name)
        return self.commands.get(cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        word = args[0]
        is_command = self.get_command(ctx, word) is not None or word.startswith("-")
        if ctx.params.get("plain") and args == ["practice"]:  # otherwise a group of commands
            is_command = False
        if not is_command and (
            word == "practice" or word.endswith((".yaml", ".yml")) or os.path.exists(word)  # noqa: PTH110
        ):
            return "open", _open, args
        return super().resolve_command(ctx, args)


@click.group(
    cls=_Front, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(wizard.__version__, prog_name="firescreen", help="Show the version and exit")
@click.option(
    "--workspace",
    "folder",
    type=click.Path(path_type=Path),
    help="Folder of the CA, the journal, the practice stack and the reports",
)
@click.option("--practice", is_flag=True, help="Open the wizard on the practice stack")
@click.option(
    "--plain",
    is_flag=True,
    help="Ask questions in lines instead of opening the wizard, for screen readers and pipes",
)
@click.pass_context
def firescreen(context: click.Context, folder: Path | None, practice: bool, plain: bool) -> None:
    """Secure a Prometheus stack step by step, and verify it.

    Without a command, the wizard opens: firescreen [STACK].

    STACK is a stack file, or the word "practice" for the practice stack on this machine. A stack file names hosts,
    components and their protection: firescreen scan --write FILE makes one.

    \b
    Examples:
      firescreen scan --write stack.yaml     what runs on this machine
      firescreen plan stack.yaml             what would change
      firescreen apply stack.yaml            change it, and verify it
      firescreen undo                        undo that
      firescreen practice up                 a small stack to try things on
    """
    from wizard.workspace import Workspace

    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        context.color = False
    context.obj = Workspace.at(folder) if folder else Workspace.default()
    if plain and context.invoked_subcommand not in (None, "open"):
        raise click.UsageError("--plain goes without a command: firescreen --plain [STACK]")
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


NO_TERMINAL = "Standard input or output is not one."
_INSTEAD = (
    ("--plain", "the wizard as questions and answers in lines"),
    ("scan", "what runs on this machine, and how it is protected"),
    ("lab play", "play the first lab"),
    ("apply STACK --yes", "secure the components of a stack file"),
    ("--help", "all commands"),
)


def no_screen() -> str:
    """Returns why the wizard cannot be drawn here; '' if it can."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return NO_TERMINAL
    return "This one cannot place text on the screen (TERM=dumb)." if os.environ.get("TERM") == "dumb" else ""


def _open_wizard(context: click.Context, stack: str, *, practice: bool) -> None:
    if context.params["plain"]:
        from wizard.cli import plain_mode

        plain_mode.run(context.obj, "practice" if practice else stack)
    opener: OpenWizard | None = getattr(context.command, "open_wizard", None)
    reason = no_screen()
    if opener is None or reason:
        output.say(f"The wizard needs a terminal. {reason or NO_TERMINAL}", bold=True)
        output.say("Use a command instead:")
        start = output.as_typed("firescreen scan").removesuffix("scan")
        width = max(len(command) for command, _ in _INSTEAD)
        for command, words in _INSTEAD:
            output.say(f"  {start}{command:<{width}}   {words}")
        sys.exit(2)
    sys.exit(opener(stack, practice, context.obj))


def _import_command(place: str) -> click.Command:
    module, _, name = place.partition(":")
    command: click.Command = getattr(import_module(f"wizard.cli.{module}"), name)
    return command


def _complete_help(command: click.Command) -> None:
    """Adds to the help of each subcommand what STACK is, and shows first lines completely in lists."""
    for inner in command.commands.values() if isinstance(command, click.Group) else ():
        _complete_help(inner)
    first, _, body = inspect.cleandoc(command.help or "").partition("\n\n")
    command.short_help = first
    if any(isinstance(each, click.Argument) and each.name == "stack" for each in command.params):
        from wizard.cli.options import STACK

        command.help = "\n\n".join(part for part in (first, STACK, body) if part)


def main(
    open_wizard: OpenWizard | None = None,
    serve_wizard: serve.Serve | None = None,
    open_board: board.OpenBoard | None = None,
) -> None:
    """Runs the command line.

    Args:
        open_wizard: opens the wizard. All three functions come from the package `screens`.
        serve_wizard: serves the wizard to browsers.
        open_board: opens the board of a class.
    """
    _Front.open_wizard = staticmethod(open_wizard) if open_wizard else None
    _Front.serve_wizard = staticmethod(serve_wizard) if serve_wizard else None
    _Front.open_board = staticmethod(open_board) if open_board else None
    try:
        firescreen(prog_name="firescreen", standalone_mode=False)
    except click.exceptions.Abort:
        output.say("Stopped.")
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except BrokenPipeError:
        sys.exit(1)
