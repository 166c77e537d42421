"""Lines from public posts: at least nine of ten get the right diagnosis, none a wrong one, and lines without error none.

Each file of `data/error_sets` was judged line by line before its first run; the result of that run is at its top.
The right diagnoses are beside each line, several where several entries of the table are equivalent.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from wizard.diagnostics import catalogue

DATA = Path(__file__).parents[1] / "data"
SETS = {path.stem: YAML(typ="safe").load(path.read_text()) for path in (DATA / "error_sets").glob("*.yaml")}
RIGHT = 0.9
NONE = "none"  # in place of a diagnosis: a line of a program or a fault that the tables do not know


@pytest.mark.parametrize("name", sorted(SETS))
def test_each_set_of_public_lines_gets_its_diagnoses(name: str) -> None:
    diagnoses = [
        (line, right.split("|"), catalogue.diagnose(line)) for line, right, _ in SETS[name] if right != NONE
    ]
    wrong = {
        line: found.id for line, right, found in diagnoses if found is not None and found.id not in right
    }
    silent = [line for line, _, found in diagnoses if found is None]
    assert not wrong
    assert len(diagnoses) - len(silent) >= RIGHT * len(diagnoses), silent


@pytest.mark.parametrize(
    "name", sorted(name for name, rows in SETS.items() if any(right == NONE for _, right, _ in rows))
)
def test_the_lines_of_a_set_that_have_no_diagnosis_get_none(name: str) -> None:
    found = {line: catalogue.diagnose(line) for line, right, _ in SETS[name] if right == NONE}
    assert not {line: diagnosis.id for line, diagnosis in found.items() if diagnosis is not None}


def test_there_are_enough_sets() -> None:
    assert len(SETS) >= 10
    lines = [line for rows in SETS.values() for line, _, _ in rows]
    assert len(lines) == len(set(lines)) >= 400


@pytest.mark.parametrize(
    ("line", "right", "client"),
    YAML(typ="safe").load((DATA / "foreign_clients.yaml").read_text()),
)
def test_a_client_is_named_only_where_the_line_shows_it(line: str, right: str, client: str) -> None:
    found = catalogue.diagnose(line)
    assert found is not None
    assert (found.id, found.client) == (right, client)


@pytest.mark.parametrize(
    ("line", "right"),
    YAML(typ="safe").load((DATA / "foreign_lines.yaml").read_text()),
)
def test_texts_of_other_programs_get_no_wrong_diagnosis(line: str, right: str) -> None:
    found = catalogue.diagnose(line)
    assert (found.id if found else "") == right
