"""This machine as a host: permissions, links, leftovers, faults and limits, on the real file system."""

from __future__ import annotations

import getpass
import grp
import os
import stat
import sys
import time
from pathlib import Path

import pytest

from tests.processes import run_program
from wizard.connections.host_names import host_names
from wizard.connections.local import LocalConnection
from wizard.connections.subprocess_runner import run_bounded
from wizard.errors import HostError
from wizard.model import FileState

ME = getpass.getuser()
GROUP = grp.getgrgid(os.getgid()).gr_name


def own(content: bytes, mode: int = 0o640) -> FileState:
    return FileState(content, mode, ME, GROUP)


@pytest.fixture
def host() -> LocalConnection:
    return LocalConnection("here")


def test_a_file_is_replaced_atomically(host: LocalConnection, tmp_path: Path) -> None:
    path = tmp_path / "web.yml"
    path.write_text("old")
    before = path.stat().st_ino
    staged = host.stage(str(path), own(b"new \xff\n"), tag="run-1")
    assert staged == host.staged_name(str(path), tag="run-1") == str(tmp_path / ".web.yml.firescreen-run-1")
    assert path.read_text() == "old"
    assert host.read(staged) == own(b"new \xff\n")
    host.commit(staged, str(path))
    assert host.read(str(path)) == own(b"new \xff\n")
    assert path.stat().st_ino != before
    assert host.names(str(tmp_path)) == ("web.yml",)


def test_the_file_is_empty_and_private_until_its_permissions_are_set(tmp_path: Path) -> None:
    # Python's audit hook sees each chmod and chown before it happens; in a subprocess, as hooks cannot be removed.
    code = """
import grp, os, sys, pwd
from wizard.connections.local import LocalConnection
from wizard.model import FileState
os.umask(0)
seen = []
def hook(event, arguments):
    if event in ("os.chmod", "os.chown"):
        found = os.fstat(arguments[0])
        seen.append((event, oct(found.st_mode & 0o7777), found.st_size))
sys.addaudithook(hook)
me = FileState(b"secret", 0o644, pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name)
LocalConnection("here").stage(sys.argv[1], me, tag="t")
print(seen)
"""
    ended = run_program([sys.executable, "-c", code, str(tmp_path / "x")], check=True)
    assert ended.stdout.strip() == "[('os.chmod', '0o600', 0)]"
    assert stat.S_IMODE((tmp_path / ".x.firescreen-t").stat().st_mode) == 0o644


