"""Firescreen's design tokens and themes: every colour on the screen is declared only in this file.

Orange for unprotected, teal for verified, brass for the tool. A colour never has a meaning of its own; see
`state_styles.py` for the sign and the word beside it. A test requires a contrast of 4.5 between every text and its
background, and of 7 in the high-contrast theme.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from zlib import crc32

from textual.color import Color
from textual.theme import Theme

if TYPE_CHECKING:
    from textual.app import App


@dataclass(frozen=True, slots=True)
class Tokens:
    """The colours of one theme. Texts are drawn on backgrounds and cursors, never on line colours."""

    background: str
    surface: str
    """The background of everything above the page: dialogs, the keys, forms."""
    panel: str
    """The background of fields, buttons and the title bar."""
    foreground: str
    quiet: str
    """The colour of secondary texts: explanations, placeholders, disabled entries."""
    faint: str
    """The colour of lines and of a bar's empty part, never of a text."""
    line: str
    """The colour of scrollbars, and of borders without the focus."""
    primary: str
    """The colour of titles, keys and borders with the focus."""
    secondary: str
    success: str
    warning: str
    error: str
    cursor: str
    """The background of the row or word under the cursor."""
    cursor_text: str
    cursor_blurred: str
    """As `cursor`, without the focus."""
    selection: str
    """The background of selected text."""
    added: str
    """The background of an added line in a diff; likewise `removed`, and those of the changed words in a line."""
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

# For terminals with 256 colours, in colours of that palette: it has no dark brown, so that the cursor would be olive,
# and texts on it hard to read.
DARK_256_TOKENS = replace(
    DARK_TOKENS,
    quiet="#b2b2b2",
    success="#5fd7af",
    cursor="#3a3a3a",
    cursor_blurred="#303030",
    selection="#303030",
    added="#1c1c1c",
    added_word="#303030",
    removed="#1c1c1c",
    removed_word="#303030",
)
LIGHT_256_TOKENS = replace(
    LIGHT_TOKENS,
    surface="#eeeeee",
    panel="#e4e4e4",
    secondary="#005f87",
    cursor_blurred="#e4e4e4",
    selection="#dadada",
    added="#d7ffd7",
    added_word="#afffaf",
    removed="#ffd7d7",
    removed_word="#ffd7af",
)
CONTRAST_256_TOKENS = replace(
    CONTRAST_TOKENS,
    cursor="#00005f",
    selection="#00005f",
    added="#080808",
    added_word="#303030",
    removed="#080808",
    removed_word="#303030",
)

