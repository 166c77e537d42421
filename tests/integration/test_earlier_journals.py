"""Runs of an earlier version are undone, or rolled back, to the byte."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from wizard.account import account
from wizard.engine import Engine
from wizard.workspace import Workspace

DATA = Path(__file__).parents[1] / "unit" / "data" / "journals"

pytestmark = pytest.mark.usefixtures("own_host_lock")


class Site:
    """A workspace and a host's files as an earlier version left them.

    Args:
        name: the folder in `DATA`.
        folder: an empty folder for this test.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.host = folder / "host"
        self.before = DATA / name / "before"
        shutil.copytree(DATA / name / "workspace", folder / "workspace")
        shutil.copytree(DATA / name / "after", self.host)
        self.engine = Engine(Workspace(folder / "workspace"))
        user, group = account()
        for journal in (folder / "workspace" / "runs").glob("*/journal.jsonl"):
            text = journal.read_text()
            for was, now in (
                ("@WORKSPACE@", str(folder / "workspace")),
                ("@HOST@", str(self.host)),
                ('"owner": "root"', f'"owner": "{user}"'),
                ('"group": "root"', f'"group": "{group}"'),
            ):
                text = text.replace(was, now)
            journal.write_text(text)

    def files(self, folder: Path) -> dict[str, bytes]:
        """Returns the content of the files in a folder, by relative path."""
        return {
            str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()
        }

    def changed(self) -> set[str]:
        """Returns the files of the host that differ from those before the run."""
        was, now = self.files(self.before), self.files(self.host)
        return {path for path in was.keys() | now.keys() if was.get(path) != now.get(path)}


def test_a_verified_run_is_undone(tmp_path: Path) -> None:
    site = Site("proven", tmp_path)
    assert site.changed() == {
        f"node_exporter/{name}" for name in ("node_exporter.crt", "node_exporter.key", "web.yml")
    }
    (run,) = site.engine.history()
    assert run.state == "proven"
    outcome = site.engine.undo()
    assert outcome.error is None
    assert outcome.state == "undone"
    assert site.changed() == set()
    assert (site.host / "node_exporter" / "web.yml").stat().st_mode & 0o777 == 0o644
    assert not list((tmp_path / "workspace").glob("ca/*"))


def test_an_interrupted_run_is_rolled_back(tmp_path: Path) -> None:
    site = Site("interrupted", tmp_path)
    assert "site/prometheus/prometheus.yml" in site.changed()
    outcomes = site.engine.recover()
    assert [outcome.error for outcome in outcomes] == [None]
    assert site.changed() == set()
    assert not (site.host / "node_exporter").exists()
    assert site.engine.interrupted_run() is None


def test_a_file_that_was_changed_since_is_left_unchanged(tmp_path: Path) -> None:
    site = Site("proven", tmp_path)
    theirs = site.host / "node_exporter" / "web.yml"
    theirs.write_bytes(theirs.read_bytes() + b"# mine\n")
    with_theirs = site.files(site.host)
    outcome = site.engine.undo()
    assert outcome.error is not None
    assert str(theirs) in outcome.error.where
    assert site.files(site.host) == with_theirs


@pytest.mark.parametrize("name", ["proven", "interrupted"])
def test_the_history_of_an_earlier_version_can_be_read(name: str, tmp_path: Path) -> None:
    site = Site(name, tmp_path)
    (run,) = site.engine.history()
    assert run.title == "here/node_exporter: tls + basic_auth"
    assert any("web.yml" in line for line in site.engine.run_details(run.run))
