"""The file systems of paths: read from a real shell's output, and reasons why a plan cannot be applied there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wizard.connections.local import LocalConnection
from wizard.engine.storage import looked_at, storage
from wizard.errors import InputError
from wizard.model import (
    ContentKind,
    Facts,
    FileState,
    HostFacts,
    HostSpec,
    PlannedStep,
    StepKind,
    Storage,
    WriteFile,
)
from wizard.planner.storage import refuse

PATH = "/etc/prometheus/prometheus.yml"
USUAL = Storage(path=PATH, mount="/", free=10_000_000)


def planned(known: Storage | None, *, at: str = PATH, before: bytes | None = b"old", size: int = 10) -> None:
    """Checks a plan that writes a file whose storage was examined at the path `at`."""
    held = {} if known is None else {at: known}
    facts = Facts(hosts={"srv1": HostFacts(spec=HostSpec(name="srv1", connect="ssh"), storage=held)})
    state = None if before is None else FileState(before)
    change = WriteFile(
        host="srv1",
        path=PATH,
        before=state,
        after=FileState(b"x" * size),
        why="",
        content_kind=ContentKind.PASSWORD,
    )
    refuse(
        facts,
        [PlannedStep(id="one", kind=StepKind.WEB_CONFIG, title="", host="srv1", why="", changes=(change,))],
    )


def test_an_ordinary_file_is_written() -> None:
    planned(USUAL)
    planned(None)
    planned(Storage(path="/etc", mount="/", free=None), at="/etc", before=None)


@pytest.mark.parametrize(
    ("known", "reason", "todo"),
    [
        (Storage(path=PATH, mount=PATH), "mount of its own", "Mount its folder"),
        (Storage(path=PATH, mount="/etc", read_only=True), "read-only (mounted at /etc)", "remount,rw /etc"),
        (Storage(path=PATH, mount="/", immutable=True), "immutable", f"chattr -i -a {PATH}"),
        (Storage(path=PATH, mount="/", free=4095), "4095 bytes are free, and at least 4096", "df /"),
    ],
)
def test_obstacles_to_writing_are_refused_with_a_remedy(known: Storage, reason: str, todo: str) -> None:
    with pytest.raises(InputError) as refused:
        planned(known)
    assert reason in refused.value.what
    assert refused.value.where == f"srv1:{PATH}"
    assert todo in refused.value.todo


def test_a_mounted_folder_accepts_new_files() -> None:
    planned(
        Storage(path="/etc/prometheus", mount="/etc/prometheus", free=9000), at="/etc/prometheus", before=None
    )


def test_a_disk_needs_room_for_the_whole_file() -> None:
    planned(Storage(path=PATH, mount="/", free=8192), size=5000)
    with pytest.raises(InputError):
        planned(Storage(path=PATH, mount="/", free=8191), size=5000)


def test_the_file_systems_of_this_machines_paths_are_read(tmp_path: Path) -> None:
    file = tmp_path / "a file"
    file.write_text("x")
    link = tmp_path / "link"
    link.symlink_to(file)
    missing = tmp_path / "no" / "such" / "folder"
    asked = [str(file), str(link), str(missing), "/proc/self/status"]
    found = storage(LocalConnection("here"), asked, root=os.geteuid() == 0)
    assert [found[path].path for path in asked[:3]] == [str(file), str(file), str(tmp_path)]
    for path in asked[:3]:
        assert str(tmp_path).startswith(found[path].mount)
        assert (found[path].free or 0) > 0
        assert not found[path].read_only
        assert not found[path].immutable
    assert found["/proc/self/status"].mount.startswith("/proc")


def test_existing_files_and_folders_of_new_files_are_examined() -> None:
    files = {"/a/there": FileState(b""), "/b/new": None, "/b/newer": None}
    assert looked_at(files, {"/c": None}) == ["/a/there", "/b", "/c"]
