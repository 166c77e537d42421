"""A journal line is on the disk before its change is made, and a truncated journal is readable."""

from __future__ import annotations

import errno
import json
import os
import stat
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.engine.memory import OLD, Site, create, edit, folder, service_action, step
from wizard import journal_reader, ownfiles
from wizard.engine.journal import Journal
from wizard.errors import InputError, JournalError
from wizard.journal_reader import Record
from wizard.model import FileState, HostSpec, Service, Supervision

Make = Callable[..., Site]
HOST = HostSpec(name="srv1", connect="ssh", address="192.0.2.11")
DATA = Path(__file__).parents[1] / "data" / "journals"


def new_journal(runs: Path, *changes: object, details: tuple[str, ...] = ()) -> Journal:
    return Journal.create(runs, title="a test", hosts=[HOST], changes=changes, details=details)  # type: ignore[arg-type]


def read(log: Journal) -> Record:
    found = journal_reader.read(log.folder)
    assert found is not None
    return found


def test_old_content_is_saved_first_and_readable_by_the_owner_only(tmp_path: Path) -> None:
    log = new_journal(tmp_path, edit("srv1"), create("srv1", "/etc/new"), folder("srv1", "/etc/n"))
    assert stat.S_IMODE(log.folder.stat().st_mode) == 0o700
    (kept,) = (log.folder / "before").iterdir()
    assert kept.read_bytes() == b"old\n"
    for path in (kept, log.folder / "journal.jsonl", log.folder / "details.txt"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    record = read(log)
    assert [(entry.kind, entry.path) for entry in record.entries] == [
        ("edit", "/etc/old"),
        ("create", "/etc/new"),
        ("folder", "/etc/n"),
    ]
    assert record.state == "cut-off"
    assert record.hosts == (HOST,)
    image = record.entries[0].before
    assert image is not None
    assert record.load(image) == OLD
    journal = (log.folder / "journal.jsonl").read_text()
    assert not any(text in journal for text in ("old\\n", "new\\n", "made\\n")), "never contents"


def test_lines_are_complete_on_disk_when_the_method_returns(tmp_path: Path) -> None:
    log = new_journal(tmp_path, edit("srv1"))
    log.begin(0)
    assert read(log).begun == {0}
    log.done(0)
    assert read(log).done == {0}
    (number,) = log.extend([create("srv1", "/etc/new")])
    assert (number, len(read(log).entries)) == (1, 2)
    log.begin(1)
    log.mark_rolled_back("srv1")
    assert (read(log).begun, read(log).done) == (frozenset(), frozenset())
    log.state("proven")
    assert read(log).state == "proven"


def test_waiting_lines_share_one_fsync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = new_journal(tmp_path, *(edit(f"srv{number}") for number in range(4)))
    calls: list[set[int]] = []
    first, go = threading.Event(), threading.Event()

    def slow(number: int) -> None:
        calls.append(set(read(log).begun))
        first.set()
        assert go.wait(20)

    monkeypatch.setattr(os, "fsync", slow)
    with ThreadPoolExecutor(4) as pool:
        ends = [pool.submit(log.begin, 0)]
        assert first.wait(20)
        ends += [pool.submit(log.begin, number) for number in (1, 2, 3)]
        deadline = time.monotonic() + 20
        while len(read(log).begun) < 4 and time.monotonic() < deadline:
            pass
        assert not any(end.done() for end in ends), "none returns before its line is on the disk"
        go.set()
        for end in ends:
            end.result()
    assert calls == [{0}, {0, 1, 2, 3}]


def test_a_host_needs_recovery_until_it_is_rolled_back(tmp_path: Path) -> None:
    log = new_journal(tmp_path, edit("srv1"), edit("srv2"))
    for number in (0, 1):
        log.begin(number)
        log.done(number)
    log.mark_rollback_pending("srv1")
    assert read(log).owed == frozenset(), "the run is not over: all of it is rolled back"
    log.state("partly")
    assert read(log).owed == {"srv1"}
    assert [entry.host for entry in read(log).for_hosts({"srv1"}).entries] == ["srv1"]
    log.mark_rolled_back("srv1")
    assert read(log).owed == frozenset()


def test_the_journal_line_is_written_before_the_change(make_site: Make) -> None:
    from tests.unit.engine.test_executor import Applied

    site = make_site()
    seen: list[tuple[set[int], set[int]]] = []

    def look(operation: str, path: str) -> None:
        (record,) = journal_reader.records(site.workspace.runs)
        seen.append((set(record.begun), set(record.done)))

    site.connections["srv1"].before = look
    site.manager.before = lambda action, service: look(action, "")
    service = site.service("srv1")
    Applied(
        site,
        [step(edit("srv1")), step(folder("srv1", "/etc/n"), stage=1), step(service_action(service), stage=2)],
    )
    assert seen == [
        ({0}, set()),  # staged
        ({0}, set()),  # in its place
        ({0, 1}, {0}),
        ({0, 1, 2}, {0, 1}),
    ]


@pytest.mark.parametrize("name", ["proven", "interrupted"])
def test_a_journal_truncated_at_any_byte_can_be_read(name: str, tmp_path: Path) -> None:
    (source,) = (DATA / name / "workspace" / "runs").iterdir()
    text = (source / "journal.jsonl").read_bytes()
    folder = tmp_path / source.name
    folder.mkdir()
    whole = journal_reader.read(source)
    assert whole is not None
    last = -1
    ends = [index for index, byte in enumerate(text) if byte == ord("\n")]
    around = {min(max(end + more, 0), len(text)) for end in ends for more in (-2, -1, 0, 1, 2, 9)}
    for length in sorted({*range(0, len(text), 97), *around, len(text)}):
        (folder / "journal.jsonl").write_bytes(text[:length])
        record = journal_reader.read(folder)
        if record is None:
            assert last == -1, "what was readable stays readable"
            continue
        assert record.begun <= whole.begun
        assert record.done <= record.begun
        assert record.entries == whole.entries[: len(record.entries)]
        assert len(record.begun) + len(record.done) >= last
        last = len(record.begun) + len(record.done)
    assert record == replace(whole, folder=folder, details=())


def test_a_journal_continues_after_a_truncated_line(tmp_path: Path) -> None:
    log = new_journal(tmp_path, edit("srv1"))
    log.begin(0)
    with (log.folder / "journal.jsonl").open("ab") as file:
        file.write(b'\n{"line": "do')
    log.state("rolled-back")
    assert read(log).state == "rolled-back"
    assert (set(read(log).begun), set(read(log).done)) == ({0}, set())


def test_the_history_shows_the_changes_of_a_run(tmp_path: Path) -> None:
    log = new_journal(tmp_path, edit("srv1"), create("srv1", "/etc/new"), details=("- old", "+ new"))
    log.begin(0)
    log.done(0)
    log.state("applied")
    shown = read(log).summary()
    assert (shown.run, shown.state, shown.title) == (log.run, "applied", "a test")
    assert shown.changes == ("srv1: edit /etc/old",)
    assert read(log).details == ("- old", "+ new")
    log.state("rolled-back")
    assert len(read(log).summary().changes) == 2


def test_a_missing_or_altered_copy_is_not_restored(tmp_path: Path) -> None:
    log = new_journal(tmp_path, edit("srv1"))
    image = read(log).entries[0].before
    assert image is not None
    kept = log.folder / "before" / image.name
    kept.write_bytes(b"other\n")
    with pytest.raises(JournalError, match="altered"):
        read(log).load(image)
    kept.unlink()
    with pytest.raises(JournalError, match="cannot be read"):
        read(log).load(image)


def test_a_digest_identifies_content_regardless_of_mode(tmp_path: Path) -> None:
    record = read(new_journal(tmp_path, edit("srv1")))
    before, after = record.entries[0].before, record.entries[0].after
    assert record.is_image(replace(OLD, mode=0o600), before), "whatever its mode is"
    assert record.is_image(FileState(b"new\n"), after)
    assert not record.is_image(FileState(b"other\n"), after)
    assert record.is_image(None, None)
    assert not record.is_image(None, before)
    assert not record.is_image(OLD, None)


def test_services_are_recorded_without_possible_secrets(tmp_path: Path) -> None:
    service = Service(
        host="srv1",
        component="node_exporter",
        manager="systemd",
        unit="node",
        arguments=("--secret=x",),
        unit_text="[Service]",
        hidden=("/home",),
        supervision=Supervision("pm2", "node", restart=("pm2 restart node",)),
    )
    log = new_journal(tmp_path, service_action(service))
    assert read(log).entries[0].service == replace(service, arguments=(), unit_text="")
    assert "secret" not in (log.folder / "journal.jsonl").read_text()


def test_runs_are_listed_newest_first_with_their_state(tmp_path: Path) -> None:
    logs = [new_journal(tmp_path, edit("srv1")) for _ in range(3)]
    for log in logs:
        log.begin(0)
    logs[0].state("proven")
    logs[1].state("undone")
    assert {record.run for record in journal_reader.records(tmp_path)} == {log.run for log in logs}
    started = [record.started for record in journal_reader.records(tmp_path)]
    assert started == sorted(started, reverse=True)
    assert [record.run for record in journal_reader.undoable_runs(tmp_path)] == [logs[0].run]
    assert [record.run for record in journal_reader.unfinished_runs(tmp_path)] == [logs[2].run]
    assert journal_reader.find(tmp_path, logs[1].run).state == "undone"
    with pytest.raises(InputError, match="no such run"):
        journal_reader.find(tmp_path, "yesterday")
    assert journal_reader.records(tmp_path / "nowhere") == ()
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="cannot be read"):
        journal_reader.records(tmp_path / "file")


