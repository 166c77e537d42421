"""A rehearsal runs all labs that were named, or none."""

from __future__ import annotations

from pathlib import Path

from tests.integration.command_line import firescreen


def test_a_lab_that_is_impossible_on_real_hosts_is_refused(tmp_path: Path) -> None:
    room = tmp_path / "classroom.yaml"
    room.write_text("hosts:\n  srv1: {connect: ssh, address: 192.0.2.1}\n")
    ended = firescreen(
        "--workspace", str(tmp_path), "lab", "rehearse", "look", "--classroom", str(room), "--yes"
    )
    assert ended.returncode == 2
    assert "practice stack alone" in ended.stderr and "node-tls" in ended.stderr
