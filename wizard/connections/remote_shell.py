"""A shell on another machine that stays open and is asked in frames: one round trip for each operation.

Promises: what start-up files, banners and the login shell print cannot get into an answer, since each answer ends
with a mark that is drawn anew for each shell; requests and contents travel on its standard input and never in
argv; no answer is waited for without a bound.
"""

from __future__ import annotations

import math
import re
import secrets
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache

from wizard.connections.base import Stream
from wizard.connections.errors import connection_lost_error
from wizard.connections.path_script import ABSENT, FUNCTIONS
from wizard.connections.subprocess_runner import LIMIT, Ended
from wizard.errors import HostError, UnreachableError
from wizard.redact import plain

START = "exec /bin/sh -c 'IFS= read -r line && eval \"$line\"'"
"""Sent to the login shell; every shell (bash, csh, fish …) understands this line."""

_STDERR = 65536
"""Bytes kept of standard error."""
_SLACK = 10.0
"""Seconds that an answer may take beyond the bound that the other side holds itself."""

# Every request is one line. `program` and `script` give it descriptor 3, which is the way back; the shell's own
# outputs lead nowhere. A fed command that leaves its input unread has it drained, so that no byte of it becomes a
# request. Each process costs the host time: our own scripts say little on standard error, a program may say anything.
# promtool and its like are Go's: for what they are asked, one processor and few looks for garbage take a fourth less.
_PRELUDE = r"""
cd /
unset ENV BASH_ENV LANGUAGE HISTFILE CDPATH MAIL
exec 3>&1 >/dev/null 2>&1
LC_ALL=C.UTF-8 SYSTEMD_PAGER= SYSTEMD_COLORS=0 SYSTEMD_URLIFY=0
for folder in /usr/local/sbin /usr/local/bin /usr/sbin /usr/bin /sbin /bin; do
  case ":$PATH:" in *":$folder:"*) ;; *) PATH=$PATH:$folder ;; esac
done
GOMAXPROCS=1 GOGC=400
export PATH LC_ALL SYSTEMD_PAGER SYSTEMD_COLORS SYSTEMD_URLIFY GOMAXPROCS GOGC
bound= labels= uploads= fed= careful=
me=$(id)
case $me in uid=0[!0-9]*) careful=1 ;; esac
command -v timeout && bound=1
[ -e /sys/fs/selinux/enforce ] && command -v restorecon && labels=1
clean() { trap '' HUP INT TERM PIPE; [ -z "$uploads" ] || rm -rf -- "$uploads"; uploads=; }
trap clean EXIT
trap 'clean; exit' HUP INT TERM PIPE
program() {
  err=$( { ( limited "$@" ) >&3 3>&-; code=$?; drain
    printf '\n%s %d\n' "$mark" "$code" >&3; } 2>&1 | tail -c @STDERR@ )
  printf '%s\n%s\n' "$err" "$mark" >&3
}
limited() { limit=$1; shift; [ -z "$bound" ] || exec timeout -k 2 "$limit" "$@"; exec "$@"; }
script() {
  err=$( exec 2>&1 >&3 3>&-; text=$1; shift; eval "$text" ); code=$?
  drain
  printf '\n%s %d\n%s\n%s\n' "$mark" "$code" "$err" "$mark" >&3
}
absent() { printf '\n%s %d\n\n%s\n' "$mark" @ABSENT@ "$mark" >&3; }
drain() { [ -z "$fed" ] || cat >/dev/null; }
who() { printf '\nwho%s:%s:%s:%s\n' "$mark" "$bound" "$labels" "$me"; }
"""

_LOOP = 'script who </dev/null; while IFS= read -r line; do eval "$line"; done; exit 0'


_WHO = re.compile(r"who([0-9a-f]{32}):(1?):(1?):uid=(\d+)(?:\(([^)]*)\))? gid=(\d+)(?:\(([^)]*)\))?")
"""The line that `who` prints, with what `id` says first, everywhere alike."""


@dataclass(frozen=True, slots=True)
class Call:
    """One thing to do in a request: a program with its arguments, or (`script`) a text for sh with its own."""

    argv: tuple[str, ...]
    script: bool = False
    timeout: float = 30.0
    limit: int = LIMIT
    path: str = ""
    """Where nothing is there, the call ends with `ABSENT`, and costs the host no process."""


