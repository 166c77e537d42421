"""An export, read by the real ansible-playbook and ansible-vault: complete, encrypted where needed, or refused."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest

from tests.integration.command_line import firescreen
from tests.tools import ansible_runs
from wizard import practice as practice_stack
from wizard.cli.export import vault_password
from wizard.engine import Engine
from wizard.errors import InputError
from wizard.export import Export, vault
from wizard.model import WORKSPACE, Answers, FileState, Plan, Stack, WriteFile
from wizard.practice import PracticeStack
from wizard.redact import Secret
from wizard.workspace import Workspace

PASSWORD = "a vault's long password"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def stack(practice: PracticeStack) -> Stack:
    """Returns both practice programs with all three protections."""
    made = practice_stack.stack(Path(practice.folder).parent)
    return replace(
        made,
        components=tuple(
            replace(each, protect=("tls", "basic_auth", "client_cert")) for each in made.components
        ),
    )


@pytest.fixture
def engine(practice: PracticeStack) -> Engine:
    return Engine(Workspace(Path(practice.folder).parent).ensure())


@pytest.fixture
def run(tmp_path: Path, cache: Path) -> Run:
    """Returns a function that runs `firescreen` in the practice fixture's workspace."""

    def call(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return firescreen("--workspace", str(tmp_path / "workspace"), *words, stdin=stdin)

    return call


def decrypt(folder: Path, password: str = PASSWORD) -> dict[str, bytes]:
    """Returns every encrypted file of an export, decrypted by the real ansible-vault, by its path there."""
    paths = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and b"$ANSIBLE_VAULT" in path.read_bytes()[:20]
    ]
    copies = folder.with_name("opened")
    copies.mkdir(mode=0o700)
    for number, path in enumerate(paths):
        (copies / str(number)).write_bytes(path.read_bytes())
    vault_tool: list[str | Path] = [ansible_runs.PROGRAMS / "ansible-vault", "decrypt"]
    subprocess.run(
        [
            *vault_tool,
            "--vault-password-file",
            "/bin/cat",
            *(copies / str(number) for number in range(len(paths))),
        ],
        input=password.encode(),
        check=True,
        capture_output=True,
        timeout=60,
    )
    return {
        str(path.relative_to(folder)): (copies / str(number)).read_bytes()
        for number, path in enumerate(paths)
    }


def test_the_command_writes_a_playbook_and_keeps_every_secret(
    run: Run, stack: Stack, engine: Engine, tmp_path: Path
) -> None:
    from wizard.inventory.stack_file import dump

    source, folder = tmp_path / "firescreen.yaml", tmp_path / "playbook"
    source.write_text(dump(stack))
    before = engine.plan(stack)
    ended = run(
        "export",
        str(source),
        "--to",
        "ansible",
        str(folder),
        "--vault-password-file",
        "-",
        stdin=f"{PASSWORD}\n",
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == f"{folder}\n"
    after = engine.plan(stack)
    hosts = [change for change in after.changes if change.host != WORKSPACE]
    assert len(hosts) == len([change for change in before.changes if change.host != WORKSPACE])
    assert len(hosts) == len(after.changes), "the CA and the passwords are not remembered"

    # Nothing is readable by others, and no secret is unencrypted.
    everything = [folder, *folder.rglob("*")]
    assert {path.stat().st_mode & 0o777 for path in everything} == {0o700, 0o600}
    password = (engine.workspace.users / "prometheus.password").read_bytes()
    authority = (engine.workspace.authority / "ca.key").read_bytes()
    clear = b"".join(path.read_bytes() for path in everything if path.is_file())
    assert b"PRIVATE KEY" not in clear and b"$2y$" not in clear
    assert password not in clear and PASSWORD.encode() not in clear

    secrets = decrypt(folder)
    inside = b"".join(secrets.values())
    assert password in inside and b"$2y$" in inside and inside.count(b"BEGIN PRIVATE KEY") == 3
    assert authority not in inside
    state = engine.plan(stack).facts.file(
        "prometheus", f"{tmp_path}/workspace/practice/prometheus/etc/prometheus/prometheus.yml"
    )
    assert state is not None and b"scheme: https" not in state.content

    ran = ansible_runs.run(folder, PASSWORD, arguments=["--syntax-check"])
    assert ran.code == 0, ran.output
    assert ran.output.strip().endswith("playbook: site.yml"), ran.output


def test_ansible_vault_reads_our_vault(tmp_path: Path) -> None:
    folder = tmp_path / "vaults"
    folder.mkdir()
    contents = {"empty": b"", "block": b"x" * 16, "binary": bytes(range(256)) * 9}
    for name, content in contents.items():
        (folder / name).write_bytes(vault.encrypt(content, Secret(PASSWORD)))
    assert decrypt(folder) == contents
    assert vault.encrypt(b"same", Secret(PASSWORD)) != vault.encrypt(b"same", Secret(PASSWORD))
    (tmp_path / "opened").rename(tmp_path / "before")
    with pytest.raises(subprocess.CalledProcessError):
        decrypt(folder, "another password")


def test_an_export_overwrites_only_an_export(engine: Engine, stack: Stack, tmp_path: Path) -> None:
    ready, folder = Export(engine.plan(stack)), tmp_path / "playbook"
    first = ready.write(folder, Secret(PASSWORD))
    (folder / "files" / "srv1" / "stale").touch()
    (folder / "roles").mkdir()
    assert ready.write(folder, Secret(PASSWORD)) == first
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert there == set(first), "what is no longer wanted is gone, and nothing is left half written"
    assert (folder / "roles").is_dir(), "what a person put there is theirs"
    other = tmp_path / "other"
    other.mkdir()
    (other / "site.yml").write_text("- hosts: all\n")
    with pytest.raises(InputError, match="something else already"):
        ready.write(other, Secret(PASSWORD))
    with pytest.raises(InputError, match="something else already"):
        ready.write(other / "site.yml", Secret(PASSWORD))
    assert [path.name for path in other.iterdir()] == ["site.yml"]


def test_the_password_of_the_vault_is_read_as_ansible_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "password"
    file.write_text(f"\n {PASSWORD}\n")
    assert vault_password(file).reveal() == PASSWORD
    file.chmod(0o700)  # Ansible would run it
    with pytest.raises(InputError, match="is executable"):
        vault_password(file)
    file.chmod(0o600)
    file.write_text(" \n")
    with pytest.raises(InputError, match="empty"):
        vault_password(file)
    with pytest.raises(InputError, match="cannot be read"):
        vault_password(tmp_path / "nowhere")
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(f"{PASSWORD} \nmore\n".encode())))
    assert vault_password(Path("-")).reveal() == PASSWORD


