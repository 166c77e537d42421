"""The commands for a class: the instructor's board, and joining, leaving and signalling as a student."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wizard import ownfiles
from wizard.cli import output
from wizard.cli.options import as_json
from wizard.errors import FirescreenError, InputError
from wizard.plurals import count_noun
from wizard.redact import plain

if TYPE_CHECKING:
    from wizard.labs.board.board import Board
    from wizard.labs.board.class_view import ClassView
    from wizard.web_access import Listener
    from wizard.workspace import Workspace

OpenBoard = Callable[["Board", "Workspace"], int]
"""Opens the board as a screen of the wizard; returns the exit code."""
PORT = 8090
a_file = click.Path(exists=True, dir_okay=False, readable=True)


@click.command()
@click.argument("folders", metavar="[FOLDER]...", nargs=-1, type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--listen",
    default="",
    metavar="ADDRESS[:PORT]",
    help="Serve the board to browsers, and let students join from other machines",
)
@click.option("--cert", type=a_file, help="Certificate for https; one is created by default")
@click.option("--key", type=a_file, help="Private key of the certificate")
@click.option("--url", default="", metavar="URL", help="URL for browsers, if a proxy with https is in front")
@click.option("--name", default="", help="Name of the class")
@click.option("--numbers-only", is_flag=True, help="Show numbers in place of names")
@click.option(
    "--csv",
    "csv_file",
    default="",
    metavar="FILE",
    help="Write the class as a table, and exit; - for standard output",
)
@click.option(
    "--reports",
    default=None,
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Write a report for each student, and exit",
)
@as_json
@click.pass_context
def board(context: click.Context, /, folders: tuple[Path, ...], as_json: bool, **options: Any) -> None:
    """Show how far each student of a class is.

    FOLDER is a student's workspace, or a folder of such; by default, the workspaces of firescreen serve --students.
    On a terminal, the board opens as a screen of the wizard. Each student sees that the board is open, and can decide
    not to be shown: firescreen lab leave.

    With --listen, prints a link for the instructor's browser. Students on other machines join with the command, the
    code and the fingerprint that the board shows. Only the progress of labs is sent.

    \b
    Examples:
      firescreen lab board
      firescreen lab board --listen 192.0.2.4:8090 --name "Network management"
      firescreen lab board --csv class.csv
      firescreen lab board --reports reports
      firescreen lab board /home/*/.local/share/firescreen
    """
    from wizard.labs.board import class_table, student_report

    workspace: Workspace = context.obj
    opener: OpenBoard | None = getattr(context.find_root().command, "open_board", None)
    csv_file, listen, reports = options["csv_file"], options["listen"], options["reports"]
    if sum(map(bool, (as_json, csv_file, listen, reports))) > 1:
        raise click.UsageError("Use only one of --listen, --csv, --reports and --json.")
    with output.print_errors():
        shown = _board(workspace, folders, options, may_be_empty=bool(listen))
        if listen:
            _serve(shown, workspace, options)
        elif csv_file:
            text = class_table.as_csv(shown.view(), numbers_only=shown.numbers_only)
            if csv_file == "-":
                click.echo(text, nl=False)
            else:
                _write(Path(csv_file), text)
                output.say(f"Wrote {plain(csv_file, 400)}")
        elif reports:
            written = student_report.write_all(shown.view(), reports, numbers_only=shown.numbers_only)
            output.say(f"Wrote {count_noun(len(written), 'report')} to {plain(str(reports), 400)}")
        elif as_json:
            output.data(class_table.as_json(shown.view(), numbers_only=shown.numbers_only))
        elif opener is not None and sys.stdin.isatty() and sys.stdout.isatty():
            sys.exit(opener(shown, workspace))
        else:
            for line in table(shown.view()):
                click.echo(line)
        for line in shown.unreadable:
            output.say(f"Cannot be read: {plain(line, 400)}")


def _board(
    workspace: Workspace, folders: Sequence[Path], options: dict[str, Any], *, may_be_empty: bool
) -> Board:
    from wizard.labs import labs
    from wizard.labs.board.board import Board

    workspace.ensure()
    rooms = [folder.absolute() for folder in folders]
    missing = next((folder for folder in rooms if not folder.is_dir()), None)
    if missing is not None:
        raise InputError(
            "there is no such folder", where=str(missing), todo="Name the workspaces of students"
        )
    usual = workspace.root / "students"
    if not rooms and usual.is_dir():
        rooms = [usual]
    made = Board(
        workspace.root / "board",
        rooms,
        labs(workspace.packs),
        name=plain(options["name"][:80], 80),
        numbers_only=options["numbers_only"],
    )
    if not may_be_empty and not made.view().rows:
        raise InputError(
            "there is no class here",
            where=", ".join(map(str, rooms)) or str(usual),
            todo="Name the workspaces of the students, give each a link (firescreen serve --students 20), or let them "
            f"join: firescreen lab board --listen ADDRESS:{PORT}",
        )
    return made


def table(view: ClassView) -> list[str]:
    """Returns the board as lines for a terminal or a pipe."""
    lines = [view.title or "No lab was started yet."]
    width = max((len(row.label) for row in view.rows), default=0)
    for row in view.rows:
        steps = row.lab.steps if row.lab else ()
        done = sum(step.is_done for step in steps)
        current = f", step {row.step_number}: {row.step.title}" if row.step else ""
        how_far = f"{done} of {len(steps)} steps{current}" if steps else ""
        lines.append(f"{row.label:{width}}  {row.state:11}  {how_far}".rstrip())
    return lines


def _serve(shown: Board, workspace: Workspace, options: dict[str, Any]) -> None:
    from wizard.labs.board import reporter
    from wizard.labs.board.board_server import BoardServer, serve

    how = _listener(workspace, options)
    secret = _kept_secret(workspace.root / "board" / "link")
    mark = reporter.certificate_fingerprint(Path(how.cert)) if how.cert else ""
    server = BoardServer(shown, how, secret, mark)

    def say(link: str) -> None:
        output.say(
            "The instructor's link. Everybody who has it sees the class and can send messages:", bold=True
        )
        click.echo(link)
        output.say("Students join from their machines with:", bold=True)
        # Not `say`, which would add this machine's program path and workspace: they are useless on the students'
        # machines.
        click.echo(f"  firescreen lab join {server.url}", err=True)
        output.say(f"  the code         {shown.members.code}")
        if mark:
            output.say(f"  the certificate  {reporter.shown_fingerprint(mark)}")
        output.say("Ctrl+C closes the board; what was reported is kept.")

    serve(server, how, say)


def _listener(workspace: Workspace, options: dict[str, Any]) -> Listener:
    """Returns where the board is served, with a certificate of its own if other machines can reach it.

    Raises:
        InputError: the options contradict each other.
    """
    from dataclasses import replace

    from wizard.web_access import Listener, check_options

    address, _, port = options["listen"].rpartition(":")
    if not port.isdecimal() or not address or (":" in address and not address.startswith("[")):
        address, port = options["listen"], str(PORT)
    if int(port) > 65535:
        raise InputError("there is no such port", where=port, todo="Give a port from 0 to 65535")
    how = Listener(
        listen=address.strip("[]"),
        port=int(port),
        cert=options["cert"] or "",
        key=options["key"] or "",
        url=options["url"],
    )
    check_options(how)
    if how.secure or how.is_local:
        return how
    if how.url:
        raise InputError("a proxy in front needs https", where=how.url, todo="Give its https:// URL")
    cert, key = _own_certificate(workspace.root / "board", how.listen)
    return replace(how, cert=str(cert), key=str(key))


def _own_certificate(folder: Path, address: str) -> tuple[Path, Path]:
    """Returns a self-signed certificate, stored so that its fingerprint stays the same."""
    import socket

    from wizard.certificates import issue as pki

    cert, key = folder / "board.crt", folder / "board.key"
    if not (cert.is_file() and key.is_file()):
        names = [socket.gethostname(), "localhost"]
        if address not in ("0.0.0.0", "::"):  # noqa: S104 - it is compared, and nothing bound
            names.insert(0, address)
        pem = pki.new_key("ec-p256")
        made = pki.self_signed(key_pem=pem, names=names, days=365, common_name=names[0])
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            ownfiles.replace(key, pem)
            ownfiles.replace(cert, made)
        except OSError as error:
            raise FirescreenError(
                f"the certificate of the board cannot be written: {error.strerror}", where=str(folder)
            ) from error
    return cert, key


def _kept_secret(path: Path) -> str:
    """Returns the secret of the link, stored so that an open page still works after a restart of the board."""
    try:
        kept = path.read_text(encoding="ascii").strip()
        if len(kept) >= 24:
            return kept
    except (OSError, UnicodeDecodeError):
        pass
    made = secrets.token_urlsafe(18)
    _write(path, made)
    return made


def _write(path: Path, text: str) -> None:
    from wizard.labs import report

    report.save(path, text)
