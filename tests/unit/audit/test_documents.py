"""The documents of an audit are valid by the schemas of other programs: SARIF by OASIS, JUnit by Jenkins."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema
import pytest

from tests.unit.audit.views import evidence, finding, host, report, server
from wizard import assets
from wizard.audit import CHECKS, AuditReport, NotChecked, documents
from wizard.audit.runner import cases

DATA = Path(__file__).parents[1] / "data"
XS = "{http://www.w3.org/2001/XMLSchema}"
MISSED = NotChecked(host="srv3", why="it cannot be reached: no route to host")


def full_report() -> AuditReport:
    """A report with findings, an accepted finding, and checks that passed, do not apply or could not be made."""
    seen = evidence(
        server(version="1.3.0", sockets=("*:9100",)), server("prometheus", at=host("srv2"), version="")
    )
    made = cases(CHECKS, seen)
    found = [each for case in made for each in case.findings]
    assert found
    accepted = finding(host="srv9", baseline=True, reason="<moving> & more", file="/etc/a b.yml", line=3)
    second = finding(instance="second", file="/etc/web.yml")
    missed = [each for case in made for each in case.not_checked]
    return report(*found, second, accepted, cases_=made, could_not_check=(MISSED, *missed))


@pytest.mark.parametrize("made", [full_report(), report()], ids=["full", "empty"])
def test_the_json_document_is_valid_by_its_schema(made: AuditReport) -> None:
    schema = json.loads(assets.path("audit.schema.json").read_text())
    document = json.loads(json.dumps(documents.as_json(made)))
    jsonschema.Draft202012Validator(schema).validate(document)
    assert [each["id"] for each in document["findings"]] == [each.id for each in made.findings]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate({**document, "score": 101})


@pytest.mark.parametrize("made", [full_report(), report()], ids=["full", "empty"])
def test_the_sarif_document_is_valid_by_the_official_schema(made: AuditReport) -> None:
    schema = json.loads((DATA / "sarif-schema-2.1.0.json").read_text())
    document = json.loads(json.dumps(documents.as_sarif(made)))
    jsonschema.Draft4Validator(schema).validate(document)
    (run,) = document["runs"]
    assert len(run["tool"]["driver"]["rules"]) == 44
    assert run["invocations"][0]["executionSuccessful"] == (not made.could_not_check)
    for result in run["results"]:
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    suppressed = [each for each in run["results"] if "suppressions" in each]
    assert len(suppressed) == sum(each.baseline for each in made.findings)
    if suppressed:
        place = suppressed[0]["locations"][0]["physicalLocation"]
        assert place["artifactLocation"]["uri"] == "file://srv9/etc/a%20b.yml"
        assert place["region"]["startLine"] == 3


@pytest.mark.parametrize("made", [full_report(), report()], ids=["full", "empty"])
def test_junit_has_a_case_for_each_check_and_host(made: AuditReport) -> None:
    root = ET.fromstring(documents.as_junit(made))
    assert not list(_violations(root))
    suites = {suite.get("name"): suite for suite in root}
    if not made.cases:
        assert not suites
        return
    assert set(suites) == {"srv1", "srv2", "srv3"}
    assert len(suites["srv1"]) == 44 == int(suites["srv1"].get("tests", ""))
    assert suites["srv3"].find("testcase/error") is not None, "an unreachable host is an error"
    for suite in root:
        for kind, count in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
            assert len(suite.findall(f"testcase/{kind}")) == int(suite.get(count, ""))
    test_case = suites["srv1"].find(
        "testcase[@name='EXP-02 Plain HTTP is served beyond the host itself']/failure"
    )
    assert (
        test_case is not None and test_case.get("type") == "high" and "192.0.2.1:9100" in str(test_case.text)
    )


def test_an_invalid_document_is_detected() -> None:
    root = ET.fromstring('<testsuites><testsuite name="a"><case/></testsuite></testsuites>')
    assert len(list(_violations(root))) >= 2


def _violations(root: ET.Element) -> list[str]:
    """Returns violations of Jenkins' schema: unknown elements and attributes, and missing required ones."""
    schema = ET.parse(DATA / "junit-10.xsd").getroot()
    elements = {each.get("name"): each for each in schema.findall(f"{XS}element")}
    found = []
    for element in root.iter():
        rule = elements.get(element.tag)
        if rule is None:
            found.append(f"{element.tag} is not known")
            continue
        attributes = {each.get("name"): each.get("use") for each in rule.iter(f"{XS}attribute")}
        below = {each.get("ref") for each in rule.iter(f"{XS}element")} - {None}
        found += [f"{element.tag}/@{name}" for name in element.attrib if name not in attributes]
        found += [
            f"{element.tag} lacks {name}"
            for name, use in attributes.items()
            if use and name not in element.attrib
        ]
        found += [f"{element.tag}/{child.tag}" for child in element if child.tag not in below]
    return found
