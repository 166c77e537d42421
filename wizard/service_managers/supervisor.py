"""Keeps one practice program running: a small supervisor that outlives the wizard which started it.

A script of its own (standard library, no package around it), run as `python -I -S supervisor.py …`:

    --start FOLDER           starts the supervisor and its program unless they run; answers when it is up
    --tell FOLDER REQUEST    status, restart, reload or stop, as a word or as JSON; answers when it is done

FOLDER holds service.json (program, cwd), arguments (a flag a line, `#` comments), and what this writes:
log, state.json, lock and the socket `control`. Promises: an answer is one JSON document; a program that ends
at once is reported with its own words and not tried again; nothing is ever signalled by a stale number.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from typing import Any, NoReturn

LOG_LIMIT = 5 * 1024 * 1024
SETTLE = 2.0
"""Seconds within which a program that cannot run has said so."""
READY = 15.0
"""Seconds for a program whose log names the moment when it is ready."""
PATIENCE = 5.0
"""Seconds between SIGTERM and SIGKILL."""
STEADY = 10.0
"""Seconds after which a program that ends has crashed, and not failed to start."""
PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds before each new try after crashes in a row; after the last one it stays down."""
ANSWER = 40.0
KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "USER", "LOGNAME", "SSL_CERT_FILE", "SSL_CERT_DIR")

Answer = dict[str, Any]


class Supervisor:
    """One program and its log; works in the current folder, in one thread."""

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
        """Answers one request after the other until it is told to stop."""
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
        """Does what is asked and says how it went."""
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

    def running(self) -> bool:
        """Whether there is a process; it changes with every `pump`."""
        return self.child is not None

    def answer(self, *, ok: bool, why: str = "") -> Answer:
        """The state, and what the program said since it was started."""
        return {**self.facts(), "ok": ok, "why": why, "log": list(self.tail)}

    def facts(self) -> Answer:
        """What state.json holds; `born` and `supervisor_born` tell a process from a later one of its number."""
        pid = self.child.pid if self.child else 0
        return {
            "state": self.state,
            "pid": pid,
            "born": born(pid) if pid else "",
            "supervisor": os.getpid(),
            "supervisor_born": born(os.getpid()),
            "started": self.started,
            "restarts": self.restarts,
            "last_exit": self.last_exit,
            "arguments": self.arguments,
        }

    def start(self) -> Answer:
        """Starts the program; back when it listens, has ended, or has run for long enough."""
        self.tail.clear()
        self.retry_at = 0.0
        try:
            with open("service.json", encoding="utf-8") as file:  # noqa: PTH123
                spec = json.load(file)
            self.arguments = read_arguments("arguments")
            self._spawn(spec["program"], spec.get("cwd") or None)
        except (OSError, ValueError, KeyError, subprocess.SubprocessError) as problem:
            return self._failed(f"it could not be started: {problem}")
        self._save("running")
        ready = str(spec.get("ready", ""))
        deadline = time.monotonic() + (READY if ready else SETTLE)
        wait = 0.004
        while self.running() and time.monotonic() < deadline and not self.ending:
            self.pump(wait)
            self._reap()
            if self.running() and self._is_up(ready):
                break
            wait = min(0.02, wait * 1.3)
        if not self.running():
            return self._failed(f"it ended at once with {describe(self.last_exit)}")
        return self.answer(ok=True)

    def stop(self) -> None:
        """Ends the program; by force if it does not listen."""
        self.retry_at = 0.0
        if self.child is not None:
            self.child.terminate()
            deadline = time.monotonic() + PATIENCE
            while self.running() and time.monotonic() < deadline:
                self.pump(0.05)
                self._reap()
        if self.child is not None:
            self.child.kill()
            self.child.wait(PATIENCE)
            self._reap()
        self._save("stopped")

    def reload(self, request: Answer) -> Answer:
        """SIGHUP; where the request names the program's words for it, back when it has said one of them."""
        if self.child is None:
            return self.answer(ok=False, why="it does not run")
        done, refused = (tuple(request.get(key, ())) for key in ("done", "refused"))
        self.tail.clear()
        self.child.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + READY
        while self.running() and time.monotonic() < deadline:
            self.pump(0.02)
            self._reap()
            said = list(self.tail)
            if wrong := [line for line in said if any(word in line for word in refused)]:
                return self.answer(ok=False, why=wrong[-1])
            if not done or any(word in line for line in said for word in done):
                break
        else:
            why = "it did not say that it had read its configuration again" if self.running() else "it ended"
            return self.answer(ok=False, why=why)
        return self.answer(ok=True)

    def pump(self, timeout: float, control: socket.socket | None = None) -> bool:
        """Waits for a signal, output or a caller, and logs the output; True if there is a caller."""
        output = self.child.stdout if self.child else None
        watched = [item for item in (self._wake, output, control) if item is not None]
        found = select.select(watched, [], [], timeout)[0]
        if self._wake in found:
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake, 4096)
        if output in found:
            self._drain()
        return control is not None and control in found

    def _spawn(self, program: str, cwd: str | None) -> None:
        me = os.getpid()
        prctl = _prctl()

        def tie() -> None:
            # The program must not linger if this supervisor is killed; PR_SET_PDEATHSIG is 1.
            if prctl is not None:
                prctl(1, signal.SIGTERM, 0, 0, 0)
                if os.getppid() != me:
                    os._exit(1)

        self._note(f"starting {program} {' '.join(self.arguments)}")
        self.child = subprocess.Popen(
            [program, *self.arguments],
            cwd=cwd,
            env={key: value for key, value in os.environ.items() if key in KEPT},
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
        """Whether it listens and has not only just begun to.

        The toolkit of the exporters opens its port before it reads web.yml: a port alone proves nothing yet.
        A program that says when it is ready is believed; one whose log is turned down gets the whole time.
        """
        assert self.child
        said = bool(ready) and any(ready in line for line in self.tail)
        if ready and not said and time.time() - self.started < SETTLE:
            return False
        if listens(self.child.pid) is False:
            self.listening = 0.0
            return False
        self.listening = self.listening or time.monotonic()
        return said or time.monotonic() - self.listening > (SETTLE if ready else SETTLE / 4)

    def _look(self) -> None:
        """Notices a crash, and starts again when its pause is over."""
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
        """The next try after a crash, or the end of trying."""
        if self.crashes >= len(PAUSES):
            self._failed(f"it crashed {self.crashes + 1} times in a row")
            return
        self.retry_at = time.monotonic() + PAUSES[self.crashes]
        self.crashes += 1
        self._save("waiting")

    def _reap(self) -> bool:
        """Whether the program has just been found ended; its last words are in the log then."""
        if not self.child or self.child.poll() is None:
            return False
        self._drain()
        if self.child.stdout:
            self.child.stdout.close()
        self.last_exit, self.child = self.child.returncode, None
        self._note(f"the program ended with {describe(self.last_exit)}")
        return True

    def _drain(self) -> None:
        """Takes what the program has said; bounded, so that a flood cannot keep a caller waiting."""
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
        with contextlib.suppress(OSError):  # a full disk must not end what it is the log of
            if self._log.tell() + len(chunk) > LOG_LIMIT:
                os.replace("log", "log.1")  # noqa: PTH105
                self._log.close()
                self._log = open("log", "ab", buffering=0)  # noqa: SIM115, PTH123
            self._log.write(chunk)

    def _note(self, text: str) -> None:
        self._write(f"supervisor: {text}\n".encode("utf-8", "replace"))

    def _failed(self, why: str) -> Answer:
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


def read_arguments(path: str) -> list[str]:
    """One flag a line, blanks at its ends and `#` lines left out; no quoting."""
    with open(path, encoding="utf-8", errors="surrogateescape") as file:  # noqa: PTH123
        lines = [line.strip() for line in file]
    return [line for line in lines if line and not line.startswith("#")]


@functools.cache
def boot() -> str:
    """What tells this run of the machine from earlier ones, whose processes had the same numbers and times."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:  # noqa: PTH123
            return file.read().strip()
    except OSError:
        return ""


def born(pid: int) -> str:
    """When a process started, as the system says it; '' if there is none of that number."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            fields = file.read().rpartition(")")[2].split()
        return "" if fields[0] == "Z" else f"{boot()}:{fields[19]}"
    except OSError:
        if os.path.exists("/proc/self/stat"):  # noqa: PTH110
            return ""
    ended = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False, timeout=5
    )
    return ended.stdout.strip()


