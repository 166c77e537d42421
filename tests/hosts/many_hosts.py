"""Starts hundreds of light hosts on this machine: each has an sshd on its own loopback address, and one real service.

    with Network() as network, many_hosts(network, 200) as hosts, network.entered():
        socket.create_connection((hosts.address("srv001"), 22))

Each has its own processes, host name, /etc and /run; programs are this machine's. A script stands in for
systemd: it starts, stops and reports one unit, a real node_exporter with an environment file. All share one
pid namespace, whose first process ends them all, also when the test run is killed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from machines import Network, _groups, _remove_group

from tests.processes import run_program
from wizard import binaries
from wizard.model import ComponentSpec, HostSpec, Stack

UNIT = "node_exporter"
PORT = 9100

# $1: the folder of all hosts, $2: their control group; on standard input a line each: name and address.
_YARD = r"""
mount -t proc proc /proc
mount -t tmpfs -o mode=0755 tmpfs "$1/hosts"
mount --bind "$1/programs" /usr/local/bin
exec 3> "$1/log"
while read -r name address; do
  mkdir -p "$2/$name/node_exporter.service"
  unshare --mount --pid --uts --fork --kill-child sh "$1/host" "$1" "$2/$name" "$name" "$address" </dev/null >&3 2>&3 &
done
wait
"""
_HOST = r"""
set -e
place=$1/hosts/$3
mkdir -p "$place/work" "$place/root" "$place/run/sshd" "$place/run/systemd/system"
cp -a "$1/seeds/$3" "$place/etc"
mount -t proc proc /proc
hostname "$3"
mount -t overlay -o "lowerdir=/etc,upperdir=$place/etc,workdir=$place/work" overlay /etc
mount --bind "$place/run" /run
mount --bind "$place/root" /root
echo "$2/node_exporter.service" > /run/group
systemctl restart node_exporter
exec /usr/sbin/sshd -D -e -f /etc/ssh/own_config
"""
_UNIT = """\
[Unit]
Description=Node Exporter

[Service]
User=nobody
Group=nogroup
EnvironmentFile=/etc/default/node_exporter
ExecStart=/usr/local/bin/node_exporter $ARGS
Restart=on-failure
"""
# systemctl for one unit. Its process is a child of the host's first process, which reaps it.
_SYSTEMCTL = r"""#!/bin/sh
unit=node_exporter.service text=/etc/systemd/system/node_exporter.service
verb=$1
shift
pid=0
if [ -e /run/unit.pid ]; then
  read -r pid < /run/unit.pid
  [ -d "/proc/$pid" ] || pid=0
fi
stop() {
  [ "$pid" != 0 ] || return 0
  kill "$pid"
  while [ -d "/proc/$pid" ]; do sleep 0.01; done
  pid=0
}
start() {
  ARGS=
  . /etc/default/node_exporter
  read -r group < /run/group
  (
    read -r self rest < /proc/self/stat
    echo "$self" > "$group/cgroup.procs"
    exec setsid setpriv --reuid=nobody --regid=nogroup --clear-groups /usr/local/bin/node_exporter $ARGS
  ) </dev/null >/run/unit.log 2>&1 3>&- &
  pid=$!
  echo "$pid" > /run/unit.pid
}
show() {
  state=active sub=running result=success
  [ "$pid" != 0 ] || state=failed sub=failed result=exit-code
  printf '%s\n' "Id=$unit" LoadState=loaded "ActiveState=$state" "SubState=$sub" "MainPID=$pid" "Result=$result" \
    NRestarts=0 InvocationID=1 Type=simple User=nobody Group=nogroup DynamicUser=no "FragmentPath=$text" \
    DropInPaths= ProtectHome=no PrivateTmp=no TriggeredBy= WorkingDirectory= CanReload=no
}
unknown() { printf '%s\n' "Id=$1" LoadState=not-found ActiveState=inactive SubState=dead MainPID=0; }
names=
while [ $# -gt 0 ]; do
  case $1 in -p) shift ;; -*) ;; *) names="$names $1" ;; esac
  shift
done
case $verb in
show)
  first=1
  for name in $names; do
    [ -n "$first" ] || echo
    first=
    case $name in node_exporter|$unit) show ;; *) unknown "$name" ;; esac
  done ;;
