"""A host with Podman of Debian's sid, and images of real programs, made as in `docker_hosts`.

    with Network() as network, Podman(network) as podman:
        podman.image("prometheus")
        podman.quadlet("prometheus", "[Container]\
Image=...")

Nothing is installed on this machine: the packages are unpacked into the host, whose own systemd runs the
quadlets.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import bases
from docker_hosts import compose_plugin, image_tree, packages
from machines import Machine, Network

SUITE = "sid"
_PACKAGES = (
    *("podman", "crun", "conmon", "netavark", "aardvark-dns", "catatonit", "passt", "uidmap", "nftables"),
    *("golang-github-containers-common", "golang-github-containers-image"),
    *("libgpgme45", "libgpg-error0", "libassuan9", "libsubid6", "libyajl2", "libseccomp2", "libsqlite3-0"),
    *("libnftables1", "libnftnl11", "libmnl0", "libjansson4", "libedit2", "libjson-c5", "libbpf1"),
    *("podman-compose", "python3-yaml", "python3-dotenv", "libyaml-0-2"),
    *("libglib2.0-0t64", "libpcre2-8-0", "libffi8", "libblake3-0", "libtbb12", "libelf1t64", "libatomic1"),
)
_SETTINGS = {
    # A host of these tests is on an overlay, which cannot be the upper layer of another one.
    "/etc/containers/storage.conf": '[storage]\ndriver = "vfs"\nrunroot = "/run/containers/storage"\n'
    'graphroot = "/var/lib/containers/storage"\n',
    # This machine may not delegate such a controller.
    "/etc/containers/containers.conf": "[containers]\npids_limit = 0\n",
}


class Podman(Machine):
    """A host, running while the context lasts; it runs components in containers only."""

    def __init__(self, network: Network) -> None:
        super().__init__(SUITE, "pod", network, programs=(), system_calls=("bpf", "keyctl", "add_key"))

    def prepare(self) -> None:
        """Makes its file system, with Podman's packages."""
        super().prepare()
        for package in _PACKAGES:
            root = packages((package,), SUITE)
            with subprocess.Popen(["tar", "-C", root, "-c", "."], stdout=subprocess.PIPE) as packed:
                subprocess.run(
                    ["tar", "-C", self.root, "-x", "--keep-directory-symlink"],
                    stdin=packed.stdout,
                    check=True,
                    timeout=120,
                )

    def settle(self) -> None:
        """Waits until it has booted, and writes Podman's settings."""
        super().settle()
        for path, text in _SETTINGS.items():
            self.push(path, text.encode())

    def image(self, component: str, *, user: str = "65534") -> str:
        """Builds an image as `docker_hosts.Docker.image` does, of this machine's own programs."""
        name = f"localhost/{component.replace('_', '-')}:1"
        folder = Path(tempfile.mkdtemp(prefix="firescreen-image-"))
        try:
            changes = image_tree(folder / "tree", component, user=user)
            packed = subprocess.run(
                ["tar", "-C", folder / "tree", "-c", "."], stdout=subprocess.PIPE, check=True, timeout=60
            ).stdout
        finally:
            shutil.rmtree(folder)
        self.push("/image.tar", packed)
        words = [word for change in changes for word in ("--change", change)]
        self.check(["podman", "import", *words, "/image.tar", name], timeout=120)
        return name

    def install_compose(self) -> None:
        """Installs Docker's own Compose, which `podman compose` then starts in place of podman-compose."""
        plugin = "/usr/libexec/docker/cli-plugins/docker-compose"
        self.push(plugin, compose_plugin(SUITE).read_bytes())
        self.check(f"chmod 755 {plugin} && systemctl start podman.socket")

    def quadlet(self, name: str, text: str) -> None:
        """Writes `NAME.container` (or a file with another ending), which takes effect at the next daemon-reload."""
        path = name if "." in name else f"{name}.container"
        self.push(f"/etc/containers/systemd/{path}", text.encode())

    def firescreen(self, *words: str, code: int = 0) -> Any:
        """Runs Firescreen on the host, and returns its JSON or its complete output."""
        ended = self.run([f"{bases.HOME}/bin/python", "-m", "screens", *words], timeout=300)
        assert ended.returncode == code, f"{words}: {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
        return json.loads(ended.stdout) if "--json" in words else ended.stdout + ended.stderr
