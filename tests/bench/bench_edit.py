"""Measures the edit of a large prometheus.yml against ruamel's load-and-dump, in the same run.

The edit is that of a preview: find the jobs that scrape a target, then secure one of them. It must be at
least ten times faster, and must change no byte outside the lines of its job; otherwise it exits with 1. The
goal in seconds is printed beside it and decides nothing: the duration depends on other processes on the
machine.
"""

from __future__ import annotations

import io
import sys
import time

from ruamel.yaml import YAML

from wizard.config_files import prometheus
from wizard.config_files.prometheus.scrape_jobs import survey

JOBS = 5000
GOAL = 0.6
TIMES = 10.0
TRIES = 4
"""Rounds: a machine that did something else meanwhile gets another."""


def large(jobs: int = JOBS) -> bytes:
    """Returns a prometheus.yml of 0.86 MB with a comment at each job."""
    parts = ["# A large site.\nglobal:\n  scrape_interval: 15s  # how often\n\nscrape_configs:\n"]
    parts += [
        f"  # job {number}\n"
        f"  - job_name: 'node-{number:05d}'   # team {number % 7}\n"
        "    metrics_path: /metrics\n"
        "    static_configs:\n"
        f"      - targets: ['host{number:05d}.example.net:9100']\n"
        f'        labels: {{dc: "dc{number % 3}"}}\n\n'
        for number in range(jobs)
    ]
    return "".join(parts).encode()


def edit(content: bytes, host: str) -> bytes:
    """Edits as a preview does, without caches."""
    survey.cache_clear()
    (job,) = prometheus.job_for(content, [host], 9100)
    return prometheus.secure_job(
        content,
        job=job.name,
        scheme="https",
        ca_file="/etc/prometheus/firescreen/ca.pem",
        username="prometheus",
        password_file="/etc/prometheus/firescreen/prometheus.password",
    )


def main() -> int:
    """Prints the figures; returns 1 if a bound is missed in any round."""
    content = large()
    print(f"{len(content) / 1e6:.2f} MB, {JOBS} jobs")
    for number in range(1, TRIES + 1):
        ours, theirs = edits(content), dumped(content)
        if not ours:
            print("the edit changed other lines than the six that it adds")
            return 1
        took = min(ours)
        over = "" if max(ours) <= GOAL else ", NOT reached here"
        print(f"edit: {took:.3f} s at best of {len(ours)}, {max(ours):.3f} s at worst (goal {GOAL} s{over})")
        print(
            f"ruamel load and dump: {theirs:.3f} s, {theirs / took:.1f} times as long, "
            f"at least {TIMES:.0f} (round {number})"
        )
        if theirs / took >= TIMES:
            return 0
    return 1


def edits(content: bytes) -> list[float]:
    """Returns the seconds of five edits, from the first job to the last; empty if one changed other lines."""
    ours: list[float] = []
    for round_number in range(5):
        number = 1 + round_number * (JOBS - 2) // 4
        began = time.perf_counter()
        edited = edit(content, f"host{number:05d}.example.net")
        ours.append(time.perf_counter() - began)
        if changed_lines(content, edited) != (0, 6):
            return []
    return ours


def dumped(content: bytes) -> float:
    """Returns the seconds that ruamel takes to load and dump it."""
    began = time.perf_counter()
    yaml = YAML()
    yaml.dump(yaml.load(content), io.BytesIO())
    return time.perf_counter() - began


def changed_lines(before: bytes, after: bytes) -> tuple[int, int]:
    """Returns how many lines were removed and added between the equal lines at both ends."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    return len(old) - start - end, len(new) - start - end


if __name__ == "__main__":
    sys.exit(main())
