"""The score is the mean of the components' points, and cannot hide an unprotected component."""

from __future__ import annotations

from tests.unit.audit.views import finding
from wizard.audit.score import score


def test_each_check_reduces_the_score_once_by_its_worst_finding() -> None:
    found = [finding("EXP-01"), finding("EXP-01", evidence="again"), finding("EXP-03"), finding("API-07")]
    made = score(["srv1/node_exporter", "srv2/node_exporter"], found)
    assert [(part.where, part.points) for part in made.parts] == [
        ("srv1/node_exporter", 100 - 40 - 15 - 4),
        ("srv2/node_exporter", 100),
    ]
    assert made.value == (41 + 100) // 2
    assert (made.parts[0].high, made.parts[0].medium, made.parts[0].low) == (1, 1, 1)


def test_a_finding_of_a_host_counts_for_its_components() -> None:
    made = score(["srv1/a", "srv1/b", "srv2/a"], [finding("FIL-03", component="")])
    assert {part.where: part.points for part in made.parts} == {"srv1/a": 60, "srv1/b": 60, "srv2/a": 100}


def test_accepted_findings_do_not_count_and_points_end_at_zero() -> None:
    assert score(["srv1/node_exporter"], [finding(baseline=True)]).value == 100
    many = [finding(check) for check in ("EXP-01", "EXP-02", "API-01", "API-02")]
    assert score(["srv1/node_exporter"], many).value == 0
    assert score([], []).value == 100


def test_without_any_result_there_is_no_good_score() -> None:
    assert score([], [], nothing=0).value == 0
