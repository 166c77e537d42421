"""Access control lists and other attributes: the same form by every kind of connection, and in a journal."""

from __future__ import annotations

import os
import struct
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from wizard import journal_reader
from wizard.connections.attributes import ACL, acl_text, acl_value
from wizard.connections.examination import _one_by_one, examine
from wizard.connections.local import LocalConnection
from wizard.connections.path_script import FUNCTIONS, UNSAFE, unsafe_path_error
from wizard.engine import journal
from wizard.model import ContentKind, FileState, WriteFile

GETFACL = "user::rw-\nuser:1002:r--\t\t#effective:---\nuser:105:rw-\ngroup::r--\nmask::rw-\nother::---\n"


def test_an_access_control_list_is_read_and_set_in_the_kernels_format() -> None:
    value = acl_value(GETFACL)
    data = bytes.fromhex(value)
    assert struct.unpack("<I", data[:4]) == (2,)
    tags = [entry[0] for entry in struct.iter_unpack("<HHI", data[4:])]
    assert tags == sorted(tags), "the kernel wants them in order"
    text = acl_text(value)
    assert text == "user::rw-,user:105:rw-,user:1002:r--,group::r--,mask::rw-,other::---"
    assert acl_value(text.replace(",", "\n")) == value


def test_a_users_own_file_keeps_its_attributes(tmp_path: Path) -> None:
    path = tmp_path / "web.yml"
    path.write_bytes(b"old")
    # The access control list in the kernel's format, and an attribute set by the user.
    given = acl_value(f"user::rw-\nuser:{os.getuid() + 1}:r--\ngroup::---\nmask::rw-\nother::---\n")
    try:
        os.setxattr(path, "user.comment", b"mine")
        os.setxattr(path, ACL, bytes.fromhex(given))
    except OSError:
        pytest.fail("the file system of the tests' folder keeps no lists")
    host = LocalConnection("here")
    before = host.read(str(path))
    assert before is not None
    assert before.attributes == ((ACL, given), ("user.comment", b"mine".hex()))
    assert host.examine([str(path)])[str(path)].attributes == before.attributes
    assert before.mode == 0o660, "the group's bits are the mask"
    after = FileState(b"new", 0o640, before.owner, before.group, before.attributes)
    now: FileState | None = None
    for state in (after, before):
        host.commit(host.stage(str(path), state, tag="t"), str(path))
        now = host.read(str(path))
        assert now is not None
        assert now == state
        assert now.attributes[1] == before.attributes[1]
    assert now is not None
    assert now.attributes == before.attributes


def test_a_file_inherits_no_attributes_from_its_folder(tmp_path: Path) -> None:
    default = acl_value(f"user::rwx\nuser:{os.getuid() + 1}:rwx\ngroup::r-x\nmask::rwx\nother::r-x\n")
    os.setxattr(tmp_path, "system.posix_acl_default", bytes.fromhex(default))
    host, path, folder = LocalConnection("here"), tmp_path / "key", tmp_path / "keys"
    me = host.stat(str(tmp_path))
    assert me is not None
    host.commit(host.stage(str(path), FileState(b"k", 0o640, me.owner, me.group), tag="t"), str(path))
    host.make_folder(str(folder), mode=0o750, owner=me.owner, group=me.group)
    assert ACL not in os.listxattr(path)
    assert os.listxattr(folder) == []
    assert path.stat().st_mode & 0o777 == 0o640


def test_attributes_are_journaled_and_missing_in_older_journals(tmp_path: Path) -> None:
    kept = ((ACL, acl_value(GETFACL)),)
    before = FileState(b"old", 0o660, "root", "root", kept)
    change = WriteFile(
        host="srv1",
        path="/etc/x",
        before=before,
        after=FileState(b"new"),
        why="",
        content_kind=ContentKind.PASSWORD,
    )
    log = journal.Journal.create(tmp_path, title="t", hosts=(), changes=(change,), details=())
    log.close()
    record = journal_reader.read(log.folder)
    assert record is not None
    image = record.entries[0].before
    assert image is not None
    assert record.load(image).attributes == kept
    text = (log.folder / "journal.jsonl").read_text()
    older = text.replace(f', "attributes": [["{ACL}", "{kept[0][1]}"]]', "").replace(', "attributes": []', "")
    assert "attributes" not in older
    (log.folder / "journal.jsonl").write_text(older)
    record = journal_reader.read(log.folder)
    assert record is not None
    assert record.entries[0].before is not None
    assert record.load(record.entries[0].before) == before
    assert record.entries[0].before.attributes == ()


