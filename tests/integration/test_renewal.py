"""`firescreen renew --due` on the practice stack: due certificates are replaced, no scrape is lost, nothing
else changes.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.processes import run_program
from wizard import assets
from wizard.certificates import issue
from wizard.practice import PracticeStack
from wizard.redact import Secret

pytestmark = pytest.mark.matrix

Shell = subprocess.CompletedProcess[str]


def run(workspace: Path, *words: str, env: Mapping[str, str] | None = None) -> Shell:
    """Runs `firescreen` in a workspace, as a timer does: without a terminal and with empty input."""
    return run_program(
        [sys.executable, "-m", "screens", "--workspace", str(workspace), *words],
        stdin=subprocess.DEVNULL,
        timeout=150,
        env={**os.environ, **(env or {})},
    )


def renew_due(workspace: Path, *words: str, code: int = 0, env: Mapping[str, str] | None = None) -> Any:
    """Returns the document of `renew practice --due --yes --json`."""
    ended = run(workspace, "renew", "practice", "--due", "--yes", "--json", *words, env=env)
    assert ended.returncode == code, ended.stderr
    if code == 2:
        assert ended.stdout == ""
        return ended.stderr
    found = json.loads(ended.stdout)
    schema = json.loads(assets.path("upkeep.schema.json").read_text())
    jsonschema.validate(found, {"$ref": "#/$defs/renew", "$defs": schema["$defs"]})
    return found


def put(path: Path, content: bytes) -> None:
    """Replaces a file's content; its mode and owner stay."""
    with path.open("r+b") as file:
        file.truncate()
        file.write(content)


def reissue_with_remaining_life(workspace: Path, certificate: Path, *, left: timedelta) -> None:
    """Reissues a server's certificate with a life of one day of which `left` remains."""
    found = issue.summary(certificate.read_bytes())
    put(
        certificate,
        issue.issue(
            ca_cert=(workspace / "ca" / "ca.crt").read_bytes(),
            ca_key=(workspace / "ca" / "ca.key").read_bytes(),
            key_pem=certificate.with_suffix(".key").read_bytes(),
            names=found.names,
            days=1,
            common_name="srv1",
            now=datetime.now(UTC) - timedelta(days=1) + left,
        ),
    )


def make_ca(workspace: Path, *, days: int, left: timedelta, passphrase: str = "") -> bytes:
    """Makes a CA of which `left` remains in the workspace; returns its certificate."""
    key = issue.new_key("ec-p256")
    begun = datetime.now(UTC) - timedelta(days=days) + left
    certificate = issue.new_ca(name="Old CA", key_pem=key, days=days, now=begun)
    folder = workspace / "ca"
    folder.mkdir(mode=0o700)
    for name, content in (
        ("ca.key", issue.lock(key, Secret(passphrase)) if passphrase else key),
        ("ca.crt", certificate),
    ):
        (folder / name).touch(mode=0o600)
        (folder / name).write_bytes(content)
    return certificate


def test_only_the_due_certificate_is_renewed(practice: PracticeStack) -> None:
    workspace = Path(practice.folder).parent
    assert run(workspace, "apply", "practice", "--yes").returncode == 0
    folder = Path(practice.folder) / "srv1" / "etc" / "node_exporter"
    certificate, web = folder / "node_exporter.crt", folder / "web.yml"

    fresh = renew_due(workspace)
    assert (fresh["renewed"], fresh["state"], fresh["ok"]) == ([], "nothing", True)
    assert fresh["next"]["path"] == str(certificate)
    ended = run(workspace, "renew", "practice", "--due")
    assert ended.returncode == 0 and "Nothing is due." in ended.stderr and "Next: " in ended.stderr

    reissue_with_remaining_life(workspace, certificate, left=timedelta(hours=4))
    rights, before = certificate.stat(), web.read_bytes()
    unasked = run(workspace, "renew", "practice", "--due")
    assert unasked.returncode == 2 and "--yes is missing" in unasked.stderr
    assert web.read_bytes() == before

    found = renew_due(workspace)
    assert [(each["role"], each["path"]) for each in found["renewed"]] == [("server", str(certificate))]
    assert found["state"] == "proven" and found["ok"] and found["health"]["broken"] == []
    shown = next(path for path in folder.glob("*.crt") if path.name.encode() in web.read_bytes())
    assert issue.summary(shown.read_bytes()).not_after > datetime.now(UTC).timestamp() + 300 * 86400
    now = shown.stat()
    assert (now.st_mode, now.st_uid, now.st_gid) == (rights.st_mode, rights.st_uid, rights.st_gid)
    assert renew_due(workspace)["renewed"] == []

    # A clock that is slow: certificates begin in the future.
    after = shown.read_bytes()
    reissue_with_remaining_life(workspace, shown, left=timedelta(days=2))
    behind = renew_due(workspace, code=2)
    assert "this machine's clock is wrong" in behind and str(shown) in behind
    put(shown, after)
    assert renew_due(workspace)["renewed"] == []

    # A renewal does not apply other pending changes.
    put(web, web.read_bytes().replace(b"basic_auth_users", b"# basic_auth_users") + b"\n")
    put(web, b"\n".join(line for line in web.read_bytes().split(b"\n") if b"$2" not in line) + b"\n")
    reissue_with_remaining_life(workspace, shown, left=timedelta(hours=4))
    refused = renew_due(workspace, code=2)
    assert "other changes pending" in refused and "srv1" in refused


