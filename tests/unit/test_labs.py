"""Labs as data: what ships can be read and followed; what is misspelt, too big or leads elsewhere is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from wizard import assets, glossary, labs
from wizard.errors import InputError, LabError
from wizard.labs import state

USUAL = {
    "srv1.address": "127.0.10.1",
    "srv1.listen": "127.0.10.1:9100",
    "srv1.folder": "/home/student/.local/share/firescreen/practice/srv1",
    "srv1.home": "/home/student/.local/share/firescreen/practice/srv1/etc/node_exporter",
    "srv1.arguments": "/home/student/.local/share/firescreen/practice/srv1/services/node_exporter/arguments",
    "prometheus.address": "127.0.10.2",
    "prometheus.listen": "127.0.10.2:9090",
    "prometheus.folder": "/home/student/.local/share/firescreen/practice/prometheus",
    "prometheus.home": "/home/student/.local/share/firescreen/practice/prometheus/etc/prometheus",
    "prometheus.arguments": "/home/student/.local/share/firescreen/practice/prometheus/services/prometheus/arguments",
    "lab.shell": "/home/student/.local/share/firescreen/labs/shell",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the first lab, to spoil."""
    source = next(iter(sorted(assets.path("labs").glob("*/lab.yaml")))).parent
    return Path(shutil.copytree(source, tmp_path / "lab"))


def spoil(folder: Path, old: str, new: str) -> None:
    path = folder / "lab.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_every_lab_that_ships_can_be_followed() -> None:
    known = labs.labs()
    assert known[0].id == "node-exporter"
    assert labs.find() == known[0]
    for lab in known:
        assert lab.placeholders() <= USUAL.keys()
        filled = lab.filled(USUAL)
        assert filled.placeholders() == frozenset()
        assert lab.steps[0].solve is None, "the first step is to look"
        assert all(step.solve for step in lab.steps[1:])
        assert lab.questions and lab.outro
        for step in filled.steps:
            assert len(step.hints) == 3 and len(set(step.hints)) == 3
            assert step.commands and step.text
            # Short lines everywhere but where a path is given its name.
            lines = [line for command in step.commands for line in command.splitlines()]
            assert [
                line
                for line in lines
                if len(line) > 76 and not line.startswith(("cd ", "flags=", "from=", "password="))
            ] == []


def test_no_password_stands_in_a_command_line() -> None:
    commands = [command for lab in labs.labs() for step in lab.steps for command in step.commands]
    for command in commands:
        assert "-nb" not in command and "--password" not in command
        assert "-u prometheus:" not in command or "-u prometheus:guess" in command


def test_what_others_say_is_told_beside_the_step() -> None:
    steps = labs.find("node-exporter").steps
    told = [step for step in steps if step.note]
    assert {step.id for step in told} >= {"certificate", "start", "scrape", "password", "close"}
    assert all(step.note in step.text for step in told)


@pytest.mark.parametrize(
    ("old", "new", "what", "todo"),
    [
        ("minutes: 30", "minuts: 30", "unknown key 'minuts' in the file", "'minutes'"),
        ("    hints:", "    hnts:", "unknown key 'hnts' in 'steps[0]'", "'hints'"),
        ("- serves: {of", "- servs: {of", "unknown key 'servs' in 'steps[0].check[0]'", "'serves'"),
        ("expect: plain", "expect: plane", "cannot be 'plane'", "'plain'"),
        ("at_most: '0640'", "at_most: '640'", "'640' cannot be a name here", "schema"),
        ("text: 1-look.md", "text: ../../secret.md", "cannot be a name here", "schema"),
        ("text: 1-look.md", "text: /etc/passwd", "cannot be a name here", "schema"),
        ("  - id: certificate", "  - id: look", "the step 'look' stands twice", "another id"),
        ("certificates: self-signed", "certificates: selfsigned", "cannot be 'selfsigned'", "'self-signed'"),
    ],
)
def test_a_mistake_names_the_file_the_line_and_what_to_do(
    folder: Path, old: str, new: str, what: str, todo: str
) -> None:
    line = (folder / "lab.yaml").read_text().partition(old)[0].count("\n") + 1
    spoil(folder, old, new)

    with pytest.raises(LabError) as caught:
        labs.load(folder)

    assert what in caught.value.what
    assert todo in caught.value.todo
    named, _, number = caught.value.where.rpartition(":")
    assert named == str(folder / "lab.yaml")
    assert abs(int(number) - line) <= 1


