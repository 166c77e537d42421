"""A real sshd on a loopback port with its own configuration, test accounts, and a proxy that cuts connections.

    with Sshd() as sshd:
        SshConnection(sshd.spec(), sshd.access())

Needs root: sshd logs users in, and the accounts are real ones.
"""

from __future__ import annotations

import os
import pwd
import secrets
import select
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import paramiko

from tests.integration.loopback_programs import free_port
from wizard.connections.credentials import Access
from wizard.connections.ssh.connection import SshConnection
from wizard.model import HostSpec

PROGRAM = "/usr/sbin/sshd"


def keygen(path: Path, *, kind: str = "ed25519", passphrase: str = "") -> Path:
    """Makes a key pair; returns the private key's path."""
    subprocess.run(
        ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", "test", "-f", path],
        check=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )
    return path


class Sshd:
    """A server; `more` are further lines of its configuration."""

    def __init__(
        self, more: str = "", *, sftp: str = "internal-sftp", kinds: tuple[str, ...] = ("ed25519",)
    ) -> None:
        # Not below pytest's own folder, which is private: sshd reads the list of keys as the user who logs in.
        self.folder = Path(tempfile.mkdtemp(prefix="firescreen-sshd."))
        self.folder.chmod(0o755)
        self.port = free_port()
        self.host_keys = [keygen(self.folder / f"host_{kind}", kind=kind) for kind in kinds]
        self.key = keygen(self.folder / "id")
        self.authorized = self.folder / "authorized_keys"
        self.authorized.write_text(self.key.with_suffix(".pub").read_text())
        self.authorized.chmod(0o644)
        self.known_hosts = self.folder / "known_hosts"
        self.config = self.folder / "ssh_config"
        self.config.write_text("")
        self.more, self.sftp = more, sftp

    def __enter__(self) -> Sshd:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        lines = [
            f"Port {self.port}",
            "ListenAddress 127.0.0.1",
            *(f"HostKey {key}" for key in self.host_keys),
            "PidFile none",
            f"AuthorizedKeysFile {self.authorized}",
            "StrictModes no",
            *self.more.strip().splitlines(),
            "PermitRootLogin yes",
            "UsePAM no",
            "MaxStartups 100",
            "PrintMotd yes",
            "UseDNS no",
            *([f"Subsystem sftp {self.sftp}"] if self.sftp else []),
        ]
        config = self.folder / "sshd_config"
        config.write_text("\n".join(lines) + "\n")
        self.log = (self.folder / "log").open("wb")
        self.process = subprocess.Popen(
            [PROGRAM, "-D", "-e", "-f", config],
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return self
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        log = (self.folder / "log").read_text()
        self.__exit__()
        raise RuntimeError(log)

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(20)
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def host_key(self, number: int = 0) -> paramiko.PKey:
        return paramiko.PKey.from_path(self.host_keys[number])

    def know(self, *, port: int = 0, number: int = 0) -> None:
        """Adds the host's key to known_hosts, as ssh would."""
        public = self.host_keys[number].with_name(f"{self.host_keys[number].name}.pub").read_text().split()
        with self.known_hosts.open("a") as file:
            file.write(f"[127.0.0.1]:{port or self.port} {public[0]} {public[1]}\n")

    def spec(self, **wanted: Any) -> HostSpec:
        words: dict[str, Any] = {
            "name": "srv1",
            "connect": "ssh",
            "address": "127.0.0.1",
            "port": self.port,
            "user": "root",
            "identity_file": str(self.key),
            "known_hosts": str(self.known_hosts),
        }
        return HostSpec(**(words | wanted))

    @contextmanager
    def connection(self, access: Access | None = None, **wanted: Any) -> Iterator[SshConnection]:
        """Returns a connection to a known host, not opened yet."""
        if not self.known_hosts.exists():
            self.know()
        connection = SshConnection(self.spec(**wanted), access or Access(), config=self.config)
        try:
            yield connection
        finally:
            connection.close()


class Person:
    """A real account of this machine while a test runs, optionally with a line in sudoers."""

    def __init__(self, *, shell: str = "/bin/sh", sudoers: str = "") -> None:
        self.name = f"fst{secrets.token_hex(4)}"
        self.password = secrets.token_urlsafe(12)
        self.home = Path("/tmp", f"home-{self.name}")
        self._sudoers = Path("/etc/sudoers.d", f"firescreen-{self.name}")
        self._shell, self._line = shell, sudoers

    def __enter__(self) -> Person:
        # Without skeleton files and mail folder.
        subprocess.run(
            ["useradd", "-M", "-d", self.home, "-s", self._shell, "-U", self.name], check=True, timeout=60
        )
        subprocess.run(
            ["chpasswd"], input=f"{self.name}:{self.password}\n", text=True, check=True, timeout=60
        )
        self.uid = pwd.getpwnam(self.name).pw_uid
        self.home.mkdir(mode=0o755)
        shutil.chown(self.home, self.name, self.name)
        if self._line:
            self._sudoers.write_text(self._line.replace("USER", self.name) + "\n")
            self._sudoers.chmod(0o440)
            subprocess.run(["visudo", "-cqf", self._sudoers], check=True, timeout=30)
        return self

    def __exit__(self, *_: object) -> None:
        self._sudoers.unlink(missing_ok=True)
        # A session that is just ending still uses the account.
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if not subprocess.run(
                ["userdel", self.name], capture_output=True, timeout=60, check=False
            ).returncode:
                break
            time.sleep(0.1)
        shutil.rmtree(self.home, ignore_errors=True)


class Proxy:
    """A TCP proxy that passes `limit` bytes towards the server and then cuts the connection, or falls silent.

    `passed` counts the bytes that went to the server, `turns` how often the client sent after it had received
    an answer.
    """

    def __init__(
        self, port: int, *, limit: int | None = None, silent: bool = False, delay: float = 0.0
    ) -> None:
        self._to = port
        self.limit = limit
        self.silent = silent
        self.delay = delay
        self.passed = 0
        self.turns = 0
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._serve, daemon=True)]

    def __enter__(self) -> Proxy:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(10)
        self._server.close()

    def _serve(self) -> None:
        self._server.settimeout(0.05)
        while not self._stop.is_set():
            with suppress(TimeoutError):
                near, _ = self._server.accept()
                thread = threading.Thread(target=self._carry, args=(near,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _carry(self, near: socket.socket) -> None:
        with near, socket.create_connection(("127.0.0.1", self._to)) as far:
            other = {near: far, far: near}
            sent_last = far
            while not self._stop.is_set():
                for ready in select.select([near, far], [], [], 0.05)[0]:
                    try:
                        data = ready.recv(65536)
                    except OSError:
                        return
                    if not data:
                        return
                    self.turns += ready is near and sent_last is far
                    sent_last = ready
                    if ready is near and self.limit is not None:
                        data = data[: max(0, self.limit - self.passed)]
                        self.passed += len(data)
                    elif ready is near:
                        self.passed += len(data)
                    if self.delay:
                        time.sleep(self.delay)
                    cut = self.limit is not None and self.passed >= self.limit
                    with suppress(OSError):
                        if ready is near or not (cut and self.silent):
                            other[ready].sendall(data)
                    if cut and self.silent:
                        self._stop.wait()
                    if cut:
                        return


def read_arguments(stop: threading.Event, seen: set[str]) -> None:
    """Collects the arguments and environments of all processes until `stop` is set."""
    while not stop.is_set():
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal() and int(entry.name) != os.getpid():
                for name in ("cmdline", "environ"):
                    with suppress(OSError):
                        seen.add((entry / name).read_bytes().decode("utf-8", "replace"))
