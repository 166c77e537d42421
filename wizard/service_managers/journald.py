"""Reads the journal of a unit: lines since a moment, safe to show, and the message in a log line."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from wizard.connections.base import Connection
from wizard.redact import plain, redact


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the journal; `own` is True if the program wrote it, False if systemd did."""

    text: str
    own: bool
    pid: str = ""


def cursor(connection: Connection, unit: str) -> str:
    """The current end of the unit's journal, or '' if it cannot be read."""
    ended = connection.run(
        ["journalctl", "-u", unit, "-n", "0", "--show-cursor", "--no-pager", "-q"], timeout=10
    )
    match = re.search(r"^-- cursor: (\S+)$", ended.stdout, re.MULTILINE)
    return match.group(1) if match else ""


def lines(connection: Connection, unit: str, most: int, *, since: str = "") -> list[Line]:
    """The last lines of a unit's journal, oldest first.

    Args:
        since: a result of `cursor`, or `@` and unix seconds; '' for no limit.
    """
    argv = ["journalctl", "-u", unit, "-n", str(most), "-o", "json", "--no-pager", "-q"]
    # A point in time, or a cursor.
    start = f"--since={since}" if since.startswith("@") else f"--after-cursor={since}"
    ended = connection.run([*argv, *([start] if since else [])], timeout=10)
    found: list[Line] = []
    for row in ended.stdout.splitlines():
        try:
            entry = json.loads(row)
        except ValueError:
            # The last line may have been truncated at the limit on outputs.
            continue
        message = entry.get("MESSAGE")
        # systemd gives a message with invalid characters as a list of numbers, and a huge one as null.
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
