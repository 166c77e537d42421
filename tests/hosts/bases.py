"""Root file systems of test hosts: Debian suites made once by debootstrap, cached, and never changed.

A host mounts an overlay over a base; between them is a layer with this project's locked requirements for the
base's own Python, so that Firescreen runs on a host without a network.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.processes import run_program

PROJECT = Path(__file__).resolve().parents[2]
PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "openssh-server", "sudo", "ca-certificates", "curl", "iproute2"),
    *("openssl", "apache2-utils", "procps", "inotify-tools", "acl", "attr", "tcsh", "faketime"),
    *("python3", "python3-venv", "python3-apt"),
    *("prometheus", "prometheus-node-exporter", "prometheus-alertmanager", "prometheus-pushgateway"),
    "prometheus-blackbox-exporter",
    # Reverse proxies; each is started only by a test.
    *("nginx-light", "apache2", "haproxy", "caddy"),
    # For the host shapes: other tools, another login shell, another locale.
    *("busybox-static", "fish", "locales"),
)
PASSWORD = "correct horse"
"""What sudo asks the user `operator` for."""
FURNISH = f"""\
set -e
# Debian has a group of that name.
useradd -m -s /bin/bash -g operator operator
for user in admin guest nobody2; do useradd -m -s /bin/bash $user; done
echo 'operator:{PASSWORD}' | chpasswd
umask 227
echo 'admin ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/admin
echo 'operator ALL=(ALL) ALL' > /etc/sudoers.d/operator
umask 022
for user in root admin operator nobody2; do
    home=$(getent passwd $user | cut -d: -f6)
    install -d -m 0700 -o $user -g "$(id -gn $user)" $home/.ssh
done
# Nothing to wait for, and no name server to ask.
for unit in systemd-resolved systemd-networkd-wait-online systemd-timesyncd; do
    ln -sf /dev/null /etc/systemd/system/$unit.service
done
for timer in apt-daily apt-daily-upgrade dpkg-db-backup e2scrub_all fstrim; do
    ln -sf /dev/null /etc/systemd/system/$timer.timer
