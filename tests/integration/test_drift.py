"""`firescreen drift` on the practice stack: no difference in 20 runs, then each change is named, also in probes."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner

from wizard import assets
from wizard.certificates import issue
from wizard.cli import firescreen
from wizard.practice import PracticeStack

pytestmark = pytest.mark.matrix

RUNNER = CliRunner()


def run(workspace: Path, *words: str, code: int = 0) -> Any:
    """Runs a command and returns its JSON."""
    ended = RUNNER.invoke(firescreen, ["--workspace", str(workspace), *words, "--json"])
    assert ended.exit_code == code, ended.stderr
    return json.loads(ended.stdout)


def schema() -> Any:
    """Returns the schema of these documents."""
    return json.loads(assets.path("upkeep.schema.json").read_text())


def drift(workspace: Path, *words: str, code: int = 3) -> list[Mapping[str, Any]]:
    """Returns the differences, after a check against the schema."""
    found = run(workspace, "drift", "practice", *words, code=code)
    jsonschema.validate(found, {"$ref": "#/$defs/drift", "$defs": schema()["$defs"]})
    return list(found["differences"])


@pytest.mark.timeout(500)  # It runs drift more than twenty times.
def test_drift_of_the_practice_stack(practice: PracticeStack) -> None:
    workspace = Path(practice.folder).parent
    never = RUNNER.invoke(firescreen, ["--workspace", str(workspace), "drift", "practice"])
    assert never.exit_code == 2 and "was never verified" in never.stderr
    assert run(workspace, "apply", "practice", "--yes")["ok"]

    node = Path(practice.folder) / "srv1" / "etc" / "node_exporter"
    config = Path(practice.folder) / "prometheus" / "etc" / "prometheus" / "prometheus.yml"
    web, key, certificate = (node / name for name in ("web.yml", "node_exporter.key", "node_exporter.crt"))

    # Between the run and the first drift, the journal has the digests of the written files.
    key.chmod(0o644)
    first = drift(workspace)
    assert [(each["kind"], each["path"], each["what"]) for each in first] == [
        ("mode", str(key), "the mode was 0640 and is 0644")
    ]
    key.chmod(0o640)

    for _ in range(20):
        assert drift(workspace, code=0) == []

    before = {path: path.read_bytes() for path in (web, config, certificate)}
    lines = before[config].decode().splitlines(keepends=True)
    number = next(n for n, line in enumerate(lines) if "scheme: https" in line)
    lines[number] = lines[number].replace("https", "http")
    job = "  - job_name: foreign\n    static_configs:\n      - targets: ['127.0.0.1:1']\n"
    config.write_text("".join(lines).rstrip("\n") + "\n" + job)
    web.write_bytes(
        b"".join(line for line in before[web].splitlines(keepends=True) if b"$2" not in line).replace(
            b"basic_auth_users:", b"basic_auth_users: {}"
        )
    )
    certificate.write_bytes(
        issue.self_signed(key_pem=key.read_bytes(), names=("srv1",), days=9, common_name="srv1")
    )
    (workspace / "ca" / "ca.key").chmod(0o644)
    found = drift(workspace)
    named = {(each["kind"], each["host"], each["path"], each["line"]) for each in found}
    assert {
        ("file", "prometheus", str(config), number + 1),
        ("job", "prometheus", str(config), len(lines) + 1),
        ("certificate", "srv1", str(certificate), 0),
        ("mode", "workspace", str(workspace / "ca" / "ca.key"), 0),
    } <= named, found
    assert {each["line"] for each in found if each["path"] == str(web)} & set(range(1, 20)), found
    assert any(each["kind"] == "answer" and each["host"] == "srv1" for each in found), found
    assert "$2" not in json.dumps(found) and "BEGIN" not in json.dumps(found)

    # All of it is restored to the byte; undo returns to the changed files, and they are restored again.
    changed = {path: path.read_bytes() for path in before}
    refused = RUNNER.invoke(firescreen, ["--workspace", str(workspace), "drift", "practice", "--restore"])
    assert refused.exit_code == 2 and "Add --yes" in refused.stderr
    assert {path: path.read_bytes() for path in before} == changed
    for _ in range(2):
        put_back = run(workspace, "drift", "practice", "--restore", "--yes")
        jsonschema.validate(put_back, {"$ref": "#/$defs/restoration", "$defs": schema()["$defs"]})
        assert put_back["ok"] and put_back["left"] == [], put_back
        assert {path: path.read_bytes() for path in before} == before
        assert (workspace / "ca" / "ca.key").stat().st_mode & 0o777 == 0o600
        assert drift(workspace, code=0) == []
        assert run(workspace, "undo", "--yes")["state"] == "undone"
        assert {path: path.read_bytes() for path in before} == changed
    assert run(workspace, "drift", "practice", "--restore", "--yes")["ok"]
    assert run(workspace, "drift", "practice", "--restore", "--yes")["state"] == "nothing"

    held = run(workspace, "inventory", "practice")
    jsonschema.validate(held, {"$ref": "#/$defs/inventory", "$defs": schema()["$defs"]})
    assert str(certificate) in {each["path"] for each in held["holdings"]}
    table = RUNNER.invoke(
        firescreen, ["--workspace", str(workspace), "inventory", "practice", "--csv"]
    ).stdout
    assert len(table.splitlines()) == len(held["holdings"]) + 1

    # An adopted change is no drift any more; a stopped service is.
    config.write_bytes(before[config] + b"# mine\n")
    adopted = run(workspace, "drift", "practice", "--adopt", "--yes")
    assert adopted["adopted"] and adopted["differences"] == []
    assert drift(workspace, code=0) == []
    asked = subprocess.run(["pgrep", "-f", f"{node}/web.yml"], capture_output=True, text=True, check=True)
    os.kill(int(asked.stdout.split()[0]), 15)
    stopped = drift(workspace)
    assert ("service", "srv1", "the service does not run") in {
        (each["kind"], each["host"], each["what"]) for each in stopped
    }, stopped
    assert run(workspace, "drift", "practice", "--restore", "--yes")["ok"]
    assert drift(workspace, code=0) == []


@pytest.mark.parametrize("runs", [True, False])
def test_an_undo_restores_a_file_with_which_the_server_does_not_start(
    practice: PracticeStack, *, runs: bool
) -> None:
    workspace = Path(practice.folder).parent
    assert run(workspace, "apply", "practice", "--yes")["ok"]
    assert drift(workspace, code=0) == []
    web = Path(practice.folder) / "srv1" / "etc" / "node_exporter" / "web.yml"
    broken = web.read_bytes().replace(b"cert_file:", b"cert_fil:")
    web.write_bytes(broken)
    if not runs:
        asked = subprocess.run(["pgrep", "-f", str(web)], capture_output=True, text=True, check=True)
        os.kill(int(asked.stdout.split()[0]), 15)
    assert run(workspace, "drift", "practice", "--restore", "--yes")["ok"]
    assert web.read_bytes() != broken

    undone = RUNNER.invoke(firescreen, ["--workspace", str(workspace), "undo", "--yes"])
    assert web.read_bytes() == broken
    assert "Every file is as it was before that run." in undone.stderr
    reason = "it did not restart" if runs else "does not run, as before that run"
    assert undone.exit_code == (1 if runs else 0) and reason in undone.stderr, undone.stderr
    assert run(workspace, "recover", "--yes")["runs"] == [], "nothing is left to be rolled back"
