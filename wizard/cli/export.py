"""The command that hands a stack over to another engine."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wizard.cli import output
from wizard.cli.options import (
    ask,
    engine,
    passphrase_file,
    password_file,
    planned,
    renew,
    stack_of,
)
from wizard.errors import InputError
from wizard.redact import Secret, plain

if TYPE_CHECKING:
    from wizard.workspace import Workspace


@click.command()
@click.argument("stack")
@click.option(
    "--to", type=click.Choice(["ansible"]), required=True, expose_value=False, help="What will run it."
)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--vault-password-file",
    type=click.Path(path_type=Path),
    help="File with the password that encrypts the secrets; - for standard input. Without it, you are asked.",
)
@password_file
@passphrase_file
@renew
@click.pass_obj
def export(
    workspace: Workspace,
    stack: str,
    folder: Path,
    vault_password_file: Path | None,
    password_file: Path | None,
    passphrase_file: Path | None,
    renew: tuple[str, ...],
) -> None:
    """Write the stack as an Ansible playbook into DIR; no host is changed.

    Keys, passwords and hashes lie in DIR only encrypted (Ansible Vault). The CA and the passwords are remembered
    in the workspace, so that `verify` and later exports use the same.
    """
    with output.explained():
        from wizard.export import Export, refuse_folder

        refuse_folder(folder)
        wanted = stack_of(stack, workspace)
        machine = engine(workspace)
        made = planned(
            machine, wanted, password_file=password_file, passphrase_file=passphrase_file, renew=renew
        )
        ready = Export(made)
        secret = vault_password(vault_password_file) if ready.needs_password else None
        remembered = machine.apply(ready.for_workspace)
        if remembered.error is not None:
            raise remembered.error
        files = ready.write(folder, secret)
    for warning in made.warnings:
        output.say(f"! {plain(warning.what)}; {plain(warning.mend)}")
    output.say(f"{len(files)} files are in {plain(str(folder))}. No host was changed.")
    output.say(f"How to run it: {plain(str(folder / 'README.md'))}")
    click.echo(str(folder))


def vault_password(file: Path | None) -> Secret:
    """The vault's password as Ansible will read it from the same place: without white space at its ends.

    Raises:
        InputError: it is empty, or Ansible would read something else from that file.
    """
    if file is not None and str(file) != "-" and os.access(file, os.X_OK) and file.is_file():
        raise InputError(
            "this file is a program: Ansible would run it and take what it prints",
            where=str(file),
            todo="pipe its output in with --vault-password-file -, or chmod -x the file if it holds the password",
        )
    given = ask("Password for the vault", file, trimmed=True).reveal().strip()
    if file is None and sys.stdin.isatty() and ask("The same again", None).reveal().strip() != given:
        raise InputError("the two passwords are not the same", todo="try again")
    if not given:
        raise InputError("the vault's password is empty", todo="give one; a long one, it guards all keys")
    return Secret(given)
