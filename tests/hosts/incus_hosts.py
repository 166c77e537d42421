"""Instances of a real incus, whose daemon runs in the test's own network with its own folder.

    with Network() as network, Incus(network) as incus, Instance("bookworm", "prometheus", incus) as instance:
        instance.check(["systemctl", "is-active", "prometheus"])

The daemon is not inside of a `Machine`, where it would need more privileges of systemd-nspawn than test hosts
have: a machine with instances has the client and the daemon's socket, and Firescreen sees no more than that
of any host with instances. The instances and the test's `Machine`s reach each other. With `Incus.environment`
a client on this machine connects to the daemon, with `Incus.bound` one inside of a `Machine`.
"""

from __future__ import annotations

import json
import os
import platform
import re
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
from machines import BRIDGE, Network, Running, _call, furnish

from tests.processes import run_program
from wizard.model import HostSpec

# The daemon looks for its bridge in /sys, which shows the network namespace of the process that mounted it; and for
# control groups, of which newer systemd wants one version. Both get a mount namespace that ends with the daemon.
_START = """
mount -t sysfs sysfs /sys && mount -t cgroup2 cgroup2 /sys/fs/cgroup
exec /usr/libexec/incus/incusd --group root --logfile "$INCUS_DIR/incusd.log"
"""


def _sweep() -> None:
    """Ends the leftovers of a test run whose daemon could not end them; the next network removes its folder."""
    left = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            named = re.search(rb"/firescreen-(\d+)-incus-", (entry / "cmdline").read_bytes())
            if named and entry.name.isdecimal() and not Path("/proc", named[1].decode()).exists():
                left.append(int(entry.name))
    for pid in left:
        # The first child of a container's monitor is the container's init: all its processes end with that one.
        with suppress(OSError):
            for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
                os.kill(int(child), signal.SIGKILL)
        with suppress(OSError):
            os.kill(pid, signal.SIGTERM)


class Incus:
    """A daemon of its own, running while the context lasts."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.folder = Path(tempfile.mkdtemp(prefix=f"firescreen-{os.getpid()}-incus-"))
        self._daemon: subprocess.Popen[bytes] | None = None
        self._images: set[str] = set()

    @property
    def environment(self) -> dict[str, str]:
        """Returns the variables with which a client (incus, or LXD's lxc) finds the daemon and ignores the
        user's settings.
        """
        state, settings = str(self.folder / "state"), str(self.folder / "settings")
        return {"INCUS_DIR": state, "LXD_DIR": state, "INCUS_CONF": settings, "LXD_CONF": settings}

    @property
    def bound(self) -> dict[str, str]:
        """Returns `Machine(bound=...)`: the client, and the daemon's socket at the client's default path."""
        return {"/usr/bin/incus": "/usr/bin/incus", str(self.folder / "state"): "/var/lib/incus"}

    def __enter__(self) -> Incus:
        bases.require()
        _sweep()
        try:
            self._start()
            self.client("storage", "create", "default", "dir")
            self.client("profile", "device", "add", "default", "root", "disk", "path=/", "pool=default")
            nic = ("nic", "nictype=bridged", f"parent={BRIDGE}", "name=eth0")
            self.client("profile", "device", "add", "default", "eth0", *nic)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._daemon is not None:
            # `shutdown`: stop all instances, then end.
            self._daemon.send_signal(signal.SIGPWR)
            try:
                self._daemon.wait(60)
            except subprocess.TimeoutExpired:
                self._daemon.kill()
                self._daemon.wait(20)
        _call(["rm", "-rf", "--one-file-system", self.folder])

    def client(self, *words: str, timeout: float = 120) -> str:
        """Runs the client; raises RuntimeError with its output if it fails."""
        ended = run_program(
            ["incus", *words], env=os.environ | self.environment, stdin=subprocess.DEVNULL, timeout=timeout
        )
        if ended.returncode:
            raise RuntimeError(f"incus {shlex.join(words)}: {ended.stderr.strip()[-2000:]}{self._log()}")
        return ended.stdout

    def image(self, suite: str) -> str:
        """Returns the name of an image of that suite's base."""
        if suite not in self._images:
            metadata = self.folder / "metadata.yaml"
            metadata.write_text(
                f"architecture: {platform.machine()}\ncreation_date: 1700000000\nproperties:\n  os: {suite}\n"
            )
            packed = self.folder / f"{suite}.tar"
            _call(["tar", "-C", self.folder, "-cf", packed, metadata.name])
            self.client("image", "import", str(packed), str(bases.archive(suite)), "--alias", suite)
            self._images.add(suite)
        return suite

    def _start(self) -> None:
        # The user who is root in an instance needs search permission.
        self.folder.chmod(0o711)
        (self.folder / "state").mkdir()
        with (self.folder / "console").open("wb") as log:
            self._daemon = subprocess.Popen(
                [
                    # The daemon and its instances end with this process, however it ends.
                    *("setpriv", "--pdeathsig", "PWR", "--", *self.network.enter),
                    *("unshare", "--mount", "--propagation", "private", "--", "sh", "-c", _START),
                ],
                env=os.environ | self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + 60
        while True:
            try:
                self.client("query", "/1.0", timeout=20)
                return
            except RuntimeError:
                if time.monotonic() > deadline or self._daemon.poll() is not None:
                    raise
            time.sleep(0.1)

    def _log(self) -> str:
        """Returns the last lines of the daemon's log."""
        console = self.folder / "console"
        return f"\n{console.read_text(errors='replace')[-1000:]}" if console.exists() else ""


class Instance(Running):
    """A container, booted and settled while the context lasts.

    `run` does not use the client, which is under test, and which sometimes loses output.

    Args:
        suite: Debian's name for the release.
        name: of the instance, and its host name.
        incus: its daemon.
        programs: as for `Machine`.
    """

    _more_namespaces = ("-U",)

    def __init__(
        self,
        suite: str,
        name: str,
        incus: Incus,
        *,
        programs: Sequence[str] = ("prometheus", "node_exporter"),
    ) -> None:
        self.suite = suite
        self.name = name
        self.incus = incus
        self.programs = tuple(programs)
        self.address = incus.network.address(name)
        self._leader = 0

    @property
    def spec(self) -> HostSpec:
        """Returns the host in the form of a stack file."""
        return HostSpec(name=self.name, connect="incus", instance=self.name, address=self.address)

    def __enter__(self) -> Instance:
        self.incus.client("init", self.incus.image(self.suite), self.name)
        try:
            root = self.incus.folder / "state/storage-pools/default/containers" / self.name / "rootfs"
            furnish(root, self.name, self.address, self.incus.network, programs=self.programs, link="eth0")
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.incus.client("delete", "--force", self.name)

    def start(self) -> None:
        """Boots it, and waits until systemd has started everything."""
        self.incus.client("start", self.name)
        self._leader = json.loads(self.incus.client("query", f"/1.0/instances/{self.name}/state"))["pid"]
        deadline = time.monotonic() + 60
        state = ""
        while time.monotonic() < deadline:
            asked = self.run(["systemctl", "is-system-running", "--wait"], timeout=60)
            state = asked.stdout.strip() or asked.stderr.strip()
            if state in ("running", "degraded"):
                return
            time.sleep(0.05)
        raise RuntimeError(f"{self.name} ({self.suite}) did not boot: {state}")

    def stop(self) -> None:
        """Stops it without waiting for its services."""
        self.incus.client("stop", "--force", self.name)
