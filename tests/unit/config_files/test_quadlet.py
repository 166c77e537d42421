"""Podman's quadlets are edited line by line, byte for byte, and only once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wizard.config_files import compose, quadlet
from wizard.errors import ConfigError

CORPUS = Path(__file__).parents[2] / "corpus" / "quadlets"
FILES = sorted(CORPUS.glob("*.container"))
WANTED = compose.Change(
    flags={"web.config.file": "/etc/firescreen/web.yml"},
    image_command=("--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"),
    mounts=(compose.Mount(source="/srv/firescreen", target="/etc/firescreen"),),
    loopback=(9090,),
    demands=compose.Demands(tls=True, password=True),
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_edited_quadlet_equals_the_golden_file(path: Path) -> None:
    before = path.read_bytes().decode()
    changed = quadlet.edit(before, WANTED)
    after = path.with_suffix(".after")
    if os.environ.get("FIRESCREEN_GOLDEN"):
        after.write_bytes(changed.encode())
    assert changed == after.read_bytes().decode()
    assert quadlet.edit(changed, WANTED) == changed, "a second edit changes nothing"
    ours = ("Exec=", "Volume=", "PublishPort=", "HealthCmd=", "    ")
    foreign = [line for line in before.splitlines(keepends=True) if not line.startswith(ours)]
    assert [line for line in changed.splitlines(keepends=True) if not line.startswith(ours)] == foreign


def test_the_settings_of_a_quadlet_are_read() -> None:
    found = quadlet.read((CORPUS / "old-flag.container").read_text())
    assert found.command is not None and "--web.page-title=Hall 4, 100%" in found.command
    assert found.volumes[0] == compose.Volume("%h/prometheus", "/etc/prometheus", options=("Z",))
    assert quadlet.read((CORPUS / "no-exec.container").read_text()).ports[0].host_ip == "0.0.0.0"
    assert quadlet.read((CORPUS / "no-exec.container").read_text()).command is None


def test_percent_and_dollar_signs_are_doubled() -> None:
    text = "[Container]\nImage=prom/prometheus\nExec=--config.file=/p.yml\n"
    change = compose.Change(flags={"web.config.file": "/etc/50%/$web.yml"})
    assert 'Exec=--config.file=/p.yml "--web.config.file=/etc/50%%/$$web.yml"' in quadlet.edit(text, change)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[Service]\nExecStart=/bin/true\n", "there is no section [Container]"),
        (
            "[Container]\nImage=x\nEntrypoint=/bin/sh\nExec=-c 'exec prometheus'\n",
            "by a shell script (/bin/sh)",
        ),
        ("[Container]\nImage=x\nExec=sh -c 'exec prometheus'\n", "by a shell script (sh)"),
        ("[Container]\nImage=x\nVolume=tls:/etc/firescreen\n", "/etc/firescreen is mounted from tls already"),
    ],
)
def test_an_uneditable_quadlet_is_refused_with_a_reason(text: str, reason: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        quadlet.edit(text, WANTED)
    assert reason in str(refusal.value) and refusal.value.todo
