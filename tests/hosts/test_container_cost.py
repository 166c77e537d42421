"""The cost of securing containers in scrapes, and no secret readable by others, with all five components."""

from __future__ import annotations

import base64
import json
import math
import re
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from compose_projects import PORTS, Project, project, stack_of
from docker_hosts import Docker
from machines import Network

from tests.integration.full_stack import lost_scrapes
from tests.processes import run_program

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(900)]

SERVICES = (("exporter", 9100), ("push", 9091), ("alertmanager", 9093), ("blackbox", 9115))
TARGETS = ("localhost:9090", "exporter:9100", "push:9091", "alertmanager:9093", "blackbox:9115")
BEFORE = ("prometheus",)
TOGETHER = ("alertmanager", "node_exporter", "pushgateway")
PASSWORD = ("tls", "basic_auth")


def test_few_scrapes_are_lost_and_no_secret_is_readable(
    docker: Docker, network: Network, tmp_path: Path
) -> None:
    images = {name: docker.image(name) for name in PORTS}
    with project(docker, network, tmp_path, "trixie") as mine:
        begin = time.time()
        mine.write_all(images)
        mine.up(*PORTS.values())
        others = [name for name in PORTS if name not in BEFORE]
        mine.stack.write_text(stack_of(BEFORE, ("tls",), others))
        planned = mine.run("plan", str(mine.stack), "--json", code=3)
        gaps = [each for each in planned["gaps"] if "its container is made anew" in each]
        assert len(gaps) == 1, "Prometheus gets a folder for its files"
        mine.run("apply", str(mine.stack), "--yes")

        # Three servers of one job are recreated for TLS, and the blackbox exporter, which probes one, for a mount with the
        # CA certificate.
        lost_scrapes = scrapes_lost(
            mine, stack_of((*BEFORE, *TOGETHER), ("tls",), ("blackbox_exporter",)), ("tls",)
        )
        print(f"lost for TLS: {lost_scrapes}")
        assert [name for name, count in lost_scrapes.items() if count > (name != "localhost:9090")] == [], (
            lost_scrapes
        )

        mine.stack.write_text(stack_of(PORTS, ("tls",)))
        mine.run("apply", str(mine.stack), "--yes")
        lost_scrapes = scrapes_lost(mine, stack_of(PORTS, PASSWORD), PASSWORD)
        print(f"lost for a password: {lost_scrapes}")
        assert set(lost_scrapes.values()) == {0}, "no container is made anew for a password"

        hidden = secrets(mine)
        assert len(hidden) >= 10
        assert leaks(readable(mine, begin), hidden) == {}
        password = (mine.workspace / "users/prometheus.password").read_text()
        box = docker.docker("run", "-d", "--env", f"TOKEN={password}", images["node_exporter"]).strip()
        try:
            found = set(leaks(readable(mine, begin), hidden))
        finally:
            docker.docker("rm", "-f", box)
        assert found == {"docker inspect", "environments and arguments"}, "the search finds one that is there"


def scrapes_lost(mine: Project, stack: str, protect: tuple[str, ...]) -> dict[str, int]:
    """Returns how many scrapes of each target were lost while that stack was applied, from Prometheus' own samples.

    Not counted: scrapes during the start of the target's own container, until its program serves, and those
    that timed out on a busy machine.

    Args:
        protect: the level of Prometheus afterwards.
    """
    mine.stack.write_text(stack)
    begin = time.time()
    with handshakes(mine) as answered:
        outcome = mine.run("apply", str(mine.stack), "--yes", "--json")
    end = time.time()
    assert outcome["state"] == "proven"

    def samples(text: str) -> list[dict[str, Any]]:
        # The URL that the blackbox exporter probes, and so the target's name, changes with the scheme.
        return mine.query(text.replace("[", '{job="all"}['), protect)

    found = lost_scrapes(samples, TARGETS, begin, end, label="instance")
    starts = own_starts(mine, begin, end, answered)
    return {
        name: max(0, one.failed + one.missing - one.late - starts.get(name.partition(":")[0], 0))
        for name, one in found.items()
    }


