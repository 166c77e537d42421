"""The stored record of a stack's renewals: the number of failures, and the time of the last success."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from wizard import ownfiles
from wizard.errors import HostError
from wizard.model import Stack
from wizard.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewalRecord:
    """The renewals of one stack so far; times are Unix times, 0 for never."""

    stack: str = ""
    attempted: float = 0.0
    succeeded: float = 0.0
    """The last time that everything due was renewed, or nothing was due."""
    failures: int = 0
    """Renewals that failed, ever."""
    reason: str = ""
    """Why the last renewal failed, or ''."""

    def after_success(self, now: float) -> RenewalRecord:
        """The record after a successful renewal."""
        return replace(self, attempted=now, succeeded=now, reason="")

    def after_failure(self, now: float, reason: str) -> RenewalRecord:
        """The record after a failed renewal."""
        return replace(self, attempted=now, failures=self.failures + 1, reason=reason)


def stack_name(stack: Stack) -> str:
    """What identifies a stack in a workspace: the absolute path of its file, `practice`, or its hosts' names."""
    if stack.source:
        return str(Path(stack.source).absolute())
    if all(host.connect == "practice" for host in stack.hosts):
        return "practice"
    return "hosts " + " ".join(sorted(host.name for host in stack.hosts))


def folder(workspace: Workspace, stack: Stack) -> Path:
    """The folder with the stored data of a stack's upkeep."""
    return workspace.upkeep / hashlib.sha256(stack_name(stack).encode()).hexdigest()[:16]


def load(workspace: Workspace, stack: Stack) -> RenewalRecord:
    """Reads the record; an empty one if it is missing or damaged."""
    try:
        known = json.loads((folder(workspace, stack) / "renewals.json").read_text(encoding="utf-8"))
        return RenewalRecord(**{each.name: known[each.name] for each in fields(RenewalRecord)})
    except (OSError, ValueError, KeyError, TypeError):
        return RenewalRecord(stack=stack_name(stack))


def save(workspace: Workspace, stack: Stack, record: RenewalRecord) -> None:
    """Writes the record.

    Raises:
        HostError: the file cannot be written.
    """
    try:
        place = folder(workspace, stack)
        for each in (workspace.root, workspace.upkeep, place):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
        ownfiles.replace(place / "renewals.json", json.dumps(asdict(record), indent=2), durable=True)
    except OSError as error:
        raise HostError(
            f"the record of renewals cannot be written: {error.strerror}", where=str(workspace.upkeep)
        ) from error
