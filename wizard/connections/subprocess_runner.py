"""Runs programs on this machine, with limits on time and output, or keeps them open.

A program runs without a shell and in its own process group, and reads nothing from the terminal. After a time-out,
nothing of its process group is left.
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
"""Bytes kept of each output by default."""

_ENDS = 3.0
"""Seconds that a program has to end by itself after the end of its input."""

# The PATH of ordinary users often lacks the folders of ss, ip, restorecon and sshd.
_FOLDERS = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


@dataclass(frozen=True, slots=True)
class Ended:
    """The outcome of a program; its outputs up to the limit of the call."""

    code: int
    stdout: bytes
    stderr: bytes


def as_completed(argv: Sequence[str], ended: Ended) -> Completed:
    """The outcome of a program, with its outputs as text."""
    return Completed(
        tuple(argv),
        ended.code,
        ended.stdout.decode("utf-8", "replace"),
        ended.stderr.decode("utf-8", "replace"),
    )


def environment() -> dict[str, str]:
    """The environment of this process, changed for messages in English, no pager and no colours."""
    variables = dict(os.environ)
    folders = variables.get("PATH", "").split(os.pathsep)
    variables["PATH"] = os.pathsep.join(
        [*filter(None, folders), *(folder for folder in _FOLDERS if folder not in folders)]
    )
    variables |= {"LC_ALL": "C.UTF-8", "SYSTEMD_PAGER": "", "SYSTEMD_COLORS": "0", "SYSTEMD_URLIFY": "0"}
    variables.pop("LANGUAGE", None)
    return variables


def run_bounded(
    argv: Sequence[str],
    *,
    stdin: bytes = b"",
    timeout: float = 30.0,
    limit: int = LIMIT,
    keep_terminal: bool = False,
) -> Ended:
    """Runs `argv` until it ends.

    Args:
        argv: program and arguments; looked up on PATH and in the usual system folders.
        stdin: its input.
        timeout: seconds until its whole process group is killed.
        limit: bytes kept of each output; the rest is read and discarded.
        keep_terminal: keeps it in this session, so that sudo finds the credentials that `sudo -v` cached for this
            terminal; it is a background process, which can neither read from the terminal nor change it.

    Returns:
        The outcome. As in a shell, the exit code is 127 if there is no such program and 126 if it cannot be run, so
        that callers can treat this machine and a remote one alike.

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
    """Writes the child's input and reads its outputs, until it has ended and all is read, or until `deadline`."""
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
            # A grandchild may keep the outputs open for ever; the output of the program itself has arrived by now.
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
    """Writes as much as the pipe takes; that a program does not read all its input is no error here."""
    try:
        return left[os.write(pipe.fileno(), left[:65536]) :] if left else left
    except BlockingIOError:
        return left
    except BrokenPipeError:
        return left[:0]


def _take(number: int, kept: bytearray, limit: int) -> bool:
    """Reads what is there and keeps at most `limit` + 1 bytes; returns False at the end."""
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
    """Kills the child's process group."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        # PermissionError: the group runs as root through sudo; there `timeout` kills it.
        return
    with suppress(subprocess.TimeoutExpired):
        child.wait(5)


class OpenProgram:
    """A running program and its pipes.

    Args:
        host: the machine's name in messages.
        argv: program and arguments; looked up on PATH and in the usual system folders.
        keep_terminal: see `run_bounded`.

    Raises:
        HostError: there is no such program, or it cannot be run.
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
        except (OSError, ValueError):  # the program ended, or another thread closed the pipe
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
        """Ends the program; can be called twice. A program that sudo runs as root ends when its input ends."""
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
    waiting = select.poll()  # select() cannot handle descriptors above 1023
    waiting.register(pipe, event)
    return bool(waiting.poll(max(seconds, 0.0) * 1000))
