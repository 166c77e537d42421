"""Makes the changes of a plan, one after the other, each written down before it is made.

Compare and swap: a file that is no longer what the preview showed is left alone, and what was done is put back.
"""

from __future__ import annotations

import posixpath
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
from typing import NamedTuple

from wizard import probes
from wizard.components import component as find_component
from wizard.config_files import alertmanager_cluster, blackbox, web_config
from wizard.config_files import prometheus as scrape
from wizard.connections.base import Connection
from wizard.engine import hosts as services
from wizard.engine import runtime_info
from wizard.engine.hosts import Hosts
from wizard.engine.journal import Journal
from wizard.engine.parallel import side_by_side
from wizard.errors import (
    CancelledError,
    ChangedError,
    FirescreenError,
    HostError,
    NeededError,
    ServiceError,
    ValidationError,
)
from wizard.model import (
    WORKSPACE,
    Change,
    Completed,
    Event,
    FileState,
    MakeFolder,
    Plan,
    PlannedStep,
    Probe,
    RunService,
    WriteFile,
)
from wizard.planner import arrived
from wizard.redact import plain, redact

Emit = Callable[[Event], None]

TURN_TIMEOUT = 15.0
"""Seconds: discovery and the scrape manager of Prometheus each pass targets on every five."""

HAND_TIMEOUT = 1800.0
"""Seconds that a person has for a restart by hand."""


class _Entry(NamedTuple):
    """A change with its number in the journal."""

    number: int
    step: PlannedStep
    change: Change


