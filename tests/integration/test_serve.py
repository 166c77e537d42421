"""The wizard in a browser: served for real, its page fetched, its socket opened, and access without the link
rejected.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from screens.web_server import Serving, check
from tests.processes import run_program
from wizard.certificates import issue
from wizard.errors import InputError
from wizard.workspace import Workspace


@contextmanager
def serve_wizard(
    folder: Path, *options: str | Path
) -> Iterator[tuple[list[str], list[str], subprocess.Popen[str]]]:
    """Runs `firescreen serve` until the end of the block; yields its links, its output until then, and the process."""
    count = int(str(options[options.index("--students") + 1])) if "--students" in options else 1
    words = ["-m", "screens", "--workspace", folder / "w", "serve", "--port", "0", *options]
    child = subprocess.Popen(
        [sys.executable, *map(str, words)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "NO_COLOR": "1"},
    )
    assert child.stdout is not None
    links: list[str] = []
    printed: list[str] = []
    try:
        with child.stdout:
            for line in child.stdout:
                printed.append(line.strip())
                links += re.findall(r"https?://\S+\?token=\S+", line)
                if len(links) == count:
                    break
            assert links, printed
            yield links, printed, child
    finally:
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
            assert child.wait(30) == 0


def session(**options: object) -> aiohttp.ClientSession:
    """Returns a browser session with its own cookies, also for IP addresses."""
    return aiohttp.ClientSession(
        cookie_jar=aiohttp.CookieJar(unsafe=True),
        timeout=aiohttp.ClientTimeout(30),
        **options,  # type: ignore[arg-type]
    )


def socket_of(page: str) -> str:
    found = re.search(r'data-session-websocket-url="([^"]+)"', page)
    assert found
    return found.group(1)


async def first_frame(browser: aiohttp.ClientSession, page: str, origin: str) -> str:
    """Returns the drawn text once the wizard's menu is in it."""
    url = f"{socket_of(page)}?width=100&height=30"
    seen = ""
    async with browser.ws_connect(url, headers={"Origin": origin}, max_msg_size=0) as socket:
        while "Follow a lab" not in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen):
            message = await asyncio.wait_for(socket.receive(), 60)
            assert message.type is aiohttp.WSMsgType.BINARY, message
            seen += message.data.decode("utf-8", "replace")
    return seen


@pytest.mark.timeout(120)
async def test_only_a_browser_with_the_link_sees_the_wizard(tmp_path: Path) -> None:
    with serve_wizard(tmp_path) as (links, printed, _):
        assert any("uses this wizard as you" in line for line in printed)
        link, base = links[0], links[0].partition("/?")[0]
        assert urlsplit(link).hostname == "127.0.0.1"
        secret = link.partition("token=")[2]
        async with session() as browser:
            async with browser.get(link) as answer:
                page = await answer.text()
                assert answer.status == 200 and "token" not in str(answer.url)
                policy = answer.headers["Content-Security-Policy"]
            # A classroom may have no internet: all files of the page come from this server.
            assert re.findall(r'\w+://[^"]*', page) == [socket_of(page)] and secret not in page
            assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
            parts = re.findall(r'(?:src="|href="|url\(")(/static/[^"]+)"', page)
            assert sum(name.endswith(".ttf") for name in parts) == 2
            for name in parts:
                async with browser.get(base + name) as answer:
                    assert answer.status == 200, name
            await first_frame(browser, page, base)
            for origin in ("http://evil.example", "null", "http://127.0.0.1:1"):
                with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                    await browser.ws_connect(socket_of(page), headers={"Origin": origin})
                assert caught.value.status == 403
        async with session() as stranger:
            for path in ("/", "/?token=", "/?token=x", f"/?token={secret[:-1]}", "/ws", "/download/x"):
                async with stranger.get(base + path, headers={"Cookie": "firescreen-1=x"}) as answer:
                    assert answer.status == 403, path
                    assert answer.headers["Cache-Control"] == "no-store"
                    assert secret not in await answer.text()
            for path in ("/static/../server.py", "/static/%2e%2e/server.py", "/static/"):
                async with stranger.get(base + path) as answer:
                    assert answer.status in (403, 404)


