"""`firescreen docs` lists and prints the manual, and names the nearest topics for one that does not exist."""

from __future__ import annotations

import json

from click.testing import CliRunner

from wizard import assets
from wizard.cli import firescreen

RUNNER = CliRunner()


def test_each_topic_is_listed_and_printed_as_its_file() -> None:
    listed = json.loads(RUNNER.invoke(firescreen, ["docs", "--json"]).stdout)
    files = {path.stem: path.read_text(encoding="utf-8") for path in assets.path("docs").glob("*.md")}
    assert {"commands", "stack-file", "limits"} <= files.keys()
    first, *others = (entry["topic"] for entry in listed)
    assert first == "getting-started"
    assert others == sorted(files.keys() - {first})
    plain = RUNNER.invoke(firescreen, ["docs"]).stdout
    for entry in listed:
        name = entry["topic"]
        assert f"# {entry['title']}\n" == files[name].splitlines(keepends=True)[0]
        assert entry["title"] in plain
        assert RUNNER.invoke(firescreen, ["docs", name]).stdout == files[name]
        assert json.loads(RUNNER.invoke(firescreen, ["docs", name, "--json"]).stdout)["text"] == files[name]


def test_an_unknown_topic_is_an_input_error_with_the_nearest_names() -> None:
    failed = RUNNER.invoke(firescreen, ["docs", "stackfile"])
    assert failed.exit_code == 2
    assert failed.stdout == ""
    assert "no topic 'stackfile'" in failed.stderr
    assert "what to do: Try stack-file" in failed.stderr
    assert "firescreen docs" in RUNNER.invoke(firescreen, ["docs", "../README"]).stderr
