"""Plays a lab from its first to its last step, on a separate practice stack, to test the lab.

The check of each step must fail before and pass after the step. The practice stack of a person who does a lab is never
changed.
"""

from __future__ import annotations

import fcntl
import shutil
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from wizard import practice
from wizard.engine import Engine
from wizard.errors import FirescreenError, LockedError
from wizard.labs import shell
from wizard.labs.catalogue import find, labs
from wizard.labs.content import Lab, LabStep
from wizard.labs.environment import PATIENCE
from wizard.labs.session import LabSession
from wizard.model import Event
from wizard.plurals import count_noun
from wizard.redact import plain, redact
from wizard.workspace import Workspace

_PATIENCE = 2 * PATIENCE
"""Seconds; a machine that plays a lab in CI may be busy."""

Kind: TypeAlias = Literal["title", "step", "text", "command", "output", "made", "ok", "not-yet", "bad", "end"]


@dataclass(frozen=True, slots=True)
class Line:
    """A line for a person; `kind` says what it is, so that the command line can colour it."""

    kind: Kind
    text: str


Say: TypeAlias = Callable[[Line], None]


def play(
    workspace: Workspace,
    lab_ids: Sequence[str],
    *,
    by_hand: bool,
    keep: bool,
    say: Say,
    progress: Callable[[str], None],
    suite: str = "",
    packs: Path | None = None,
) -> bool:
    """Plays labs one after another; returns whether each check failed before its step and passed after it.

    Args:
        workspace: the stack is in its folder `play`, which is emptied first.
        lab_ids: none for the first lab and its continuations.
        by_hand: runs the printed commands instead of the engine.
        keep: leaves the stack running afterwards.
        say: gets the lines of the result.
        progress: gets lines about downloads and starts.
        suite: programs of another suite of the distribution.
        packs: a folder of packs with the labs; None for those of the workspace.

    Raises:
        FirescreenError: the programs are unavailable, or the practice stack does not work.
    """
    packs = workspace.packs if packs is None else packs
    wanted = [find(lab_id, packs) for lab_id in lab_ids] or _first_row()
    how = "with the commands that students see" if by_hand else "by the engine"
    with _stage(workspace, keep=keep) as stage:
        if packs.is_dir():
            shutil.copytree(packs, stage.ensure().packs)
        for lab in wanted:
            if not _lab(lab, stage, how, by_hand=by_hand, say=say, progress=progress, suite=suite):
                return False
        if keep:
            end = f"firescreen --workspace {stage.root} practice down --remove"
            say(Line("text", f"The practice stack still runs. Remove it with: {end}"))
    return True


def _first_row() -> list[Lab]:
    """Returns the first lab and its continuations, each of which begins where the one before ends."""
    row: list[Lab] = []
    for lab in labs():
        if row and lab.follows != row[-1].id:
            break
        row.append(lab)
    return row


def _lab(
    lab: Lab,
    stage: Workspace,
    how: str,
    *,
    by_hand: bool,
    say: Say,
    progress: Callable[[str], None],
    suite: str,
) -> bool:
    began = time.monotonic()
    say(Line("title", f"Lab: {lab.title}"))
    for line in _wrap(_first_paragraph(lab.intro)):
        say(Line("text", line))
    say(Line("text", ""))
    say(Line("text", f"Each step is done {how}."))
    session = LabSession.open(Engine(stage), lab.id, progress=progress, tools=False, suite=suite, anew=True)
    shell.prepare(stage, progress, strict=True)
    for number, step in enumerate(session.lab.steps, start=1):
        say(Line("text", ""))
        say(Line("step", f"{number}/{len(session.lab.steps)}  {step.title}  ({step.host})"))
        if not _step(session, step, stage, by_hand=by_hand, say=say):
            return False
    say(Line("text", ""))
    for line in session.lab.outro.splitlines():
        for part in _wrap(line) or [""]:
            say(Line("end", part))
    missing = sum(bool(step.missing) for step in session.lab.steps)
    count = f"All {len(lab.steps)} steps" if not missing else count_noun(len(lab.steps) - missing, "step")
    say(Line("text", ""))
    say(
        Line("ok", f"{count} are done; each check failed before its step ({time.monotonic() - began:.0f} s).")
    )
    say(Line("text", ""))
    return True


