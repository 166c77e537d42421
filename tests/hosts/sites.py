"""A site of five real hosts, and faults for one of them: srv1 to srv4 have node_exporter, prometheus scrapes
all four.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import TypeAlias

from machines import Machine, Network, booted

from wizard.model import ComponentSpec, Stack

NODES = ("srv1", "srv2", "srv3", "srv4")
CONFIG = """\
global:
  scrape_interval: 1s
scrape_configs:
  - job_name: node
    static_configs:
      - targets: [srv1:9100, srv2:9100, srv3:9100, srv4:9100]
"""
Files: TypeAlias = dict[str, tuple[str, int, int, int]]


@dataclass
class Site:
    """The five hosts, and faults for one of them."""

    network: Network
    machines: dict[str, Machine]

    def files(self, name: str) -> Files:
        """Returns every file below /etc of a host: digest, mode, owner and group."""
        found = {}
        for path in sorted((self.machines[name].root / "etc").rglob("*")):
            if path.is_file() and not path.is_symlink():
                stat = path.stat()
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                found[str(path)] = (digest, stat.st_mode, stat.st_uid, stat.st_gid)
        return found

    def all_files(self) -> dict[str, Files]:
        return {name: self.files(name) for name in self.machines}

    def link(self, name: str, state: str) -> None:
        """Sets a host's network link up or down, like a cable."""
        _in(self.network, ["ip", "link", "set", f"vb-{name}", state])

    @contextmanager
    def unplugged(self, name: str) -> Iterator[None]:
        self.link(name, "down")
        try:
            yield
        finally:
            self.link(name, "up")

    def stack(self, *, user: str = "root", become: str = "") -> Stack:
        """Returns a stack with TLS and a password for all."""
        hosts = tuple(machine.spec(user=user, become=become) for machine in self.machines.values())
        parts = [(name, "node_exporter") for name in NODES] + [("prometheus", "prometheus")]
        return Stack(
            hosts=hosts,
            components=tuple(
                ComponentSpec(host=host, name=name, protect=("tls", "basic_auth")) for host, name in parts
            ),
        )

    def plain(self, name: str) -> bool:
        """Returns whether the exporter of a host answers plain http, requested on the host."""
        asked = self.machines[name].run(["curl", "-s", "-m5", "http://127.0.0.1:9100/metrics"])
        return asked.returncode == 0 and "node_exporter_build_info" in asked.stdout

    def ups(self) -> dict[str, str]:
        """Returns the health of each target from Prometheus, requested on its own host with the present credentials."""
        code = (
            "import json,ssl,urllib.request as u\n"
            "h=[u.HTTPSHandler(context=ssl._create_unverified_context())]\n"
            "import base64,pathlib\n"
            "p=pathlib.Path('/etc/prometheus/prometheus.password')\n"
            "r=u.Request(('https' if p.exists() else 'http')+'://127.0.0.1:9090/api/v1/targets')\n"
            "p.exists() and r.add_header('Authorization','Basic '+base64.b64encode(b'prometheus:'+p.read_bytes()).decode())\n"
            "d=json.load(u.build_opener(*h).open(r,timeout=5))\n"
            "print(json.dumps({t['labels']['instance']:t['health'] for t in d['data']['activeTargets']}))\n"
        )
        found = self.machines["prometheus"].python(code)
        assert found.returncode == 0, found.stderr
        return dict(json.loads(found.stdout))


def _in(network: Network, argv: list[str]) -> None:
    subprocess.run([*network.enter, *argv], check=True, timeout=30, capture_output=True)


@contextmanager
def five(network: Network, *, suite: str = "bookworm") -> Iterator[Site]:
    """Boots the five hosts together."""
    machines = {name: Machine(suite, name, network, programs=("node_exporter",)) for name in NODES}
    machines["prometheus"] = Machine(suite, "prometheus", network, programs=("prometheus",))
    with booted(list(machines.values())):
        machines["prometheus"].push("/etc/prometheus/prometheus.yml", CONFIG.encode())
        machines["prometheus"].check(["systemctl", "restart", "prometheus"])
        for machine in machines.values():  # until then, only root may log in
            machine.check(["systemctl", "start", "systemd-user-sessions"])
        yield Site(network, machines)


