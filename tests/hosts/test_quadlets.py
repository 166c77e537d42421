"""What Podman's own generator makes of each quadlet of the corpus, before and after its edit."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from docker_stand import packages

from wizard.config_files.shell_syntax import split

CORPUS = Path(__file__).parents[1] / "corpus" / "quadlets"
OURS = ("--web.config.file", "/etc/firescreen", "--health-cmd", "9090")


@pytest.mark.parametrize("suite", ["trixie", "sid"])
def test_the_generator_takes_each_and_only_what_was_meant_differs(suite: str, tmp_path: Path) -> None:
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
    """The words of the service's ExecStart."""
    place = folder / name
    place.mkdir(parents=True)
    (place / "prometheus.container").write_bytes(content)
    (place / "monitoring.network").write_text("[Network]\n")
    (place / "prometheus-data.volume").write_text("[Volume]\n")
    ended = subprocess.run(
        [generator, "--dryrun", "--no-kmsg-log"],
        env={**os.environ, "QUADLET_UNIT_DIRS": str(place)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, f"{name}: {ended.stderr}"
    (service,) = (part for part in ended.stdout.split("---") if "ExecStart=" in part and "podman run" in part)
    line = next(line for line in service.splitlines() if line.startswith("ExecStart="))
    return [word.text for word in split(line, c_escapes=True)]


def foreign(words: list[str]) -> list[str]:
    """What an edit has nothing to do with; without a command of its own, the image's has to be repeated."""
    kept: list[str] = []
    for word in words:
        if any(sign in word for sign in OURS) or word in ("-v", "--publish", "/etc/prometheus/web.yml"):
            continue
        if word.startswith(("wget ", "--storage.tsdb.path=/prometheus", "--config.file=/etc/prometheus/")):
            continue
        kept.append(word)
    return kept
