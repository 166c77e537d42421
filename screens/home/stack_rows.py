"""The components of a stack as rows with aligned columns: as many columns as fit."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from textual.content import Content

from screens.state_styles import EXPOSURE, date, fit, hang, inline, place, protection_label
from screens.themes import CHIP_TEXT, NO_HOST
from screens.widgets.badges import WIDTH as BADGES
from screens.widgets.badges import exposure_badges
from screens.widgets.gauge import expiry
from screens.widgets.level_meanings import ladder
from wizard.plurals import join_words

if TYPE_CHECKING:
    from wizard.engine import Exposure, FoundProxy

_WORST = ("open", "partly", "down", "secured")
_STATE = 13
_DAYS = 7
_BAR = 16
"""Width of the expiry bar with its number, in cells."""
_GAP = 2
_FACT = 13
"""Width of a fact's name in cells."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The width of each column; 0 for a column that is left out."""

    host: int
    name: int
    address: int
    expiry: int
    scraped_by: int


def in_order(rows: tuple[Exposure, ...], room: int) -> tuple[Exposure, ...]:
    """Returns the rows in the stack's order; if they do not fit into `room` lines, the least protected first."""
    if len(rows) <= room:
        return rows
    return tuple(sorted(rows, key=lambda row: _WORST.index(row.state)))


def columns(rows: tuple[Exposure, ...], width: int, *, several: bool) -> Columns:
    """Returns the columns that fit into `width` cells: host, expiry, address, the expiry's bar, scrapers.

    Args:
        rows: the components.
        width: in cells.
        several: whether there are several hosts, so that each host's name is shown.
    """
    name = _widest([_name(row) for row in rows], 26)
    room = width - name - _STATE - BADGES - 2 * _GAP
    dated = any(row.valid_until for row in rows)
    found = {"host": 0, "expiry": 0, "address": 0, "scraped_by": 0}
    wanted = [
        ("host", _widest([place(row.host) for row in rows], 20) + 2 if several else 0),
        ("expiry", dated and _DAYS),
        ("address", _widest([row.address for row in rows], 28)),
        ("expiry", dated and _BAR),
        ("scraped_by", _widest([_scrapers(row) for row in rows], 40)),
    ]
    for column, cells in wanted:
        more = cells + _GAP - (found[column] + _GAP if found[column] else 0)
        if cells and more <= room:
            found[column] = cells
            room -= more
    return Columns(found["host"], name, found["address"], found["expiry"], found["scraped_by"])


def head(columns: Columns) -> Content:
    """Returns the column headings."""
    cells = (
        (" host", columns.host),
        ("component", columns.name),
        ("address", columns.address),
        ("state", _STATE),
        ("protection", BADGES),
        ("expires", columns.expiry),
        ("scraped by", columns.scraped_by),
    )
    return Content.styled((" " * _GAP).join(fit(word, width) for word, width in cells if width), "$quiet")


def line(row: Exposure, columns: Columns, *, chip: str, no_color: bool) -> Content:
    """Returns the line of one component.

    Args:
        row: the component as it answers.
        columns: their widths.
        chip: the colour of its host in the first row of each host; '' in the others.
        no_color: whether badges need brackets.
    """
    sign, word, colour = EXPOSURE[row.state]
    parts = [
        _chip(row.host, columns.host, chip),
        Content.styled(fit(_name(row), columns.name), "bold"),
        Content.styled(fit(row.address, columns.address), "$quiet"),
        Content.styled(fit(f"{sign} {word}", _STATE), colour),
        exposure_badges(row, no_color=no_color),
        _expiry(row, columns.expiry),
        Content.styled(fit(_scrapers(row), columns.scraped_by), "$quiet"),
    ]
    return Content(" " * _GAP).join(part for part in parts if part.cell_length)


