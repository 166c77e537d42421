"""Plays the labs on the real hosts of a class beforehand, and says which host is not ready and why.

Each campus has a workspace of its own. The changes of a lab are undone at its end, whether it passed or not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from wizard.engine import Engine
from wizard.errors import FirescreenError
from wizard.labs.catalogue import labs
from wizard.labs.classroom import Classroom
from wizard.labs.content import Lab
from wizard.labs.session import LabSession
from wizard.redact import plain, redact

_PATIENCE = 30.0
"""Seconds for which a check waits for the next scrape."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """One host, or one lab on the hosts of a campus: ready, or why not."""

    campus: int
    host: str
    lab: str = ""
    ok: bool = True
    why: str = ""
    todo: str = ""


def rehearse(
    engine: Engine, room: Classroom, chosen: Sequence[str], say: Callable[[str], None]
) -> Iterator[Rehearsed]:
    """Plays labs on the hosts of one campus; yields each unreachable host, each lab, and a failed restoration.

    Args:
        engine: of a workspace for this campus alone; its connections already have their credentials.
        room: the classroom of this campus.
        chosen: ids of labs; none for all that real hosts support.
        say: gets lines of progress.
    """
    unreachable = [
        found for found in (_reach(engine, room, host.name) for host in room.hosts) if not found.ok
    ]
    yield from unreachable
    if unreachable:
        return  # every lab would fail for the same reason
    wanted = [lab for lab in labs() if lab.real_hosts and (not chosen or lab.id in chosen)]
    begun: LabSession | None = None
    previous = ""
    for lab in wanted:
        if begun is not None and lab.follows != previous:
            yield from _restore(begun, room, say)
            begun = None
        say(f"{lab.title} on {plain(room.title, 200)}")
        session, found = _play(engine, room, lab, say)
        begun = begun or session
        previous = lab.id if found.ok else ""
        yield found
    if begun is not None:
        yield from _restore(begun, room, say)


def _restore(begun: LabSession, room: Classroom, say: Callable[[str], None]) -> Iterator[Rehearsed]:
    """Restores the hosts to the state before a lab and its continuations; yields why it failed."""
    say(f"Restoring the hosts of {plain(room.title, 200)}")
    try:
        begun.reset()
    except FirescreenError as error:
        yield _failed_rehearsal(room, "", begun.lab.id, error)


def _reach(engine: Engine, room: Classroom, name: str) -> Rehearsed:
    spec = room.host(name)
    assert spec is not None
    try:
        engine.reach((spec,))
    except FirescreenError as error:
        return _failed_rehearsal(room, name, "", error)
    return Rehearsed(campus=room.campus, host=name)


def _play(
    engine: Engine, room: Classroom, lab: Lab, say: Callable[[str], None]
) -> tuple[LabSession | None, Rehearsed]:
    """Does each step as Firescreen does it for a student: its check must fail before and pass after it."""
    session, host = None, lab.steps[0].host
    try:
        session = LabSession.open(engine, lab.id, progress=say, tools=False, anew=True, classroom=room)
        for step in session.lab.steps:
            host = step.host
            if step.missing:
                continue
            if session.check(step.id).ok:
                return session, Rehearsed(
                    campus=room.campus,
                    host=host,
                    lab=lab.id,
                    ok=False,
                    why=f"the step '{step.title}' counts as done before anything was done",
                    todo="Restore the host to how students are to find it",
                )
            outcome = session.solve(step.id)
            if outcome.error is not None:
                raise outcome.error
            result = session.check(step.id, patience=_PATIENCE)
            if not result.ok:
                return session, Rehearsed(
                    campus=room.campus,
                    host=host,
                    lab=lab.id,
                    ok=False,
                    why=f"the step '{step.title}' is done, but its check says: {redact(plain(result.what, 300))}",
                    todo=plain(result.todo, 300),
                )
    except FirescreenError as error:
        return session, _failed_rehearsal(room, host, lab.id, error)
    return session, Rehearsed(campus=room.campus, host="", lab=lab.id)


def _failed_rehearsal(room: Classroom, host: str, lab: str, error: FirescreenError) -> Rehearsed:
    named = next((each.name for each in room.hosts if error.where.startswith(each.name)), host)
    return Rehearsed(
        campus=room.campus,
        host=named,
        lab=lab,
        ok=False,
        why=redact(plain(error.what, 300)),
        todo=plain(error.todo, 300),
    )
