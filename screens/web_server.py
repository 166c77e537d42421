"""The wizard in a browser, for classrooms without terminals: textual-serve behind our own access control.

A visitor works as the user who started the wizard. So access needs the secret of a link, also on loopback, where every
web page of the same browser and every user of the machine can connect; and other machines need TLS.
"""

from __future__ import annotations

import asyncio
import html
import re
import secrets
import shlex
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from wizard import assets
from wizard.errors import FirescreenError, InputError, ProgramUnavailableError
from wizard.web_access import (
    Listener,
    base_url,
    check_options,
    cookie_name,
    is_same_origin,
    known_secret,
    tls_context,
)
from wizard.workspace import Workspace

if TYPE_CHECKING:
    from aiohttp import web

MOST_WINDOWS = 4
"""Maximum number of open wizards per link: each is a process."""
_ANSWER = "Open the whole link that firescreen serve printed.\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving(Listener):
    """The options for serving the wizard.

    Args:
        workspaces: one for each link.
        stack: a stack file, 'practice', or ''.
    """

    workspaces: tuple[Workspace, ...]
    stack: str = ""


def serve(how: Serving, say: Callable[[str], None]) -> int:
    """Serves the wizard until Ctrl+C; returns the exit code.

    Args:
        how: the options.
        say: gets each link once, when the links work.

    Raises:
        InputError: the options would expose the wizard. ProgramUnavailableError: textual-serve is missing. FirescreenError: the
            address is in use.
    """
    check(how)
    try:
        import textual_serve  # noqa: F401 - only whether it is there
        from aiohttp import web
    except ImportError as error:
        raise ProgramUnavailableError(
            "the wizard in a browser needs the package textual-serve",
            where=sys.executable,
            todo=f"Install it: {shlex.quote(sys.executable)} -m pip install 'textual-serve>=1.1.3,<2' (or, where "
            "Firescreen itself came by pip: pip install 'firescreen[serve]')",
        ) from error
    tls = tls_context(how.cert, how.key)
    links = {secrets.token_urlsafe(18): workspace for workspace in how.workspaces}
    for workspace in how.workspaces:
        workspace.ensure()

    async def run() -> None:
        runner = web.AppRunner(_app(how, links), access_log=None)
        await runner.setup()
        try:
            site = web.TCPSite(runner, how.listen, how.port, ssl_context=tls, shutdown_timeout=2)
            await site.start()
            port = runner.addresses[0][1]
            for number, secret in enumerate(links, start=1):
                name = f"student {number}: " if len(links) > 1 else ""
                say(f"{name}{base_url(how, port)}/?token={secret}")
            await _wait_for_signal()
        finally:
            await runner.cleanup()

    try:
        asyncio.run(run())
    except OSError as error:
        raise FirescreenError(
            f"{how.listen}:{how.port} cannot be listened on: {error.strerror}",
            todo="Choose another port with --port, or another address with --listen",
        ) from error
    return 0


async def _wait_for_signal() -> None:
    """Waits for Ctrl+C or SIGTERM, so that the open wizards end properly."""
    signalled = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, signalled.set)
    await signalled.wait()


def check(how: Serving) -> None:
    """Rejects options that would expose the wizard, and every password typed into it, to others.

    Raises:
        InputError: says what to do instead.
    """
    check_options(how)
    if not how.secure and not how.is_local:
        raise InputError(
            "without TLS, others on the network can read the link and use this wizard, which works on your hosts as your "
            "user",
            where=how.url or how.listen,
            todo="Give it a certificate (--cert F --key F; firescreen cert issue creates one). Or listen on loopback only, "
            "behind a reverse proxy with https (--url https://…) or a tunnel: "
            f"ssh -L {how.port}:127.0.0.1:{how.port} YOU@THIS-MACHINE",
        )


def command(workspace: Workspace, stack: str) -> str:
    """Returns the command that opens one wizard; textual-serve runs it in a shell, which `exec` replaces."""
    words = [sys.executable, "-m", "screens", "--workspace", str(workspace.root)]
    return f"exec {shlex.join([*words, *([stack] if stack else [])])}"


