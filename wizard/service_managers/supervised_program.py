"""One program of the practice stack and its log, kept running by the supervisor.

Uses the standard library only: the supervisor runs without site packages.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import time
from collections import deque
from typing import Any, TypeAlias

from wizard.service_managers.supervised_process import (
    PATIENCE,
    describe,
    listens,
    prctl,
    read_arguments,
    start_time,
)

LOG_LIMIT = 5 * 1024 * 1024
SETTLE = 2.0
"""Seconds within which a program that cannot run has ended."""
READY = 15.0
"""Seconds for a program whose log says when it is ready."""
STEADY = 10.0
"""Seconds after which an end counts as a crash, and not as a failed start."""
PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds before each new try after consecutive crashes; after the last one the program stays down."""
KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "USER", "LOGNAME", "SSL_CERT_FILE", "SSL_CERT_DIR")

Answer: TypeAlias = dict[str, Any]


class Supervisor:
    """One program and its log; works in the current folder and in one thread."""

    def __init__(self) -> None:
        self.child: subprocess.Popen[bytes] | None = None
        self.state = "stopped"
        self.started = 0.0
        self.restarts = 0
        self.crashes = 0
        self.last_exit: int | None = None
        self.retry_at = 0.0
        self.ending = False
        self.listening = 0.0
        self.arguments: list[str] = []
        self.tail: deque[str] = deque(maxlen=60)
        self._partial = b""
        self._log = open("log", "ab", buffering=0)  # noqa: SIM115, PTH123 - it lives as long as this does
        self._wake, wake = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def serve(self, control: socket.socket) -> None:
        """Answers one request after the other until a request or signal ends it."""
        while not self.ending:
            pause = min(60.0, max(0.0, self.retry_at - time.monotonic())) if self.retry_at else 60.0
            if self.pump(pause, control):
                with contextlib.suppress(OSError, ValueError), control.accept()[0] as caller:
                    caller.settimeout(2)
                    request = json.loads(caller.makefile("rb").readline(65536) or b"{}")
                    reply(caller, self.handle(request))
            self._look()
        self.stop()

    def handle(self, request: Answer) -> Answer:
        """Carries out a request and returns the result."""
        word = request.get("do")
        if word in ("start", "restart"):
            if word == "start" and self.child is not None:
                return self.answer(ok=True)
            self.crashes = 0
            self.restarts += word == "restart"
            self.stop()
            return self.start()
        if word == "reload":
            return self.reload(request)
        if word == "stop":
            self.ending = True
            self.stop()
            return self.answer(ok=True)
        return self.answer(ok=word == "status", why="" if word == "status" else f"unknown request {word!r}")

    def is_running(self) -> bool:
        """Whether there is a process; every `pump` may change that."""
        return self.child is not None

    def answer(self, *, ok: bool, why: str = "") -> Answer:
        """The state, and the program's output since it was started."""
        return {**self.facts(), "ok": ok, "why": why, "log": list(self.tail)}

    def facts(self) -> Answer:
        """The content of state.json; `born` and `supervisor_born` tell a process from a later one with its pid."""
        pid = self.child.pid if self.child else 0
        return {
            "state": self.state,
            "pid": pid,
            "born": start_time(pid) if pid else "",
            "supervisor": os.getpid(),
            "supervisor_born": start_time(os.getpid()),
            "started": self.started,
            "restarts": self.restarts,
            "last_exit": self.last_exit,
            "arguments": self.arguments,
        }

    def start(self) -> Answer:
        """Starts the program; returns when it listens, has ended, or has run long enough."""
        self.tail.clear()
        self.retry_at = 0.0
        try:
            with open("service.json", encoding="utf-8") as file:  # noqa: PTH123
                spec = json.load(file)
            self.arguments = read_arguments("arguments")
            self._spawn(spec["program"], spec.get("cwd") or None, spec.get("environment", {}))
        except (OSError, ValueError, KeyError, subprocess.SubprocessError) as problem:
            return self._failure(f"it could not be started: {problem}")
        self._save("running")
        ready = str(spec.get("ready", ""))
        deadline = time.monotonic() + (READY if ready else SETTLE)
        wait = 0.004
        while self.is_running() and time.monotonic() < deadline and not self.ending:
            self.pump(wait)
            self._reap()
            if self.is_running() and self._is_up(ready):
                break
            wait = min(0.02, wait * 1.3)
        if not self.is_running():
            return self._failure(f"it ended at once with {describe(self.last_exit)}")
        return self.answer(ok=True)

    def stop(self) -> None:
        """Ends the program; kills it if it ignores SIGTERM."""
        self.retry_at = 0.0
        if self.child is not None:
            self.child.terminate()
            deadline = time.monotonic() + PATIENCE
            while self.is_running() and time.monotonic() < deadline:
                self.pump(0.05)
                self._reap()
        if self.child is not None:
            self.child.kill()
            self.child.wait(PATIENCE)
            self._reap()
        self._save("stopped")

    def reload(self, request: Answer) -> Answer:
        """Sends SIGHUP; if the request gives the program's messages for it, returns when one of them is in its log."""
        if self.child is None:
            return self.answer(ok=False, why="it does not run")
        done, refused = (tuple(request.get(key, ())) for key in ("done", "refused"))
        self.tail.clear()
        self.child.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + READY
        while self.is_running() and time.monotonic() < deadline:
            self.pump(0.02)
            self._reap()
            lines = list(self.tail)
            if wrong := [line for line in lines if any(word in line for word in refused)]:
                return self.answer(ok=False, why=wrong[-1])
            if not done or any(word in line for line in lines for word in done):
                break
        else:
            why = "it did not say that it had reloaded its configuration" if self.is_running() else "it ended"
            return self.answer(ok=False, why=why)
        return self.answer(ok=True)

    def pump(self, timeout: float, control: socket.socket | None = None) -> bool:
        """Waits for a signal, output or a caller, and logs the output; returns whether there is a caller."""
        output = self.child.stdout if self.child else None
        watched = [item for item in (self._wake, output, control) if item is not None]
        found = select.select(watched, [], [], timeout)[0]
        if self._wake in found:
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake, 4096)
        if output in found:
            self._drain()
        return control is not None and control in found

    def _spawn(self, program: str, cwd: str | None, environment: dict[str, str]) -> None:
        me = os.getpid()
        control = prctl()

        def tie() -> None:
            # The program must end if this supervisor is killed; PR_SET_PDEATHSIG is 1.
            if control is not None:
                control(1, signal.SIGTERM, 0, 0, 0)
                if os.getppid() != me:
                    os._exit(1)

        self._note(f"starting {program} {' '.join(self.arguments)}")
        self.child = subprocess.Popen(
            [program, *self.arguments],
            cwd=cwd,
            env={**{key: value for key, value in os.environ.items() if key in KEPT}, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            preexec_fn=tie,  # noqa: PLW1509 - this process has one thread
        )
        assert self.child.stdout
        os.set_blocking(self.child.stdout.fileno(), False)
        self.started, self.listening = time.time(), 0.0
        self._partial = b""

    def _is_up(self, ready: str) -> bool:
        """Whether the program listens, and has done so for a while.

        exporter-toolkit opens its port before it reads web.yml, so an open port alone does not show that it serves. A
        program whose log says when it is ready counts as ready then; if its log level hides that message, it gets the
        full time.
        """
        assert self.child
        reported = bool(ready) and any(ready in line for line in self.tail)
        if ready and not reported and time.time() - self.started < SETTLE:
            return False
        if listens(self.child.pid) is False:
            self.listening = 0.0
            return False
        self.listening = self.listening or time.monotonic()
        return reported or time.monotonic() - self.listening > (SETTLE if ready else SETTLE / 4)

    def _look(self) -> None:
        """Notices a crash, and starts the program again after a pause."""
        if self.ending:
            return
        if self._reap():
            if time.time() - self.started > STEADY:
                self.crashes = 0
            self._schedule()
        elif self.retry_at and time.monotonic() >= self.retry_at:
            self.restarts += 1
            if not self.start()["ok"]:
                self._schedule()

    def _schedule(self) -> None:
        """Schedules the next try after a crash, or gives up."""
        if self.crashes >= len(PAUSES):
            self._failure(f"it crashed {self.crashes + 1} times in a row")
            return
        self.retry_at = time.monotonic() + PAUSES[self.crashes]
        self.crashes += 1
        self._save("waiting")

    def _reap(self) -> bool:
        """Whether the program has ended since the last call; its last output is in the log then."""
        if not self.child or self.child.poll() is None:
            return False
        self._drain()
        if self.child.stdout:
            self.child.stdout.close()
        self.last_exit, self.child = self.child.returncode, None
        self._note(f"the program ended with {describe(self.last_exit)}")
        return True

    def _drain(self) -> None:
        """Reads the program's output; the amount is limited, so that a flood cannot keep a caller waiting."""
        for _ in range(64):
            output = self.child.stdout if self.child else None
            chunk = output.read(65536) if output else None
            if not self.child or not output or chunk is None:
                return
            if not chunk:
                output.close()
                self.child.stdout = None
                return
            self._write(chunk)
            *lines, self._partial = (self._partial + chunk).split(b"\n")
            self._partial = self._partial[-4096:]
            self.tail.extend(line.decode("utf-8", "replace")[:2000] for line in lines)

    def _write(self, chunk: bytes) -> None:
        with contextlib.suppress(OSError):  # a full disk must not end the supervisor
            if self._log.tell() + len(chunk) > LOG_LIMIT:
                os.replace("log", "log.1")  # noqa: PTH105
                self._log.close()
                self._log = open("log", "ab", buffering=0)  # noqa: SIM115, PTH123
            self._log.write(chunk)

    def _note(self, text: str) -> None:
        self._write(f"supervisor: {text}\n".encode("utf-8", "replace"))

    def _failure(self, why: str) -> Answer:
        self._note(why)
        self._save("failed")
        return self.answer(ok=False, why=why)

    def _save(self, state: str) -> None:
        self.state = state
        with contextlib.suppress(OSError):
            with open("state.json.new", "w", encoding="utf-8") as file:  # noqa: PTH123
                json.dump(self.facts(), file)
            os.replace("state.json.new", "state.json")  # noqa: PTH105

    def _end(self, *_: object) -> None:
        self.ending = True


def reply(caller: socket.socket, answer: Answer) -> None:
    """Sends one answer; it is no error if the caller is gone."""
    with contextlib.suppress(OSError):
        caller.settimeout(2)
        caller.sendall(json.dumps(answer).encode() + b"\n")
