"""The protection of a component as badges in fixed columns, so that a column of rows is read at a glance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content

if TYPE_CHECKING:
    from wizard.engine import Exposure

WORDS = ("TLS", "PASSWORD", "mTLS")
WIDTH = sum(len(word) + 2 for word in WORDS) + len(WORDS) - 1
"""Cells of the three badges and what stands between them."""


def badge(word: str, colour: str, *, no_color: bool = False) -> Content:
    """A word on a ground of its own, in brackets where there is no colour."""
    if no_color:
        return Content.styled(f"[{word}]", "bold")
    return Content.styled(f" {word} ", f"bold $background on {colour}")


def badges(*, tls: bool, password: bool, client_certificate: bool, no_color: bool = False) -> Content:
    """A badge for each protection, always `WIDTH` cells: what is missing leaves its place empty.

    mTLS includes TLS: both badges are shown then.
    """
    parts = []
    for word, there in zip(WORDS, (tls, password, client_certificate), strict=True):
        shown = badge(word, "$success", no_color=no_color) if there else Content(" " * (len(word) + 2))
        parts.append(shown)
    return Content(" ").join(parts)


def exposure_badges(found: Exposure, *, no_color: bool = False) -> Content:
    """The badges of a component as it answers now; 'plain HTTP' for none, nothing where it does not answer."""
    if found.state == "down":
        return Content(" " * WIDTH)
    if found.tls or found.password or found.client_certificate:
        return badges(
            tls=found.tls,
            password=found.password,
            client_certificate=found.client_certificate,
            no_color=no_color,
        )
    plain = Content.styled("plain HTTP", "$error")
    return Content.assemble(plain, " " * (WIDTH - plain.cell_length))
