"""The command `completion`: a script that completes commands and options in a shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

VARIABLE = "_FIRESCREEN_COMPLETE"
"""The environment variable by which the script asks for completions."""


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a script for completion in bash, zsh or fish.

    \b
    Examples:
      firescreen completion bash > ~/.local/share/bash-completion/completions/firescreen
      firescreen completion zsh > ~/.zfunc/_firescreen        (a folder of fpath)
      firescreen completion fish > ~/.config/fish/completions/firescreen.fish
    """
    found = get_completion_class(shell)
    assert found is not None
    root = context.find_root()
    click.echo(found(root.command, {}, "firescreen", VARIABLE).source())
