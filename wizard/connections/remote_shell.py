"""A shell on another machine that stays open and gets framed requests: one round trip for each operation.

The output of start-up files, banners and the login shell cannot get into an answer, because each answer ends with a
random mark that is new for each shell. Requests and contents are sent on its standard input, never in argv. Every
wait for an answer has a time limit.
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
"""The line sent to the login shell; every shell (bash, csh, fish …) understands it."""

_STDERR = 65536
"""Bytes kept of standard error."""
_SLACK = 10.0
"""Seconds that an answer may take longer than the time limit on the other side."""

# Every request is one line. `program` and `script` get descriptor 3, on which answers are sent; the shell's own outputs
# are discarded. If a command leaves a part of its input unread, `drain` reads the rest, so that no byte of it becomes a
# request. Each process costs the host time, so `tail` limits the standard error of programs only, which may print any
# amount; our own scripts print little. promtool and similar programs are written in Go: for the calls made
# here, one processor and rare garbage collections save a quarter of their time.
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
"""The line that `who` prints. It contains only the first part of the output of `id`, which is the same everywhere."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call in a request: a program with its arguments, or (`script`) an sh script with its arguments."""

    argv: tuple[str, ...]
    script: bool = False
    timeout: float = 30.0
    limit: int = LIMIT
    path: str = ""
    """If there is nothing at this path, the call ends with `ABSENT` and starts no process on the host."""


class RemoteShell:
    """A shell at the other end of a `Stream` that runs `START`.

    Args:
        host: the machine's name in messages.
        stream: just opened; nothing has been read from it.
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
        """Whether the host itself can limit the run time of commands."""

    # -- starting ----------------------------------------------------------------------------------------

    def send_line(self, line: str) -> None:
        """Sends one line to the program at the other end."""
        self._send(line.encode() + b"\n", time.monotonic() + 15)

    def expect(self, *wanted: str, seconds: float = 20.0) -> str:
        """Waits for one of several texts and returns the first one found; what precedes it is stored in `before`.

        Raises:
            HostError: the other side ended, or sent none of the texts in time.
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
    """The output before the text that `expect` found."""

    def _no_shell(self) -> HostError:
        output = plain(bytes(self._seen[-600:]).decode("utf-8", "replace").strip(), 400)
        return HostError(
            "the login succeeds, but no shell starts" + (f"; it says: {output}" if output else ""),
            where=self._host,
            todo="Log in with ssh and read what it prints; the login needs a shell that runs programs "
            "(ForceCommand in sshd_config, command= in authorized_keys).",
        )

    def begin(self) -> None:
        """Makes the shell ready for requests; it must be an sh that reads the line of `START`."""
        # A session that ends at once (ForceCommand internal-sftp) may be gone before anything is sent to it.
        with suppress(UnreachableError):
            self.send_line(f'mark={self._mark}; eval "$(printf %b {_prelude()})"')
        # The output of start-up files comes before the line of `who`, or after it if they left a program running. An
        # echoed request does not contain such a line.
        answer = self._answers([Call(("who",))], time.monotonic() + 20, first=True)[0]
        lines = _WHO.finditer(answer.stdout.decode("utf-8", "replace"))
        identity = next((line for line in lines if line[1] == self._mark), None)
        if identity is None:
            self._seen += answer.stdout + b"\n" + answer.stderr  # the output, for `unexpected_output`
            raise self._no_shell()
        self.bounded, self.labels, self.root = bool(identity[2]), bool(identity[3]), identity[4] == "0"
        # An account without a name is identified by its number.
        self.user, self.group = identity[5] or identity[4], identity[7] or identity[6]

    labels: bool = False
    """Whether files on the host have SELinux labels that would be wrong after a rename."""

    def unexpected_output(self) -> str:
        """The last output that was neither an answer nor expected."""
        return bytes(self._seen[-2000:]).decode("utf-8", "replace").strip()

    def replace_shell(self, argv: Sequence[str]) -> Stream:
        """Replaces the shell by a program; from then on the stream is connected to that program."""
        command = " ".join(_word(word) for word in argv)
        self.send_line(f"exec >&3 2>&1 3>&-; exec {command}")
        return self._stream

    # -- asking ------------------------------------------------------------------------------------------

    def ask(
        self, calls: Sequence[Call], *, stdin: bytes = b"", before: str = "", patience: float = _SLACK
    ) -> list[Ended]:
        """Runs the calls in their order, in one round trip.

        Args:
            calls: if there are several, they have no input.
            stdin: the input of the only call.
            patience: seconds that the answer may take longer than the time limits of the calls.
            before: a command that the shell runs first, e.g. an assignment.

        Raises:
            HostError: the connection is lost, or a call took longer than its time limit; the shell cannot be used any
            more.
        """
        commands = ";".join(_call(call) for call in calls)
        line = f"{before};" if before else ""
        if stdin:
            line += f"fed=1; head -c {len(stdin)} | {{ {commands}; }}; fed="
        else:
            line += f"{{ {commands}; }} </dev/null"
        deadline = time.monotonic() + sum(call.timeout for call in calls) + patience
        self._send(line.encode() + b"\n" + stdin, deadline)
        return self._answers(calls, deadline)

    def _send(self, data: bytes, deadline: float) -> None:
        left = memoryview(data)
        while left:
            sent = self._stream.send(left)
            left = left[sent:]
            if not sent:
                # It does not read: it may be waiting until its output is read.
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
        """Returns what precedes `mark`, at most `limit` bytes."""
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
        """Receives something; returns False at the end of the stream, raises HostError after the deadline."""
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise self._late()
            received = self._pull(min(left, 5.0))
            if received is not None:
                return received

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
    arguments = " ".join(_word(word) for word in call.argv)
    command = (
        f"script {arguments}" if call.script else f"program {_timeout_command(call.timeout)} {arguments}"
    )
    return f"if [ -e {_word(call.path)} ]; then {command}; else absent; fi" if call.path else command


def _timeout_command(seconds: float) -> str:
    # In whole seconds if possible: BusyBox accepts no others.
    return str(math.ceil(seconds)) if seconds >= 1 else f"{seconds:g}"


_PLAIN = re.compile(r"[ -~\n]*")


def _word(argument: str) -> str:
    """Quotes an argument for sh on a single line; any bytes but NUL."""
    if _PLAIN.fullmatch(argument):
        # Without `printf`, because a command substitution costs the host a process.
        quoted = "'" + argument.replace("'", "'\\''") + "'"
        return quoted.replace("\n", "'\"$nl\"'")
    if "\0" in argument:
        raise HostError(f"{argument!r} cannot be an argument: it holds a NUL", todo="Correct the path.")
    stripped = argument.rstrip("\n")  # sh strips them from a command substitution
    return f'"$(printf %b {_quote(stripped)}){"$nl" * (len(argument) - len(stripped))}"'


def _quote(text: str) -> str:
    """Quotes `text` for `printf %b`, with single quotes and printable ASCII."""
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
