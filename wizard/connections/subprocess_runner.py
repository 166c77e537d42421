"""Runs programs on this machine, with a bound on time and output, or kept open.

Promises: no shell, nothing read from the terminal, its own process group, and nothing of that group is left at a time-out.
"""

from __future__ import annotations

import os
import select
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

from wizard.connections.errors import connection_lost_error
from wizard.errors import HostError
from wizard.model import Completed

LIMIT = 4 * 1024 * 1024
"""Bytes kept of each output unless told otherwise."""

_ENDS = 3.0
"""Seconds that it has to end by itself once its input ends."""

# An ordinary user's PATH often lacks the folders of ss, ip, restorecon and sshd.
_FOLDERS = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended; its outputs up to the limit of the call."""

    code: int
    stdout: bytes
    stderr: bytes


def as_completed(argv: Sequence[str], ended: Ended) -> Completed:
    """How a program ended, as text."""
    return Completed(
        tuple(argv),
        ended.code,
        ended.stdout.decode("utf-8", "replace"),
        ended.stderr.decode("utf-8", "replace"),
    )


def environment() -> dict[str, str]:
    """This process' environment, with messages in English, no pager and no colours."""
    found = dict(os.environ)
    known = found.get("PATH", "").split(os.pathsep)
    found["PATH"] = os.pathsep.join(
        [*filter(None, known), *(folder for folder in _FOLDERS if folder not in known)]
    )
    found |= {"LC_ALL": "C.UTF-8", "SYSTEMD_PAGER": "", "SYSTEMD_COLORS": "0", "SYSTEMD_URLIFY": "0"}
    found.pop("LANGUAGE", None)
    return found


def run_bounded(
    argv: Sequence[str],
    *,
    stdin: bytes = b"",
    timeout: float = 30.0,
    limit: int = LIMIT,
    keep_terminal: bool = False,
) -> Ended:
    """Runs `argv` to its end.

    Args:
        argv: program and arguments; looked up on PATH and in the usual system folders.
        stdin: what it reads.
        timeout: seconds until its whole process group is killed.
        limit: bytes kept of each output; what comes beyond is read and dropped.
        keep_terminal: leaves it in this session, so that sudo finds what `sudo -v` left for this terminal;
            it stands in the background there and can neither read from the terminal nor change it.

    Returns:
        How it ended. A program that is not there ends with 127, one that cannot be run with 126, as in a
        shell, so that a caller treats this machine and a remote one alike.

    Raises:
        HostError: it did not end in time.
    """
    try:
        child = subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
            bufsize=0,
            start_new_session=not keep_terminal,
            process_group=0 if keep_terminal else None,
        )
    except FileNotFoundError:
        return Ended(127, b"", f"{argv[0]}: not found".encode())
    except OSError as problem:
        return Ended(126, b"", f"{argv[0]}: {problem.strerror}".encode())
    try:
        out, err = _exchange(child, stdin, time.monotonic() + timeout, limit)
    except BaseException:
        _kill(child)
        raise
    finally:
        for stream in (child.stdin, child.stdout, child.stderr):
            if stream:
                with suppress(BrokenPipeError):
                    stream.close()
    return Ended(child.returncode, bytes(out[:limit]), bytes(err[:limit]))