def proxy_lines(
    proxies: tuple[FoundProxy, ...], columns: Columns, chips: Mapping[str, str], *, above: str
) -> list[Content]:
    """Returns the lines of reverse proxies, below the components: a proxy is no component, but can protect some.

    Stopped proxies of one host share a line.

    Args:
        proxies: all proxies of the stack.
        columns: the components' columns.
        chips: the colour of each host.
        above: the host of the row above.
    """
    lines = []
    for host, of_host in groupby(proxies, key=lambda each: each.host):
        found = tuple(of_host)
        stopped = [each for each in found if not each.running]
        shown = [each for each in found if each.running or len(stopped) == 1]
        rows = [(each.name, each.words.partition(":")[0]) for each in shown]
        if len(stopped) > 1:
            rows.append(("", f"{join_words([each.name for each in stopped])} are installed, none runs"))
        for name, words in rows:
            parts = [
                _chip(host, columns.host, chips.get(host, NO_HOST) if host != above else ""),
                Content.styled(fit(name, columns.name) if name else "", "bold"),
                Content.styled(inline(words, 60), "$quiet"),
            ]
            lines.append(Content(" " * _GAP).join(part for part in parts if part.cell_length))
            above = host
    return lines


def details(row: Exposure, width: int, *, no_color: bool) -> Content:
    """Returns all details of a component, a line for each fact, and what each level of protection would mean."""
    sign, word, colour = EXPOSURE[row.state]
    words = row.words.removeprefix(f"{word}: ") if row.words != "does not answer" else ""
    facts: list[tuple[str, Content]] = [
        ("State", Content.assemble((f"{sign} {word}", f"bold {colour}"), f"  {inline(words)}")),
        ("Protection", exposure_badges(row, no_color=no_color)),
        ("Certificate", _certificate(row)),
        ("Scraped by", Content(hang(_scraper_names(row), width - _FACT, 0))),
        ("Address", Content(inline(row.address))),
        ("Program", Content(inline(_program(row)))),
    ]
    if row.through:
        facts.append(("Probed", Content(inline(f"through SSH to {row.through}"))))
    lines = [
        Content.assemble((fit(name, _FACT), "$quiet"), _indent(words))
        for name, words in facts
        if words.plain.strip()
    ]
    if row.state != "down":
        lines += [Content(""), ladder(protection_label(row), width)]
    return Content("\n").join(lines)


def _indent(words: Content) -> Content:
    return Content("\n" + " " * _FACT).join(words.split("\n"))


def _scraper_names(row: Exposure) -> str:
    return ", ".join(row.scraped_by) or "no Prometheus of this stack"


def brief(row: Exposure) -> Content:
    """Returns in one line the facts that have no column in a narrow terminal."""
    scraped = f"scraped by {', '.join(row.scraped_by)}" if row.scraped_by else ""
    parts = (row.address, row.version, scraped, f"through {row.through}" if row.through else "")
    return Content.styled(inline(" · ".join(part for part in parts if part), 300), "$quiet")


def _chip(host: str, width: int, chip: str) -> Content:
    """Returns the host as a chip, as in the title bar."""
    if not width or not chip:
        return Content(" " * width)
    name = Content.styled(f" {inline(place(host), width - 2)} ", f"bold {CHIP_TEXT} on {chip}")
    return Content.assemble(name, " " * (width - name.cell_length))


def _name(row: Exposure) -> str:
    return row.key.partition("/")[2]


def _scrapers(row: Exposure) -> str:
    """Returns the name of each scraping Prometheus once, without its jobs."""
    return ", ".join(dict.fromkeys(each.partition(" (")[0] for each in row.scraped_by))


def _program(row: Exposure) -> str:
    return " · ".join(part for part in (row.component, row.version, row.unit or row.manager) if part)


def _certificate(row: Exposure) -> Content:
    if not row.valid_until:
        return Content("")
    left = row.valid_until - time.time()
    return Content.assemble(
        f"expires {date(row.valid_until)} ", expiry(left, row.valid_until - row.valid_from, 24)
    )


def _expiry(row: Exposure, width: int) -> Content:
    if not width or not row.valid_until:
        return Content(" " * width)
    return expiry(row.valid_until - time.time(), row.valid_until - row.valid_from, width)


def _widest(texts: list[str], most: int) -> int:
    """Returns the width of the longest text, at least that of a column's name."""
    return min(max((Content(inline(text)).cell_length for text in texts), default=0), most)
