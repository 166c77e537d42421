"""Options that several commands share, and how commands get their stack and their passwords."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from wizard.errors import CredentialNeededError, HostError, InputError
from wizard.redact import Secret

if TYPE_CHECKING:
    from wizard.connections.base import Connection
    from wizard.connections.credentials import SecretKind
    from wizard.engine import Engine
    from wizard.model import Answers, HostSpec, Plan, Service, Stack
    from wizard.workspace import Workspace


STACK = 'STACK is a stack file, or "practice" for the practice stack.'
"""The explanation of STACK in the help of each command that has one."""
_AHEAD = 32
"""Maximum number of hosts that are connected to at the same time."""

as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on standard output")
yes = click.option("--yes", is_flag=True, help="Do not ask before changes are made")
diff = click.option("--diff", is_flag=True, help="Show the changes as diffs, and the commands for them")
passphrase_file = click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path),
    help="File with the passphrase of the CA's private key; - for standard input",
)
password_file = click.option(
    "--password-file", type=click.Path(path_type=Path), help="File with the password; - for standard input"
)
password_days = click.option(
    "--passwords",
    "password_days",
    type=click.IntRange(min=1),
    metavar="DAYS",
    help="Also replace all generated passwords, if one of them is older than that",
)
renew = click.option(
    "--renew",
    multiple=True,
    metavar="WHAT",
    help="Renew ca, certificates, passwords, or the certificate of HOST/COMPONENT; repeatable",
)


def engine(workspace: Workspace, stack: Stack | None = None) -> Engine:
    """Makes the engine, imported when a command needs it; its connections are closed with the command.

    Args:
        workspace: of the command.
        stack: whose hosts the command needs; connects to the first of them while modules are imported.
    """
    from wizard.connections.credentials import Access

    access, connections_begun = Access(), {}
    discovered: dict[HostSpec, tuple[float, tuple[Service, ...]]] = {}
    far = [host for host in stack.hosts if host.connect == "ssh"][:_AHEAD] if stack is not None else []
    if stack is not None and far:
        # sshd starts on the remote host, and `ssh` on another processor, while Paramiko is being imported on this one.
        from wizard.connections.ssh.preconnect import EarlyConnection

        early = {host: EarlyConnection(host) for host in far}
        from wizard.connections.ssh.connection import SshConnection

        connections_begun = {host: SshConnection(host, access, early=early[host]) for host in far}
        for host, connection in connections_begun.items():
            connection.begin(partial(_look, stack, host, connection, discovered, str(workspace.practice)))
    from wizard.engine import Engine

    made = Engine(workspace, access, connections_begun, discovered=discovered)
    click.get_current_context().call_on_close(made.close)
    return made


def _look(
    stack: Stack,
    host: HostSpec,
    connection: Connection,
    discovered: dict[HostSpec, tuple[float, tuple[Service, ...]]],
    practice_folder: str,
) -> None:
    """Discovers the services of a host while the engine is still being imported: see `Hosts.services`."""
    from wizard.service_managers import discovery

    connection.ask_ahead(discovery.requests(stack))
    discovered[host] = time.monotonic(), discovery.discover(connection, practice_folder=practice_folder)


def stack_of(argument: str, workspace: Workspace) -> Stack:
    """Returns the stack that an argument names: a file, or the word practice.

    Raises:
        InputError: there is no such file, or the practice stack does not run.
    """
    if argument == "practice":
        from wizard import practice

        if practice.status(workspace.root) is None:
            raise InputError(
                "the practice stack does not run",
                where=str(workspace.practice),
                todo="Run: firescreen practice up",
            )
        return practice.stack(workspace.root)
    from wizard.inventory import stack_file as stack

    return stack.load(Path(argument))


def also_accept_broken(stack: Stack, keys: Sequence[str]) -> Stack:
    """Returns the stack with more clients that may be rejected after the run."""
    return replace(stack, accept_broken=tuple(dict.fromkeys((*stack.accept_broken, *keys))))


def known_broken(plan: Plan, keys: Sequence[str]) -> None:
    """Rejects names of clients that the plan does not break.

    Raises:
        InputError: one of `keys` is such a name.
    """
    client_keys = [each.key for each in plan.broken_clients]
    for key in keys:
        if plan.changes and key not in client_keys:
            raise InputError(
                f"the plan breaks no client called {key!r}",
                where=plan.stack.source or "STACK",
                todo=f"Choose from: {', '.join(client_keys)}" if client_keys else "Leave out --accept-broken",
            )


@dataclass(frozen=True, slots=True)
class Asking:
    """How a person is prompted for what turns out to be needed: at a terminal, or in the plain mode's dialog."""

    say: Callable[[str], None]
    confirm: Callable[[str], bool]
    secret: Callable[[str], Secret]


def at_terminal() -> Asking:
    """Returns prompts on standard error."""
    return Asking(
        say=lambda line: click.echo(line, err=True),
        confirm=lambda words: click.confirm(words, err=True),
        secret=lambda words: ask(words, None),
    )


