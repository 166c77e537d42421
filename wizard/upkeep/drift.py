"""Finds the differences from a stack's last verified state, each with host, path and line. Pure functions.

Files with their mode and owner, folders, services, unit files and jobs are compared with the reference; files that a
later run has written are compared with its journal. Pending changes of the stack and failed probes are drift too.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from wizard.errors import ConfigError
from wizard.journal_reader import Image, Record
from wizard.model import Attempt, Facts, FileState, HostFacts, Plan, RunService
from wizard.planner import paths
from wizard.redact import plain, redact
from wizard.upkeep.copies import is_opaque
from wizard.upkeep.reference import (
    KnownFile,
    KnownHost,
    KnownService,
    Reference,
    known_file,
    known_folder,
    make_reference,
)

Kind: TypeAlias = Literal[
    "file", "mode", "owner", "certificate", "flag", "unit", "service", "job", "client", "stack", "answer"
]
_MOST_LINES = 20
"""Maximum number of changed places that are listed for a file."""
_SHOWN = re.compile(r"\.(ya?ml|conf|json|service|timer)$|/etc/default/|/sysconfig/")
"""Files whose changed lines are shown, redacted; for other files only the line number is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One difference from the verified state."""

    kind: Kind
    host: str
    what: str
    component: str = ""
    path: str = ""
    line: int = 0
    """Counted from 1; 0 if the difference has no line."""

    @property
    def place(self) -> str:
        """`host:path:line` as far as known, or `host/component` if the difference is not in a file."""
        if not self.path:
            return "/".join(part for part in (self.host, self.component) if part)
        return ":".join(part for part in (self.host, self.path, str(self.line or "")) if part)


def difference_fields(each: Difference) -> dict[str, Any]:
    """A difference as a JSON object."""
    return {
        "kind": each.kind,
        "host": each.host,
        "component": each.component,
        "path": each.path,
        "line": each.line,
        "what": redact(plain(each.what, 400)),
    }


def last_writes(
    records: Sequence[Record], since: float
) -> dict[tuple[str, str], tuple[Record, Image | None]]:
    """The last run after `since` that wrote each file, with the written image (None: removed), by (host, path).

    Args:
        records: runs that are not undone, the newest first.
        since: unix time; runs that started earlier are ignored.
    """
    found: dict[tuple[str, str], tuple[Record, Image | None]] = {}
    for record in reversed(records):
        if record.started <= since:
            continue
        for entry in record.entries:
            if entry.number in record.done and entry.service is None and entry.kind != "folder":
                found[entry.host, entry.path] = (record, entry.after)
    return found


def differences(
    reference: Reference, facts: Facts, plan: Plan, attempts: Sequence[Attempt], records: Sequence[Record]
) -> tuple[Difference, ...]:
    """Lists all differences from the reference.

    Args:
        plan: the present plan for the stack; its changes count as differences.
        attempts: the results of the plan's probes.
        records: the runs that are not undone, the newest first.
    """
    later = last_writes(records, reference.at)
    restarted = {
        (entry.host, entry.path)
        for record in records
        if record.started > reference.at
        for entry in record.entries
        if entry.service is not None
    }
    now = make_reference(plan.stack, facts, reference.key)
    found: list[Difference] = []
    for name, host in facts.hosts.items():
        known = reference.hosts.get(name)
        if known is None:
            continue  # a host that was added to the stack later has no verified state
        found += _of_files(name, known, host, later, reference.key)
        found += _of_folders(name, known, host)
        found += _of_services(name, known, now.hosts[name], restarted, later)
        found += _of_jobs(known, facts, plan, name)
        found += _of_callers(name, known, host)
    named = {(each.host, each.path) for each in found}
    found += _of_plan(plan, named)
    found += _of_answers(attempts)
    return tuple(dict.fromkeys(found))


def _of_files(
    name: str,
    known: KnownHost,
    host: HostFacts,
    later: Mapping[tuple[str, str], tuple[Record, Image | None]],
    key: str,
) -> Iterator[Difference]:
    for path, state in host.files.items():
        run = later.get((name, path))
        if run is not None:
            yield from _by_journal(name, path, state, *run)
            continue
        if path not in known.files:
            continue
        before, after = known.files[path], known_file(state, key)
        if before is None and state is not None:
            yield Difference(kind="file", host=name, path=path, what="the file is new")
        elif before is not None and (after is None or state is None):
            yield Difference(kind="file", host=name, path=path, what="the file is gone")
        elif before is not None and after is not None and state is not None:
            yield from _of_rights(name, path, before, state)
            yield from _of_content(name, path, before, after, state)


def _by_journal(
    name: str, path: str, state: FileState | None, record: Record, image: Image | None
) -> Iterator[Difference]:
    """Differences from the file that a run wrote: line by line if the journal has a copy, else by digest."""
    if image is None or state is None:
        if (image is None) != (state is None):
            what = (
                "the file is gone" if state is None else f"the file is back, which run {record.run} removed"
            )
            yield Difference(kind="file", host=name, path=path, what=what)
        return
    if not record.is_image(state, image):
        content = record.written_content(image)
        before = known_file(FileState(content), record.key) if content is not None else None
        after = known_file(state, record.key)
        if before is not None and after is not None:
            yield from _of_content(name, path, before, after, state)
        else:
            what = f"the file is not as run {record.run} wrote it"
            yield Difference(kind="file", host=name, path=path, what=what)
    yield from _of_rights(name, path, image, state)


def _of_rights(name: str, path: str, before: KnownFile | Image, state: FileState) -> Iterator[Difference]:
    if before.mode != state.mode:
        what = f"the mode was {before.mode:04o} and is {state.mode:04o}"
        yield Difference(kind="mode", host=name, path=path, what=what)
    if (before.owner, before.group) != (state.owner, state.group):
        what = f"the owner was {before.owner}:{before.group} and is {state.owner}:{state.group}"
        yield Difference(kind="owner", host=name, path=path, what=what)


def _of_content(
    name: str, path: str, before: KnownFile, after: KnownFile, state: FileState
) -> Iterator[Difference]:
    if before.lines == after.lines:
        return
    if before.fingerprint or after.fingerprint:
        if before.fingerprint != after.fingerprint:
            what = f"the certificate was {_short(before)} and is {_short(after)}"
        else:
            what = "the file holds other certificates behind the first one"
        yield Difference(kind="certificate", host=name, path=path, what=what)
        return
    if is_opaque(path, state.content):
        yield Difference(kind="file", host=name, path=path, what="the content has changed (not shown)")
        return
    text = state.content.decode("utf-8", "replace").splitlines() if _SHOWN.search(path) else []
    yield from _of_lines(name, path, before.lines, after.lines, text)


def _of_lines(
    name: str,
    path: str,
    before: Sequence[str],
    after: Sequence[str],
    text: Sequence[str],
    *,
    kind: Kind = "file",
) -> Iterator[Difference]:
    """The changed places of a file, each with the present number of its first line."""
    matcher = difflib.SequenceMatcher(a=before, b=after, autojunk=False)
    changed = [code for code in matcher.get_opcodes() if code[0] != "equal"]
    for number, (tag, start, end, first, last) in enumerate(changed):
        if number == _MOST_LINES:
            what = f"{len(changed) - number} more places have changed"
            yield Difference(kind=kind, host=name, path=path, line=first + 1, what=what)
            return
        removed, added = _lines(end - start), _lines(last - first)
        line = text[first].strip() if first < min(last, len(text)) else ""
        content = f": {redact(plain(line, 160))}" if line else ""
        what = {
            "insert": f"{added} added{content}",
            "delete": f"{removed} removed before this line",
            "replace": f"{removed} changed{content}",
        }[tag]
        yield Difference(kind=kind, host=name, path=path, line=first + 1, what=what)


def _lines(count: int) -> str:
    return f"{count} line{'' if count == 1 else 's'}"


def _short(known: KnownFile) -> str:
    return known.fingerprint[:23] or "none"


def _of_folders(name: str, known: KnownHost, host: HostFacts) -> Iterator[Difference]:
    for path, info in host.folders.items():
        before, after = known.folders.get(path), known_folder(info)
        if before is None or before == after:
            continue
        if after is None:
            yield Difference(kind="file", host=name, path=path, what="the folder is gone")
        elif before[0] != after[0]:
            what = f"the mode of the folder was {before[0]:04o} and is {after[0]:04o}"
            yield Difference(kind="mode", host=name, path=path, what=what)
        if after is not None and before[1:] != after[1:]:
            what = f"the owner of the folder was {':'.join(before[1:])} and is {':'.join(after[1:])}"
            yield Difference(kind="owner", host=name, path=path, what=what)


def _of_services(
    name: str,
    known: KnownHost,
    now: KnownHost,
    restarted: set[tuple[str, str]],
    later: Mapping[tuple[str, str], object],
) -> Iterator[Difference]:
    for key in sorted({*known.services, *now.services}):
        before, after = known.services.get(key), now.services.get(key)
        component = key.partition("/")[2]
        if after is None or before is None:
            what = "the service is gone" if after is None else f"a service that was not there: {plain(key)}"
            yield Difference(kind="service", host=name, component=component, what=what)
            continue
        if (name, before.unit) not in restarted:
            yield from _of_command(name, component, before, after)
        for path in sorted({*before.unit_files, *after.unit_files}):
            if (name, path) in later:
                continue
            old, new = before.unit_files.get(path), after.unit_files.get(path)
            if old is None or new is None:
                what = "the unit file is gone" if new is None else "the unit file is new"
                line = 1 if new else 0
                yield Difference(kind="unit", host=name, component=component, path=path, line=line, what=what)
            else:
                yield from _of_lines(name, path, old, new, (), kind="unit")


def _of_command(name: str, component: str, before: KnownService, after: KnownService) -> Iterator[Difference]:
    def difference(kind: Kind, what: str) -> Difference:
        return Difference(kind=kind, host=name, component=component, what=what)

    if before.active and not after.active:
        yield difference("service", "the service does not run")
        return
    if before.unit != after.unit:
        yield difference("service", f"the unit was {plain(before.unit)} and is {plain(after.unit)}")
    if (before.user, before.group) != (after.user, after.group):
        yield difference(
            "service",
            f"it ran as {before.user}:{before.group} and runs as {after.user}:{after.group}",
        )
    removed = [each for each in before.arguments if each not in after.arguments]
    added = [each for each in after.arguments if each not in before.arguments]
    for words, flags in (("it runs without", removed), ("it runs with", added)):
        for each in flags:
            yield difference("flag", f"{words} {redact(plain(each, 200))}")
    if not (removed or added) and before.arguments != after.arguments:
        yield difference("flag", "its flags are in another order, or repeated")
    if after.active and before.sockets and before.sockets != after.sockets:
        yield difference(
            "flag",
            f"it listened on {_join_sockets(before.sockets)} and listens on {_join_sockets(after.sockets)}",
        )


def _join_sockets(sockets: Iterable[str]) -> str:
    return ", ".join(sockets) or "nothing"


def _of_jobs(known: KnownHost, facts: Facts, plan: Plan, name: str) -> Iterator[Difference]:
    """New scrape jobs that do not use TLS."""
    for client in paths.scrapers(plan.stack, facts):
        if client.host.spec.name != name:
            continue
        try:
            places = client.places()
        except ConfigError as error:
            yield Difference(
                kind="file", host=name, path=client.service.config_file, what=f"cannot be read: {error.what}"
            )
            continue
        for place in places:
            if place.kind == "job" and place.name not in known.jobs and place.scheme != "https":
                path = place.path or client.service.config_file
                state = client.host.files.get(path)
                yield Difference(
                    kind="job",
                    host=name,
                    component=client.service.component,
                    path=path,
                    line=_line_of(state, place.name),
                    what=f"job {plain(place.name)} is new and scrapes without TLS",
                )


def _line_of(state: FileState | None, job: str) -> int:
    """The number of the line with a job's name; 0 if it is not found."""
    text = state.content.decode("utf-8", "replace") if state is not None else ""
    named = re.compile(rf"job_name:\s*['\"]?{re.escape(job)}['\"]?\s*(#.*)?$")
    return next((n for n, line in enumerate(text.splitlines(), 1) if named.search(line)), 0)


def _of_callers(name: str, known: KnownHost, host: HostFacts) -> Iterator[Difference]:
    for caller in host.callers:
        if f"{caller.path}\n{caller.text}" not in known.callers:
            what = f"a {caller.kind} that is new asks by plain http: {redact(plain(caller.text, 160))}"
            yield Difference(kind="client", host=name, path=caller.path, line=caller.line, what=what)


def _of_plan(plan: Plan, named: set[tuple[str, str]]) -> Iterator[Difference]:
    """Pending changes of the stack to files for which no other difference is reported (`named`)."""
    for step in plan.steps:
        for change in step.changes:
            if isinstance(change, RunService) or (change.host, change.path) in named:
                continue
            yield Difference(
                kind="stack",
                host=change.host,
                component=step.component,
                path=change.path,
                what=f"not as the stack says: {step.title}",
            )


def _of_answers(attempts: Sequence[Attempt]) -> Iterator[Difference]:
    for attempt in attempts:
        if attempt.failed:
            probe = attempt.probe
            reason = f" ({attempt.reason})" if attempt.reason else ""
            yield Difference(
                kind="answer",
                host=probe.host,
                component=probe.component,
                what=f"{probe.name}: {attempt.outcome}, expected {probe.expect}{reason}",
            )
