"""The call path from `Engine.apply` to the rename of a file is short enough for a reader."""

from __future__ import annotations

from pathlib import Path

from tests.tools.trace_write_path import MOST, trace


def test_a_file_is_renamed_after_few_calls(tmp_path: Path) -> None:
    seen = trace(tmp_path)
    assert seen.path[0] == "wizard/engine/engine.py: Engine.apply"
    assert seen.path[-1] == "wizard/connections/local.py: LocalConnection.commit"
    assert "wizard/engine/executor.py: Executor._make" in seen.path
    assert len(seen.path) <= MOST
    assert (tmp_path / "here" / "web.yml").read_bytes() == b"tls_server_config: {}\n"
