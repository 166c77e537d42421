"""Measures our probes against curl on the same TLS server in the same run: one request, and 1,000 targets.

The server is a real node_exporter that listens at 1,000 addresses, so each target is a connection and a
handshake of its own for both. One probe may take 1.2 times curl's own total time (the median of 30, in
turns); 1,000 targets may take no longer than with `curl --parallel`, probed as `firescreen verify` does; the
wizard's verification, which runs fewer probes at once to keep its screen responsive, is measured beside it.
Only ratios count: seconds depend on other processes on the machine. Most of both is the server's own work, so
the goal of 1.0 is reached within a tenth, and the limit that guards against regressions is above it.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.integration.loopback_programs import free_port, running_program
from wizard import binaries, probes
from wizard.certificates import issue
from wizard.engine.outcome import silent
from wizard.engine.verification import MOST, MOST_BESIDE_A_SCREEN, run_probes
from wizard.model import Probe
from wizard.probes.http import SCRAPE

ROUNDS = 30
TARGETS = 1000
TURNS = 5
ONE, ONE_GOAL = 1.4, 1.3
MANY, MANY_GOAL = 1.2, 1.1
AT_ONCE = 50
"""curl's own number of transfers at a time."""


def main() -> int:
    """Prints the figures; returns 1 if a bound is missed."""
    with tempfile.TemporaryDirectory() as name, targets(Path(name)) as asked:
        ours, curls = medians_of_one(asked[0])
        share = ours / curls
        print(f"one request, median of {ROUNDS}: {ours * 1000:.1f} ms, curl {curls * 1000:.1f} ms")
        print(f"  {share:.2f} times curl's own total time, at most {ONE} (goal {ONE_GOAL})")
        many, beside, parallel = together(asked, Path(name))
        ratio = many / parallel
        print(f"{TARGETS} targets, median of {TURNS}: {many:.2f} s, curl --parallel {parallel:.2f} s")
        print(f"  {ratio:.2f} times as long, at most {MANY} (goal {MANY_GOAL})")
        print(f"  in the wizard {beside:.2f} s, {beside / parallel:.2f} times as long")
    return 0 if share <= ONE and ratio <= MANY else 1


def medians_of_one(probe: Probe) -> tuple[float, float]:
    """Returns medians in seconds: ours, and curl's own figure; in turns, each after one that warms up."""
    ours, curls = [], []
    for _ in range(ROUNDS + 1):
        began = time.perf_counter()
        attempt = probes.run(probe)
        ours.append(time.perf_counter() - began)
        assert attempt.ok, attempt.reason
        curls.append(float(curl("-w", "%{time_total}", *options(probe))))
    return statistics.median(ours[1:]), statistics.median(curls[1:])


def together(asked: list[Probe], folder: Path) -> tuple[float, float, float]:
    """Returns the seconds for all of them, the median of some turns: ours, ours beside a screen, curl's."""
    config = folder / "targets.curl"
    config.write_text(
        "".join(f'url = "{probe.url}"\noutput = "{folder}/answer"\n' for probe in asked)
        + "".join(f'resolve = "{probe.resolve}"\n' for probe in asked)
    )
    ours: dict[int, list[float]] = {MOST: [], MOST_BESIDE_A_SCREEN: []}
    curls = []
    for _ in range(TURNS):
        for most, seconds in ours.items():
            began = time.perf_counter()
            attempts = run_probes(asked, run="", emit=silent, cancel=threading.Event(), most=most)
            seconds.append(time.perf_counter() - began)
            assert all(
                medians_of_one.ok and medians_of_one.tls and medians_of_one.tls.chain
                for medians_of_one in attempts
            ), "every target answers"
        began = time.perf_counter()
        said = curl(
            "--parallel",
            "--parallel-max",
            str(AT_ONCE),
            "-w",
            "%{http_code} %{num_connects}\n",
            "--cacert",
            asked[0].ca_file,
            "-K",
            str(config),
        )
        curls.append(time.perf_counter() - began)
        assert said.splitlines() == ["200 1"] * TARGETS, "every target answers on a connection of its own"
    alone, beside = (statistics.median(each) for each in ours.values())
    return alone, beside, statistics.median(curls)


def options(probe: Probe) -> tuple[str, ...]:
    """Returns curl's options for the request of a probe."""
    return ("-o", "/dev/null", "--cacert", probe.ca_file, "--resolve", probe.resolve, probe.url)


def curl(*arguments: str) -> str:
    """Returns curl's output; the request is that of Prometheus' scraper and our probes: HTTP/1.1, and the
    same formats.

    OpenMetrics takes node_exporter longer than plain text, for any client.
    """
    argv = ["curl", "-sS", "--http1.1", "-H", f"Accept: {SCRAPE}", *arguments]
    return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=120).stdout


@contextmanager
def targets(folder: Path) -> Iterator[list[Probe]]:
    """Returns 1,000 targets with a shared certificate: one node_exporter at as many loopback addresses."""
    ca_key, key = issue.new_key("ec-p256"), issue.new_key("ec-p256")
    ca = issue.new_ca(name="Bench CA", key_pem=ca_key, days=2)
    leaf = issue.issue(
        ca_cert=ca, ca_key=ca_key, key_pem=key, names=("*.bench.test",), days=2, common_name="n"
    )
    for name, content in (("ca.crt", ca), ("node.crt", leaf), ("node.key", key)):
        (folder / name).write_bytes(content)
    web = folder / "web.yml"
    web.write_text("tls_server_config:\n  cert_file: node.crt\n  key_file: node.key\n")
    program = binaries.find("node_exporter", cache=Path.home() / ".cache/firescreen").path
    port = free_port()
    addresses = [f"127.1.{number // 250}.{number % 250 + 1}" for number in range(TARGETS)]
    # By default it uses one processor, and clients would wait for that: it stands for a thousand machines.
    argv = [program, "--collector.disable-defaults", "--web.max-requests=0", "--runtime.gomaxprocs=0"]
    argv += [f"--web.config.file={web}"]
    argv += [f"--web.listen-address={address}:{port}" for address in addresses]
    with running_program(argv, "TLS is"):
        yield [
            Probe(
                id=f"n{number}",
                host=f"n{number}",
                component="node_exporter",
                name="one request",
                client="bench",
                expect="200",
                url=f"https://n{number}.bench.test:{port}/metrics",
                resolve=f"n{number}.bench.test:{port}:{address}",
                ca_file=str(folder / "ca.crt"),
                timeout=30.0,
            )
            for number, address in enumerate(addresses)
        ]


if __name__ == "__main__":
    sys.exit(main())
