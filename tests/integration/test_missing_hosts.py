"""Every command on a stack with a missing host: the host is named, the exit code is as documented, no traceback."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.command_line import firescreen
from tests.integration.loopback_programs import free_port
from wizard.practice import PracticeStack

Shell = subprocess.CompletedProcess[str]
Run = Callable[..., Shell]

STACK = """\
version: 1
hosts:
  srv1: {{connect: practice}}
  prometheus: {{connect: practice}}
  gone: {gone}
components:
  - {{host: srv1, name: node_exporter, protect: [tls, basic_auth]}}
  - {{host: prometheus, name: prometheus, protect: []}}
  - {{host: gone, name: node_exporter, protect: [tls, basic_auth]}}
"""
LEFT_OUT = {
    "refused": "{connect: ssh, address: 127.0.0.1, port: %(port)d, user: nobody}",
    "not resolvable": "{connect: ssh, address: gone.invalid, user: nobody}",
}
"""Hosts that never answered: the others go on without them."""
REFUSED = {
    "no incus": "{connect: incus, instance: gone}",
    "no incus there": "{connect: incus, instance: gone, via: srv1}",
}
"""Hosts of which something has to be put right first."""
COMMANDS = {
    "scan": ("scan", "STACK"),
    "scan json": ("scan", "STACK", "--json"),
    "plan": ("plan", "STACK"),
    "plan json": ("plan", "STACK", "--json"),
    "apply without yes": ("apply", "STACK"),
    "apply": ("apply", "STACK", "--yes"),
    "verify": ("verify", "STACK"),
    "verify json": ("verify", "STACK", "--json"),
    "probe": ("probe", "http://127.0.0.1:1/metrics", "--stack", "STACK"),
    "explain": ("explain", "--stack", "STACK", "x509: certificate signed by unknown authority"),
    "export": ("export", "STACK", "--to", "ansible", "FOLDER", "--vault-password-file", "VAULT"),
    "undo": ("undo", "--yes"),
    "recover": ("recover", "--yes"),
    "recover forget": ("recover", "--forget"),
    "history": ("history",),
}
SILENT = ("probe", "explain", "undo", "recover", "recover forget", "history", "export")
"""Commands that need not reach the host: they may say nothing of it."""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Returns a function that runs a command line in the practice fixture's workspace."""
    monkeypatch.setenv("PATH", _without_incus(tmp_path))
    return functools.partial(firescreen, "--workspace", str(tmp_path / "workspace"))


def _without_incus(folder: Path) -> str:
    """Returns a search path without incus and lxc."""
    path = os.environ["PATH"].split(":")
    return ":".join(
        each for each in path if not any(shutil.which(name, path=each) for name in ("incus", "lxc"))
    )


@pytest.mark.parametrize(
    "kind",
    [
        "refused",
        "no incus",
        pytest.param("not resolvable", marks=pytest.mark.matrix),
        pytest.param("no incus there", marks=pytest.mark.matrix),
    ],
)
def test_a_missing_host_is_named_and_never_a_traceback(
    run: Run, practice: PracticeStack, tmp_path: Path, kind: str
) -> None:
    stack, vault = tmp_path / "stack.yaml", tmp_path / "vault"
    gone = {**LEFT_OUT, **REFUSED}[kind].replace("%(port)d", str(free_port()))
    stack.write_text(STACK.format(gone=gone))
    vault.write_text("a long password of the vault\n")
    for number, (name, words) in enumerate(COMMANDS.items()):
        places = {"STACK": str(stack), "FOLDER": str(tmp_path / f"export-{number}"), "VAULT": str(vault)}
        ended = run(*(places.get(word, word) for word in words))
        output = ended.stdout + ended.stderr
        assert "Traceback" not in output and "KeyError" not in output, (name, output)
        assert ended.returncode in (0, 1, 2, 3), (name, ended.returncode, output)
        if name not in SILENT:
            assert "gone" in output, (name, output)
            allowed = {"scan": (3,), "plan": (3,), "verify": (1,)} if kind in LEFT_OUT else {}
            wanted = allowed.get(name.split()[0], (2,) if kind in REFUSED or name != "apply" else (1,))
            assert ended.returncode in wanted, (name, ended.returncode, output)
        if name.endswith("json") and ended.returncode != 2:
            json.loads(ended.stdout)


def test_hosts_of_an_inventory_of_which_one_is_missing(run: Run, tmp_path: Path) -> None:
    inventory = tmp_path / "inventory.yml"
    port = free_port()
    inventory.write_text(
        "all:\n  hosts:\n"
        "    here: {ansible_connection: local}\n"
        f"    gone: {{ansible_host: 127.0.0.1, ansible_port: {port}, ansible_user: nobody}}\n"
    )
    for more in ((), ("--json",), ("--write", str(tmp_path / "written.yaml"))):
        ended = run("scan", "--hosts", str(inventory), *more)
        assert "Traceback" not in ended.stderr, ended.stderr
        assert "gone" in ended.stdout + ended.stderr, ended.stderr
        assert ended.returncode in (3, 2) if "--write" in more else ended.returncode == 3, ended.stderr
    only = tmp_path / "only.yml"
    only.write_text(f"all:\n  hosts:\n    gone: {{ansible_host: 127.0.0.1, ansible_port: {port}}}\n")
    ended = run("scan", "--hosts", str(only))
    assert ended.returncode == 2 and "gone" in ended.stderr and "Traceback" not in ended.stderr
