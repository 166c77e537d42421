"""The stack file that a scan writes has the recommended level for each found component that is not left out."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.screens import example_stack
from wizard.cli import firescreen
from wizard.cli.new_stack_file import write_stack
from wizard.engine import Scan
from wizard.errors import InputError
from wizard.inventory.stack_file import load


def make_scan() -> Scan:
    return Scan(
        stack=example_stack.five(),
        facts=example_stack.facts(),
        exposures=example_stack.exposures(),
        findings=(),
    )


def test_all_found_components_are_secured_and_one_can_be_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "stack.yaml"
    write_stack(make_scan(), file, runs=tmp_path, leave_out=("monitor/prometheus",))
    levels = {one.key: one.protect for one in load(file).components}
    assert levels.pop("monitor/prometheus") == ()
    assert set(levels.values()) == {("tls", "basic_auth")} and len(levels) == 4
    captured = capsys.readouterr()
    assert "monitor/prometheus" in captured.out + captured.err, (
        "it is said what is left out, and what the others cost"
    )
    write_stack(make_scan(), tmp_path / "all.yaml", runs=tmp_path)
    assert all(one.protect for one in load(tmp_path / "all.yaml").components)


def test_only_an_existing_component_can_be_left_out(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no component srv9/nothing") as caught:
        write_stack(make_scan(), tmp_path / "stack.yaml", runs=tmp_path, leave_out=("srv9/nothing",))
    assert "monitor/prometheus" in caught.value.todo
    assert not (tmp_path / "stack.yaml").exists()


def test_an_absent_component_is_reported_once(tmp_path: Path) -> None:
    file = tmp_path / "stack.yaml"
    file.write_text(
        "version: 1\nhosts:\n  here: {connect: local}\n"
        "components:\n  - {host: here, name: mysqld_exporter, protect: [tls]}\n"
    )
    ended = CliRunner().invoke(firescreen, ["--workspace", str(tmp_path / "workspace"), "scan", str(file)])
    assert ended.exit_code == 3
    assert ended.output.count("mysqld_exporter") == 1, ended.output
    assert "there is no mysqld_exporter on this machine (Install and start it" in ended.output
