"""Makes the changes of a plan and takes those of a run back: one after the other on a host, the hosts in parallel.

Each change is in the journal before it is made. Compare and swap, both ways: a file that somebody else changed is left
alone.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import groupby
from typing import NamedTuple

from wizard.connections.base import Connection
from wizard.engine import rollback
from wizard.engine.hosts import Hosts
from wizard.engine.journal import Journal
from wizard.engine.parallel import run_parallel
from wizard.engine.rollback import Lane, Reversal
from wizard.engine.service_control import ServiceControl
from wizard.engine.validation import validate
from wizard.errors import (
    CancelledError,
    CredentialNeededError,
    FileChangedError,
    FirescreenError,
    HostError,
    ServiceError,
    UnreachableError,
    ValidationError,
)
from wizard.journal_reader import Record
from wizard.model import (
    WORKSPACE,
    Change,
    ContentKind,
    Event,
    FileState,
    MakeFolder,
    Plan,
    PlannedStep,
    RunService,
    Service,
    WriteFile,
)
from wizard.planner import transfer_fault

Emit = Callable[[Event], None]


class _Entry(NamedTuple):
    """A change with its number in the journal."""

    number: int
    step: PlannedStep
    change: Change


class Executor:
    """Makes changes on hosts for one run, and takes them back.

    Args:
        log: the run's journal, open.
        emit: gets an event for every step.
        cancel: looked at between changes.
        plan: the plan that is applied, for its facts and probes; None for a rollback.
        independent: hosts whose failure does not end the run for the others.
    """

    def __init__(
        self,
        hosts: Hosts,
        log: Journal,
        emit: Emit,
        cancel: threading.Event | None = None,
        *,
        plan: Plan | None = None,
        independent: Collection[str] = (),
    ) -> None:
        self._hosts, self._log, self._emit = hosts, log, emit
        self._cancel = cancel or threading.Event()
        self._plan = plan
        self._independent = frozenset(independent)
        self._services = ServiceControl(
            hosts, emit, self._cancel, run=log.run, plan_probes=plan.probes if plan is not None else ()
        )
        self._stop = threading.Event()
        self._failures: dict[str, FirescreenError] = {}
        self._counting = threading.Lock()
        self._left: Counter[str] = Counter()
        self._done = self._total = 0
        self.made: list[Change] = []
        """What was applied so far, in its order."""
        self.left_down: tuple[str, ...] = ()
        """Services that do not run after a rollback and did not before the run either, with the reason: a line each."""

    # -- applying -----------------------------------------------------------------------------------------

    def apply(self, steps: Sequence[PlannedStep]) -> dict[str, FirescreenError]:
        """Makes every change, each written to the journal first.

        Returns:
            The independent hosts that failed, with what happened there. Their later changes were not made, and what was
            made until then stands; so it is with the others from the stage on that followed.

        Raises:
            FirescreenError: a host that the others need failed, or the person stopped the run. What was made until
                then stands; the caller rolls it back.
        """
        pairs = [(step, change) for step in steps for change in step.changes]
        numbers = self._log.extend([change for _, change in pairs])
        entries = [_Entry(number, *pair) for number, pair in zip(numbers, pairs, strict=True)]
        self._failures = {}
        self._left = Counter(entry.change.host for entry in entries)
        self._done, self._total = len(self.made), len(self.made) + len(entries)
        for _, stage in groupby(entries, key=lambda entry: entry.step.stage):
            # The longest first: begun last, the workspace's would keep all hosts waiting at the end.
            run_parallel(self._apply_lane, sorted(_lanes(stage), key=len, reverse=True))
            if self._failures:
                break
        return self._failures

    def _apply_lane(self, entries: Sequence[_Entry]) -> None:
        """Changes one after the other."""
        # The workspace's are files and folders of our own: none of them waits for the disk to know of the one before.
        together = entries[0].change.host == WORKSPACE
        for number, step, change in entries:
            if self._stop.is_set() or change.host in self._failures:
                return  # what is not begun needs no rollback
            if self._cancel.is_set():
                self._stop.set()
                raise CancelledError("you stopped the run between two changes", where=step.title)
            self._tell_change(step.id, change, "running")
            try:
                if not together:
                    self._log.begin(number)
                elif number == entries[0].number:
                    self._log.begin(*(entry.number for entry in entries))
                self._make(_with_attributes(change), number)
            except (
                HostError,
                FileChangedError,
                ValidationError,
                ServiceError,
                CredentialNeededError,
            ) as error:
                self._tell_change(step.id, change, "failed")
                if change.host not in self._independent:
                    self._stop.set()
                    raise
                self._failures[change.host] = error
                return
            except BaseException:
                self._stop.set()
                self._tell_change(step.id, change, "failed")
                raise
            self._log.done(number)
            self._count(step.id, change)

    def _count(self, step: str, change: Change) -> None:
        with self._counting:
            self.made.append(change)
            self._done = len(self.made)
            self._left[change.host] -= 1
            is_last = not self._left[change.host]
        self._tell_change(step, change, "done")
        if is_last and change.host != WORKSPACE:
            self._emit(Event(run=self._log.run, kind="host", host=change.host, state="changed"))

    def _tell_change(self, step: str, change: Change, state: str) -> None:
        self._emit(
            Event(
                run=self._log.run,
                kind="change",
                host=change.host,
                step=step,
                state=state,
                done=self._done,
                total=self._total,
                text=change.title(),
            )
        )

    # -- one change, either way ---------------------------------------------------------------------------

    def _make(self, change: Change, number: int) -> None:
        """Makes one change: of a plan, or the reversal of one."""
        connection = self._hosts.connection(change.host)
        if isinstance(change, MakeFolder):
            connection.make_folder(change.path, mode=change.mode, owner=change.owner, group=change.group)
            return
        if isinstance(change, RunService):
            self._services.reload_or_restart(change)
            return
        if change.after is None:
            refuse_changed(connection, [change])
            connection.remove(change.path)
            return
        # What was copied from another host is read back.
        look = change.content_kind in (ContentKind.CERTIFICATE, ContentKind.PRIVATE_KEY)
        check = partial(self._validate, connection, change) if change.check else None
        try:
            now = connection.replace_if_unchanged(
                change.path, change.after, tag=self._tag(number), before=change.before, check=check, look=look
            )
        except FileChangedError:
            raise _changed_error(change) from None
        said = transfer_fault(change, now) if look else ""
        if said:
            raise FileChangedError(said, where=f"{change.host}:{change.path}", todo="Try again")

    def _tag(self, number: int) -> str:
        """What the temporary name of the file of that change holds."""
        return f"{self._log.run}-{number}"

    def _validate(self, connection: Connection, change: WriteFile, staged: str) -> None:
        assert self._plan is not None
        validate(connection, change, staged, self._plan.facts, self._written_files(change.host))

    def _written_files(self, host: str) -> dict[str, bytes]:
        """What this run has put on a host so far."""
        found: dict[str, bytes] = {}
        for change in self.made:
            if isinstance(change, WriteFile) and change.host == host:
                found.pop(change.path, None)
                if change.after is not None:
                    found[change.path] = change.after.content
        return found

    # -- rolling back -------------------------------------------------------------------------------------

    def roll_back(self, record: Record) -> None:
        """Restores what the run changed, removes what it made, and has services take what they had before.

        Hosts do not wait for each other while their files are restored; services turn in the order of the run.

        Raises:
            FirescreenError: something could not be rolled back; its `hosts` say where. All the rest is.
        """
        phases = rollback.phases(record)
        reversals = [each for phase in phases for lane in phase for each in lane]
        restarted = {(each.host, each.path) for each in reversals if each.restarts}
        self._done, self._total = 0, len(reversals)
        troubles: list[tuple[Reversal, FirescreenError]] = []
        for phase in phases:
            lost = {each.host for each, error in troubles if isinstance(error, UnreachableError)}
            lanes = [lane for lane in phase if lane[0].kind == "service" or lane[0].host not in lost]
            for found in run_parallel(partial(self._roll_back_lane, record), lanes):
                # What is restarted afterwards reads its configuration then: a reload of it that fails decides nothing.
                troubles += [
                    (each, error)
                    for each, error in found
                    if each.kind != "service" or each.restarts or (each.host, each.path) not in restarted
                ]
        self.left_down = tuple(
            f"{each.path} on {each.host} does not run, as before that run: {error.what}"
            for each, error in troubles
            if rollback.is_down_as_before(each, error)
        )
        troubles = [one for one in troubles if not rollback.is_down_as_before(*one)]
        if troubles:
            raise rollback.combine_errors([(each.host, error) for each, error in troubles])
        services: dict[tuple[str, str], Service] = {}
        for entry in record.entries:
            if entry.service is not None:
                services.setdefault((entry.host, entry.path), replace(entry.service, host=entry.host))
        self._services.revive(services.values())

    def _roll_back_lane(self, record: Record, lane: Lane) -> list[tuple[Reversal, FirescreenError]]:
        """Reversals one after the other; gives what could not be done."""
        troubles: list[tuple[Reversal, FirescreenError]] = []
        for reversal in lane:
            try:
                self._reverse(record, reversal)
            except FirescreenError as error:
                troubles.append((reversal, error))
                if isinstance(error, UnreachableError):
                    return troubles  # each further file would wait for it again
            self._tell_reversal(reversal)
        return troubles

    def _reverse(self, record: Record, reversal: Reversal) -> None:
        if reversal.kind == "service":
            self._services.restore_service(rollback.service_change(reversal))
            return
        connection, path = self._hosts.connection(reversal.host), reversal.path
        if reversal.kind == "folder":
            connection.remove_folder(path)
            return
        for entry in reversal.entries:
            if entry.number in record.done:
                continue  # what was staged for it took its place
            with suppress(HostError):  # its folder may be gone, and with it what was staged there
                connection.remove(connection.staged_name(path, tag=self._tag(entry.number)))
        change = rollback.file_change(record, reversal, connection.read(path))
        if change is not None:
            self._make(change, reversal.entries[0].number)

    def _tell_reversal(self, reversal: Reversal) -> None:
        with self._counting:
            self._done += 1
            done = self._done
        self._emit(
            Event(
                run=self._log.run,
                kind="rollback",
                host=reversal.host,
                state="undone",
                done=done,
                total=self._total,
                text=f"restore {reversal.path}" if reversal.kind == "file" else "",
            )
        )


def _lanes(stage: Iterable[_Entry]) -> Collection[list[_Entry]]:
    """The changes of one stage: in order on each host, the hosts in parallel.

    Servers that turn to https turn at once, also on one host: each that waited for another would be down for longer.
    """
    lanes: dict[str, list[_Entry]] = {}
    for entry in stage:
        lane = f"{entry.number}" if _restarts_at_once(entry.change) else entry.change.host
        lanes.setdefault(lane, []).append(entry)
    return lanes.values()


def _restarts_at_once(change: Change) -> bool:
    if not isinstance(change, RunService) or change.action != "restart":
        return False
    return rollback.may_restart_beside_others(change.service)


def _with_attributes(change: Change) -> Change:
    """Whoever had rights on the old file by an access control list has the same on the new one."""
    if not isinstance(change, WriteFile) or change.after is None:
        return change
    kept = change.before.attributes if change.before is not None else ()
    return replace(change, after=replace(change.after, attributes=kept))


def refuse_changed(connection: Connection, changes: Sequence[WriteFile]) -> None:
    """Compares files before anything is done.

    Raises:
        FileChangedError: a file is no longer what the preview showed.
    """
    found = connection.read_many([change.path for change in changes])
    for change in changes:
        if not _is_same(found[change.path], change.before):
            raise _changed_error(change)


def _is_same(now: FileState | None, before: FileState | None) -> bool:
    if now is None or before is None:
        return now is before
    return (now.content, now.mode) == (before.content, before.mode)


def _changed_error(change: WriteFile) -> FileChangedError:
    return FileChangedError(
        "it is no longer what the preview showed; somebody else changed it, and it was left alone",
        where=f"{change.host}:{change.path}",
        todo="Look at it, then plan again",
    )
