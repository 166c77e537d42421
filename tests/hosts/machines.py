"""Boots real Debian hosts with systemd and sshd, each an overlay over a cached base, and ends them by pid.

    with Network() as network, Machine("bookworm", "srv1", network) as machine:
        machine.run(["systemctl", "is-active", "prometheus"])

    with Network() as network, fleet("sid", 20, network) as machines, network.entered():
        socket.create_connection((machines[0].address, 22))

They reach each other over a bridge in a network namespace of the test's own, and nothing else. A test is
outside of it: with `Network.entered` its thread enters, with `Network.enter` a program.
"""

from __future__ import annotations

import ctypes
import os
import shlex
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import bases

from tests.processes import run_program
from wizard.model import HostSpec

BRIDGE = "br0"
ENDPOINT = "192.0.2.1"
"""The test's own side of the bridge."""
FIRESCREEN = "/opt/firescreen/bin/firescreen"
STACK = """\
version: 1
hosts:
  here: {connect: local}
components:
  - {host: here, name: node_exporter, protect: [tls, basic_auth]}
  - {host: here, name: prometheus, protect: [tls, basic_auth]}
"""
"""Of Firescreen on a host, for that host."""
PROGRAMS = {
    "prometheus": "prometheus",
    "node_exporter": "prometheus-node-exporter",
    "alertmanager": "prometheus-alertmanager",
    "pushgateway": "prometheus-pushgateway",
    "blackbox_exporter": "prometheus-blackbox-exporter",
}
"""What a base has of Prometheus' family, and Debian's name for its package, unit and program."""
LOGINS = {"root": "root", "admin": "home/admin", "operator": "home/operator", "nobody2": "home/nobody2"}
"""Who may log in over SSH with the test's key, and the home folder; bases.FURNISH says what sudo lets them do."""
_CLONE_NEWNET = 0x40000000
_INOTIFY = Path("/proc/sys/fs/inotify/max_user_instances")
_IN_GROUP = 'mkdir -p "$0" && echo $$ > "$0/cgroup.procs" && exec "$@"'


def _call(argv: Sequence[str | Path], *, timeout: float = 60) -> str:
    ended = run_program(argv, timeout=timeout)
    if ended.returncode:
        raise RuntimeError(f"{shlex.join(map(str, argv))}: {(ended.stderr or ended.stdout).strip()[-2000:]}")
    return ended.stdout


def _stand_in(namespace: int) -> None:
    """Calls setns(2) for this thread; Python has it from 3.12 on."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


@contextmanager
def standing_in(namespace: Path) -> Iterator[None]:
    """Runs this thread, and what it starts meanwhile, in that network namespace."""
    with Path("/proc/thread-self/ns/net").open("rb") as home:
        with namespace.open("rb") as there:
            _stand_in(there.fileno())
        try:
            yield
        finally:
            _stand_in(home.fileno())


def _unmount(folder: Path) -> None:
    """Removes a host's folder; one that is still mounted stays, and the next run removes it."""
    for place in (folder / "root", folder / "layers"):
        subprocess.run(["umount", "-R", place], capture_output=True, timeout=30, check=False)
    if not (folder / "root").is_mount():
        _call(["rm", "-rf", "--one-file-system", folder])


def _groups() -> Path:
    """Returns the mount point of cgroup v2."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, place, kind, *_ = line.split(" ")
        if kind == "cgroup2":
            return Path(place)
    raise RuntimeError("no cgroup2 is mounted")


def _remove_group(group: Path) -> None:
    """Removes a control group without processes, with all below it."""
    for folder, _, _ in os.walk(group, topdown=False):
        with suppress(OSError):
            Path(folder).rmdir()


def _sweep() -> None:
    """Removes the leftovers of a killed test run; its hosts have ended with it."""
    for namespace in Path("/run/netns").glob("firescreen-*"):
        if not Path("/proc", namespace.name.split("-")[1]).exists():
            subprocess.run(
                ["ip", "netns", "del", namespace.name], capture_output=True, timeout=30, check=False
            )
    for group in _groups().glob("firescreen-*-*"):
        if not Path("/proc", group.name.split("-")[1]).exists():
            _remove_group(group)
    for folder in Path(tempfile.gettempdir()).glob("firescreen-*-*"):
        pid = folder.name.split("-")[1]
        if pid.isdecimal() and not Path("/proc", pid).exists():
            _unmount(folder)


def _allow_many_hosts() -> None:
    """Raises the kernel's usual limit of 128 inotify instances for root; each host needs five."""
    if int(_INOTIFY.read_text()) < 4096:
        # Where it cannot be changed, as in some containers, fewer hosts can run at a time.
        with suppress(OSError):
            _INOTIFY.write_text("4096")