def test_two_words_in_one_check_are_refused(folder: Path) -> None:
    spoil(
        folder, "- certificate: {of: srv1/node_exporter}", "- {certificate: {of: a/b}, web-config: {of: a/b}}"
    )
    with pytest.raises(LabError, match="at most 1"):
        labs.load(folder)


def test_a_page_that_leads_out_of_the_folder_is_not_read(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.md").write_text("secret")
    (folder / "1-look.md").unlink()
    (folder / "1-look.md").symlink_to(tmp_path / "secret.md")
    with pytest.raises(LabError, match="leads out"):
        labs.load(folder)


@pytest.mark.parametrize("name", ["lab.yaml", "intro.md"])
def test_a_file_that_is_too_large_missing_or_no_text_is_refused(folder: Path, name: str) -> None:
    (folder / name).write_text("#" * 100_000)
    with pytest.raises(LabError, match="far fewer"):
        labs.load(folder)
    (folder / name).write_bytes(b"\xff\xfe")
    with pytest.raises(LabError, match="UTF-8"):
        labs.load(folder)
    (folder / name).unlink()
    with pytest.raises(LabError, match="cannot be read"):
        labs.load(folder)


def test_control_characters_of_a_page_are_made_visible(folder: Path) -> None:
    (folder / "intro.md").write_text("red \x1b[31m alert")
    assert "\x1b" not in labs.load(folder).intro


def test_an_unknown_placeholder_and_an_unknown_lab_or_step_are_refused(folder: Path) -> None:
    spoil(folder, "{srv1.listen}/metrics", "{srv9.listen}/metrics")
    with pytest.raises(LabError, match=r"srv9\.listen"):
        labs.load(folder).filled(USUAL)
    with pytest.raises(InputError, match="no lab 'nothing'"):
        labs.find("nothing")
    with pytest.raises(InputError, match="no step 'nothing'"):
        labs.find().step("nothing")


def test_a_folder_with_blanks_and_signs_is_quoted_in_commands_only() -> None:
    lab = labs.find().filled({**USUAL, "srv1.home": "/tmp/a b;$(touch x)"})
    assert "cd '/tmp/a b;$(touch x)'" in lab.step("certificate").commands[0]
    assert "/tmp/a b;$(touch x): a private key" in lab.step("certificate").hints[0]


def test_state_is_kept_to_the_last_hint_and_closed_to_others(tmp_path: Path) -> None:
    path = tmp_path / "labs" / "x.json"
    kept = state.LabState(started=5.0, runs=("r1",), beginning={"a": "b 0640"})
    kept = kept.with_step("look", done=7.0, seen=("open",)).with_step("look", hints=2)
    state.save(path, kept)
    assert state.load(path) == kept
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["x.json"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 99}', '{"format": 1, "steps": 3}', "\xff"])
def test_state_that_cannot_be_read_counts_as_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text, encoding="latin-1")
    assert state.load(path) is None


def test_the_words_are_explained() -> None:
    wanted = {"ca", "leaf", "san", "cn", "eku", "mutual-tls", "bcrypt", "scrape", "target"}
    assert wanted <= set(glossary.terms())
    assert glossary.term("Mutual TLS").startswith("# Mutual TLS")
    assert all(len(glossary.term(name)) < 700 for name in glossary.terms())
    for name in ("../labs/x", "nothing", "", "a/b"):
        with pytest.raises(InputError, match="not explained"):
            glossary.term(name)
