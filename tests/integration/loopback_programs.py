"""Starts real programs on loopback for tests, waits for a line of their log, and ends them by their process id."""

from __future__ import annotations

import fcntl
import os
import random
import socket
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

READY_TIMEOUT = 90
"""Seconds that a program may take until it logs that it is ready."""


_RESERVED: deque[int] = deque()
"""The ports that this process got last: they stay locked until it has got 500 others."""


@cache
def _port_locks() -> int:
    """Returns a file whose byte N is locked by the process that got port N."""
    path = Path(tempfile.gettempdir()) / f"firescreen-test-ports-{os.getuid()}"
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def free_port() -> int:
    """Returns a port that nothing listens on, and that is given to no other test process and no outgoing
    connection meanwhile.
    """
    while len(_RESERVED) >= 500:
        fcntl.lockf(_port_locks(), fcntl.LOCK_UN, 1, _RESERVED.popleft())
    for port in random.sample(range(15000, 32000), 2000):
        if port in _RESERVED:
            continue
        try:
            fcntl.lockf(_port_locks(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
        except OSError:
            continue
        _RESERVED.append(port)
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise AssertionError("no free port between 15000 and 32000")


def free_address(port: int) -> str:
    """Returns a loopback address where nothing listens on that port, chosen at random so that nobody else uses it."""
    for _ in range(100):
        address = "127." + ".".join(str(random.randint(1, 254)) for _ in range(3))
        with socket.socket() as sock:
            try:
                sock.bind((address, port))
            except OSError:
                continue
        return address
    raise AssertionError(f"no free address for port {port}")


@contextmanager
def running_program(argv: Sequence[str], ready: str, *, cwd: Path | None = None) -> Iterator[list[str]]:
    """Starts a program, waits until it logs `ready`, and yields its log so far (a list that grows)."""
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=cwd)
    lines: list[str] = []
    is_ready = threading.Event()
    reader = threading.Thread(target=_read_log, args=(process, lines, ready, is_ready), daemon=True)
    reader.start()
    try:
        if not (is_ready.wait(READY_TIMEOUT) and any(ready in line for line in lines)):
            raise AssertionError(f"it never said {ready!r}:\n" + "\n".join(lines))
        yield lines
    finally:
        process.terminate()
        process.wait(60)
        reader.join(20)


def _read_log(
    process: subprocess.Popen[bytes], lines: list[str], ready: str, is_ready: threading.Event
) -> None:
    """Collects the lines of a program's log until it ends; sets `is_ready` after a line with `ready`, or at the end."""
    assert process.stdout is not None
    with process.stdout:
        # One reader for all lines: waiting for the pipe to become readable would miss lines that are buffered already.
        for line in process.stdout:
            lines.append(line.decode("utf-8", "replace").rstrip())
            if ready in lines[-1]:
                is_ready.set()
    is_ready.set()


@contextmanager
def exporter(
    program: str, folder: Path, port: int, web: str, *, host: str = "127.0.0.1"
) -> Iterator[list[str]]:
    """Runs node_exporter with this web configuration ('' for none)."""
    argv = [program, "--collector.disable-defaults", f"--web.listen-address={host}:{port}"]
    if web:
        path = folder / f"web-{port}.yml"
        path.write_text(web)
        argv.append(f"--web.config.file={path}")
    with running_program(argv, "TLS is") as lines:
        yield lines


@contextmanager
def prometheus_server(program: str, folder: Path, port: int, config: str) -> Iterator[list[str]]:
    """Runs Prometheus with this configuration, in a folder of its own."""
    home = folder / f"prometheus-{port}"
    home.mkdir()
    (home / "prometheus.yml").write_text(config)
    argv = [
        program,
        f"--config.file={home}/prometheus.yml",
        f"--storage.tsdb.path={home}/data",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with running_program(argv, "Server is ready", cwd=home) as lines:
        yield lines
