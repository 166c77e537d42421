"""Boots real Debian hosts with systemd and sshd, each an overlay over a cached base, and ends them by pid.

    with Network() as network, Machine("bookworm", "srv1", network) as machine:
        machine.run(["systemctl", "is-active", "prometheus"])

They reach each other over a bridge in a network namespace of the test's own, and nothing else.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import bases

_BRIDGE = "br0"


def _call(argv: Sequence[str | Path], *, timeout: float = 60) -> str:
    ended = subprocess.run(argv, capture_output=True, text=True, timeout=timeout, check=False)
    if ended.returncode:
        raise RuntimeError(f"{shlex.join(map(str, argv))}: {(ended.stderr or ended.stdout).strip()[-2000:]}")
    return ended.stdout


def _unmount(folder: Path) -> None:
    """Removes a host's folder; one that is still mounted stays, for the next run to sweep."""
    for place in (folder / "root", folder / "layers"):
        subprocess.run(["umount", "-R", place], capture_output=True, timeout=30, check=False)
    if not (folder / "root").is_mount():
        _call(["rm", "-rf", "--one-file-system", folder])


def _sweep() -> None:
    """Removes what a test run that was killed left behind; its hosts ended with it."""
    for namespace in Path("/run/netns").glob("firescreen-*"):
        if not Path("/proc", namespace.name.split("-")[1]).exists():
            subprocess.run(
                ["ip", "netns", "del", namespace.name], capture_output=True, timeout=30, check=False
            )
    for folder in Path(tempfile.gettempdir()).glob("firescreen-*-*"):
        pid = folder.name.split("-")[1]
        if pid.isdecimal() and not Path("/proc", pid).exists():
            _unmount(folder)


class Network:
    """A network namespace with a bridge; the test's side has 192.0.2.1, the hosts follow from .11 on."""

    def __init__(self) -> None:
        self.name = f"firescreen-{os.getpid()}"
        self._last = 10
        self.hosts: dict[str, str] = {}

    def __enter__(self) -> Network:
        bases.require()
        _sweep()
        _call(["ip", "netns", "add", self.name])
        try:
            for argv in (
                ["link", "set", "lo", "up"],
                ["link", "add", _BRIDGE, "type", "bridge"],
                ["addr", "add", "192.0.2.1/24", "dev", _BRIDGE],
                ["link", "set", _BRIDGE, "up"],
            ):
                _call(["ip", "-n", self.name, *argv])
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True, timeout=30, check=False)

    @property
    def enter(self) -> list[str]:
        """The words before a command that is to run in this network.

        `ip netns exec` would mount /sys anew, after which systemd-nspawn cannot tell which cgroups are used.
        """
        return ["nsenter", f"--net=/run/netns/{self.name}", "--"]

    def address(self, name: str) -> str:
        """The next free address, for that host."""
        self._last += 1
        self.hosts[name] = f"192.0.2.{self._last}"
        return self.hosts[name]


