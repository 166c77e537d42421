"""What a lab is made of, and how it is read from its folder: `lab.yaml` and the Markdown files beside it.

A lab may come from somebody else: nothing in it is executed by reading, no name leads out of its folder, and
every file has a bound. An unknown key is an error with file, line and the nearest known key.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

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
_PLACEHOLDER = re.compile(r"\{\{([a-z][a-z0-9_-]*\.[a-z]+)\}\}")
COMMANDS = frozenset({"restart", "reload", "addflag"})
"""Placeholders that stand for a command: filled in as it is, and never quoted as one word."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must be so: `kind` is a word of the schema's vocabulary, `of` is host/component or ''."""

    kind: str
    of: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing that Firescreen places on the practice stack: a beginning, or a fault to be found."""

    kind: str
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Copy:
    """A file that goes from one host to another; names count from the folder of the component's configuration."""

    source: str
    file: str
    target: str
    name: str
    mode: str = ""
    """Its rights there, e.g. '0640'; '' for those that it has."""


@dataclass(frozen=True, slots=True)
class HostCommand:
    """A command as it is typed on real hosts: `text`, or `copy`, whose words depend on how the two are reached."""

    text: str
    on: str = ""
    """The role on whose host it is typed; '' for that of the step."""
    copy: Copy | None = None


@dataclass(frozen=True, slots=True)
class Needs:
    """The oldest version of a component that a step can be done with."""

    of: str
    version: str


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
    """None: it is done for the student by typing the very commands."""
    answer: tuple[str, ...] = ()
    """Commands that are part of what is to be found out: shown with the last hint."""
    fault: tuple[Deed, ...] = ()
    """What is put in when the step begins, to be found and mended."""
    needs: Needs | None = None
    missing: str = ""
    """Why it cannot be done with these programs, or ''."""
    note: str = ""
    """What other texts say here; Markdown. `text` ends with it already."""
    on_hosts: tuple[HostCommand, ...] = ()
    """The same commands as they are typed on real hosts."""
    places: tuple[str, ...] = ()
    """On real hosts, the role on whose host each of `commands` is typed ('here': this machine); else empty."""

    @property
    def stretches(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """The commands with the place where they are typed: those that follow each other there, together."""
        found: list[tuple[str, tuple[str, ...]]] = []
        places = self.places or (self.host,) * len(self.commands)
        for place, command in zip(places, self.commands, strict=True):
            before = found.pop() if found and found[-1][0] == place else (place, ())
            found.append((place, (*before[1], command)))
        return tuple(found)

    @property
    def typed(self) -> tuple[str, ...]:
        """All commands that do the step by hand."""
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
    """The lab at whose end this one begins: it goes on with that one's files."""
    begin: tuple[Deed, ...] = ()
    """What is placed on a fresh practice stack before the first step."""
    begins: str = ""
    """A sentence about that."""
    components: tuple[str, ...] = ()
    """What the practice stack needs besides the first two."""
    hosts: tuple[str, ...] = ()
    """Further hosts that it needs."""
    certificates: str = "ca"
    source: str = ""
    foreign: bool = False
    """Whether somebody else wrote it: what it places is looked at before, see `contained`."""
    real_hosts: bool = False
    """Whether it can be done on real hosts, too."""
    expects: str = ""
    """What must be so on real hosts before the first step."""

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
                    hints=tuple(fill(hint, values) for hint in step.hints),
                    commands=tuple(fill(command, values, quoted=True) for command in step.commands),
                    answer=tuple(fill(command, values, quoted=True) for command in step.answer),
                    checks=tuple(_filled_check(check, values) for check in step.checks),
                )
                for step in self.steps
            ),
        )

    def placeholders(self) -> frozenset[str]:
        """The names of all placeholders, e.g. srv1.home."""
        texts = (
            text
            for step in self.steps
            for text in (step.text, *step.hints, *step.typed, *(str(check.options) for check in step.checks))
        )
        return frozenset(name for text in texts for name in _PLACEHOLDER.findall(text))


def labs(packs: Path | None = None) -> tuple[Lab, ...]:
    """The labs that come with Firescreen, in their order; after them those of the packs that were added.

    Args:
        packs: a workspace's folder of packs. A lab in it that cannot be used any more is left out.

    Raises:
        LabError: one of Firescreen's own cannot be used.
    """
    known = {lab.id: lab for lab in _own()}
    for path in sorted(packs.glob("*/*/lab.yaml")) if packs is not None else ():
        with suppress(LabError):
            # What others wrote is done where nothing of anybody's can be harmed.
            added = replace(load(path.parent), foreign=True, real_hosts=False)
            known.setdefault(added.id, added)
    return tuple(known.values())


@cache
def _own() -> tuple[Lab, ...]:
    folders = sorted(path.parent for path in assets.path("labs").glob("*/lab.yaml"))
    return tuple(load(folder) for folder in folders)


