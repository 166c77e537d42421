"""A student's connection to a class on another machine: joins, reports the progress of labs, and gets the news.

The board is contacted by https only, unless it is on this machine. Its certificate is verified with a CA, or by its
fingerprint, which the student compares with the one on the board: it is checked before anything is sent.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import re
import ssl
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from wizard import ownfiles
from wizard.errors import FirescreenError, HostError, InputError, UnreachableError
from wizard.labs.board import class_news, member, progress
from wizard.labs.board.class_news import News
from wizard.labs.board.progress import Progress
from wizard.labs.board.student_folder import StudentFolder, own_progress
from wizard.labs.content import Lab
from wizard.redact import plain
from wizard.web_access import is_loopback
from wizard.workspace import Workspace

TIMEOUT = 5.0
"""Seconds for one request."""
ALIVE_EVERY = 5.0
"""Seconds after which a wizard reports again even if nothing has changed."""
_LARGEST = 200_000
_JOINED = "joined.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """The class that a workspace belongs to.

    Args:
        url: of the board, without a path.
        token: authorizes this student's reports.
        fingerprint: SHA-256 of the board's certificate, in hexadecimal; '' if `ca` is trusted instead.
        ca: file of CA certificates; '' for the system's.
    """

    url: str
    token: str = ""
    fingerprint: str = ""
    ca: str = ""


def joined_class(workspace: Workspace) -> Joined | None:
    """Returns the class; None if this workspace joined none."""
    try:
        data = json.loads((member.folder(workspace) / _JOINED).read_bytes())
        return Joined(**{name: str(data[name]) for name in ("url", "token", "fingerprint", "ca")})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def board_url(given: str) -> str:
    """Returns the URL of a board without its path.

    Raises:
        InputError: it is no URL, or others on the network could read what is sent.
    """
    text = given if "://" in given else f"https://{given}"
    parts = urlsplit(text.strip())
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not re.fullmatch(r"[A-Za-z0-9.:-]{1,255}", host):
        raise InputError(
            "this is not the URL of a board", where=plain(given, 100), todo="Read it on the board again"
        )
    if parts.scheme == "http" and not is_loopback(host):
        raise InputError(
            "without TLS, others on the network could read and change what is sent",
            where=plain(given, 100),
            todo="Use the https:// URL of the board",
        )
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise InputError("this is no port", where=plain(given, 100)) from error
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def presented_fingerprint(url: str) -> str:
    """Returns the SHA-256 of the certificate that a board presents, in hexadecimal; '' for http. Sends nothing.

    Raises:
        HostError: the board does not answer.
    """
    parts = urlsplit(url)
    if parts.scheme != "https":
        return ""
    connection = _connect(Joined(url=url), pinned=False)
    try:
        return _certificate_hash(connection)
    finally:
        connection.close()


def shown_fingerprint(fingerprint: str) -> str:
    """Returns a fingerprint as people compare it: the first 16 bytes in groups."""
    short = fingerprint[:32].upper()
    return " ".join(short[at : at + 4] for at in range(0, len(short), 4))


def is_fingerprint(shown: str, fingerprint: str) -> bool:
    """Returns whether the typed or copied text is at least the shown part of a fingerprint."""
    given = re.sub(r"[^0-9a-f]", "", shown.lower().removeprefix("sha256:"))
    return len(given) >= 32 and hmac.compare_digest(fingerprint[: len(given)].encode(), given.encode())


def join(workspace: Workspace, to: Joined, code: str, name: str) -> Joined:
    """Joins a class, and remembers it.

    Raises:
        InputError: the code is wrong. HostError: the board is unreachable.
    """
    workspace.ensure()
    answer = _ask(to, "/join", {"code": code, "name": name})
    done = Joined(url=to.url, token=str(answer.get("token", "")), fingerprint=to.fingerprint, ca=to.ca)
    member.wish(workspace, name=name, shown=True, signal="")
    member.keep_news(workspace, News(class_name=plain(str(answer.get("class_name", ""))[:80], 80)))
    try:
        ownfiles.replace(member.folder(workspace) / _JOINED, json.dumps(asdict(done)))
    except OSError as error:
        raise FirescreenError(
            f"the class cannot be saved: {error.strerror}",
            where=str(member.folder(workspace)),
            todo="Free some space, or choose another folder with --workspace",
        ) from error
    return done


def report(workspace: Workspace, to: Joined, current: Progress) -> News:
    """Sends the progress, and returns the instructor's news, which are stored for the wizard.

    Raises:
        InputError: the board no longer knows this student. HostError: it is unreachable.
    """
    news = class_news.parse(json.dumps(_ask(to, "/report", progress.to_json(current))).encode())
    if news != member.news(workspace):
        member.keep_news(workspace, news)
    return news


def report_now(workspace: Workspace, labs: Sequence[Lab]) -> News | None:
    """Reports once to a joined class; None without a class, or if the board is unreachable."""
    to = joined_class(workspace)
    if to is None:
        return None
    try:
        return report(workspace, to, own_progress(workspace.root, labs))
    except (OSError, FirescreenError):
        return None


class LiveReporter:
    """Reports while a wizard is open: changes immediately, and every few seconds that it is open.

    Args:
        workspace: the student's.
        labs: all labs.
    """

    def __init__(self, workspace: Workspace, labs: Sequence[Lab]) -> None:
        self._workspace = workspace
        self._folder = StudentFolder(workspace.root, labs)
        self._sent: Progress | None = None
        self._sent_at = 0.0
        self.error = ""
        """Why the board was unreachable the last time; '' if it was reachable."""

    def tick(self) -> None:
        """Sends what is due; to be called every second."""
        to = joined_class(self._workspace)
        now = time.monotonic()
        if to is None:
            self._sent, self.error = None, ""
            return
        try:
            current = replace(self._folder.read().progress, live=True)
            if current != self._sent or now - self._sent_at >= ALIVE_EVERY:
                report(self._workspace, to, current)
                self._sent, self._sent_at, self.error = current, now, ""
        except OSError as error:
            self.error = str(error.strerror or error)
        except FirescreenError as error:
            self.error = error.what


def leave(workspace: Workspace) -> None:
    """Leaves the class: nothing is sent any more. The board is notified if it is reachable."""
    to = joined_class(workspace)
    if to is None:
        return
    with suppress(FirescreenError):
        _ask(to, "/leave", {})
    for name in (_JOINED, member.NEWS):
        with suppress(OSError):
            (member.folder(workspace) / name).unlink(missing_ok=True)


# -- https -------------------------------------------------------------------------------------------------


def _ask(to: Joined, path: str, data: dict[str, Any]) -> dict[str, Any]:
    connection = _connect(to)
    try:
        headers = {"Content-Type": "application/json"}
        if to.token:
            headers["Authorization"] = f"Bearer {to.token}"
        connection.request("POST", path, json.dumps(data), headers)
        answer = connection.getresponse()
        content = json.loads(answer.read(_LARGEST))
        if not isinstance(content, dict):
            raise ValueError
    except (OSError, http.client.HTTPException, ValueError, RecursionError) as error:
        raise HostError(
            "the board does not answer as one does", where=to.url, todo="Ask the instructor for its URL"
        ) from error
    finally:
        connection.close()
    if answer.status != 200:
        what = plain(str(content.get("error", f"HTTP {answer.status}"))[:200], 200)
        todo = plain(str(content.get("todo", ""))[:200], 200)
        raise InputError(what, where=to.url, todo=todo or "Join again: firescreen lab join URL")
    return content


def _connect(to: Joined, *, pinned: bool = True) -> http.client.HTTPConnection:
    """Opens a connection to the board and checks its certificate.

    Raises:
        HostError: the board is unreachable, or is not the one that was joined.
    """
    parts = urlsplit(to.url)
    host, port = parts.hostname or "", parts.port or 443
    connection: http.client.HTTPConnection
    if parts.scheme == "http":
        connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT)
    else:
        context = ssl.create_default_context(cafile=to.ca or None)
        if to.fingerprint or not pinned:
            context.check_hostname, context.verify_mode = (
                False,
                ssl.CERT_NONE,
            )  # the fingerprint is checked below
        connection = http.client.HTTPSConnection(host, port, timeout=TIMEOUT, context=context)
    try:
        connection.connect()
    except (OSError, ValueError) as error:
        if getattr(error, "reason", "") in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"):
            raise UnreachableError(
                "this server does not speak https",
                where=to.url,
                todo="Read the URL on the board again: a board for its own machine alone begins with http://",
            ) from error
        reason = getattr(error, "verify_message", "") or getattr(error, "strerror", "") or str(error)
        raise UnreachableError(
            f"the board cannot be reached: {plain(str(reason), 200)}",
            where=to.url,
            todo="Check the URL and the network; the labs go on without it",
        ) from error
    if pinned and to.fingerprint and not hmac.compare_digest(_certificate_hash(connection), to.fingerprint):
        connection.close()
        raise HostError(
            "this is not the board that was joined: its certificate is another one",
            where=to.url,
            todo="Ask the instructor, and join again: firescreen lab join URL",
        )
    return connection


def _certificate_hash(connection: http.client.HTTPConnection) -> str:
    assert isinstance(connection.sock, ssl.SSLSocket)
    return hashlib.sha256(connection.sock.getpeercert(binary_form=True) or b"").hexdigest()


def certificate_fingerprint(path: Path) -> str:
    """Returns the SHA-256 of the first certificate in a PEM file, in hexadecimal.

    Raises:
        InputError: there is none.
    """
    try:
        text = path.read_text(encoding="ascii", errors="replace")
        begin = text.index("-----BEGIN CERTIFICATE-----")
        end = text.index("-----END CERTIFICATE-----", begin) + len("-----END CERTIFICATE-----")
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(text[begin:end])).hexdigest()
    except (OSError, ValueError) as error:
        raise InputError("there is no certificate in this file", where=str(path)) from error
