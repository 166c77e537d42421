"""Every known error text is recognised as what it is, and an ordinary log as nothing at all."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from wizard import diagnose

HERE = Path(__file__).parent
LINES = [tuple(row) for row in YAML(typ="safe").load((HERE / "data/error_lines.yaml").read_text())]


@pytest.mark.parametrize(("line", "expected"), LINES, ids=[f"{n}-{row[1]}" for n, row in enumerate(LINES)])
def test_known_lines(line: str, expected: str) -> None:
    found = diagnose.diagnose(line)
    assert found is not None
    assert found.id == expected
    assert found.cause and found.fix


def test_every_entry_has_a_line_that_reaches_it() -> None:
    ids = [entry.id for entry in diagnose.table()]
    assert len(ids) == len(set(ids))
    assert set(ids) == {expected for _, expected in LINES}


def test_the_table_is_written_as_it_says() -> None:
    for entry in diagnose.table():
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", entry.id)
        assert entry.where in ("curl", "prometheus", "server", "python", "ssh", "promtool")
        for pattern in entry.patterns:
            assert not re.search(r"(?<!\\)[.\]][*+]", pattern.pattern), f"{entry.id}: an unbounded gap"
        places = {
            name for text in (entry.cause, entry.fix, entry.other_end, entry.next) for name in _places(text)
        }
        known = {name for pattern in entry.patterns for name in pattern.groupindex}
        assert places <= known, entry.id


def test_parts_of_the_line_come_back_harmless() -> None:
    found = diagnose.diagnose("unable to use specified CA cert /etc/\x1b[31mx.crt and more")
    assert found is not None
    assert "/etc/␛[31mx.crt" in found.cause
    assert "\x1b" not in found.cause + found.matched


def test_ordinary_logs_match_nothing() -> None:
    for line in (HERE / "data/harmless_lines.txt").read_text().splitlines():
        assert diagnose.diagnose(line) is None, line


def test_hostile_lines_do_not_hold_the_program() -> None:
    """A megabyte of each pattern's own beginning costs no more than in proportion to its length."""
    heads = [
        "TLS handshake error from ",
        "open / --",
        "x509: certificate is valid for ",
        "field ",
        '"a/',
        "curl: (60)",
    ]
    diagnose.table()
    for head in heads:
        short, long = head * (20_000 // len(head)), head * (1_000_000 // len(head))
        times = {}
        for name, text in (("short", short), ("long", long), ("lines", long.replace(" ", "\n"))):
            began = time.perf_counter()
            diagnose.diagnose(text)
            times[name] = time.perf_counter() - began
        # 50 times the text; only 64 KiB of a line are looked at, so anything but a quadratic search is far below.
        assert times["long"] < 20 * times["short"] + 0.5, head
        assert times["lines"] < 100 * times["short"] + 1, head


def _places(text: str) -> list[str]:
    return re.findall(r"\{(\w+)\}", text)
