"""The board in a browser, live, and the server to which students on their own machines report.

The instructor needs the secret of the link; a student needs the code of the class, and then gets a token that is valid
only for the student's own reports. Neither is ever logged: there is no log.
"""

from __future__ import annotations

import asyncio
import json
import shlex
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from wizard import assets
from wizard.errors import FirescreenError, InputError, ProgramUnavailableError
from wizard.labs.board import class_news, class_table
from wizard.labs.board.members import TooManyError
from wizard.labs.board.progress import LARGEST_REPORT
from wizard.web_access import Listener, base_url, cookie_name, is_same_origin, known_secret, tls_context

if TYPE_CHECKING:
    from aiohttp import web

    from wizard.labs.board.board import Board

EVERY = 0.5
"""Seconds between two readings of the class."""
MOST_VIEWERS = 20
"""Maximum number of browsers that show one board."""
_PATHS = {"/board.css": ("board.css", "text/css"), "/board.js": ("board.js", "text/javascript")}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)

Handler = Callable[["web.Request"], Awaitable["web.StreamResponse"]]


class BoardServer:
    """Serves one board.

    Args:
        board: the class.
        how: address and certificate, which is needed if other machines can reach it.
        secret: of the instructor's link.
        fingerprint: of the certificate, which students compare; '' without one.
    """

    def __init__(self, board: Board, how: Listener, secret: str, fingerprint: str = "") -> None:
        self._board = board
        self._how = how
        self._secret = secret
        self._fingerprint = fingerprint
        self._url = ""
        self._seen: dict[str, Any] = {}
        self._version = 0
        self._viewers = 0

    async def run(self, say: Callable[[str], None], stop: asyncio.Event) -> None:
        """Serves until `stop`.

        Args:
            say: gets the instructor's link once it works.
            stop: ends serving.

        Raises:
            OSError: the address is in use.
        """
        from aiohttp import web

        runner = web.AppRunner(self.application(), access_log=None)
        await runner.setup()
        try:
            context = tls_context(self._how.cert, self._how.key)
            site = web.TCPSite(
                runner, self._how.listen, self._how.port, ssl_context=context, shutdown_timeout=2
            )
            await site.start()
            self._url = base_url(self._how, runner.addresses[0][1])
            await asyncio.to_thread(self._look)
            say(f"{self._url}/?token={self._secret}")
            while not stop.is_set():
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), EVERY)
                await asyncio.to_thread(self._look)
        finally:
            await asyncio.to_thread(self._board.close)
            await runner.cleanup()

    @property
    def url(self) -> str:
        """Returns the URL at which students join; '' before it is served."""
        return self._url

    def _look(self) -> None:
        """Reads the class again; browsers get a new version if something has changed."""
        board = self._board
        new = class_table.as_json(board.view(), numbers_only=board.numbers_only)
        pace = board.pace
        new |= {
            "class_name": board.name,
            "join": {"url": self._url, "code": board.members.code, "fingerprint": self._fingerprint},
            "pace": {"lab": pace.lab, "open_steps": pace.open_steps, "clock_until": pace.clock_until},
            "unreadable": list(board.unreadable),
        }
        if {**new, "at": 0} != {**self._seen, "at": 0}:
            self._version += 1
        self._seen = new

    # -- the application -----------------------------------------------------------------------------------

    def application(self) -> web.Application:
        """Returns the web application."""
        from aiohttp import web

        app = web.Application(client_max_size=LARGEST_REPORT + 1000)
        app.on_response_prepare.append(_with_headers)
        app.add_routes(
            [
                web.get("/", self._page),
                *(web.get(path, self._asset) for path in _PATHS),
                web.get("/board.json", self._instructor(self._document)),
                web.get("/events", self._instructor(self._events)),
                web.get("/class.csv", self._instructor(self._csv)),
                web.post("/message", self._instructor(_json_in(self._message))),
                web.post("/pace", self._instructor(_json_in(self._pace))),
                web.post("/clock", self._instructor(_json_in(self._clock))),
                web.post("/join", _json_in(self._join)),
                web.post("/report", self._report),
                web.post("/leave", self._leave),
            ]
        )
        return app

    def _instructor(self, handler: Handler) -> Handler:
        """Returns a handler that accepts only our own page in the browser with the instructor's cookie."""
        from aiohttp import web

        async def check_and_handle(request: web.Request) -> web.StreamResponse:
            given = request.cookies.get(cookie_name(request, "-board"), "")
            if not known_secret((self._secret,), given):
                raise web.HTTPForbidden(text="Open the whole link that firescreen lab board printed.\n")
            if not is_same_origin(request.headers.get("Origin"), request, self._how):
                raise web.HTTPForbidden(text="The request comes from another page.\n")
            return await handler(request)

        return check_and_handle

    async def _page(self, request: web.Request) -> web.StreamResponse:
        from aiohttp import web

        if "token" in request.query:
            if not known_secret((self._secret,), request.query["token"]):
                raise web.HTTPForbidden(text="Open the whole link that firescreen lab board printed.\n")
            # Redirects so that the secret leaves the address bar: the board is shown on a projector.
            answer = web.Response(status=303, headers={"Location": "./"})
            answer.set_cookie(
                cookie_name(request, "-board"),
                self._secret,
                httponly=True,
                samesite="Strict",
                secure=self._how.secure,
            )
            return answer
        return await self._instructor(self._html)(request)

    async def _html(self, _request: web.Request) -> web.StreamResponse:
        from aiohttp import web

        text = assets.path("board.html").read_text(encoding="utf-8")
        return web.Response(text=text, content_type="text/html")

    async def _asset(self, request: web.Request) -> web.StreamResponse:
        from aiohttp import web

        name, kind = _PATHS[request.path]
        return web.Response(text=assets.path(name).read_text(encoding="utf-8"), content_type=kind)

    async def _document(self, _request: web.Request) -> web.StreamResponse:
        from aiohttp import web

        return web.json_response({**self._seen, "at": time.time()})

    async def _csv(self, _request: web.Request) -> web.StreamResponse:
        from aiohttp import web

        view = await asyncio.to_thread(self._board.view)
        text = class_table.as_csv(view, numbers_only=self._board.numbers_only)
        headers = {"Content-Disposition": 'attachment; filename="class.csv"'}
        return web.Response(text=text, content_type="text/csv", headers=headers)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        """Pushes the board as server-sent events: now, and whenever something changes."""
        from aiohttp import web

        if self._viewers >= MOST_VIEWERS:
            raise web.HTTPServiceUnavailable(text="Too many browsers show this board. Close one.\n")
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        self._viewers += 1
        try:
            await answer.prepare(request)
            sent, quiet = -1, 0
            while request.transport is not None and not request.transport.is_closing():
                if sent != self._version:
                    sent, quiet = self._version, 0
                    text = json.dumps({**self._seen, "at": time.time()})
                    await answer.write(f"data: {text}\n\n".encode())
                elif (quiet := quiet + 1) % 10 == 0:
                    # An event, because the page cannot see comments: it shows that the board still answers.
                    await answer.write(b"event: alive\ndata:\n\n")
                await asyncio.sleep(EVERY)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._viewers -= 1
        return answer

    # -- what the instructor does --------------------------------------------------------------------------

    async def _message(self, data: Mapping[str, Any], _request: web.Request) -> dict[str, Any]:
        count = await asyncio.to_thread(self._board.send, str(data["text"]), str(data.get("to", "")))
        return {"sent": count}

    async def _pace(self, data: Mapping[str, Any], _request: web.Request) -> dict[str, Any]:
        await asyncio.to_thread(self._board.set_pace, str(data["lab"]), int(data["open_steps"]))
        await asyncio.to_thread(self._look)
        return {}

    async def _clock(self, data: Mapping[str, Any], _request: web.Request) -> dict[str, Any]:
        await asyncio.to_thread(self._board.set_clock, float(data["minutes"]))
        await asyncio.to_thread(self._look)
        return {}

    # -- what students do ----------------------------------------------------------------------------------

    async def _join(self, data: Mapping[str, Any], request: web.Request) -> dict[str, Any]:
        address = request.remote or ""
        token = await asyncio.to_thread(self._board.join, str(data["code"]), str(data["name"]), address)
        return {"token": token, "class_name": self._board.name}

    async def _report(self, request: web.Request) -> web.StreamResponse:
        content = await request.read()

        def work() -> dict[str, Any]:
            return class_news.to_json(self._board.report(_token(request), content))

        return await _respond(work)

    async def _leave(self, request: web.Request) -> web.StreamResponse:
        def work() -> dict[str, Any]:
            self._board.leave(_token(request))
            return {}

        return await _respond(work)