class RemoteShell:
    """The far end of a `Stream` that runs `START`, made ready to be asked.

    Args:
        host: what messages call the machine.
        stream: just started, with nothing read from it yet.
    """

    def __init__(self, host: str, stream: Stream) -> None:
        self._host = host
        self._stream = stream
        self._mark = secrets.token_hex(16)
        self._seen = bytearray()
        self.user = ""
        self.group = ""
        self.root = False
        self.bounded = False
        """Whether the machine can bound a command's time itself."""

    # -- starting ----------------------------------------------------------------------------------------

    def say(self, line: str) -> None:
        """Sends one line to whatever reads there."""
        self._send(line.encode() + b"\n", time.monotonic() + 15)

    def expect(self, *wanted: str, seconds: float = 20.0) -> str:
        """Waits for one of some texts and gives the one that came first; what stood before it is dropped.

        Raises:
            HostError: the other side ended or said nothing of the kind in time.
        """
        deadline = time.monotonic() + seconds
        while True:
            places = {self._seen.find(text.encode()): text for text in wanted}
            places.pop(-1, None)
            if places:
                first = min(places)
                self.before = bytes(self._seen[:first])
                del self._seen[: first + len(places[first])]
                return places[first]
            if len(self._seen) > LIMIT:
                del self._seen[:-_STDERR]
            if not self._more(deadline):
                raise self._no_shell()

    before: bytes = b""
    """What came before the text that `expect` found."""

    def _no_shell(self) -> HostError:
        said = plain(bytes(self._seen[-600:]).decode("utf-8", "replace").strip(), 400)
        return HostError(
            "the login succeeds, but no shell starts" + (f"; it says: {said}" if said else ""),
            where=self._host,
            todo="Log in with ssh and read what it prints; the login needs a shell that runs programs "
            "(ForceCommand in sshd_config, command= in authorized_keys).",
        )

    def begin(self) -> None:
        """Makes the shell that reads there the one that answers; it must be sh with `START`'s line before it."""
        # A session that ends at once (ForceCommand internal-sftp) may be gone before it is told anything.
        with suppress(UnreachableError):
            self.say(f'mark={self._mark}; eval "$(printf %b {_prelude()})"')
        # What start-up files print comes before it, or after it where they left something running; an echoed request
        # has no such line.
        found = self._answers([Call(("who",))], time.monotonic() + 20, first=True)[0]
        lines = _WHO.finditer(found.stdout.decode("utf-8", "replace"))
        said = next((line for line in lines if line[1] == self._mark), None)
        if said is None:
            self._seen += found.stdout + b"\n" + found.stderr  # what it said instead, for whoever has to look
            raise self._no_shell()
        self.bounded, self.labels, self.root = bool(said[2]), bool(said[3]), said[4] == "0"
        # An account without a name is known by its number.
        self.user, self.group = said[5] or said[4], said[7] or said[6]

    labels: bool = False
    """Whether files there carry SELinux labels that a rename leaves wrong."""

    def unexpected_output(self) -> str:
        """The last of what came and was neither an answer nor expected."""
        return bytes(self._seen[-2000:]).decode("utf-8", "replace").strip()

    def give_way(self, argv: Sequence[str]) -> Stream:
        """Lets a program take the place of the shell; from here on, the stream is that program's."""
        words = " ".join(_word(word) for word in argv)
        self.say(f"exec >&3 2>&1 3>&-; exec {words}")
        return self._stream

    # -- asking ------------------------------------------------------------------------------------------

    def ask(
        self, calls: Sequence[Call], *, stdin: bytes = b"", before: str = "", patience: float = _SLACK
    ) -> list[Ended]:
        """Does all the calls in their order, in one round trip.

        Args:
            calls: what to do; all but a single one have no input.
            stdin: what the single call reads.
            patience: seconds that it may take beyond the calls' own bounds.
            before: a command that the shell itself is to run first, e.g. an assignment.

        Raises:
            HostError: the connection is gone, or a call took longer than its bound; nothing more can be asked.
        """
        words = ";".join(_call(call) for call in calls)
        line = f"{before};" if before else ""
        if stdin:
            line += f"fed=1; head -c {len(stdin)} | {{ {words}; }}; fed="
        else:
            line += f"{{ {words}; }} </dev/null"
        deadline = time.monotonic() + sum(call.timeout for call in calls) + patience
        self._send(line.encode() + b"\n" + stdin, deadline)
        return self._answers(calls, deadline)

    def _send(self, data: bytes, deadline: float) -> None:
        left = memoryview(data)
        while left:
            sent = self._stream.send(left)
            left = left[sent:]
            if not sent:
                # It does not read on: perhaps it waits for us to read what it says.
                self._pull(0.05)
                if time.monotonic() > deadline:
                    raise self._late()

    def _answers(self, calls: Sequence[Call], deadline: float, *, first: bool = False) -> list[Ended]:
        found: list[Ended] = []
        for call in calls:
            out = self._until(b"\n" + self._mark.encode() + b" ", call.limit, deadline, first=first)
            code = self._until(b"\n", 16, deadline)
            err = self._until(self._mark.encode() + b"\n", _STDERR + 2, deadline)
            found.append(Ended(int(code), out, err.removesuffix(b"\n")))
        return found

    def _until(self, mark: bytes, limit: int, deadline: float, *, first: bool = False) -> bytes:
        """What stands before `mark`, at most `limit` bytes."""
        looked = 0
        while (place := self._seen.find(mark, looked)) < 0:
            if len(self._seen) > limit + LIMIT:
                del self._seen[limit : -len(mark)]
            looked = max(0, len(self._seen) - len(mark))
            self._need(deadline, starting=first)
        out = bytes(self._seen[: min(place, limit)])
        del self._seen[: place + len(mark)]
        return out

    def _need(self, deadline: float, *, starting: bool) -> None:
        if not self._more(deadline):
            raise self._no_shell() if starting else self._lost_error()

    def _more(self, deadline: float) -> bool:
        """Receives something; False at the end of the stream. HostError when the time is over."""
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise self._late()
            came = self._pull(min(left, 5.0))
            if came is not None:
                return came

    def _pull(self, seconds: float) -> bool | None:
        data = self._stream.receive(seconds)
        if data is None:
            return None
        self._seen += data
        return bool(data)

    def _late(self) -> HostError:
        self._stream.close()
        return UnreachableError(
            "it did not answer in time",
            where=self._host,
            todo="Check that the host is up and not overloaded, then try again.",
        )

    def _lost_error(self) -> HostError:
        self._stream.close()
        return connection_lost_error(self._host)