@contextmanager
def full_disk(site: Site, name: str) -> Iterator[None]:
    layers = site.machines[name].root.parent / "layers"
    filler = layers / "filler"
    try:
        held = os.statvfs(layers)
        size = (held.f_blocks - held.f_bfree) * held.f_frsize + 1_000_000
        subprocess.run(["mount", "-o", f"remount,size={size}", layers], check=True, timeout=30)
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while file.write(bytes(4096)):
                pass
        yield
    finally:
        filler.unlink(missing_ok=True)
        subprocess.run(["mount", "-o", "remount,size=2g", layers], check=True, timeout=30)


@contextmanager
def read_only(site: Site, name: str) -> Iterator[None]:
    machine = site.machines[name]
    machine.check("mount --bind /etc /etc && mount -o remount,bind,ro /etc")
    try:
        yield
    finally:
        machine.check("umount /etc")


@contextmanager
def rubbish(site: Site, name: str) -> Iterator[None]:
    """Makes a login's start-up files and a banner print text, which must not end up in a file or in an answer."""
    machine = site.machines[name]
    machine.check(
        "echo 'echo WELCOME; printf \"\\033[31m{}[]\\n\"; echo done >&2' > /root/.bashrc.new"
        " && cp -p /root/.bashrc /root/.bashrc.old 2>/dev/null; mv /root/.bashrc.new /root/.bashrc"
    )
    try:
        yield
    finally:
        machine.check("rm /root/.bashrc; mv /root/.bashrc.old /root/.bashrc 2>/dev/null || :")


class Watch:
    """Samples what any user on the hosts could see during a run: processes, and files with secrets.

    The hosts' processes are this machine's too, so reading /proc once shows them all.
    """

    _PLACES = ("etc/node_exporter", "etc/prometheus", "etc/default", "run", "tmp", "home/operator")

    def __init__(self, site: Site) -> None:
        self._site = site
        self._roots = {name: machine.seen for name, machine in site.machines.items()}
        self._words: set[bytes] = set()
        self._open: set[tuple[str, str, int]] = set()
        self._contents: dict[tuple[str, str, int], bytes] = {}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.rounds = 0

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join(30)

    def _look(self) -> None:
        while not self._end.wait(0.01):
            self.rounds += 1
            for process in Path("/proc").iterdir():
                if process.name.isdecimal():
                    for part in ("cmdline", "environ"):
                        with suppress(OSError):
                            self._words.add((process / part).read_bytes())
            for name, root in self._roots.items():
                for place in self._PLACES:
                    self._files(name, root / place)

    def _files(self, name: str, folder: Path) -> None:
        with suppress(OSError):
            for path in folder.rglob("*"):
                with suppress(OSError):
                    stat = path.lstat()
                    if S_ISREG(stat.st_mode) and stat.st_mode & 0o027 and stat.st_size < 100_000:
                        key = (name, str(path), stat.st_mode & 0o7777)
                        self._contents[key] = path.read_bytes()

    def saw_nothing_of(self, *secrets: str) -> None:
        """Fails if a secret, or a private key, was in a process, an open file, a history or a log."""
        assert self.rounds > 10 and len(self._words) > 50, "it hardly looked"
        for secret in secrets:
            assert not [each[:200] for each in self._words if secret.encode() in each]
        bare = [
            key
            for key, content in self._contents.items()
            if b"PRIVATE KEY" in content or any(secret.encode() in content for secret in secrets)
        ]
        # The test's own login keys and the host keys do not count.
        assert not [key for key in bare if "/ssh" not in key[1]], bare
        for machine in self._site.machines.values():
            journal = machine.check(
                "journalctl --no-pager -o cat; cat /root/.*history /home/*/.*history /var/log/auth.log 2>/dev/null || :"
            )
            for secret in secrets:
                assert secret not in journal, machine.name
