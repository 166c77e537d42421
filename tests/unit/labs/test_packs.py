"""Lab packs of other authors are refused with file, line and remedy, or installed exactly as shown."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from wizard import assets, labs
from wizard.errors import InputError, LabError
from wizard.labs import packs, sandbox_policy, state, text_safety
from wizard.workspace import Workspace

LINE = "      - chmod 0640 node.key"


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """A copy of the pack that `lab new` makes, for tests to put mistakes in."""
    return Path(shutil.copytree(assets.path("examples/lab-pack"), tmp_path / "my-pack"))


@pytest.fixture
def file(pack: Path) -> Path:
    """Its one lab.yaml."""
    return pack / "010-open-key" / "lab.yaml"


def spoil(file: Path, old: str, new: str) -> int:
    """Replaces a text in the file; returns its line number."""
    text = file.read_text()
    assert old in text
    file.write_bytes(text.replace(old, new, 1).encode("utf-8", "surrogatepass"))
    return text.partition(old)[0].count("\n") + 1


def problems(pack: Path) -> list[LabError]:
    """Returns the problems of a pack; each has a place and a remedy."""
    found = list(packs.read(pack, taken=()).problems)
    assert all(each.what and each.where and each.todo for each in found)
    assert all(ord(sign) >= 32 and sign.isprintable() for each in found for sign in str(each))
    return found


def only(pack: Path, file: Path, line: int) -> LabError:
    """Returns the only problem of a pack, which must be on that line."""
    (found,) = problems(pack)
    assert found.where == f"{file}:{line}", str(found)
    return found


def test_the_shipped_labs_pass_the_checks_of_a_pack(pack: Path) -> None:
    for folder, count in ((pack, 1), (pack / "010-open-key", 1), (assets.path("labs"), len(labs.labs()))):
        read = packs.read(folder, taken=())
        assert [str(each) for each in read.problems] == []
        assert len(read.labs) == count


def test_all_commands_and_files_of_a_pack_are_shown(pack: Path, file: Path) -> None:
    read = packs.read(pack, taken=())
    shown = "\n".join(read.shows)
    (lab,) = read.labs
    for step in lab.steps:
        for command in step.typed:
            assert [line for line in command.splitlines() if line.strip() not in shown] == []
    assert '+ mode: on "srv1", path "node.key", mode "0644"' in shown
    whole = "\n".join(packs.read(assets.path("labs"), taken=()).shows)
    for lab in labs.labs():
        for command in (each for step in lab.steps for each in step.typed):
            assert all(line in whole for line in command.splitlines())
        for deed in (*lab.begin, *(each for step in lab.steps for each in step.fault)):
            assert f"+ {deed.kind}: " in whole
            assert all(line in whole for line in str(deed.options.get("text", "")).splitlines())
    spoil(file, LINE, "      - {practice: chmod 0640 node.key, host: chmod 0600 node.key}")
    shown = "\n".join(packs.read(pack, taken=()).shows)
    assert "$ (practice) chmod 0640" in shown and "$ (host) chmod 0600" in shown


def test_all_mistakes_are_listed_at_once_with_their_lines(pack: Path, file: Path) -> None:
    spoil(file, "minutes: 10", "minuts: 10")
    spoil(file, "hints:", "hnts:")
    spoil(file, "at_most: '0640'", "at_most: '640'")
    problems_by_text = {each.what: each for each in problems(pack)}
    assert "'minutes'" in problems_by_text["unknown key 'minuts' in the file"].todo
    assert "'hints'" in problems_by_text["unknown key 'hnts' in 'steps[0]'"].todo
    assert {"the file lacks 'minutes'", "'640' cannot be a name here"} <= problems_by_text.keys()
    assert len({each.where for each in problems_by_text.values()}) >= 3


@pytest.mark.parametrize(
    ("old", "new", "what", "todo"),
    [
        ("host: srv1", "host: srv7", "no host 'srv7'", "'srv1'"),
        ("of: srv1/node_exporter", "of: srv1/node_exportr", "no component", "'srv1/node_exporter'"),
        ("of: srv1/node_exporter", "of: srv2/node_exporter", "no component", "practice"),
        ("cd {{srv1.home}}", "cd {{srv1.hme}}", "no placeholder 'srv1.hme'", "'srv1.home'"),
        ("cd {{srv1.home}}", "cd {{ srv1.Home }}", "no placeholder", "'srv1.home'"),
        ("cd {{srv1.home}}", "echo {{lab.password}}", "no placeholder 'lab.password'", "Known:"),
        ("on: srv1, path", "on: srv9, path", "no host 'srv9'", "'srv1'"),
        ("text: 1-close.md", "text: 1-clos.md", "no page '1-clos.md'", "'1-close.md'"),
        ("id: open-key", "id: '7'", "cannot be a number", "a word"),
        ("id: open-key", "id: open-key\nfollows: nothing", "follows 'nothing'", "Name one of"),
        ("title: A private key that everybody can read", "title: |\n  two\n  lines", "one line", "Fold"),
    ],
)
def test_an_unknown_name_is_listed_with_the_existing_ones(
    pack: Path, file: Path, old: str, new: str, what: str, todo: str
) -> None:
    line = spoil(file, old, new)
    found = problems(pack)
    assert what in found[0].what
    assert todo in found[0].todo
    assert "follows" in what or abs(int(found[0].where.rpartition(":")[2]) - line) <= 1


def test_a_pack_cannot_use_the_name_of_an_existing_lab(pack: Path) -> None:
    found = packs.read(pack, taken={"open-key"}).problems
    assert len(found) == 1 and "a lab 'open-key' already" in found[0].what


def bomb(levels: int) -> str:
    """Returns a YAML alias bomb: each level contains the previous one nine times."""
    lines = ["a: &a [x,x,x,x,x,x,x,x,x]"]
    lines += [f"{chr(98 + n)}: &{chr(98 + n)} [{','.join([f'*{chr(97 + n)}'] * 9)}]" for n in range(levels)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (bomb(20), "anchor"),
        ("id: &x x\ntitle: *x\n", "anchor"),
        ("id: *x\n", "alias"),
        ("id: !!python/object/apply:os.system [id]\n", "tag"),
        ("[" * 30_000, "deep"),
        ("- " * 30_000, "deep"),
        ("{a: " * 15_000, "deep"),
        ("id: x\n---\nid: y\n", "second document"),
        ("id: 'x\n", "not valid YAML"),
        ("id: x\nid: y\n", "is listed twice"),
        ("", "is empty"),
    ],
)
@pytest.mark.timeout(10)
def test_a_yaml_alias_bomb_is_refused_before_it_is_expanded(
    pack: Path, file: Path, text: str, what: str
) -> None:
    file.write_text(text)
    found = problems(pack)
    assert what in found[0].what
    assert len(found) <= 21
    assert str(file) in found[0].where


def link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/passwd")


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("name", ["lab.yaml", "intro.md"])
@pytest.mark.parametrize(
    ("spoilt", "what"),
    [
        (link, "is a link"),
        (pipe, "not a regular file"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "UTF-8"),
        (lambda path: path.write_text("#" * 100_000), "bytes"),
        (lambda path: (path.unlink(), path.mkdir()), "not a regular file"),
    ],
    ids=["link", "pipe", "latin", "large", "folder"],
)
@pytest.mark.timeout(10)
def test_only_regular_files_are_opened(
    pack: Path, file: Path, name: str, spoilt: Callable[[Path], object], what: str
) -> None:
    spoilt(file.parent / name)
    assert what in problems(pack)[0].what
    assert str(file.parent / name) in problems(pack)[0].where
    assert not any(b"root:" in text for text in packs.read(pack, taken=()).files.values())


def test_linked_folders_stray_files_and_odd_names_are_refused(pack: Path, file: Path) -> None:
    (pack / "020-linked").symlink_to(file.parent)
    (pack / "tool.sh").write_text("id")
    (file.parent / "1-closed.md").write_text("a draft")
    (file.parent / "\x1b[8mx.md").write_text("x")
    (pack / ".git").mkdir()
    (pack / "README.md").write_text("mine")
    problems_by_place = {each.where: each for each in problems(pack)}
    assert problems_by_place.keys() == {
        str(pack / "020-linked"),
        str(pack / "tool.sh"),
        str(file.parent / "1-closed.md"),
        str(file.parent),
    }
    assert "1-close.md" in problems_by_place[str(file.parent / "1-closed.md")].todo


def test_a_folder_without_labs_is_no_pack(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("empty", "nothing"):
        with pytest.raises(LabError) as caught:
            packs.read(tmp_path / name, taken=())
        assert caught.value.todo
    for number in range(packs.MOST_FILES + 1):
        (tmp_path / "empty" / str(number)).touch()
    with pytest.raises(LabError, match="more than"):
        packs.read(tmp_path / "empty", taken=())


@pytest.mark.parametrize("path", ["../intro.md", "/etc/passwd", "a/b.md", ".hidden.md", "intro.txt"])
def test_no_page_is_read_from_outside_the_folder(pack: Path, file: Path, path: str) -> None:
    line = spoil(file, "intro: intro.md", f"intro: {path}")
    assert "cannot be a name here" in only(pack, file, line).what


HIDDEN = {
    "carriage return": "\\r",
    "escape": "\\e[8m",
    "csi": "\\x9b",
    "backspace": "\\b",
    "delete": "\\x7f",
    "override": "\\u202e",
    "isolate": "\\u2066",
    "zero width space": "\\u200b",
    "word joiner": "\\u2060",
    "soft hyphen": "\\u00ad",
    "byte order mark": "\\ufeff",
    "filler": "\\u3164",
    "braille blank": "\\u2800",
    "tag letter": "\\U000E0041",
    "variation": "\\U000E0100",
    "line separator": "\\u2028",
    "private": "\\ue000",
}


@pytest.mark.parametrize("sign", HIDDEN.values(), ids=HIDDEN.keys())
def test_an_invisible_character_is_refused_everywhere(pack: Path, file: Path, sign: str) -> None:
    whole = file.read_text()
    line = spoil(file, LINE, f'      - "true;{sign}chmod 0640 node.key"')
    assert "U+" in only(pack, file, line).what
    file.write_text(whole)
    line = spoil(file, "title: A private key", f'title: "{sign}A key"\n#')
    assert "invisible" in only(pack, file, line).what
    file.write_text(whole)
    page = file.parent / "1-close.md"
    raw = sign.replace("\\e", "\\x1b").encode().decode("unicode-escape")
    page.write_text(f"first\nsecond{raw}third\n", newline="")
    if raw != "\r":  # a line end of another operating system
        assert only(pack, page, 2).what.endswith("invisible")


MISTAKABLE = {
    "no-break space": "rm\u00a0-r x",
    "narrow space": "rm\u202f-r x",
    "em space": "rm\u2003-r x",
    "ideographic space": "rm\u3000-r x",
    "joiner": "r\u200dm x",
    "cyrillic": "с\u0075rl x",
    "full width": "ｒm x",
    "curly quote": "echo ‘x’",
    "dash": "ls –l",
    "click letter": "true \u01c0 true",
    "padding": "ls" + " " * 60 + "; rm -r x",
    "deep": " " * 60 + "rm -r x",
    "long": "ls " + "x" * 400,
    "trailing": "ls" + " " * 30,
}


@pytest.mark.parametrize("command", MISTAKABLE.values(), ids=MISTAKABLE.keys())
def test_a_command_contains_only_visible_keyboard_characters(pack: Path, file: Path, command: str) -> None:
    line = spoil(file, LINE, f"      - '{command}'")
    assert "command" in only(pack, file, line).what
    assert next(iter(text_safety.mistakable(f"cat > x <<END\ntrue\n{command}\nEND")))[0] == 3


def test_empty_lines_cannot_hide_a_command(pack: Path, file: Path) -> None:
    line = spoil(file, LINE, "      - |-\n        ls\n\n\n\n\n        rm -r x")
    assert "hide" in problems(pack)[0].what
    assert int(problems(pack)[0].where.rpartition(":")[2]) > line


def test_texts_may_be_in_any_language(pack: Path, file: Path) -> None:
    spoil(
        file, "title: A private key that everybody can read", "title: 'Ключ «открыт» – مفتاح, 鍵　⚠️ für alle'"
    )
    spoil(file, LINE, "      - echo 'schließen' && chmod 0640 node.key")
    (file.parent / "intro.md").write_text("Une clé : lisible par tous. نمی‌خواهم 👩‍🏫\n")
    assert [str(each) for each in problems(pack)] == []


def test_html_in_a_page_is_refused(pack: Path, file: Path) -> None:
    page = file.parent / "intro.md"
    page.write_text("As code it stays: `<b>` and\n\n```\n<b>\n```\n")
    assert problems(pack) == []
    for hidden in ("<!-- rm -r x -->", "<b onclick=x>", "</div>"):
        page.write_text(f"first\n\nsee {hidden} here\n")
        assert "is HTML" in only(pack, page, 3).what


def test_reading_a_pack_runs_nothing(pack: Path, file: Path, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    spoil(file, LINE, f"      - touch {trap}\n      - $(touch {trap}) `touch {trap}`")
    (pack / ".git").mkdir()
    (pack / ".git" / "hook").write_text(f"#!/bin/sh\ntouch {trap}\n")
    workspace = Workspace(tmp_path / "w")
    packs.add(packs.look(pack, workspace), workspace)
    assert labs.labs(workspace.packs)[-1].id == "open-key"
    assert not trap.exists()


@pytest.mark.parametrize(
    "flag",
    [
        "--persistence.file=/home/x/.bashrc",
        "--storage.tsdb.path=/home/x",
        "--web.listen-address=0.0.0.0:1",
        "--collector.textfile.directory=/x",
        "-h",
        "",
    ],
)
def test_only_some_flags_can_be_placed(pack: Path, file: Path, flag: str) -> None:
    line = spoil(file, "  place:", f"  place:\n    - flag: {{of: srv1/node_exporter, flag: '{flag}'}}")
    found = problems(pack)
    assert found and abs(int(found[0].where.rpartition(":")[2]) - line) <= 1
    with pytest.raises(LabError):
        sandbox_policy.flag(flag, root="/practice")


def test_a_flag_names_a_file_of_the_practice_stack() -> None:
    sandbox_policy.flag("--web.config.file=/practice/srv1/etc/web.yml", root="/practice")
    sandbox_policy.flag("--collector.cpu", root="/practice")
    for path in ("/etc/x", "/practice/../etc/x", "../x", "~/x", "/practicex/y"):
        with pytest.raises(LabError, match="not part of the practice stack"):
            sandbox_policy.flag(f"--web.config.file={path}", root="/practice")


@pytest.mark.parametrize(
    "text",
    [
        "basic_auth: {username: x, password_file: /home/x/.ssh/id_ed25519}",
        "a:\n  - authorization:\n      credentials_file: '../../../../.netrc'\n",
        "rule_files: [rules.yml, /etc/shadow]",
        "file_sd_configs: [{files: ['/home/*/x']}]",
        "k: &k /etc/shadow\nca_file: *k",
        'ca_file: "\\x2fetc/shadow"',
        "basicAuthPassword: $__file{/home/x/.netrc}",
        "broken: [\nca_file: /etc/shadow",
        'broken: [\nca_file: "\\x2fetc/shadow"',
        "broken: [\nrule_files:\n- /etc/shadow",
    ],
)
def test_a_placed_configuration_names_no_file_of_the_user(text: str) -> None:
    with pytest.raises(LabError):
        sandbox_policy.configuration(text, root="/practice")


@pytest.mark.parametrize(
    "text",
    [
        "ca_file: /practice/x/ca.crt\nmetrics_path: /metrics\nrule_files: [rules.yml]",
        "broken: [\nca_file: /practice/ca.crt\n- node",
        "just text",
        "a: &a [*a]\nfiles: *a",
        bomb(9) + "\nfiles: *j",
        "",
    ],
)
@pytest.mark.timeout(10)
def test_a_placed_configuration_of_the_practice_stack_is_unchanged(text: str) -> None:
    sandbox_policy.configuration(text, root="/practice")


def test_exactly_the_shown_pack_is_installed(pack: Path, file: Path, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "w")
    looked = packs.look(pack, workspace)
    spoil(file, LINE, "      - rm -r x")
    packs.add(looked, workspace)
    kept = workspace.packs / "my-pack"
    assert [path.name for path in kept.rglob("*")] and not list(kept.glob("README.md"))
    lab = labs.find("open-key", workspace.packs)
    assert "chmod 0640 node.key" in lab.steps[0].commands
    assert kept.stat().st_mode & 0o777 == 0o700
    assert [each.id for each in labs.labs(workspace.packs)][-1] == "open-key"
    assert "open-key" not in [each.id for each in labs.labs()]

    packs.add(packs.look(pack, workspace), workspace)
    assert "rm -r x" in labs.find("open-key", workspace.packs).steps[0].commands, "its newer form"
    assert [path.name for path in workspace.packs.iterdir()] == ["my-pack"]


def test_a_pack_with_problems_is_neither_added_nor_started(pack: Path, file: Path, tmp_path: Path) -> None:
    spoil(file, "minutes: 10", "minuts: 10")
    workspace = Workspace(tmp_path / "w")
    looked = packs.look(pack, workspace)
    with pytest.raises(LabError):
        packs.add(looked, workspace)
    with pytest.raises(LabError), packs.stage_pack(looked):
        pass
    assert not workspace.packs.exists()


def test_two_packs_cannot_share_a_lab_and_removal_deletes_the_state(pack: Path, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "w").ensure()
    packs.add(packs.look(pack, workspace), workspace)
    other = Path(shutil.copytree(pack, tmp_path / "Other Pack!"))
    assert "already" in packs.look(other, workspace).problems[0].what
    assert packs.names(workspace) == {"my-pack": ("open-key",)}
    state.save(workspace.labs / "open-key.json", state.LabState(started=1.0))
    workspace.practice.mkdir()
    state.set_current_lab(workspace.practice, "open-key")

    packs.remove("my-pack", workspace)

    assert packs.names(workspace) == {} and not list(workspace.labs.glob("open-key*"))
    assert state.current_lab(workspace.practice) == ""
    with pytest.raises(InputError, match="no pack"):
        packs.remove("../w", workspace)
    packs.add(packs.look(other, workspace), workspace)
    assert packs.names(workspace) == {"other-pack": ("open-key",)}


def test_an_unusable_installed_lab_does_not_block_others(pack: Path, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "w")
    packs.add(packs.look(pack, workspace), workspace)
    (workspace.packs / "my-pack" / "010-open-key" / "lab.yaml").write_text("[")
    assert len(labs.labs(workspace.packs)) == len(labs.labs())
    packs.remove("my-pack", workspace)
