"""Prepares an undo so that it loses no more scrapes than the run did: Prometheus leaves https before its servers do.

Prometheus takes up to ten seconds to switch the scheme of its targets, but uses another CA, certificate and login at
once. So its jobs first get their previous scheme and keep the CA and the certificate of the run: they still scrape by
https with these, and switch to http at the moment when everything else is rolled back. The servers require no password
meanwhile, because none may be sent by http.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from wizard import journal_reader, probes
from wizard.config_files import web_config
from wizard.config_files.prometheus import intervals, job_return
from wizard.engine.hosts import Hosts
from wizard.engine.journal import Journal
from wizard.engine.parallel import run_parallel
from wizard.engine.service_control import ServiceControl
from wizard.errors import FirescreenError
from wizard.journal_reader import Entry, Record
from wizard.model import ContentKind, Event, Probe, RunService, WriteFile
from wizard.redact import Secret

_SHORT = 3.0
"""Time limit of a query to Prometheus, in seconds."""
OFTEN = 10.0
"""Scrape interval in seconds from which an undo loses at most one scrape even without this preparation."""


@dataclass(frozen=True, slots=True)
class UndoPreparation:
    """The first steps of an undo.

    Args:
        hosts: connections to all hosts of the run.
        log: the run's journal, open; files written here are journaled like the changes of the run.
        emit: called with an event for each wait and each failure.
        users: the folder of passwords in the workspace.
    """

    hosts: Hosts
    log: Journal
    emit: Callable[[Event], None]
    users: Path

    def carry_out(self, record: Record) -> Record:
        """Makes each Prometheus scrape by http the targets that the run switched to https.

        Returns the run's record with the files written for that. A failure does not prevent the undo; it may only cost
        some scrapes.
        """
        try:
            self._leave_https(record)
        except FirescreenError as error:
            self._tell(error.hosts[0] if error.hosts else "", f"scrapes may be lost: {error.what}")
        return journal_reader.read(record.folder) or record

    def _leave_https(self, record: Record) -> None:
        reloads = [
            entry
            for entry in record.entries
            if entry.number in record.done and entry.turns and entry.service and not entry.service.is_manual
        ]
        restarted = any(entry.kind == "restart" and entry.number in record.begun for entry in record.entries)
        edits = [(entry, edit) for entry in reloads if restarted and (edit := self._edit(record, entry))]
        # Skip a Prometheus that does not answer queries about its targets: waiting for it would delay all others in vain.
        found = run_parallel(lambda pair: (*pair, self._answering_probes(pair[0])), edits)
        answering = [(entry, edit, ways) for entry, edit, ways in found if ways]
        if not answering:
            return
        self._write(tuple(self._without_password(record)))
        self._write([edit for _, edit, _ in answering])
        run_parallel(lambda item: self._turn(item[0], item[2]), answering)

    def _answering_probes(self, reload: Entry) -> list[Probe]:
        """The queries about its targets that a Prometheus answers now."""
        asked = [replace(self._with_password(probe), timeout=_SHORT) for probe in reload.turns]
        found = run_parallel(lambda probe: probes.run(probe, dial=self.hosts.dial), asked)
        return [each.probe for each in found if each.outcome in ("up", "down")]

    def _edit(self, record: Record, reload: Entry) -> WriteFile | None:
        """The previous prometheus.yml with the CA and the certificates that its jobs still need; None if not useful."""
        assert reload.service is not None
        path = reload.service.config_file
        first = _first(record, reload.host, path)
        if first is None or first.before is None:
            return None
        before = record.load(first.before).content
        now = self.hosts.connection(reload.host).read(path)
        if now is None:
            return None
        content, jobs = job_return.with_tls_of(before, now.content)
        known = intervals.intervals(before)
        if not any(known.of(job)[0] < OFTEN for job in jobs):
            return None
        return WriteFile(
            host=reload.host,
            path=path,
            before=now,
            after=replace(now, content=content),
            why="Prometheus scrapes as before the run",
            content_kind=ContentKind.BACKUP,
        )

    def _without_password(self, record: Record) -> Iterator[WriteFile]:
        """The changes that remove the users from web configurations which have required a password since the run."""
        seen = set()
        for entry in record.entries:
            place = entry.host, entry.path
            if entry.content != ContentKind.WEB_CONFIG or entry.number not in record.done or place in seen:
                continue
            seen.add(place)
            was = web_config.parse(record.load(entry.before).content).users if entry.before else {}
            now = self.hosts.connection(entry.host).read(entry.path)
            if was or now is None or not web_config.parse(now.content).users:
                continue
            yield WriteFile(
                host=entry.host,
                path=entry.path,
                before=now,
                after=replace(now, content=web_config.without_users(now.content)),
                why="no password may be sent by http",
                content_kind=ContentKind.BACKUP,
            )

    def _write(self, changes: Sequence[WriteFile]) -> None:
        numbers = self.log.extend(changes) if changes else ()
        run_parallel(lambda pair: self._write_one(*pair), list(zip(numbers, changes, strict=True)))

    def _write_one(self, number: int, change: WriteFile) -> None:
        assert change.after is not None
        self.log.begin(number)
        self.hosts.connection(change.host).replace_if_unchanged(
            change.path, change.after, tag=f"{self.log.run}-{number}", before=change.before
        )
        self.log.done(number)

    def _turn(self, reload: Entry, ways: Sequence[Probe]) -> None:
        assert reload.service is not None
        control = ServiceControl(self.hosts, self.emit, threading.Event(), run=self.log.run)
        change = RunService(
            host=reload.host,
            service=reload.service,
            action="reload",
            why="Prometheus scrapes as before the run",
        )
        control.turn_to_http(change, ways)

    def _with_password(self, probe: Probe) -> Probe:
        """The probe with its user's password from the workspace, because the journal holds no passwords."""
        file = self.users / f"{probe.user}.password"
        if not probe.user or not file.is_file():
            return probe
        return replace(probe, password=Secret(file.read_text(encoding="utf-8").rstrip("\n")))

    def _tell(self, host: str, text: str) -> None:
        self.emit(Event(run=self.log.run, kind="log", host=host, text=text))


def _first(record: Record, host: str, path: str) -> Entry | None:
    """The run's first change of a file."""
    mine = (each for each in record.entries if (each.host, each.path) == (host, path) and not each.service)
    return next((each for each in mine if each.number in record.done), None)
