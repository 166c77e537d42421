"""Firescreen's design tokens and themes: every colour that a screen draws is declared in this file and nowhere else.

Ember for what is unprotected, calm teal for what is verified, brass for the tool. A colour never says anything
alone; see `state_styles.py` for the sign and the word beside it. A test holds every text to a contrast of 4.5
with its ground, and of 7 in the high-contrast theme.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from zlib import crc32

from textual.color import Color
from textual.theme import Theme


@dataclass(frozen=True, slots=True)
class Tokens:
    """The colours of one theme. Texts stand on grounds and cursors; lines hold no text."""

    background: str
    surface: str
    """The ground of what lies above the page: dialogs, the keys, forms."""
    panel: str
    """The ground of fields, buttons and the title bar."""
    foreground: str
    quiet: str
    """Texts of less weight: explanations, placeholders, what cannot be chosen."""
    faint: str
    """Lines and the empty part of a bar, never a text."""
    line: str
    """Scrollbars, and borders without the focus."""
    primary: str
    """Titles, keys, borders with the focus."""
    secondary: str
    success: str
    warning: str
    error: str
    cursor: str
    """The ground of the row or word under the cursor."""
    cursor_text: str
    cursor_blurred: str
    """As `cursor`, while the focus is elsewhere."""
    selection: str
    """The ground of selected text."""
    added: str
    """The ground of a line that a diff adds; likewise `removed`, and those of the words that changed in a line."""
    added_word: str
    removed: str
    removed_word: str


DARK_TOKENS = Tokens(
    background="#161311",
    surface="#1f1b18",
    panel="#2a2521",
    foreground="#ece4da",
    quiet="#b0a498",
    faint="#7d7268",
    line="#4a4038",
    primary="#d9a766",
    secondary="#8fa9b8",
    success="#4fbfa8",
    warning="#e3b341",
    error="#ff7847",
    cursor="#44351e",
    cursor_text="#fff6e8",
    cursor_blurred="#332c26",
    selection="#24394a",
    added="#142a25",
    added_word="#173a31",
    removed="#331c14",
    removed_word="#50281a",
)
LIGHT_TOKENS = Tokens(
    background="#fbf8f3",
    surface="#f2ece3",
    panel="#e7dfd3",
    foreground="#2a241f",
    quiet="#5e5248",
    faint="#8a7e72",
    line="#c9bcaa",
    primary="#724b14",
    secondary="#3f5f73",
    success="#0a5a4c",
    warning="#6b4800",
    error="#a12000",
    cursor="#efd9b4",
    cursor_text="#221c17",
    cursor_blurred="#ddd2c2",
    selection="#c3dbea",
    added="#e3f2ea",
    added_word="#c4e4d4",
    removed="#fae6dd",
    removed_word="#f3cdbd",
)
CONTRAST_TOKENS = Tokens(
    background="#000000",
    surface="#0c0c0c",
    panel="#1c1c1c",
    foreground="#ffffff",
    quiet="#e0e0e0",
    faint="#a0a0a0",
    line="#8a8a8a",
    primary="#ffd75f",
    secondary="#a8d8ff",
    success="#5ff0cf",
    warning="#ffe14d",
    error="#ffb29c",
    cursor="#00306e",
    cursor_text="#ffffff",
    cursor_blurred="#333333",
    selection="#00306e",
    added="#002418",
    added_word="#003524",
    removed="#330d00",
    removed_word="#5c1a06",
)

# For a terminal of 16 colours, in these very colours: what is not one of them would land on its neighbour, and a
# cursor on its ground.
DARK_16_TOKENS = Tokens(
    background="#000000",
    surface="#000000",
    panel="#0000aa",
    foreground="#ffffff",
    quiet="#aaaaaa",
    faint="#555555",
    line="#555555",
    primary="#ffff55",
    secondary="#55ffff",
    success="#55ff55",
    warning="#ffff55",
    error="#ff5555",
    cursor="#0000aa",
    cursor_text="#ffffff",
    cursor_blurred="#555555",
    selection="#0000aa",
    added="#000000",
    added_word="#0000aa",
    removed="#000000",
    removed_word="#0000aa",
)
LIGHT_16_TOKENS = Tokens(
    background="#ffffff",
    surface="#ffffff",
    panel="#aaaaaa",
    foreground="#000000",
    quiet="#000000",
    faint="#555555",
    line="#555555",
    primary="#0000aa",
    secondary="#0000aa",
    success="#0000aa",
    warning="#aa00aa",
    error="#aa0000",
    cursor="#ffff55",
    cursor_text="#000000",
    cursor_blurred="#aaaaaa",
    selection="#55ffff",
    added="#ffffff",
    added_word="#ffff55",
    removed="#ffffff",
    removed_word="#ffff55",
)
CONTRAST_16_TOKENS = replace(DARK_16_TOKENS, quiet="#ffffff", faint="#aaaaaa", line="#aaaaaa")


LAYOUT = {
    "panel-border": "round",
    "panel-padding": "0 1",
    "page-padding": "0 1",
    "gap": "1",
}
"""The one border and the one scale of spaces, as variables of the style sheets: cells above and beside."""


def _theme(name: str, tokens: Tokens, *, dark: bool) -> Theme:
    return Theme(
        name=name,
        primary=tokens.primary,
        secondary=tokens.secondary,
        accent=tokens.primary,
        warning=tokens.warning,
        error=tokens.error,
        success=tokens.success,
        foreground=tokens.foreground,
        background=tokens.background,
        surface=tokens.surface,
        panel=tokens.panel,
        dark=dark,
        variables={
            "quiet": tokens.quiet,
            "added": tokens.added,
            "added-word": tokens.added_word,
            "removed": tokens.removed,
            "removed-word": tokens.removed_word,
            "faint": tokens.faint,
            "text": tokens.foreground,
            "text-muted": tokens.quiet,
            "text-disabled": tokens.quiet,
            "text-primary": tokens.primary,
            "text-secondary": tokens.secondary,
            "text-accent": tokens.primary,
            "text-success": tokens.success,
            "text-warning": tokens.warning,
            "text-error": tokens.error,
            "foreground-muted": tokens.quiet,
            "foreground-disabled": tokens.quiet,
            "block-cursor-background": tokens.cursor,
            "block-cursor-foreground": tokens.cursor_text,
            "block-cursor-blurred-background": tokens.cursor_blurred,
            "block-cursor-blurred-foreground": tokens.foreground,
            "block-hover-background": tokens.panel,
            "footer-key-foreground": tokens.primary,
            "footer-background": tokens.surface,
            "input-selection-background": tokens.selection,
            "input-selection-foreground": tokens.foreground,
            "screen-selection-background": tokens.selection,
            "screen-selection-foreground": tokens.foreground,
            "border": tokens.primary,
            "border-blurred": tokens.line,
            "scrollbar": tokens.line,
            "scrollbar-hover": tokens.faint,
            "scrollbar-active": tokens.primary,
            "scrollbar-background": tokens.surface,
        },
    )


DARK = _theme("firescreen", DARK_TOKENS, dark=True)
LIGHT = _theme("firescreen-light", LIGHT_TOKENS, dark=False)
CONTRAST = _theme("firescreen-contrast", CONTRAST_TOKENS, dark=True)
OWN = (DARK, LIGHT, CONTRAST)
OWN_16 = (
    _theme(DARK.name, DARK_16_TOKENS, dark=True),
    _theme(LIGHT.name, LIGHT_16_TOKENS, dark=False),
    _theme(CONTRAST.name, CONTRAST_16_TOKENS, dark=True),
)
"""The same themes for a terminal of 16 colours."""

CHIP_TEXT = "#ffffff"
"""The text on a host's colour."""
HOST_COLOURS = ("#1d5870", "#6c3f7e", "#42601a", "#7d430f", "#3f4f95", "#7c3250")
"""Grounds on which `CHIP_TEXT` keeps a contrast of 7, in each theme."""
NO_HOST = "#564c44"
"""The ground for what is no host: the workspace, or none yet."""