def find(lab_id: str = "", packs: Path | None = None) -> Lab:
    """The lab of that id, or the first one.

    Args:
        packs: a workspace's folder of packs, whose labs count too.

    Raises:
        InputError: there is none.
    """
    known = labs(packs)
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
    yamlfile.check(read, _schema(), _FORMAT)
    data = read.data
    _visible(read, data, ())
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
        follows=data.get("follows", ""),
        begin=_deeds(data.get("begin", {}).get("place", ())),
        begins=" ".join(data.get("begin", {}).get("says", "").split()),
        components=tuple(data.get("practice", {}).get("components", ())),
        hosts=tuple(data.get("practice", {}).get("hosts", ())),
        certificates=data.get("certificates", "ca"),
        source=data.get("source", ""),
        real_hosts=data.get("real_hosts", False),
        expects=" ".join(data.get("begin", {}).get("hosts", "").split()),
    )


def _visible(read: yamlfile.Read, value: Any, place: yamlfile.Place) -> None:
    """Refuses signs that a person cannot see: what is shown must be what is typed.

    Raises:
        LabError: there is one.
    """
    if isinstance(value, str) and ("\t" in value or plain(value, LARGEST_FILE) != value):
        raise LabError(
            "there is a sign in it that cannot be seen",
            where=read.where(place),
            todo="write it with plain letters and blanks",
        )
    entries: Iterable[tuple[str | int, Any]] = ()
    if isinstance(value, dict):
        entries = value.items()
    elif isinstance(value, list):
        entries = enumerate(value)
    for key, inner in entries:
        _visible(read, inner, (*place, key))


@cache
def _schema() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(assets.path("lab.schema.json").read_text(encoding="utf-8"))
    return found


def _step(folder: Path, read: yamlfile.Read, index: int) -> LabStep:
    entry = read.data["steps"][index]
    note = " ".join(entry.get("note", "").split())
    text = _page(folder, read, ("steps", index, "text"))
    solve, needs = entry.get("solve"), entry.get("needs")
    return LabStep(
        id=entry["id"],
        title=entry["title"],
        host=entry["host"],
        text=f"{text}\n\n*You may have read elsewhere:* {note}" if note else text,
        commands=_commands(entry.get("commands", ())),
        on_hosts=tuple(_on_hosts(entry.get("commands", ()), entry["host"])),
        answer=_commands(entry.get("answer", ())),
        fault=_deeds(entry.get("fault", ())),
        needs=Needs(needs["of"], needs["version"]) if needs else None,
        checks=tuple(_check(one) for one in entry["check"]),
        hints=tuple(" ".join(hint.split()) for hint in entry["hints"]),
        solve=Solve(tuple(solve["protect"]), tuple(solve["steps"])) if solve else None,
        note=note,
    )


def _check(entry: Mapping[str, Any]) -> Check:
    ((kind, options),) = entry.items()
    return Check(kind, options.get("of", ""), {key: value for key, value in options.items() if key != "of"})


def _deeds(entries: Sequence[Mapping[str, Any]]) -> tuple[Deed, ...]:
    return tuple(Deed(kind, options) for entry in entries for kind, options in entry.items())


def _commands(entries: Sequence[str | Mapping[str, Any]]) -> tuple[str, ...]:
    """Each as it is typed on a practice host; one that differs on real hosts has two forms."""
    forms = (entry if isinstance(entry, str) else entry.get("practice", "") for entry in entries)
    return tuple(form.rstrip("\n") for form in forms if form)


def _on_hosts(entries: Sequence[str | Mapping[str, Any]], host: str) -> Iterator[HostCommand]:
    """Each as it is typed on real hosts."""
    for entry in entries:
        if isinstance(entry, str):
            yield HostCommand(entry.rstrip("\n"))
        elif "copy" in entry:
            said = entry["copy"]
            yield HostCommand(
                "",
                copy=Copy(
                    source=said["from"],
                    file=said["file"],
                    target=said.get("to", host),
                    name=said.get("as", said["file"]),
                    mode=said.get("mode", ""),
                ),
            )
        elif "host" in entry or "on" in entry:
            text = entry.get("host") or entry.get("practice", "")
            yield HostCommand(text.rstrip("\n"), entry.get("on", ""))


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


def fill(text: str, values: Mapping[str, str], *, quoted: bool = False) -> str:
    """The text with its placeholders filled in.

    Args:
        values: by name, e.g. srv1.home.
        quoted: for a shell: a value is one word there, whatever signs it has; a command stays as it is.

    Raises:
        LabError: a placeholder has no value.
    """

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in values:
            raise LabError(
                f"there is no '{{{{{name}}}}}' to fill in", todo=f"known: {', '.join(sorted(values))}"
            )
        word = quoted and name.rpartition(".")[2] not in COMMANDS
        return shlex.quote(values[name]) if word else values[name]

    return _PLACEHOLDER.sub(value, text)
