"""Firescreen's own colours: ember for what stands open, calm teal for what is proven, brass for the tool.

A colour never says anything alone; see `words.py` for the sign and the word that stand beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from zlib import crc32

from textual.theme import Theme

DARK = Theme(
    name="firescreen",
    primary="#d9a766",
    secondary="#8fa9b8",
    accent="#d9a766",
    warning="#e3b341",
    error="#ff7847",
    success="#4fbfa8",
    foreground="#ece4da",
    background="#161311",
    surface="#1f1b18",
    panel="#2a2521",
    dark=True,
    variables={
        "quiet": "#b0a498",
        "faint": "#6f655c",
        "block-cursor-background": "#54432a",
        "block-cursor-foreground": "#fff6e8",
        "block-cursor-blurred-background": "#3a322b",
        "block-cursor-blurred-foreground": "#ece4da",
        "footer-key-foreground": "#d9a766",
        "footer-background": "#1f1b18",
        "border": "#d9a766",
        "border-blurred": "#4a4038",
        "scrollbar": "#4a4038",
        "scrollbar-background": "#1f1b18",
    },
)

LIGHT = Theme(
    name="firescreen-light",
    primary="#80561b",
    secondary="#3f5f73",
    accent="#80561b",
    warning="#8a5f00",
    error="#b03608",
    success="#0c6455",
    foreground="#2a241f",
    background="#fbf8f3",
    surface="#f2ece3",
    panel="#e7dfd3",
    dark=False,
    variables={
        "quiet": "#63574c",
        "faint": "#a3978b",
        "block-cursor-background": "#efd9b4",
        "block-cursor-foreground": "#221c17",
        "block-cursor-blurred-background": "#ddd2c2",
        "block-cursor-blurred-foreground": "#2a241f",
        "footer-key-foreground": "#80561b",
        "footer-background": "#f2ece3",
        "border": "#80561b",
        "border-blurred": "#c9bcaa",
        "scrollbar": "#c9bcaa",
        "scrollbar-background": "#f2ece3",
    },
)

# Backgrounds on which white text keeps a contrast of at least 4.5, in a light theme and in a dark one.
HOST_COLOURS = ("#23647f", "#7b4a8e", "#4d6b1f", "#94531a", "#4759a3", "#8b3a5c")


NO_HOST = "#5a5048"
"""The background for what is no host: Firescreen's own folder, or none yet."""


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
