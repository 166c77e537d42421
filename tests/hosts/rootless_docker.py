"""A dockerd of an unprivileged user, started as Debian's dockerd-rootless.sh does: see `docker_hosts`.

    with Network() as network, Person() as person, RootlessDocker(network, person) as docker:
        docker.compose("up", "-d", folder=project)

Its socket is in the user's runtime folder, which only programs that enter its host see.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from docker_hosts import ENGINE_PACKAGES, ENGINE_SUITE, Docker, packages
from machines import Network
from sshd import Person

_MORE = ("rootlesskit", "slirp4netns", "libslirp0")
_HOST = r"""
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p "/run/user/$1" /run/lock
chown "$1:$1" "/run/user/$1"
chmod 700 "/run/user/$1"
shift
exec runuser "$@"
"""


class RootlessDocker(Docker):
    """A user's daemon, running while the context lasts."""

    def __init__(self, network: Network, person: Person) -> None:
        super().__init__(network)
        self.person = person
        self.socket = Path("/run/user", str(person.uid), "docker.sock")
        # Not in the cache, which other users cannot read.
        self._programs = person.home / "programs"

    @property
    def nobody(self) -> int:
        """Returns the host's uid for uid 65534 in its containers: root there is the user, the others are
        subordinate ids.
        """
        lines = (line.split(":") for line in Path("/etc/subuid").read_text().splitlines())
        return next(int(first) for name, first, _ in lines if name == self.person.name) + 65533

    def _start(self) -> None:
        person = self.person
        self._programs.mkdir()
        for names in (*ENGINE_PACKAGES, _MORE):
            root = packages(names, ENGINE_SUITE)
            with subprocess.Popen(["tar", "-C", root, "-c", "usr"], stdout=subprocess.PIPE) as packed:
                subprocess.run(
                    ["tar", "-C", self._programs, "-x"], stdin=packed.stdout, check=True, timeout=60
                )
        (self._programs / "usr/sbin/iptables").symlink_to("xtables-nft-multi")
        runtime = self.socket.parent
        variables = {
            "PATH": f"{self._programs}/usr/bin:{self._programs}/usr/sbin:/usr/bin:/usr/sbin:/bin:/sbin",
            "LD_LIBRARY_PATH": ":".join(map(str, self._programs.glob("usr/lib/*-linux-gnu"))),
            "XTABLES_LIBDIR": str(next(self._programs.glob("usr/lib/*/xtables"))),
            "XDG_RUNTIME_DIR": str(runtime),
            "HOME": str(person.home),
        }
        with (self.folder / "log").open("ab") as log:
            self._daemon = subprocess.Popen(
                [
                    *("setpriv", "--pdeathsig", "KILL", "--", *self.network.enter),
                    *("unshare", "--pid", "--mount-proc", "--fork", "--kill-child=TERM", "--"),
                    *("sh", "-ec", _HOST, "sh", str(person.uid), "-u", person.name, "--", "env"),
                    *(f"{name}={value}" for name, value in variables.items()),
                    *("sh", f"{self._programs}/usr/share/docker.io/contrib/dockerd-rootless.sh"),
                    *("--storage-driver", "vfs", "--data-root", f"{person.home}/data"),
                    *("--exec-root", f"{runtime}/exec", "-p", f"{runtime}/pid"),
                ],
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._await_daemon(self._daemon)

    def _run(
        self,
        argv: list[str],
        generation: str,
        *,
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
        timeout: float,
    ) -> str:
        there = [*self.enter, "env", f"--chdir={folder or '/'}", *argv]
        return super()._run(there, generation, environment=environment, timeout=timeout)
