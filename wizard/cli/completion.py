"""The command `completion`: prints a script that completes commands and options in a shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

VARIABLE = "_FIRESCREEN_COMPLETE"
"""The environment variable through which the script requests completions."""

_FIRST_TIME = "$zsh_eval_context[-1] == loadautofunc"


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a script for completion in bash, zsh or fish.

    Write it where your shell looks for such scripts (for zsh a folder of fpath), then open another shell.

    \b
    Examples:
      firescreen completion bash \\
        > ~/.local/share/bash-completion/completions/firescreen
      firescreen completion zsh > ~/.zfunc/_firescreen
      firescreen completion fish > ~/.config/fish/completions/firescreen.fish
    """
    found = get_completion_class(shell)
    assert found is not None
    root = context.find_root()
    script = found(root.command, {}, "firescreen", VARIABLE).source()
    # zsh runs a file of fpath as a function each time, but only the first time in the context that Click checks for.
    script = script.replace(_FIRST_TIME, f"{_FIRST_TIME} || $funcstack[1] == _firescreen")
    click.echo(script)
