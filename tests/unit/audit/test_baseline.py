"""The baseline of accepted findings: what it accepts, which entries are unused, and what it must not hide."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from tests.unit.audit.views import finding, report
from wizard.audit import NotChecked, baseline
from wizard.audit.baseline import Entry
from wizard.errors import InputError

TODAY = date(2026, 11, 29)
ENTRY = Entry(id="EXP-01", host="srv1", component="node_exporter", reason="moving", date="2026-11-01")


def test_a_baseline_accepts_what_it_names_and_nothing_else() -> None:
    one, other = finding(), finding(host="srv2")
    made = baseline.apply_baseline(report(one, other), [ENTRY], today=TODAY)
    assert [(each.host, each.baseline, each.reason) for each in made.findings] == [
        ("srv2", False, ""),
        ("srv1", True, "moving"),
    ]
    assert made.exit_code("medium") == 3
    assert baseline.apply_baseline(report(one), [ENTRY], today=TODAY).exit_code("low") == 0


def test_an_expired_entry_counts_again_and_is_reported() -> None:
    last = Entry(**{**{name: getattr(ENTRY, name) for name in ENTRY.__slots__}, "until": "2026-11-29"})
    assert baseline.apply_baseline(report(finding()), [last], today=TODAY).exit_code() == 0
    after = baseline.apply_baseline(report(finding()), [last], today=date(2026, 11, 30))
    assert after.exit_code() == 3
    assert after.baseline_notes == (
        "EXP-01 on srv1/node_exporter: accepted until 2026-11-29 only, it counts again",
    )


def test_an_unused_entry_is_reported_unless_its_check_gave_no_result() -> None:
    (note,) = baseline.apply_baseline(report(), [ENTRY], today=TODAY).baseline_notes
    assert "matches nothing any more" in note
    not_checked = NotChecked(host="srv1", why="unreachable")
    assert not baseline.apply_baseline(
        report(could_not_check=(not_checked,)), [ENTRY], today=TODAY
    ).baseline_notes


def test_a_written_baseline_accepts_all_findings_and_keeps_reasons(tmp_path: Path) -> None:
    path = tmp_path / "accepted.yaml"
    now = report(finding(), finding("FIL-03", component=""), finding(instance="second"))
    baseline.save(path, now, today=TODAY, known=[ENTRY])
    entries = baseline.load(path)
    assert [(each.id, each.component, each.unit, each.reason) for each in entries] == [
        ("EXP-01", "node_exporter", "", "moving"),
        ("FIL-03", "", "", baseline.WRITTEN),
        ("EXP-01", "node_exporter", "second", baseline.WRITTEN),
    ]
    assert entries[0].date == "2026-11-01" and entries[1].date == "2026-11-29"
    assert baseline.apply_baseline(now, entries, today=TODAY).exit_code("low") == 0


@pytest.mark.parametrize(
    ("text", "where", "todo"),
    [
        ("version: 1\naccepted:\n  - {id: EXP-01, host: a, date: 2026-01-01}\n", ":3", "reason"),
        ("version: 1\naccepted:\n  - {id: EXP-01, hots: a, reason: b, date: 2026-01-01}\n", ":3", "host"),
        ("version: 1\naccepted:\n  - {id: EXP-01, host: a, reason: b, date: 2026-02-31}\n", ":3", ""),
        ("version: 2\naccepted: []\n", ":1", ""),
        ("", "", "--write-baseline"),
    ],
)
def test_a_mistake_is_refused_with_line_and_remedy(tmp_path: Path, text: str, where: str, todo: str) -> None:
    path = tmp_path / "accepted.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        baseline.load(path)
    assert caught.value.where == f"{path}{where}" and todo in caught.value.todo + caught.value.what
