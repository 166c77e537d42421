"""`firescreen audit` on the practice stack with the real programs: findings with evidence, silent when mended."""

from __future__ import annotations

import json

import pytest

from tests.integration.test_cli import Run, run

__all__ = ["run"]

pytestmark = pytest.mark.usefixtures("practice")


def test_an_open_stack_and_a_secured_one(run: Run) -> None:
    found = run("audit", "practice", "--json")
    assert found.returncode == 3
    report = json.loads(found.stdout)
    assert report["could_not_check"] == []
    by_check = {(each["id"], each["host"]): each for each in report["findings"]}
    metrics = by_check["EXP-01", "srv1"]
    assert metrics["severity"] == "high" and metrics["component"] == "node_exporter"
    assert metrics["evidence"].startswith("GET http://127.") and metrics["evidence"].endswith("/metrics: 200")
    assert metrics["step"] == "secure srv1/node_exporter"
    assert ("EXP-04", "prometheus") in by_check

    assert run("apply", "practice", "--yes").returncode == 0
    after = json.loads(run("audit", "practice", "--json").stdout)
    assert not [each for each in after["findings"] if each["host"] == "srv1"]
    assert after["score"] > report["score"] and after["could_not_check"] == []
