"""Real programs on loopback for the probes' tests: started, waited for by their own log, ended by their id."""

from __future__ import annotations

import selectors
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


def free_port() -> int:
    """A port that nothing listens on at this moment."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextmanager
def running(argv: Sequence[str], ready: str, *, cwd: Path | None = None) -> Iterator[list[str]]:
    """The program from the moment it logs `ready`; yields what it has logged so far (it grows)."""
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=cwd)
    assert process.stdout is not None
    lines: list[str] = []
    reader: threading.Thread | None = None
    try:
        _until(process, ready, lines)
        reader = threading.Thread(target=_drain, args=(process, lines), daemon=True)
        reader.start()
        yield lines
    finally:
        process.terminate()
        process.wait(20)
        if reader is not None:
            reader.join(20)
        process.stdout.close()


def _until(process: subprocess.Popen[bytes], ready: str, lines: list[str], limit: float = 30) -> None:
    assert process.stdout is not None
    end = time.monotonic() + limit
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while time.monotonic() < end:
            selector.select(1)
            line = process.stdout.readline().decode("utf-8", "replace")
            if not line:
                break
            lines.append(line.rstrip())
            if ready in line:
                return
    raise AssertionError(f"it never said {ready!r}:\n" + "\n".join(lines))


def _drain(process: subprocess.Popen[bytes], lines: list[str]) -> None:
    assert process.stdout is not None
    lines.extend(line.decode("utf-8", "replace").rstrip() for line in process.stdout)


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
