"""What a lab is made of, and how it is read from its folder: `lab.yaml` and the Markdown files beside it.

A lab may come from somebody else: nothing in it is executed by reading, no name leads out of its folder, and
every file has a bound. An unknown key is an error with file, line and the nearest known key.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from wizard import assets, yamlfile
from wizard.errors import InputError, LabError
from wizard.model import Protection
from wizard.redact import plain

LARGEST_FILE = 64_000
"""Bytes of `lab.yaml`, and of each page."""

_FORMAT = yamlfile.Format(
    noun="a lab's file",
    error=LabError,
    largest=LARGEST_FILE,
    start="start from a lab that is there",
    advice={"pattern": "see the pattern for it in assets/lab.schema.json"},
)
_PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_-]*\.[a-z]+)\}")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must be so: `kind` is a word of the schema's vocabulary, `of` is host/component."""

    kind: str
    of: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Solve:
    """How the engine does a step: what is to be protected by then, and which of its planned steps."""

    protect: tuple[Protection, ...]
    steps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LabQuestion:
    """Something to answer at the end; as a text it is the question alone."""

    ask: str
    answer: str

    def __str__(self) -> str:
        return self.ask


@dataclass(frozen=True, slots=True, kw_only=True)
class LabStep:
    """One idea. `text` is Markdown, `commands` are run by one bash in their order, as printed."""

    id: str
    title: str
    host: str
    text: str
    commands: tuple[str, ...]
    checks: tuple[Check, ...]
    hints: tuple[str, ...]
    solve: Solve | None = None
    note: str = ""
    """What other texts say here; Markdown. `text` ends with it already."""


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
    certificates: str
    source: str = ""

    def step(self, step_id: str) -> LabStep:
        """The step of that id.

        Raises:
            InputError: there is none.
        """
        for step in self.steps:
            if step.id == step_id:
                return step
        raise InputError(
            f"there is no step '{plain(step_id, 60)}' in this lab",
            where=self.id,
            todo=f"its steps: {', '.join(step.id for step in self.steps)}",
        )

    def filled(self, values: Mapping[str, str]) -> Lab:
        """The lab with the addresses and folders of the practice stack in place of its placeholders."""
        return replace(
            self,
            steps=tuple(
                replace(
                    step,
                    text=_fill(step.text, values),
                    note=_fill(step.note, values),
                    hints=tuple(_fill(hint, values) for hint in step.hints),
                    commands=tuple(_fill(command, values, quoted=True) for command in step.commands),
                )
                for step in self.steps
            ),
        )

    def placeholders(self) -> frozenset[str]:
        """The names of all placeholders, e.g. srv1.home."""
        texts = (text for step in self.steps for text in (step.text, *step.hints, *step.commands))
        return frozenset(name for text in texts for name in _PLACEHOLDER.findall(text))


def labs() -> tuple[Lab, ...]:
    """The labs that come with Firescreen, in their order.

    Raises:
        LabError: one of them cannot be used.
    """
    folders = sorted(path.parent for path in assets.path("labs").glob("*/lab.yaml"))
    return tuple(load(folder) for folder in folders)


def find(lab_id: str = "") -> Lab:
    """The lab of that id, or the first one.

    Raises:
        InputError: there is none.
    """
    known = labs()
    for lab in known:
        if lab_id in ("", lab.id):
            return lab
    raise InputError(
        f"there is no lab '{plain(lab_id, 60)}'",
        todo=f"the labs: {', '.join(lab.id for lab in known)}",
    )


def load(folder: Path) -> Lab:
    """The lab in a folder.

    Raises:
        LabError: a file is missing, too large, or does not say something that can be done.
    """
    path = folder / "lab.yaml"
    read = yamlfile.parse(yamlfile.text_of(path, _FORMAT), source=str(path), form=_FORMAT)
    yamlfile.check(read, _validator(), _FORMAT)
    data = read.data
    steps: list[LabStep] = []
    for index, entry in enumerate(data["steps"]):
        if entry["id"] in {step.id for step in steps}:
            raise LabError(
                f"the step '{entry['id']}' stands twice",
                where=read.where(("steps", index)),
                todo="give it another id",
            )
        steps.append(_step(folder, read, index))
    return Lab(
        id=data["id"],
        title=data["title"],
        minutes=data["minutes"],
        intro=_page(folder, read, ("intro",)),
        steps=tuple(steps),
        questions=tuple(LabQuestion(entry["ask"], entry["answer"]) for entry in data["questions"]),
        outro=_page(folder, read, ("outro",)),
        certificates=data["certificates"],
        source=data.get("source", ""),
    )


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(json.loads(assets.path("lab.schema.json").read_text(encoding="utf-8")))


def _step(folder: Path, read: yamlfile.Read, index: int) -> LabStep:
    entry = read.data["steps"][index]
    note = " ".join(entry.get("note", "").split())
    text = _page(folder, read, ("steps", index, "text"))
    solve = entry.get("solve")
    return LabStep(
        id=entry["id"],
        title=entry["title"],
        host=entry["host"],
        text=f"{text}\n\n*You may have read elsewhere:* {note}" if note else text,
        commands=tuple(command.rstrip("\n") for command in entry.get("commands", ())),
        checks=tuple(_check(one) for one in entry["check"]),
        hints=tuple(" ".join(hint.split()) for hint in entry["hints"]),
        solve=Solve(tuple(solve["protect"]), tuple(solve["steps"])) if solve else None,
        note=note,
    )


def _check(entry: Mapping[str, Any]) -> Check:
    ((kind, options),) = entry.items()
    return Check(kind, options["of"], {key: value for key, value in options.items() if key != "of"})


def _page(folder: Path, read: yamlfile.Read, place: yamlfile.Place) -> str:
    """A Markdown file of the lab: really inside its folder, links followed."""
    name: Any = read.data
    for part in place:
        name = name[part]
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise LabError(
            f"'{name}' leads out of the lab's folder",
            where=read.where(place),
            todo="put the text itself there",
        )
    return plain(yamlfile.text_of(path, _FORMAT).strip(), LARGEST_FILE)


def _fill(text: str, values: Mapping[str, str], *, quoted: bool = False) -> str:
    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in values:
            raise LabError(f"there is no '{{{name}}}' to fill in", todo=f"known: {', '.join(sorted(values))}")
        return shlex.quote(values[name]) if quoted else values[name]

    return _PLACEHOLDER.sub(value, text)
