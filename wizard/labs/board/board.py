"""A class for its instructor's board: reads the students' progress, and sends them news.

The instructor's decisions (the open steps, the clock) are kept in the board's folder, so that a screen and a browser
show the same, and a restarted board continues.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from wizard import ownfiles
from wizard.errors import FirescreenError, InputError
from wizard.labs.board import class_news
from wizard.labs.board.class_news import Message, News
from wizard.labs.board.class_view import ClassView, Student, view
from wizard.labs.board.members import Members
from wizard.labs.board.progress import Progress
from wizard.labs.board.student_folder import StudentFolder, is_workspace
from wizard.labs.content import Lab

TELL_EVERY = 8.0
"""Seconds after which each student's wizard is notified again that the board is open."""
MOST_FOLDERS = 300
LONGEST_CLOCK = 12 * 3600.0
"""The longest clock in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Settings for the whole class; see `News`."""

    lab: str = ""
    open_steps: int = 0
    clock_until: float = 0.0


class Board:
    """The board of a class. Its methods read and write files, and may be called in threads.

    Args:
        folder: where the board stores the pace and the students who joined.
        rooms: workspaces of students on this machine, or folders of such.
        labs: all labs.
        name: of the class.
        numbers_only: whether names are left out.
    """

    def __init__(
        self,
        folder: Path,
        rooms: Sequence[Path],
        labs: Sequence[Lab],
        *,
        name: str = "",
        numbers_only: bool = False,
    ) -> None:
        self._folder = folder
        self._rooms = tuple(rooms)
        self._labs = tuple(labs)
        self.name = name
        self.numbers_only = numbers_only
        self._folders: dict[str, StudentFolder] = {}
        self._told_at = 0.0
        self._lock = threading.RLock()
        self.unreadable: tuple[str, ...] = ()
        """Workspaces that could not be read the last time, and why."""
        self.members = Members(folder / "members")

    # -- reading -------------------------------------------------------------------------------------------

    def view(self, lab: str = "", *, by_need: bool = True) -> ClassView:
        """Returns the present board; every few seconds, notifies each student's wizard that the board is open.

        Args:
            lab: see `class_view.view`.
        """
        with self._lock:
            now = time.time()
            students = self._students()
            if now - self._told_at > TELL_EVERY:
                self._tell_all(now)
            return view(students, now=now, lab=lab, numbers_only=self.numbers_only, by_need=by_need)

    def _students(self) -> list[Student]:
        found, unreadable = [], []
        self._find_folders()
        for number, (name, folder) in enumerate(self._folders.items(), start=1):
            path = folder.path
            try:
                seen = folder.read()
            except OSError as error:
                unreadable.append(f"{path}: {error.strerror or error}")
                continue
            found.append(
                Student(
                    id=name,
                    number=number,
                    name=seen.progress.name or ("" if path.name.isdecimal() else path.name),
                    progress=seen.progress if seen.wishes.shown else Progress(),
                    seen_at=max(seen.active_at, seen.present_at),
                    shown=seen.wishes.shown,
                )
            )
        self.unreadable = tuple(unreadable)
        self.members.refresh()
        return [*found, *self.members.students(len(found) + 1)]

    def _find_folders(self) -> None:
        """Stores the students' folders in `_folders`, by the id of each student."""
        folders_by_path = {folder.path: folder for folder in self._folders.values()}
        self._folders = {
            f"room-{hashlib.sha256(bytes(path)).hexdigest()[:12]}": folders_by_path.get(path)
            or StudentFolder(path, self._labs)
            for path in self._workspaces()
        }

    def _workspaces(self) -> list[Path]:
        found = []
        for room in self._rooms:
            if is_workspace(room):
                found.append(room)
            elif room.is_dir():
                found += [each for each in sorted(room.iterdir()) if is_workspace(each)]
        return found[:MOST_FOLDERS]

    @property
    def pace(self) -> Pace:
        """Returns the settings for the whole class."""
        try:
            data = json.loads((self._folder / "pace.json").read_bytes())
            return Pace(
                lab=str(data["lab"]),
                open_steps=int(data["open_steps"]),
                clock_until=float(data["clock_until"]),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return Pace()

    # -- students who join ---------------------------------------------------------------------------------

    def join(self, code: str, name: str, address: str) -> str:
        """See `Members.join`."""
        with self._lock:
            return self.members.join(code, name, address)

    def report(self, token: str, content: bytes) -> News:
        """Stores a student's report; returns the news for the student. See `Members.report`."""
        with self._lock:
            number = self.members.report(token, content)
            return self._with_pace(self._kept_news(f"joined-{number}"), time.time())

    def leave(self, token: str) -> None:
        """See `Members.leave`."""
        with self._lock:
            self.members.leave(token)

    # -- what the instructor does --------------------------------------------------------------------------

    def send(self, text: str, to: str = "") -> int:
        """Sends a message; returns to how many students.

        Args:
            text: the message.
            to: id of a student; '' for all.

        Raises:
            InputError: the text is no valid message, or there is no such student.
        """
        message_text = class_news.message_text(text)
        with self._lock:
            students = [student for student in self._students() if to in ("", student.id)]
            if not students:
                raise InputError("there is no such student", todo="Choose one on the board")
            now = time.time()
            message = Message(number=round(now * 1000), text=message_text, at=now)
            for student in students:
                self._tell(student.id, message, now)
            return len(students)

    def set_pace(self, lab: str, open_steps: int) -> None:
        """Opens the first steps of a lab for all; '' opens everything.

        Raises:
            InputError: there is no such lab, or it does not have so many steps.
        """
        found_lab = next((one for one in self._labs if one.id == lab), None)
        if lab and found_lab is None:
            raise InputError("there is no such lab", where=lab)
        if found_lab is not None and not 0 <= open_steps <= len(found_lab.steps):
            raise InputError(f"this lab has {len(found_lab.steps)} steps", where=lab)
        self._set(replace(self.pace, lab=lab, open_steps=open_steps if lab else 0))

    def set_clock(self, minutes: float) -> None:
        """Starts the clock of the class; 0 removes it.

        Raises:
            InputError: the time is too long.
        """
        if not 0 <= minutes * 60 <= LONGEST_CLOCK:
            raise InputError("the clock runs for at most 12 hours", todo="Give minutes from 0 to 720")
        self._set(replace(self.pace, clock_until=time.time() + minutes * 60 if minutes else 0.0))

    def _set(self, pace: Pace) -> None:
        with self._lock:
            _write(self._folder / "pace.json", asdict(pace))
            self._tell_all(time.time())

    def close(self) -> None:
        """Notifies the students' wizards that the board is closed."""
        with self._lock:
            for folder in self._folders.values():
                with suppress(OSError):
                    folder.tell(replace(folder.read_news(), read_at=0.0))

    # -- notifying -----------------------------------------------------------------------------------------

    def _tell_all(self, now: float) -> None:
        self._told_at = now
        for folder in self._folders.values():
            with suppress(OSError):
                folder.tell(self._with_pace(folder.read_news(), now))

    def _tell(self, student_id: str, message: Message, now: float) -> None:
        folder = self._folders.get(student_id)
        if folder is not None:
            with suppress(OSError):
                folder.tell(self._with_pace(folder.read_news().with_message(message), now))
            return
        news = self._kept_news(student_id).with_message(message)
        _write(self._news_file(student_id), class_news.to_json(news))

    def _with_pace(self, news: News, now: float) -> News:
        pace = self.pace
        return replace(
            news,
            class_name=self.name,
            lab=pace.lab,
            open_steps=pace.open_steps,
            clock_until=pace.clock_until,
            read_at=now,
        )

    def _news_file(self, student_id: str) -> Path:
        return self._folder / "members" / f"{student_id}.news"

    def _kept_news(self, student_id: str) -> News:
        try:
            return class_news.parse(self._news_file(student_id).read_bytes())
        except (OSError, InputError):
            return News()


def _write(path: Path, data: dict[str, Any]) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        ownfiles.replace(path, json.dumps(data))
    except OSError as error:
        raise FirescreenError(
            f"the board cannot be saved: {error.strerror}",
            where=str(path),
            todo="Free some space, or choose another folder with --workspace",
        ) from error
