"""Lab packs on the command line: shown, confirmed, stored, and played both ways on a practice stack."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.integration.command_line import firescreen
from wizard import assets


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """Returns a copy of the pack that `lab new` makes."""
    return Path(shutil.copytree(assets.path("examples/lab-pack"), tmp_path / "my-pack"))


def fire(*arguments: str | Path, workspace: Path) -> subprocess.CompletedProcess[str]:
    return firescreen("--workspace", str(workspace), "lab", *map(str, arguments))


def test_a_pack_is_shown_before_it_is_added_and_needs_yes_without_a_terminal(
    tmp_path: Path, pack: Path
) -> None:
    workspace = tmp_path / "w"
    refused = fire("add", pack, workspace=workspace)
    assert refused.returncode == 2 and "no terminal to ask at" in refused.stderr
    assert "$ chmod 0640 node.key" in refused.stderr, "all that it types is shown"
    assert not (workspace / "packs").exists()
    assert "open-key" not in fire("list", workspace=workspace).stdout

    assert fire("add", pack, "--yes", workspace=workspace).returncode == 0
    assert "from the pack my-pack" in fire("list", workspace=workspace).stdout
    assert fire("remove", "my-pack", workspace=workspace).returncode == 0
    assert "open-key" not in fire("list", workspace=workspace).stdout


def test_a_new_pack_is_valid_and_every_error_of_a_broken_one_is_reported(tmp_path: Path) -> None:
    made, workspace = tmp_path / "mine", tmp_path / "w"
    assert fire("new", made, workspace=workspace).returncode == 0
    assert fire("new", made, workspace=workspace).returncode == 2
    assert fire("check-pack", made, "--no-play", workspace=workspace).returncode == 0
    file = made / "010-open-key" / "lab.yaml"
    file.write_text(file.read_text().replace("minutes", "minuts").replace("host: srv1", "hos: srv1"))
    spoilt = fire("check-pack", made, "--yes", workspace=workspace)
    assert spoilt.returncode == 2
    assert spoilt.stderr.count(str(file)) >= 3 and "Did you mean 'host'" in spoilt.stderr
    assert not (workspace / "play").exists(), "nothing was played"


@pytest.mark.matrix
@pytest.mark.timeout(600)
def test_a_pack_is_played_both_ways_and_one_whose_checks_always_pass_is_refused(
    tmp_path: Path, pack: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRESCREEN_CACHE", str(cache))
    workspace = tmp_path / "w"
    proven = fire("check-pack", pack, "--yes", workspace=workspace)
    assert proven.returncode == 0, proven.stdout + proven.stderr
    assert "every check fails before its step and passes after it, both ways" in proven.stderr
    assert proven.stdout.count("each check failed before its step") == 2
    assert "-rw-r--r--" in proven.stdout, "by hand, what a command printed is shown"
    assert not (workspace / "play").exists() and not (workspace / "packs").exists()

    file = pack / "010-open-key" / "lab.yaml"
    whole = file.read_text()
    for old, new, words in (
        ("mode: '0644'}", "mode: '0600'}", "passes before the step is done"),
        ("chmod 0640", "chmod 0644", "✗ not done: "),
        ("chmod 0640", "chmod 0640 no.key && chmod 0640", "node.key' failed: "),
        (
            "'0644'}\n",
            "'0644'}\n    - file: {on: srv1, path: w.yml, text: 'ca_file: /etc/x'}\n",
            "not part of the practice stack",
        ),
    ):
        file.write_text(whole.replace(old, new, 1))
        failed = fire("check-pack", pack, "--yes", workspace=workspace)
        assert failed.returncode in (1, 2)
        assert words in failed.stdout + failed.stderr
        assert not (workspace / "play").exists()

    file.write_text(whole)
    assert fire("add", pack, "--yes", workspace=workspace).returncode == 0
    played = fire("play", "open-key", workspace=workspace)
    assert played.returncode == 0, played.stdout + played.stderr
    assert not (workspace / "play").exists() and (workspace / "packs" / "my-pack").is_dir()