def _step(session: LabSession, step: LabStep, stage: Workspace, *, by_hand: bool, say: Say) -> bool:
    for line in _wrap(_first_paragraph(step.text)):
        say(Line("text", f"  {line}"))
    if step.missing:
        say(Line("not-yet", f"  {step.missing}"))
        return session.check(step.id).ok
    if step.fault:
        session.begin(step.id)
    before = session.check(step.id)
    if before.ok:
        say(
            Line(
                "bad",
                "  the check passes before the step is done, so it checks nothing",
            )
        )
        return False
    say(Line("not-yet", f"  not done yet: {_short(before.what, stage)}"))
    done = _by_hand(session, step, say) if by_hand else _by_engine(session, step, stage, say)
    if not done:
        return False
    after = session.check(step.id, patience=_PATIENCE)
    for seen in after.seen:
        say(Line("ok", f"  {seen}"))
    if not after.ok:
        say(Line("bad", f"  not done: {_short(after.what, stage)}"))
        say(Line("text", f"    {_short(after.todo, stage)}"))
    return after.ok


def _by_engine(session: LabSession, step: LabStep, stage: Workspace, say: Say) -> bool:
    def tell(event: Event) -> None:
        if event.kind == "change" and event.state == "done":
            say(Line("made", f"  {event.host}: {_short(event.text, stage)}"))

    outcome = session.solve(step.id, tell)
    if outcome.error is not None:
        say(Line("bad", f"  {redact(plain(outcome.error.what))}"))
        if outcome.error.todo:
            say(Line("text", f"    {plain(outcome.error.todo)}"))
        return False
    return True


def _by_hand(session: LabSession, step: LabStep, say: Say) -> bool:
    for typed in session.type(step.id):
        for index, line in enumerate(typed.command.splitlines()):
            say(Line("command", f"  {'$' if index == 0 else '>'} {line}"))
        for line in _shorten(typed.output):
            say(Line("output", f"    {line}"))
        if typed.code:
            say(Line("bad", f"  that command failed with exit code {typed.code}"))
            return False
    return True


def _short(text: str, stage: Workspace) -> str:
    """Returns the text with short paths: without the folder of the practice host."""
    practice_stack = practice.status(stage.root)
    short = text
    for host in practice_stack.hosts if practice_stack else ():
        short = short.replace(f"{host.folder}/", "")
    return plain(short.replace(f"{stage.root}/", ""), 300)


def _shorten(output: str, most: int = 8) -> list[str]:
    lines = [line[:110] for line in output.splitlines()]
    return lines if len(lines) <= most else [*lines[: most - 1], f"… {len(lines) - most + 1} more lines"]


def _first_paragraph(markdown: str) -> str:
    return " ".join(markdown.partition("\n\n")[0].split())


def _wrap(text: str) -> list[str]:
    indent = "  " if text.startswith("- ") else ""
    return textwrap.wrap(
        plain(text), width=78, break_long_words=False, break_on_hyphens=False, subsequent_indent=indent
    )


@contextmanager
def _stage(workspace: Workspace, *, keep: bool) -> Iterator[Workspace]:
    """Provides a separate workspace, empty at the beginning, and removed at the end unless it is kept.

    First stops the programs of a killed play.

    Raises:
        LockedError: another play is running here.
    """
    workspace.ensure()
    stage = Workspace(workspace.root / "play")
    with (workspace.root / "play.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockedError(
                "another play runs in this workspace",
                where=str(workspace.root),
                todo="Wait until it has ended, or choose another folder with --workspace",
            ) from None
        _clear(stage.root)
        try:
            yield stage
        finally:
            if not keep:
                _clear(stage.root)


def _clear(root: Path) -> None:
    practice.down(root, remove=True)
    try:
        shutil.rmtree(root)
    except FileNotFoundError:
        return
    except OSError as error:
        raise FirescreenError(
            f"the folder of the last play cannot be emptied: {error.strerror}", where=str(root)
        ) from error