def make_plan(
    machine: Engine,
    stack: Stack,
    *,
    password_file: Path | None = None,
    passphrase_file: Path | None = None,
    renew: tuple[str, ...] = (),
    answers: Answers | None = None,
    asking: Asking | None = None,
) -> Plan:
    """Makes the plan for a stack; a missing password is read from a file, standard input or a prompt at the terminal.

    Args:
        answers: passwords, the passphrase and secrets that are already known.
        asking: how a person is prompted; by default at the terminal.

    Raises:
        InputError: a password is missing and there is no terminal, or a host cannot be read.
        FirescreenError: see `Engine.plan`.
    """
    from wizard.model import Answers

    renewable = {"ca", "certificates", "passwords", *(component.key for component in stack.components)}
    renewable |= {door.certificate for door in stack.front_doors}
    for what in renew:
        if what not in renewable:
            raise InputError(
                f"{what!r} cannot be renewed", todo=f"Choose from: {', '.join(sorted(renewable))}"
            )
    given = answers or Answers()
    passwords, passphrase = dict(given.passwords), given.passphrase
    if password_file is not None:
        user = stack.users[0].name
        passwords[user] = ask(f"Password for user {user}", password_file)
    if passphrase_file is not None:
        passphrase = ask("Passphrase of the CA's private key", passphrase_file)
    connect(machine, stack.hosts, asking)
    secret = (asking or at_terminal()).secret
    try:
        facts = machine.inspect(stack)
        for _ in range(len(stack.users) + 2):
            try:
                made = Answers(passwords, passphrase, frozenset(renew), given.login_secrets)
                return machine.plan(stack, made, facts=facts)
            except CredentialNeededError as needed:
                if needed.user:
                    passwords[needed.user] = secret(f"Password for user {needed.user}")
                else:
                    passphrase = secret("Passphrase of the CA's private key")
    except HostError as error:
        raise InputError.from_error(error) from error
    raise InputError("the passwords given are not enough for a plan", where=stack.source)


def ask_to_confirm(question: str, *, todo: str, as_json: bool = False) -> None:
    """Asks at the terminal whether changes may be made.

    Args:
        question: for the person.
        todo: what to do instead if there is no terminal.

    Raises:
        InputError: the answer is no, or there is no terminal.
    """
    if as_json or not sys.stdin.isatty():
        raise InputError(
            "nothing was changed: --yes is missing, and there is no terminal to ask at", todo=todo
        )
    if not click.confirm(question, err=True):
        raise InputError("nothing was changed", todo=todo)


def connect(machine: Engine, hosts: tuple[HostSpec, ...], asking: Asking | None = None) -> None:
    """Connects to hosts; prompts for passwords and host keys, once each.

    Args:
        asking: how a person is prompted; by default at the terminal.

    Raises:
        InputError: a host is unreachable, or an answer is needed and there is no terminal.
    """
    prompted: set[SecretKind] = set()
    for _ in range(4 * len(hosts) + 1):
        try:
            machine.reach(hosts)
            return
        except HostError as error:
            raise InputError.from_error(error) from error
        except CredentialNeededError as needed:
            if not needed.kind or (asking is None and not sys.stdin.isatty()):
                raise
            person = asking or at_terminal()
            person.say(f"{needed.where or needed.host}: {needed.what}")
            if needed.kind == "host-key":
                if not person.confirm(f"Is {needed.fingerprint} the SSH host key of {needed.host}?"):
                    raise InputError("the SSH host key was not accepted", where=needed.host) from needed
                machine.access.accept(needed.host, needed.fingerprint)
            else:
                kinds = {
                    "password": "Password",
                    "key": "Passphrase of the SSH key",
                    "sudo": "Password for sudo",
                }
                given = person.secret(f"{kinds[needed.kind]} ({needed.host})")
                kind = cast("SecretKind", needed.kind)
                several = kind != "key" and len(hosts) > 1 and kind not in prompted
                prompted.add(kind)
                everywhere = several and person.confirm(
                    "Use it on all hosts? (the other hosts get it after this one has accepted it)"
                )
                machine.access.give(kind, needed.host, given, everywhere=everywhere)
    raise InputError(
        "no answer was accepted",
        todo="Check the user and the password; the hosts' logs of sshd and sudo say more",
    )


def ask(words: str, file: Path | None, *, alone: bool = False, trimmed: bool = False) -> Secret:
    """Reads a secret from a file, standard input or the keyboard; never from an argument.

    Args:
        words: the prompt.
        file: contains the secret; '-' is standard input.
        alone: reads all of standard input; otherwise one line.
        trimmed: removes white space at both ends.

    Raises:
        InputError: it cannot be read, or is not one line of UTF-8 text.
    """
    from wizard.passwords import decode

    what = words.partition(" ")[0].lower()
    if file is not None and str(file) != "-":
        try:
            content = file.read_bytes()
        except OSError as error:
            raise InputError(
                f"the {what} cannot be read: {error.strerror}",
                where=str(file),
                todo="Check the file's name and permissions",
            ) from error
        return decode(content.strip() if trimmed else content, where=str(file), what=what)
    if sys.stdin.isatty():
        return Secret(click.prompt(words, hide_input=True, err=True))
    stream = sys.stdin.buffer
    line = stream.read() if alone else stream.readline()
    if not line:
        raise InputError(
            "a password is needed, and standard input is empty",
            where=words,
            todo="Use --password-file FILE, or write the password to standard input",
        )
    return decode(line.strip() if trimmed else line, where="standard input", what=what)
