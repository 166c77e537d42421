"""One Firescreen at a time changes a host: an error names the holder of the lock; a dead process's lock is taken over."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.engine.memory import MemoryConnection, Site, completed
from wizard.engine import host_lock
from wizard.engine.host_lock import lock_hosts, release
from wizard.errors import HostError, LockedError, UnreachableError
from wizard.model import Completed, FileState

Make = Callable[..., Site]
PATH = "/run/firescreen.lock"


def lock(site: Site) -> None:
    """Locks srv1 and unlocks it at once."""
    with site.hosts() as hosts, lock_hosts(hosts, ("srv1",), site.workspace):
        pass


def held_by(workspace: str, since: object = 0, who: str = "eve@far") -> FileState:
    text = json.dumps({"workspace": workspace, "since": since, "who": who})
    return FileState(f"{text}\n".encode())


def test_hosts_are_locked_during_a_run_and_unlocked_afterwards(make_site: Make) -> None:
    site = make_site("srv1", "srv2")
    with site.hosts() as hosts, lock_hosts(hosts, ("srv1", "srv2"), site.workspace):
        for name in ("srv1", "srv2"):
            mark = json.loads(site.connections[name].files[PATH].content)
            assert mark["workspace"] == site.workspace.identity()
            assert abs(mark["since"] - time.time()) < 60
    assert all(PATH not in each.files for each in site.connections.values())


def test_hosts_are_unlocked_after_a_failure_too(make_site: Make) -> None:
    site = make_site("srv1", "srv2")
    site.connections["srv2"].files[PATH] = held_by("another")
    with (
        pytest.raises(LockedError),
        site.hosts() as hosts,
        lock_hosts(hosts, ("srv1", "srv2"), site.workspace),
    ):
        pytest.fail("it is held")
    assert PATH not in site.connections["srv1"].files
    assert PATH in site.connections["srv2"].files


@pytest.mark.parametrize(
    ("ago", "expected"),
    [(5, "less than a minute"), (300, "5 min"), (7300, "2 h"), (None, "eve@far has been at work on srv1")],
)
def test_the_holder_of_a_lock_is_named(ago: int | None, expected: str, make_site: Make) -> None:
    site = make_site()
    since = int(time.time()) - ago if ago is not None else "long"
    site.connections["srv1"].files[PATH] = held_by("another", since)
    with (
        pytest.raises(LockedError) as caught,
        site.hosts() as hosts,
        lock_hosts(hosts, ("srv1",), site.workspace),
    ):
        pass
    assert expected in caught.value.what
    assert caught.value.where == f"srv1:{PATH}"
    assert f"remove {PATH}" in caught.value.todo


def test_a_foreign_lock_file_is_refused(make_site: Make) -> None:
    site = make_site()
    site.connections["srv1"].files[PATH] = FileState(b"nonsense")
    with pytest.raises(LockedError, match="somebody"):
        lock(site)
    site.connections["srv1"].files[PATH] = FileState(b"[1]")
    with pytest.raises(LockedError):
        lock(site)


def test_the_lock_of_a_dead_process_of_this_workspace_is_taken_over(make_site: Make) -> None:
    site = make_site()
    site.connections["srv1"].files[PATH] = held_by(site.workspace.identity())
    with site.hosts() as hosts, lock_hosts(hosts, ("srv1",), site.workspace):
        assert b"eve" not in site.connections["srv1"].files[PATH].content


def test_a_host_that_cannot_be_locked_is_an_error(make_site: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    site = make_site()

    def unable(self: MemoryConnection, text: str, *words: str, timeout: float = 30.0) -> Completed:
        return completed(code=2, stderr="sh: Read-only file system")

    monkeypatch.setattr(MemoryConnection, "run_script", unable)
    with pytest.raises(HostError, match="read-only"):
        lock(site)


def test_a_full_disk_is_named_and_leaves_no_lock(
    make_site: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "firescreen.lock"
    full = f"trap '' XFSZ; ulimit -f 0; {host_lock._MARK}"
    ended = subprocess.run(["sh", "-c", full, "sh", path, "{}"], capture_output=True, text=True, check=False)
    assert not path.exists()
    site = make_site()

    def unable(self: MemoryConnection, text: str, *words: str, timeout: float = 30.0) -> Completed:
        return completed(
            code=ended.returncode, stderr=ended.stderr.replace("File too large", "No space left on device")
        )

    monkeypatch.setattr(MemoryConnection, "run_script", unable)
    with pytest.raises(HostError, match="cannot lock it: the disk is full") as caught:
        lock(site)
    assert "Make room" in caught.value.todo


def test_a_manual_host_is_not_locked(make_site: Make) -> None:
    site = make_site("srv1", connect="manual")
    with site.hosts() as hosts, lock_hosts(hosts, ("srv1",), site.workspace):
        assert PATH not in site.connections["srv1"].files


def test_locks_of_this_workspace_are_released_where_possible(make_site: Make) -> None:
    site = make_site("srv1", "srv2", "srv3")
    mine = held_by(site.workspace.identity())
    site.connections["srv1"].files[PATH] = mine
    site.connections["srv2"].files[PATH] = held_by("another")
    site.connections["srv3"].faults["read", PATH] = UnreachableError("no answer")
    with site.hosts() as hosts:
        release(hosts, ["srv1", "srv2", "srv3"], site.workspace)
    assert PATH not in site.connections["srv1"].files
    assert PATH in site.connections["srv2"].files


def test_a_host_unreachable_at_the_end_is_no_error(make_site: Make) -> None:
    site = make_site()
    with site.hosts() as hosts, lock_hosts(hosts, ("srv1",), site.workspace):
        site.connections["srv1"].faults["script", PATH] = UnreachableError("no answer")


def test_without_root_the_lock_is_in_a_writable_folder(make_site: Make) -> None:
    site = make_site()
    site.connections["srv1"].user = "ada"
    with site.hosts() as hosts:
        assert hosts.lock_path("srv1") == "/tmp/firescreen-ada.lock"
    practice = make_site("srv1", connect="practice")
    with practice.hosts() as hosts:
        assert hosts.lock_path("srv1") == str(practice.workspace.practice / "srv1" / "firescreen.lock")
