"""Runs the faults between real programs of one generation, and records the error texts of both ends."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.integration.faults import PASSWORD, Fault, StartFault
from tests.integration.loopback_programs import exporter, free_port, prometheus_server
from tests.processes import run_program
from wizard import binaries, probes
from wizard.model import Attempt, Probe
from wizard.redact import Secret

TIMEOUT = 1.0
"""Seconds a scrape may take; the fault that heals by itself lasts longer."""


@dataclass
class Observation:
    """The error texts of one fault, at both ends."""

    fault: Fault
    port: int
    web: Path | None
    log: list[str]
    last_error: str = ""
    up: bool = False
    attempt: Attempt | None = None
    curl: str = ""
    python: str = ""

    def server(self) -> list[str]:
        """Returns the server's log after its start."""
        return [line for line in self.log if "TLS is" not in line and "istening on" not in line]


@dataclass
class Laboratory:
    """All scrape faults of one generation, with the texts of each by its name."""

    suite: str
    folder: Path
    config: Path
    port: int
    seen: dict[str, Observation] = field(default_factory=dict)
    prometheus_log: list[str] = field(default_factory=list)


@contextmanager
def laboratory(faults: list[Fault], folder: Path, *, suite: str, cache: Path) -> Iterator[Laboratory]:
    """Starts the servers and one Prometheus with a job for each; yields the recorded texts while they still run."""
    programs = {
        name: binaries.find(name, cache=cache, suite=suite).path for name in ("node_exporter", "prometheus")
    }
    with ExitStack() as stack:
        wanted = [fault for fault in faults if suite in fault.suites]
        with ThreadPoolExecutor(8) as pool:
            started = list(pool.map(lambda fault: _start(fault, folder, programs["node_exporter"]), wanted))
        seen = {}
        for fault, (context, observation) in zip(wanted, started, strict=True):
            stack.push(context)
            seen[fault.name] = observation
            if fault.after and observation.web:
                fault.after(observation.web)
        jobs = "".join(f"- {json.dumps(_job(observation))}\n" for observation in seen.values())
        config = f"global: {{scrape_interval: 1s, scrape_timeout: {TIMEOUT:g}s}}\nscrape_configs:\n{jobs}"
        port = free_port()
        lines = stack.enter_context(prometheus_server(programs["prometheus"], folder, port, config))
        lab = Laboratory(suite, folder, folder / f"prometheus-{port}" / "prometheus.yml", port, seen, lines)
        with ThreadPoolExecutor(16) as pool:
            asking = [pool.submit(_ask, observation) for observation in seen.values()]
            _watch(lab)
            for each in asking:
                each.result()
        yield lab


def _start(fault: Fault, folder: Path, program: str) -> tuple[ExitStack, Observation]:
    stack = ExitStack()
    if fault.server and fault.server != "nothing":
        return stack, Observation(fault, stack.enter_context(_pretender(fault.server)), None, [])
    port = free_port()
    if fault.server:
        return stack, Observation(fault, port, None, [])
    lines = stack.enter_context(exporter(program, folder, port, fault.web or ""))
    return stack, Observation(fault, port, folder / f"web-{port}.yml" if fault.web else None, lines)


def _job(observation: Observation) -> dict[str, Any]:
    fault = observation.fault
    settings = json.loads(json.dumps(dict(fault.job)).replace("{port}", str(observation.port)))
    return {
        "job_name": fault.name,
        "scheme": fault.scheme,
        "metrics_path": fault.path,
        "static_configs": [{"targets": [f"{fault.host}:{observation.port}"]}],
        **settings,
    }


