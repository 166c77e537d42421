"""Data on standard output, messages for people on standard error; errors with their exit code."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click

from wizard.errors import FirescreenError
from wizard.model import Attempt, Event
from wizard.redact import plain, redact


def data(value: Mapping[str, Any] | list[Any]) -> None:
    """Prints one JSON document on standard output."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def say(text: str = "", *, bold: bool = False, colour: str | None = None) -> None:
    """Prints a line on standard error; text from outside must have gone through `plain`."""
    click.secho(text, err=True, bold=bold, fg=colour)


def complain(error: FirescreenError) -> None:
    """Prints an error: what happened, where, what to do."""
    say(f"{error.title}.", bold=True, colour="red")
    say(f"  {redact(plain(error.what))}")
    if error.where:
        say(f"  where: {plain(error.where)}")
    if error.todo:
        say(f"  what to do: {plain(error.todo)}")
    for line in getattr(error, "log", ())[-8:]:
        say(f"    | {redact(plain(line, 300))}")


@contextmanager
def explained() -> Iterator[None]:
    """Prints an error of the program, and exits with its code."""
    try:
        yield
    except FirescreenError as error:
        complain(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        say("Stopped.")
        sys.exit(130)


HOST_WORDS = {
    "proven": "verified",
    "rolled-back": "rolled back",
    "away": "unreachable",
    "stuck": "needs recovery",
}
"""The state of a host for a person, where its name in JSON differs."""


def host_line(event: Event) -> str:
    """A line for a host that is verified or failed; '' where the lines of its changes say enough."""
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


def progress() -> Callable[[Event], None]:
    """A listener that prints a line for each event."""
    told: set[str] = set()

    def tell(event: Event) -> None:
        if event.kind == "change" and event.state in ("done", "failed"):
            mark = "✓" if event.state == "done" else "✗"
            say(f"  {mark} [{event.done}/{event.total}] {event.host}: {plain(event.text)}")
        elif event.kind == "probe" and event.state == "waiting":
            say(f"  … {event.host}: waiting for the next scrape by Prometheus")
        elif event.kind == "probe" and event.attempt is not None:
            say(f"  {attempt_line(event.attempt)}")
        elif event.kind == "rollback" and event.state == "running":
            say(f"  ✗ {redact(plain(event.text))}", colour="red")
            say("  Rolling back …")
        elif event.kind == "rollback" and event.text:
            say(f"  ↩ {plain(event.text)}")
        elif event.kind == "host":
            line = host_line(event)
            if line and line not in told:  # a canary is verified twice: alone, and with all other hosts
                told.add(line)
                say(f"  {line}", bold=True, colour="red" if event.error else "green")
        elif event.kind == "waiting":
            say(f"  To be done by you: {plain(event.state)}", bold=True)
            for line in event.text.splitlines():
                say(f"    {plain(line)}")
            say("  Waiting for the expected answer (Ctrl+C stops and rolls back) …")
        elif event.kind == "log" and event.text:
            say(f"  … {redact(plain(event.text, 300))}")

    return tell


def attempt_line(attempt: Attempt) -> str:
    """One probe in a line: its name, the outcome, and what was expected."""
    mark = "✓" if attempt.ok else "–" if attempt.excused else "✗"
    probe = attempt.probe
    got = attempt.outcome if attempt.ok else f"{attempt.outcome}, expected {probe.expect}"
    said = attempt.excused or attempt.reason
    reason = f" ({redact(plain(said, 300))})" if said and not attempt.ok else ""
    return f"{mark} {probe.server}: {probe.name}: {got}{reason}"
