"""Hosts for trying the wizard: srv1 with node_exporter, prometheus that scrapes it, and the container box with
node_exporter, which is an incus instance on srv1.

    trial_hosts.py up      boots them in the background, prints how to reach them
    trial_hosts.py down    ends exactly those

One process owns them and their network; they end with it.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import bases
from incus_hosts import Incus, Instance
from machines import Machine, Network, booted

SUITE = os.environ.get("FIRESCREEN_SUITE") or "bookworm"


def folder() -> Path:
    """Returns the folder of the stack file, the SSH configuration and the process id of the owner."""
    return bases.cache().parent / "by-hand"


def holder() -> int:
    """Returns the id of the process that owns the hosts, or 0."""
    try:
        pid = int((folder() / "pid").read_text())
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return 0
    # The id may belong to another program by now.
    return pid if b"hold" in words and any(word.endswith(b"trial_hosts.py") for word in words) else 0


def up() -> int:
    """Boots the hosts unless they run, and prints how to reach them."""
    place = folder()
    if not holder():
        bases.require()
        place.mkdir(mode=0o700, exist_ok=True)
        (place / "how").unlink(missing_ok=True)
        print(f"Booting two hosts and a container of {SUITE}; the first time takes some minutes.", flush=True)
        bases.application(bases.base(SUITE))
        bases.archive(SUITE)
        with (place / "log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, __file__, "hold"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        (place / "pid").write_text(str(process.pid))
        deadline = time.monotonic() + 120
        while not (place / "how").exists():
            if process.poll() is not None or time.monotonic() > deadline:
                print((place / "log").read_text(errors="replace"), file=sys.stderr)
                down()
                return 1
            time.sleep(0.1)
    print((place / "how").read_text())
    return 0


def down() -> int:
    """Ends the hosts, and waits until nothing of them is left."""
    pid = holder()
    if pid:
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + 120  # the daemon of the container needs time to end, too
        while holder():
            if time.monotonic() > deadline:
                print(f"process {pid} does not end: see {folder()}/log", file=sys.stderr)
                return 1
            time.sleep(0.1)
    for name in ("pid", "how", "key", "key.pub", "ssh_config", "known_hosts", "enter"):
        (folder() / name).unlink(missing_ok=True)
    print("The hosts are down." if pid else "No hosts were up.")
    return 0


def hold() -> int:
    """Runs the hosts until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with _hosts() as (network, machines, box):
        how = _write(network, machines, box)
        part = folder() / "how.part"
        part.write_text(how)
        part.rename(folder() / "how")
        while True:
            signal.pause()


@contextmanager
def _hosts() -> Iterator[tuple[Network, list[Machine], Instance]]:
    with Network() as network, Incus(network) as incus:
        srv1 = Machine(SUITE, "srv1", network, programs=["node_exporter"], bound=incus.bound)
        prometheus = Machine(SUITE, "prometheus", network, programs=["prometheus"])
        box = Instance(SUITE, "box", incus, programs=["node_exporter"])
        with booted([srv1, prometheus]) as machines, box:
            targets = "'srv1:9100', 'box:9100'"
            prometheus.check(
                f"sed -i \"s/'localhost:9100'/{targets}/\" /etc/prometheus/prometheus.yml"
                " && systemctl restart prometheus"
            )
            yield network, machines, box


def _write(network: Network, machines: list[Machine], box: Instance) -> str:
    """Writes the stack file and the SSH configuration into the folder; returns the text for the user."""
    place = folder()
    key = place / "key"
    key.unlink(missing_ok=True)
    key.touch(mode=0o600)
    key.write_bytes(network.key.read_bytes())
    known = place / "known_hosts"
    known.write_text("")
    (place / "ssh_config").write_text(
        "".join(
            f"Host {machine.name}\n  HostName {machine.address}\n  User root\n  IdentityFile {key}\n"
            f"  IdentitiesOnly yes\n  UserKnownHostsFile {known}\n\n"
            for machine in machines
        )
    )
    stack = place / "firescreen.yaml"
    hosts = "".join(
        f"  {machine.name}:\n    connect: ssh\n    address: {machine.address}\n    user: root\n"
        f"    identity_file: {key}\n    known_hosts: {known}\n"
        for machine in machines
    )
    hosts += f"  {box.name}:\n    connect: incus\n    via: srv1\n    address: {box.address}\n"
    if not stack.exists():  # the user's changes are kept
        stack.write_text(
            f"version: 1\nhosts:\n{hosts}components:\n"
            "  - {host: srv1, name: node_exporter, protect: [tls, basic_auth]}\n"
            "  - {host: box, name: node_exporter, protect: [tls, basic_auth]}\n"
            "  - {host: prometheus, name: prometheus, protect: [tls, basic_auth]}\n"
        )
    enter = place / "enter"
    enter.write_text(f'#!/bin/sh\nexec {shlex.join(network.enter_named)} "$@"\n')
    enter.chmod(0o700)
    firescreen = Path(sys.executable).parent / "firescreen"
    up = "\n".join(f"  {machine.name:<12}{machine.address}   {_fingerprint(machine)}" for machine in machines)
    return f"""Up, with {SUITE}, and the fingerprint of their host key:

{up}
  {box.name:<12}{box.address}   a container that srv1 holds (incus)

They stand in a network of their own, which `enter` takes a program into:

  {enter} {firescreen} plan {stack}
  {enter} ssh -F {place}/ssh_config srv1
  {enter} ssh -F {place}/ssh_config -t srv1 incus exec {box.name} -- bash

Users: root; admin (sudo without a password); operator (sudo asks for: {bases.PASSWORD}); nobody2 (no sudo).
The stack file: {stack}
End them with: make hosts-down"""


def _fingerprint(machine: Machine) -> str:
    return machine.check(["ssh-keygen", "-lf", "/etc/ssh/ssh_host_ed25519_key.pub"]).split()[1]


if __name__ == "__main__":
    deeds = {"up": up, "down": down, "hold": hold}
    if len(sys.argv) != 2 or sys.argv[1] not in deeds:
        sys.exit("usage: trial_hosts.py up | down")
    with suppress(KeyboardInterrupt):
        sys.exit(deeds[sys.argv[1]]())
