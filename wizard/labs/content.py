"""The parts of a lab: steps with their texts, commands, checks and hints."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from wizard.errors import InputError, LabError
from wizard.model import Protection
from wizard.redact import plain

_PLACEHOLDER = re.compile(r"\{\{([a-z][a-z0-9_-]*\.[a-z]+)\}\}")
COMMANDS = frozenset({"restart", "reload", "addflag", "compose"})
"""Placeholders for commands: filled in unchanged, and never quoted as one word."""


@dataclass(frozen=True, slots=True)
class Check:
    """One condition of a step: `kind` is the name of a check, `of` is host/component or ''."""

    kind: str
    of: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fixture:
    """A change that Firescreen makes on the practice stack, for the beginning of a lab or as a fault."""

    kind: str
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Copy:
    """A file that is copied between hosts; names are relative to the folder of the component's configuration."""

    source: str
    file: str
    target: str
    name: str
    mode: str = ""
    """Its mode there, e.g. '0640'; '' to keep it."""


@dataclass(frozen=True, slots=True)
class HostCommand:
    """A command for real hosts: `text`, or `copy`, whose commands depend on how the two hosts are reached."""

    text: str
    on: str = ""
    """The role on whose host it is typed; '' for that of the step."""
    copy: Copy | None = None


@dataclass(frozen=True, slots=True)
class Needs:
    """The oldest version of a component with which a step can be done."""

    of: str
    version: str


@dataclass(frozen=True, slots=True)
class Solve:
    """How the engine does a step: the components that are protected by then, and which of its planned steps."""

    protect: tuple[Protection, ...]
    steps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LabQuestion:
    """A question at the end; converted to text, it is the question alone."""

    ask: str
    answer: str

    def __str__(self) -> str:
        return self.ask


@dataclass(frozen=True, slots=True, kw_only=True)
class LabStep:
    """One step. `text` is Markdown; one bash runs the `commands` in their order, as printed."""

    id: str
    title: str
    host: str
    text: str
    commands: tuple[str, ...]
    checks: tuple[Check, ...]
    hints: tuple[str, ...]
    solve: Solve | None = None
    """None: Firescreen does it by running the printed commands."""
    answer: tuple[str, ...] = ()
    """Commands that solve the step: shown with the last hint."""
    fault: tuple[Fixture, ...] = ()
    """The fault to find and repair, placed when the step begins."""
    found: str = ""
    """A sentence about the fault, shown when it is repaired."""
    needs: Needs | None = None
    missing: str = ""
    """Why the step cannot be done here, or ''."""
    note: str = ""
    """What published texts say about the step, as Markdown; part of `text`."""
    on_hosts: tuple[HostCommand, ...] = ()
    """The commands for real hosts."""
    places: tuple[str, ...] = ()
    """On real hosts, the role on whose host each of `commands` is typed ('here': this machine); otherwise empty."""

    @property
    def stretches(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Returns the commands by the place where they are typed; consecutive commands of one place together."""
        found: list[tuple[str, tuple[str, ...]]] = []
        places = self.places or (self.host,) * len(self.commands)
        for place, command in zip(places, self.commands, strict=True):
            before = found.pop() if found and found[-1][0] == place else (place, ())
            found.append((place, (*before[1], command)))
        return tuple(found)

    @property
    def typed(self) -> tuple[str, ...]:
        """Returns all commands that do the step."""
        return (*self.commands, *self.answer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """One exercise. `intro` and `outro` are Markdown."""

    id: str
    title: str
    minutes: int
    intro: str
    steps: tuple[LabStep, ...]
    questions: tuple[LabQuestion, ...]
    outro: str
    follows: str = ""
    """The lab that this one continues, with its files."""
    begin: tuple[Fixture, ...] = ()
    """Changes on a new practice stack before the first step."""
    begins: str = ""
    """A sentence about these changes."""
    components: tuple[str, ...] = ()
    """Components that the practice stack needs besides the first two."""
    hosts: tuple[str, ...] = ()
    """Further hosts that it needs."""
    docker: bool = False
    """Whether it is done on containers in this machine's Docker."""
    certificates: str = "ca"
    source: str = ""
    foreign: bool = False
    """Whether somebody else wrote it: its changes are checked first, see `sandbox_policy`."""
    real_hosts: bool = False
    """Whether it can be done on real hosts, too."""
    expects: str = ""
    """The state that real hosts must have before the first step."""

    def step(self, step_id: str) -> LabStep:
        """Returns the step with that id.

        Raises:
            InputError: there is none.
        """
        for step in self.steps:
            if step.id == step_id:
                return step
        raise InputError(
            f"there is no step '{plain(step_id, 60)}' in this lab",
            where=self.id,
            todo=f"Its steps: {', '.join(step.id for step in self.steps)}",
        )

    def fill_placeholders(self, values: Mapping[str, str]) -> Lab:
        """Returns the lab with the practice stack's addresses and folders filled in."""
        return replace(
            self,
            intro=fill(self.intro, values),
            outro=fill(self.outro, values),
            questions=tuple(
                LabQuestion(fill(each.ask, values), fill(each.answer, values)) for each in self.questions
            ),
            steps=tuple(
                replace(
                    step,
                    text=fill(step.text, values),
                    note=fill(step.note, values),
                    found=fill(step.found, values),
                    hints=tuple(fill(hint, values) for hint in step.hints),
                    commands=tuple(fill(command, values, quoted=True) for command in step.commands),
                    answer=tuple(fill(command, values, quoted=True) for command in step.answer),
                    checks=tuple(_filled_check(check, values) for check in step.checks),
                )
                for step in self.steps
            ),
        )

    def placeholders(self) -> frozenset[str]:
        """Returns the names of all placeholders, e.g. srv1.home."""
        texts = (
            text
            for step in self.steps
            for text in (
                step.text,
                step.found,
                *step.hints,
                *step.typed,
                *(str(check.options) for check in step.checks),
            )
        )
        return frozenset(name for text in texts for name in _PLACEHOLDER.findall(text))


def _filled_check(check: Check, values: Mapping[str, str]) -> Check:
    options = {
        key: fill(value, values)
        if isinstance(value, str)
        else [fill(each, values) for each in value]
        if isinstance(value, list)
        else value
        for key, value in check.options.items()
    }
    return replace(check, options=options)


def fill(text: str, values: Mapping[str, str], *, quoted: bool = False) -> str:
    """Fills in the placeholders of a text.

    Args:
        text: with placeholders.
        values: by name, e.g. srv1.home.
        quoted: for a shell: a value becomes one word, whatever characters it contains; a command is unchanged.

    Raises:
        LabError: a placeholder has no value.
    """

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in values:
            raise LabError(
                f"there is no placeholder '{{{{{name}}}}}'", todo=f"Known: {', '.join(sorted(values))}"
            )
        word = quoted and name.rpartition(".")[2] not in COMMANDS
        return shlex.quote(values[name]) if word else values[name]

    return _PLACEHOLDER.sub(value, text)
