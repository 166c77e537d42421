"""The protection of a component as badges in fixed columns, so that a list is easy to scan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content

if TYPE_CHECKING:
    from wizard.engine import Exposure

WORDS = ("TLS", "PASSWORD", "mTLS")
WIDTH = sum(len(word) + 2 for word in WORDS) + len(WORDS) - 1
"""Width of the three badges and the gaps between them, in cells."""


def badge(word: str, colour: str, *, no_color: bool = False) -> Content:
    """Returns a word on a coloured background, or in brackets if there is no colour."""
    if no_color:
        return Content.styled(f"[{word}]", "bold")
    return Content.styled(f" {word} ", f"bold $background on {colour}")


def badges(*, tls: bool, password: bool, client_certificate: bool, no_color: bool = False) -> Content:
    """Returns a badge for each protection, always `WIDTH` cells: a missing protection leaves its place empty.

    mTLS includes TLS: both badges are shown then.
    """
    parts = []
    for word, there in zip(WORDS, (tls, password, client_certificate), strict=True):
        shown = badge(word, "$success", no_color=no_color) if there else Content(" " * (len(word) + 2))
        parts.append(shown)
    return Content(" ").join(parts)


def exposure_badges(exposure: Exposure, *, no_color: bool = False) -> Content:
    """Returns a component's badges as it answers now; 'plain HTTP' for none, nothing if it does not answer."""
    if exposure.state == "down":
        return Content(" " * WIDTH)
    if exposure.tls or exposure.password or exposure.client_certificate:
        return badges(
            tls=exposure.tls,
            password=exposure.password,
            client_certificate=exposure.client_certificate,
            no_color=no_color,
        )
    plain = Content.styled("plain HTTP", "$error")
    return Content.assemble(plain, " " * (WIDTH - plain.cell_length))
