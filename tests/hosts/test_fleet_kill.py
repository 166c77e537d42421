"""The wizard is killed during a run over five hosts: each ends old and running, or new and verified.

A few times in `make test-hosts`; FIRESCREEN_FLEET_KILLS sets the number.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from machines import Network
from sites import NODES, Site, five

from wizard.model import HostSpec

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(7200)]

KILLS = int(os.environ.get("FIRESCREEN_FLEET_KILLS", "2"))


@pytest.fixture(scope="module")
def site(network: Network) -> Iterator[Site]:
    with five(network) as site:
        yield site


def written(site: Site, folder: Path) -> Path:
    """Writes the stack file."""

    def host(spec: HostSpec) -> dict[str, str]:
        return {
            "connect": "ssh",
            "address": spec.address,
            "user": spec.user,
            "identity_file": spec.identity_file,
            "known_hosts": spec.known_hosts,
        }

    stack = site.stack()
    path = folder / "firescreen.yaml"
    data = {
        "version": 1,
        "hosts": {spec.name: host(spec) for spec in stack.hosts},
        "components": [
            {"host": each.host, "name": each.name, "protect": list(each.protect)} for each in stack.components
        ],
        "users": {"prometheus": {"password": "generate"}},
    }
    path.write_text(json.dumps(data))  # JSON is YAML
    return path


class Wizard:
    """The command line, in the hosts' network."""

    def __init__(self, site: Site, folder: Path) -> None:
        self._words = [
            *site.network.enter,
            *(sys.executable, "-m", "wizard.cli", "--workspace", str(folder / "workspace")),
        ]

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self._words, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def run(self, *words: str) -> tuple[int, str]:
        process = self.start(*words)
        output, _ = process.communicate(timeout=300)
        return process.returncode, output


def test_killed_at_random_instants(site: Site, tmp_path: Path) -> None:
    wizard, stack = Wizard(site, tmp_path), str(written(site, tmp_path))
    before = site.all_files()
    begin = time.monotonic()
    code, output = wizard.run("apply", stack, "--yes")
    assert code == 0, output
    takes = time.monotonic() - begin
    assert wizard.run("undo", "--yes")[0] == 0
    assert site.all_files() == before
    seed = random.randrange(2**32)
    chance, ends = random.Random(seed), {"old": 0, "new": 0}
    for turn in range(KILLS):
        process = wizard.start("apply", stack, "--yes")
        try:
            process.wait(chance.uniform(0, takes))
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate(timeout=60)
        code, output = wizard.run("recover", "--yes")
        assert code == 0, (seed, turn, output)
        code, output = wizard.run("history", "--json")
        runs = [run["state"] for run in json.loads(output)]
        if runs and runs[0] == "proven":
            ends["new"] += 1
            code, output = wizard.run("verify", stack)
            assert code == 0, (seed, turn, output)
            code, output = wizard.run("undo", "--yes")
            assert code == 0, (seed, turn, output)
        else:
            ends["old"] += 1
        assert site.all_files() == before, (seed, turn, runs)
        assert all(map(site.plain, NODES)), (seed, turn)
        marks = [
            name
            for name, machine in site.machines.items()
            if machine.run(["test", "-e", "/run/firescreen.lock"]).returncode == 0
        ]
        assert not marks, (seed, turn, marks)
    print(f"seed {seed}: an apply takes {takes:.1f} s; {KILLS} killed: {ends}")
