"""The commands of a student in a class: joining, leaving, and sending a signal to the instructor."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wizard.cli import output
from wizard.errors import InputError
from wizard.redact import plain

if TYPE_CHECKING:
    from wizard.labs.board.reporter import Joined
    from wizard.workspace import Workspace

a_file = click.Path(exists=True, dir_okay=False, readable=True)


@click.command()
@click.argument("url", required=False, default="")
@click.option("--code", default="", help="Code of the class, as the board shows it")
@click.option("--name", default="", help="Your name on the board; your number only by default")
@click.option(
    "--fingerprint", default="", help="Fingerprint of the board's certificate, as the board shows it"
)
@click.option("--ca", type=a_file, help="CA that issued the board's certificate")
@click.option("--yes", is_flag=True, help="Do not ask before you are shown on the board")
@click.pass_obj
def join(
    workspace: Workspace, /, url: str, code: str, name: str, fingerprint: str, ca: str | None, yes: bool
) -> None:
    """Join a class: your instructor's board shows how far you are in the labs.

    URL, code and fingerprint are on the board. Without URL, joins the class of this machine again after lab leave.
    Shows what is sent, and asks.

    \b
    Example:
      firescreen lab join https://192.0.2.4:8090 --name Ada
    """
    from wizard.labs.board import member, reporter

    with output.print_errors():
        if not url:
            member.wish(workspace, shown=True, **({"name": member.clean_name(name)} if name else {}))
            output.say("The board of this machine shows your progress in the labs.")
            return
        to = _trusted_board(url, fingerprint, ca)
        code = code or _prompt("Code of the class", "--code CODE")
        _show_what_is_sent(workspace)
        if not yes and not (sys.stdin.isatty() and click.confirm("Join?", default=True, err=True)):
            raise InputError("nothing was sent", todo="Join with: firescreen lab join URL --yes")
        done = reporter.join(workspace, to, code, member.clean_name(name))
        report_progress(workspace)
        output.say(f"You are on the board at {done.url}. Your wizard and the lab commands report to it.")
        output.say("Leave the class with: firescreen lab leave")


def _trusted_board(url: str, fingerprint: str, ca: str | None) -> Joined:
    """Returns the board and how its certificate is verified."""
    from wizard.labs.board import reporter

    address = reporter.board_url(url)
    if ca:
        return reporter.Joined(url=address, ca=str(Path(ca).absolute()))
    presented = reporter.presented_fingerprint(address)
    if presented and not fingerprint:
        output.say(
            f"The certificate of the board has the fingerprint {reporter.shown_fingerprint(presented)}"
        )
        if not sys.stdin.isatty():
            raise InputError(
                "nobody can compare the fingerprint with the one on the board",
                todo="Give it: --fingerprint '…'. Or name the CA: --ca FILE",
            )
        if not click.confirm("Does the board show the same?", default=False, err=True):
            raise InputError("this is not the board", todo="Ask the instructor for the URL")
    elif presented and not reporter.is_fingerprint(fingerprint, presented):
        raise InputError(
            "the certificate of this server has another fingerprint",
            where=reporter.shown_fingerprint(presented),
            todo="Check the URL and the fingerprint on the board. Somebody may be in between",
        )
    return reporter.Joined(url=address, fingerprint=presented)


def _prompt(words: str, option: str) -> str:
    if not sys.stdin.isatty():
        raise InputError("the code of the class is missing", todo=f"Give it: {option}")
    return str(click.prompt(words, err=True))


def _show_what_is_sent(workspace: Workspace) -> None:
    from wizard.labs import labs
    from wizard.labs.board.student_folder import own_progress

    output.say("The board is sent, as long as you are in the class:", bold=True)
    output.say("  your name on the board, and whether you need help or are ready")
    output.say(
        "  for each lab that you start: its steps, when each was done, hints, checks, what the last check said,"
    )
    output.say("  and your answers to its questions. No password, key, file or command.")
    try:
        found = own_progress(workspace.ensure().root, labs(workspace.packs)).labs
    except OSError:
        found = ()
    started = ", ".join(plain(lab.title, 60) for lab in found) or "none"
    output.say(f"Labs that you started so far: {started}")


@click.command()
@click.pass_obj
def leave(workspace: Workspace) -> None:
    """Leave a class: the board no longer shows your progress, and nothing is sent.

    \b
    Example:
      firescreen lab leave
    """
    from wizard.labs.board import member, reporter

    with output.print_errors():
        was = reporter.joined_class(workspace)
        reporter.leave(workspace)
        member.wish(workspace, shown=False, signal="")
        where = f" at {plain(was.url, 200)}" if was else ""
        output.say(f"The board{where} no longer shows your progress. Come back with: firescreen lab join")


@click.command()
@click.argument("what", type=click.Choice(["help", "ready", "none"]))
@click.pass_obj
def signal(workspace: Workspace, what: str) -> None:
    """Tell the instructor that you need help or are ready to go on.

    "none" takes it back.

    \b
    Examples:
      firescreen lab signal help
      firescreen lab signal none
    """
    from wizard.labs.board import member

    with output.print_errors():
        member.wish(workspace, signal="" if what == "none" else what)
        report_progress(workspace)
        messages = {
            "help": "The board shows that you need help.",
            "ready": "The board shows that you are ready.",
        }
        output.say(messages.get(what, "The board shows neither any more."))


def report_progress(workspace: Workspace) -> None:
    """Reports to a joined class, and prints the instructor's new messages."""
    if not (workspace.labs / "class" / "joined.json").is_file():
        return  # the usual case, without the imports of a class
    from wizard.labs.board import member, reporter

    if reporter.joined_class(workspace) is None:
        return
    from wizard.labs import labs

    before = member.news(workspace)
    news = reporter.report_now(workspace, labs(workspace.packs))
    read_numbers = {message.number for message in before.messages} if before else set()
    for message in news.messages if news else ():
        if message.number not in read_numbers:
            output.say(f"From your instructor: {plain(message.text)}", bold=True)
