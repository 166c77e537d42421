"""Refuses a plan that would read or write files through folders that unprivileged users can change."""

from __future__ import annotations

from collections.abc import Iterable

from wizard.errors import HostError
from wizard.model import Examined, Facts, MakeFolder, Plan, WriteFile


def refuse_unreadable(facts: Facts) -> None:
    """Refuses facts in which a file is missing because its path is not safe.

    Raises:
        HostError: names the first such file.
    """
    _refuse((name, each) for name, known in facts.hosts.items() for each in known.unreadable.values())


def refuse_unwritable(plan: Plan) -> None:
    """Refuses a plan if one of its files or folders cannot be written.

    Raises:
        HostError: names the first such file or folder, and the reason.
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
