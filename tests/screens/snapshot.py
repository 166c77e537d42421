"""Snapshots of screens as text: the cells, and for each line the style of its runs of cells by the names of
the colours.

A snapshot is compared line by line, so that a reviewer sees in a diff which cells moved and which changed
colour. It
contains no path, time or version of the machine it was taken on.
"""

from __future__ import annotations

import re
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from rich.color import Color
from textual.pilot import Pilot

from screens import themes

if TYPE_CHECKING:
    from rich.style import Style
    from textual.strip import Strip
    from textual.widgets import Input

Names: TypeAlias = "dict[tuple[int, int, int], str]"

SIZES = ((80, 24), (120, 40), (200, 50))
STYLED = (80, 24)
"""The size at which the styles are kept too."""

_TOKENS = {themes.DARK.name: themes.DARK_TOKENS, themes.LIGHT.name: themes.LIGHT_TOKENS}
_SPINNER = re.compile("[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]")
_ELAPSED = re.compile(r"(?<=for )\d+ s\b|\b\d{1,2}:\d{2}(?= elapsed)")


async def picture(pilot: Pilot[Any], *, box: bool = False) -> str:
    """Returns the screen in each size, then its styles in dark and light; of a dialog only its box, in two sizes."""
    parts = []
    for size in SIZES[: 2 if box else None]:
        await resized(pilot, size)
        parts.append(f"==== {size[0]}x{size[1]}\n{text(pilot)}")
    await resized(pilot, STYLED)
    dark = styles(pilot)
    parts.append("==== dark\n" + "\n".join(f"{line}: {styled_runs}" for line, styled_runs in dark.items()))
    pilot.app.theme = themes.LIGHT.name
    await settled(pilot)
    light = styles(pilot)
    other = {
        line: light.get(line, "plain")
        for line in sorted({*dark, *light})
        if dark.get(line) != light.get(line)
    }
    parts.append(
        "\n".join(
            ["==== light, where it differs", *(f"{at}: {styled_runs}" for at, styled_runs in other.items())]
        )
    )
    pilot.app.theme = themes.DARK.name
    return "\n".join(parts) + "\n"


async def resized(pilot: Pilot[Any], size: tuple[int, int]) -> None:
    """Resizes the terminal, and waits until the screen is drawn in the new size."""
    await pilot.resize_terminal(*size)
    await settled(pilot)


async def settled(pilot: Pilot[Any]) -> None:
    """Waits until two consecutive frames are equal."""
    for field in pilot.app.screen.query("Input, TextArea"):
        cast("Input", field).cursor_blink = False
    before = ""
    for _ in range(20):
        await pilot.pause()
        now = text(pilot)
        if now == before:
            return
        before = now


def text(pilot: Pilot[Any]) -> str:
    """Returns the cells, one line per row, without blanks at the end."""
    strips = _strips(pilot)
    lines = ["".join(part.text for part in strip).rstrip() for strip in strips]
    return normalised("\n".join(lines))


def _strips(pilot: Pilot[Any]) -> list[Strip]:
    """Returns the drawn lines; of a dialog only its box."""
    screen = pilot.app.screen
    strips = screen._compositor.render_strips()
    if not screen.is_modal or not screen.query(".box"):
        return strips
    box = screen.query_one(".box").region
    return [strip.crop(box.x, box.right) for strip in strips[box.y : box.bottom]]


def normalised(drawn: str) -> str:
    """Replaces what changes by itself: the frame of a spinner, and elapsed times."""
    return _ELAPSED.sub(lambda found: "0" * len(found[0]), _SPINNER.sub("⠋", drawn))


def styles(pilot: Pilot[Any]) -> dict[int, str]:
    """Returns 'from-to attributes colour on background' for each run of cells of each line that is not plain."""
    names = colour_names(pilot.app.theme)
    found = {}
    for number, strip in enumerate(_strips(pilot), start=1):
        styled_runs, start = [], 0
        for style, run in groupby(_cells(strip, names)):
            end = start + len(list(run))
            if style:
                styled_runs.append(f"{start}-{end - 1} {style}")
            start = end
        if styled_runs:
            found[number] = " | ".join(styled_runs)
    return found


def _cells(strip: Strip, names: Names) -> list[str]:
    """Returns the style of each cell in words, '' for plain text. A blank has the style of the text before it."""
    cells: list[str] = []
    before = ("", "background")
    for part in strip:
        style = part.style
        ground = _name(names, style.bgcolor, "background") if style else "background"
        for char in part.text:
            blank = char == " " and not (style and (style.underline or style.reverse))
            if not blank:
                before = (_words(style, ground, names), ground)
            elif before[1] != ground:
                before = (f"on {ground}" if ground != "background" else "", ground)
            cells.append(before[0])
    return cells


def _words(style: Style | None, ground: str, names: Names) -> str:
    if style is None:
        return ""
    colour = _name(names, style.color, "foreground")
    usual = ground == "background" and colour == "foreground"
    marks = ("bold", "italic", "underline", "reverse", "dim", "strike")
    words = [*(mark for mark in marks if getattr(style, mark)), *([] if usual else [colour])]
    return " ".join([*words, *([f"on {ground}"] if ground != "background" else [])])


def _name(names: Names, colour: Color | None, usual: str) -> str:
    if colour is None:
        return usual
    shown = colour.get_truecolor()
    # Colours that Textual mixes are rounded: the last digit may differ.
    for known, name in names.items():
        if all(abs(one - other) <= 1 for one, other in zip(known, shown, strict=True)):
            return name
    return "#{:02x}{:02x}{:02x}".format(*shown)


def colour_names(theme: str) -> Names:
    """Returns the name of each colour of one of our themes."""
    known = asdict(_TOKENS[theme])
    known |= {f"host-{number}": colour for number, colour in enumerate(themes.HOST_COLOURS, start=1)}
    known |= {"no-host": themes.NO_HOST, "chip": themes.CHIP_TEXT}
    found: Names = {}
    for name, colour in known.items():
        found.setdefault(Color.parse(colour).get_truecolor(), name)
    return found