class PreparedHost:
    """A host with prepared answers."""

    def __init__(self, place: tuple[int, bytes, str], tools: bytes = b"") -> None:
        self._place, self._tools = place, tools

    def scripts(self, script: str, paths: object) -> list[tuple[int, bytes, str]]:
        return [self._place]

    def script(self, script: str, *arguments: str) -> tuple[int, bytes, str]:
        return 0, self._tools, ""


PLACE = b"=place\n/etc\nx y"
TOOLS = {
    "a list and a note": (
        (
            b"=lsattr\n--------------e------- /etc\n--------------e------- /etc/x y\n=getfacl\n# file: /etc/x\\040y\n"
            b"# owner: 0\nuser::rw-\nuser:7:r--\ngroup::r--\nmask::r--\nother::---\n\n"
            b"=getfattr\n# file: /etc/x\\040y\nuser.a=0x6869\n"
        ),
        "",
        ["system.posix_acl_access", "user.a"],
    ),
    "nothing": (b"=lsattr\n=getfacl\n=getfattr\n", "", []),
    "an immutable file": (b"=lsattr\n----i---------e------- /etc/x y\n=getfacl\n", "immutable", []),
    "an immutable folder": (b"=lsattr\n----i---------e------- /etc\n=getfacl\n", "immutable", []),
    "a list, and no tool": (b"=lsattr\n=ls\n-rw-rw----+ 1 0 0 9 Jan  1 10:00 /etc/x y\n", "carried over", []),
    "no list, and no tool": (b"=lsattr\n=ls\n-rw-rw----. 1 0 0 9 Jan  1 10:00 /etc/x y\n", "", []),
}


@pytest.mark.parametrize("name", TOOLS)
def test_the_output_of_the_tools_is_parsed(name: str) -> None:
    output, problem, names = TOOLS[name]
    found = examine(PreparedHost((0, PLACE, ""), output), ["/etc/x y"])["/etc/x y"]
    assert problem in found.problem
    assert bool(found.problem) == bool(problem)
    assert [key for key, _ in found.attributes] == names


class LocalShell:
    """This machine through a real sh: as root with checks of each path, else with the user's rights."""

    def __init__(self) -> None:
        self.asked = 0

    def scripts(self, script: str, paths: Sequence[str]) -> Iterator[tuple[int, bytes, str]]:
        return (self.script(script, path) for path in paths)

    def script(self, script: str, *arguments: str) -> tuple[int, bytes, str]:
        self.asked += 1
        careful = "" if os.getuid() else "1"
        ended = subprocess.run(
            ["sh", "-c", f"careful={careful} bound=1\n{FUNCTIONS}{script}", "sh", *arguments],
            capture_output=True,
            timeout=30,
            check=False,
        )
        return ended.returncode, ended.stdout, ended.stderr.decode()


def test_files_of_root_are_examined_in_one_request() -> None:
    paths = [
        "/etc/passwd",
        "/etc/nothing here",
        "/etc/group",
        "/etc",
        "/nowhere/x",
        "/nowhere/y",
        "/etc/os-release",
    ]
    host = LocalShell()
    found = examine(host, paths)
    assert host.asked == 1
    assert found == _one_by_one(host, paths)
    assert list(found) == paths
    assert not any(each.problem or each.guarded for path, each in found.items() if "nowhere" not in path)


def test_a_denied_path_does_not_hide_the_results_of_others(tmp_path: Path) -> None:
    (tmp_path / "web.yml").write_text("")
    (tmp_path / "loop").symlink_to("loop")
    os.setxattr(tmp_path / "web.yml", "user.comment", b"mine")
    tmp_path.chmod(0o777)
    paths = [f"{tmp_path}/web.yml", f"{tmp_path}/none", f"{tmp_path}/loop", "/etc/passwd"]
    found = examine(LocalShell(), paths)
    assert found == _one_by_one(LocalShell(), paths)
    assert found[paths[0]].attributes == (("user.comment", b"mine".hex()),)
    assert found[paths[-1]].problem == ""


def test_a_refusal_gives_reason_place_and_remedy() -> None:
    output = "unsafe link\n755 prometheus 105 prometheus 109 4096 directory\n/etc/node_exporter"
    error = unsafe_path_error(UNSAFE, output, "/etc/node_exporter/web.yml")
    assert error is not None
    assert error.what == "it leads through a link in /etc/node_exporter, a folder that prometheus can change"
    assert error.where == "/etc/node_exporter/web.yml"
    assert "chown root:prometheus /etc/node_exporter" in error.todo
    assert unsafe_path_error(1, output, "/x") is None
