"""200 hosts in one run, each with an sshd and a node_exporter of its own: all verified, in little memory,
keys answered.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
from machines import Network
from many_hosts import Hosts, many_hosts

from screens.app import FirescreenApp, make_app
from screens.plan.screen import PlanPage
from screens.run.host_table import HostTable
from screens.run.screen import RunPage
from screens.verification.screen import VerificationPage
from tests.processes import run_program

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(900)]

COUNT = 200
MEMORY = 300.0
"""MiB."""
PRESSES = 20
"""Keys that are answered while the run goes on, at least. How fast depends on what else this machine does: it plays the
200 hosts too. `tests/bench/bench_many_hosts.py` measures that."""
FILES = 1024
"""Open files that a login shell allows where nobody raised it."""


@pytest.fixture(scope="module")
def hosts(network: Network) -> Iterator[Hosts]:
    with many_hosts(network, COUNT) as hosts:
        yield hosts


def stack_file(hosts: Hosts, folder: Path) -> Path:
    stack = hosts.stack()
    path = folder / "firescreen.yaml"
    kept = ("connect", "address", "user", "identity_file", "known_hosts")
    path.write_text(
        json.dumps(
            {
                "version": 1,
                "hosts": {spec.name: {key: asdict(spec)[key] for key in kept} for spec in stack.hosts},
                "components": [
                    {"host": each.host, "name": each.name, "protect": list(each.protect)}
                    for each in stack.components
                ],
            }
        )
    )
    return path


def command(network: Network, folder: Path, *words: str | Path) -> tuple[str, float, float]:
    """Returns the output of `firescreen`, its seconds and its peak memory (MiB); it must succeed."""
    program = [sys.executable, "-m", "wizard.cli", "--workspace", folder / "workspace", *words]
    with (folder / "said").open("w+") as output:
        began = time.monotonic()
        process = subprocess.Popen(
            [*network.enter, "prlimit", f"--nofile={FILES}", "--", *program], stdout=output, stderr=output
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - began
        output.seek(0)
        text = output.read()
    assert process.returncode == 0, text[-3000:]
    return text, seconds, used.ru_maxrss / 1024


def answers(hosts: Hosts, network: Network) -> set[str]:
    """Returns the HTTP status codes that curl gets from the exporters of all hosts by plain http."""
    urls = [
        word for at in hosts.addresses.values() for word in ("-o", "/dev/null", f"http://{at}:9100/metrics")
    ]
    asked = run_program(
        [*network.enter, "curl", "-s", "-m", "60", "-w", "%{http_code}\n", *urls], timeout=120
    )
    found = asked.stdout.split()
    assert len(found) == COUNT
    return set(found)


def test_a_command_secures_200_hosts_and_undoes_it(
    hosts: Hosts, network: Network, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    before = hosts.all_files()
    assert answers(hosts, network) == {"200"}
    text, seconds, memory = command(network, tmp_path, "apply", stack_file(hosts, tmp_path), "--yes")
    record_property("apply, s", round(seconds, 1))
    record_property("apply, MiB", round(memory))
    assert f"{COUNT * 5} of {COUNT * 5} probes ended as expected" in text
    assert f"on srv001, srv002, srv003 and {COUNT - 3} more hosts, one each." in text
    assert memory < MEMORY
    assert answers(hosts, network) == {"400"}
    _, seconds, memory = command(network, tmp_path, "undo", "--yes")
    record_property("undo, s", round(seconds, 1))
    record_property("undo, MiB", round(memory))
    assert memory < MEMORY
    assert hosts.all_files() == before
    assert answers(hosts, network) == {"200"}


async def test_the_screen_answers_while_200_hosts_are_secured(
    hosts: Hosts, network: Network, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    with network.entered():
        app = make_app(stack=stack_file(hosts, tmp_path), workspace=tmp_path / "workspace")
        async with app.run_test(size=(80, 24)) as pilot:
            began = time.monotonic()
            await ready(lambda: app.session.scan is not None and not app.session.busy)
            record_property("look, s", round(time.monotonic() - began, 1))
            began = time.monotonic()
            app.push_screen(PlanPage())
            await ready(
                lambda: isinstance(app.screen, PlanPage) and app.screen.check_action("apply", ()) is True
            )
            record_property("plan, s", round(time.monotonic() - began, 1))
            await pilot.press("a")
            await pilot.press("enter")
            await ready(lambda: isinstance(app.screen, RunPage))
            presses = await pressed(app)
            record_property("presses", len(presses))
            record_property("median press, ms", round(statistics.median(presses) * 1000))
            most = statistics.quantiles(presses, n=20)[-1]
            record_property("95 % of the presses, ms", round(most * 1000))
            record_property("worst press, ms", round(max(presses) * 1000))
            assert app.run_state.result == "proven"
            assert [row.state for row in app.run_state.hosts] == ["proven"] * COUNT
            assert len(presses) > PRESSES
            app.client.engine.close()  # it scans the hosts again by now, which are about to end


async def pressed(app: FirescreenApp) -> list[float]:
    """Opens and closes the help during the run; returns the seconds from each key to its drawing."""
    page = app.screen
    await ready(lambda: len(page.query_one(HostTable).rows) == COUNT)
    found = []
    while app.run_state.busy:
        before, painted = page.has_class("-aside"), asyncio.Event()
        began = time.monotonic()
        app.simulate_key("question_mark")
        await ready(lambda before=before: page.has_class("-aside") != before)  # type: ignore[misc]
        page.call_after_refresh(painted.set)
        await painted.wait()
        found.append(time.monotonic() - began)
        await asyncio.sleep(0.1)
    await ready(lambda: app.run_state.phase == "finished" and not app.runs.working)
    if page.has_class("-aside"):
        app.simulate_key("question_mark")
    await ready(lambda: isinstance(app.screen, VerificationPage) and bool(app.screen.query("#ups")))
    return found


async def ready(wanted: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 300
    while not wanted():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.002)
