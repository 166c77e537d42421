"""Turns values of the engine into drawn text: a sign, a word and a colour for each state, never colour alone.

Every text that this project did not write passes through `safe` or `inline` on its way to the screen.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from textwrap import wrap
from typing import TYPE_CHECKING

from textual.content import Content

from screens.widgets.shell_lines import fold_lines
from wizard.redact import plain

if TYPE_CHECKING:
    from screens.state import ErrorMessage
    from wizard.engine import Exposure
    from wizard.model import RunRecord

# state -> (sign, word, colour)
EXPOSURE = {
    "open": ("●", "unprotected", "$error"),
    "partly": ("◐", "partial", "$warning"),
    "secured": ("✓", "secured", "$success"),
    "down": ("–", "no answer", "$quiet"),
}
STEP = {
    "": ("·", "to do", "$quiet"),
    "running": ("▸", "now", "$primary"),
    "done": ("✓", "done", "$success"),
    "failed": ("✗", "failed", "$error"),
    "undone": ("↶", "rolled back", "$warning"),
}
RESULT = {
    "proven": ("✓", "verified", "$success"),
    "applied": ("✓", "applied", "$success"),
    "changed": ("◐", "changed, not verified", "$warning"),
    "partly": ("◐", "partly verified", "$warning"),
    "nothing": ("✓", "nothing to do", "$success"),
    "undone": ("↶", "undone", "$success"),
    "rolled-back": ("↶", "failed, rolled back", "$warning"),
    "cancelled": ("↶", "stopped, rolled back", "$warning"),
    "failed": ("✗", "failed", "$error"),
    "cut-off": ("✗", "interrupted", "$error"),
    "forgotten": ("–", "forgotten", "$warning"),
}
IN_FORCE = ("proven", "applied", "changed", "partly")
"""The results of runs whose changes are still on the hosts, so that they can be undone."""
ENDED = {**RESULT, "rolled-back": ("↶", "rolled back", "$warning")}
"""The results by the journal, which has the same state for a failed and a stopped run."""
HOST = {
    "waiting": ("·", "pending", "$quiet"),
    "working": ("▸", "running", "$primary"),
    "changed": ("◔", "changed", "$primary"),
    "proven": ("✓", "verified", "$success"),
    "rolled-back": ("↶", "rolled back", "$warning"),
    "undone": ("↶", "undone", "$success"),
    "failing": ("✗", "failing", "$error"),
    "failed": ("✗", "failed", "$error"),
    "away": ("–", "unreachable", "$warning"),
    "stuck": ("✗", "needs recovery", "$error"),
}
"""The state of a host in a run.

'failed' is 'rolled-back' with an error there, 'failing' is 'failed' before the rollback, and 'undone' is
'rolled-back' because a person asked for it.
"""
SEVERITY = {
    "open": ("●", "unprotected", "$error"),
    "warning": ("!", "warning", "$warning"),
    "ok": ("✓", "fine", "$success"),
}

OUTCOME = {
    "200": "accepted",
    "400": "rejected",
    "401": "rejected",
    "403": "rejected",
    "429": "rate limited",
    "untrusted": "not trusted",
    "refused": "rejected",
    "up": "scraped",
    "accepted": "delivered",
    "unknown": "nothing was sent",
    "down": "not scraped",
    "plain": "not encrypted",
    "other": "another answer",
    "error": "no answer",
}
"""The meaning of each outcome in two words."""


_CAME = {"untrusted": "not trusted", "refused": "TLS alert"}


def came(outcome: str) -> str:
    """Returns an outcome as it is shown: an HTTP status unchanged, otherwise a term of the TLS documentation."""
    return inline(_CAME.get(outcome, outcome), 12)


WORKSPACE_NAME = "workspace"
"""The name of the workspace's pseudo-host on the screen."""


def place(host: str) -> str:
    """Returns the name of the host or of the workspace."""
    return WORKSPACE_NAME if host == "workspace" else inline(host, 40)


def left_behind(run: RunRecord) -> tuple[str, ...]:
    """Returns the hosts that a run still has to roll back."""
    return tuple(dict.fromkeys(change.partition(":")[0] for change in run.changes))


def at(host: str) -> str:
    """Returns where something is done: 'on srv1', 'in the workspace'."""
    return "in the workspace" if host == "workspace" else f"on {place(host)}"


def safe(text: str, limit: int = 2000, style: str = "") -> Content:
    """Returns text from outside as plain content: no markup, no control characters, limited length."""
    return Content.styled(plain(text, limit), style) if style else Content(plain(text, limit))


def inline(text: str, limit: int = 200) -> str:
    """Returns text from outside for one line: as `safe`, but line ends and tabs are made visible too."""
    return plain(text.replace("\r\n", "\n"), limit).replace("\n", "␤").replace("\t", " ")


