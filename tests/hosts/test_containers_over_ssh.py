"""Docker on another host over SSH, as root and as a user with sudo; Firescreen on a third machine."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import bases
import pytest
from compose_projects import SCRAPE, Project
from docker_hosts import Docker
from machines import ENDPOINT, Machine, Network
from sshd import Person, keygen
from test_containers import COMPOSE

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(900)]

PORT = 2222
STACK = """\
version: 1
hosts:
  web:
    connect: ssh
    address: {address}
    port: {port}
    user: {user}
    become: '{become}'
    identity_file: /root/key
    known_hosts: /root/known
components:
  - {{host: web, name: node_exporter, protect: [tls, basic_auth], service: docker, project: mon}}
  - {{host: web, name: prometheus, protect: [tls, basic_auth], service: docker, project: mon}}
"""


@contextmanager
def sshd(docker: Docker, network: Network, folder: Path) -> Iterator[str]:
    """Runs an SSH server on the daemon's host, and returns its line for known_hosts."""
    # Not below pytest's own folder, which is private: sshd reads the list of keys as the user who logs in.
    folder.mkdir(mode=0o755)
    key = keygen(folder / "host")
    (folder / "authorized").write_text(network.key.with_suffix(".pub").read_text())
    (folder / "config").write_text(
        f"Port {PORT}\nListenAddress {ENDPOINT}\nHostKey {key}\nPidFile {folder}/pid\nStrictModes no\nUsePAM no\n"
        f"AuthorizedKeysFile {folder}/authorized\nPermitRootLogin yes\nUseDNS no\n"
        "Subsystem sftp internal-sftp\nSetEnv PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
    )
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [*docker.enter, "/usr/sbin/sshd", "-D", "-e", "-f", folder / "config"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and server.poll() is None:
            with (
                docker.network.entered(),
                suppress(OSError),
                socket.create_connection((ENDPOINT, PORT), timeout=1),
            ):
                break
            time.sleep(0.05)
        yield f"[{ENDPOINT}]:{PORT} {key.with_suffix('.pub').read_text()}"
    finally:
        # A process id in the daemon's own namespace.
        subprocess.run([*docker.enter, "kill", (folder / "pid").read_text().strip()], check=True, timeout=20)
        server.wait(20)
        shutil.rmtree(folder)


class Remote(Project):
    """The project, with Firescreen on a machine of its own."""

    client: Machine

    def start(self, *words: str, fault: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
        """Runs Firescreen there."""
        assert not fault, "only where the daemon is"
        arguments = [word if word != str(self.stack) else "/root/stack.yaml" for word in words]
        self.client.push("/root/stack.yaml", self.stack.read_bytes())
        return self.client.run([f"{bases.HOME}/bin/python", "-m", "screens", *arguments], timeout=300)


@pytest.mark.parametrize(("who", "generation"), [("root", "trixie"), ("sudo", "bookworm"), ("sudo", "sid")])
def test_a_project_on_another_host_is_secured_and_undone(
    docker: Docker, network: Network, tmp_path: Path, who: str, generation: str
) -> None:
    images = {"prometheus": docker.image("prometheus"), "exporter": docker.image("node_exporter")}
    docker.install(generation)
    with (
        Person(sudoers="USER ALL=(ALL) NOPASSWD: ALL") as person,
        sshd(docker, network, Path("/tmp", f"sshd-{person.name}")) as known,
        Machine("bookworm", "admin", network, programs=()) as client,
    ):
        client.push("/root/key", network.key.read_bytes(), mode=0o600)
        client.push("/root/known", known.encode())
        mine = Remote(docker, network, tmp_path, generation)
        mine.client = client
        stack = STACK.format(
            address=ENDPOINT,
            port=PORT,
            user="root" if who == "root" else person.name,
            become="" if who == "root" else "sudo",
        )
        mine.write(COMPOSE.format(**images), SCRAPE.format(target="exporter:9100"), stack)
        try:
            mine.up(9090, 19100)
            files, shape = mine.files(), mine.shape()
            seen = mine.scan(code=3)
            assert {name: each["state"] for name, each in seen.items()} == {
                "node_exporter": "open",
                "prometheus": "open",
            }
            assert mine.files() == files
            done = mine.run("apply", str(mine.stack), "--yes", "--json")
            assert done["state"] == "proven"
            assert sum(each["expect"] == "up" and each["ok"] for each in done["probes"]) == 2
            assert mine.run("plan", str(mine.stack), "--json")["changes"] == []
            mine.run("undo", "--yes")
            assert mine.files() == files
            assert mine.shape() == shape
        finally:
            mine.compose("down", "-v")