def _watch(lab: Laboratory) -> None:
    """Records the first lastError of every job, except those whose cause Prometheus hides."""
    wanted = {name for name, observation in lab.seen.items() if not observation.fault.hidden}
    end = time.monotonic() + 60
    known: dict[str, Mapping[str, Any]] = {}
    while wanted - set(known) and time.monotonic() < end:
        url = f"http://127.0.0.1:{lab.port}/api/v1/targets?state=active"
        with urllib.request.urlopen(url, timeout=10) as answer:
            targets = json.load(answer)["data"]["activeTargets"]
        counting = (each for each in targets if _counts(lab.seen[each["scrapePool"]], each))
        known = {each["scrapePool"]: each for each in counting} | known
        time.sleep(0.1)
    missing = wanted - set(known)
    assert not missing, f"Prometheus did not get round to {sorted(missing)}"
    assert not {name for name in known if name not in wanted}, "a job that should be left out is there"
    for name, target in known.items():
        lab.seen[name].last_error, lab.seen[name].up = target["lastError"], target["health"] == "up"


def _counts(observation: Observation, target: Mapping[str, Any]) -> bool:
    """Whether this is Prometheus' final answer, not one that it gives while this machine is too busy."""
    late = "deadline exceeded" in target["lastError"]
    return target["health"] != "unknown" and (not late or observation.fault.slow)


def probe_of(observation: Observation) -> Probe:
    """Returns the request that Firescreen would make."""
    fault, job = observation.fault, observation.fault.job
    files, login = job.get("tls_config", {}), job.get("basic_auth", {})
    password = Path(login["password_file"]) if login else None
    return Probe(
        id=fault.name,
        host="here",
        component="node_exporter",
        name=fault.name,
        client="Prometheus",
        expect="200",
        url=f"{fault.scheme}://{fault.host}:{observation.port}{fault.path}",
        ca_file=files.get("ca_file", ""),
        cert_file=files.get("cert_file", ""),
        key_file=files.get("key_file", ""),
        server_name=files.get("server_name", ""),
        # The server caches the result of a costly check for each user: our request must not save Prometheus that check.
        user="second" if fault.passing else login.get("username", ""),
        password=Secret(password.read_text().strip()) if password and password.exists() else None,
        timeout=TIMEOUT if fault.slow else 15.0,
    )


def _ask(observation: Observation) -> None:
    probe = probe_of(observation)
    observation.attempt = probes.run(probe)
    proxy = str(observation.fault.job.get("proxy_url", "")).replace("{port}", str(observation.port))
    observation.curl = _curl(probe, proxy)
    observation.python = _python(probe, proxy)


def _curl(probe: Probe, proxy: str) -> str:
    command = ["curl", "-sS", "--max-time", f"{probe.timeout:g}", "-w", "\nHTTP/1.1 %{http_code}\n"]
    for option, value in (
        ("--cacert", probe.ca_file),
        ("--cert", probe.cert_file),
        ("--key", probe.key_file),
        ("-x", proxy),
    ):
        command += [option, value] if value else []
    if probe.user:
        command += ["-u", f"{probe.user}:{probe.password.reveal() if probe.password else ''}"]
    result = run_program([*command, probe.url], errors="replace", timeout=40)
    return f"{result.stdout[:400]}{result.stderr}" if result.returncode else result.stdout[-400:]


def _python(probe: Probe, proxy: str) -> str:
    """Returns the error of a Python client with the standard library, '' if it succeeds."""
    try:
        context = ssl.create_default_context(cafile=probe.ca_file or None)
        if probe.cert_file:
            context.load_cert_chain(probe.cert_file, probe.key_file, password=lambda: b"")
        request = urllib.request.Request(probe.url)
        if probe.user:
            login = f"{probe.user}:{probe.password.reveal() if probe.password else ''}".encode()
            request.add_header("Authorization", f"Basic {base64.b64encode(login).decode()}")
        proxies = {"https": proxy} if proxy else {}
        with urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=context), urllib.request.ProxyHandler(proxies)
        ).open(request, timeout=probe.timeout) as answer:
            answer.read()
            return ""
    except Exception as error:  # noqa: BLE001 - its text is what this is about
        return f"{type(error).__module__}.{type(error).__qualname__}: {error}"


