"""`firescreen audit` as other programs run it: exit codes, one JSON document, the baseline, unreachable hosts."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.integration.test_cli import Run, run
from wizard.practice import PracticeStack

__all__ = ["run"]

AWAY = """
version: 1
hosts:
  {name}: {{connect: ssh, address: 127.0.0.1, port: {port}, user: nobody}}
"""


@pytest.mark.matrix
def test_an_open_stack_and_a_secured_one(run: Run, practice: PracticeStack, tmp_path: Path) -> None:
    found = run("audit", "practice", "--json")
    assert found.returncode == 3
    report = json.loads(found.stdout)
    assert report["could_not_check"] == []
    by_check = {(each["id"], each["host"]): each for each in report["findings"]}
    metrics = by_check["EXP-01", "srv1"]
    assert metrics["severity"] == "high" and metrics["component"] == "node_exporter"
    assert metrics["evidence"] == f"GET http://{practice.host('srv1').listen}/metrics: 200"
    assert metrics["step"] == "secure srv1/node_exporter"
    assert ("EXP-04", "prometheus") in by_check
    assert run("audit", "practice", "--fail-on", "none").returncode == 0

    assert run("apply", "practice", "--yes").returncode == 0
    after = json.loads(run("audit", "practice", "--json").stdout)
    rest = {each["id"] for each in after["findings"] if each["host"] == "srv1"}
    assert rest <= {"AUT-04", "CVE-02"}, (
        "one password for all that the practice stack secures, and its version"
    )
    assert after["score"] > report["score"] and after["could_not_check"] == []

    accepted = tmp_path / "accepted.yaml"
    assert run("audit", "practice", "--write-baseline", str(accepted)).returncode == 0
    text = accepted.read_text().replace("accepted when the baseline was written", "a lab", 1)
    accepted.write_text(re.sub(r"(id: CRT-06\n(?:.*\n)*?  date: .*\n)", r"\1  until: 2001-01-01\n", text))
    ended = run("audit", "practice", "--baseline", str(accepted), "--format", "sarif")
    assert ended.returncode == 3, "CRT-06 counts again"
    assert "CRT-06 on prometheus/prometheus: accepted until 2001-01-01 only" in ended.stderr
    results = json.loads(ended.stdout)["runs"][0]["results"]
    assert [each["ruleId"] for each in results if "suppressions" not in each] == ["CRT-06"]


@pytest.mark.matrix
def test_an_unreachable_host_leaves_the_document_complete(run: Run, tmp_path: Path, free_port: int) -> None:
    stack = tmp_path / "stack.yaml"
    stack.write_text(
        AWAY.format(name="gone", port=free_port)
        + "components:\n  - {host: gone, name: prometheus, protect: [tls, basic_auth]}\n"
    )
    ended = run("audit", str(stack), "--json")
    assert ended.returncode == 1, ended.stderr
    (missed,) = json.loads(ended.stdout)["could_not_check"]
    assert (missed["host"], missed["id"]) == ("gone", "") and "cannot be reached" in missed["why"]
    assert json.loads(ended.stdout)["findings"] == []
    junit = run("audit", str(stack), "--format", "junit")
    assert junit.returncode == 1
    assert ET.fromstring(junit.stdout).find("testsuite[@name='gone']/testcase/error") is not None


def test_a_check_is_explained_and_bad_input_changes_nothing(run: Run) -> None:
    output = run("audit", "--explain", "crt-05", "--json")
    assert output.returncode == 0 and json.loads(output.stdout)["id"] == "CRT-05"
    unknown = run("audit", "--explain", "CRT-99")
    assert unknown.returncode == 2 and unknown.stdout == "" and "Did you mean CRT-0" in unknown.stderr
    assert run("audit", "absent.yaml").returncode == 2
    assert run("audit", "--baseline", "/absent", "practice").returncode == 2