def _token(request: web.Request) -> str:
    return request.headers.get("Authorization", "").removeprefix("Bearer ")


def _json_in(
    handler: Callable[[Mapping[str, Any], web.Request], Awaitable[dict[str, Any]]],
) -> Handler:
    """Returns a handler of a JSON body; an invalid body is a bad request."""

    async def handle(request: web.Request) -> web.StreamResponse:
        from aiohttp import web

        try:
            data = await request.json()
            return web.json_response(await handler(data, request))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
            return web.json_response({"error": "the request cannot be understood"}, status=400)
        except FirescreenError as error:
            return _error_response(error)

    return handle


async def _respond(work: Callable[[], dict[str, Any]]) -> web.StreamResponse:
    from aiohttp import web

    try:
        return web.json_response(await asyncio.to_thread(work))
    except PermissionError:
        return web.json_response({"error": "this student is not known here"}, status=401)
    except FirescreenError as error:
        return _error_response(error)


def _error_response(error: FirescreenError) -> web.StreamResponse:
    from aiohttp import web

    status = 429 if isinstance(error, TooManyError) else 403 if isinstance(error, InputError) else 500
    return web.json_response({"error": error.what, "todo": error.todo}, status=status)


async def _with_headers(_request: web.Request, answer: web.StreamResponse) -> None:
    """Forbids fetching anything from elsewhere: a classroom may have no internet."""
    answer.headers["Content-Security-Policy"] = _POLICY
    answer.headers["Referrer-Policy"] = "no-referrer"
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers["Cache-Control"] = "no-store"


def serve(server: BoardServer, how: Listener, say: Callable[[str], None]) -> None:
    """Serves a board until Ctrl+C or SIGTERM.

    Raises:
        ProgramUnavailableError: aiohttp is missing. FirescreenError: the address is in use.
    """
    try:
        import aiohttp  # noqa: F401 - only whether it is there
    except ImportError as error:
        raise ProgramUnavailableError(
            "the board in a browser needs the package aiohttp",
            where=sys.executable,
            todo=f"Install it: {shlex.quote(sys.executable)} -m pip install aiohttp (or, where Firescreen itself came by pip: "
            "pip install 'firescreen[serve]')",
        ) from error

    async def run() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await server.run(say, stop)

    try:
        asyncio.run(run())
    except OSError as error:
        raise FirescreenError(
            f"{how.listen}:{how.port} cannot be listened on: {error.strerror}",
            todo="Choose another address and port with --listen",
        ) from error
