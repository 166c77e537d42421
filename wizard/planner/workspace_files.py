"""Files and folders that a plan writes in the workspace, readable for the person alone. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from wizard.model import (
    WORKSPACE,
    Change,
    ContentKind,
    Facts,
    FileState,
    PlannedStep,
    StepKind,
    Typed,
    WriteFile,
)
from wizard.planner import manual_commands
from wizard.planner import paths as layout

_PRIVATE = 0o600


def workspace_folder(facts: Facts, name: str, why: str) -> tuple[Change, ...]:
    """The change that creates a folder in the workspace, if it is missing."""
    path = layout.workspace_path(facts, name)
    if facts.hosts[WORKSPACE].folders.get(path) is not None:
        return ()
    owner, group = _workspace_owner(facts)
    return (manual_commands.make_folder(WORKSPACE, path, mode=0o700, owner=owner, group=group, why=why),)


def workspace_step(kind: StepKind, *, title: str, why: str, changes: Iterable[Change]) -> PlannedStep:
    """A step that writes only in the workspace."""
    return PlannedStep(id=kind, kind=kind, title=title, host=WORKSPACE, why=why, changes=tuple(changes))


def private(
    facts: Facts,
    path: str,
    content: bytes,
    kind: ContentKind,
    *,
    why: str,
    by_hand: tuple[Typed, ...],
    secret: bool = True,
    about: tuple[str, ...] = (),
) -> tuple[Change, ...]:
    """A file in the workspace with mode 0600; () if it exists with that content."""
    before = facts.file(WORKSPACE, path)
    if before is not None and before.content == content:
        return ()
    owner, group = _workspace_owner(facts)
    after = FileState(content, _PRIVATE, owner, group)
    return (
        WriteFile(
            host=WORKSPACE,
            path=path,
            before=before,
            after=after,
            why=why,
            content_kind=kind,
            secret=secret,
            about=about,
            by_hand=by_hand,
        ),
    )


def http_client_settings(facts: Facts, path: str, content: bytes) -> tuple[Change, ...]:
    """The --http.config.file of promtool and amtool for a server; () if it exists."""
    return private(
        facts,
        path,
        content,
        ContentKind.HTTP_CLIENT_CONFIG,
        why="It holds no secret, only the paths of the files that do.",
        by_hand=manual_commands.text(path, FileState(content, _PRIVATE, "", "")),
        secret=False,
    )


def _workspace_owner(facts: Facts) -> tuple[str, str]:
    workspace = facts.hosts[WORKSPACE]
    return workspace.user, workspace.group