@cache
def _prelude() -> str:
    return _quote(
        FUNCTIONS + _PRELUDE.replace("@STDERR@", f"{_STDERR}").replace("@ABSENT@", f"{ABSENT}") + _LOOP
    )


def _call(call: Call) -> str:
    words = " ".join(_word(word) for word in call.argv)
    said = f"script {words}" if call.script else f"program {_timeout_command(call.timeout)} {words}"
    return f"if [ -e {_word(call.path)} ]; then {said}; else absent; fi" if call.path else said


def _timeout_command(seconds: float) -> str:
    # Whole seconds where it can be: BusyBox knows no others.
    return str(math.ceil(seconds)) if seconds >= 1 else f"{seconds:g}"


_PLAIN = re.compile(r"[ -~\n]*")


def _word(word: str) -> str:
    """An argument as sh reads it on one line; any bytes but NUL."""
    if _PLAIN.fullmatch(word):
        # Without `printf`, whose substitution would cost the host a process.
        quoted = "'" + word.replace("'", "'\\''") + "'"
        return quoted.replace("\n", "'\"$nl\"'")
    if "\0" in word:
        raise HostError(f"{word!r} cannot be an argument: it holds a NUL", todo="Correct the path.")
    stripped = word.rstrip("\n")  # as sh strips them from what it substitutes
    return f'"$(printf %b {_quote(stripped)}){"$nl" * (len(word) - len(stripped))}"'


def _quote(text: str) -> str:
    """`text` for `printf %b`, in single quotes and printable ASCII."""
    parts = []
    for byte in text.encode("utf-8", "surrogateescape"):
        character = chr(byte)
        if character == "\\":
            parts.append("\\\\")
        elif character == "\n":
            parts.append("\\n")
        elif " " <= character <= "~" and character != "'":
            parts.append(character)
        else:
            parts.append(f"\\0{byte:03o}")
    return "'" + "".join(parts) + "'"