def test_a_symbolic_link_stays_a_link(host: LocalConnection, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    target = tmp_path / "real" / "prometheus.yml"
    target.write_text("old")
    link = tmp_path / "link.yml"
    link.symlink_to("real/prometheus.yml")
    staged = host.stage(str(link), own(b"new"), tag="t")
    assert Path(staged).parent == target.parent
    host.commit(staged, str(link))
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    host.remove(str(link))
    assert link.is_symlink()
    assert not target.exists()
    host.remove(str(link))


def test_a_leftover_is_replaced_and_a_planted_link_is_not_followed(
    host: LocalConnection, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    path = str(tmp_path / "x")
    Path(host.staged_name(path, tag="t")).symlink_to(victim)
    staged = host.stage(path, own(b"1"), tag="t")
    assert not Path(staged).is_symlink()
    assert host.stage(path, own(b"2"), tag="t") == staged
    assert Path(staged).read_bytes() == b"2"
    assert victim.read_text() == "mine"


@pytest.mark.parametrize("tag", ["", "../x", "a/b", "a\0b"])
def test_a_tag_cannot_leave_the_folder(host: LocalConnection, tmp_path: Path, tag: str) -> None:
    with pytest.raises(HostError):
        host.staged_name(str(tmp_path / "x"), tag=tag)


def test_reading_a_missing_file(host: LocalConnection, tmp_path: Path) -> None:
    gone = str(tmp_path / "gone")
    assert host.read(gone) is None
    assert host.stat(gone) is None
    assert host.names(gone) == ()
    assert host.remove_folder(gone)
    (tmp_path / "file").write_text("")
    assert host.read(str(tmp_path / "file" / "below")) is None


def test_folders(host: LocalConnection, tmp_path: Path) -> None:
    folder = str(tmp_path / "node_exporter")
    host.make_folder(folder, mode=0o750, owner=ME, group=GROUP)
    host.make_folder(folder, mode=0o700, owner=ME, group=GROUP)
    info = host.stat(folder)
    assert info is not None
    assert (info.kind, info.mode, info.owner, info.group) == ("folder", 0o750, ME, GROUP)
    (tmp_path / "node_exporter" / "x").write_text("")
    assert not host.remove_folder(folder)
    host.remove(f"{folder}/x")
    assert host.remove_folder(folder)
    assert not Path(folder).exists()


def faults(tmp_path: Path) -> dict[str, tuple[str, FileState]]:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "circle").symlink_to("circle")
    return {
        "folder is not there": (str(tmp_path / "missing" / "x"), own(b"")),
        "not a folder": (str(tmp_path / "file" / "x"), own(b"")),
        "no user": (str(tmp_path / "x"), FileState(b"", 0o600, "no-such-user", GROUP)),
        "no group": (str(tmp_path / "x"), FileState(b"", 0o600, ME, "no-such-group")),
        "name is too long": (str(tmp_path / ("x" * 250)), own(b"")),
    }


@pytest.mark.parametrize(
    "fault", ["folder is not there", "not a folder", "no user", "no group", "name is too long"]
)
def test_the_error_of_a_failed_write_says_what_where_and_what_to_do(
    host: LocalConnection, tmp_path: Path, fault: str
) -> None:
    path, state = faults(tmp_path)[fault]
    with pytest.raises(HostError, match=fault) as refused:
        host.stage(path, state, tag="t")
    assert refused.value.where == path
    assert refused.value.todo
    assert "firescreen" not in refused.value.what


def test_a_folder_in_place_of_a_file_is_not_replaced(host: LocalConnection, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    path = str(tmp_path / "folder")
    staged = host.stage(path, own(b"x"), tag="t")
    with pytest.raises(HostError, match="folder stands where a file"):
        host.commit(staged, path)
    with pytest.raises(HostError, match="not a regular file"):
        host.read(path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(HostError, match="there is a file where a folder is needed"):
        host.make_folder(str(tmp_path / "file"), mode=0o700, owner=ME, group=GROUP)


def test_a_named_pipe_is_refused_without_waiting(host: LocalConnection, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(HostError, match="not a regular file"):
        host.read(str(tmp_path / "pipe"))


def test_an_interrupted_write_leaves_nothing(tmp_path: Path) -> None:
    code = """
import os, pwd, grp, resource, sys
from wizard.errors import HostError
from wizard.connections.local import LocalConnection
from wizard.model import FileState
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
me = FileState(b"x" * 8192, 0o600, pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name)
try:
    LocalConnection("here").stage(sys.argv[1] + "/x", me, tag="t")
except HostError as problem:
    print(problem.what, os.listdir(sys.argv[1]))
"""
    ended = run_program([sys.executable, "-c", code, str(tmp_path)], check=True)
    assert ended.stdout.strip() == "cannot write it: the file may not grow that large here []"


def test_a_program_gets_its_input_and_its_exit_code_is_returned(host: LocalConnection) -> None:
    big = os.urandom(300_000).hex().encode()
    ended = host.run(["cat"], stdin=big)
    assert (ended.code, ended.stdout) == (0, big.decode())
    assert host.run(["sh", "-c", "echo out; echo err >&2; exit 3"]).code == 3
    assert host.run(["true"], stdin=big).code == 0
    assert host.run(["no-such-program-here"]).code == 127
    assert host.run(["/"]).code == 126


def test_a_timeout_kills_the_whole_process_group(host: LocalConnection, tmp_path: Path) -> None:
    script = f"sleep 600 & echo $! > {tmp_path}/pid; wait"
    began = time.monotonic()
    with pytest.raises(HostError, match="did not end in time") as refused:
        host.run(["sh", "-c", script], timeout=0.5)
    assert time.monotonic() - began < 30
    assert refused.value.todo
    pid = int((tmp_path / "pid").read_text())
    # A killed process may not be reaped yet: its new parent does that, so 'gone' includes a zombie.
    deadline = time.monotonic() + 30
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        if state == "Z":
            break
    else:
        assert not Path(f"/proc/{pid}").exists()


def test_output_is_bounded_and_a_background_child_is_not_waited_for() -> None:
    ended = run_bounded(["sh", "-c", "head -c 3000000 /dev/zero"], limit=1000)
    assert (ended.code, len(ended.stdout)) == (0, 1000)
    ended = run_bounded(["sh", "-c", "sleep 40 & echo said"], timeout=30)
    assert (ended.code, ended.stdout) == (0, b"said\n")


def test_this_machines_names_need_no_name_server() -> None:
    names = host_names()
    assert "localhost" in names
    assert "127.0.0.1" in names
    assert len(set(names)) == len(names)