def test_a_run_is_practice_if_all_its_hosts_are(tmp_path: Path) -> None:
    record = read(new_journal(tmp_path))
    assert not record.is_practice
    assert replace(record, hosts=(replace(HOST, connect="practice"),)).is_practice


def test_runs_interrupted_before_any_change_are_removed(tmp_path: Path) -> None:
    log = new_journal(tmp_path, edit("srv1"))
    text = (log.folder / "journal.jsonl").read_text()
    early = tmp_path / "early"
    early.mkdir()
    (early / "journal.jsonl").write_text(text.partition('{"line": "ready"')[0])
    assert journal_reader.read(early) is None
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "journal.jsonl").write_text('{"line": "begin", "n": 0}\n[1]\n')
    with pytest.raises(JournalError, match="cannot be read"):
        journal_reader.read(damaged)
    other = tmp_path / "other"
    other.mkdir()
    (other / "journal.jsonl").write_text(text.replace('"format": 1', '"format": 9'))
    with pytest.raises(JournalError):
        journal_reader.read(other)
    (tmp_path / "empty").mkdir()
    journal_reader.sweep(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {log.run, "damaged", "other"}
    assert [record.run for record in journal_reader.records(tmp_path)] == [log.run]


def test_an_older_journal_without_attributes_can_be_read(tmp_path: Path) -> None:
    service = Service(host="srv1", component="prometheus", manager="systemd", unit="prometheus")
    log = new_journal(tmp_path, edit("srv1"), service_action(service, "reload"))
    path = log.folder / "journal.jsonl"
    lines = [json.loads(line) for line in path.read_text().split("\n") if line]
    for change in lines[0]["changes"]:
        for image in filter(None, (change["before"], change["after"])):
            del image["attributes"]
        if change["service"]:
            for key in ("sockets", "supervision", "shared_with", "bound", "instance"):
                del change["service"][key]
            change["service"]["forgotten"] = "since then"
    path.write_text("\n".join(map(json.dumps, lines)))
    record = read(log)
    assert record.entries[0].before is not None
    assert record.entries[0].before.attributes == ()
    assert record.entries[1].service == service


# -- a disk that is full ---------------------------------------------------------------------------------------


def raise_disk_full(*_: object, **__: object) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_run_does_not_begin_where_its_journal_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ownfiles, "create", raise_disk_full)
    with pytest.raises(JournalError, match="No space left") as caught:
        new_journal(tmp_path, edit("srv1"))
    assert "nothing was changed" in caught.value.todo
    assert list(tmp_path.iterdir()) == []


