"""The command line in the tests' own process: a start of Python takes longer than most commands.

That a real process says and returns the same is tested where the process is what matters (`test_cli.py`).
"""

from __future__ import annotations

import subprocess
import sys
from unittest import mock

from click.testing import CliRunner

from screens.__main__ import main


def firescreen(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """`firescreen WORDS…` without a terminal: its exit code and what it wrote. A traceback is the test's."""
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
