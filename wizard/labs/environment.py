"""The hosts on which a lab is done: what a `LabSession` needs to know about them, and does on them."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from wizard.engine import Engine
from wizard.errors import InputError
from wizard.labs import state
from wizard.labs.content import Lab, LabStep
from wizard.labs.inspection import Look
from wizard.labs.shell import Typed
from wizard.labs.state import LabState
from wizard.model import Event, Protection, Stack
from wizard.redact import plain

Emit = Callable[[Event], None]
Say = Callable[[str], None]
"""Gets a short line of progress."""

PATIENCE = 15.0
"""Seconds to wait for Prometheus, which scrapes its targets with a new scheme within ten seconds."""


class LabInProgressError(InputError):
    """Starting a lab would end what was begun on these hosts."""

    title = "Another lab is in progress"


class LabEnvironment(ABC):
    """The hosts of labs: the practice stack, or the real hosts of a classroom. All methods may block.

    Args:
        engine: whose workspace and connections are used.
        folder: where progress and first snapshot of each lab are stored.
        marker: the folder whose file `lab` names the lab that the hosts are in.
    """

    title: str
    """The name of these hosts for a person."""
    has_real_hosts: bool
    check_patience = PATIENCE
    """Seconds for which a check waits for Prometheus' own actions."""

    def __init__(self, engine: Engine, folder: Path, marker: Path) -> None:
        self._engine = engine
        self._folder = folder
        self._marker = marker

    def state_file(self, lab: Lab) -> Path:
        """Returns the file with the progress of a lab."""
        return self._folder / f"{lab.id}.json"

    def _snapshot_file(self, lab: Lab) -> Path:
        return self._folder / f"{lab.id}.beginning"

    def _progress(self, lab_id: str) -> LabState | None:
        return state.load(self._folder / f"{lab_id}.json")

    def go_on(self) -> None:
        """Records that the lab of these hosts is the one that the person is doing."""
        state.go_to(self._marker)

    @abstractmethod
    def require(self, lab: Lab) -> None:
        """Rejects a lab that cannot be done on these hosts.

        Raises:
            InputError: it cannot.
        """

    @abstractmethod
    def conflict(self, lab: Lab) -> str:
        """Returns what starting or resuming this lab would discard, a sentence without a full stop; '' for nothing."""

    @abstractmethod
    def prepare(self, lab: Lab, say: Say, *, tools: bool, suite: str) -> bool:
        """Brings the hosts to the beginning of a lab, or to where it was left; returns whether it begins now.

        Args:
            lab: the lab.
            say: gets lines of progress.
            tools: whether to install the programs that the printed commands use.
            suite: takes the practice stack's programs from another suite of the distribution.

        Raises:
            FirescreenError: the lab cannot be done on these hosts, or a host or program does not work.
        """

    @abstractmethod
    def fill(self, lab: Lab) -> Lab:
        """Returns the lab with these hosts' addresses and folders filled in.

        Raises:
            FirescreenError: a host cannot be inspected.
        """

    @abstractmethod
    def stack(self, lab: Lab, protect: tuple[Protection, ...]) -> Stack:
        """Returns the hosts as a stack whose components are protected as given."""

    @abstractmethod
    def look(self, lab: Lab) -> Look:
        """Returns a new view of the hosts, for checks."""

    @abstractmethod
    def new_state(self) -> LabState:
        """Returns the progress of a lab that begins now."""

    @abstractmethod
    def is_stale(self, lab: Lab, lab_state: LabState) -> bool:
        """Returns whether stored progress no longer describes the hosts."""

    @abstractmethod
    def place_fault(self, lab: Lab, step: LabStep) -> None:
        """Restores the beginning of the lab and places the fault of a step.

        Raises:
            FirescreenError: a file cannot be written.
        """

    def fingerprints(self) -> dict[str, str]:
        """Returns fingerprint and mode of every file that a lab may change, by its path; {} on real hosts."""
        return {}

    @abstractmethod
    def type_commands(self, step: LabStep) -> Iterator[Typed]:
        """Runs the commands of a step as printed, each on its host.

        Raises:
            FirescreenError: a host cannot be reached, or a command does not end.
        """

    @abstractmethod
    def reset(self, lab: Lab, lab_state: LabState, emit: Emit) -> None:
        """Restores the hosts to the beginning of a lab.

        Raises:
            FirescreenError: a host cannot be reached or written, or a service does not start.
        """

    @abstractmethod
    def terminal(self, place: str) -> str:
        """Returns where a person types the commands for a place of a step."""


def fit_versions(step: LabStep, versions: Mapping[str, str]) -> LabStep:
    """Returns the step, or the step without commands if its component is too old for it.

    Args:
        step: the step.
        versions: by host/component.
    """
    if step.needs is None:
        return step
    have = versions.get(step.needs.of, "")
    if _version(have) >= _version(step.needs.version):
        return step
    component = step.needs.of.partition("/")[2]
    return without_commands(
        step, f"{component} {have} is too old for this step: it needs {step.needs.version} or newer"
    )


def without_commands(step: LabStep, reason: str) -> LabStep:
    """Returns the step as a text to read, with the reason why it cannot be done here."""
    text = (
        f"*{reason[:1].upper()}{reason[1:]}. Read the step and go on: there is nothing to do.*\n\n{step.text}"
    )
    return replace(step, missing=reason, text=text, commands=(), answer=(), places=())


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])


def inner_events(emit: Emit) -> Emit:
    """Passes on all events except the first and the last of a run, for a run that is part of another one."""

    def pass_on(event: Event) -> None:
        if event.kind not in ("started", "finished"):
            emit(replace(event, text=plain(event.text)))

    return pass_on
