"""Real programs on loopback for the probes' tests: started, waited for by their own log, ended by their id."""

from __future__ import annotations

import random
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

READY_TIMEOUT = 30
"""Seconds that a program may take until it says that it is ready."""


def free_port() -> int:
    """A port that nothing listens on, and that no outgoing connection is given before it is used."""
    for port in random.sample(range(15000, 32000), 200):
        with socket.socket() as sock, suppress(OSError):
            sock.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no free port between 15000 and 32000")


@contextmanager
def running(argv: Sequence[str], ready: str, *, cwd: Path | None = None) -> Iterator[list[str]]:
    """The program from the moment it logs `ready`; yields what it has logged so far (it grows)."""
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=cwd)
    lines: list[str] = []
    said = threading.Event()
    reader = threading.Thread(target=_read_log, args=(process, lines, ready, said), daemon=True)
    reader.start()
    try:
        if not (said.wait(READY_TIMEOUT) and any(ready in line for line in lines)):
            raise AssertionError(f"it never said {ready!r}:\n" + "\n".join(lines))
        yield lines
    finally:
        process.terminate()
        process.wait(20)
        reader.join(20)


def _read_log(process: subprocess.Popen[bytes], lines: list[str], ready: str, said: threading.Event) -> None:
    """Collects what a program logs until it ends; sets `said` once a line has `ready`, or at the end."""
    assert process.stdout is not None
    with process.stdout:
        # One reader for all lines: waiting for the pipe to become readable would miss those that are buffered already.
        for line in process.stdout:
            lines.append(line.decode("utf-8", "replace").rstrip())
            if ready in lines[-1]:
                said.set()
    said.set()


@contextmanager
def exporter(
    program: str, folder: Path, port: int, web: str, *, host: str = "127.0.0.1"
) -> Iterator[list[str]]:
    """node_exporter with that web configuration ('' for none)."""
    argv = [program, "--collector.disable-defaults", f"--web.listen-address={host}:{port}"]
    if web:
        path = folder / f"web-{port}.yml"
        path.write_text(web)
        argv.append(f"--web.config.file={path}")
    with running(argv, "TLS is") as lines:
        yield lines


@contextmanager
def prometheus_server(program: str, folder: Path, port: int, config: str) -> Iterator[list[str]]:
    """Prometheus with that configuration, in a folder of its own."""
    home = folder / f"prometheus-{port}"
    home.mkdir()
    (home / "prometheus.yml").write_text(config)
    argv = [
        program,
        f"--config.file={home}/prometheus.yml",
        f"--storage.tsdb.path={home}/data",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with running(argv, "Server is ready", cwd=home) as lines:
        yield lines