def listens(pid: int) -> bool | None:
    """Whether the process itself has a listening TCP socket; None where the system does not tell."""
    try:
        links = [os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")]  # noqa: PTH115, PTH208
        own = {match.group(1) for link in links if (match := re.fullmatch(r"socket:\[(\d+)\]", link))}
        for table in ("tcp", "tcp6"):
            # Those that listen come first. The kernel looks through all connections for what follows them, and for
            # as many bytes as one read asks for: a row is 150.
            with (
                contextlib.suppress(FileNotFoundError),
                open(f"/proc/{pid}/net/{table}", "rb", buffering=150) as file,  # noqa: PTH123
            ):
                file.readline()
                for line in file:
                    # Columns of proc(5): the fourth is the state, 0A for LISTEN; the tenth the inode.
                    row = line.decode().split()
                    if row[3] != "0A":
                        break
                    if row[9] in own:
                        return True
    except OSError:
        return None if born(pid) else False
    return False


def describe(code: int | None) -> str:
    """An exit code in words."""
    if code is None:
        return "no code"
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def sweep() -> None:
    """Ends what a supervisor that was killed left behind: only a process that is still the same one."""
    try:
        with open("state.json", encoding="utf-8") as file:  # noqa: PTH123
            state = json.load(file)
        pid, mark = int(state["pid"]), str(state["born"])
    except (OSError, ValueError, KeyError, TypeError):
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + PATIENCE
        if pid > 1 and mark and born(pid) == mark:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        while mark and born(pid) == mark and time.monotonic() < deadline:
            time.sleep(0.01)
    state |= {"state": "stopped", "pid": 0, "born": ""}
    with open("state.json.new", "w", encoding="utf-8") as file:  # noqa: PTH123
        json.dump(state, file)
    os.replace("state.json.new", "state.json")  # noqa: PTH105


def reply(caller: socket.socket, answer: Answer) -> None:
    """Sends one answer; a caller that has gone is no error."""
    with contextlib.suppress(OSError):
        caller.settimeout(2)
        caller.sendall(json.dumps(answer).encode() + b"\n")


def hold() -> int | None:
    """The lock of this folder, or None if a supervisor has it; the kernel lets go when the holder dies."""
    number = os.open("lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(number)
        return None
    return number


def ask(request: Answer, control: str = "control") -> Answer | None:
    """What the supervisor of this folder answers, or None if there is none, or it was killed just now.

    The socket is named relative to the folder: an absolute name may be longer than the 108 bytes of sun_path.
    """
    with socket.socket(socket.AF_UNIX) as caller:
        caller.settimeout(ANSWER)
        try:
            caller.connect(control)
            caller.sendall(json.dumps(request).encode() + b"\n")
            line = caller.makefile("rb").readline(1 << 20)
        except (FileNotFoundError, ConnectionError):
            return None
    found = json.loads(line) if line else None
    return found if isinstance(found, dict) else None


def launch() -> Answer:
    """Starts a supervisor in a session of its own; its first answer."""
    out, into = os.pipe()
    first = os.fork()
    if first == 0:
        os.close(out)
        os.setsid()
        if os.fork():
            os._exit(0)
        become_supervisor(into)
    os.close(into)
    os.waitpid(first, 0)
    text = b""
    deadline = time.monotonic() + ANSWER
    while select.select([out], [], [], max(0.0, deadline - time.monotonic()))[0]:
        chunk = os.read(out, 65536)
        if not chunk:
            break
        text += chunk
    os.close(out)
    found = json.loads(text) if text else {"ok": False, "why": "the supervisor did not start"}
    return dict(found)


def become_supervisor(into: int) -> NoReturn:
    """Runs as the supervisor of the current folder until it is told to stop; never returns."""
    code = 1
    try:
        os.umask(0o027)
        nothing = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(nothing, number)
        lock = hold()
        if lock is None:
            os.write(into, b'{"ok": false, "busy": true}')
            os._exit(0)
        sweep()
        with contextlib.suppress(FileNotFoundError):
            os.unlink("control")  # noqa: PTH108
        supervisor = Supervisor()
        with socket.socket(socket.AF_UNIX) as control:
            control.bind("control")
            os.chmod("control", 0o600)  # noqa: PTH101
            control.listen(8)
            os.write(into, json.dumps(supervisor.start()).encode())
            os.close(into)
            supervisor.serve(control)
        with contextlib.suppress(OSError):
            os.unlink("control")  # noqa: PTH108
        code = 0
    finally:
        os._exit(code)


def tell(request: Answer) -> Answer:
    """Passes a request on; `start` and `restart` bring up a supervisor that is not there."""
    word = request.get("do")
    deadline = time.monotonic() + PATIENCE
    while True:
        answer = ask(request)
        if answer is not None:
            if word == "stop":
                wait_for_end(deadline)
            return answer
        if word in ("start", "restart"):
            answer = launch()
        else:
            lock = hold()
            if lock is not None:
                sweep()
                return {
                    "ok": word == "stop",
                    "state": "stopped",
                    "pid": 0,
                    "why": "it does not run",
                    "log": [],
                }
        if answer is not None and not answer.get("busy"):
            return answer
        # Somebody holds the lock and does not listen yet, or no longer.
        if time.monotonic() > deadline:
            return {"ok": False, "state": "unknown", "why": "its supervisor does not answer", "log": []}
        time.sleep(0.02)


def wait_for_end(deadline: float) -> None:
    """Back when the supervisor has let go of the folder, so that the folder can be removed."""
    while time.monotonic() < deadline:
        lock = hold()
        if lock is not None:
            os.close(lock)
            return
        time.sleep(0.01)


def _prctl() -> Any:
    if sys.platform != "linux":
        return None
    import ctypes

    return ctypes.CDLL(None).prctl


def main(arguments: list[str]) -> int:
    """The command line; 0 it is so, 1 it is not, 2 bad usage."""
    if len(arguments) == 2 and arguments[0] == "--start":
        request: Answer = {"do": "start"}
    elif len(arguments) == 3 and arguments[0] == "--tell":
        text = arguments[2]
        request = json.loads(text) if text.startswith("{") else {"do": text}
    else:
        sys.stderr.write("usage: supervisor.py --start FOLDER | --tell FOLDER REQUEST\n")
        return 2
    try:
        os.chdir(arguments[1])
        answer = tell(request)
    except (OSError, ValueError) as problem:
        answer = {"ok": False, "state": "unknown", "pid": 0, "why": str(problem), "log": []}
    sys.stdout.write(json.dumps(answer) + "\n")
    return 0 if answer.get("ok") else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
