"""Quadlets: Podman's own generator reads each of the corpus, and real ones are secured under real systemd."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docker_hosts import packages
from machines import Network
from podman_hosts import Podman

from tests.processes import run_program
from wizard.config_files.shell_syntax import split

CORPUS = Path(__file__).parents[1] / "corpus" / "quadlets"
OURS = ("--web.config.file", "/etc/firescreen", "--health-cmd", "9090")


@pytest.mark.parametrize("suite", ["trixie", "sid"])
def test_the_generator_accepts_each_and_only_the_intended_parts_differ(suite: str, tmp_path: Path) -> None:
    generator = packages(("podman",), suite) / "usr/libexec/podman/quadlet"
    files = sorted(CORPUS.glob("*.container"))
    assert files
    for path in files:
        before, after = (
            started(generator, tmp_path / kind, path.stem, content)
            for kind, content in (
                ("before", path.read_bytes()),
                ("after", path.with_suffix(".after").read_bytes()),
            )
        )
        assert after.count("--web.config.file=/etc/firescreen/web.yml") == 1, path.stem
        assert "/srv/firescreen:/etc/firescreen:ro" in after, path.stem
        assert foreign(before) == foreign(after), path.stem


def started(generator: Path, folder: Path, name: str, content: bytes) -> list[str]:
    """Returns the words of the service's ExecStart."""
    place = folder / name
    place.mkdir(parents=True)
    (place / "prometheus.container").write_bytes(content)
    (place / "monitoring.network").write_text("[Network]\n")
    (place / "prometheus-data.volume").write_text("[Volume]\n")
    ended = run_program(
        [generator, "--dryrun", "--no-kmsg-log"], env={**os.environ, "QUADLET_UNIT_DIRS": str(place)}
    )
    assert ended.returncode == 0, f"{name}: {ended.stderr}"
    (service,) = (part for part in ended.stdout.split("---") if "ExecStart=" in part and "podman run" in part)
    line = next(line for line in service.splitlines() if line.startswith("ExecStart="))
    return [word.text for word in split(line, c_escapes=True)]


def foreign(words: list[str]) -> list[str]:
    """Returns the words that an edit must not change; without a command of its own, the image's has to be repeated."""
    kept: list[str] = []
    for word in words:
        if any(sign in word for sign in OURS) or word in ("-v", "--publish", "/etc/prometheus/web.yml"):
            continue
        if word.startswith(("wget ", "--storage.tsdb.path=/prometheus", "--config.file=/etc/prometheus/")):
            continue
        kept.append(word)
    return kept


PROMETHEUS = """\
# Ours.
[Unit]
Description=Prometheus in a container

[Container]
Image=localhost/prometheus:1
ContainerName=prometheus
Network=mon.network
PublishPort=127.0.0.1:9090:9090
Volume=/srv/prometheus:/etc/prometheus
HealthCmd=wget -qO- http://localhost:9090/-/healthy
HealthInterval=2s

[Install]
WantedBy=multi-user.target
"""
EXPORTER = """\
[Container]
Image=localhost/node-exporter:1
ContainerName=exporter
Network=mon.network
Exec=--collector.disable-defaults \\
    --web.disable-exporter-metrics
"""
DROPIN = "[Service]\nRestart=always\n[Container]\nEnvironment=COLOUR=blue\n"
SCRAPE = """\
global: {scrape_interval: 1s}
scrape_configs:
  - job_name: prometheus
    static_configs: [{targets: ['localhost:9090']}]
  - job_name: node
    static_configs: [{targets: ['exporter:9100']}]
"""
STACK = """\
version: 1
hosts: {here: {connect: local}}
components:
  - {host: here, name: node_exporter, protect: [tls, basic_auth]}
  - {host: here, name: prometheus, protect: [tls, basic_auth]}
"""


@pytest.fixture(scope="module")
def pod(network: Network) -> Iterator[Podman]:
    """Boots a host whose systemd runs two containers of Podman from quadlets."""
    with Podman(network) as pod:
        pod.image("prometheus")
        pod.image("node_exporter")
        pod.push("/srv/prometheus/prometheus.yml", SCRAPE.encode())
        pod.quadlet("mon.network", "[Network]\n")
        pod.quadlet("exporter", EXPORTER)
        pod.push("/etc/containers/systemd/exporter.container.d/restart.conf", DROPIN.encode())
        pod.quadlet("prometheus", PROMETHEUS)
        pod.push("/root/stack.yaml", STACK.encode())
        started = pod.run("systemctl daemon-reload && systemctl start exporter prometheus", timeout=90)
        assert started.returncode == 0, pod.run(["journalctl", "-b", "--no-pager", "-n", "60"]).stdout
        pod.check("curl -s --retry 40 --retry-delay 1 --retry-all-errors http://127.0.0.1:9090/-/ready")
        yield pod


def files(pod: Podman) -> str:
    """Returns mode, owner and digest of every relevant file."""
    return pod.check(
        "find /etc/containers /srv /etc/firescreen -printf '%m %u %g %p\\n' 2>/dev/null | sort;"
        " find /etc/containers /srv /etc/firescreen -type f -exec sha256sum {} + 2>/dev/null | sort"
    )


def named(binds: list[str]) -> list[str]:
    """Returns the mounts with a path or a name: an anonymous volume differs for each container."""
    return [bind for bind in binds if not re.match(r"[0-9a-f]{64}:", bind)]


def shape(pod: Podman) -> list[Any]:
    """Returns the properties of the containers that an undo must restore."""
    found = json.loads(pod.check(["podman", "inspect", "exporter", "prometheus"]))
    return [
        (one["Name"], one["Args"], named(one["HostConfig"]["Binds"]), one["Config"].get("Healthcheck"))
        for one in found
    ]


