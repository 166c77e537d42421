"""A headless Chromium, controlled by its DevTools protocol."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import os
import re
import shutil
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

PATIENCE = 60.0
KEYS = {"Enter": 13, "Escape": 27, "ArrowDown": 40, "ArrowUp": 38, "Tab": 9}


def program() -> str:
    """Returns the path of Chromium; fails the test on a machine without it."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert found, "Chromium is missing. Debian, Ubuntu: apt install chromium"
    return found


class Page:
    """An open page."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self.requests: list[str] = []
        """The URLs of everything that the page has asked for."""
        self.complaints: list[str] = []
        """What the page's scripts complained of."""

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Calls a method of the protocol and returns its result."""
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            message = json.loads((await asyncio.wait_for(self._socket.receive(), PATIENCE)).data)
            if message.get("id") == number:
                assert "error" not in message, message
                return dict(message["result"])
            self._hear(message)

    def _hear(self, message: dict[str, Any]) -> None:
        if message.get("method") == "Network.requestWillBeSent":
            self.requests.append(message["params"]["request"]["url"])
        elif message.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
            self.complaints.append(json.dumps(message["params"]))

    async def open(self, url: str, *, width: int = 1280, height: int = 800, mobile: bool = False) -> None:
        """Opens a URL in a window of this size, in pixels."""
        for domain in ("Page", "Runtime", "Network", "Log"):
            await self.call(f"{domain}.enable")
        await self.resize(width, height, mobile=mobile)
        await self.call("Page.navigate", url=url)

    async def resize(self, width: int, height: int, *, mobile: bool = False) -> None:
        """Resizes the window."""
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=mobile,
        )

    async def value(self, expression: str) -> Any:
        """Returns the value of a JavaScript expression in the page."""
        found = await self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    async def text(self) -> str:
        """Returns the visible text."""
        return str(await self.value("document.body ? document.body.innerText : ''"))

    async def until(self, expression: str, seconds: float = PATIENCE) -> float:
        """Waits until an expression is true, or a promise resolves to true; returns the seconds that it took."""
        began = time.monotonic()
        while not await self._is_so(expression):
            assert time.monotonic() - began < seconds, f"{expression} never came:\n{await self.text()}"
            await asyncio.sleep(0.05)
        return time.monotonic() - began

    async def _is_so(self, expression: str) -> bool:
        try:
            return bool(await self.value(f"Promise.resolve(({expression})).then(Boolean)"))
        except AssertionError as error:
            # The page is being replaced by another at this moment.
            if not re.search(r"context|navigated", str(error)):
                raise
            return False

    async def press(self, *keys: str) -> None:
        """Presses keys, or types characters."""
        for key in keys:
            more: dict[str, Any] = {"key": key, "windowsVirtualKeyCode": KEYS.get(key, ord(key[0].upper()))}
            if len(key) == 1:
                more["text"] = key
            elif key == "Enter":
                more["text"] = "\r"
            await self.call("Input.dispatchKeyEvent", type="keyDown", **more)
            await self.call("Input.dispatchKeyEvent", type="keyUp", **more)

    async def picture(self, path: Path) -> None:
        """Saves the content of the window as PNG."""
        found = await self.call("Page.captureScreenshot", format="png")
        await asyncio.to_thread(path.write_bytes, base64.b64decode(found["data"]))


@asynccontextmanager
async def browser(folder: Path, *more: str) -> AsyncIterator[Page]:
    """Starts a browser with an empty profile in `folder` and yields its page; the browser ends with the block.

    Args:
        folder: for the profile.
        more: options of Chromium.
    """
    options = [
        "--headless=new",
        "--remote-debugging-port=0",
        f"--user-data-dir={folder}",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--ignore-certificate-errors",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        *more,
    ]
    if os.geteuid() == 0:
        options.append("--no-sandbox")
    child = await asyncio.create_subprocess_exec(
        *[program(), *options, "about:blank"],
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        port = await _port(folder / "DevToolsActivePort", child)
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                pages = [each for each in await answer.json() if each["type"] == "page"]
            address = re.sub(r"//[^/]+/", f"//127.0.0.1:{port}/", pages[0]["webSocketDebuggerUrl"])
            async with session.ws_connect(address, max_msg_size=0) as socket:
                yield Page(socket)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        await asyncio.wait_for(child.wait(), PATIENCE)


async def _port(file: Path, child: asyncio.subprocess.Process) -> int:
    began = time.monotonic()
    while True:
        with suppress(OSError, ValueError, IndexError):
            return int((await asyncio.to_thread(file.read_text, "utf-8")).splitlines()[0])
        assert child.returncode is None, "Chromium ended"
        assert time.monotonic() - began < PATIENCE, "Chromium did not start"
        await asyncio.sleep(0.05)
