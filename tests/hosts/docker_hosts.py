"""A real dockerd in the test's own network, with its own socket and data, and images made of real programs.

    with Network() as network, Docker(network) as docker:
        image = docker.image("prometheus")
        docker.compose("up", "-d", folder=project, generation="trixie")

Nothing is installed: Debian's packages are unpacked into the cache and run from there. Containers, daemon and
folder are removed with the context. A test is outside of the daemon's network (see `Network.entered`,
`Network.enter`).
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import bases
from machines import Network, _call

from tests.processes import run_program
from wizard import binaries
from wizard.binaries import apt
from wizard.binaries.table import Row

GENERATIONS = {"bookworm": 1, "trixie": 2, "sid": 2}
"""Debian's suites by the major version of their compose: 1.29 in Python, then plugins of `docker`."""
ENGINE_SUITE = "bookworm"
ENGINE_PACKAGES = (
    ("docker.io", "containerd", "runc", "tini", "iptables"),
    ("libdevmapper1.02.1", "libseccomp2", "libip4tc2", "libip6tc2", "libxtables12"),
    ("libmnl0", "libnetfilter-conntrack3", "libnfnetlink0", "libnftnl11"),
)
_COMPOSE_1 = (
    ("docker-compose", "python3-docker", "python3-dockerpty", "python3-docopt", "python3-dotenv"),
    ("python3-yaml", "python3-jsonschema", "python3-attr", "python3-pyrsistent", "python3-six"),
    ("python3-requests", "python3-urllib3", "python3-certifi", "python3-chardet", "python3-idna"),
    ("python3-texttable", "python3-websocket", "python3-cached-property", "python3-distro"),
    ("python3-charset-normalizer", "python3-pkg-resources", "python3-distutils"),
)
_DEFAULTS = {
    "prometheus": (
        "--config.file=/etc/prometheus/prometheus.yml",
        "--storage.tsdb.path=/prometheus",
    ),
    "alertmanager": ("--config.file=/etc/alertmanager/alertmanager.yml", "--storage.path=/alertmanager"),
    "blackbox_exporter": ("--config.file=/etc/blackbox_exporter/config.yml",),
    "node_exporter": (),
    "pushgateway": (),
}
"""The default command (CMD) of each component's official image; their entry points are the programs themselves."""
_PORTS = {
    "prometheus": 9090,
    "alertmanager": 9093,
    "blackbox_exporter": 9115,
    "node_exporter": 9100,
    "pushgateway": 9091,
}
_FILES = {
    "etc/prometheus/prometheus.yml": "scrape_configs:\n"
    "  - job_name: prometheus\n    static_configs:\n      - targets: ['localhost:9090']\n",
    "etc/alertmanager/alertmanager.yml": "route:\n  receiver: nobody\nreceivers:\n  - name: nobody\n",
    "etc/blackbox_exporter/config.yml": "modules:\n  http_2xx:\n    prober: http\n",
}
# The first process of the daemon's host, which outlives a restart of the daemon. A host has its own /run: two daemons
# in one /run would be the same host to Firescreen's lock.
_HOST = """
again=$1; shift
mount -t tmpfs -o mode=0755 tmpfs /run && mkdir /run/sshd
trap 'kill "$pid"' TERM
while :; do
  "$@" & pid=$!
  while kill -0 "$pid" 2>/dev/null; do wait "$pid"; done
  rm "$again" 2>/dev/null || exit
done
"""
# Only in the daemon's mount namespace: other users can use programs and caches below root's home there.
_OPEN_HOME = """
mkdir /run/home && mount --bind /root /run/home && mount -t tmpfs -o mode=711 tmpfs /root
cd /run/home
for each in .[!.]* *; do
  [ ! -d "$each" ] || { mkdir "/root/$each" && mount --bind "/run/home/$each" "/root/$each"; }
done
"""
_CLOSE_HOME = "umount -lR /root; umount -l /run/home; rmdir /run/home"
_LIBRARY = re.compile(r"(?:=> )?(/\S+) \(0x")