class Applier:
    """Carries out the steps of plans for one run.

    Args:
        plan: what is carried out, for its facts.
        journal: open, with nothing written down yet of what is to be done.
        emit: told of every step.
        cancel: looked at between changes.
        parted: hosts whose failure is theirs alone; any other's ends the run.
    """

    def __init__(
        self,
        plan: Plan,
        hosts: Hosts,
        journal: Journal,
        emit: Emit,
        cancel: threading.Event,
        *,
        parted: Collection[str] = (),
    ) -> None:
        self._plan = plan
        self._hosts = hosts
        self._journal = journal
        self._emit = emit
        self._cancel = cancel
        self._parted = frozenset(parted)
        self._stop = threading.Event()
        self._failures: dict[str, FirescreenError] = {}
        self._counting = threading.Lock()
        self._left: Counter[str] = Counter()
        self._total = 0
        self.made: list[Change] = []
        """What was done so far, in its order."""

    def run(self, steps: Sequence[PlannedStep], numbers: Sequence[int]) -> dict[str, FirescreenError]:
        """Makes every change, each under its number in the journal.

        Returns:
            The hosts that failed alone, with what happened there. Their later changes were not made, and what was
            made until then stands; so it is with the others from the stage on that followed.

        Raises:
            FirescreenError: a host that the others need failed, or the person stopped the run. What was made until
                then stands; the caller puts it back.
        """
        pairs = [(step, change) for step in steps for change in step.changes]
        entries = [_Entry(number, *pair) for number, pair in zip(numbers, pairs, strict=True)]
        self._failures = {}
        self._left = Counter(entry.change.host for entry in entries)
        self._total = len(self.made) + len(entries)
        for _, stage in groupby(entries, key=lambda entry: entry.step.stage):
            self._stage(tuple(stage))
            if self._failures:
                break
        return self._failures

    def _stage(self, entries: tuple[_Entry, ...]) -> None:
        """The changes of one stage: in order on each host, the hosts side by side.

        Servers that turn to https turn at once, also on one host: each that waited for another would be missed
        for longer.
        """
        lanes: dict[str, list[_Entry]] = {}
        for entry in entries:
            lane = f"{entry.number}" if _restarts(entry.change) else entry.change.host
            lanes.setdefault(lane, []).append(entry)
        side_by_side(self._lane, lanes.values())

    def _lane(self, entries: Sequence[_Entry]) -> None:
        """Changes one after the other, each written down before it is made."""
        for number, step, change in entries:
            if self._stop.is_set() or change.host in self._failures:
                return  # what is not begun needs no putting back
            if self._cancel.is_set():
                self._stop.set()
                raise CancelledError("you stopped the run between two changes", where=step.title)
            self._tell(step.id, change, "running")
            try:
                self._journal.begin(number)
                self._make(change, number)
            except (HostError, ChangedError, ValidationError, ServiceError, NeededError) as error:
                self._tell(step.id, change, "failed")
                if change.host not in self._parted:
                    self._stop.set()
                    raise
                self._failures[change.host] = error
                return
            except BaseException:
                self._stop.set()
                self._tell(step.id, change, "failed")
                raise
            self._journal.done(number)
            with self._counting:
                self.made.append(change)
                self._left[change.host] -= 1
                last = not self._left[change.host]
            self._tell(step.id, change, "done")
            if last and change.host != WORKSPACE:
                self._emit(Event(run=self._journal.run, kind="host", host=change.host, state="changed"))

    def _tell(self, step: str, change: Change, state: str) -> None:
        self._emit(
            Event(
                run=self._journal.run,
                kind="change",
                host=change.host,
                step=step,
                state=state,
                done=len(self.made),
                total=self._total,
                text=change.title(),
            )
        )

    def _make(self, change: Change, number: int) -> None:
        connection = self._hosts.connection(change.host)
        if isinstance(change, MakeFolder):
            connection.make_folder(change.path, mode=change.mode, owner=change.owner, group=change.group)
        elif isinstance(change, WriteFile):
            self._write(connection, change, f"{self._journal.run}-{number}")
        else:
            self._serve(connection, change)

    def _write(self, connection: Connection, change: WriteFile, tag: str) -> None:
        if change.after is None:
            unchanged(connection, change)
            connection.remove(change.path)
            return
        # What travelled from host to host is looked at where it lies now.
        look = b"-----BEGIN" in change.after.content
        # Whoever had rights on the old file by a list of its own has the same on the new one.
        kept = change.before.attributes if change.before is not None else ()
        after = replace(change.after, attributes=kept)
        check = partial(self._validate, connection, change) if change.check else None
        try:
            now = connection.replace_if_unchanged(
                change.path, after, tag=tag, before=change.before, check=check, look=look
            )
        except ChangedError:
            raise _changed(change) from None
        said = arrived(change, now) if look else ""
        if said:
            raise ChangedError(said, where=f"{change.host}:{change.path}", todo="try again")

    def _validate(self, connection: Connection, change: WriteFile, staged: str) -> None:
        validate(connection, change, staged, self._plan, self._written(change.host))

    def _written(self, host: str) -> dict[str, bytes]:
        """What this run has put on a host so far."""
        found: dict[str, bytes] = {}
        for change in self.made:
            if isinstance(change, WriteFile) and change.host == host:
                found.pop(change.path, None)
                if change.after is not None:
                    found[change.path] = change.after.content
        return found

    def _serve(self, connection: Connection, change: RunService) -> None:
        if change.service.is_manual:
            self._wait_for_hand(change)
        elif change.action == "restart":
            services.restart(connection, change.service)
        else:
            services.reload(connection, change.service, self._plan.probes, self._hosts.dial)
            deadline = time.monotonic() + TURN_TIMEOUT
            for turn in change.turns:
                self._await_turn(change, turn, deadline)

    def _await_turn(self, change: RunService, turn: Probe, deadline: float) -> None:
        """Back in the moment in which Prometheus asks the target by https; at the deadline where it does not say.

        The password follows: it must not be sent while Prometheus still asks by http, also where it cannot be asked.

        Raises:
            CancelledError: the person stopped the run.
        """
        self._emit(
            Event(
                run=self._journal.run,
                kind="log",
                host=change.host,
                text=f"waiting until Prometheus asks {turn.instance} by https (up to ten seconds)",
            )
        )
        while time.monotonic() < deadline:
            attempt = probes.run(turn, cancel=self._cancel, dial=self._hosts.dial)
            if attempt.detail.startswith("https://"):
                return
            if self._cancel.wait(0.02 if attempt.outcome in ("up", "down") else 0.5):
                raise CancelledError(
                    "you stopped the run while it waited for Prometheus", where=change.title()
                )

    def _wait_for_hand(self, change: RunService) -> None:
        """Shows what to type and waits until the probe that must succeed does.

        Raises:
            CancelledError: the person gave up. HostError: nothing happened for half an hour.
        """
        is_done = self._hand_check(change)
        self._emit(
            Event(
                run=self._journal.run,
                kind="waiting",
                host=change.host,
                text="\n".join(change.commands()),
                state=change.title(),
            )
        )
        deadline = time.monotonic() + HAND_TIMEOUT
        while not is_done():
            if self._cancel.wait(0.5):
                raise CancelledError("you stopped the run while it waited for you", where=change.title())
            if time.monotonic() > deadline:
                raise HostError(
                    "nobody restarted it within half an hour", where=change.title(), todo="run this again"
                )

    def _hand_check(self, change: RunService) -> Callable[[], bool]:
        """Whether a person has done what a change asks for; a function, to be called until it says so.

        A restart shows in the right client's request. A reload shows in what a Prometheus says of itself: its targets
        may still be waiting for servers that turn later in the run.
        """
        service = change.service
        if change.action == "reload":
            ask = runtime_info.asking(service, self._plan.probes, self._hosts.dial)
            before = ask() if ask is not None else None

            def has_read() -> bool:
                now = ask() if ask is not None else None
                # What cannot be asked is not waited for: the verification says how it went.
                return before is None or (now is not None and now.good and now.moment != before.moment)

            return has_read
        wanted = next(
            (
                each
                for each in self._plan.probes
                if each.wanted and each.kind == "http" and each.server == service.key
            ),
            None,
        )
        if wanted is None:
            return lambda: True
        return lambda: probes.run(wanted, cancel=self._cancel, dial=self._hosts.dial).ok


