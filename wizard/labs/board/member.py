"""A student's class data in the workspace: name, signal, whether the board may show the progress, and the news.

Everything is in `labs/class`, where a board on the same machine finds it, and for another machine the reporter of `lab
join`.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import get_args

from wizard import ownfiles
from wizard.errors import FirescreenError, InputError
from wizard.labs.board import class_news
from wizard.labs.board.class_news import News
from wizard.labs.board.progress import LONGEST_NAME, Signal
from wizard.redact import plain
from wizard.workspace import Workspace

FOLDER = "class"
NEWS = "news.json"
WISHES = "wishes.json"
PRESENT = "present"
WATCHED = 20.0
"""Seconds after which a board that has not read the progress counts as closed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """The student's own settings."""

    name: str = ""
    shown: bool = True
    """Whether the board may show this student's progress."""
    signal: Signal = ""
    signal_at: float = 0.0


def folder(workspace: Workspace) -> Path:
    """Returns the folder of the class."""
    return workspace.labs / FOLDER


def parse_wishes(content: bytes) -> Wishes:
    """Reads the settings of a file; the defaults if it cannot be read."""
    try:
        data = json.loads(content)
        signal: Signal = next((one for one in get_args(Signal) if one == data["signal"]), "")
        return Wishes(
            name=clean_name(str(data["name"])),
            shown=bool(data["shown"]),
            signal=signal,
            signal_at=float(data["signal_at"]),
        )
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
        return Wishes()


def wishes(workspace: Workspace) -> Wishes:
    """Returns the student's settings; the defaults if there are none."""
    try:
        return parse_wishes((folder(workspace) / WISHES).read_bytes())
    except OSError:
        return Wishes()


def wish(workspace: Workspace, **changes: object) -> Wishes:
    """Stores a setting: name, shown or signal.

    Raises:
        FirescreenError: it cannot be stored.
    """
    new = replace(wishes(workspace), **changes)  # type: ignore[arg-type]
    if "signal" in changes:
        new = replace(new, signal_at=time.time())
    _write(workspace, WISHES, json.dumps(asdict(new)).encode())
    return new


def news(workspace: Workspace) -> News | None:
    """Returns the instructor's news; None if there is no class."""
    try:
        return class_news.parse((folder(workspace) / NEWS).read_bytes())
    except (OSError, InputError):
        return None


def keep_news(workspace: Workspace, received: News) -> None:
    """Stores the news of a board on another machine.

    Raises:
        FirescreenError: they cannot be stored.
    """
    _write(workspace, NEWS, json.dumps(class_news.to_json(received)).encode())


def is_watched(news_received: News | None) -> bool:
    """Returns whether a board shows this student's progress at present."""
    return news_received is not None and time.time() - news_received.read_at < WATCHED


def note_presence(workspace: Workspace) -> None:
    """Records that the student's wizard is open."""
    with suppress(OSError):
        (folder(workspace) / PRESENT).touch(mode=0o600)


def clean_name(name: str) -> str:
    """Returns a name as the board shows it."""
    return plain(" ".join(name.split())[:LONGEST_NAME], LONGEST_NAME)


def _write(workspace: Workspace, name: str, content: bytes) -> None:
    place = folder(workspace)
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        ownfiles.replace(place / name, content)
    except OSError as error:
        raise FirescreenError(
            f"this cannot be saved for the class: {error.strerror}",
            where=str(place / name),
            todo="Free some space, or choose another folder with --workspace",
        ) from error
