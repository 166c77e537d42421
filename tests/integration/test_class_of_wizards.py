"""A class with real wizards: students in browsers and on other machines do a lab, and the board shows each
one's state.

FIRESCREEN_CLASS sets how many students are served (3 by default); for every four of them one more joins.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp
import pyte
import pytest

from tests.integration.test_class_board import BoardServer, instructor, seen, serve_board
from tests.integration.test_serve import serve_wizard, session, socket_of
from wizard.labs import labs
from wizard.labs.board.student_folder import own_progress
from wizard.workspace import Workspace

STUDENTS = int(os.environ.get("FIRESCREEN_CLASS", "3"))
LAB = "node-tls"
WIDTH, HEIGHT = 120, 40
ARRIVAL, READING = 4.0, 3.0
"""Seconds between two students who come in, and for which one reads a step."""
pytestmark = [pytest.mark.matrix, pytest.mark.slow, pytest.mark.timeout(540)]


class Student:
    """A wizard in a browser, whose output is drawn as a terminal does."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._screen = pyte.Screen(WIDTH, HEIGHT)
        self._stream = pyte.ByteStream(self._screen)
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self._socket:
            if message.type is aiohttp.WSMsgType.BINARY:
                # textual-serve's packets: a letter, the length, and the output for the terminal.
                self._stream.feed(message.data)

    async def until(self, *wanted: str) -> None:
        """Waits until one of several texts is on the screen."""
        began = time.monotonic()
        while not any(text in "\n".join(self._screen.display) for text in wanted):
            assert time.monotonic() - began < 240, (wanted, "\n".join(self._screen.display))
            await asyncio.sleep(0.1)

    async def press(self, keys: str) -> None:
        """Presses keys."""
        await self._socket.send_json(["stdin", keys])

    async def close(self) -> None:
        """Closes the connection."""
        await self._socket.close()
        await self._reader


async def do_a_lab(link: str, turn: int) -> None:
    """Opens the wizard, starts the lab, lets it do each step, and calls for help in between."""
    await asyncio.sleep(turn * ARRIVAL)  # students do not start at the same moment
    async with session() as browser:
        async with browser.get(link) as answer:
            page = await answer.text()
        url = f"{socket_of(page)}?width={WIDTH}&height={HEIGHT}"
        origin = link.partition("/?")[0]
        async with browser.ws_connect(url, headers={"Origin": origin}, max_msg_size=0) as socket:
            student = Student(socket)
            await student.until("Follow a lab")
            await student.press("l")
            await student.until("TLS for a node_exporter")
            await student.press("\x1b[B\r")
            await student.until("About this lab")
            for step in range(turn % 4 + 1):
                await student.press("n")
                await student.until(f"Step {step + 1} of")
                await asyncio.sleep(READING)
                if step == 0 and turn % 2:
                    await student.press("k")
                    await student.until("not done")
                    await student.press("!")
                    await student.until("you asked for help", "needs a hint")
                    await student.press("!")
                await student.press("d")
                await student.until("✓ done", "all steps are done")
            await student.close()


async def do_a_lab_in_a_shell(folder: Path, board: BoardServer, name: str) -> None:
    """Joins from a workspace of its own, and does the first steps with commands."""

    async def firescreen(*words: str) -> None:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "screens", "--workspace", str(folder), *words),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await asyncio.wait_for(child.communicate(), 240)
        assert child.returncode in (0, 1), output.decode()

    await firescreen("lab", "join", board.url, "--code", board.code, "--name", name, "--yes")
    await firescreen("lab", "start", LAB)
    await firescreen("lab", "check")
    await firescreen("lab", "hint")
    await firescreen("lab", "solve")
    await firescreen("lab", "signal", "ready")


def states(workspace: Workspace) -> Any:
    """Returns the states of a workspace's steps as the board shows them."""
    try:
        found = own_progress(workspace.root, labs()).find(LAB)
    except OSError:
        return None
    return [(step.state, step.hints, step.checks) for step in found.steps] if found else None


def shown(one: dict[str, Any]) -> Any:
    """Returns the states of a student's steps on the board."""
    lab = next((each for each in one["labs"] if each["id"] == LAB), None)
    return [(step["state"], step["hints"], step["checks"]) for step in lab["steps"]] if lab else None


async def watch(
    own: dict[str, Workspace], board: BoardServer, browser: aiohttp.ClientSession, done: asyncio.Event
) -> list[float]:
    """Compares the board with the students until `done`; returns how long each difference lasted, in seconds."""
    late: list[float] = []
    differs: dict[str, float] = {}
    while not done.is_set() or differs:
        before = await asyncio.to_thread(lambda: {name: states(each) for name, each in own.items()})
        board_says = {
            one["name"] or f"{one['number']:02}": shown(one)
            for one in (await seen(browser, board))["students"]
        }
        now = time.monotonic()
        for name, earlier in before.items():
            if board_says.get(name) == earlier:
                if name in differs:
                    late.append(now - differs.pop(name))
            elif earlier is not None:
                differs.setdefault(name, now)
                assert now - differs[name] < 60, (name, earlier, board_says.get(name))
        await asyncio.sleep(0.1)
    return late


async def test_the_board_agrees_with_real_wizards(tmp_path: Path) -> None:
    folder = tmp_path / "w"
    joined = {f"Far {number}": tmp_path / f"far-{number}" for number in range(1, STUDENTS // 4 + 2)}
    with (
        serve_wizard(tmp_path, "--students", str(STUDENTS)) as (links, _, _child),
        serve_board(folder) as board,
    ):
        own = {
            f"{number:02}": Workspace(folder / "students" / f"{number:02}")
            for number in range(1, STUDENTS + 1)
        }
        own |= {name: Workspace(place) for name, place in joined.items()}
        async with instructor() as browser:
            async with browser.get(board.link):
                pass
            done = asyncio.Event()
            watching = asyncio.create_task(watch(own, board, browser, done))
            try:
                await asyncio.gather(
                    *(do_a_lab(link, turn) for turn, link in enumerate(links)),
                    *(do_a_lab_in_a_shell(place, board, name) for name, place in joined.items()),
                )
            finally:
                done.set()
                late = await asyncio.wait_for(watching, 90)
                await asyncio.to_thread(_end_practice, own)
            # How long it takes depends on the machine: `watch` fails only where the board never agrees.
            print(
                f"{len(own)} students, {len(late)} changes, the board agreed after at most {max(late, default=0.0):.1f} s"
            )
            assert all(states(workspace) for workspace in own.values())


def _end_practice(own: dict[str, Workspace]) -> None:
    from wizard import practice

    for workspace in own.values():
        practice.down(workspace.root, remove=True)
