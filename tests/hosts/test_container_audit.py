"""The audit of real containers: each fault is found with its evidence, and not after its repair."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from compose_projects import SCRAPE, Project, project
from docker_hosts import Docker
from machines import Network

from tests.integration import contract

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(600)]

COMPOSE = """\
services:
  prometheus:
    image: {prometheus}
    volumes: ["./prometheus:/etc/prometheus"]
    ports: ["127.0.0.1:9090:9090"]
  exporter:
    image: {exporter}
    ports: ["9100:9100"]
"""
KEPT = Path(__file__).parent / "data" / "container_contract.json"
MANUAL = Path(__file__).parents[2] / "assets/docs/json.md"
LEFT = {"CRT-06", "AUT-04", "CFG-04", "CVE-01", "CVE-02"}
"""What Firescreen leaves in a stack that it has secured, and is so."""


def audit(mine: Project) -> dict[tuple[str, str], dict[str, Any]]:
    """Returns the findings, by check and component; every check must have run."""
    ended = mine.start("audit", str(mine.stack), "--json")
    assert ended.returncode in (0, 3), ended.stderr
    document = json.loads(ended.stdout)
    assert document["could_not_check"] == []
    return {(each["id"], each["component"]): each for each in document["findings"]}


def check_contract(components: dict[str, Any]) -> None:
    """Checks the keys and types of a container in `scan --json`: a key may be added, none removed, no type changed.

    Recorded in data/container_contract.json. FIRESCREEN_GOLDEN=1 writes the file anew.
    """
    now = contract.shape([each["container"] for each in components.values()])
    if os.environ.get("FIRESCREEN_GOLDEN"):
        KEPT.write_text(json.dumps(now, indent=1) + "\n")
    assert contract.missing(json.loads(KEPT.read_text()), now) == []
    assert all(f"`{key[3:]}" in MANUAL.read_text() for key in now if key.count(".") == 1), (
        "the manual names each"
    )


def test_containers_with_faults_and_without(docker: Docker, network: Network) -> None:
    images = {"prometheus": docker.image("prometheus"), "exporter": docker.image("node_exporter", user="")}
    # pytest's own folder is private, whatever the modes below it.
    with (
        tempfile.TemporaryDirectory(prefix="firescreen-audit-") as folder,
        project(docker, network, Path(folder), "trixie") as mine,
    ):
        Path(folder).chmod(0o755)
        mine.write(COMPOSE.format(**images), SCRAPE.format(target="exporter:9100"))
        mine.up(9090, 9100)
        compose = mine.folder / "compose.yaml"
        check_contract(mine.scan(code=3))
        first = audit(mine)
        as_root, published = first["CTR-01", "node_exporter"], first["EXP-05", "node_exporter"]
        assert "mon-exporter-1" in as_root["evidence"] and "user number 0" in as_root["evidence"]
        assert "mon-exporter-1" in published["evidence"] and "port 9100" in published["evidence"]
        assert as_root["file"] == published["file"] == str(compose)
        assert published["step"] == "secure here/node_exporter"
        assert {("EXP-01", "node_exporter"), ("EXP-02", "node_exporter"), ("EXP-01", "prometheus")} <= set(
            first
        )
        quiet = {("CTR-01", "prometheus"), ("EXP-05", "prometheus"), ("EXP-02", "prometheus")}
        assert not quiet & set(first), "it runs as nobody, and is published on loopback"

        text = compose.read_text()
        mended = text.replace('["9100:9100"]', '["127.0.0.1:9100:9100"]\n    user: "65534:65534"')
        compose.write_text(mended)
        mine.compose("up", "-d")
        mine.answers(9090, 9100)
        assert not {each for each in audit(mine) if each[0] in ("CTR-01", "EXP-05", "EXP-02")}

        compose.write_text(text.replace('"9100:9100"]', '"9100:9100"]\n    user: "65534:65534"'))
        mine.compose("up", "-d")
        mine.answers(9090, 9100)
        assert ("EXP-05", "node_exporter") in audit(mine)
        mine.run("apply", str(mine.stack), "--yes")
        secured = audit(mine)
        assert {check for check, _ in secured} <= LEFT, "one with a password may be published"

        # On the host's side of the mount.
        key = mine.folder / "firescreen-exporter/node_exporter.key"
        key.chmod(0o644)
        key.parent.chmod(0o755)
        readable = audit(mine)["FIL-01", "node_exporter"]
        assert readable["file"] == str(key) and "mode 0644" in readable["evidence"]
        key.chmod(0o640)
        key.parent.chmod(0o750)
        scrape = mine.folder / "prometheus/prometheus.yml"
        good = scrape.read_text()
        scrape.write_text(good.replace("tls_config:\n", "tls_config:\n      insecure_skip_verify: true\n", 1))
        skips = audit(mine)["CFG-01", "prometheus"]
        assert skips["file"] == str(scrape) and skips["line"] > 0
        scrape.write_text(good)
        assert set(audit(mine)) == set(secured)
