"""What a plan may read and write on hosts where others than root can change folders: refused before it is shown."""

from __future__ import annotations

from collections.abc import Iterable

from wizard.errors import HostError
from wizard.model import Examined, Facts, MakeFolder, Plan, WriteFile


def refuse_unreadable(facts: Facts) -> None:
    """Looks whether every file was read that a plan may need.

    Raises:
        HostError: one was not, since what stands there cannot be trusted.
    """
    _refuse((name, each) for name, known in facts.hosts.items() for each in known.unreadable.values())


def refuse_unwritable(plan: Plan) -> None:
    """Looks whether all that a plan writes can be written.

    Raises:
        HostError: a file or folder cannot be, and why.
    """
    _refuse(
        (change.host, known.examined[change.path])
        for change in plan.changes
        if isinstance(change, WriteFile | MakeFolder)
        and (known := plan.facts.hosts.get(change.host)) is not None
        and change.path in known.examined
    )


def _refuse(found: Iterable[tuple[str, Examined]]) -> None:
    for host, each in found:
        if not each.problem:
            continue
        error = HostError(f"it is left alone: {each.problem}", where=f"{host}:{each.where}", todo=each.todo)
        error.hosts = (host,)
        raise error
