"""Students who joined from their own machines: the code on the projector, their tokens, their last reports.

Kept as files, so that a restarted board still knows its class. Of a token only the hash is stored.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from wizard import ownfiles
from wizard.errors import FirescreenError, InputError
from wizard.labs.board import progress as reports
from wizard.labs.board.class_view import Student
from wizard.labs.board.member import clean_name
from wizard.labs.board.progress import Progress

MOST = 300
"""Maximum number of students in a class."""
_ALPHABET = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
"""Without characters that look alike on a projector."""
CODE_LENGTH = 8
GUESSES = 10
"""Wrong codes from one address after which it is blocked for a while."""
ALL_GUESSES = 100
"""Wrong codes from all addresses together after which nobody can join for a while."""
SHUT_OUT = 600.0
"""Duration of a block in seconds."""
REPORTS = 20
"""How many reports a student may send within `REPORT_TIME`."""
REPORT_TIME = 5.0


class TooManyError(FirescreenError):
    """Too many requests."""

    title = "Too many requests"


@dataclass(frozen=True, slots=True)
class _Member:
    number: int
    token_hash: str
    name: str
    progress: Progress
    reported_at: float
    left: bool = False
    sent: bytes = b""


class Members:
    """The members of a class. One thread at a time; see `Board`.

    Args:
        folder: where they are stored; created if it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._wrong: dict[str, deque[float]] = {}
        self._all_wrong: deque[float] = deque(maxlen=ALL_GUESSES)
        self._reports: dict[int, deque[float]] = {}
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._members: dict[int, _Member] = {}
        self._files: dict[str, int] = {}
        self.refresh()
        self.code = self._code()

    # -- joining -------------------------------------------------------------------------------------------

    def join(self, code: str, name: str, address: str, now: float | None = None) -> str:
        """Adds a student; returns the token for the reports.

        Args:
            code: of the class, as typed.
            name: of the student.
            address: from which the request comes.

        Raises:
            InputError: the code is wrong. TooManyError: too many wrong codes, or too many students.
        """
        now = time.time() if now is None else now
        wrong = self._wrong.setdefault(address, deque(maxlen=GUESSES))
        if _is_full(wrong, now) or _is_full(self._all_wrong, now):
            raise TooManyError(
                "too many wrong codes were given",
                todo=f"Wait {round(SHUT_OUT / 60)} minutes, and read the code on the board again",
            )
        if not hmac.compare_digest(_plain_code(code).encode(), _plain_code(self.code).encode()):
            wrong.append(now)
            self._all_wrong.append(now)
            raise InputError("this is not the code of the class", todo="Read the code on the board again")
        if not wrong:
            del self._wrong[address]
        if len(self._members) >= MOST:
            raise TooManyError(f"the class has {MOST} students already", todo="Ask the instructor")
        token = secrets.token_urlsafe(24)
        number = max(self._members, default=0) + 1
        self._keep(_Member(number, _hash(token), clean_name(name), Progress(), now))
        return token

    def report(self, token: str, content: bytes, now: float | None = None) -> int:
        """Stores a report; returns the number of its student.

        Raises:
            InputError: it is no valid report. PermissionError: the token is unknown. TooManyError: too many reports.
        """
        now = time.time() if now is None else now
        member = self._of(token)
        recent = self._reports.setdefault(member.number, deque(maxlen=REPORTS))
        if len(recent) == REPORTS and now - recent[0] < REPORT_TIME:
            raise TooManyError("the reports come too often", todo="Wait a few seconds")
        recent.append(now)
        if content != member.sent or member.left:
            progress = reports.parse(content)
            member = replace(
                member, progress=progress, name=progress.name or member.name, left=False, sent=content
            )
            self._keep(replace(member, reported_at=now))
        else:
            self._members[member.number] = replace(member, reported_at=now)
            with suppress(OSError):
                os.utime(self._file(member.number), (now, now))
        return member.number

    def leave(self, token: str) -> None:
        """Records that a student has left; the last report is kept.

        Raises:
            PermissionError: the token is unknown.
        """
        member = self._of(token)
        self._keep(replace(member, left=True, reported_at=time.time()))

    def students(self, first: int = 1) -> list[Student]:
        """Returns the members, numbered from `first`."""
        return [
            Student(
                id=f"joined-{member.number}",
                number=first - 1 + at,
                name=member.name,
                progress=member.progress,
                seen_at=member.reported_at,
                reports=member.progress.live,
                left=member.left,
            )
            for at, member in enumerate((self._members[number] for number in sorted(self._members)), start=1)
        ]

    # -- files ---------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Reads what another process, the board in a browser, has stored meanwhile."""
        for path in self._folder.glob("*.json"):
            with suppress(OSError, ValueError, KeyError, TypeError, InputError):
                changed = path.stat().st_mtime_ns
                if self._files.get(path.name) != changed:
                    member = _member(json.loads(path.read_bytes()), changed / 1e9)
                    self._members[member.number] = member
                    self._files[path.name] = changed

    def _file(self, number: int) -> Path:
        return self._folder / f"{number}.json"

    def _of(self, token: str) -> _Member:
        wanted = _hash(token)
        for member in self._members.values():
            if hmac.compare_digest(member.token_hash, wanted):
                return member
        raise PermissionError

    def _keep(self, member: _Member) -> None:
        self._members[member.number] = member
        data = {
            "number": member.number,
            "token": member.token_hash,
            "name": member.name,
            "left": member.left,
            "progress": reports.to_json(member.progress),
        }
        path = self._file(member.number)
        ownfiles.replace(path, json.dumps(data))
        os.utime(path, (member.reported_at, member.reported_at))
        self._files[path.name] = path.stat().st_mtime_ns

    def _code(self) -> str:
        path = self._folder / "code"
        with suppress(OSError):
            kept = path.read_text(encoding="utf-8").strip()
            if re.fullmatch(f"[{_ALPHABET}]{{4}}-[{_ALPHABET}]{{4}}", kept):
                return kept
        letters = "".join(secrets.choice(_ALPHABET) for _ in range(CODE_LENGTH))
        code = f"{letters[:4]}-{letters[4:]}"
        ownfiles.replace(path, code)
        return code


def _member(data: dict[str, Any], reported_at: float) -> _Member:
    return _Member(
        int(data["number"]),
        str(data["token"]),
        clean_name(str(data["name"])),
        reports.parse(json.dumps(data["progress"]).encode()),
        reported_at,
        bool(data["left"]),
    )


def _is_full(times: deque[float], now: float) -> bool:
    return len(times) == times.maxlen and now - times[0] < SHUT_OUT


def _plain_code(code: str) -> str:
    return re.sub(r"[^A-Z0-9]", "", code[:40].upper())


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
