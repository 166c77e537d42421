"""Data on standard output, messages for people on standard error; errors with their exit code."""

from __future__ import annotations

import errno
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click

from wizard import invocation
from wizard.cli import line_breaks
from wizard.errors import FirescreenError, InputError
from wizard.model import Attempt, Event
from wizard.redact import plain, redact
from wizard.workspace import Workspace


def data(value: Mapping[str, Any] | list[Any]) -> None:
    """Prints one JSON document on standard output."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def say(text: str = "", *, bold: bool = False, colour: str | None = None, whole: bool = False) -> None:
    """Prints a line on standard error; text from outside must have passed through `plain`.

    Firescreen's commands in the line are printed so that they work where they are typed.

    Args:
        whole: the line is a command or part of a file, and is not wrapped.
    """
    width = 0 if whole else line_breaks.of_terminal(sys.stderr)
    click.secho(line_breaks.break_lines(as_typed(text), width), err=True, bold=bold, fg=colour)


def show(text: str, *, indent: str = "", colour: str | None = None) -> None:
    """Prints a line on standard output, wrapped on a terminal; a sign at its beginning is coloured.

    Args:
        indent: of the lines after a break; '' for that of the line.
        colour: of the text after a first column that is as wide as the indent.
    """
    shown = line_breaks.break_lines(text, line_breaks.of_terminal(sys.stdout), indent=indent or None)
    if colour:
        shown = shown[: len(indent)] + click.style(shown[len(indent) :], fg=colour)
    click.echo(colour_mark(shown))


def as_typed(text: str) -> str:
    """Rewrites the commands in a text to find this program and this workspace; unchanged outside of a command."""
    context = click.get_current_context(silent=True)
    workspace = context.find_root().obj if context else None
    return invocation.as_typed(text, workspace) if isinstance(workspace, Workspace) else text


def colour_mark(line: str) -> str:
    """Returns a line with its first sign coloured; the sign has the same meaning without colour."""
    colour = {"✓": "green", "✗": "red", "●": "red", "◐": "yellow", "–": "yellow"}.get(line[:1])
    return click.style(line[:1], fg=colour, bold=True) + line[1:] if colour else line


def say_marked(line: str) -> None:
    """Prints a line that begins with a sign, indented, on standard error."""
    shown = line_breaks.break_lines(f"  {line}", line_breaks.of_terminal(sys.stderr))
    click.echo(f"  {colour_mark(shown[2:])}", err=True)


def complain(error: FirescreenError) -> None:
    """Prints an error: what happened, where, what to do."""
    say(f"{error.title}.", bold=True, colour="red")
    say(f"  {redact(plain(error.what))}")
    if error.where:
        say(f"  where: {plain(error.where)}")
    if error.todo:
        say(f"  what to do: {plain(error.todo)}")
    for line in getattr(error, "log", ())[-8:]:
        say(f"    | {redact(plain(line, 300))}", whole=True)


@contextmanager
def print_errors() -> Iterator[None]:
    """Prints errors of the program, and exits with their code."""
    try:
        yield
    except FirescreenError as error:
        complain(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        say("Stopped.")
        sys.exit(130)
    except OSError as error:
        if not isinstance(error.filename, str):
            raise
        complain(_file_error(error))
        sys.exit(_file_error(error).exit_code)


def _file_error(error: OSError) -> FirescreenError:
    """Returns the error for an unexpected failure of a file, whose name was most likely typed."""
    kind = InputError if error.errno == errno.ENAMETOOLONG else FirescreenError
    return kind(
        error.strerror or type(error).__name__,
        where=str(error.filename),
        todo="Check its name and who may read and write it",
    )


HOST_WORDS = {
    "proven": "verified",
    "rolled-back": "rolled back",
    "away": "unreachable",
    "stuck": "needs recovery",
}
"""The state of a host in words, if they differ from its name in JSON."""
RUN_WORDS = {
    "proven": "verified",
    "changed": "not verified",
    "partly": "partly verified",
    "rolled-back": "rolled back",
    "cut-off": "interrupted",
    "owed": "needs recovery",
}
"""The state of a run in words, if they differ from its name in JSON."""


def host_line(event: Event) -> str:
    """Returns the line for a verified or failed host; '' if the lines of its changes say enough."""
    host = plain(event.host)
    why = f": {redact(plain(event.error[1]))}" if event.error else ""
    match event.state:
        case "proven":
            return f"✓ {host} is verified"
        case "rolled-back":
            return f"✗ {host} failed and was rolled back{why}"
        case "stuck":
            return f"✗ {host} failed and needs recovery: it is unreachable{why}"
    return ""


_SOON = 3.0
"""Seconds from which the remaining time is printed; shorter runs need no estimate."""


def estimate(done: int, total: int, seconds: float) -> str:
    """Returns the estimated remaining time, e.g. ', about 20 s left'; '' if it is unknown or short.

    Args:
        done: changes already made, of `total`.
        total: all changes.
        seconds: since the run began.
    """
    left = seconds / done * (total - done) if done else 0.0
    if seconds < _SOON or left < _SOON:
        return ""
    return f", about {left / 60:.0f} min left" if left >= 90 else f", about {left:.0f} s left"


def progress() -> Callable[[Event], None]:
    """Returns a listener that prints a line for each event."""
    printed: set[str] = set()
    began = time.monotonic()

    def tell(event: Event) -> None:
        if event.kind == "change" and event.state in ("done", "failed"):
            mark = "✓" if event.state == "done" else "✗"
            pace = f"{event.done}/{event.total}{estimate(event.done, event.total, time.monotonic() - began)}"
            say_marked(f"{mark} [{pace}] {event.host}: {plain(event.text)}")
        elif event.kind == "probe" and event.state == "waiting":
            say(f"  … {event.host}: waiting for the next scrape by Prometheus")
        elif event.kind == "probe" and event.attempt is not None:
            say_marked(attempt_line(event.attempt))
        elif event.kind == "rollback" and event.state == "running":
            say(f"  ✗ {redact(plain(event.text))}", colour="red")
            say("  Rolling back …")
        elif event.kind == "rollback" and event.text:
            say(f"  ↩ {plain(event.text)}")
        elif event.kind == "host":
            line = host_line(event)
            if line and line not in printed:  # a canary is verified twice: alone, and with all other hosts
                printed.add(line)
                say(f"  {line}", bold=True, colour="red" if event.error else "green")
        elif event.kind == "waiting":
            say(f"  To be done by you: {plain(event.state)}", bold=True)
            for line in event.text.splitlines():
                say(f"    {plain(line)}", whole=True)
            say("  Waiting for the expected answer (Ctrl+C stops and rolls back) …")
        elif event.kind == "log" and event.text:
            say(f"  … {redact(plain(event.text, 300))}")

    return tell


def tell_wait(event: Event) -> None:
    """Prints what the run waits for, and no other event."""
    if event.kind == "log" and event.text:
        say(f"  … {plain(event.host)}: {redact(plain(event.text, 300))}")


def attempt_line(attempt: Attempt) -> str:
    """Returns a line for a probe: its name, the outcome, and the expectation."""
    mark = "✓" if attempt.ok else "–" if attempt.excused else "✗"
    probe = attempt.probe
    got = attempt.outcome if attempt.ok else f"{attempt.outcome}, expected {probe.expect}"
    explanation = attempt.excused or attempt.reason
    reason = f" ({redact(plain(explanation, 300))})" if explanation and not attempt.ok else ""
    return f"{mark} {probe.server}: {probe.name}: {got}{reason}"
