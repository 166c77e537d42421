"""The command `export`: writes a stack as an Ansible playbook."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wizard.cli import output
from wizard.cli.options import ask, engine, make_plan, passphrase_file, password_file, renew, stack_of
from wizard.errors import InputError
from wizard.plurals import count_noun
from wizard.redact import Secret, plain

if TYPE_CHECKING:
    from wizard.workspace import Workspace


@click.command()
@click.argument("stack")
@click.option(
    "--to", type=click.Choice(["ansible"]), required=True, expose_value=False, help="Format of the export"
)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--vault-password-file",
    type=click.Path(path_type=Path),
    help="File with the Ansible Vault password; - for standard input; asked for by default",
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
    """Write an Ansible playbook for STACK into DIR.

    Changes no host. Private keys, passwords and hashes are encrypted with Ansible Vault. The workspace keeps the CA
    and the passwords, so that `verify` and later exports use the same ones.

    \b
    Example:
      firescreen export stack.yaml --to ansible playbook
    """
    with output.print_errors():
        from wizard.export import Export, refuse_folder

        refuse_folder(folder)
        wanted = stack_of(stack, workspace)
        machine = engine(workspace)
        made = make_plan(
            machine, wanted, password_file=password_file, passphrase_file=passphrase_file, renew=renew
        )
        ready = Export(made)
        secret = vault_password(vault_password_file) if ready.needs_password else None
        remembered = machine.apply(ready.for_workspace)
        if remembered.error is not None:
            raise remembered.error
        files = ready.write(folder, secret)
    for warning in made.warnings:
        output.say(f"! {plain(warning.what)}; {plain(warning.remediation)}")
    output.say(f"Wrote {count_noun(len(files), 'file')} to {plain(str(folder))}. No host was changed.")
    output.say(f"How to run it: {plain(str(folder / 'README.md'))}")
    click.echo(str(folder))


def vault_password(file: Path | None) -> Secret:
    """Reads the vault password as Ansible reads it from the same file: without white space at its ends.

    Raises:
        InputError: it is empty, or the file is executable and Ansible would run it.
    """
    if file is not None and str(file) != "-" and os.access(file, os.X_OK) and file.is_file():
        raise InputError(
            "this file is executable: Ansible would run it and use its output as the password",
            where=str(file),
            todo="Pipe its output in with --vault-password-file -, or use chmod -x if it contains the password",
        )
    given = ask("Password for the vault", file, trimmed=True).reveal().strip()
    if file is None and sys.stdin.isatty() and ask("Repeat the password", None).reveal().strip() != given:
        raise InputError("the two passwords differ", todo="Run the command again")
    if not given:
        raise InputError(
            "the vault password is empty", todo="Choose a long one: it protects all private keys"
        )
    return Secret(given)
