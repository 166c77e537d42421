"""Measures `firescreen audit` against `firescreen scan` of the same hosts in the same run: the cost of forty checks.

On the practice stack, two hosts on loopback; and as root on 20 real hosts over SSH. Exits with 1 where an
audit of 20 hosts takes more than twice the time of their scan, or one of the practice stack more than LIMIT
times.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests/hosts"), str(ROOT)]

from machines import Machine, Network, fleet  # noqa: E402 - of the tests on hosts

MANY = 20
ROUNDS = 5
LIMITS = {"practice": 2.5, "20 hosts": 2.0}


def main() -> int:
    """Prints the figures; returns 1 if a limit is exceeded."""
    from platformdirs import user_cache_path

    from wizard import practice

    cache = Path(os.environ.get("FIRESCREEN_CACHE") or user_cache_path("firescreen"))
    with tempfile.TemporaryDirectory(prefix="firescreen-bench-") as folder:
        root = Path(folder) / "workspace"
        try:
            practice.up(root, cache)
            good = is_within_limit("practice", [], root, "practice")
        finally:
            practice.down(root, remove=True)
    if os.geteuid() != 0:
        print("audit: needs root, to boot 20 hosts of its own; only the practice stack was measured")
        return 0 if good else 1
    with (
        tempfile.TemporaryDirectory(prefix="firescreen-bench-") as folder,
        Network() as network,
        fleet("bookworm", MANY, network) as machines,
    ):
        stack = stack_of(Path(folder), machines)
        good &= is_within_limit(f"{MANY} hosts", network.enter, Path(folder) / "workspace", str(stack))
    return 0 if good else 1


def stack_of(folder: Path, machines: Sequence[Machine]) -> Path:
    """Returns a stack file of these hosts, each with a node_exporter."""
    specs = [machine.spec() for machine in machines]
    hosts = {
        spec.name: {
            "connect": "ssh",
            "address": spec.address,
            "user": spec.user,
            "identity_file": spec.identity_file,
            "known_hosts": spec.known_hosts,
        }
        for spec in specs
    }
    components = [{"host": spec.name, "name": "node_exporter", "protect": []} for spec in specs]
    path = folder / "firescreen.yaml"
    path.write_text(json.dumps({"version": 1, "hosts": hosts, "components": components}))
    return path


def is_within_limit(name: str, enter: Sequence[str], workspace: Path, stack: str) -> bool:
    """Returns whether the audit keeps within its limit; audit and scan take turns."""
    times: dict[str, list[float]] = {"scan": [], "audit": []}
    for _ in range(ROUNDS):
        for command, taken in times.items():
            words = [
                *enter,
                sys.executable,
                "-m",
                "wizard.cli",
                "--workspace",
                str(workspace),
                command,
                stack,
            ]
            began = time.monotonic()
            ended = subprocess.run(words, capture_output=True, check=False, cwd=ROOT)
            taken.append(time.monotonic() - began)
            assert ended.returncode == 3, ended.stderr
    scan, audit = (statistics.median(taken) for taken in times.values())
    limit = LIMITS[name]
    print(
        f"audit: {name}: scan {scan:.2f} s, audit {audit:.2f} s: {audit / scan:.2f} times, "
        f"{audit - scan:.2f} s more (limit {limit:g} times)"
    )
    return audit <= limit * scan


if __name__ == "__main__":
    sys.exit(main())
