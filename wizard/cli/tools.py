"""The commands that need no stack: probe, explain, cert, hash."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wizard.cli import output
from wizard.cli.options import as_json, ask, connect, engine, password_file, stack_of
from wizard.redact import plain, redact

if TYPE_CHECKING:
    from wizard.engine import Engine
    from wizard.engine.manual_probe import Answered
    from wizard.model import Stack
    from wizard.workspace import Workspace

existing = click.Path(path_type=Path)


@click.command()
@click.argument("url")
@click.option(
    "--cacert", type=existing, help="CA bundle (PEM) that the server certificate must verify against"
)
@click.option("--cert", type=existing, help="Client certificate (PEM)")
@click.option("--key", type=existing, help="Private key of the client certificate (PEM)")
@click.option("--resolve", default="", metavar="HOST:PORT:ADDR", help="Connect to ADDR for HOST:PORT")
@click.option("--user", default="", help="User name for basic authentication; the password is asked for")
@password_file
@click.option("--insecure", is_flag=True, help="Do not verify the server certificate")
@click.option(
    "--ask",
    "what",
    default="page",
    type=click.Choice(["page", "targets", "up"]),
    help="page: request URL. targets, up: show the targets of the Prometheus at URL, or its `up` series",
)
@click.option(
    "--stack",
    metavar="STACK",
    help="If an error has several possible causes, check them on the hosts of this stack",
)
@as_json
@click.pass_obj
def probe(
    workspace: Workspace,
    /,
    url: str,
    user: str,
    password_file: Path | None,
    stack: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Make one request as Prometheus would, and show the result.

    \b
    Examples:
      firescreen probe https://srv1:9100/metrics --cacert ca.crt
      firescreen probe http://localhost:9090 --ask targets
    """
    from wizard.engine import manual_probe

    with output.print_errors():
        words: dict[str, Any] = {
            name: str(value) if isinstance(value, Path) else value for name, value in options.items() if value
        }
        password = ask(f"Password for user {user}", password_file) if user else None
        request = manual_probe.Request(url=url, user=user, password=password, **words)
        machine, wanted = _hosts_of(stack, workspace) if stack else (None, None)
        if machine is None:
            answered = manual_probe.ask(request, workspace)
        else:
            if wanted is not None and not request.resolve:
                request = replace(request, forward=machine.forward_to(url, wanted))
            answered = manual_probe.ask(request, workspace, dial=machine.dial)
        found = answered.diagnosis
        if found is not None and found.questions and machine is not None:
            found = machine.explain(f"{answered.attempt.reason}\n{answered.attempt.detail}", wanted)
    cause = _diagnosis_json(found) if found else None
    if as_json:
        output.data(_answer_json(answered, cause))
    else:
        _tell(answered, cause)
    sys.exit(0 if answered.ok else 1)


def _hosts_of(stack: str | None, workspace: Workspace) -> tuple[Engine, Stack | None]:
    """Returns an engine connected to the hosts of the stack; without a stack, for this machine."""
    machine = engine(workspace)
    wanted = stack_of(stack, workspace) if stack else None
    if wanted is not None:
        connect(machine, wanted.hosts)
    return machine, wanted


def _diagnosis_json(diagnosis: Any) -> dict[str, str]:
    return {key: getattr(diagnosis, key) for key in ("id", "cause", "fix", "other_end", "next", "matched")}


def _answer_json(answered: Answered, cause: dict[str, str] | None) -> dict[str, Any]:
    attempt = answered.attempt
    tls = attempt.tls
    return {
        "ok": answered.ok,
        "status": attempt.status,
        "reason": redact(attempt.reason),
        "tls": None
        if tls is None
        else {
            "version": tls.version,
            "cipher": tls.cipher,
            "chain": [
                {
                    "subject": entry.subject,
                    "issuer": entry.issuer,
                    "names": list(entry.names),
                    "not_before": entry.not_before,
                    "not_after": entry.not_after,
                    "key": entry.key,
                    "usage": list(entry.usage),
                    "fingerprint": entry.fingerprint,
                }
                for entry in tls.chain
            ],
        },
        "timings": dict(attempt.timings),
        "curl": answered.commands[0],
        "commands": list(answered.commands),
        "diagnosis": cause,
        "differences": [{"id": one.id, "words": one.words} for one in answered.differences],
        "targets": [
            {
                "job": one.job,
                "instance": one.instance,
                "url": one.url,
                "health": one.health,
                "error": one.error,
            }
            for one in answered.targets
        ],
    }


