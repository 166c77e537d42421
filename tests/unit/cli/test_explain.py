"""`firescreen explain` reads any log: long, in other encodings, with the error anywhere in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from wizard.cli.tools import explain
from wizard.workspace import Workspace

ERROR = 'level=error err="opening storage failed: lock DB directory: no locks available"\n'
ORDINARY = "".join(
    f'level=info ts={n} msg="Completed loading of configuration file" n={n}\n' for n in range(20_000)
)


@pytest.mark.parametrize(
    "log",
    [
        (ORDINARY + ERROR).encode(),
        (ORDINARY[: len(ORDINARY) // 2] + "\n" + ERROR + ORDINARY[: len(ORDINARY) // 4]).encode(),
        "Größe falsch\n".encode("latin-1") + ERROR.encode(),
        ERROR.encode("utf-16"),
        b"\xef\xbb\xbf" + ERROR.encode(),
        ERROR.replace("\n", "\r\n").encode(),
    ],
    ids=["at the end", "in the middle", "Latin-1", "UTF-16", "byte order mark", "Windows"],
)
def test_the_error_in_any_log_is_found(log: bytes, tmp_path: Path) -> None:
    ended = CliRunner().invoke(explain, ["--no-ask", "--json"], input=log, obj=Workspace(tmp_path / "w"))
    assert ended.exit_code == 0, ended.output
    assert json.loads(ended.stdout)["id"] == "storage-file-system"
