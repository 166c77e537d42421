"""A line that was cut in the middle of a known phrase gets the diagnosis of the whole line."""

from __future__ import annotations

import pytest

from wizard import log_records
from wizard.diagnostics import catalogue, cut_lines, tables


@pytest.mark.parametrize(
    ("line", "right"),
    [
        ('Get "https://srv1:9100/metrics": x509: certificate signed by unk', "x509-unknown-authority"),
        ("dial tcp 192.0.2.1:9100: connect: connection ref", "go-refused"),
        (
            "Nov 30 12:00:00 srv1 prometheus[1]: open /etc/prometheus/web.yml: permission den>",
            "web-file-unreadable",
        ),
        ("curl: (60) SSL certificate problem: unable to get local iss...", "curl-unknown-ca"),
        (
            "cURL error 60: SSL certificate problem: unable to get local issuer certific\nate (see …)",
            "curl-unknown-ca",
        ),
    ],
)
def test_a_cut_line_gets_the_cause_of_the_whole_one(line: str, right: str) -> None:
    found = catalogue.diagnose(line)
    assert found is not None
    assert found.id == right


def test_nothing_is_added_if_several_phrases_begin_alike() -> None:
    record = log_records.Record("dial tcp 192.0.2.1:9100: connect: connection re")
    assert cut_lines.complete_records((record,)) == (record,)


def test_a_complete_phrase_is_unchanged() -> None:
    for phrase in tables.load("error_phrases.yaml"):
        record = log_records.Record(f"failed: {phrase}")
        assert cut_lines.complete_records((record,)) == (record,)
