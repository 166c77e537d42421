"""Labs as data: shipped labs are complete; misspelt, too large and misplaced files are refused."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from wizard import assets, glossary, labs
from wizard.errors import InputError, LabError
from wizard.labs import placeholders, state
from wizard.practice.compose_project import ComposeProject

FOLDER = "/home/student/.local/share/firescreen/practice"
COMPONENTS = {
    "srv1": "node_exporter",
    "srv2": "node_exporter",
    "srv3": "node_exporter",
    "prometheus": "prometheus",
    "alertmanager": "alertmanager",
    "pushgateway": "pushgateway",
    "door": "caddy",
}
USUAL = {
    "lab.promtool": "promtool",
    "lab.notes": f"{FOLDER}/notes",
    "lab.examples": "/usr/lib/firescreen/examples",
} | {
    f"{host}.{name}": value
    for number, (host, component) in enumerate(COMPONENTS.items(), start=1)
    for name, value in {
        "address": f"127.0.10.{number}",
        "port": "9100",
        "listen": f"127.0.10.{number}:9100",
        "loopback": f"127.0.10.10{number}:9100",
        "home": f"{FOLDER}/{host}/etc/{component}",
        "from": f"{FOLDER}/{host}/etc/{component}",
        "flags": f"{FOLDER}/{host}/services/{component}/arguments",
        "addflag": f'echo "$flag" >> {FOLDER}/{host}/services/{component}/arguments',
        "asked": f"127.0.10.{number}",
        "group": "student",
        "san": f"IP:127.0.10.{number},DNS:{host}",
        "job": "node",
        "log": f"{FOLDER}/{host}/services/{component}/log",
        "version": "1.5.0",
        "restart": f"firescreen practice restart {component}",
        "reload": f"firescreen practice reload {component}",
    }.items()
}
USUAL |= placeholders.compose_values(
    ComposeProject(
        folder=f"{FOLDER}/firescreen-lab-0a1b2c3d",
        compose="docker compose",
        addresses={"node-exporter": "127.0.20.1:9100", "prometheus": "127.0.20.2:9090"},
        versions={},
    ),
    f"{FOLDER}/notes",
)
USUAL |= {"door.login": "basic_auth"}
IDS = ["look", "node-tls", "node-password", "prometheus", "mutual-tls", "workshop", "stack", "faults"]
IDS += ["door", "compose", "keep"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the lab on TLS, for tests to put mistakes in."""
    source = assets.path("labs") / "020-node-tls"
    return Path(shutil.copytree(source, tmp_path / "lab"))


def spoil(folder: Path, old: str, new: str) -> None:
    path = folder / "lab.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_every_shipped_lab_is_complete() -> None:
    known = labs.labs()
    assert [lab.id for lab in known] == IDS
    assert labs.find() == known[0]
    for lab in known:
        assert lab.placeholders() <= USUAL.keys()
        filled = lab.fill_placeholders(USUAL)
        assert filled.placeholders() == frozenset()
        assert not lab.follows or lab.follows in IDS
        assert lab.questions and lab.outro and lab.source
        assert bool(lab.begins) == bool(lab.begin)
        for step in filled.steps:
            assert len(set(step.hints)) == 3
            assert step.commands and step.text and step.checks
            assert "{{" not in "".join((step.text, *step.hints, *step.typed))


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("practice: {docker: true}", "practice: {docker: true, hosts: [srv2]}", "has no 'hosts'"),
        ("certificates: self-signed", "real_hosts: true", "has no 'real_hosts'"),
        ("    check:\n", "    solve: {protect: [tls], steps: [user]}\n    check:\n", "has no 'solve'"),
    ],
)
def test_a_container_lab_with_a_wrong_beginning_is_refused(
    tmp_path: Path, old: str, new: str, what: str
) -> None:
    folder = Path(shutil.copytree(assets.path("labs") / "090-compose", tmp_path / "lab"))
    spoil(folder, old, new)
    with pytest.raises(LabError, match=what) as refused:
        labs.load(folder)
    assert "lab.yaml:" in refused.value.where


