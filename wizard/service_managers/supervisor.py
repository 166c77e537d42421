"""Keeps one practice program running: a small supervisor that goes on after the wizard that started it has ended.

It is a separate script (standard library only), run as `python -I -S supervisor.py …`:


    --start FOLDER           starts the supervisor and its program unless they run; answers when it is up
    --tell FOLDER REQUEST    status, restart, reload or stop, as a word or as JSON; answers when it is done

FOLDER contains service.json (program, cwd), arguments (one flag per line, `#` comments), and files that the supervisor
writes: log, state.json, lock and the socket `control`.

An answer is one JSON document. A program that ends at once is reported with its own output and not tried again.
No signal goes to a process that merely has the pid of an earlier one.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import socket
import sys
import time
from collections.abc import Mapping
from typing import Any, NoReturn

if __name__ == "__main__":  # run without site packages (-I -S), so that nothing of a user's is loaded
    here = os.path.abspath(__file__)  # noqa: PTH100
    sys.path.insert(0, here[: -len("/wizard/service_managers/supervisor.py")])

from wizard.service_managers.supervised_process import PATIENCE, sweep
from wizard.service_managers.supervised_program import Answer, Supervisor

ANSWER = 40.0


def hold() -> int | None:
    """Takes the lock of this folder; None if a supervisor has it. The kernel releases it when the process dies."""
    number = os.open("lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(number)
        return None
    return number


def ask(request: Mapping[str, Any], control: str = "control") -> Answer | None:
    """Sends a request to the supervisor of this folder; returns None if there is none, or if it was killed just now.

    The path of the socket is relative to the folder: an absolute path may be longer than the 108 bytes of sun_path.
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
    """Starts a supervisor in a session of its own; returns its first answer."""
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
    """Runs as the supervisor of the current folder until a request or signal ends it; never returns."""
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
    """Passes a request on; `start` and `restart` start the supervisor if there is none."""
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
        # Another process has the lock and does not listen yet, or no longer.
        if time.monotonic() > deadline:
            return {"ok": False, "state": "unknown", "why": "its supervisor does not answer", "log": []}
        time.sleep(0.02)


def wait_for_end(deadline: float) -> None:
    """Returns when the supervisor has released the folder, so that the folder can be removed."""
    while time.monotonic() < deadline:
        lock = hold()
        if lock is not None:
            os.close(lock)
            return
        time.sleep(0.01)


def main(arguments: list[str]) -> int:
    """The command line; exit code 0 for success, 1 for failure, 2 for wrong usage."""
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
