"""The common part of servers and clients in a plan: they change files on their host, in steps about them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from wizard.model import (
    Change,
    ContentKind,
    FileState,
    HostFacts,
    PlannedStep,
    Role,
    StepKind,
    Typed,
    WriteFile,
    instance_key,
)


class Participant:
    """A component on a host, as a server or as a client; the subclass says which component and instance."""

    __slots__ = ()
    role: ClassVar[Role]
    host: HostFacts

    @property
    def key(self) -> str:
        """`host/component`; `host/component/unit` for a further instance."""
        return instance_key(self.host.spec.name, self.component, self.instance)

    @property
    def component(self) -> str:
        """The component's name."""
        raise NotImplementedError

    @property
    def instance(self) -> str:
        """The unit if this is not the usual instance on its host; '' otherwise."""
        raise NotImplementedError

    def write(
        self,
        path: str,
        after: FileState,
        content_kind: ContentKind,
        *,
        why: str,
        by_hand: tuple[Typed, ...],
        about: tuple[str, ...] = (),
    ) -> WriteFile:
        """A change of one file on its host, based on the content that was read."""
        return WriteFile(
            host=self.host.spec.name,
            path=path,
            before=self.host.files.get(path),
            after=after,
            content_kind=content_kind,
            why=why,
            secret=content_kind
            in (ContentKind.PRIVATE_KEY, ContentKind.PASSWORD, ContentKind.SIGN_IN_SECRET),
            about=about,
            by_hand=by_hand,
        )

    def step(
        self, kind: StepKind, *, title: str, why: str, changes: Iterable[Change], step_id: str = ""
    ) -> PlannedStep:
        """A step about it, in its role; without `step_id`, the id is made of kind and key."""
        return PlannedStep(
            id=step_id or f"{kind}:{self.key}",
            kind=kind,
            title=title,
            host=self.host.spec.name,
            why=why,
            changes=tuple(changes),
            role=self.role,
            component=self.component,
            instance=self.instance,
        )