# For terminals with 16 colours, in exactly these colours: any other colour would be replaced by its neighbour, so that
# a cursor could get the colour of its background.
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
    error="#ff55ff",
    cursor="#0000aa",
    cursor_text="#ffffff",
    cursor_blurred="#000000",
    selection="#0000aa",
    added="#000000",
    added_word="#0000aa",
    removed="#000000",
    removed_word="#0000aa",
)
LIGHT_16_TOKENS = Tokens(
    background="#ffffff",
    surface="#ffffff",
    panel="#55ffff",
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
    cursor_blurred="#ffffff",
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
"""The only border and the only scale of spacing, as variables of the style sheets: cells above and beside."""


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
OWN_FOR = {
    system: (
        _theme(DARK.name, dark, dark=True),
        _theme(LIGHT.name, light, dark=False),
        _theme(CONTRAST.name, contrast, dark=True),
    )
    for system, dark, light, contrast in (
        ("256", DARK_256_TOKENS, LIGHT_256_TOKENS, CONTRAST_256_TOKENS),
        ("standard", DARK_16_TOKENS, LIGHT_16_TOKENS, CONTRAST_16_TOKENS),
    )
}
"""The same themes for terminals with fewer colours, by Rich's name of the colour system."""

CHIP_TEXT = "#ffffff"
"""The colour of text on a host's colour."""
HOST_COLOURS = ("#1d5870", "#6c3f7e", "#42601a", "#7d430f", "#3f4f95", "#7c3250")
"""Backgrounds with a contrast of at least 7 to `CHIP_TEXT`, in each theme."""
NO_HOST = "#564c44"
"""The background for anything but a host: the workspace, or none yet."""


def host_colours(names: Iterable[str]) -> dict[str, str]:
    """Returns the colour of each host, by its name alone: the same on every screen, in every session, in any order.

    If two names of one stack would get the same colour, the later name in the alphabet gets the next free one; if there
    are more hosts than colours, colours repeat.
    """
    found: dict[str, str] = {}
    free = set(HOST_COLOURS)
    for name in sorted(set(names)):
        start = crc32(name.encode()) % len(HOST_COLOURS)
        row = HOST_COLOURS[start:] + HOST_COLOURS[:start]
        found[name] = next((colour for colour in row if colour in free), row[0])
        free.discard(found[name])
    return found


def preferred_theme(environment: Mapping[str, str]) -> str:
    """Returns the initial theme: light only if the terminal says (COLORFGBG) that its background is light."""
    background = environment.get("COLORFGBG", "").rpartition(";")[2]
    return LIGHT.name if background in ("7", "15") else DARK.name


_DIFF = {
    "added": ("success", 0.1),
    "added-word": ("success", 0.2),
    "removed": ("error", 0.1),
    "removed-word": ("error", 0.2),
}
"""The backgrounds of a diff in a theme that is not ours, as the share of a colour in the background."""


def fit_terminal(app: App[int]) -> None:
    """Uses the themes in the colours that the app's terminal supports."""
    system = app.console.color_system or ""
    for theme in OWN_FOR.get(system, ()):
        app.register_theme(theme)
    app.set_class(system == "standard", "-few-colours")


def extra_variables(theme: Theme) -> dict[str, str]:
    """Returns our own variables: the layout, and what a theme that is not ours lacks.

    For such a theme, two colours are mixed from its text and its background, and each text colour is moved towards
    white or black until it is readable on each background, also under the cursor.
    """
    if "quiet" in theme.variables:
        return LAYOUT
    if theme.ansi:
        return {**LAYOUT, "quiet": "ansi_default", "faint": "ansi_default"} | dict.fromkeys(
            _DIFF, "ansi_default"
        )
    colours = theme.to_color_system().generate()
    found = {name: Color.parse(colours[name]) for name in (*_TEXTS, "background", "surface", "panel")}
    ground, text = found["background"], found["foreground"]
    grounds = {name: ground.blend(found[colour], part) for name, (colour, part) in _DIFF.items()}
    grounds["block-cursor-background"] = ground.blend(found["primary"], 0.2)
    grounds["block-cursor-blurred-background"] = ground.blend(text, 0.1)
    under = (*grounds.values(), *(found[name] for name in ("background", "surface", "panel")))
    texts = {name: found[name] for name in _TEXTS} | {"quiet": text.blend(ground, 0.2)}
    shown = {name: _readable(colour, under, dark=theme.dark) for name, colour in texts.items()}
    shown |= {f"text-{name}": shown[name] for name in _TEXTS[1:]}
    shown |= dict.fromkeys(("text-muted", "text-disabled", "foreground-muted"), shown["quiet"])
    shown |= dict.fromkeys(
        ("block-cursor-foreground", "block-cursor-blurred-foreground"), shown["foreground"]
    )
    shown |= {"footer-key-foreground": shown["primary"], "footer-description-foreground": shown["foreground"]}
    shown |= {f"markdown-h{level}-color": shown["primary"] for level in range(1, 7)}
    grounds["footer-background"] = found["surface"]
    mixed = shown | grounds | {"faint": text.blend(ground, 0.5)}
    return LAYOUT | {name: colour.hex for name, colour in mixed.items()}


_TEXTS = ("foreground", "primary", "secondary", "accent", "success", "warning", "error")
READABLE = 4.5
"""The minimum contrast of a text to its background."""


def _readable(colour: Color, grounds: Iterable[Color], *, dark: bool) -> Color:
    """Returns the colour, lightened (darkened in a light theme) until it is readable on each of the backgrounds."""
    pole = Color(255, 255, 255) if dark else Color(0, 0, 0)
    steps = (colour.blend(pole, step / 20) for step in range(21))
    grounds = tuple(grounds)
    return next((each for each in steps if min(contrast(each, one) for one in grounds) >= READABLE), pole)


def contrast(one: Color, other: Color) -> float:
    """Returns the contrast of two colours as defined by WCAG 2: 1 to 21."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: Color) -> float:
    parts = (part / 255 for part in (colour.r, colour.g, colour.b))
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
