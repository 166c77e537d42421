"""The step that edits a client's configuration: one change per changed file. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from wizard.model import PlannedStep, StepKind, WriteFile
from wizard.planner import manual_commands
from wizard.planner.client_facts import Client


def edit_step(
    client: Client,
    before: Mapping[str, bytes],
    after: Mapping[str, bytes],
    *,
    kind: StepKind,
    title: str,
    why: str,
    step_id: str = "",
) -> PlannedStep | None:
    """The step that edits the files of a client's configuration, included ones first; None if nothing changes.

    Args:
        client: whose configuration it is.
        before: its files as they are now, by path.
        after: the same files as they will be, in the order in which the client reads them.
        kind, title, why, step_id: of the step.
    """
    changes = edits(client, before, {path: after[path] for path in reversed(list(after))})
    return client.step(kind, step_id=step_id, title=title, why=why, changes=changes) if changes else None


def edits(
    client: Client, before: Mapping[str, bytes], after: Mapping[str, bytes], *, why: str = ""
) -> tuple[WriteFile, ...]:
    """The changes of a client's files, in the order of `after`."""
    changes = []
    for path, content in after.items():
        state = client.host.files[path]
        if content == before[path] or state is None:
            continue
        states = replace(state, content=before[path]), replace(state, content=content)
        changes.append(
            WriteFile(
                host=client.host.spec.name,
                path=path,
                before=states[0],
                after=states[1],
                why=" ".join(filter(None, (why, "Every other byte of the file stays as it is."))),
                content_kind=client.config_kind,
                by_hand=manual_commands.patch(path, *states),
            )
        )
    return tuple(changes)
