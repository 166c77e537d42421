"""Runs the command line in the tests' own process: starting Python takes longer than most commands.

Tests about the process itself, e.g. its exit code and streams, start a real one (`test_cli.py`).
"""

from __future__ import annotations

import subprocess
import sys
from unittest import mock

from click.testing import CliRunner

from screens.__main__ import main


def firescreen(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Runs `firescreen WORDS…` without a terminal; returns exit code and output. An exception reaches the test."""
    with (
        CliRunner().isolation(input=stdin) as (out, err, _),
        mock.patch.object(sys, "argv", ["firescreen", *words]),
    ):
        try:
            main()
        except SystemExit as ended:
            code = ended.code
        else:
            code = 0
        written = out.getvalue().decode(), err.getvalue().decode()
    assert code is None or isinstance(code, int), code
    return subprocess.CompletedProcess(words, code or 0, *written)
