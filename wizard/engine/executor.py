"""Makes the changes of a plan and rolls back those of a run: one after the other on a host, the hosts in parallel.

Each change is written to the journal before it is made. Both directions compare and swap: a file that somebody else
has changed is left alone.
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
    """A change with its step and its number in the journal."""

    number: int
    step: PlannedStep
    change: Change


class Executor:
    """Makes changes on hosts for one run, and rolls them back.

    Args:
        log: the run's journal, open.
        emit: called with an event for every step.
        cancel: checked between changes.
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
        """The changes made so far, in order."""
        self.left_down: tuple[str, ...] = ()
        """Services that do not run after a rollback and did not run before either: one line each, with the reason."""

    # -- applying -----------------------------------------------------------------------------------------

    def apply(self, steps: Sequence[PlannedStep]) -> dict[str, FirescreenError]:
        """Makes every change, each written to the journal first.

        Returns:
            The independent hosts that failed, with the error of each. Their remaining changes were not made, and no host
            began the next stage. Changes already made stay in place.

        Raises:
            FirescreenError: a host that the others need failed, or the person stopped the run. Changes already made stay
                in place; the caller rolls them back.
        """
        pairs = [(step, change) for step in steps for change in step.changes]
        numbers = self._log.extend([change for _, change in pairs])
        entries = [_Entry(number, *pair) for number, pair in zip(numbers, pairs, strict=True)]
        self._failures = {}
        self._left = Counter(entry.change.host for entry in entries)
        self._done, self._total = len(self.made), len(self.made) + len(entries)
        for _, stage in groupby(entries, key=lambda entry: entry.step.stage):
            # The longest lane first: the workspace's, started last, would make all hosts wait at the end of the stage.
            run_parallel(self._apply_lane, sorted(_lanes(stage), key=len, reverse=True))
            if self._failures:
                break
        return self._failures

    def _apply_lane(self, entries: Sequence[_Entry]) -> None:
        """Makes the changes of a lane one after the other."""
        # Files in the workspace are our own, so all of them are journaled as begun at once, with a single fsync.
        is_workspace = entries[0].change.host == WORKSPACE
        for number, step, change in entries:
            if self._stop.is_set() or change.host in self._failures:
                return  # changes that were not begun need no rollback
            if self._cancel.is_set():
                self._stop.set()
                raise CancelledError("you stopped the run between two changes", where=step.title)
            self._tell_change(step.id, change, "running")
            try:
                if not is_workspace:
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

    # -- one change, in either direction ------------------------------------------------------------------

    def _make(self, change: Change, number: int) -> None:
        """Makes one change of a plan, or its reversal."""
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
        # Certificates and keys are copied between hosts, so they are read back to detect a damaged transfer.
        read_back = change.content_kind in (ContentKind.CERTIFICATE, ContentKind.PRIVATE_KEY)
        check = partial(self._validate, connection, change) if change.check else None
        try:
            now = connection.replace_if_unchanged(
                change.path,
                change.after,
                tag=self._tag(number),
                before=change.before,
                check=check,
                look=read_back,
            )
        except FileChangedError:
            raise _changed_error(change) from None
        fault = transfer_fault(change, now) if read_back else ""
        if fault:
            raise FileChangedError(fault, where=f"{change.host}:{change.path}", todo="Try again")

    def _tag(self, number: int) -> str:
        """The part of a temporary file name that identifies the change."""
        return f"{self._log.run}-{number}"

    def _validate(self, connection: Connection, change: WriteFile, staged: str) -> None:
        assert self._plan is not None
        validate(connection, change, staged, self._plan.facts, self._written_files(change.host))

    def _written_files(self, host: str) -> dict[str, bytes]:
        """The content of each file that this run has written on a host so far, by path."""
        found: dict[str, bytes] = {}
        for change in self.made:
            if isinstance(change, WriteFile) and change.host == host:
                found.pop(change.path, None)
                if change.after is not None:
                    found[change.path] = change.after.content
        return found

    # -- rolling back -------------------------------------------------------------------------------------

    def roll_back(self, record: Record) -> None:
        """Restores the files that a run changed, removes those that it created, and restarts or reloads services.

        Files are restored on all hosts in parallel; services restart or reload in the order of the run.

        Raises:
            FirescreenError: something could not be rolled back; its `hosts` say where. Everything else is rolled back.
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
                # A failed reload does not matter if a restart follows: the service then reads its configuration anyway.
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
        troubles = [trouble for trouble in troubles if not rollback.is_down_as_before(*trouble)]
        if troubles:
            raise rollback.combine_errors([(each.host, error) for each, error in troubles])
        services: dict[tuple[str, str], Service] = {}
        for entry in record.entries:
            if entry.service is not None:
                services.setdefault((entry.host, entry.path), replace(entry.service, host=entry.host))
        self._services.revive(services.values())

    def _roll_back_lane(self, record: Record, lane: Lane) -> list[tuple[Reversal, FirescreenError]]:
        """Makes reversals one after the other; returns those that failed, with their errors."""
        troubles: list[tuple[Reversal, FirescreenError]] = []
        for reversal in lane:
            done = ""
            try:
                done = self._reverse(record, reversal)
            except FirescreenError as error:
                troubles.append((reversal, error))
                if isinstance(error, UnreachableError):
                    return troubles  # every further file would run into the same time-out
            self._tell_reversal(reversal, done)
        return troubles

    def _reverse(self, record: Record, reversal: Reversal) -> str:
        """Makes a reversal.

        Returns:
            what was done to a file, e.g. 'remove /etc/web.yml'; '' for a service, a folder, or a file left as it is.
        """
        if reversal.kind == "service":
            self._services.restore_service(rollback.service_change(reversal))
            return ""
        connection, path = self._hosts.connection(reversal.host), reversal.path
        if reversal.kind == "folder":
            connection.remove_folder(path)
            return ""
        for entry in reversal.entries:
            if entry.number in record.done:
                continue  # its staged file was renamed into place
            with suppress(HostError):  # the folder may be gone, and the staged file with it
                connection.remove(connection.staged_name(path, tag=self._tag(entry.number)))
        change = rollback.file_change(record, reversal, connection.read(path))
        if change is None:
            return ""
        self._make(change, reversal.entries[0].number)
        return f"{'remove' if change.after is None else 'restore'} {path}"

    def _tell_reversal(self, reversal: Reversal, text: str) -> None:
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
                text=text,
            )
        )


def _lanes(stage: Iterable[_Entry]) -> Collection[list[_Entry]]:
    """The changes of one stage as lanes that run in parallel: one lane for each host.

    Each server restart is a lane of its own, also on the same host: restarts one after the other would keep targets
    down for longer, because Prometheus already scrapes them by https.
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
    """The change with the old file's access control list and other extended attributes on the new file."""
    if not isinstance(change, WriteFile) or change.after is None:
        return change
    kept = change.before.attributes if change.before is not None else ()
    return replace(change, after=replace(change.after, attributes=kept))


def refuse_changed(connection: Connection, changes: Sequence[WriteFile]) -> None:
    """Compares files with the preview before anything is changed.

    Raises:
        FileChangedError: a file no longer has the content or mode that the preview showed.
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
