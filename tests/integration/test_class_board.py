"""A real class: students who join over the network, the board in a browser, and clients without permission."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.integration.browser import browser
from wizard.errors import HostError
from wizard.labs import find, labs, state
from wizard.labs import report as reporting
from wizard.labs.board import member, progress, reporter
from wizard.labs.board.reporter import LiveReporter
from wizard.labs.board.student_folder import own_progress
from wizard.labs.state import LabState
from wizard.workspace import Workspace

LAB = find("node-tls")


class BoardServer:
    """A board that the command serves; see `served`."""

    def __init__(self, link: str, said: str, child: subprocess.Popen[str]) -> None:
        self.link, self.said, self.child = link, said, child
        self.url = link.partition("/?")[0]

    @property
    def code(self) -> str:
        found = re.search(r"the code +(\S+)", self.said)
        assert found
        return found[1]

    @property
    def fingerprint(self) -> str:
        found = re.search(r"the certificate +(.+)", self.said)
        return found[1] if found else ""


@contextmanager
def serve_board(folder: Path, *options: str, listen: str = "127.0.0.1:0") -> Iterator[BoardServer]:
    """Runs `firescreen lab board --listen` until the end of the block."""
    words = ["-m", "screens", "--workspace", str(folder), "lab", "board", "--listen", listen, *options]
    child = subprocess.Popen(
        [sys.executable, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "NO_COLOR": "1"},
    )
    assert child.stdout is not None and child.stderr is not None
    try:
        link = child.stdout.readline().strip()
        output = ""
        while link and "Ctrl+C" not in output:
            output += child.stderr.readline()
        assert link, child.stderr.read()
        yield BoardServer(link, output, child)
    finally:
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
            assert child.wait(30) == 0
        child.stdout.close()
        child.stderr.close()


def student(folder: Path, count: int = 0, *, name: str = "", started: float = 0.0) -> Workspace:
    """Returns a workspace in which the first steps of a lab are done."""
    workspace = Workspace(folder).ensure()
    known = LabState(started=started or time.time() - 100)
    for step in LAB.steps[:count]:
        known = known.with_step(step.id, done=time.time() - 10, checks=1, hints=count % 2)
    state.save(workspace.labs / f"{LAB.id}.json", known)
    if name:
        member.wish(workspace, name=name)
    return workspace


def join(workspace: Workspace, board: BoardServer, name: str) -> reporter.Joined:
    """Joins as the command does."""
    url = reporter.board_url(board.url)
    mark = reporter.presented_fingerprint(url)
    assert not mark or reporter.is_fingerprint(board.fingerprint, mark)
    return reporter.join(workspace, reporter.Joined(url=url, fingerprint=mark), board.code, name)


def instructor() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        cookie_jar=aiohttp.CookieJar(unsafe=True),
        connector=aiohttp.TCPConnector(ssl=False),
        timeout=aiohttp.ClientTimeout(30),
    )


async def seen(session: aiohttp.ClientSession, board: BoardServer) -> dict[str, Any]:
    async with session.get(f"{board.url}/board.json") as answer:
        assert answer.status == 200
        return dict(await answer.json())


async def wait_for_states(
    session: aiohttp.ClientSession, board: BoardServer, wanted: dict[str, list[str]]
) -> float:
    """Waits until the board shows these states of steps by name; returns the seconds that it took."""
    began = time.monotonic()
    while True:
        found = {
            one["name"]: [step["state"] for step in one["labs"][0]["steps"]] if one["labs"] else []
            for one in (await seen(session, board))["students"]
        }
        if found == wanted:
            return time.monotonic() - began
        assert time.monotonic() - began < 30, (found, wanted)
        await asyncio.sleep(0.1)


def own_states(workspace: Workspace) -> list[str]:
    """Returns the states of steps as the workspace has them."""
    found = own_progress(workspace.root, labs()).labs
    return [step.state for step in found[0].steps] if found else []


@pytest.mark.matrix
@pytest.mark.timeout(180)
async def test_the_board_agrees_with_the_students_within_two_seconds(tmp_path: Path) -> None:
    here = {
        f"S{n:02}": student(tmp_path / "w/students" / f"{n:02}", n % 5, name=f"S{n:02}") for n in range(1, 21)
    }
    far = {f"J{n}": student(tmp_path / "far" / f"{n}", n % 5) for n in range(1, 6)}
    reporters = {name: LiveReporter(workspace, labs()) for name, workspace in far.items()}
    stop = asyncio.Event()

    async def report() -> None:
        while not stop.is_set():
            for one in reporters.values():
                await asyncio.to_thread(one.tick)
            await asyncio.sleep(0.5)

    listen = "127.0.0.1:0"
    async with instructor() as session:
        with serve_board(tmp_path / "w", "--name", "Monday") as board:
            listen = f"127.0.0.1:{board.url.rpartition(':')[2]}"
            for name, workspace in far.items():
                join(workspace, board, name)
            task = asyncio.create_task(report())
            async with session.get(board.link) as answer:
                assert answer.status == 200 and "token" not in str(answer.url)
            everybody = {**here, **far}
            await wait_for_states(session, board, {name: own_states(one) for name, one in everybody.items()})
            times = []
            for turn in range(1, 4):
                for at, (name, workspace) in enumerate(everybody.items()):
                    if at % 3 == turn % 3:
                        student(workspace.root, (at + turn) % 5, name=name)
                times.append(
                    await wait_for_states(
                        session, board, {name: own_states(one) for name, one in everybody.items()}
                    )
                )
            student(here["S07"].root, 0, name="S07", started=time.time())  # a student resets the lab
            times.append(
                await wait_for_states(
                    session, board, {name: own_states(one) for name, one in everybody.items()}
                )
            )
            assert min(times) < 2, times
            async with session.get(f"{board.url}/class.csv") as answer:
                table = list(csv.DictReader(io.StringIO(await answer.text())))
            for name, workspace in everybody.items():
                rows = [row for row in table if row["name"] == name]
                lab = own_progress(workspace.root, labs()).labs[0]
                (reported,) = reporting.gather(workspace, (LAB,)).parts
                by = {"done": "done by the student", "solved": "done by Firescreen", "": "not done"}
                assert [by[row["state"] if row["done_at"] else ""] for row in rows] == [
                    step.how.partition(",")[0] for step in reported.steps
                ]
                assert [
                    (row["step"], row["state"], int(row["checks"]), int(row["hints"])) for row in rows
                ] == [(step.id, step.state, step.checks, step.hints) for step in lab.steps]
        # The board is closed: labs continue, and their reporters say why nothing is sent.
        student(far["J1"].root, 4, name="J1")
        await asyncio.sleep(1.5)
        assert "cannot be reached" in reporters["J1"].error
        with serve_board(
            tmp_path / "w", listen=listen
        ) as board:  # with the same code, certificate and students
            await wait_for_states(session, board, {name: own_states(one) for name, one in everybody.items()})
            assert reporters["J1"].error == ""
        stop.set()
        await task


@pytest.mark.matrix
@pytest.mark.timeout(120)
async def test_messages_and_pace_reach_a_remote_student_and_no_other(tmp_path: Path) -> None:
    one, two = student(tmp_path / "1"), student(tmp_path / "2")
    async with instructor() as session:
        with serve_board(tmp_path / "w", listen="127.0.0.1:0") as board:
            first, second = join(one, board, "Ada"), join(two, board, "Eve")
            async with session.get(board.link):
                pass
            reporter.report(one, first, own_progress(one.root, labs()))
            await wait_for_states(session, board, {"Ada": own_states(one), "Eve": []})
            found = await seen(session, board)
            ada = next(each["id"] for each in found["students"] if each["name"] == "Ada")
            for path, data in (
                ("message", {"to": ada, "text": "Look at the SAN"}),
                ("pace", {"lab": LAB.id, "open_steps": 2}),
                ("clock", {"minutes": 5}),
            ):
                async with session.post(f"{board.url}/{path}", json=data) as answer:
                    assert answer.status == 200, await answer.text()
            news = reporter.report(one, first, own_progress(one.root, labs()))
            assert [message.text for message in news.messages] == ["Look at the SAN"]
            assert news.open_in(LAB.id) == 2 and news.clock_until > time.time()
            other = reporter.report(two, second, own_progress(two.root, labs()))
            assert other.messages == ()
            for path, data in (
                ("message", {"to": "nobody", "text": "x"}),
                ("message", {"text": " "}),
                ("message", {}),
                ("pace", {"lab": "no-such-lab", "open_steps": 1}),
                ("pace", {"lab": LAB.id, "open_steps": 99}),
                ("clock", {"minutes": -1}),
                ("clock", {"minutes": "soon"}),
            ):
                async with session.post(f"{board.url}/{path}", json=data) as answer:
                    assert answer.status in (400, 403), (path, data)


@pytest.mark.matrix
@pytest.mark.timeout(120)
async def test_strangers_and_students_cannot_read_the_board(tmp_path: Path) -> None:
    workspace = student(tmp_path / "1", 1)
    with serve_board(tmp_path / "w") as board:
        to = join(workspace, board, "Ada")
        async with aiohttp.ClientSession() as stranger:
            for headers in (
                {},
                {"Authorization": f"Bearer {to.token}"},
                {"Cookie": f"firescreen-board-={to.token}"},
            ):
                for path in ("/", "/board.json", "/events", "/class.csv", "/?token=", "/?token=x"):
                    async with stranger.get(board.url + path, headers=headers) as answer:
                        assert answer.status == 403, path
                        assert "Ada" not in await answer.text()
                for path in ("/message", "/pace", "/clock"):
                    async with stranger.post(board.url + path, headers=headers, json={}) as answer:
                        assert answer.status == 403, path
            for token in ("", "x", "Bearer"):
                for path in ("/report", "/leave"):
                    headers = {"Authorization": f"Bearer {token}"}
                    async with stranger.post(board.url + path, headers=headers, data=b"{}") as answer:
                        assert answer.status == 401
            huge = b"x" * 1_000_000
            headers = {"Authorization": f"Bearer {to.token}"}
            async with stranger.post(f"{board.url}/report", headers=headers, data=huge) as answer:
                assert answer.status == 413
        async with instructor() as session:
            async with session.get(board.link):
                pass
            other = {"Origin": "http://evil.example"}
            async with session.post(f"{board.url}/message", headers=other, json={"text": "x"}) as answer:
                assert answer.status == 403
            for name in ("=1+1", "<img src=x onerror=alert(1)>", "\u202e\x1b[2J", "x" * 5000):
                guest = Workspace(tmp_path / f"guest-{abs(hash(name))}").ensure()
                join(guest, board, name)
                assert reporter.report_now(guest, ()) is not None
            names = [one["name"] for one in (await seen(session, board))["students"]]
            assert all(len(name) <= progress.LONGEST_NAME for name in names)
            assert not any("\x1b" in name or "\u202e" in name for name in names)


@pytest.mark.timeout(120)
def test_only_the_progress_of_labs_leaves_a_students_machine(tmp_path: Path) -> None:
    workspace = student(tmp_path / "student", 2)
    workspace.users.mkdir()
    (workspace.users / "prometheus").write_text("a-password-of-mine")
    path = workspace.labs / f"{LAB.id}.json"
    known = state.load(path)
    assert known is not None
    state.save(path, known.with_answer(LAB.questions[0].ask, "I typed a-password-of-mine"))
    sent: list[bytes] = []

    async def listen() -> None:
        from aiohttp import web

        async def take(request: web.Request) -> web.Response:
            sent.append(bytes(str(dict(request.headers)), "utf-8") + await request.read())
            if request.path == "/join":
                return web.json_response({"token": "t" * 32, "class_name": "x"})
            return web.json_response(
                {
                    "format": 1,
                    "class_name": "x",
                    "messages": [],
                    "lab": "",
                    "open_steps": 0,
                    "clock_until": 0,
                    "read_at": 0,
                }
            )

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", take)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            to = await asyncio.to_thread(reporter.join, workspace, reporter.Joined(url=url), "CODE", "Ada")
            await asyncio.to_thread(reporter.report, workspace, to, own_progress(workspace.root, labs()))
            await asyncio.to_thread(reporter.leave, workspace)
        finally:
            await runner.cleanup()

    asyncio.run(listen())
    assert len(sent) == 3
    everything = b"".join(sent).decode()
    assert "a-password-of-mine" not in everything
    assert str(tmp_path) not in everything
    body = json.loads(sent[1][sent[1].index(b'{"format"') :])
    assert set(body) == {"format", "name", "lab", "labs", "signal", "signal_at", "live"}
    assert set(body["labs"][0]) == {"id", "title", "started", "steps", "answers"}
    assert set(body["labs"][0]["steps"][0]) == {
        "id", "title", "state", "done_at", "hints", "checks", "checked_at", "said",
    }  # fmt: skip


@pytest.mark.matrix
@pytest.mark.timeout(120)
def test_the_command_for_students_names_nothing_of_the_instructors_machine(tmp_path: Path) -> None:
    with serve_board(tmp_path / "teacher") as board:
        assert f"  firescreen lab join {board.url}\n" in board.said
        with pytest.raises(HostError, match="does not speak https"):
            reporter.presented_fingerprint(board.url.replace("http://", "https://"))


def test_another_certificate_is_reported_before_anything_is_sent(tmp_path: Path) -> None:
    workspace = student(tmp_path / "student", 1)
    with serve_board(tmp_path / "one", listen="0.0.0.0:0") as board:
        port = board.url.rpartition(":")[2]
        url = reporter.board_url(f"https://127.0.0.1:{port}")
        mark = reporter.presented_fingerprint(url)
        assert reporter.is_fingerprint(board.fingerprint, mark)
        assert not reporter.is_fingerprint(board.fingerprint[:20], mark)
        to = reporter.join(workspace, reporter.Joined(url=url, fingerprint=mark), board.code, "Ada")
        reporter.report(workspace, to, own_progress(workspace.root, labs()))
    other = serve_board(tmp_path / "two", listen=f"0.0.0.0:{port}")
    with other, pytest.raises(HostError, match="not the board that was joined"):
        reporter.report(workspace, to, own_progress(workspace.root, labs()))


@pytest.mark.matrix
@pytest.mark.timeout(240)
async def test_the_page_works_by_keyboard_on_a_projector_and_a_phone(tmp_path: Path) -> None:
    for number in range(1, 13):
        student(tmp_path / "w/students" / f"{number:02}", number % 5, name=f"Student {number}")
    helped = tmp_path / "w/students/05"
    member.wish(Workspace(helped), signal="help")
    with serve_board(tmp_path / "w", "--name", "Monday") as board:
        async with browser(tmp_path / "profile") as page:
            await page.open(board.link)
            await page.until("document.querySelectorAll('#rows tr').length === 12")
            assert "token" not in await page.value("location.href")
            assert "5 Student 5" in str(await page.value("document.querySelector('#rows tr').innerText"))
            await page.press("ArrowDown", "ArrowUp", "Enter")
            await page.until("document.querySelector('#detail h2')?.innerText === '5 Student 5'")
            await page.press("m", *"look up", "Enter")
            await page.until("!document.getElementById('ask').open")
            await page.press("o")
            await page.until("document.body.innerText.includes('Open: 1 of 4 steps')")
            news = member.news(Workspace(helped))
            assert news is not None and [one.text for one in news.messages] == ["look up"]
            assert news.open_in(LAB.id) == 1
            student(helped, 4, name="Student 5")
            member.wish(Workspace(helped), signal="")
            took = await page.until(
                "[...document.querySelectorAll('#rows tr')].some(r => r.innerText.includes('5 Student 5') && "
                "r.innerText.includes('finished'))"
            )
            assert took < 20
            for width, height, mobile in ((390, 844, True), (1920, 1080, False), (1024, 768, False)):
                await page.resize(width, height, mobile=mobile)
                await asyncio.sleep(0.3)
                assert await page.value("document.documentElement.scrollWidth <= window.innerWidth"), width
                await page.picture(tmp_path / f"board-{width}.png")
            assert page.complaints == []
            assert {
                url.partition("?")[0].rpartition("/")[0] for url in page.requests if url.startswith("http")
            } == {board.url}
            await page.press("s", "j")
            assert await page.value("document.getElementById('join').hidden")


@pytest.mark.matrix
@pytest.mark.timeout(240)
def test_a_hundred_students_need_little_processor_time(tmp_path: Path) -> None:
    for number in range(1, 101):
        student(tmp_path / "w/students" / f"{number:03}", number % 5, name=f"Student {number}")
    with serve_board(tmp_path / "w") as board:
        stat = Path(f"/proc/{board.child.pid}/stat")

        def used() -> float:
            fields = stat.read_text().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

        time.sleep(2)
        before, began = used(), time.monotonic()
        time.sleep(20)
        share = (used() - before) / (time.monotonic() - began)
        memory = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{board.child.pid}/status").read_text())
        assert memory is not None
        print(f"100 students: {share:.1%} of a processor, {int(memory[1]) // 1024} MiB")
        assert share < 0.10
        assert int(memory[1]) < 200 * 1024