def _restarts(change: Change) -> bool:
    """Whether a change is a restart that may be made beside others: none that a person makes, none of Prometheus."""
    if not isinstance(change, RunService) or change.action != "restart":
        return False
    return not change.service.is_manual and change.service.component != "prometheus"


def all_unchanged(connection: Connection, changes: Sequence[WriteFile]) -> None:
    """Compare before anything is done on a host.

    Raises:
        ChangedError: a file is no longer what the preview showed.
    """
    found = connection.read_many([change.path for change in changes])
    for change in changes:
        _same(change, found[change.path])


def unchanged(connection: Connection, change: WriteFile) -> None:
    """Compare before the swap.

    Raises:
        ChangedError: the file is no longer what the preview showed.
    """
    _same(change, connection.read(change.path))


def _same(change: WriteFile, now: FileState | None) -> None:
    was = change.before
    same = (now is None and was is None) or (
        now is not None and was is not None and now.content == was.content and now.mode == was.mode
    )
    if not same:
        raise _changed(change)


def _changed(change: WriteFile) -> ChangedError:
    return ChangedError(
        "it is no longer what the preview showed; somebody else changed it, and it was left alone",
        where=f"{change.host}:{change.path}",
        todo="look at it, then plan again",
    )


def validate(
    connection: Connection, change: WriteFile, staged: str, plan: Plan, written: Mapping[str, bytes]
) -> None:
    """Own checks always, promtool where it is at hand; both on the bytes that are about to be put in place.

    Args:
        written: files that need not be read again, by path: they were put there a moment ago.

    Raises:
        ValidationError: the file would not do.
    """
    if not change.check or change.after is None:
        return

    def read(path: str) -> bytes | None:
        if path in written:
            return written[path]
        state = connection.read(path)
        return state.content if state is not None else None

    host = plan.facts.hosts[change.host]
    problems = _checked(change, change.after.content, read, plan)
    # What was wrong before and was not of our making is no reason to stop: say only what is new.
    old = {_unplaced(problem) for problem in _problems_before(change, read, plan)}
    new = [problem for problem in problems if _unplaced(problem) not in old]
    if new:
        raise ValidationError(redact(plain(new[0])), where=f"{change.host}:{change.path}")
    asker = _asker(change, plan)
    if change.check == "blackbox-config" and asker is not None:
        _exporter_check(connection, change, staged, plan, asker)
    if host.promtool and change.check in ("web-config", "prometheus-config") and asker is not None:
        words = "web-config" if change.check == "web-config" else "config"
        ended = connection.run([*asker, host.promtool, "check", words, staged], timeout=60)
        # A promtool that is older than the program does not know the newest settings; our own check does.
        unknown = change.check == "web-config" and "not found in type" in ended.stdout + ended.stderr
        unknown = unknown or (bool(asker) and ended.code in (126, 127))  # no runuser there
        if ended.code != 0 and not unknown:
            said = (ended.stdout + ended.stderr).replace(staged, change.path).strip()
            raise ValidationError(
                f"promtool refuses it: {redact(plain(said, 500))}",
                where=f"{change.host}:{change.path}",
                todo="the old file is still in place; mend what it names and plan again",
            )


