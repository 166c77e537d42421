"""The baseline file: accepted findings, each with a reason, a date, and optionally an end date."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML

from wizard import assets, ownfiles, yamlfile
from wizard.audit.report import AuditFinding, AuditReport, NotChecked
from wizard.audit.score import score
from wizard.errors import InputError
from wizard.model import instance_key

WRITTEN: Final = "accepted when the baseline was written"
"""The reason in new entries, until a person writes a better one."""
_HEADER: Final = (
    "# Findings of `firescreen audit` that are accepted, each with its reason. An entry counts until its date `until`;\n"
    "# one that matches nothing any more is told, so that it can be removed.\n"
)
_FORMAT: Final = yamlfile.Format(
    noun="a baseline",
    error=InputError,
    largest=4_000_000,
    start="write one with: firescreen audit --write-baseline FILE",
    advice={"pattern": "write a date as 2027-03-31"},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One accepted finding of a check on a component of a host."""

    id: str
    host: str
    component: str = ""
    unit: str = ""
    reason: str
    date: str
    """When it was accepted, e.g. 2026-11-29."""
    until: str = ""
    """The last day on which the entry is valid; '' for no end."""

    @property
    def key(self) -> tuple[str, str, str, str]:
        """The key of the findings that it accepts: check, host, component, unit."""
        return self.id, self.host, self.component, self.unit

    @property
    def name(self) -> str:
        """The entry's name for a person."""
        return f"{self.id} on {instance_key(self.host, self.component, self.unit) or 'all hosts'}"


def load(path: Path) -> tuple[Entry, ...]:
    """Reads the entries of a baseline file.

    Raises:
        InputError: the file cannot be read, is not YAML, or does not match the schema; with file and line.
    """
    read = yamlfile.parse(yamlfile.text_of(path, _FORMAT), source=str(path), form=_FORMAT)
    yamlfile.check(read, _schema(), _FORMAT)
    entries = []
    for number, each in enumerate(read.data["accepted"] or ()):
        for key in ("date", "until"):
            try:
                date.fromisoformat(each.get(key) or "2000-01-01")
            except ValueError as error:
                where = read.where(("accepted", number, key))
                raise InputError(f"{key} is not a date: {each[key]}", where=where) from error
        entries.append(Entry(**each))
    return tuple(entries)


@cache
def _schema() -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(assets.path("audit-baseline.schema.json").read_text("utf-8"))
    return found


def save(path: Path, report: AuditReport, *, today: date, known: Sequence[Entry] = ()) -> tuple[Entry, ...]:
    """Writes a baseline that accepts all findings of a report, and returns its entries.

    Args:
        known: earlier entries; those still valid keep their reason and dates.

    Raises:
        InputError: the file cannot be written.
    """
    old = {entry.key: entry for entry in known if not is_expired(entry, today)}
    entries: dict[tuple[str, str, str, str], Entry] = {}
    for finding in report.findings:
        key = _key(finding)
        entries[key] = old.get(key) or Entry(
            id=finding.id,
            host=finding.host,
            component=finding.component,
            unit=finding.instance,
            reason=WRITTEN,
            date=today.isoformat(),
        )
    rows = [
        {
            name: value
            for name in ("id", "host", "component", "unit", "reason", "date", "until")
            if (value := getattr(entry, name)) or name == "host"
        }
        for entry in entries.values()
    ]
    text = StringIO()
    yaml = YAML()
    yaml.width = 4096
    yaml.dump({"version": 1, "accepted": rows}, text)
    try:
        ownfiles.replace(path, _HEADER + text.getvalue(), 0o644)
    except OSError as error:
        raise InputError(
            f"the baseline cannot be written: {error.strerror}", where=str(path), todo="Choose another place"
        ) from error
    return tuple(entries.values())


def is_expired(entry: Entry, today: date) -> bool:
    """Whether the last valid day of an entry is over."""
    return bool(entry.until) and date.fromisoformat(entry.until) < today


def apply_baseline(report: AuditReport, entries: Sequence[Entry], *, today: date) -> AuditReport:
    """The report with accepted findings marked.

    `baseline_notes` lists entries that are expired, or match nothing although their host and check could be checked.
    """
    valid = {entry.key: entry for entry in entries if not is_expired(entry, today)}

    def mark(finding: AuditFinding) -> AuditFinding:
        entry = valid.get(_key(finding))
        return replace(finding, baseline=True, reason=entry.reason) if entry else finding

    cases = tuple(replace(case, findings=tuple(map(mark, case.findings))) for case in report.cases)
    findings = tuple(sorted(map(mark, report.findings), key=lambda each: each.baseline))
    found = {_key(finding) for finding in report.findings}
    notes = []
    for entry in entries:
        if is_expired(entry, today):
            notes.append(f"{entry.name}: accepted until {entry.until} only, it counts again")
        elif entry.key not in found and not _is_not_checked(entry, report.could_not_check):
            notes.append(f"{entry.name}: this entry of the baseline matches nothing any more, remove it")
    return replace(
        report,
        findings=findings,
        cases=cases,
        score=score((part.where for part in report.score.parts), findings, nothing=report.score.value),
        baseline_notes=tuple(notes),
    )


def _key(finding: AuditFinding) -> tuple[str, str, str, str]:
    return finding.id, finding.host, finding.component, finding.instance


def _is_not_checked(entry: Entry, missed: Sequence[NotChecked]) -> bool:
    return any(each.host in ("", entry.host) and each.id in ("", entry.id) for each in missed)
