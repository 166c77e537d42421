"""The package of `make deb`, installed on a Debian host without anything else of ours, used there and removed."""

from __future__ import annotations

import json
import platform
from pathlib import Path

import pytest
from machines import Machine, Network

from tests.processes import run_program

ROOT = Path(__file__).resolve().parents[2]
STACK = """\
version: 1
hosts:
  here: {connect: local}
components:
  - {host: here, name: node_exporter, protect: [tls, basic_auth]}
users:
  prometheus: {password: generate}
"""
ASK = "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9100/metrics', timeout=10)"

pytestmark = [pytest.mark.hosts, pytest.mark.spread, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def package() -> Path:
    built = run_program([ROOT / ".ci/deb"], cwd=ROOT, timeout=500)
    assert built.returncode == 0, built.stdout + built.stderr
    return ROOT / built.stdout.splitlines()[-1]


def test_a_host_is_secured_by_the_package_and_nothing_is_left_of_it(package: Path, network: Network) -> None:
    suite = platform.freedesktop_os_release()["VERSION_CODENAME"]
    with Machine(suite, "packaged", network) as machine:
        machine.push("/root/firescreen.deb", package.read_bytes())
        machine.push("/root/stack.yaml", STACK.encode())
        machine.check(["dpkg", "--install", "/root/firescreen.deb"], timeout=120)

        assert machine.check("dpkg --verify firescreen") == ""
        assert machine.check(["firescreen", "--version"]).startswith("firescreen, version ")
        assert "Usage" in machine.check(["firescreen", "apply", "--help"])
        scanned = machine.run(["firescreen", "scan", "--json"])
        found = {each["component"] for each in json.loads(scanned.stdout)["components"]}
        assert {"prometheus", "node_exporter"} <= found, scanned
        machine.check(["firescreen", "apply", "/root/stack.yaml", "--yes"], timeout=120)
        refused = machine.run(["/usr/bin/python3", "-c", ASK])
        assert "HTTP Error 400" in refused.stderr, refused
        machine.check(["firescreen", "undo", "--yes"], timeout=120)

        manual = machine.check("zcat /usr/share/man/man1/firescreen-apply.1.gz")
        assert "--yes" in manual.replace("\\-", "-")
        assert "_firescreen_completion" in machine.check(
            "cat /usr/share/bash-completion/completions/firescreen"
        )
        machine.check(["dpkg", "--purge", "firescreen"], timeout=120)
        assert machine.run("find /usr /etc /var/lib -xdev -path '*firescreen*' | head").stdout == ""
