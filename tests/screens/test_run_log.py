"""Where the log of a run is scrolled to: at its newest line, unless the person has scrolled."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from textual.app import ComposeResult
from textual.content import Content
from textual.pilot import Pilot
from textual.screen import Screen

import screens
from screens.app import make_app
from screens.run.run_log import RunLog
from tests.screens.helpers import QuietEngine, drawn, engine, until


class LogScreen(Screen[None]):
    """Shows a log and nothing else."""

    CSS_PATH = Path(screens.__file__).parent / "running.tcss"

    def compose(self) -> ComposeResult:
        yield RunLog()


def lines(count: int) -> Content:
    return Content("\n".join(f"line {number}" for number in range(count)))


@asynccontextmanager
async def shown_log() -> AsyncIterator[tuple[RunLog, Pilot[Any]]]:
    """Shows the log of srv1, of 100 lines."""
    app = make_app(build=engine(QuietEngine()))
    async with app.run_test(size=(120, 40)) as pilot:
        await app.push_screen(LogScreen())
        log = app.screen.query_one(RunLog)
        log.show(lines(100), "srv1", from_start="")
        await until(pilot, "line 99")
        yield log, pilot


async def test_a_growing_log_stays_at_its_end() -> None:
    async with shown_log() as (log, pilot):
        log.show(lines(150), "srv1", from_start="")
        await until(pilot, "line 149")


async def test_a_log_stays_at_its_end_in_a_smaller_terminal() -> None:
    async with shown_log() as (_, pilot):
        await pilot.resize_terminal(80, 24)
        await until(pilot, "line 99")


async def test_who_has_scrolled_keeps_the_place_while_the_log_grows() -> None:
    async with shown_log() as (log, pilot):
        log.scroll_to(y=20, animate=False)
        await until(pilot, "line 20")
        log.show(lines(150), "srv1", from_start="")
        await until(pilot, lambda: log.virtual_size.height == 150)
        assert log.scroll_offset.y == 20


async def test_the_log_of_another_host_is_shown_at_its_end() -> None:
    async with shown_log() as (log, pilot):
        log.scroll_to(y=20, animate=False)
        await until(pilot, "line 20")
        log.show(lines(150), "srv2", from_start="")
        await until(pilot, "line 149")


async def test_manual_commands_are_read_from_their_start_and_the_log_after_them_from_its_end() -> None:
    async with shown_log() as (log, pilot):
        log.show(lines(50), "srv1", from_start="systemctl restart node_exporter")
        await until(pilot, lambda: log.scroll_offset.y == 0)
        await until(pilot, "line 0")
        log.show(lines(120), "srv1", from_start="")
        await until(pilot, "line 119")


async def test_a_short_log_begins_at_the_top() -> None:
    async with shown_log() as (log, pilot):
        log.show(lines(5), "srv2", from_start="")
        await until(pilot, lambda: drawn(pilot).startswith("line 0"))