def _tell(answered: Answered, cause: dict[str, str] | None) -> None:
    attempt = answered.attempt
    click.echo(
        f"{'✓' if answered.ok else '✗'} {attempt.outcome}{': ' + redact(plain(attempt.reason)) if attempt.reason else ''}"
    )
    output.say("The same request with curl:", bold=True)
    for command in answered.commands:
        output.say(f"  {command}")
    _tell_more(answered)
    if attempt.tls is not None:
        output.say("Handshake:", bold=True)
        for line in attempt.tls.steps:
            output.say(f"  {plain(line)}")
        output.say("Certificate chain:", bold=True)
        for entry in attempt.tls.chain:
            output.say(f"  {plain(entry.subject)}  ← signed by {plain(entry.issuer)}")
            output.say(f"    names: {plain(', '.join(entry.names)) or 'none'}; key: {entry.key}")
    if attempt.body and not answered.targets:
        output.say("Response body, first lines:", bold=True)
        for line in plain(attempt.body, 400).splitlines()[:6]:
            output.say(f"  {line}")
    if cause is not None:
        output.say("Diagnosis:", bold=True)
        output.say(f"  {cause['cause']}")
        output.say(f"  What to do: {cause['fix']}")
        if cause["next"]:
            output.say(f"  If that does not help: {cause['next']}")


def _tell_more(answered: Answered) -> None:
    for one in answered.differences:
        output.say(f"  curl differs from Prometheus here: {one.words}")
    if answered.targets:
        output.say("Targets:", bold=True)
    for target in answered.targets:
        output.say(f"  {target.health:<8} {target.job}  {target.instance}")
        if target.error:
            output.say(f"           {redact(target.error)}")
            if target.error in answered.meanings:
                output.say(f"           → {answered.meanings[target.error]}")


@click.command()
@click.argument("text", required=False)
@click.option(
    "--stack",
    metavar="STACK",
    help="Check possible causes on the hosts of this stack; on this machine by default",
)
@click.option("--no-ask", is_flag=True, help="Use the text only: check nothing on hosts")
@as_json
@click.pass_obj
def explain(workspace: Workspace, text: str | None, stack: str | None, no_ask: bool, as_json: bool) -> None:
    """Explain an error: its cause, and what to do.

    TEXT is a line or a whole log; standard input by default, or where it is "-". If an error has several possible
    causes, they are checked on the hosts (files, ports, certificates; nothing is changed).

    \b
    Examples:
      firescreen explain "x509: certificate signed by unknown authority"
      journalctl -u prometheus | firescreen explain
    """
    from wizard.diagnostics import catalogue

    with output.print_errors():
        if text == "-":
            text = None
        if text is None and sys.stdin.isatty():
            output.say("Paste the error, then press Enter and Ctrl+D.")
        lines = text if text is not None else _log()
        found = catalogue.diagnose(lines)
        if found is not None and found.questions and not no_ask:
            machine, wanted = _hosts_of(stack, workspace)
            found = machine.explain(lines, wanted)
    if found is None:
        output.say("No known error matches this text.")
        if as_json:
            output.data({"id": None, "cause": "", "fix": "", "other_end": "", "next": "", "matched": ""})
        sys.exit(1)
    if as_json:
        output.data(_diagnosis_json(found))
        return
    for check in found.asked:
        output.say(f"Checked: {check.question.told} {'Result: yes.' if check.answer else 'No result.'}")
    output.show(f"{found.cause}\nWhat to do: {found.fix}")
    if found.other_end:
        output.show(f"At the other end: {found.other_end}")
    if found.next:
        output.show(f"Next: {found.next}")
    if found.menu_entry:
        output.show(f"In the wizard: {catalogue.PARTS[found.menu_entry]}")


def _log() -> str:
    """Reads the last 8 MiB of standard input, of which at most 64 MiB are read."""
    kept = b""
    stream = sys.stdin.buffer
    for _ in range(64):
        piece = stream.read(1 << 20)
        if not piece:
            break
        kept = (kept + piece)[-(8 << 20) :]
    wide = kept.startswith((b"\xff\xfe", b"\xfe\xff"))  # PowerShell redirects text into a file as UTF-16
    return kept.decode("utf-16" if wide else "utf-8", "replace")


@click.command(name="hash")
@click.option("--cost", default=10, show_default=True, type=click.IntRange(4, 15), help="Cost of bcrypt")
def hash_command(cost: int) -> None:
    """Print the bcrypt hash of a password.

    Reads the password from standard input, or asks for it.

    \b
    Examples:
      firescreen hash
      firescreen hash --cost 12 < password.txt
    """
    from wizard import passwords

    with output.print_errors():
        password = ask("Password", None, alone=True)
        passwords.check(password)
        if sys.stdin.isatty():
            output.say(f"A server like this machine needs {passwords.cost_seconds(cost):.3f} s to check it.")
        click.echo(passwords.hash_password(password, cost))