class Machine:
    """One host, up and settled while the context lasts.

    Args:
        suite: Debian's name for the release, e.g. bookworm or sid.
        name: its host name.
        network: where it stands.
    """

    def __init__(self, suite: str, name: str, network: Network) -> None:
        self.suite = suite
        self.name = name
        self.network = network
        self.address = network.address(name)
        self._folder = Path(tempfile.mkdtemp(prefix=f"firescreen-{os.getpid()}-{name}-"))
        self.root = self._folder / "root"
        self.key = self._folder / "key"
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._leader = 0

    def __enter__(self) -> Machine:
        try:
            self._mount()
            self._configure()
            self._boot()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._nspawn is not None:
            self._nspawn.terminate()
            try:
                self._nspawn.wait(20)
            except subprocess.TimeoutExpired:
                with suppress(ProcessLookupError):
                    os.kill(self._leader, signal.SIGKILL)
                self._nspawn.kill()
                self._nspawn.wait(20)
        _unmount(self._folder)

    # -- use ---------------------------------------------------------------------------------------------

    def run(
        self,
        command: Sequence[str] | str,
        *,
        stdin: str | bytes = b"",
        timeout: float = 60,
        user: str = "root",
    ) -> subprocess.CompletedProcess[str]:
        """Runs a program inside (a str: by `sh -c`); a bad exit code is the caller's to judge."""
        argv = ["sh", "-c", command] if isinstance(command, str) else list(command)
        if user != "root":
            argv = ["runuser", "-u", user, "--", *argv]
        environment = ["env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
        environment += ["HOME=/root" if user == "root" else f"HOME=/home/{user}", "LANG=C.UTF-8", "TERM=dumb"]
        # The bound is held inside: killing nsenter would leave its child running in the host.
        bound = ["timeout", "--kill-after=2", f"{timeout:g}"]
        ended = subprocess.run(
            [*self._inside(), *environment, *bound, *argv],
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            capture_output=True,
            timeout=timeout + 10,
            check=False,
        )
        out, err = (each.decode("utf-8", "replace") for each in (ended.stdout, ended.stderr))
        return subprocess.CompletedProcess(argv, ended.returncode, out, err)

    def check(self, command: Sequence[str] | str, *, stdin: str | bytes = b"", timeout: float = 60) -> str:
        """As `run`, but a bad exit code is an AssertionError with all that was said; gives standard output."""
        ended = self.run(command, stdin=stdin, timeout=timeout)
        assert ended.returncode == 0, f"{command}: {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
        return ended.stdout

    def python(self, code: str, *, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Runs Python inside, with this project and its locked requirements at hand."""
        return self.run([f"{bases.HOME}/bin/python", "-"], stdin=code, timeout=timeout)

    def push(self, path: str, content: bytes, *, mode: int = 0o644) -> None:
        """Writes a file inside, its folder too."""
        quoted, folder = shlex.quote(path), shlex.quote(str(Path(path).parent))
        self.check(
            f"mkdir -p {folder} && cat > {quoted} && chmod {mode:o} {quoted}",
            stdin=content,
        )

    def read(self, path: str) -> bytes:
        """A file's content, as bytes."""
        ended = subprocess.run([*self._inside(), "cat", path], capture_output=True, timeout=30, check=True)
        return ended.stdout

    def ssh(
        self, command: str, *, user: str = "root", timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command over SSH with the test's key, from the bridge's side."""
        options = [f"UserKnownHostsFile={self._folder}/known_hosts", "StrictHostKeyChecking=accept-new"]
        options += ["BatchMode=yes", "ConnectTimeout=10"]
        return subprocess.run(
            [
                *(*self.network.enter, "ssh", "-i", str(self.key)),
                *(word for option in options for word in ("-o", option)),
                *(f"{user}@{self.address}", command),
            ],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    # -- making ------------------------------------------------------------------------------------------

    def _inside(self) -> list[str]:
        return ["nsenter", "-t", str(self._leader), "-m", "-u", "-i", "-n", "-p", "--"]

    def _mount(self) -> None:
        base = bases.base(self.suite)
        layer = bases.application(base)
        # On a tmpfs of its own: an overlay's upper layer cannot lie on another overlay, as in a container.
        layers = self._folder / "layers"
        layers.mkdir()
        _call(["mount", "-t", "tmpfs", "-o", "mode=0755,size=2g", "tmpfs", layers])
        for folder in (layers / "upper", layers / "work", self.root):
            folder.mkdir()
        options = f"lowerdir={layer}:{base},upperdir={layers}/upper,workdir={layers}/work"
        _call(["mount", "-t", "overlay", "-o", options, "overlay", self.root])

    def _configure(self) -> None:
        _call(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", self.key])
        root = self.root
        public = self.key.with_suffix(".pub").read_text()
        hosts = "".join(f"{address} {name}\n" for name, address in self.network.hosts.items())
        network = f"[Match]\nName=host0\n[Network]\nAddress={self.address}/24\nLinkLocalAddressing=no\n"
        for path, text in {
            "etc/hostname": f"{self.name}\n",
            "etc/hosts": f"127.0.0.1 localhost\n::1 localhost\n{hosts}",
            # The name must sort before systemd's own 80-container-host0.network.
            "etc/systemd/network/10-host0.network": network,
            "root/.ssh/authorized_keys": public,
        }.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        (root / "root/.ssh").chmod(0o700)
        wants = root / "etc/systemd/system/multi-user.target.wants"
        wants.mkdir(exist_ok=True)
        (wants / "systemd-networkd.service").symlink_to("/lib/systemd/system/systemd-networkd.service")
        for unit in ("systemd-resolved.service", "systemd-networkd-wait-online.service"):
            (root / "etc/systemd/system" / unit).symlink_to("/dev/null")
        _call(["chroot", root, "ssh-keygen", "-A"])
        _call(["chroot", root, "useradd", "-m", "-s", "/bin/bash", "admin"])
        _call(
            ["chroot", root, "install", "-d", "-m", "0700", "-o", "admin", "-g", "admin", "/home/admin/.ssh"]
        )
        (root / "home/admin/.ssh/authorized_keys").write_text(public)
        (root / "etc/sudoers.d/admin").write_text("admin ALL=(ALL) NOPASSWD: ALL\n")
        (root / "etc/sudoers.d/admin").chmod(0o440)
        _call(["chroot", root, "useradd", "-m", "-s", "/bin/bash", "guest"])

    def _boot(self) -> None:
        log = (self._folder / "console").open("wb")
        with log:
            self._nspawn = subprocess.Popen(
                [
                    # Ends with this process, however that ends.
                    *("setpriv", "--pdeathsig", "TERM", "--", *self.network.enter, "systemd-nspawn"),
                    *("--register=no", "--keep-unit", "-q"),
                    *("-D", str(self.root), "-b", "-M", self.name, f"--network-bridge={_BRIDGE}"),
                    *("--console=pipe", "--resolv-conf=off", "--timezone=off"),
                    f"--bind-ro={bases.PROJECT}:{bases.HOME}/source",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Newer systemd has no use for the older cgroups that a host like this one may still mount.
                env=os.environ | {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
                start_new_session=True,
            )
        deadline = time.monotonic() + 90
        state = ""
        while time.monotonic() < deadline:
            if self._nspawn.poll() is not None:
                break
            self._leader = self._leader or self._child()
            if self._leader:
                asked = self.run(["systemctl", "is-system-running", "--wait"], timeout=60)
                state = asked.stdout.strip() or asked.stderr.strip()
                if state in ("running", "degraded"):
                    return
            time.sleep(0.05)
        tail = (self._folder / "console").read_text(errors="replace")[-2000:]
        raise RuntimeError(f"{self.name} ({self.suite}) did not boot: {state}\n{tail}")

    def _child(self) -> int:
        """The host's own process 1, or 0 while systemd-nspawn still prepares it."""
        assert self._nspawn is not None
        pid = self._nspawn.pid
        with suppress(OSError):
            for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
                name = Path(f"/proc/{child}/comm").read_text().strip()
                if name in ("systemd", "init"):
                    return int(child)
        return 0
