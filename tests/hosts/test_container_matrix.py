"""All five components in containers, at each level, with each generation of Compose: secured, verified and undone.

Five components at four levels under three generations are sixty cases. A project has all five at once and
goes through the levels one after the other; across the generations each component runs as each of three uids.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from compose_projects import LEVELS, PORTS, Project, project, stack_of
from docker_hosts import GENERATIONS, Docker
from machines import Network

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(900)]

UIDS = ("65534", "65532", "")


def test_each_component_runs_under_each_uid() -> None:
    chosen = {(name, uid) for generation in GENERATIONS for name, uid in uids(generation).items()}
    assert chosen == {(name, uid) for name in PORTS for uid in UIDS}


@pytest.mark.parametrize("generation", GENERATIONS)
def test_five_components_at_each_level(
    docker: Docker, network: Network, tmp_path: Path, generation: str
) -> None:
    images = {name: docker.image(name, user=uid) for name, uid in uids(generation).items()}
    with project(docker, network, tmp_path, generation) as mine:
        mine.write_all(images)
        mine.up(*PORTS.values())
        seen = {name: each["container"]["uid"] for name, each in mine.scan(code=3).items()}
        assert seen == {name: int(uid or 0) for name, uid in uids(generation).items()}
        before = mine.files(), mine.shape()
        for level, protect in LEVELS.items():
            secure_and_undo(mine, level, protect)
            assert (mine.files(), mine.shape()) == before, level


def uids(generation: str) -> dict[str, str]:
    """Returns the uid of each component's image; '' is root."""
    first = list(GENERATIONS).index(generation)
    return {name: UIDS[(number + first) % len(UIDS)] for number, name in enumerate(PORTS)}


def secure_and_undo(mine: Project, level: str, protect: tuple[str, ...]) -> None:
    """Secures all at one level: applied, verified by every probe, nothing left to plan, up in Prometheus, undone."""
    mine.stack.write_text(stack_of(PORTS, protect))
    done = mine.run("apply", str(mine.stack), "--yes", "--json")
    assert done["state"] == "proven", level
    bad = [(each["name"], each["expect"], each["outcome"]) for each in done["probes"] if not each["ok"]]
    assert not bad, (level, bad)
    up = {each["component"] for each in done["probes"] if each["expect"] == "up"}
    rejected = {each["component"] for each in done["probes"] if each["expect"] not in ("up", "200")}
    assert up == rejected == set(PORTS), level
    assert mine.run("plan", str(mine.stack), "--json")["changes"] == [], level
    all_up(mine, level, protect)
    mine.run("undo", "--yes")


def all_up(mine: Project, level: str, protect: tuple[str, ...]) -> None:
    """Waits until Prometheus, queried without Firescreen's code, has every target up by HTTPS."""
    deadline = time.monotonic() + 60
    while True:
        found = mine.targets(protect)
        if len(found) == len(PORTS) + 1 and set(found.values()) == {"up"}:
            break
        assert time.monotonic() < deadline, (level, found)
        time.sleep(0.2)
    assert all(url.startswith("https://") for url in found), (level, found)