class Network:
    """A network namespace with a bridge; the test's side has 192.0.2.1, the hosts follow from .11 on.

    `key` is the private key that every host in it accepts (see `LOGINS`).
    """

    def __init__(self) -> None:
        self.name = f"firescreen-{os.getpid()}"
        self._last = 10
        self.hosts: dict[str, str] = {}
        self._folder = Path(tempfile.mkdtemp(prefix=f"firescreen-{os.getpid()}-network-"))
        self.key = self._folder / "key"

    def __enter__(self) -> Network:
        bases.require()
        _allow_many_hosts()
        _sweep()
        _call(["ip", "netns", "add", self.name])
        try:
            _call(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", self.key])
            for argv in (
                ["link", "set", "lo", "up"],
                # A MAC address of its own: otherwise the bridge takes over those of its ports as they are added, and ARP fails for seconds.
                ["link", "add", BRIDGE, "address", "02:00:00:00:00:01", "type", "bridge"],
                ["addr", "add", f"{ENDPOINT}/24", "dev", BRIDGE],
                ["link", "set", BRIDGE, "up"],
            ):
                _call(["ip", "-n", self.name, *argv])
            # An address without a host is reported unreachable after one second instead of three.
            retried = f"echo 300 >/proc/sys/net/ipv4/neigh/{BRIDGE}/retrans_time_ms"
            _call([*self.enter, "sh", "-c", retried])
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True, timeout=30, check=False)
        _call(["rm", "-rf", "--one-file-system", self._folder])

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Runs this thread, and the threads and programs that it starts meanwhile, in this network.

        Existing threads (of a pool) stay where they are, and a socket stays in the network where it was
        opened.
        """
        with standing_in(Path("/run/netns", self.name)):
            yield

    @property
    def enter(self) -> list[str]:
        """Returns the command prefix that runs a command in this network.

        `ip netns exec` would mount /sys anew; systemd-nspawn then cannot tell which cgroup version is used.
        """
        return ["nsenter", f"--net=/run/netns/{self.name}", "--"]

    @property
    def enter_named(self) -> list[str]:
        """Returns `enter`, with the present names of the hosts resolved there, as by a name server."""
        names = self._folder / "hosts"
        names.write_text(
            "127.0.0.1 localhost\n" + "".join(f"{at} {name}\n" for name, at in self.hosts.items())
        )
        named = f'mount --bind {names} /etc/hosts && exec "$@"'
        return [*self.enter, "unshare", "--mount", "--propagation", "private", "--", "sh", "-c", named, "sh"]

    def address(self, name: str) -> str:
        """Returns the next free address, and assigns it to that host."""
        self._last += 1
        self.hosts[name] = f"192.0.2.{self._last}"
        return self.hosts[name]


class Running:
    """A running host, entered by its first process."""

    _leader = 0
    _more_namespaces: tuple[str, ...] = ()

    @property
    def inside(self) -> list[str]:
        """Returns the command prefix that runs a command in it."""
        return [
            "nsenter",
            "-t",
            str(self._leader),
            *("-m", "-u", "-i", "-n", "-p"),
            *self._more_namespaces,
            "--",
        ]

    def run(
        self,
        command: Sequence[str] | str,
        *,
        stdin: str | bytes = b"",
        timeout: float = 60,
        user: str = "root",
    ) -> subprocess.CompletedProcess[str]:
        """Runs a program inside (a str: by `sh -c`); the caller checks the exit code."""
        argv = ["sh", "-c", command] if isinstance(command, str) else list(command)
        if user != "root":
            argv = ["runuser", "-u", user, "--", *argv]
        environment = ["env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
        environment += ["HOME=/root" if user == "root" else f"HOME=/home/{user}", "LANG=C.UTF-8", "TERM=dumb"]
        # The timeout is enforced inside: killing nsenter would leave its child running in the host.
        bound = ["timeout", "-k", "2", f"{timeout:g}"]
        ended = subprocess.run(
            [*self.inside, *environment, *bound, *argv],
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            capture_output=True,
            timeout=timeout + 10,
            check=False,
        )
        out, err = (each.decode("utf-8", "replace") for each in (ended.stdout, ended.stderr))
        return subprocess.CompletedProcess(argv, ended.returncode, out, err)

    def check(self, command: Sequence[str] | str, *, stdin: str | bytes = b"", timeout: float = 60) -> str:
        """Runs a program as `run` does; returns standard output, or raises AssertionError with the output of
        a failed one.
        """
        ended = self.run(command, stdin=stdin, timeout=timeout)
        assert ended.returncode == 0, f"{command}: {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
        return ended.stdout


class Machine(Running):
    """A host, booted and settled while the context lasts.

    Args:
        suite: Debian's name for the release, e.g. bookworm or sid.
        name: its host name.
        network: its network.
        programs: which of `PROGRAMS` it has; the others are not on its disk.
        bound: files of this machine that are mounted read-only: path here -> path there.
        label: its name outside, where two hosts of the same name run; at most 12 characters.
        system_calls: those that it may make in addition to systemd-nspawn's defaults.
        packages: Debian packages in addition to those of every base.
    """

    def __init__(
        self,
        suite: str,
        name: str,
        network: Network,
        *,
        programs: Sequence[str] = ("prometheus", "node_exporter"),
        bound: dict[str, str] | None = None,
        label: str = "",
        system_calls: Sequence[str] = (),
        packages: Sequence[str] = (),
    ) -> None:
        self.suite = suite
        self.name = name
        self.label = label or name
        self.network = network
        self.programs = tuple(programs)
        self._bound = {str(bases.PROJECT): f"{bases.HOME}/source"} | (bound or {})
        self._system_calls = " ".join(system_calls)
        self._packages = tuple(packages)
        self.address = network.address(name)
        self._folder = Path(tempfile.mkdtemp(prefix=f"firescreen-{os.getpid()}-{self.label}-"))
        self.root = self._folder / "root"
        self.key = network.key
        self._nspawn: subprocess.Popen[bytes] | None = None
        # A control group of its own: hosts in one group would share the groups of their services, and remove each other's.
        self._group = _groups() / f"firescreen-{os.getpid()}-{self.label}"
        self._leader = 0

    def __enter__(self) -> Self:
        try:
            self.prepare()
            self.start()
            self.settle()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._nspawn is not None:
            # Nothing of it is kept, so its services are not stopped in order.
            with suppress(ProcessLookupError):
                if self._leader:
                    os.kill(self._leader, signal.SIGKILL)
                else:
                    self._nspawn.terminate()
            try:
                self._nspawn.wait(20)
            except subprocess.TimeoutExpired:
                self._nspawn.kill()
                self._nspawn.wait(20)
        _remove_group(self._group)
        _unmount(self._folder)

    @property
    def seen(self) -> Path:
        """Returns its file system with all mounts, as its own processes see it."""
        return Path(f"/proc/{self._leader}/root")

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Runs this thread in the host's own network: its loopback, its addresses, its routes."""
        with standing_in(Path(f"/proc/{self._leader}/ns/net")):
            yield

    # -- use ---------------------------------------------------------------------------------------------

    def python(self, code: str, *, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Runs Python inside, with this project and its locked requirements."""
        return self.run([f"{bases.HOME}/bin/python", "-"], stdin=code, timeout=timeout)

    def push(self, path: str, content: bytes, *, mode: int = 0o644) -> None:
        """Writes a file inside, and makes its folder."""
        quoted, folder = shlex.quote(path), shlex.quote(str(Path(path).parent))
        self.check(
            f"mkdir -p {folder} && cat > {quoted} && chmod {mode:o} {quoted}",
            stdin=content,
        )

    def read(self, path: str) -> bytes:
        """Returns a file's content."""
        ended = subprocess.run([*self.inside, "cat", path], capture_output=True, timeout=30, check=True)
        return ended.stdout

    def ssh(
        self, command: str, *, user: str = "root", timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command over SSH with the test's key, from the bridge's side."""
        options = [f"UserKnownHostsFile={self._folder}/known_hosts", "StrictHostKeyChecking=accept-new"]
        options += ["BatchMode=yes", "ConnectTimeout=10"]
        return run_program(
            [
                *(*self.network.enter, "ssh", "-i", str(self.key)),
                *(word for option in options for word in ("-o", option)),
                *(f"{user}@{self.address}", command),
            ],
            timeout=timeout,
        )

    def spec(self, *, user: str = "root", become: str = "") -> HostSpec:
        """Returns the host in the form of a stack file; its host keys are known. Connect while `Network.entered`."""
        known = self._folder / "known"
        keys = sorted((self.root / "etc/ssh").glob("ssh_host_*_key.pub"))
        known.write_text("".join(f"{self.address} {key.read_text()}" for key in keys))
        return HostSpec(
            name=self.name,
            connect="ssh",
            address=self.address,
            user=user,
            identity_file=str(self.key),
            known_hosts=str(known),
            become=become,
        )

    # -- making ------------------------------------------------------------------------------------------

    def _mount(self) -> None:
        base = bases.base(self.suite)
        layer = bases.application(base)
        # On a tmpfs of its own: an overlay's upper layer cannot be on another overlay, as in a container.
        layers = self._folder / "layers"
        layers.mkdir()
        _call(["mount", "-t", "tmpfs", "-o", "mode=0755,size=2g", "tmpfs", layers])
        for folder in (layers / "upper", layers / "work", self.root):
            folder.mkdir()
        lower = [layer, *([bases.packages(self.suite, self._packages)] if self._packages else ()), base]
        options = f"lowerdir={':'.join(map(str, lower))},upperdir={layers}/upper,workdir={layers}/work"
        _call(["mount", "-t", "overlay", "-o", options, "overlay", self.root])

    def prepare(self) -> None:
        """Makes its file system; its /etc/hosts has the addresses that the network has assigned so far."""
        self._mount()
        furnish(self.root, self.name, self.address, self.network, programs=self.programs)

    def start(self) -> None:
        """Boots it. Call it in a thread that outlives it: the host ends with the thread that started it."""
        # The kernel removes the interface of an ended host of this name with a delay.
        link = ["ip", "-n", self.network.name, "link", "del", f"vb-{self.label}"]
        subprocess.run(link, capture_output=True, timeout=30, check=False)
        log = (self._folder / "console").open("wb")
        with log:
            self._nspawn = subprocess.Popen(
                [
                    *("sh", "-c", _IN_GROUP, self._group),
                    # The host ends with this process, however it ends.
                    *("setpriv", "--pdeathsig", "TERM", "--", *self.network.enter, "systemd-nspawn"),
                    *("--register=no", "--keep-unit", "-q"),
                    *("-D", str(self.root), "-b", "-M", self.label, f"--hostname={self.name}"),
                    f"--network-bridge={BRIDGE}",
                    *("--console=pipe", "--resolv-conf=off", "--timezone=off"),
                    *([f"--system-call-filter={self._system_calls}"] if self._system_calls else ()),
                    *(f"--bind-ro={here}:{there}" for here, there in self._bound.items()),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Newer systemd does not support the cgroup v1 hierarchy that a machine like this one may still mount.
                env=os.environ | {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
                start_new_session=True,
            )

    def settle(self) -> None:
        """Waits until systemd has started everything."""
        assert self._nspawn is not None
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
        """Returns the host's own process 1, or 0 while systemd-nspawn still prepares it."""
        assert self._nspawn is not None
        pid = self._nspawn.pid
        with suppress(OSError):
            for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
                name = Path(f"/proc/{child}/comm").read_text().strip()
                if name in ("systemd", "init"):
                    return int(child)
        return 0


def furnish(
    root: Path, name: str, address: str, network: Network, *, programs: Sequence[str], link: str = "host0"
) -> None:
    """Turns a copy of a base that does not run yet into this host: names, address, keys, programs."""
    public = network.key.with_suffix(".pub").read_text()
    hosts = "".join(f"{each} {called}\n" for called, each in network.hosts.items())
    for path, text in {
        "etc/hostname": f"{name}\n",
        "etc/hosts": f"127.0.0.1 localhost\n::1 localhost\n{hosts}",
        "etc/own-address": f"ip address replace {address}/24 dev {link}\nip link set {link} up\n",
        **{f"{home}/.ssh/authorized_keys": public for home in LOGINS.values()},
    }.items():
        (root / path).write_text(text)
    for kind in ("ed25519", "ecdsa"):
        key = root / f"etc/ssh/ssh_host_{kind}_key"
        _call(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", name, "-f", key])
    for program, package in PROGRAMS.items():
        if program not in programs:
            for path in (
                *(f"usr/bin/{package}", f"etc/default/{package}", f"etc/init.d/{package}"),
                *(f"lib/systemd/system/{package}.service", f"usr/lib/systemd/system/{package}.service"),
                f"etc/systemd/system/multi-user.target.wants/{package}.service",
            ):
                (root / path).unlink(missing_ok=True)


@contextmanager
def fleet(
    suite: str,
    count: int,
    network: Network,
    *,
    names: Sequence[str] = (),
    programs: Sequence[str] = ("node_exporter",),
) -> Iterator[list[Machine]]:
    """Boots that many hosts at the same time; yields them settled, and ends them with the context.

    Args:
        suite: as for `Machine`.
        count: the number of hosts.
        network: their network; each knows the names of all.
        names: their names, by default srv1, srv2 and so on.
        programs: which of `PROGRAMS` each of them has.
    """
    bases.application(bases.base(suite))
    called = list(names) or [f"srv{number}" for number in range(1, count + 1)]
    with booted([Machine(suite, name, network, programs=programs) for name in called]) as machines:
        yield machines


@contextmanager
def booted(machines: list[Machine]) -> Iterator[list[Machine]]:
    """Boots these hosts, which are not prepared yet, at the same time, and ends them together."""
    with ThreadPoolExecutor(len(machines) or 1) as pool:
        try:
            list(pool.map(Machine.prepare, machines))
            for machine in machines:
                machine.start()
            list(pool.map(Machine.settle, machines))
            yield machines
        finally:
            list(pool.map(lambda machine: machine.__exit__(None, None, None), machines))
