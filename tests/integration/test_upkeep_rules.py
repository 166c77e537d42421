"""`firescreen upkeep rules --stack`: a real Prometheus loads the alert rules, and no longer has them after an undo."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.integration.full_stack import FullStack, wait_until
from wizard import practice as practice_stack
from wizard.cli import firescreen
from wizard.config_files.prometheus.rule_files import add_rule_file, rule_files
from wizard.engine import Engine
from wizard.errors import ConfigError
from wizard.practice import PracticeStack
from wizard.workspace import Workspace

RUNNER = CliRunner()
RULES = "/etc/prometheus/firescreen-rules.yml"


def added(text: str, path: str = RULES) -> str:
    return add_rule_file(text.encode(), path, folder="/etc/prometheus").decode()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("global: {}\n", f"global: {{}}\nrule_files: [{RULES}]\n"),
        ("rule_files:\nglobal: {}\n", f"rule_files: [{RULES}]\nglobal: {{}}\n"),
        ("rule_files:\n  - a.yml # mine\nx: 1\n", f"rule_files:\n  - a.yml # mine\n  - {RULES}\nx: 1\n"),
        ('rule_files: ["a.yml"]\n', f'rule_files: ["a.yml", {RULES}]\n'),
    ],
)
def test_only_the_rule_file_is_added(before: str, after: str) -> None:
    assert added(before) == after
    assert RULES in rule_files(after.encode())


@pytest.mark.parametrize("entry", ["*.yml", "firescreen-rules.yml", RULES, "firescreen-*"])
def test_a_rule_file_that_is_already_listed_is_not_added(entry: str) -> None:
    text = f"rule_files:\n  - '{entry}'\n"
    assert added(text) == text


def test_rule_files_that_are_no_list_are_an_error() -> None:
    with pytest.raises(ConfigError, match="not a list"):
        added("rule_files: {a: b}\n")


@pytest.mark.matrix
def test_a_real_prometheus_has_the_rules_until_the_undo(practice: PracticeStack) -> None:
    workspace = Path(practice.folder).parent
    running_stack = FullStack(practice, Engine(Workspace(workspace)))

    def run(*words: str) -> Any:
        ended = RUNNER.invoke(firescreen, ["--workspace", str(workspace), *words, "--json"])
        assert ended.exit_code == 0, ended.stderr
        return json.loads(ended.stdout)

    assert run("apply", "practice", "--yes")["ok"]
    running_stack.levels = {each.name: each.protect for each in practice_stack.stack(workspace).components}
    config = Path(practice.folder) / "prometheus" / "etc" / "prometheus" / "prometheus.yml"
    before = config.read_bytes()
    preview = RUNNER.invoke(
        firescreen, ["--workspace", str(workspace), "upkeep", "rules", "--stack", "practice", "--diff"]
    )
    assert preview.exit_code == 2 and "+rule_files:" in preview.stdout, preview.stderr
    assert config.read_bytes() == before

    done = run("upkeep", "rules", "--stack", "practice", "--yes")
    assert done["ok"] and done["state"] == "proven", done
    assert rule_files(config.read_bytes()) == (str(config.with_name("firescreen-rules.yml")),)
    assert run("upkeep", "rules", "--stack", "practice", "--yes")["state"] == "nothing"

    def groups() -> tuple[bool, Any]:
        found = running_stack.get_json("prometheus", "/api/v1/rules")["data"]["groups"]
        mine = [rule for group in found if group["name"] == "firescreen" for rule in group["rules"]]
        return bool(mine) and all(rule["health"] == "ok" for rule in mine), mine

    # A group's first evaluation is anywhere in its interval, a minute by default.
    rules = wait_until(groups, "Prometheus has not evaluated the rules", limit=90)
    missing = next(rule for rule in rules if rule["name"] == "FirescreenMetricMissing")
    assert missing["state"] == "pending", "there is no metric yet"
    assert run("undo", "--yes")["state"] == "undone"
    assert config.read_bytes() == before
    assert not config.with_name("firescreen-rules.yml").exists()
