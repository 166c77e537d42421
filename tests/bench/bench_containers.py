"""Measures `firescreen scan` of a host with 50 containers against one `docker inspect` of them all, in the same run.

On a dockerd of its own, as root. Exits with 1 where the scan takes more than LIMIT seconds of processor time
longer, which other processes on the machine do not affect; on an idle machine that is about the time that a
user waits, which is printed too.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests/hosts"), str(ROOT)]

from docker_hosts import Docker  # noqa: E402 - of the tests on hosts
from machines import Network  # noqa: E402

MANY = 50
ROUNDS = 5
LIMIT = 1.5


def main() -> int:
    """Prints the figures; returns 1 if the limit is exceeded."""
    if os.geteuid() != 0:
        print("containers: needs root, to start a Docker daemon of its own; nothing was measured")
        return 0
    with (
        tempfile.TemporaryDirectory(prefix="firescreen-bench-") as folder,
        Network() as network,
        Docker(network) as docker,
    ):
        names = start(docker, Path(folder))
        workspace = Path(folder) / "workspace"
        scan = [sys.executable, "-m", "screens", "--workspace", str(workspace), "scan", "--json"]
        inspect = ["docker", "inspect", *names]
        times: dict[str, list[tuple[float, float]]] = {"scan": [], "inspect": []}
        for _ in range(ROUNDS):
            components = json.loads(run_timed(docker, scan, times["scan"]))["components"]
            found = [each for each in components if each["host"] and each.get("container")]
            run_timed(docker, inspect, times["inspect"])
        assert len(found) == MANY, f"{len(found)} were found"
    # Other processes on the machine can only make either of them slower.
    (scanned, waited), (inspected, _) = min(times["scan"]), min(times["inspect"])
    more = scanned - inspected
    print(
        f"containers: scan of {MANY} takes {scanned:.2f} s of processor time ({waited:.2f} s in all), docker inspect of "
        f"them all {inspected:.2f} s: {more:.2f} s more (limit {LIMIT} s)"
    )
    return 0 if more <= LIMIT else 1


def start(docker: Docker, folder: Path) -> list[str]:
    """Starts the containers of one project; returns their ids."""
    image = docker.image("node_exporter")
    services = {
        f"node{number}": {"image": image, "ports": [f"127.0.0.1:{9100 + number}:9100"]}
        for number in range(MANY)
    }
    (folder / "compose.yaml").write_text(json.dumps({"services": services}))  # JSON is YAML
    docker.compose(
        "-f", "compose.yaml", "-p", "many", "up", "-d", folder=folder, generation="trixie", timeout=600
    )
    return docker.docker("ps", "-q").split()


def run_timed(docker: Docker, argv: Sequence[str], seconds: list[tuple[float, float]]) -> str:
    """Returns a command's output on the daemon's host; appends its processor time, with children, and its duration."""
    environment = {**os.environ, **docker.environment("trixie"), "PYTHONPATH": str(ROOT)}
    begin, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    ended = subprocess.run(
        [*docker.enter, *argv], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    seconds.append((used, time.monotonic() - begin))
    if ended.returncode not in (0, 3):
        raise RuntimeError(f"{argv[:6]}: {ended.returncode}: {ended.stderr[-2000:]}")
    return ended.stdout


if __name__ == "__main__":
    sys.exit(main())