def _app(how: Serving, links: Mapping[str, Workspace]) -> web.Application:
    """Returns the web application: access control, and a textual-serve for each link."""
    from aiohttp import web
    from textual_serve.server import Server

    servers = {
        secret: Server(command(workspace, how.stack), title="Firescreen")
        for secret, workspace in links.items()
    }
    first = next(iter(servers.values()))
    template = assets.path("browser.html").read_text(encoding="utf-8")
    open_windows = dict.fromkeys(links, 0)
    prefix = urlsplit(how.url).path.rstrip("/")

    def link_of(request: web.Request) -> str:
        secret = known_secret(links, request.cookies.get(cookie_name(request), ""))
        if not secret:
            raise web.HTTPForbidden(text=_ANSWER)
        return secret

    async def index(request: web.Request) -> web.StreamResponse:
        if "token" in request.query:
            secret = known_secret(links, request.query["token"])
            if not secret:
                raise web.HTTPForbidden(text=_ANSWER)
            # Redirects so that the secret leaves the address bar: nobody looking on, and no browser history, should get
            # it.
            answer = web.Response(status=303, headers={"Location": f"{prefix}/"})
            name, path = cookie_name(request), f"{prefix}/"
            answer.set_cookie(name, secret, httponly=True, samesite="Lax", secure=how.secure, path=path)
            return answer
        link_of(request)
        return web.Response(text=_render_page(template, request, how, prefix), content_type="text/html")

    async def socket(request: web.Request) -> web.StreamResponse:
        secret = link_of(request)
        if not is_same_origin(request.headers.get("Origin"), request, how):
            raise web.HTTPForbidden(text="The request comes from another page.\n")
        if open_windows[secret] >= MOST_WINDOWS:
            raise web.HTTPServiceUnavailable(text="Too many windows are open with this link. Close one.\n")
        open_windows[secret] += 1
        try:
            return await servers[secret].handle_websocket(request)
        finally:
            open_windows[secret] -= 1

    async def download(request: web.Request) -> web.StreamResponse:
        return await servers[link_of(request)].handle_download(request)

    app = web.Application()
    app.on_response_prepare.append(_with_headers(how))
    app.add_routes(
        [
            web.get("/", index),
            web.get("/ws", socket),
            web.get("/download/{key}", download),
            web.static("/static", Path(first.statics_path)),
        ]
    )
    return app


def _with_headers(how: Serving) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """Forbids fetching anything from elsewhere: a classroom may be offline, and the page needs nothing."""
    policy = (
        "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; font-src 'self' data:; connect-src 'self' {socket}; frame-ancestors 'none'; "
        "base-uri 'none'; form-action 'none'"
    )

    async def prepare(request: web.Request, answer: web.StreamResponse) -> None:
        answer.headers["Content-Security-Policy"] = policy.format(socket=_socket(request, how, ""))
        answer.headers["Referrer-Policy"] = "no-referrer"
        answer.headers["X-Content-Type-Options"] = "nosniff"
        if not request.path.startswith("/static/"):
            answer.headers["Cache-Control"] = "no-store"

    return prepare


def _host(request: web.Request) -> str:
    """Returns the host and port that the browser requested, if they are valid."""
    return request.host if re.fullmatch(r"[A-Za-z0-9.:\[\]-]{1,255}", request.host) else "localhost"


def _socket(request: web.Request, how: Serving, path: str) -> str:
    if how.url:
        return f"ws{urlsplit(how.url).scheme.removeprefix('http')}://{urlsplit(how.url).netloc}{path}"
    return f"ws{'s' if how.cert else ''}://{_host(request)}{path}"


def _render_page(template: str, request: web.Request, how: Serving, prefix: str) -> str:
    """Returns the page: textual-serve's terminal and fonts, in our colours, with the focus on the terminal."""
    from screens import themes

    size = request.query.get("fontsize", "16")
    values = {
        "prefix": prefix,
        "static": f"{prefix}/static/",
        "socket": _socket(request, how, f"{prefix}/ws"),
        "font_size": size if re.fullmatch(r"[1-9][0-9]", size) else "16",
        "most": str(MOST_WINDOWS),
        "background": themes.DARK.background or "",
        "foreground": themes.DARK.foreground or "",
        "primary": themes.DARK.primary,
    }
    return Template(template).substitute({name: html.escape(value) for name, value in values.items()})