@contextmanager
def handshakes(mine: Project) -> Iterator[dict[str, list[float]]]:
    """Records when each service finished a TLS handshake at its published port, ten times a second."""
    answered: dict[str, list[float]] = {service: [] for service, _ in SERVICES}
    over = threading.Event()

    def look() -> None:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        while not over.wait(0.1):
            for service, port in SERVICES:
                with (
                    suppress(OSError),
                    socket.create_connection(("127.0.0.1", port), timeout=0.5) as plain,
                    context.wrap_socket(plain),
                ):
                    answered[service].append(time.time())

    with mine.network.entered():
        looking = threading.Thread(target=look)
        looking.start()
    try:
        yield answered
    finally:
        over.set()
        looking.join()


def own_starts(
    mine: Project, begin: float, end: float, answered: Mapping[str, Sequence[float]]
) -> dict[str, int]:
    """Returns the seconds, and so scrapes, from the end of the old container until the new one serves, by service."""
    words = ["--since", str(int(begin)), "--until", f"{end:.0f}", "--filter", "type=container"]
    events = mine.docker.docker("events", *words, "--format", "{{json .}}")
    down: dict[str, int] = {}
    ended: dict[str, float] = {}
    for line in events.splitlines():
        event = json.loads(line)
        service, at = (
            event["Actor"]["Attributes"].get("com.docker.compose.service", ""),
            event["timeNano"] / 1e9,
        )
        if event["Action"] == "die":
            ended[service] = at
        elif event["Action"] == "start" and service in ended:
            serves = next((each for each in answered.get(service, ()) if each > at), at)
            down[service] = down.get(service, 0) + math.ceil(serves - ended.pop(service))
    return down


def secrets(mine: Project) -> set[str]:
    """Returns every password, hash and private key, also as encoded in a header or a Compose file."""
    found = set()
    for path in (*mine.workspace.rglob("*"), *mine.folder.rglob("*")):
        if path.is_file() and path.suffix in (".password", ".key", ".yml"):
            text = path.read_text()
            if path.suffix == ".password":
                found |= {text, base64.b64encode(f"prometheus:{text}".encode()).decode()}
            elif path.suffix == ".key":
                found.add(text.splitlines()[1])
            hashes = re.findall(r"\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}", text)
            found |= {each for one in hashes for each in (one, one.replace("$", "$$"))}
    return found


def readable(mine: Project, begin: float) -> dict[str, str]:
    """Returns everything of the containers that others may read: files, daemon, processes and logs."""
    boxes = mine.docker.docker("ps", "-aq").split()
    inspected = mine.docker.docker("inspect", *boxes)
    pids = [str(one["State"]["Pid"]) for one in json.loads(inspected) if one["State"]["Pid"]]
    processes = [f"/proc/{pid}/{name}" for pid in pids for name in ("environ", "cmdline")]
    return {
        "compose.yaml": (mine.folder / "compose.yaml").read_text(),
        "prometheus.yml": (mine.folder / "prometheus/prometheus.yml").read_text(),
        "docker inspect": inspected,
        "docker events": mine.docker.docker(
            "events", "--since", str(int(begin)), "--until", str(int(time.time()))
        ),
        "environments and arguments": subprocess.run(
            [*mine.docker.enter, "cat", *processes], capture_output=True, check=True, timeout=20
        ).stdout.decode(),
        "docker logs": "".join(logs(mine, box) for box in boxes),
    }


def logs(mine: Project, box: str) -> str:
    """Returns both outputs of a container."""
    ended = run_program(["docker", "logs", box], env=mine.docker.environment(), timeout=20, check=True)
    assert ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


def leaks(places: dict[str, str], hidden: set[str]) -> dict[str, int]:
    """Returns the number of secrets in each place that has any."""
    counted = {place: sum(secret in text for secret in hidden) for place, text in places.items()}
    return {place: count for place, count in counted.items() if count}