def _exchange(
    child: subprocess.Popen[bytes], stdin: bytes, deadline: float, limit: int
) -> tuple[bytearray, bytearray]:
    """Feeds and reads the child until it has ended and said all, or `deadline` is over."""
    assert child.stdin and child.stdout and child.stderr
    outputs: dict[IO[bytes], bytearray] = {child.stdout: bytearray(), child.stderr: bytearray()}
    left = memoryview(stdin)
    with selectors.DefaultSelector() as selector:
        for stream in outputs:
            selector.register(stream, selectors.EVENT_READ)
        os.set_blocking(child.stdin.fileno(), False)
        selector.register(child.stdin, selectors.EVENT_WRITE)
        ended_at = 0.0
        while selector.get_map():
            now = time.monotonic()
            if now > deadline:
                raise _late(child)
            if not ended_at and child.poll() is not None:
                ended_at = now
            # A grandchild may hold the outputs open for ever: what the program itself said is there by now.
            if ended_at and now - ended_at > 0.5:
                break
            for key, _ in selector.select(0.05):
                if key.fileobj is child.stdin:
                    left = _feed(child.stdin, left)
                    ended = not left
                else:
                    ended = not _take(key.fd, outputs[key.fileobj], limit)  # type: ignore[index]
                if ended:
                    selector.unregister(key.fileobj)
                if ended and key.fileobj is child.stdin:
                    child.stdin.close()
    try:
        child.wait(max(0.01, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise _late(child) from None
    return outputs[child.stdout], outputs[child.stderr]


def _feed(pipe: IO[bytes], left: memoryview) -> memoryview:
    """Writes what the pipe takes; a program that does not want to read on is no error here."""
    try:
        return left[os.write(pipe.fileno(), left[:65536]) :] if left else left
    except BlockingIOError:
        return left
    except BrokenPipeError:
        return left[:0]


def _take(number: int, kept: bytearray, limit: int) -> bool:
    """Reads what there is and keeps at most `limit` bytes and one; False at the end."""
    chunk = os.read(number, 65536)
    kept += chunk[: max(0, limit + 1 - len(kept))]
    return bool(chunk)


def _late(child: subprocess.Popen[bytes]) -> HostError:
    program = str(child.args[0]) if isinstance(child.args, list) else str(child.args)
    return HostError(
        f"{program} did not end in time and was stopped",
        todo="Look at what it waits for by running it in a terminal, then try again.",
    )


def _kill(child: subprocess.Popen[bytes]) -> None:
    """Ends its whole process group."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        # PermissionError: the group belongs to root by way of sudo, where `timeout` ends it instead.
        return
    with suppress(subprocess.TimeoutExpired):
        child.wait(5)


class OpenProgram:
    """A running program and its pipes.

    Args:
        host: what messages call the machine.
        argv: program and arguments; looked up on PATH and in the usual system folders.
        keep_terminal: see `run_bounded`.

    Raises:
        HostError: it is not there, or cannot be run.
    """

    def __init__(self, host: str, argv: Sequence[str], *, keep_terminal: bool = False) -> None:
        self._host = host
        try:
            self._child = subprocess.Popen(
                list(argv),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=environment(),
                bufsize=0,
                start_new_session=not keep_terminal,
                process_group=0 if keep_terminal else None,
            )
        except OSError as problem:
            missing = isinstance(problem, FileNotFoundError)
            why = "not found" if missing else str(problem.strerror)
            raise HostError(f"{argv[0]}: {why}", where=host, todo=f"Install {argv[0]} here.") from None
        assert self._child.stdin
        assert self._child.stdout
        self._in, self._out = self._child.stdin, self._child.stdout
        self._closing = threading.Lock()
        os.set_blocking(self._in.fileno(), False)

    def send(self, data: memoryview) -> int:
        """See `base.Stream.send`."""
        try:
            if not _ready(self._in, select.POLLOUT, 0.2):
                return 0
            return os.write(self._in.fileno(), data[:65536])
        except BlockingIOError:
            return 0
        except (OSError, ValueError):  # its end, or closed by another thread
            raise connection_lost_error(self._host) from None

    def receive(self, seconds: float) -> bytes | None:
        """See `base.Stream.receive`."""
        try:
            if not _ready(self._out, select.POLLIN, seconds):
                return None
            return os.read(self._out.fileno(), 65536)
        except (OSError, ValueError):
            raise connection_lost_error(self._host) from None

    def close(self) -> None:
        """Ends it; safe to call twice. What runs as root by way of sudo ends with its input."""
        with self._closing:
            with suppress(OSError):
                self._in.close()
            if self._child.returncode is None:
                try:
                    self._child.wait(_ENDS)
                except subprocess.TimeoutExpired:
                    with suppress(OSError):
                        self._child.kill()
                    with suppress(subprocess.TimeoutExpired):
                        self._child.wait(_ENDS)
            self._out.close()


def _ready(pipe: IO[bytes], event: int, seconds: float) -> bool:
    waiting = select.poll()  # select() knows no numbers from 1024 on
    waiting.register(pipe, event)
    return bool(waiting.poll(max(seconds, 0.0) * 1000))
