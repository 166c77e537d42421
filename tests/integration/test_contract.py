"""The contract with other programs: keys and types of each --json document, and each exit code, on real programs.

Recorded in data/contract.json. A key may be added, none removed. FIRESCREEN_GOLDEN=1 writes the file anew.
"""

from __future__ import annotations

import json
import os
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.integration import contract
from tests.integration.command_line import firescreen
from wizard import practice as practice_stack

RECORDED = Path(__file__).parent / "data" / "contract.json"

ERROR = "x509: certificate signed by unknown authority"
STEPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("practice status", ("practice", "status", "--json")),
    ("scan, something unprotected", ("scan", "practice", "--json")),
    ("plan, changes pending", ("plan", "practice", "--json")),
    ("verify, before", ("verify", "practice", "--json")),
    ("history, empty", ("history", "--json")),
    ("undo, nothing there", ("undo", "--yes", "--json")),
    ("recover, nothing there", ("recover", "--yes", "--json")),
    ("probe, targets", ("probe", "http://PROMETHEUS", "--ask", "targets", "--json")),
    ("apply", ("apply", "practice", "--yes", "--json")),
    ("apply, nothing to do", ("apply", "practice", "--yes", "--json")),
    ("plan, nothing to do", ("plan", "practice", "--json")),
    ("scan, secured", ("scan", "practice", "--json")),
    ("verify", ("verify", "practice", "--json")),
    ("audit", ("audit", "practice", "--format", "json")),
    ("drift, nothing differs", ("drift", "practice", "--json")),
    ("inventory", ("inventory", "practice", "--json")),
    ("renew, nothing due", ("renew", "practice", "--due", "--yes", "--json")),
    ("history", ("history", "--json")),
    ("probe, rejected", ("probe", "http://NODE/metrics", "--json")),
    (
        "probe, allowed",
        (
            "probe",
            "https://NODE/metrics",
            "--cacert",
            "CA",
            "--user",
            "prometheus",
            "--password-file",
            "PASSWORD",
            "--json",
        ),
    ),
    ("explain", ("explain", ERROR, "--json")),
    ("explain, unknown", ("explain", "nothing of the kind", "--json")),
    ("cert inspect", ("cert", "inspect", "CA", "--json")),
    ("undo", ("undo", "--yes", "--json")),
    ("no such stack", ("plan", "absent.yaml", "--json")),
    ("no such option", ("plan", "practice", "--absent")),
)


def _recorded() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(RECORDED.read_text(encoding="utf-8"))
    return found


def _placed(word: str, places: Mapping[str, str]) -> str:
    for key, value in places.items():
        word = word.replace(key, value)
    return word


def _await_targets(prometheus: str) -> None:
    """Waits for the first discovery of a Prometheus that has just started: it has no target before."""
    deadline = time.monotonic() + 60
    while True:
        with urllib.request.urlopen(f"http://{prometheus}/api/v1/targets", timeout=10) as answer:
            if json.load(answer)["data"]["activeTargets"]:
                return
        assert time.monotonic() < deadline, "Prometheus has no targets"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def answers(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Returns exit code and shape of each step of one workflow on a practice stack."""
    workspace = tmp_path_factory.mktemp("contract") / "workspace"
    stack = practice_stack.up(workspace, cache)
    places = {
        "NODE": stack.host("srv1").listen,
        "PROMETHEUS": stack.host("prometheus").listen,
        "CA": str(workspace / "ca" / "ca.crt"),
        "PASSWORD": str(workspace / "users" / "prometheus.password"),
    }
    found = {}
    try:
        _await_targets(places["PROMETHEUS"])
        for name, words in STEPS:
            said = [_placed(word, places) for word in words]
            ended = firescreen("--workspace", str(workspace), *said)
            document = contract.shape(json.loads(ended.stdout)) if ended.stdout.strip() else {}
            found[name] = {"exit": ended.returncode, "shape": document, "stderr": ended.stderr}
    finally:
        practice_stack.down(workspace, remove=True)
    if os.environ.get("FIRESCREEN_GOLDEN"):
        RECORDED.parent.mkdir(exist_ok=True)
        written = {name: {"exit": each["exit"], "shape": each["shape"]} for name, each in found.items()}
        RECORDED.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
    return found


@pytest.mark.parametrize("name", [name for name, _ in STEPS])
def test_keys_and_exit_codes_are_unchanged(name: str, answers: dict[str, dict[str, Any]]) -> None:
    kept, now = _recorded()[name], answers[name]
    assert now["exit"] == kept["exit"], now["stderr"]
    assert contract.missing(kept["shape"], now["shape"]) == []
    assert "Traceback" not in now["stderr"]


def test_every_recorded_step_is_run() -> None:
    assert set(_recorded()) == {name for name, _ in STEPS}