@pytest.mark.timeout(120)
async def test_each_student_has_a_link_and_with_tls_plain_http_is_rejected(tmp_path: Path) -> None:
    key = issue.new_key("ec-p256")
    (tmp_path / "key").write_bytes(key)
    (tmp_path / "crt").write_bytes(
        issue.self_signed(key_pem=key, names=("127.0.0.1", "localhost"), days=1, common_name="localhost")
    )
    tls = ("--cert", tmp_path / "crt", "--key", tmp_path / "key")
    with serve_wizard(tmp_path, "--students", "2", *tls) as (links, printed, _):
        assert any("students act as your user" in line for line in printed)
        trust = ssl.create_default_context(cafile=str(tmp_path / "crt"))
        port = urlsplit(links[0]).port
        secrets = [link.partition("token=")[2] for link in links]
        assert len(set(secrets)) == 2 and all(link.startswith("https://") for link in links)
        async with session(connector=aiohttp.TCPConnector(ssl=trust)) as browser:
            async with browser.get(f"https://127.0.0.1:{port}/?token={secrets[1]}") as answer:
                page = await answer.text()
                assert answer.status == 200
                cookies = answer.history[0].headers["Set-Cookie"]
            assert "Secure" in cookies and "HttpOnly" in cookies and "SameSite=Lax" in cookies
            assert socket_of(page).startswith("wss://127.0.0.1:")
            with pytest.raises(aiohttp.ClientError):
                await browser.get(f"http://127.0.0.1:{port}/")
        assert (tmp_path / "w" / "students" / "02").is_dir()


@pytest.mark.timeout(120)
async def test_a_wizard_ends_with_its_window_and_with_a_server_that_was_killed(tmp_path: Path) -> None:
    with serve_wizard(tmp_path) as (links, _, server):
        base = links[0].partition("/?")[0]
        async with session() as browser:
            async with browser.get(links[0]) as answer:
                page = await answer.text()
            await first_frame(browser, page, base)
            await asyncio.to_thread(wait_until_false, lambda: bool(child_processes(server.pid)))
            socket = await browser.ws_connect(socket_of(page), headers={"Origin": base}, max_msg_size=0)
            assert (await socket.receive(60)).type is aiohttp.WSMsgType.BINARY
            wizards = child_processes(server.pid)
            assert len(wizards) == 1
            server.kill()
            server.wait()
            await asyncio.to_thread(
                wait_until_false, lambda: any(Path(f"/proc/{pid}").exists() for pid in wizards)
            )


def child_processes(pid: int) -> list[int]:
    """Returns the running processes that a process has started."""
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def wait_until_false(there: Callable[[], bool]) -> None:
    """Waits until a condition is false."""
    deadline = time.monotonic() + 30
    while there():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def output(**options: str) -> Serving:
    return Serving(workspaces=(Workspace(Path("/nowhere")),), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("listen", ["0.0.0.0", "::", "192.0.2.1", "srv1.example.org", ""])
def test_it_is_not_served_to_other_machines_without_tls(listen: str) -> None:
    with pytest.raises(InputError) as caught:
        check(output(listen=listen))
    assert "works on your hosts as you" in caught.value.what
    assert all(word in caught.value.todo for word in ("--cert", "reverse proxy", "ssh -L"))
    with pytest.raises(InputError):
        check(output(listen=listen, url="http://labs.example.org"))
    with pytest.raises(InputError):
        check(output(url="http://labs.example.org"))
    check(output(url="http://localhost:8080"))
    check(output(listen=listen, url="https://labs.example.org/fire"))
    check(output(listen=listen, cert="a", key="b"))


def test_the_refusal_explains_the_risk(tmp_path: Path) -> None:
    words = ["-m", "screens", "--workspace", str(tmp_path / "w"), "serve", "--listen", "0.0.0.0"]
    done = run_program([sys.executable, *words])
    assert done.returncode == 2 and done.stdout == ""
    assert "every machine that reaches this address can connect" in done.stderr
    assert "reverse proxy" in done.stderr and not (tmp_path / "w").exists()


def test_contradicting_options_are_an_error() -> None:
    for options in ({"cert": "a"}, {"key": "b"}, {"url": "labs"}, {"url": 'https://x/"><script>'}):
        with pytest.raises(InputError) as caught:
            check(output(**options))
        assert caught.value.todo
    for listen in ("127.0.0.1", "::1", "localhost", "127.0.113.7"):
        check(output(listen=listen))


def test_without_the_extra_it_says_how_to_get_it(tmp_path: Path) -> None:
    (tmp_path / "textual_serve.py").write_text("raise ImportError('not here')")
    done = run_program(
        [sys.executable, "-m", "screens", "--workspace", str(tmp_path / "w"), "serve"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert done.returncode == 1
    assert f"{sys.executable} -m pip install 'textual-serve" in done.stderr
    assert "Traceback" not in done.stderr and not (tmp_path / "w").exists()
