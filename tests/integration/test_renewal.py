"""`firescreen renew --due` on the practice stack: what is due is replaced, no scrape is lost, and nothing else changes."""

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
    """`firescreen` in a workspace, as a timer runs it: without a terminal and with nothing to read."""
    return run_program(
        [sys.executable, "-m", "screens", "--workspace", str(workspace), *words],
        stdin=subprocess.DEVNULL,
        timeout=150,
        env={**os.environ, **(env or {})},
    )


def renewed(workspace: Path, *words: str, code: int = 0, env: Mapping[str, str] | None = None) -> Any:
    """What `renew practice --due --yes --json` prints."""
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


def age(workspace: Path, certificate: Path, *, left: timedelta) -> None:
    """Gives a server the same certificate with a life of a day that has `left` to go."""
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
    """A CA in the workspace that has `left` to go; gives its certificate."""
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


def test_a_certificate_that_is_due_is_renewed_and_nothing_else(practice: PracticeStack) -> None:
    workspace = Path(practice.folder).parent
    assert run(workspace, "apply", "practice", "--yes").returncode == 0
    folder = Path(practice.folder) / "srv1" / "etc" / "node_exporter"
    certificate, web = folder / "node_exporter.crt", folder / "web.yml"

    fresh = renewed(workspace)
    assert (fresh["renewed"], fresh["state"], fresh["ok"]) == ([], "nothing", True)
    assert fresh["next"]["path"] == str(certificate)
    said = run(workspace, "renew", "practice", "--due")
    assert said.returncode == 0 and "Nothing is due." in said.stderr and "Next: " in said.stderr

    age(workspace, certificate, left=timedelta(hours=4))
    rights, before = certificate.stat(), web.read_bytes()
    unasked = run(workspace, "renew", "practice", "--due")
    assert unasked.returncode == 2 and "--yes is missing" in unasked.stderr
    assert web.read_bytes() == before

    found = renewed(workspace)
    assert [(each["role"], each["path"]) for each in found["renewed"]] == [("server", str(certificate))]
    assert found["state"] == "proven" and found["ok"] and found["health"]["broken"] == []
    shown = next(path for path in folder.glob("*.crt") if path.name.encode() in web.read_bytes())
    assert issue.summary(shown.read_bytes()).not_after > datetime.now(UTC).timestamp() + 300 * 86400
    now = shown.stat()
    assert (now.st_mode, now.st_uid, now.st_gid) == (rights.st_mode, rights.st_uid, rights.st_gid)
    assert renewed(workspace)["renewed"] == []

    # A clock that is behind: what was issued begins in the future.
    after = shown.read_bytes()
    age(workspace, shown, left=timedelta(days=2))
    behind = renewed(workspace, code=2)
    assert "this machine's clock is wrong" in behind and str(shown) in behind
    put(shown, after)
    assert renewed(workspace)["renewed"] == []

    # A renewal does not carry out what somebody else left pending.
    put(web, web.read_bytes().replace(b"basic_auth_users", b"# basic_auth_users") + b"\n")
    put(web, b"\n".join(line for line in web.read_bytes().split(b"\n") if b"$2" not in line) + b"\n")
    age(workspace, shown, left=timedelta(hours=4))
    refused = renewed(workspace, code=2)
    assert "other changes pending" in refused and "srv1" in refused


def test_a_stack_that_was_chosen_in_the_wizard_is_renewed_by_the_file_that_a_scan_writes(
    practice: PracticeStack, tmp_path: Path
) -> None:
    """No stack file is left of it: levels, issuer and days are those of the run, so that nothing else is pending."""
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
    age(workspace, certificate, left=timedelta(hours=4))
    ended = run(workspace, "renew", str(file), "--due", "--yes", "--json")
    assert ended.returncode == 0, ended.stderr
    assert [each["path"] for each in json.loads(ended.stdout)["renewed"]] == [str(certificate)]
    assert run(workspace, "plan", str(file)).returncode == 0