# ---------------------------------------------------------------------------------------------------------
# Servers that are no exporters
# ---------------------------------------------------------------------------------------------------------


@contextmanager
def _pretender(kind: str) -> Iterator[int]:
    """Opens a socket that is silent, hangs up, greets like SSH, refuses like a proxy, or accepts nothing;
    returns its port.
    """
    with socket.socket() as listening, ExitStack() as stack:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        listening.listen(0 if kind == "full" else 64)
        if kind == "full":
            # When nobody accepts from the full queue, the kernel drops new connections, as a firewall would.
            for _ in range(4):
                sock = stack.enter_context(socket.socket())
                sock.setblocking(False)
                sock.connect_ex(("127.0.0.1", port))
            yield port
            return
        listening.settimeout(0.2)
        over = threading.Event()
        thread = threading.Thread(target=_serve, args=(kind, listening, over), daemon=True)
        thread.start()
        try:
            yield port
        finally:
            over.set()
            thread.join(5)


def _serve(kind: str, listening: socket.socket, over: threading.Event) -> None:
    kept: list[socket.socket] = []
    said = {
        "ssh": b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n",
        "proxy": b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        "rubbish": b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 13\r\n"
        b"Connection: close\r\n\r\n<html></html>",
        "mislabelled": b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 7\r\n"
        b"Connection: close\r\n\r\nup_a 1\n",
    }
    while not over.is_set():
        try:
            sock, _ = listening.accept()
        except TimeoutError:
            continue
        if kind == "silent":
            kept.append(sock)
            continue
        if kind == "late":
            threading.Thread(target=_late, args=(sock, over), daemon=True).start()
            continue
        try:
            sock.settimeout(1)
            if kind != "ssh":
                sock.recv(65536)
            sock.sendall(said.get(kind, b""))
            if kind == "ssh":
                sock.recv(65536)
        except OSError:
            pass
        sock.close()
    for sock in kept:
        sock.close()


def _late(sock: socket.socket, over: threading.Event) -> None:
    """Answers correctly, but after the scrape timeout."""
    with sock:
        try:
            sock.settimeout(5)
            begun = sock.recv(65536)
            over.wait(1.4 * TIMEOUT)
            if begun.startswith(b"GET"):
                sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nx 1\n")
        except OSError:
            return


# ---------------------------------------------------------------------------------------------------------
# Programs that do not start
# ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Refused:
    """A start fault in its folder: the program's last output, and the address where it would have listened."""

    fault: StartFault
    port: int
    folder: Path
    text: str
    code: int


def refuse(fault: StartFault, folder: Path, *, program: str, taken: int) -> Refused:
    """Starts the program with its fault, and waits until it has ended."""
    home = folder / fault.name.replace(" ", "-").replace("'", "")
    home.mkdir(parents=True)
    for name, content in fault.files.items():
        (home / name).write_bytes(content)
    (home / "web.yml").write_text(fault.web)
    for name in fault.closed:
        (home / name).chmod(0)
    port = free_port()
    flags = [flag.replace("{taken}", str(taken)) for flag in fault.flags]
    argv = [program]
    if not any("web.listen" in flag for flag in flags):
        argv.append(f"--web.listen-address=127.0.0.1:{port}")
    if fault.web:
        argv.append("--web.config.file=web.yml")
    argv += flags
    if fault.closed and os.geteuid() == 0:
        # Root may read everything; this drops that right, as the service's own user has none of it.
        setpriv = shutil.which("setpriv")
        assert setpriv, "setpriv (util-linux) is needed"
        argv = [setpriv, "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all", *argv]
    result = run_program(argv, cwd=home, timeout=20)
    return Refused(fault, port, home, result.stdout + result.stderr, result.returncode)


__all__ = ["PASSWORD", "Laboratory", "Observation", "Refused", "laboratory", "probe_of", "refuse"]