def _exporter_check(
    connection: Connection, change: WriteFile, staged: str, plan: Plan, asker: Sequence[str]
) -> None:
    """What the installed blackbox exporter says of its new configuration: it knows what its version knows.

    Raises:
        ValidationError: it refuses the file.
    """
    found = plan.facts.hosts[change.host].services
    service = next(
        (each for each in found if each.component == "blackbox_exporter" and each.config_file == change.path),
        None,
    )
    if service is None or service.kind or not posixpath.isabs(service.program):
        return  # its program is none that can be started here

    def checked(path: str) -> Completed:
        return connection.run(
            [*asker, service.program, "--config.check", f"--config.file={path}"], timeout=60
        )

    ended = checked(staged)
    if ended.code in (0, 126, 127) or checked(change.path).code != 0:
        return  # what it rejected before is not of our making
    said = (ended.stdout + ended.stderr).replace(staged, change.path).strip()
    raise ValidationError(
        f"the blackbox exporter rejects it: {redact(plain(said, 500))}",
        where=f"{change.host}:{change.path}",
        todo="Correct what it names and plan again; the old file is still in place",
    )


def _asker(change: WriteFile, plan: Plan) -> list[str] | None:
    """The words before promtool's; None where it is better not run.

    In a folder that somebody else can change it would read whatever its names lead to: it may do so with the rights of
    the service, which reads the same files, and not with root's.
    """
    host = plan.facts.hosts[change.host]
    examined = host.examined.get(change.path)
    if examined is None or not examined.guarded:
        return []
    for service in host.services:
        known = (service.config_file, service.web_config, posixpath.join(service.home, "web.yml"))
        if change.path in known and service.user != "root" and not service.user.isdecimal():
            # A unit may give its user another group than its own.
            group = [] if service.group.isdecimal() else ["-g", service.group]
            return ["runuser", "-u", service.user, *group, "--"]
    return None


def _unplaced(problem: str) -> str:
    """A problem without its line, which our own edit may have moved."""
    return re.sub(r"^line \d+: ", "", problem)


def _problems_before(change: WriteFile, read: Callable[[str], bytes | None], plan: Plan) -> tuple[str, ...]:
    if change.before is None:
        return ()
    return _checked(change, change.before.content, read, plan)


def _checked(
    change: WriteFile, content: bytes, read: Callable[[str], bytes | None], plan: Plan
) -> tuple[str, ...]:
    folder = posixpath.dirname(change.path)
    match change.check:
        case "web-config":
            return web_config.check(content, toolkit=_toolkit(change, plan), read=read, folder=folder)
        case "cluster-config":
            return alertmanager_cluster.check(
                content, toolkit=_toolkit(change, plan), read=read, folder=folder
            )
        case "blackbox-config":
            return blackbox.check(content, read=read)
    return scrape.check(content, read=read, folder=folder)


def _toolkit(change: WriteFile, plan: Plan) -> str:
    services = plan.facts.hosts[change.host].services
    # Where several live in one folder, a bare web.yml is that of the component whose usual folder it is.
    for service in sorted(
        services,
        key=lambda each: (each.web_config != change.path, find_component(each.component).home != each.home),
    ):
        names = ("web.yml", f"{service.component}-web.yml")
        homes = (service.web_config, *(posixpath.join(service.home, name) for name in names))
        if change.path in homes and service.version:
            return find_component(service.component).known_toolkit(service.version)
    return ""
