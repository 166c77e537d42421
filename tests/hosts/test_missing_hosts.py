"""Every command on a stack with a missing real host: off, with another host key, without sudo, or a stopped instance."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import bases
import pytest
from incus_hosts import Incus
from machines import Machine, Network, booted

from tests.processes import run_program
from wizard.inventory.stack_file import dump
from wizard.model import ComponentSpec, HostSpec, Stack

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(900)]

COMMANDS = (
    ("scan", "STACK"),
    ("plan", "STACK"),
    ("verify", "STACK"),
    ("apply", "STACK", "--yes"),
    ("probe", "http://192.0.2.99:9100/metrics", "--stack", "STACK"),
    ("explain", "--stack", "STACK", "x509: certificate signed by unknown authority"),
    ("export", "STACK", "--to", "ansible", "FOLDER", "--vault-password-file", "VAULT"),
    ("undo", "--yes"),
    ("recover", "--yes"),
    ("recover", "--forget"),
    ("history",),
)
NAMED = ("scan", "plan", "verify", "apply")


@pytest.fixture(scope="module")
def pair(network: Network) -> Iterator[tuple[Machine, Machine]]:
    one = Machine("bookworm", "there", network, programs=("prometheus", "node_exporter"))
    two = Machine("bookworm", "gone", network, programs=("node_exporter",))
    with booted([one, two]):
        for machine in (one, two):
            machine.check(["systemctl", "start", "systemd-user-sessions"])
        yield one, two


def missing(kind: str, gone: Machine, folder: Path) -> HostSpec:
    spec = gone.spec()
    match kind:
        case "off":
            return replace(spec, address="192.0.2.99")
        case "another login key":
            key = folder / "other"
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True, timeout=60)
            return replace(spec, identity_file=str(key))
        case "another host key":
            known = folder / "known"
            other = folder / "other"
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other], check=True, timeout=60
            )
            known.write_text(f"{gone.address} {other.with_suffix('.pub').read_text()}")
            return replace(spec, known_hosts=str(known))
        case "no sudo":
            return gone.spec(user="nobody2", become="sudo")
        case "sudo asks":
            return gone.spec(user="operator", become="sudo")
    raise AssertionError(kind)


@pytest.mark.parametrize("kind", ["off", "another login key", "another host key", "no sudo", "sudo asks"])
def test_over_ssh(pair: tuple[Machine, Machine], network: Network, tmp_path: Path, kind: str) -> None:
    there, gone = pair
    check_commands(network, tmp_path, there, missing(kind, gone, tmp_path), left_out=kind == "off")


@pytest.mark.parametrize("kind", ["stopped", "absent"])
def test_in_incus(
    pair: tuple[Machine, Machine], network: Network, incus: Incus, tmp_path: Path, kind: str
) -> None:
    # The image of the other tests is not needed: an instance without an operating system is stopped, too.
    if kind == "stopped":
        incus.client("init", "--empty", "stopped")
    spec = HostSpec(name="gone", connect="incus", instance=kind)
    try:
        check_commands(network, tmp_path, pair[0], spec, left_out=None)
    finally:
        if kind == "stopped":
            incus.client("delete", "--force", "stopped")


def check_commands(
    network: Network, folder: Path, there: Machine, gone: HostSpec, *, left_out: bool | None
) -> None:
    """Runs every command. `left_out`: whether the other hosts are handled without it; None where both are correct."""
    stack, vault = folder / "stack.yaml", folder / "vault"
    parts = (
        ComponentSpec(host="there", name="node_exporter", protect=("tls",)),
        ComponentSpec(host="there", name="prometheus"),
        ComponentSpec(host="gone", name="node_exporter", protect=("tls",)),
    )
    stack.write_text(dump(Stack(hosts=(there.spec(), gone), components=parts)))
    vault.write_text("a long password of the vault\n")
    for number, words in enumerate(COMMANDS):
        places = {"STACK": str(stack), "FOLDER": str(folder / f"export-{number}"), "VAULT": str(vault)}
        ended = run_program(
            [*network.enter, sys.executable, "-m", "wizard.cli", "--workspace", str(folder / "workspace")]
            + [places.get(word, word) for word in words],
            cwd=bases.PROJECT,
            stdin=subprocess.DEVNULL,
            timeout=300,
        )
        output = ended.stdout + ended.stderr
        assert "Traceback" not in output and "KeyError" not in output, (words, output)
        assert ended.returncode in (0, 1, 2, 3), (words, ended.returncode, output)
        if words[0] in NAMED:
            assert "gone" in output, (words, output)
            went_on = {"scan": 3, "plan": 3, "verify": 1, "apply": 1}[words[0]]
            wanted = {True: (went_on,), False: (2,), None: (2, went_on)}[left_out]
            assert ended.returncode in wanted, (words, ended.returncode, output)