def hang(text: str, width: int, indent: int) -> str:
    """Returns `inline` text wrapped to `width` cells, with every line but the first indented."""
    return ("\n" + " " * indent).join(wrap(inline(text, 400), max(width - indent, 10)) or [""])


def fit(text: str, width: int) -> str:
    """Returns `inline` text padded or cut to exactly `width` cells, with an ellipsis if it is cut."""
    shown = Content(inline(text))
    if shown.cell_length > width:
        shown = shown.truncate(max(width, 0), ellipsis=True)
    return shown.plain + " " * max(0, width - shown.cell_length)


def tail(path: str, width: int) -> str:
    """Returns a path in at most `width` cells; a longer one keeps its last folders and name, after an ellipsis."""
    shown = inline(path, 400)
    if len(shown) <= width:
        return shown
    end = shown[1 - width :]
    _, slash, path_end = end.partition("/")
    name = shown.rpartition("/")[2]
    if path_end.rstrip("/"):
        return f"…{slash}{path_end}"
    return name if 0 < len(name) <= width else f"…{end}"


def short_paths(text: str, width: int) -> str:
    """Returns a text with its paths shortened as by `tail`: a wrapped path cannot be read."""
    return " ".join(tail(word, width) if word.startswith("/") else word for word in text.split(" "))


def run_diff(lines: Iterable[str], width: int) -> Content:
    """Returns what a run has changed: each file below its folder, which is named once, then the lines as in `diff`.

    Args:
        lines: unified diffs and the headings between them.
        width: in cells; a longer folder loses its beginning.
    """
    found: list[Content] = []
    above, before = "", ""
    for each in lines:
        mark, path = each[:4], each[4:].removesuffix(" (as before)")
        if mark == "--- ":
            before = path
            continue
        if mark != "+++ ":
            found.append(diff(each))
            continue
        gone, new = path == "/dev/null", before == "/dev/null"
        folder, _, name = (before if gone else path).rpartition("/")
        if folder != above:
            found.append(Content.styled(tail(f"{folder}/", width), "$quiet"))
        sign, word = ("-", "removed") if gone else ("+", "created") if new else ("~", "")
        found.append(
            Content.assemble((f"{sign} {inline(name)}", "bold"), (f"  {word}" if word else "", "$quiet"))
        )
        above, before = folder, ""
    return Content("\n").join(found)


def diff(text: str) -> Content:
    """Returns a unified diff in colours; the signs + and - say the same without them."""
    return Content("\n").join(Content.styled(line, _diff_style(line)) for line in _lines(text))


def _diff_style(line: str) -> str:
    if line.startswith(("+++", "---", "mode and owner")):
        return "bold"
    if line.startswith("@@"):
        return "$quiet"
    return {"+": "$success", "-": "$error", "!": "$warning"}.get(line[:1], "")


def commands(lines: Iterable[str], width: int = 0) -> Content:
    """Returns commands ready to be typed: without any prefix, and each line fits the width if one is given."""
    parts: list[Content] = []
    for line in lines:
        command = "\n".join(_lines(line))
        parts += [
            Content.styled(part, "$quiet" if part.startswith("#") else "$foreground on $panel")
            for part in (fold_lines(command, width) if width else command.split("\n"))
        ]
    return Content("\n").join(parts)


def shell_note(text: str, width: int) -> Content:
    """Returns a remark between commands as a shell comment: pasted with them, it does nothing."""
    return Content.styled("\n".join(fold_lines(f"# {inline(text, 600)}", width)), "$quiet")


def _lines(text: str) -> list[str]:
    return plain(text, 40_000).expandtabs(8).splitlines()


def protection_label(exposure: Exposure | None) -> str:
    """Returns the present level of a component: 'none', 'TLS + password', 'mutual TLS'."""
    if exposure is None or exposure.state == "down":
        return "no answer"
    if not exposure.tls:
        return "password only" if exposure.password else "none"
    level = "mutual TLS" if exposure.client_certificate else "TLS"
    return f"{level} + password" if exposure.password else level


def describe_error(error: ErrorMessage) -> Content:
    """Returns the parts of an error, each on its own lines; empty parts are left out."""
    parts = [Content.assemble(("✗ ", "$error bold"), safe(error.what, 2000))]
    if error.where:
        parts.append(Content.assemble(("Where  ", "$quiet"), safe(error.where, 500)))
    if error.todo:
        parts.append(Content.assemble(("Do     ", "$success bold"), safe(error.todo, 1000)))
    return Content("\n").join(parts)


def date(when: float) -> str:
    """Returns a time as a day, in UTC as in certificates."""
    return time.strftime("%Y-%m-%d", time.gmtime(when))