@pytest.mark.timeout(900)
def test_quadlets_are_secured_verified_and_undone(pod: Podman) -> None:
    seen = {
        each["component"]: each
        for each in pod.firescreen("scan", "/root/stack.yaml", "--json", code=3)["components"]
    }
    assert {name: each["state"] for name, each in seen.items()} == {
        "node_exporter": "open",
        "prometheus": "open",
    }
    box = seen["prometheus"]["container"]
    assert (box["engine"], box["quadlet"]) == ("podman", "/etc/containers/systemd/prometheus.container")
    assert (box["unit"], box["uid"], box["state"]) == ("prometheus.service", 65534, "running")
    before, was = files(pod), shape(pod)

    output = pod.firescreen("plan", "/root/stack.yaml", "--diff", code=3)
    assert "prometheus.container" in output
    assert "(200|401)'" in output
    for unit in ("exporter", "prometheus"):
        assert f"!   systemctl daemon-reload\n!   systemctl restart {unit}.service\n" in output
    assert files(pod) == before
    done = pod.firescreen("apply", "/root/stack.yaml", "--yes", "--json")
    assert done["state"] == "proven"
    assert {each["component"] for each in done["probes"]} == {"node_exporter", "prometheus"}
    assert sum(each["expect"] == "up" and each["ok"] for each in done["probes"]) == 2
    quadlet = pod.read("/etc/containers/systemd/exporter.container").decode()
    assert quadlet.startswith(EXPORTER.split("Exec=", maxsplit=1)[0])
    assert "--web.config.file=/etc/firescreen/exporter/web.yml" in quadlet
    inspected = pod.check(["podman", "inspect", "exporter", "prometheus"])
    secret = pod.check("cat /root/.local/share/firescreen/users/*.password").strip()
    assert secret and secret not in inspected and "$2y$" not in inspected
    pod.check("until podman healthcheck run prometheus; do sleep 1; done", timeout=30)
    assert pod.firescreen("plan", "/root/stack.yaml", "--json")["changes"] == []

    pod.firescreen("undo", "--yes")
    assert files(pod) == before
    assert shape(pod) == was


@pytest.mark.timeout(900)
def test_a_quadlet_whose_image_is_gone_is_rolled_back(pod: Podman) -> None:
    before, was = files(pod), shape(pod)
    pod.check(
        "podman tag localhost/node-exporter:1 localhost/kept:1 && podman untag localhost/node-exporter:1 localhost/node-exporter:1"
    )
    failed = pod.firescreen("apply", "/root/stack.yaml", "--yes", "--json", code=1)
    assert "exporter.service" in failed["error"]["what"]
    assert files(pod) == before
    pod.check("podman tag localhost/kept:1 localhost/node-exporter:1 && systemctl restart exporter")
    assert shape(pod) == was


@pytest.mark.parametrize(
    "place",
    [
        "/etc/containers/systemd/exporter.container.d/flags.conf",
        "/run/containers/systemd/exporter.container.d/flags.conf",
        "/etc/containers/systemd/container.d/flags.conf",
    ],
)
def test_a_drop_in_that_would_override_an_edit_is_refused(pod: Podman, place: str) -> None:
    pod.push(place, b"[Container]\nExec=--collector.uname\n")
    try:
        output = pod.firescreen("plan", "/root/stack.yaml", code=2)
        assert f"the drop-in {place}, which counts and is not edited" in output
    finally:
        pod.check(["rm", place])


USER = """\
set -e
useradd --create-home --uid 1500 ada
echo ada:100000:65536 >/etc/subuid
cp /etc/subuid /etc/subgid
mkdir -p /etc/systemd/system/user@.service.d
printf '[Service]\\nEnvironment=XDG_RUNTIME_DIR=/run/user/%%i\\n' >/etc/systemd/system/user@.service.d/runtime.conf
systemctl daemon-reload
systemctl start user-runtime-dir@1500 user@1500
cd /home/ada
runuser -u ada -- env XDG_RUNTIME_DIR=/run/user/1500 sh -ec '
  mkdir -p .config/containers/systemd
  printf "[storage]\\ndriver = \\"vfs\\"\\n" >.config/containers/storage.conf
  printf "[containers]\\npids_limit = 0\\n" >.config/containers/containers.conf
  podman import --change "ENTRYPOINT [\\"/bin/node_exporter\\"]" /image.tar localhost/exporter:1
  printf "[Container]\\nImage=localhost/exporter:1\\nContainerName=hers\\nPublishPort=127.0.0.1:9200:9100\\n" \
    >.config/containers/systemd/hers.container
  systemctl --user daemon-reload
  systemctl --user start hers
'
"""


def test_a_quadlet_of_a_user_is_read_and_refused(pod: Podman) -> None:
    pod.check(["sh", "-c", USER], timeout=180)
    pod.check("curl -s --retry 40 --retry-delay 1 --retry-all-errors http://127.0.0.1:9200/metrics")
    text = STACK.replace(
        "protect: [tls, basic_auth]}", "protect: [tls], service: docker, container: hers}", 1
    )
    pod.push("/srv/hers.yaml", text.encode())
    found = pod.firescreen("scan", "/srv/hers.yaml", "--json", code=3)["components"]
    (hers,) = (each for each in found if each.get("container", {}).get("name") == "hers")
    assert hers["address"] == "127.0.0.1:9200"
    assert hers["container"]["quadlet"] == "/home/ada/.config/containers/systemd/hers.container"
    refusal = "is run by the unit hers.service (systemctl --user) of the user ada"
    assert refusal in hers["container"]["unchangeable"]
    assert refusal in pod.firescreen("plan", "/srv/hers.yaml", code=2)