def test_the_ca_is_replaced_long_before_its_end(practice: PracticeStack) -> None:
    workspace = Path(practice.folder).parent
    old = make_ca(workspace, days=3000, left=timedelta(days=900), passphrase="open sesame")
    secret = workspace / "given"
    secret.write_text("open sesame\n")
    handed = workspace / "credentials"
    handed.mkdir()
    (handed / "firescreen-passphrase").write_text("open sesame\n")
    applied = run(workspace, "apply", "practice", "--yes", "--passphrase-file", str(secret))
    assert applied.returncode == 0, applied.stderr

    refused = renewed(workspace, code=2)
    assert "needs a passphrase" in refused and "--passphrase-file" in refused
    found = renewed(workspace, env={"CREDENTIALS_DIRECTORY": str(handed)})
    assert "ca" in {each["role"] for each in found["renewed"]} and found["ok"], found
    new = (workspace / "ca" / "ca.crt").read_bytes()
    assert issue.summary(new).not_after > datetime.now(UTC).timestamp() + 3000 * 86400
    assert b"ENCRYPTED" in (workspace / "ca" / "ca.key").read_bytes()
    trusted = (Path(practice.folder) / "prometheus/etc/prometheus/firescreen-ca.crt").read_bytes()
    assert new.strip() in trusted and old.strip() not in trusted
    again = renewed(workspace)
    assert again["renewed"] == [] and again["next"]["role"] == "server"


def test_a_renewal_that_is_killed_is_ended_well_by_the_next_one(practice: PracticeStack) -> None:
    workspace = Path(practice.folder).parent
    assert run(workspace, "apply", "practice", "--yes").returncode == 0
    folder = Path(practice.folder) / "srv1" / "etc" / "node_exporter"
    chance = random.Random(os.environ.get("FIRESCREEN_SEED", "upkeep"))
    for _ in range(int(os.environ.get("FIRESCREEN_RENEWAL_KILLS", "2"))):
        web = (folder / "web.yml").read_bytes()
        age(
            workspace,
            next(path for path in folder.glob("*.crt") if path.name.encode() in web),
            left=timedelta(hours=4),
        )
        words = ["--workspace", str(workspace), "renew", "practice", "--due", "--yes"]
        killed = subprocess.Popen(
            [sys.executable, "-m", "screens", *words], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        # From its first change on: what it does before leaves nothing behind.
        assert killed.stderr is not None
        for line in killed.stderr:
            if b"[1/" in line:
                break
        with suppress(subprocess.TimeoutExpired):
            killed.wait(chance.uniform(0, 1))
        killed.kill()
        killed.communicate(timeout=60)

        found = renewed(workspace)
        assert found["ok"], found
        after = (folder / "web.yml").read_bytes()
        shown = next(path for path in folder.glob("*.crt") if path.name.encode() in after)
        assert issue.summary(shown.read_bytes()).not_after > datetime.now(UTC).timestamp() + 300 * 86400
        verified = run(workspace, "verify", "practice", "--json")
        assert verified.returncode == 0, verified.stderr
        assert renewed(workspace)["renewed"] == []


def test_passwords_are_replaced_by_age_if_asked(practice: PracticeStack) -> None:
    workspace = Path(practice.folder).parent
    assert run(workspace, "apply", "practice", "--yes").returncode == 0
    secret = workspace / "users" / "prometheus.password"
    first = secret.read_bytes()
    then = time.time() - 100 * 86400
    os.utime(secret, (then, then))
    assert renewed(workspace)["passwords"] == [] and secret.read_bytes() == first, "nobody has asked"
    assert renewed(workspace, "--passwords", "200")["passwords"] == [] and secret.read_bytes() == first
    found = renewed(workspace, "--passwords", "90")
    assert found["ok"] and found["passwords"] == ["prometheus"] and found["renewed"] == [], found
    assert secret.read_bytes() != first
    assert renewed(workspace, "--passwords", "90")["run"] == "", "it is new now"
    assert run(workspace, "verify", "practice", "--json").returncode == 0