def packages(names: tuple[str, ...], suite: str) -> Path:
    """Returns the folder with these unpacked packages of Debian's `suite`; fetches them if they are missing."""
    row = Row(name=names[0], names=(names[0],), packages=tuple((name,) for name in names))
    cache = bases.cache() / "programs"
    apt.unpack(row, cache=cache, suite=suite, say=lambda _: None)
    return apt.folder(cache, suite, row)


def _sweep() -> None:
    """Ends the leftovers of a killed test run; the next network removes its folder."""
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            named = re.search(rb"/firescreen-(\d+)-docker-", (entry / "cmdline").read_bytes())
            if named and entry.name.isdecimal() and not Path("/proc", named[1].decode()).exists():
                os.kill(int(entry.name), signal.SIGKILL)
    for folder in Path(tempfile.gettempdir()).glob("firescreen-*-docker-*"):
        if not Path("/proc", folder.name.split("-")[1]).exists():
            _unmount(folder)


def _unmount(folder: Path) -> None:
    for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
        place = line.split(" ")[1]
        if place.startswith(f"{folder}/"):
            subprocess.run(["umount", "-l", place], capture_output=True, timeout=30, check=False)


class Docker:
    """A daemon of its own, running while the context lasts."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.folder = Path(tempfile.mkdtemp(prefix=f"firescreen-{os.getpid()}-docker-"))
        self.socket = self.folder / "docker.sock"
        self._daemon: subprocess.Popen[bytes] | None = None
        self._images: set[str] = set()
        self._tools: set[str] = set()

    def __enter__(self) -> Self:
        bases.require()
        _sweep()
        try:
            self._start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._daemon is not None and self._daemon.poll() is None:
                with suppress(RuntimeError, subprocess.TimeoutExpired):
                    every = self.docker("ps", "-aq").split()
                    if every:
                        self.docker("rm", "--force", "--volumes", *every)
        finally:
            self.stop()
            _unmount(self.folder)
            _call(["rm", "-rf", "--one-file-system", self.folder])

    def environment(self, generation: str = "bookworm") -> dict[str, str]:
        """Returns the variables with which `docker`, `docker-compose` and, from trixie on, `docker compose`
        find the daemon.
        """
        tools = self._commands(generation)
        return {
            "PATH": f"{tools}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "DOCKER_HOST": f"unix://{self.socket}",
            "DOCKER_CONFIG": str(tools / "settings"),
        }

    def docker(self, *words: str, timeout: float = 120) -> str:
        """Runs `docker`; raises RuntimeError with its output if it fails."""
        return self._run(["docker", *words], "bookworm", timeout=timeout)

    def compose(
        self,
        *words: str,
        folder: Path,
        generation: str = "bookworm",
        environment: Mapping[str, str] | None = None,
        timeout: float = 120,
    ) -> str:
        """Runs that generation's Compose in `folder`; raises RuntimeError with its output if it fails."""
        command = ["docker-compose"] if GENERATIONS[generation] == 1 else ["docker", "compose"]
        run = partial(
            self._run, [*command, *words], generation, folder=folder, environment=environment, timeout=timeout
        )
        try:
            return run()
        except RuntimeError as problem:
            # The daemon now and then keeps an endpoint whose container is gone (github.com/moby/moby/issues/43286), and
            # its network can then not be removed; only a restart helps.
            if "has active endpoints" not in str(problem) or self.docker("ps", "-aq"):
                raise
        self.restart()
        return run()

    def image(self, component: str, *, user: str = "65534", suite: str = "") -> str:
        """Returns the name of an image with the real program as uid `user` ('' or 0: root), built on first use.

        Entry point, default command, working folder and owner of the data folder are those of the official
        image; like there, busybox provides `sh`, `wget` and `nc`.

        Args:
            component: as in `wizard.components`, e.g. node_exporter.
            user: the uid in the image.
            suite: whose program; '' for this machine's own suite.
        """
        name = f"local/{component.replace('_', '-')}:{suite or 'own'}-{user or 'root'}"
        if name not in self._images:
            tree = self.folder / "tree"
            changes = image_tree(tree, component, user=user, suite=suite)
            packed = self.folder / "tree.tar"
            _call(["tar", "-C", tree, "-cf", packed, "."])
            self.docker(
                "import", *(word for change in changes for word in ("--change", change)), str(packed), name
            )
            packed.unlink()
            shutil.rmtree(tree)
            self._images.add(name)
        return name

    def wait_for(self, url: str, *, seconds: float = 60) -> str:
        """Waits until `url` answers with 200, requested from the daemon's network; returns the body."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                with urllib.request.urlopen(url, timeout=5) as response:
                    return str(response.read().decode("utf-8", "replace"))
            except OSError as problem:
                if time.monotonic() > deadline:
                    raise RuntimeError(f"nobody answers at {url}: {problem}") from None
            time.sleep(0.05)

    def stop(self) -> None:
        """Ends the daemon and its containers."""
        if self._daemon is not None and self._daemon.poll() is None:
            os.kill(self._inside, signal.SIGTERM)
            try:
                self._daemon.wait(60)
            except subprocess.TimeoutExpired:
                self._daemon.kill()
                self._daemon.wait(20)

    @property
    def _inside(self) -> int:
        """Returns the first process of the daemon's pid namespace, which ends with it. `unshare` ignores SIGTERM."""
        assert self._daemon is not None
        pid = self._daemon.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(children[0]) if children else pid

    @property
    def enter(self) -> list[str]:
        """Returns the command prefix that enters the daemon's host: its network, its /run, and only its processes."""
        return ["nsenter", "--target", str(self._inside), "--net", "--pid", "--mount", "--"]

    def install(self, generation: str) -> None:
        """Installs Docker on its host for programs that enter it: commands, Compose and the socket at Debian's paths.

        Only there: these mounts are invisible to everything else on this machine.
        """
        tools = self._commands(generation)
        script = """
            for place in /usr/local/sbin /run; do mount -t tmpfs -o mode=755 tmpfs "$place"; done
            mkdir /run/sshd /run/lock
            for tool in "$1"/docker*; do
                # Its own folder of settings, in which its plugin for Compose lies, for every user.
                printf '#!/bin/sh\nDOCKER_CONFIG=%s exec %s "$@"\n' "$1/settings" "$tool" >"/usr/local/sbin/${tool##*/}"
            done
            chmod 755 /usr/local/sbin/*
            ln -s "$2" /run/docker.sock
        """
        _call([*self.enter, "sh", "-ec", script, "sh", tools, self.socket])

    @contextmanager
    def open_home(self) -> Iterator[None]:
        """Lets unprivileged users who enter its host run programs below root's home."""
        _call([*self.enter, "sh", "-ec", _OPEN_HOME])
        try:
            yield
        finally:
            _call([*self.enter, "sh", "-c", _CLOSE_HOME])

    def restart(self) -> None:
        """Restarts the daemon, as systemd does, and waits until it answers; other processes on its host keep running."""
        (self.folder / "again").touch()
        first = (self.folder / "pid").read_text()
        _call([*self.enter, "kill", first])
        deadline = time.monotonic() + 60
        while (self.folder / "again").exists() or not self._answers():
            if time.monotonic() > deadline:
                raise RuntimeError("dockerd did not come back")
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            self.docker("version", timeout=20)
        except RuntimeError:
            return False
        return True

    def engine_environment(self) -> dict[str, str]:
        """Returns the environment of the daemon and its tools, iptables among them."""
        engine, *libraries = (packages(names, ENGINE_SUITE) for names in ENGINE_PACKAGES)
        tools = self.folder / "engine"
        tools.mkdir(exist_ok=True)
        for name in ("iptables", "ip6tables", "iptables-save", "iptables-restore"):
            _link(tools / name, engine / "usr/sbin/xtables-nft-multi")
        found = [folder for root in (engine, *libraries) for folder in root.glob("*/**/*-linux-gnu*")]
        return {
            **os.environ,
            "PATH": f"{engine / 'usr/sbin'}:{engine / 'usr/bin'}:{tools}:{os.environ['PATH']}",
            "LD_LIBRARY_PATH": ":".join(map(str, found)),
            "XTABLES_LIBDIR": str(next(engine.glob("usr/lib/*/xtables"))),
        }

    def _start(self) -> None:
        engine = packages(ENGINE_PACKAGES[0], ENGINE_SUITE)
        (self.folder / "daemon.json").write_text("{}\n")
        # A daemon that has to enable forwarding drops all forwarded packets but its own, also those that hosts in this network
        # send to each other through its bridge.
        forwarding = "echo 1 >/proc/sys/net/ipv4/ip_forward"
        subprocess.run([*self.network.enter, "sh", "-c", forwarding], check=True)
        with (self.folder / "log").open("ab") as log:
            self._daemon = subprocess.Popen(
                [
                    # The daemon and its containers end with this process, however it ends.
                    *("setpriv", "--pdeathsig", "KILL", "--", *self.network.enter),
                    *("unshare", "--pid", "--mount-proc", "--fork", "--kill-child=TERM", "--"),
                    *("sh", "-c", _HOST, "sh", str(self.folder / "again")),
                    str(engine / "usr/sbin/dockerd"),
                    *("--host", f"unix://{self.socket}", "--config-file", str(self.folder / "daemon.json")),
                    *("--data-root", str(self.folder / "data"), "--exec-root", str(self.folder / "exec")),
                    *("--pidfile", str(self.folder / "pid"), "--storage-driver", "overlay2"),
                    *("--group", "root", "--shutdown-timeout", "5"),
                ],
                env=self.engine_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._await_daemon(self._daemon)

    def _await_daemon(self, daemon: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                self.docker("version", timeout=20)
                return
            except RuntimeError as problem:
                if time.monotonic() > deadline or daemon.poll() is not None:
                    log = (self.folder / "log").read_text(errors="replace")[-3000:]
                    raise RuntimeError(f"dockerd did not start: {problem}\n{log}") from None
            time.sleep(0.05)

    def _commands(self, generation: str) -> Path:
        """Returns a folder with the commands of that generation."""
        tools = self.folder / f"commands-{generation}"
        if generation not in self._tools:
            engine = packages(ENGINE_PACKAGES[0], ENGINE_SUITE)
            plugins = tools / "settings/cli-plugins"
            plugins.mkdir(parents=True, exist_ok=True)
            (tools / "settings/config.json").write_text("{}\n")
            _link(tools / "docker", engine / "usr/bin/docker")
            if GENERATIONS[generation] == 1:
                write_compose_1(tools / "docker-compose")
            else:
                plugin = compose_plugin(generation)
                _link(tools / "docker-compose", plugin)
                _link(plugins / "docker-compose", plugin)
            self._tools.add(generation)
        return tools

    def _run(
        self,
        argv: list[str],
        generation: str,
        *,
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
        timeout: float,
    ) -> str:
        ended = run_program(
            argv,
            cwd=folder,
            env={**os.environ, **self.environment(generation), **(environment or {})},
            stdin=subprocess.DEVNULL,
            timeout=timeout,
        )
        if ended.returncode:
            raise RuntimeError(f"{shlex.join(argv)}: {(ended.stderr or ended.stdout).strip()[-3000:]}")
        return ended.stdout


def compose_plugin(suite: str) -> Path:
    """Returns the Compose of trixie or sid, which also runs without `docker`; `config` needs no daemon."""
    return packages(("docker-compose",), suite) / "usr/libexec/docker/cli-plugins/docker-compose"


_COMPOSE_1_MAIN = "import sys; from compose.cli.main import main; sys.argv[0] = 'docker-compose'; main()"


def write_compose_1(place: Path, *, script: str = _COMPOSE_1_MAIN) -> None:
    """Writes a command that runs bookworm's Compose 1.29, or a script that imports it, from its unpacked packages."""
    roots = [packages(names, ENGINE_SUITE) for names in _COMPOSE_1]
    found = [str(path) for root in roots for path in root.glob("usr/lib/python3*")]
    modules = ":".join(f"{path}/dist-packages" if path.endswith("python3") else path for path in found)
    place.write_text(
        f"#!/bin/sh\nPYTHONPATH={shlex.quote(modules)} exec /usr/bin/python3 -s -W ignore -c "
        f'{shlex.quote(script)} "$@"\n'
    )
    place.chmod(0o755)


def image_tree(tree: Path, component: str, *, user: str, suite: str = "") -> list[str]:
    """Makes the tree of an image, and returns its metadata, as a Dockerfile does; see `Docker.image`."""
    program = Path(binaries.find(component, cache=bases.cache() / "programs", suite=suite).path)
    if program.parent.name == "run":
        # A script if the program is not at the path that it expects; in an image it is there.
        program = _unwrapped(program, tree)
    _grow(tree, component, program, user, suite)
    data = {"prometheus": "/prometheus", "alertmanager": "/alertmanager"}.get(component, "/")
    changes = [
        f'ENTRYPOINT ["/bin/{component}"]',
        f"EXPOSE {_PORTS[component]}",
        f"WORKDIR {data}",
        "ENV PATH=/bin",
    ]
    words = ", ".join(f'"{word}"' for word in _DEFAULTS[component])
    changes += [f"CMD [{words}]"] if words else []
    changes += [f"VOLUME {data}"] if data != "/" else []
    changes += [f"USER {user}"] if user else []
    return changes


def _unwrapped(script: Path, tree: Path) -> Path:
    """Returns the program behind a script of `wizard.binaries`; copies the folder that it reads into `tree`."""
    unpacked, row = script.parent.parent, binaries.load().row(script.name)
    if row.reads:
        shutil.copytree(unpacked / row.reads.lstrip("/"), tree / row.reads.lstrip("/"), symlinks=True)
    return next(unpacked / path for path in apt.row_paths(row) if (unpacked / path).is_file())


def _grow(tree: Path, component: str, program: Path, user: str, suite: str) -> None:
    """Makes the tree of an image: the program, its shared libraries, and the other files of the official image."""
    for name in ("bin", "etc", "tmp"):
        (tree / name).mkdir(parents=True, exist_ok=True)
    (tree / "tmp").chmod(0o1777)
    (tree / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n")
    (tree / "etc/group").write_text("root:x:0:\nnobody:x:65534:\n")
    shutil.copy(program, tree / "bin" / component)
    box = packages(("busybox-static",), ENGINE_SUITE) / "bin/busybox"
    shutil.copy(box, tree / "bin/busybox")
    for name in ("sh", "cat", "wget", "nc", "grep", "sleep", "id", "ls"):
        (tree / "bin" / name).symlink_to("busybox")
    libraries = run_program(["ldd", program], timeout=30).stdout
    for library in map(Path, _LIBRARY.findall(libraries)):
        place = tree / library.relative_to("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, place)
    for name, text in _FILES.items():
        if name.startswith(f"etc/{component}/"):
            (tree / name).parent.mkdir(parents=True)
            (tree / name).write_text(text)
    if component == "prometheus":
        promtool = binaries.find("promtool", cache=bases.cache() / "programs", suite=suite).path
        shutil.copy(promtool, tree / "bin/promtool")
    if component in ("prometheus", "alertmanager"):
        (tree / component).mkdir()
        if user.isdecimal():
            os.chown(tree / component, int(user), int(user))


def _link(place: Path, target: Path) -> None:
    if not place.is_symlink():
        place.symlink_to(target)