def test_a_stack_that_cannot_be_exported_is_an_error(engine: Engine, stack: Stack) -> None:
    plan = engine.plan(stack)
    nothing = replace(stack, components=tuple(replace(each, protect=()) for each in stack.components))
    with pytest.raises(InputError, match="protects nothing"):
        Export(engine.plan(nothing, facts=plan.facts))
    for name in ("srv1", "prometheus"):
        hosts = tuple(replace(host, connect="manual") if host.name == name else host for host in stack.hosts)
        with pytest.raises(InputError, match="Ansible cannot reach it either"):
            Export(replace(plan, stack=replace(stack, hosts=hosts)))
    with pytest.raises(InputError, match="key of your CA"):
        Export(_with_authority_on_a_host(plan))


def _with_authority_on_a_host(plan: Plan) -> Plan:
    """Returns a plan that copies the CA's key to a server, as a stack file can ask for."""
    key = next(
        change.after
        for change in plan.changes
        if isinstance(change, WriteFile) and change.path.endswith("ca/ca.key")
    )
    assert key is not None

    def swapped(change: object) -> object:
        if isinstance(change, WriteFile) and change.path.endswith("node_exporter.key"):
            assert change.after is not None
            return replace(change, after=FileState(key.content, 0o640, "root", "root"))
        return change

    steps = tuple(replace(step, changes=tuple(swapped(each) for each in step.changes)) for step in plan.steps)  # type: ignore[misc]
    return replace(plan, steps=steps)


@pytest.mark.matrix
@pytest.mark.timeout(600)
def test_ansible_secures_the_practice_stack_then_replaces_its_password(
    engine: Engine, stack: Stack, tmp_path: Path, cache: Path
) -> None:
    folder = ansible_runs.export(engine, stack, tmp_path / "playbook", PASSWORD)
    env = {
        "PATH": f"{ansible_runs.PROGRAMS}:{os.environ['PATH']}",
        "FIRESCREEN_CACHE": str(cache),
    }
    ran = ansible_runs.run(folder, PASSWORD, env=env)
    assert ran.code == 0 and ran.changed > 5, ran.output
    attempts = engine.verify(stack)
    assert attempts and all(attempt.ok for attempt in attempts), attempts
    assert not engine.plan(stack).changes
    # Old and new password are both valid for a while, in files that are unchanged or gone at the end.
    old = (engine.workspace.users / "prometheus.password").read_bytes()
    answers = Answers(renew=frozenset({"passwords"}))
    folder = ansible_runs.export(engine, stack, tmp_path / "playbook", PASSWORD, answers)
    assert (engine.workspace.users / "prometheus.password").read_bytes() != old
    ran = ansible_runs.run(folder, PASSWORD, env=env)
    assert ran.code == 0 and ran.changed > 10, ran.output
    assert all(attempt.ok for attempt in engine.verify(stack))
    again = ansible_runs.run(folder, PASSWORD, env=env, arguments=["--check", "--diff"])
    assert again.code == 0 and again.changed == 0, again.output