def test_the_lab_opened_last_is_the_current_one(tmp_path: Path) -> None:
    folders = [tmp_path / "practice", tmp_path / "compose"]
    assert state.newest_lab(*folders) == ""
    for folder, lab in zip(folders, ("stack", "compose"), strict=True):
        folder.mkdir()
        state.set_current_lab(folder, lab)
    os.utime(folders[0] / "lab", (1, 1))
    assert state.newest_lab(*folders) == "compose"
    state.go_to(folders[0])
    os.utime(folders[1] / "lab", (2, 2))
    assert state.newest_lab(*folders) == "stack"


def test_a_command_line_is_short_except_for_folders() -> None:
    short = {name: value if len(value) < 30 else f"/etc/{name}" for name, value in USUAL.items()}
    long = [
        (step.id, line)
        for lab in labs.labs()
        for step in lab.fill_placeholders(short).steps
        for command in step.typed
        for line in command.splitlines()
        if len(line) > 80
    ]
    assert long == []


def test_every_fault_is_different_and_its_name_does_not_reveal_it() -> None:
    steps = labs.find("faults").steps
    assert len(steps) >= 15
    assert all(step.fault and step.answer for step in steps)
    assert all(step.found.endswith(".") for step in steps), "what it was is said when it is repaired"
    assert len({str(step.fault) for step in steps}) == len({step.title for step in steps}) == len(steps)
    for step in steps:
        shown = f"{step.text} {step.commands} {step.hints[0]}"
        assert not [command for command in step.answer if len(command) > 40 and command in shown]


def test_a_lab_folder_contains_exactly_the_files_it_names() -> None:
    for path in assets.path("labs").glob("*/lab.yaml"):
        named = {
            line.rpartition(" ")[2]
            for line in path.read_text().splitlines()
            if line.strip().startswith(("text: ", "intro: ", "outro: ")) and line.endswith(".md")
        }
        assert {each.name for each in path.parent.iterdir()} == named | {"lab.yaml"}


def test_no_password_is_in_a_command_line() -> None:
    commands = [command for lab in labs.labs() for step in lab.steps for command in step.typed]
    for command in commands:
        assert "-nb" not in command and "--password" not in command
        assert "-u prometheus:" not in command or "-u prometheus:guess" in command


ERRATA = {
    "look": {"wire": "encryption"},
    "node-tls": {
        "certificate": "legacy Common Name",
        "web-config": "without a folder",
        "start": "--web.config",
        "scrape": "insecure_skip_verify",
    },
    "node-password": {"password": "mypassword", "close": "htpasswd -nbC 12"},
    "prometheus": {"certificate": "localhost", "scrape": "killall -HUP", "grafana": "skip certificate"},
    "mutual-tls": {
        "server": "prom-key.pem",
        "tls": "IP SANs",
        "if-given": "VerifyClientCertIfGiven",
        "names": "hostname is checked",
    },
    "workshop": {"node-key": "29220", "start": "-k", "scrape": "indentation"},
    "door": {"pair": "route-prefix=/", "password": "one path only"},
    "stack": {
        "certificates": "localhost",
        "push": "SSL_CERT_FILE",
        "alertmanager": "mapping values",
    },
}
"""Mistakes in published guides: lab, step, and a word of the note about the mistake."""


def test_mistakes_in_published_guides_are_noted_beside_the_step() -> None:
    for lab, steps in ERRATA.items():
        for step, word in steps.items():
            found = labs.find(lab).step(step)
            assert word in found.note, (lab, step)
            assert found.note in found.text


