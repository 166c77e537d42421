"""Turns what the engine says into drawn text: a sign, a word and a colour for each state, never colour alone.

Everything that this project did not write passes through `safe` or `inline` on its way to the screen.
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
"""How a run ended whose changes are still on the hosts, so that it can be undone."""
ENDED = {**RESULT, "rolled-back": ("↶", "rolled back", "$warning")}
"""How a run ended by its journal, which has one state for a run that failed and one that was stopped."""
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
"""The state of a host in a run: 'failed' is 'rolled-back' with an error there, 'failing' the same before the rollback, and
'undone' is 'rolled-back' as a person asked for it."""
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
"""What an outcome means, in two words."""


_CAME = {"untrusted": "not trusted", "refused": "TLS alert"}


def came(outcome: str) -> str:
    """An outcome as it is read: a status as it came, else the words of the TLS documentation."""
    return inline(_CAME.get(outcome, outcome), 12)


WORKSPACE_NAME = "workspace"
"""What the pseudo-host of Firescreen's folder is called on the screen."""


def place(host: str) -> str:
    """The name of a host, or of the workspace."""
    return WORKSPACE_NAME if host == "workspace" else inline(host, 40)


def left_behind(run: RunRecord) -> tuple[str, ...]:
    """The hosts that a run still has to roll back."""
    return tuple(dict.fromkeys(change.partition(":")[0] for change in run.changes))


def at(host: str) -> str:
    """Where something is done: on srv1, in the workspace."""
    return "in the workspace" if host == "workspace" else f"on {place(host)}"


def safe(text: str, limit: int = 2000, style: str = "") -> Content:
    """Text from outside as plain content: no markup, no control characters, bounded length."""
    return Content.styled(plain(text, limit), style) if style else Content(plain(text, limit))


def inline(text: str, limit: int = 200) -> str:
    """Text from outside for one line: as `safe`, with line ends and tabs made visible too."""
    return plain(text.replace("\r\n", "\n"), limit).replace("\n", "␤").replace("\t", " ")


def hang(text: str, width: int, indent: int) -> str:
    """`inline` text broken to `width` cells, every line but the first indented."""
    return ("\n" + " " * indent).join(wrap(inline(text, 400), max(width - indent, 10)) or [""])


def fit(text: str, width: int) -> str:
    """`inline` text padded or cut to exactly `width` cells, an ellipsis where something is missing."""
    shown = Content(inline(text))
    if shown.cell_length > width:
        shown = shown.truncate(max(width, 0), ellipsis=True)
    return shown.plain + " " * max(0, width - shown.cell_length)


def tail(path: str, width: int) -> str:
    """A path in at most `width` cells: of a longer one the last folders and the name, behind an ellipsis."""
    shown = inline(path, 400)
    if len(shown) <= width:
        return shown
    end = shown[1 - width :]
    _, slash, whole = end.partition("/")
    name = shown.rpartition("/")[2]
    return f"…{slash}{whole}" if whole.rstrip("/") else name if 0 < len(name) <= width else f"…{end}"


def short_paths(text: str, width: int) -> str:
    """A text whose paths are as `tail` shows them: one that breaks over lines cannot be read."""
    return " ".join(tail(word, width) if word.startswith("/") else word for word in text.split(" "))


def run_diff(lines: Iterable[str], width: int) -> Content:
    """What a run has changed: each file below its folder, which is named once, then the lines as `diff` has them.

    Args:
        lines: unified diffs and the headings between them.
        width: cells; the end of a longer folder is shown.
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
    """A unified diff in colours; the signs + and - say the same without them."""
    return Content("\n").join(Content.styled(line, _diff_style(line)) for line in _lines(text))


def _diff_style(line: str) -> str:
    if line.startswith(("+++", "---", "mode and owner")):
        return "bold"
    if line.startswith("@@"):
        return "$quiet"
    return {"+": "$success", "-": "$error", "!": "$warning"}.get(line[:1], "")


def commands(lines: Iterable[str], width: int = 0) -> Content:
    """Commands as they are typed: nothing stands before them, and each line fits the width where one is given."""
    parts: list[Content] = []
    for line in lines:
        said = "\n".join(_lines(line))
        parts += [
            Content.styled(part, "$quiet" if part.startswith("#") else "$foreground on $panel")
            for part in (fold_lines(said, width) if width else said.split("\n"))
        ]
    return Content("\n").join(parts)


def shell_note(text: str, width: int) -> Content:
    """A remark between commands, as a comment of the shell: pasted with them, it does nothing."""
    return Content.styled("\n".join(fold_lines(f"# {inline(text, 600)}", width)), "$quiet")


def _lines(text: str) -> list[str]:
    return plain(text, 40_000).expandtabs(8).splitlines()


def protection_label(found: Exposure | None) -> str:
    """The level of protection that a component has now: 'none', 'TLS + password', 'mutual TLS'."""
    if found is None or found.state == "down":
        return "no answer"
    if not found.tls:
        return "password only" if found.password else "none"
    level = "mutual TLS" if found.client_certificate else "TLS"
    return f"{level} + password" if found.password else level


def describe_error(error: ErrorMessage) -> Content:
    """The parts of an error, each on its own lines; empty parts are left out."""
    parts = [Content.assemble(("✗ ", "$error bold"), safe(error.what, 2000))]
    if error.where:
        parts.append(Content.assemble(("Where  ", "$quiet"), safe(error.where, 500)))
    if error.todo:
        parts.append(Content.assemble(("Do     ", "$success bold"), safe(error.todo, 1000)))
    return Content("\n").join(parts)


def date(when: float) -> str:
    """A point in time as a day, in UTC as certificates have it."""
    return time.strftime("%Y-%m-%d", time.gmtime(when))