cat) echo "# $text"; cat "$text" ;;
restart) stop; start ;;
stop) stop ;;
start) [ "$pid" != 0 ] || start ;;
is-active) [ "$pid" != 0 ] && echo active || { echo inactive; exit 3; } ;;
daemon-reload|reset-failed) ;;
*) echo "systemctl $verb is not played here" >&2; exit 1 ;;
esac
"""
_JOURNALCTL = r"""#!/bin/sh
exit 0
"""
_SSHD = """\
Port 22
ListenAddress {address}
HostKey /etc/ssh/own_key
AuthorizedKeysFile {folder}/authorized_keys
StrictModes no
PermitRootLogin yes
PidFile none
UsePAM no
UseDNS no
PrintMotd no
PrintLastLog no
Subsystem sftp internal-sftp
"""


@dataclass(frozen=True)
class Hosts:
    """The running hosts; by name, an address each."""

    addresses: dict[str, str]
    folder: Path
    key: Path
    first: int
    """The process that all of them are below."""

    @property
    def known_hosts(self) -> Path:
        """Returns the host keys of all of them."""
        return self.folder / "known_hosts"

    def spec(self, name: str) -> HostSpec:
        """Returns a host in the form of a stack file."""
        return HostSpec(
            name=name,
            connect="ssh",
            address=self.addresses[name],
            user="root",
            identity_file=str(self.key),
            known_hosts=str(self.known_hosts),
        )

    def stack(self, count: int = 0) -> Stack:
        """Returns a stack with node_exporter at TLS + password on `count` of them (0: on all)."""
        names = list(self.addresses)[: count or None]
        return Stack(
            hosts=tuple(map(self.spec, names)),
            components=tuple(
                ComponentSpec(host=name, name="node_exporter", protect=("tls", "basic_auth"))
                for name in names
            ),
        )

    def files(self, name: str) -> dict[str, tuple[str, int, int, int]]:
        """Returns what its /etc has of its own: digest, mode, owner and group of each file, and its folders."""
        root = Path(f"/proc/{self.first}/root{self.folder}/hosts/{name}/etc")
        found = {}
        for path in sorted(root.rglob("*")):
            stat = path.lstat()
            digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
            found[str(path.relative_to(root))] = (digest, stat.st_mode, stat.st_uid, stat.st_gid)
        return found

    def all_files(self) -> dict[str, dict[str, tuple[str, int, int, int]]]:
        """Returns `files` of all of them."""
        return {name: self.files(name) for name in self.addresses}


@contextmanager
def many_hosts(network: Network, count: int) -> Iterator[Hosts]:
    """Runs that many hosts, srv001 and so on, while the context lasts. As root.

    Enter it in a thread that outlives it: the hosts end with the thread that started them.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"firescreen-{os.getpid()}-many-"))
    group = _groups() / f"firescreen-{os.getpid()}-many"
    addresses = {
        f"srv{number:03}": f"127.1.{number // 250}.{number % 250 + 1}" for number in range(1, count + 1)
    }
    yard: subprocess.Popen[bytes] | None = None
    try:
        _prepare(folder, network.key, addresses)
        with (folder / "yard.log").open("wb") as log:
            yard = subprocess.Popen(
                [
                    *("setpriv", "--pdeathsig", "KILL", "--", *network.enter),
                    *("unshare", "--mount", "--pid", "--fork", "--kill-child"),
                    *("sh", folder / "yard", folder, group),
                ],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        assert yard.stdin is not None
        yard.stdin.write("".join(f"{name} {at}\n" for name, at in addresses.items()).encode())
        yard.stdin.close()
        _wait(yard, folder, network, addresses)
        children = Path(f"/proc/{yard.pid}/task/{yard.pid}/children").read_text().split()
        yield Hosts(addresses, folder, network.key, int(children[0]))
    finally:
        if yard is not None:
            yard.send_signal(signal.SIGKILL)  # and the kernel ends all processes of the namespace
            yard.wait(20)
        _emptied(group)
        _remove_group(group)
        shutil.rmtree(folder, ignore_errors=True)


def _prepare(folder: Path, key: Path, addresses: dict[str, str]) -> None:
    folder.chmod(0o755)  # sshd reads the list of keys as the user, and the exporter's program is here
    for name in ("hosts", "programs"):
        (folder / name).mkdir()
    found = binaries.find("node_exporter", cache=Path.home() / ".cache/firescreen")
    shutil.copy(found.path, folder / "programs/node_exporter")
    for name, text in (("systemctl", _SYSTEMCTL), ("journalctl", _JOURNALCTL), ("node_exporter", "")):
        path = folder / "programs" / name
        if text:
            path.write_text(text)
        path.chmod(0o755)
    (folder / "yard").write_text(_YARD)
    (folder / "host").write_text(_HOST)
    shutil.copy(key.with_suffix(".pub"), folder / "authorized_keys")
    known = []
    for name, address in addresses.items():
        seed = folder / "seeds" / name
        own = Ed25519PrivateKey.generate()
        public = own.public_key().public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )
        known.append(f"{address} {public.decode()}\n")
        private = own.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
        # Without its collectors a scrape is cheap: the test is about TLS and the password.
        flags = f"--web.listen-address={address}:{PORT} --collector.disable-defaults"
        for place, text in {
            "hostname": f"{name}\n",
            "hosts": f"127.0.0.1 localhost\n{address} {name}\n",
            "default/node_exporter": f'ARGS="{flags}"\n',
            "systemd/system/node_exporter.service": _UNIT,
            "ssh/own_key": private.decode(),
            "ssh/own_config": _SSHD.format(address=address, folder=folder),
        }.items():
            path = seed / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (seed / "ssh/own_key").chmod(0o600)
    (folder / "known_hosts").write_text("".join(known))


def _wait(yard: subprocess.Popen[bytes], folder: Path, network: Network, addresses: dict[str, str]) -> None:
    """Waits until sshd and exporter of each listen, according to the kernel's table of that network."""
    wanted = {f"{_hex(at)}:{port:04X}" for at in addresses.values() for port in (22, PORT)}
    deadline = time.monotonic() + 90
    missing = wanted
    while time.monotonic() < deadline and yard.poll() is None:
        table = run_program([*network.enter, "cat", "/proc/net/tcp"], timeout=30, check=True).stdout
        rows = (line.split() for line in table.splitlines()[1:])
        missing = wanted - {row[1] for row in rows if row[3] == "0A"}
        if not missing:
            return
        time.sleep(0.1)
    logs = "".join(
        path.read_text(errors="replace")[-2000:]
        for path in (folder / "yard.log", folder / "log")
        if path.exists()
    )
    raise RuntimeError(f"{len(missing)} of {len(wanted)} ports did not open\n{logs}")


def _hex(address: str) -> str:
    """Returns the address in the format of /proc/net/tcp on a little-endian machine."""
    return "".join(f"{int(part):02X}" for part in reversed(address.split(".")))


def _emptied(group: Path) -> None:
    """Waits until a control group has no process any more."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with suppress(OSError):
            if not any("populated 1" in each.read_text() for each in group.glob("cgroup.events")):
                return
        time.sleep(0.05)