def test_no_change_is_made_without_saving_the_old_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = new_journal(tmp_path)
    monkeypatch.setattr(ownfiles, "create", raise_disk_full)
    with pytest.raises(JournalError):
        log.extend([edit("srv1")])


@pytest.mark.parametrize("written", [0, 3])
def test_a_partly_written_line_is_an_error(
    written: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = new_journal(tmp_path, edit("srv1"))
    monkeypatch.setattr(os, "write", (lambda number, data: written) if written else raise_disk_full)
    with pytest.raises(JournalError):
        log.begin(0)
    assert log.touched


def test_a_journal_is_discarded_with_its_copies_and_closed_twice(tmp_path: Path) -> None:
    log = new_journal(tmp_path, edit("srv1"))
    log.forget_images()
    assert not (log.folder / "before").exists()
    log.discard()
    log.close()
    assert list(tmp_path.iterdir()) == []


# -- Firescreen's own files ------------------------------------------------------------------------------------


def test_a_workspace_file_is_replaced_atomically_and_created_only_once(tmp_path: Path) -> None:
    path = tmp_path / "file"
    ownfiles.create(path, "one", 0o640, durable=True)
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("one", 0o640)
    with pytest.raises(FileExistsError):
        ownfiles.create(path, "two")
    ownfiles.replace(path, b"three")
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("three", 0o600)
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_workspace_file_that_cannot_be_written_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_text("one")
    monkeypatch.setattr(os, "fchmod", raise_disk_full)
    with pytest.raises(OSError, match="No space"):
        ownfiles.replace(path, "two")
    with pytest.raises(OSError, match="No space"):
        ownfiles.create(tmp_path / "new", "two")
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("file", "one")]
