"""Turns what the engine says into drawn text: a sign, a word and a colour for each state, never colour alone.

Everything that this project did not write passes through `safe` or `inline` on its way to the screen.
"""

from __future__ import annotations

from collections.abc import Iterable
from textwrap import wrap

from textual.content import Content

from wizard.redact import plain

# state -> (sign, word, colour)
EXPOSURE = {
    "open": ("●", "open", "$error"),
    "partly": ("◐", "partly", "$warning"),
    "secured": ("✓", "secured", "$success"),
    "down": ("–", "no answer", "$quiet"),
}
STEP = {
    "": ("·", "to do", "$quiet"),
    "running": ("▸", "now", "$primary"),
    "done": ("✓", "done", "$success"),
    "failed": ("✗", "failed", "$error"),
    "undone": ("↶", "put back", "$warning"),
}
RESULT = {
    "proven": ("✓", "proven", "$success"),
    "applied": ("✓", "applied", "$success"),
    "changed": ("◐", "changed, not verified", "$warning"),
    "partly": ("◐", "partly proven", "$warning"),
    "nothing": ("✓", "nothing to do", "$success"),
    "undone": ("↶", "put back", "$success"),
    "rolled-back": ("↶", "failed, put back", "$warning"),
    "cancelled": ("↶", "stopped, put back", "$warning"),
    "failed": ("✗", "failed", "$error"),
    "cut-off": ("✗", "cut off", "$error"),
    "forgotten": ("–", "forgotten", "$warning"),
}
HOST = {
    "waiting": ("·", "waiting", "$quiet"),
    "working": ("▸", "working", "$primary"),
    "changed": ("◔", "changed", "$primary"),
    "proven": ("✓", "proven", "$success"),
    "rolled-back": ("↶", "put back", "$warning"),
    "failing": ("✗", "failing", "$error"),
    "failed": ("✗", "failed", "$error"),
    "away": ("–", "away", "$warning"),
    "stuck": ("✗", "stuck", "$error"),
}
"""How a host stands in a run; 'failed' is 'rolled-back' with something that went wrong there, 'failing' before it."""
SEVERITY = {
    "open": ("●", "open", "$error"),
    "warning": ("!", "warning", "$warning"),
    "ok": ("✓", "fine", "$success"),
}


OWN_FOLDER = "Firescreen's own folder"


def place(host: str) -> str:
    """A host as a person reads it: Firescreen's own folder is no host to them."""
    return OWN_FOLDER if host == "workspace" else inline(host, 40)


def at(host: str) -> str:
    """Where something is done: on srv1, in Firescreen's own folder."""
    return f"{'in' if host == 'workspace' else 'on'} {place(host)}"


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


def diff(text: str) -> Content:
    """A unified diff in colours; the signs + and - say the same without them."""
    return Content("\n").join(Content.styled(line, _diff_style(line)) for line in _lines(text))


def _diff_style(line: str) -> str:
    if line.startswith(("+++", "---", "mode and owner")):
        return "bold"
    if line.startswith("@@"):
        return "$quiet"
    return {"+": "$success", "-": "$error", "!": "$warning"}.get(line[:1], "")


def commands(lines: Iterable[str]) -> Content:
    """Commands to type, each behind a coloured prompt; what follows a line end is indented under it."""
    parts = []
    for line in lines:
        first, *rest = _lines(line, 4000) or [""]
        parts.append(Content.assemble(("$ ", "$primary bold"), first))
        parts.extend(Content(f"  {more}") for more in rest)
    return Content("\n").join(parts)


def _lines(text: str, limit: int = 40_000) -> list[str]:
    return plain(text, limit).expandtabs(8).splitlines()
