"""Reads systemd's journal of a unit: lines since a moment, harmless to show, and what a log line says."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from wizard.connections.base import Connection
from wizard.redact import plain, redact


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the journal; `own` is True where the program wrote it and not systemd about it."""

    text: str
    own: bool
    pid: str = ""


def cursor(connection: Connection, unit: str) -> str:
    """Where the unit's journal ends now, or '' if there is none to read."""
    ended = connection.run(
        ["journalctl", "-u", unit, "-n", "0", "--show-cursor", "--no-pager", "-q"], timeout=10
    )
    match = re.search(r"^-- cursor: (\S+)$", ended.stdout, re.MULTILINE)
    return match.group(1) if match else ""


def lines(connection: Connection, unit: str, most: int, *, since: str = "") -> list[Line]:
    """The last lines of a unit's journal, oldest first.

    Args:
        since: what `cursor` gave, or `@` and unix seconds; '' for any.
    """
    argv = ["journalctl", "-u", unit, "-n", str(most), "-o", "json", "--no-pager", "-q"]
    # A point in time, or a place that the journal itself named.
    word = f"--since={since}" if since.startswith("@") else f"--after-cursor={since}"
    ended = connection.run([*argv, *([word] if since else [])], timeout=10)
    found: list[Line] = []
    for row in ended.stdout.splitlines():
        try:
            entry = json.loads(row)
        except ValueError:
            # The last line may have been cut at the bound on outputs.
            continue
        message = entry.get("MESSAGE")
        # systemd gives a message with odd bytes as a list of numbers, and a huge one as null.
        if isinstance(message, list):
            message = bytes(message).decode("utf-8", "replace")
        text = plain(redact(str(message or "")), 500)
        own = entry.get("SYSLOG_IDENTIFIER") != "systemd"
        found.append(Line(text, own, str(entry.get("_PID") or "")))
    return found


def message(line: str) -> str:
    """The message of a logfmt line (its err, else its msg), or the line itself."""
    for key in ("err", "msg"):
        match = re.search(rf'\b{key}=(?:"((?:[^"\\]|\\.)*)"|(\S+))', line)
        if match:
            return (match.group(1) or match.group(2) or "").replace('\\"', '"')
    return line.removeprefix(f"{line.split(':', 1)[0]}: error: ") if ": error: " in line else line
