"""Debian packages that few hosts need: fetched once by this machine's own apt, installed by the tests that need them."""

from __future__ import annotations

import subprocess

import bases
from machines import Machine


def install(machine: Machine, *names: str) -> None:
    """Installs packages of this machine's own Debian release on a host of the same release."""
    folder = bases.cache() / "debs"
    folder.mkdir(exist_ok=True)
    for name in names:
        found = sorted(folder.glob(f"{name}_*.deb"))
        if not found:
            subprocess.run(
                ["apt-get", "download", "-o", "APT::Sandbox::User=root", name],
                cwd=folder,
                check=True,
                capture_output=True,
                timeout=120,
            )
            found = sorted(folder.glob(f"{name}_*.deb"))
        machine.push(f"/var/tmp/{name}.deb", found[-1].read_bytes())
    files = " ".join(f"/var/tmp/{name}.deb" for name in names)
    machine.check(f"DEBIAN_FRONTEND=noninteractive dpkg -i {files}", timeout=180)
