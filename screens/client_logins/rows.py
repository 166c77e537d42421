"""Table lines for the places where Prometheus is a client, and the question that a plan's error is about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.content import Content

from screens.state_styles import fit, inline, place

if TYPE_CHECKING:
    from screens.state import ErrorMessage
    from wizard.model import ClientLogin, Stack
    from wizard.planner.client_login_questions import LoginCandidate

NEXT = 12
READABLE = 17
"""From this width (cells) on, a server is shown: an IPv4 address with its port fits completely."""
WAYS = {"oauth2": "OAuth2", "authorization": "bearer token"}


def columns(rows: Sequence[LoginCandidate], room: int) -> tuple[int, int, int, int]:
    """Returns the widths of host (0 with one host), place, server (0 if there is no room) and present login."""
    several = len({row.host for row in rows}) > 1
    host = min(max(len(place(row.host)) for row in rows), 14) + 2 if several else 0
    today = max(len("today"), *(len(_today(row)) for row in rows)) + 2
    room_left = max(room - host - today - NEXT, 12)
    how = min(max(len(inline(row.how)) for row in rows) + 2, room_left)
    server = max(len("server"), *(len(_server(row)) for row in rows)) + 2
    server = server if server <= room_left - how else room_left - how if room_left - how >= READABLE else 0
    return (host, how, server, today)


def head(cells: tuple[int, int, int, int]) -> str:
    """Returns the column headings."""
    return f"{_cells(cells, 'host', 'place', 'server', 'today')}planned"


def line(row: LoginCandidate, login: ClientLogin | None, cells: tuple[int, int, int, int]) -> Content:
    """Returns the line of one place: its present login and the chosen login."""
    planned = ("keep as is", "$quiet") if login is None else (WAYS[login.setting], "bold $primary")
    return Content.assemble(_cells(cells, place(row.host), row.how, _server(row), _today(row)), planned)


def title(row: LoginCandidate) -> str:
    """Returns the title of the selected place with its first server, for which the table may have no room."""
    more = f" and {len(row.addresses) - 1} more" if len(row.addresses) > 1 else ""
    first = f": {inline(row.addresses[0], 60)}{more}" if row.addresses else ""
    return f"Login at {inline(row.how, 40)}{first}"


def _cells(cells: tuple[int, int, int, int], *texts: str) -> str:
    return "".join(f"{fit(text, width - 2)}  " for width, text in zip(cells, texts, strict=True) if width)


def _server(row: LoginCandidate) -> str:
    many = len(row.addresses)
    return row.addresses[0] if many == 1 else f"{many} servers" if many else "discovered"


def _today(row: LoginCandidate) -> str:
    from wizard.planner.client_login_questions import NOW

    return NOW.get(row.now, row.now)


def question_of_error(
    error: ErrorMessage, candidates: Sequence[LoginCandidate], stack: Stack | None
) -> tuple[LoginCandidate, str] | None:
    """Returns the place and question that an error of the plan is about, by the path in the error, or None."""
    from wizard.model import OAuth2

    if stack is None:
        return None
    for candidate in candidates:
        login = candidate.login(stack)
        if login is None:
            continue
        if error.where == f"{login.host}:{login.secret_file}":
            return candidate, "secret_file"
        ca_file = login.way.ca_file if isinstance(login.way, OAuth2) else ""
        if ca_file and error.where == f"{login.host}:{ca_file}":
            return candidate, "ca_file"
    return None