def host_colours(names: Iterable[str]) -> dict[str, str]:
    """The colour of each host, by its name alone: the same on every screen, in every session, in any order.

    Where two names of one stack would have the same, the later one in the alphabet takes the next that is free;
    above as many hosts as there are colours, they repeat.
    """
    found: dict[str, str] = {}
    free = set(HOST_COLOURS)
    for name in sorted(set(names)):
        start = crc32(name.encode()) % len(HOST_COLOURS)
        row = HOST_COLOURS[start:] + HOST_COLOURS[:start]
        found[name] = next((colour for colour in row if colour in free), row[0])
        free.discard(found[name])
    return found


def preferred(environment: Mapping[str, str]) -> str:
    """The theme to start with: light only where the terminal says (COLORFGBG) that its background is light."""
    background = environment.get("COLORFGBG", "").rpartition(";")[2]
    return LIGHT.name if background in ("7", "15") else DARK.name


_DIFF = {
    "added": ("success", 0.1),
    "added-word": ("success", 0.2),
    "removed": ("error", 0.1),
    "removed-word": ("error", 0.2),
}
"""The grounds of a diff in a theme that is not ours: so much of a colour in the ground."""


def extra_variables(theme: Theme) -> dict[str, str]:
    """Our own variables: the layout, and for a theme that is not ours two colours mixed from its text and its ground."""
    if "quiet" in theme.variables:
        return LAYOUT
    if theme.ansi:
        return {**LAYOUT, "quiet": "ansi_default", "faint": "ansi_default"} | dict.fromkeys(
            _DIFF, "ansi_default"
        )
    colours = theme.to_color_system().generate()
    text, ground = Color.parse(colours["foreground"]), Color.parse(colours["background"])
    tints = (ground.blend(Color.parse(colours[name]), part).hex for name, part in _DIFF.values())
    return {
        **LAYOUT,
        "quiet": text.blend(ground, 0.2).hex,
        "faint": text.blend(ground, 0.5).hex,
        **dict(zip(_DIFF, tints, strict=True)),
    }
