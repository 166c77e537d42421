"""The kind of a step, file or message is in its fields: no code derives it from an id, a text or the content."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.planner import plan_cases
from wizard.errors import FirescreenError
from wizard.model import WORKSPACE, ContentKind, Plan, PlannedStep, Role, StepKind, WriteFile

ROOT = Path(__file__).parents[3]

TEXTS = ("id", "sentence", "title", "message", "what", "why", "todo")
"""Fields with texts for people and other programs."""

PEM_READERS = (
    "wizard/certificates",
    "wizard/config_files/web_config/pem.py",
    "wizard/planner/certificates.py",
    "wizard/planner/credentials.py",
    "wizard/planner/transfers.py",
)
"""Modules that parse PEM."""

CUTS = ("startswith", "endswith", "partition", "rpartition", "split", "removeprefix", "removesuffix")

STEPS = ("step", "plan", "planned", "warning", "finding", "gap", "change")
"""Names of variables that hold values of a plan."""


def sources() -> Iterator[Path]:
    for folder in ("wizard", "screens"):
        yield from sorted((ROOT / folder).rglob("*.py"))


def texts_taken_apart(tree: ast.AST) -> Iterator[int]:
    """Returns lines that compare or parse the text of a plan's value to find out its kind."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            found = node.func.attr in CUTS and _is_text_of_a_plan(node.func.value)
        else:
            found = any(map(_is_text_of_a_plan, _looked_through_for_a_constant(node)))
        if found:
            yield node.lineno  # type: ignore[attr-defined]


def _looked_through_for_a_constant(node: ast.AST) -> list[ast.expr]:
    """Returns the right operand of `in` if the left one is a constant."""
    looks = isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In | ast.NotIn)
    return node.comparators if looks and isinstance(node.left, ast.Constant) else []  # type: ignore[attr-defined]


def _is_text_of_a_plan(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Attribute)
        and node.attr in TEXTS
        and isinstance(node.value, ast.Name)
        and node.value.id in STEPS
    )


def pem_markers_looked_for(tree: ast.AST) -> Iterator[int]:
    """Lines with `"-----BEGIN" in …` or the like."""
    for node in ast.walk(tree):
        given: list[ast.expr] = []
        if _looked_through_for_a_constant(node):
            given = [node.left]  # type: ignore[attr-defined]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            given = node.args if node.func.attr == "startswith" else []
        if any(isinstance(each, ast.Constant) and _is_marker(each.value) for each in given):
            yield node.lineno  # type: ignore[attr-defined]


def _is_marker(value: object) -> bool:
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    return isinstance(text, str) and "BEGIN" in text


@pytest.mark.parametrize(
    "code",
    ["step.id.startswith('ca')", "'x' in step.title", "kind = step.id.partition(':')"],
)
def test_the_check_finds_code_that_parses_a_plans_text(code: str) -> None:
    assert list(texts_taken_apart(ast.parse(code))) == [1]


@pytest.mark.parametrize("code", ["b'-----BEGIN' in content", "content.startswith('-----BEGIN CERTIFICATE')"])
def test_the_check_finds_code_that_searches_a_pem_marker(code: str) -> None:
    assert list(pem_markers_looked_for(ast.parse(code))) == [1]


def test_no_code_parses_a_plans_text() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sources()
        for line in texts_taken_apart(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert found == []


def test_no_code_recognises_a_planned_file_by_a_pem_marker() -> None:
    """Files that were read from a host are an exception: only their content shows their kind."""
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sources()
        if not str(path.relative_to(ROOT)).startswith((*PEM_READERS, *FOUND_ON_HOSTS))
        if "BEGIN" in (text := path.read_text(encoding="utf-8"))
        for line in pem_markers_looked_for(ast.parse(text))
    ]
    assert found == []


FOUND_ON_HOSTS = (
    "wizard/engine/inventory.py",
    "wizard/labs/",
    "wizard/connections/ssh/",
    "wizard/audit/",
    "wizard/upkeep/",
)
"""Modules that classify files read from a host by their content."""


def plans() -> Iterator[Plan]:
    for name in plan_cases.names():
        try:
            yield plan_cases.plan_of(name)
        except FirescreenError:
            continue  # a refused case has no plan


@pytest.fixture(scope="module")
def steps() -> tuple[PlannedStep, ...]:
    return tuple(step for plan in plans() for step in plan.steps)


def test_an_id_begins_with_the_kind(steps: tuple[PlannedStep, ...]) -> None:
    assert {step.id.partition(":")[0] == step.kind for step in steps} == {True}


def test_a_step_names_its_role_and_component(steps: tuple[PlannedStep, ...]) -> None:
    for step in steps:
        assert (step.role is Role.WORKSPACE) == (step.host == WORKSPACE) == (not step.component), step.id
        if step.role is Role.SERVER and step.kind is not StepKind.ROTATE:
            assert step.id == f"{step.kind}:{step.key}"


def test_a_planned_file_names_its_kind(steps: tuple[PlannedStep, ...]) -> None:
    writes = [change for step in steps for change in step.changes if isinstance(change, WriteFile)]
    assert {ContentKind.CERTIFICATE, ContentKind.PRIVATE_KEY} <= {change.content_kind for change in writes}
    for change in writes:
        content = change.after.content if change.after is not None else b""
        has_key = b"PRIVATE KEY-----" in content
        assert (change.content_kind is ContentKind.PRIVATE_KEY) == has_key, change.path
        # HAProxy before 3.0 reads both from one file, which counts as a private key.
        has_certificate = b"BEGIN CERTIFICATE" in content and not has_key
        assert (change.content_kind is ContentKind.CERTIFICATE) == has_certificate, change.path
        assert change.secret or not has_key