def test_a_stack_secured_in_the_wizard_is_renewed_with_the_stack_file_of_a_scan(
    practice: PracticeStack, tmp_path: Path
) -> None:
    """Without its stack file: levels, issuer and days are those of the run, so that nothing else is pending."""
    workspace = Path(practice.folder).parent
    chosen, file = tmp_path / "chosen.yaml", tmp_path / "firescreen.yaml"
    assert run(workspace, "scan", "practice", "--write", str(chosen)).returncode in (0, 3)
    text = chosen.read_text().replace("basic_auth", "client_cert").replace("days: 365", "days: 90")
    chosen.write_text(text)
    assert run(workspace, "apply", str(chosen), "--yes").returncode == 0
    written = run(workspace, "scan", "practice", "--write", str(file))
    assert "mutual TLS. It has this protection already." in written.stderr
    assert file.read_text() == chosen.read_text()
    assert run(workspace, "plan", str(file)).returncode == 0
    certificate = Path(practice.folder) / "srv1" / "etc" / "node_exporter" / "node_exporter.crt"
    reissue_with_remaining_life(workspace, certificate, left=timedelta(hours=4))
    ended = run(workspace, "renew", str(file), "--due", "--yes", "--json")
    assert ended.returncode == 0, ended.stderr
    assert [each["path"] for each in json.loads(ended.stdout)["renewed"]] == [str(certificate)]
    assert run(workspace, "plan", str(file)).returncode == 0


def test_the_ca_is_replaced_long_before_it_expires(practice: PracticeStack) -> None:
    workspace = Path(practice.folder).parent
    old = make_ca(workspace, days=3000, left=timedelta(days=900), passphrase="open sesame")
    secret = workspace / "given"
    secret.write_text("open sesame\n")
    handed = workspace / "credentials"
    handed.mkdir()
    (handed / "firescreen-passphrase").write_text("open sesame\n")
    applied = run(workspace, "apply", "practice", "--yes", "--passphrase-file", str(secret))
    assert applied.returncode == 0, applied.stderr

    refused = renew_due(workspace, code=2)
    assert "needs a passphrase" in refused and "--passphrase-file" in refused
    found = renew_due(workspace, env={"CREDENTIALS_DIRECTORY": str(handed)})
    assert "ca" in {each["role"] for each in found["renewed"]} and found["ok"], found
    new = (workspace / "ca" / "ca.crt").read_bytes()
    assert issue.summary(new).not_after > datetime.now(UTC).timestamp() + 3000 * 86400
    assert b"ENCRYPTED" in (workspace / "ca" / "ca.key").read_bytes()
    trusted = (Path(practice.folder) / "prometheus/etc/prometheus/firescreen-ca.crt").read_bytes()
    assert new.strip() in trusted and old.strip() not in trusted
    again = renew_due(workspace)
    assert again["renewed"] == [] and again["next"]["role"] == "server"


def test_the_next_renewal_recovers_a_killed_one(practice: PracticeStack) -> None:
    workspace = Path(practice.folder).parent
    assert run(workspace, "apply", "practice", "--yes").returncode == 0
    folder = Path(practice.folder) / "srv1" / "etc" / "node_exporter"
    chance = random.Random(os.environ.get("FIRESCREEN_SEED", "upkeep"))
    for _ in range(int(os.environ.get("FIRESCREEN_RENEWAL_KILLS", "2"))):
        web = (folder / "web.yml").read_bytes()
        reissue_with_remaining_life(
            workspace,
            next(path for path in folder.glob("*.crt") if path.name.encode() in web),
            left=timedelta(hours=4),
        )
        words = ["--workspace", str(workspace), "renew", "practice", "--due", "--yes"]
        killed = subprocess.Popen(
            [sys.executable, "-m", "screens", *words], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        # From its first change on: the steps before leave nothing behind.
        assert killed.stderr is not None
        for line in killed.stderr:
            if b"[1/" in line:
                break
        with suppress(subprocess.TimeoutExpired):
            killed.wait(chance.uniform(0, 1))
        killed.kill()
        killed.communicate(timeout=60)

        found = renew_due(workspace)
        assert found["ok"], found
        after = (folder / "web.yml").read_bytes()
        shown = next(path for path in folder.glob("*.crt") if path.name.encode() in after)
        assert issue.summary(shown.read_bytes()).not_after > datetime.now(UTC).timestamp() + 300 * 86400
        verified = run(workspace, "verify", "practice", "--json")
        assert verified.returncode == 0, verified.stderr
        assert renew_due(workspace)["renewed"] == []


def test_old_passwords_are_replaced_on_request(practice: PracticeStack) -> None:
    workspace = Path(practice.folder).parent
    assert run(workspace, "apply", "practice", "--yes").returncode == 0
    secret = workspace / "users" / "prometheus.password"
    first = secret.read_bytes()
    then = time.time() - 100 * 86400
    os.utime(secret, (then, then))
    assert renew_due(workspace)["passwords"] == [] and secret.read_bytes() == first, "nobody has asked"
    assert renew_due(workspace, "--passwords", "200")["passwords"] == [] and secret.read_bytes() == first
    found = renew_due(workspace, "--passwords", "90")
    assert found["ok"] and found["passwords"] == ["prometheus"] and found["renewed"] == [], found
    assert secret.read_bytes() != first
    assert renew_due(workspace, "--passwords", "90")["run"] == "", "it is new now"
    assert run(workspace, "verify", "practice", "--json").returncode == 0