@pytest.mark.parametrize(
    ("old", "new", "what", "todo"),
    [
        ("minutes: 25", "minuts: 25", "unknown key 'minuts' in the file", "'minutes'"),
        ("    hints:", "    hnts:", "unknown key 'hnts' in 'steps[0]'", "'hints'"),
        ("- serves: {of", "- servs: {of", "unknown key 'servs' in 'steps[2].check[0]'", "'serves'"),
        ("expect: tls", "expect: tsl", "cannot be 'tsl'", "'tls'"),
        ("at_most: '0640'", "at_most: '640'", "'640' cannot be a name here", "schema"),
        ("text: 1-certificate.md", "text: ../../secret.md", "cannot be a name here", "schema"),
        ("text: 1-certificate.md", "text: /etc/passwd", "cannot be a name here", "schema"),
        ("  - id: start", "  - id: web-config", "the step 'web-config' occurs twice", "another id"),
        ("certificates: self-signed", "certificates: selfsigned", "cannot be 'selfsigned'", "'self-signed'"),
    ],
)
def test_a_mistake_is_refused_with_file_line_and_remedy(
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


def test_two_kinds_in_one_check_are_refused(folder: Path) -> None:
    spoil(
        folder, "- certificate: {of: srv1/node_exporter}", "- {certificate: {of: a/b}, web-config: {of: a/b}}"
    )
    with pytest.raises(LabError, match="at most 1"):
        labs.load(folder)


def test_a_page_outside_the_folder_is_not_read(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.md").write_text("secret")
    (folder / "1-certificate.md").unlink()
    (folder / "1-certificate.md").symlink_to(tmp_path / "secret.md")
    with pytest.raises(LabError, match="outside the folder"):
        labs.load(folder)


@pytest.mark.parametrize("name", ["lab.yaml", "intro.md"])
def test_a_too_large_missing_or_binary_file_is_refused(folder: Path, name: str) -> None:
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
    spoil(folder, "{{srv1.listen}}/metrics", "{{srv9.listen}}/metrics")
    with pytest.raises(LabError, match=r"srv9\.listen"):
        labs.load(folder).fill_placeholders(USUAL)
    with pytest.raises(InputError, match="no lab 'nothing'"):
        labs.find("nothing")
    with pytest.raises(InputError, match="no step 'nothing'"):
        labs.find().step("nothing")


def test_a_folder_with_special_characters_is_quoted_in_commands_only() -> None:
    lab = labs.find("node-tls").fill_placeholders({**USUAL, "srv1.home": "/tmp/a b;$(touch x)"})
    assert "cd '/tmp/a b;$(touch x)'" in lab.step("certificate").commands[1]
    assert "/tmp/a b;$(touch x): a private key" in lab.step("certificate").hints[0]


def test_a_command_in_a_placeholder_is_typed_as_it_is() -> None:
    lab = labs.find("node-tls").fill_placeholders({**USUAL, "srv1.restart": "systemctl restart x y"})
    assert "systemctl restart x y" in lab.step("start").commands


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../../lab.yaml", "a/b/c", ".ssh/authorized_keys", "a/../../b", ""]
)
def test_files_of_a_lab_are_placed_in_the_components_folder_only(folder: Path, path: str) -> None:
    begin = f"begin:\n  says: x\n  place:\n    - file: {{on: srv1, path: '{path}', text: x}}\nintro:"
    spoil(folder, "intro:", begin)
    with pytest.raises(LabError, match="cannot be a name here"):
        labs.load(folder)


@pytest.mark.parametrize("sign", ["\\e[8m", "\\r", "\\u202e", "\\t", "\\x9b"])
def test_a_command_with_an_invisible_character_is_refused(folder: Path, sign: str) -> None:
    spoil(folder, "      - cd {{srv1.home}}", f'      - "id;{sign} true"\n      - cd {{{{srv1.home}}}}')
    with pytest.raises(LabError, match="invisible") as caught:
        labs.load(folder)
    assert caught.value.where.startswith(str(folder / "lab.yaml:"))


def test_a_lab_places_no_commands(folder: Path) -> None:
    spoil(folder, "intro:", "begin:\n  says: x\n  place:\n    - run: {on: srv1, command: id}\nintro:")
    with pytest.raises(LabError, match="unknown key 'run'"):
        labs.load(folder)


def test_the_state_is_saved_completely_and_private(tmp_path: Path) -> None:
    path = tmp_path / "labs" / "x.json"
    kept = state.LabState(started=5.0, runs=("r1",), beginning={"a": "b 0640"})
    kept = kept.with_step("look", done=7.0, seen=("open",)).with_step("look", hints=2)
    state.save(path, kept)
    assert state.load(path) == kept
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["x.json"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 99}', '{"format": 1, "steps": 3}', "\xff"])
def test_an_unreadable_state_counts_as_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text, encoding="latin-1")
    assert state.load(path) is None


def test_the_terms_are_explained() -> None:
    wanted = {"ca", "leaf", "san", "cn", "eku", "mutual-tls", "bcrypt", "scrape", "target"}
    assert wanted <= set(glossary.terms())
    assert glossary.term("Mutual TLS").startswith("# Mutual TLS")
    assert all(len(glossary.term(name)) < 700 for name in glossary.terms())
    for name in ("../labs/x", "nothing", "", "a/b"):
        with pytest.raises(InputError, match="not explained"):
            glossary.term(name)