done
# Its link and address are known from the start; networkd would wait for udev, which an instance of incus lacks.
cat > /etc/systemd/system/own-address.service <<'END'
[Unit]
Description=The one address of this test host
Before=network.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -e /etc/own-address
[Install]
WantedBy=multi-user.target
END
systemctl -q enable own-address.service
# They would all want port 80.
systemctl -q disable nginx apache2 haproxy caddy
localedef -i de_DE -f UTF-8 de_DE.UTF-8
# Each host makes its own.
rm -f /etc/ssh/ssh_host_*
: > /etc/machine-id
"""
"""Done once in each base: users (admin: sudo without a password, operator: with one, guest and nobody2: none)."""
HOME = "/opt/firescreen"
"""Where Firescreen lies inside a host."""
NEEDED = {
    "debootstrap": "debootstrap",
    "systemd-nspawn": "systemd-container",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "mount": "mount",
    "ssh": "openssh-client",
    "incus": "incus-client",
    "/usr/libexec/incus/incusd": "incus-base",
    "lxc": "lxd-client",
}


def require() -> None:
    """Fails with the missing programs and how to install them: these tests are never skipped."""
    if os.geteuid() != 0 or sys.platform != "linux":
        raise RuntimeError("the tests on real hosts boot Linux hosts: run them as root on Linux")
    missing = sorted(package for program, package in NEEDED.items() if shutil.which(program) is None)
    if missing:
        raise RuntimeError(f"not installed: {', '.join(missing)}; run tests/hosts/prepare")


def cache() -> Path:
    """Returns the folder that keeps bases between runs; FIRESCREEN_TEST_CACHE overrides it."""
    usual = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "firescreen-tests"
    folder = Path(os.environ.get("FIRESCREEN_TEST_CACHE") or usual) / "hosts"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def base(suite: str) -> Path:
    """Returns the root of that Debian suite; builds it if it is not cached (about a minute)."""
    name = f"{suite}-{short(' '.join((*PACKAGES, FURNISH)))}"
    with locked(name):
        root = cache() / name
        if not root.exists():
            work = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=cache()))
            try:
                _debootstrap(suite, work)
                work.chmod(0o755)
                work.rename(root)
            finally:
                shutil.rmtree(work, ignore_errors=True)
        return root


def archive(suite: str) -> Path:
    """Returns the root of that suite as a tar archive for incus instances, without documentation."""
    root = base(suite)
    place = cache() / f"{root.name}.tar"
    with locked(place.name):
        if not place.exists():
            work = cache() / f".{place.name}.part"
            left_out = (
                "./usr/share/doc",
                "./usr/share/man",
                "./usr/share/locale",
                "./var/cache",
                "./var/lib/apt",
            )
            argv = [
                "tar",
                "-C",
                str(root),
                *(f"--exclude={path}/*" for path in left_out),
                "-cf",
                str(work),
                ".",
            ]
            subprocess.run(argv, check=True, timeout=300)
            work.rename(place)
        return place


def application(root: Path) -> Path:
    """Returns a layer with a virtual environment in `/opt/firescreen` for the Python of `root`."""
    version = next(path.name.removeprefix("python") for path in sorted((root / "usr/lib").glob("python3.*")))
    lock = PROJECT / "requirements.lock"
    name = f"application-{version}-{short(lock.read_text())}"
    with locked(name):
        layer = cache() / name
        if not layer.exists():
            work = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=cache()))
            try:
                _install(work / HOME.lstrip("/"), version, lock)
                work.chmod(0o755)
                work.rename(layer)
            finally:
                shutil.rmtree(work, ignore_errors=True)
        return layer


def packages(suite: str, names: tuple[str, ...]) -> Path:
    """Returns a layer with further packages of that suite and their dependencies, for few hosts; built once."""
    root = base(suite)
    name = f"packages-{suite}-{short(' '.join((root.name, *names)))}"
    with locked(name):
        layer = cache() / name
        if not layer.exists():
            work = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=cache()))
            try:
                _add_packages(root, names, work)
                (work / "upper").rename(layer)
            finally:
                shutil.rmtree(work, ignore_errors=True)
        return layer


def _add_packages(root: Path, names: tuple[str, ...], work: Path) -> None:
    """Installs packages over a base; the changed files are in `upper` of the work folder then."""
    # On a tmpfs, see `Machine`.
    script = """
    set -eu
    mount -t tmpfs -o mode=0755 tmpfs "$2"
    mkdir "$2/upper" "$2/work" "$2/root"
    mount -t overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" overlay "$2/root"
    cp /etc/resolv.conf "$2/root/etc/resolv.conf"
    printf '#!/bin/sh\\nexit 101\\n' > "$2/root/usr/sbin/policy-rc.d"
    chmod 755 "$2/root/usr/sbin/policy-rc.d"
    mount -t proc proc "$2/root/proc"
    work=$2
    shift 2
    chroot "$work/root" apt-get -q -o Acquire::Check-Valid-Until=false update
    chroot "$work/root" apt-get -q install --yes --no-install-recommends "$@"
    umount "$work/root/proc" "$work/root"
    cd "$work/upper"
    rm -rf usr/sbin/policy-rc.d etc/resolv.conf var/lib/apt var/cache var/log tmp
    cp -a "$work/upper" "$work.upper"
    """
    ended = run_program(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", root, work, *names],
        env=os.environ | {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        timeout=300,
    )
    if ended.returncode:
        raise RuntimeError(
            f"{' '.join(names)} could not be installed:\n{(ended.stdout + ended.stderr)[-3000:]}"
        )
    Path(f"{work}.upper").rename(work / "upper")


def _debootstrap(suite: str, root: Path) -> None:
    argv = [
        "debootstrap",
        "--variant=minbase",
        f"--include={','.join(PACKAGES)}",
        suite,
        str(root),
        _mirror(),
    ]
    ended = run_program(argv, timeout=900)
    if ended.returncode:
        raise RuntimeError(f"debootstrap of {suite} failed:\n{(ended.stdout + ended.stderr)[-3000:]}")
    ended = run_program(
        ["chroot", str(root), "/bin/sh", "-c", FURNISH],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        timeout=120,
    )
    if ended.returncode:
        raise RuntimeError(f"the base of {suite} could not be furnished:\n{ended.stdout}{ended.stderr}")


def _mirror() -> str:
    """Returns this machine's own Debian mirror, from its apt sources."""
    argv = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Label: Debian"]
    found = run_program(argv).stdout.split()
    if not found:
        raise RuntimeError("no Debian mirror is known here: run apt-get update on a Debian machine")
    return found[0]


def _install(home: Path, version: str, lock: Path) -> None:
    """Makes a virtual environment: the base's interpreter cannot run here, so uv installs for it."""
    packages = home / f"lib/python{version}/site-packages"
    packages.mkdir(parents=True)
    (home / "bin").mkdir()
    (home / "bin/python").symlink_to("/usr/bin/python3")
    (home / "pyvenv.cfg").write_text(
        f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {version}\n"
    )
    # The checkout is mounted there when the host boots.
    (packages / "firescreen.pth").write_text(f"{HOME}/source\n")
    start = home / "bin/firescreen"
    start.write_text(
        f"#!{HOME}/bin/python\nimport sys\n\nfrom screens.__main__ import main\n\nsys.exit(main())\n"
    )
    start.chmod(0o755)
    (home / "source").mkdir()
    ended = run_program(
        [
            *(
                Path(sys.executable).parent / "uv",
                "pip",
                "install",
                "-q",
                "--no-config",
                "--target",
                packages,
            ),
            *("--python-version", version, "--python-platform", f"{platform.machine()}-manylinux_2_28"),
            *("--only-binary", ":all:", "--no-deps", "--require-hashes", "-r", lock),
        ],
        timeout=600,
    )
    if ended.returncode:
        raise RuntimeError(f"uv could not install the locked requirements:\n{ended.stderr[-3000:]}")


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Holds a lock, so that only one process at a time makes the same thing."""
    with (cache() / f".{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:10]
