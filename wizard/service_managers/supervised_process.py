"""Facts about a process for the practice stack's supervisor: start time, listening sockets, exit code.

Uses the standard library only: the supervisor runs without site packages.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

PATIENCE = 5.0
"""Seconds between SIGTERM and SIGKILL."""


def read_arguments(path: str) -> list[str]:
    """Reads arguments, one per line; strips blanks, skips `#` lines, knows no quoting."""
    with open(path, encoding="utf-8", errors="surrogateescape") as file:  # noqa: PTH123
        lines = [line.strip() for line in file]
    return [line for line in lines if line and not line.startswith("#")]


@functools.cache
def boot() -> str:
    """The id of this boot: after another one, processes may have the same pids and start times as before."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:  # noqa: PTH123
            return file.read().strip()
    except OSError:
        return ""


def start_time(pid: int) -> str:
    """The start time of a process as the system reports it; '' if there is no process with that pid."""
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
    """Whether the process itself has a listening TCP socket; None if the system does not report it."""
    try:
        links = [os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")]  # noqa: PTH115, PTH208
        inodes = {match.group(1) for link in links if (match := re.fullmatch(r"socket:\[(\d+)\]", link))}
        return any(
            not inodes.isdisjoint(_listening_inodes(f"/proc/{pid}/net/{table}")) for table in ("tcp", "tcp6")
        )
    except OSError:
        return None if start_time(pid) else False


def _listening_inodes(table: str) -> Iterator[str]:
    """The inodes of the listening sockets in a table of proc(5)."""
    # Listening sockets come first. Reading further makes the kernel go through all connections, for as many bytes as a
    # read requests: so each read requests one row, which has 150 bytes.
    with contextlib.suppress(FileNotFoundError), open(table, "rb", buffering=150) as file:  # noqa: PTH123
        file.readline()
        for line in file:
            # The fourth column is the state, 0A for LISTEN; the tenth the inode.
            row = line.decode().split()
            if row[3] != "0A":
                break
            yield row[9]


def describe(code: int | None) -> str:
    """An exit code as text."""
    if code is None:
        return "no code"
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def sweep() -> None:
    """Ends the program that a killed supervisor left running, but only if its pid still belongs to the same process."""
    try:
        with open("state.json", encoding="utf-8") as file:  # noqa: PTH123
            state = json.load(file)
        pid, mark = int(state["pid"]), str(state["born"])
    except (OSError, ValueError, KeyError, TypeError):
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + PATIENCE
        if pid > 1 and mark and start_time(pid) == mark:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        while mark and start_time(pid) == mark and time.monotonic() < deadline:
            time.sleep(0.01)
    state |= {"state": "stopped", "pid": 0, "born": ""}
    with open("state.json.new", "w", encoding="utf-8") as file:  # noqa: PTH123
        json.dump(state, file)
    os.replace("state.json.new", "state.json")  # noqa: PTH105


def prctl() -> Any:
    """The system call prctl; None if the system has none."""
    if sys.platform != "linux":
        return None
    import ctypes

    return ctypes.CDLL(None).prctl
