"""Reads a lab from its folder: `lab.yaml`, and the Markdown files beside it.

A lab may come from somebody else: reading executes nothing in it, no name leads out of its folder, and every file has a
size limit. An unknown key is an error with file, line and the nearest known key.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from wizard import assets, yamlfile
from wizard.errors import LabError
from wizard.labs.content import Check, Copy, Fixture, HostCommand, Lab, LabQuestion, LabStep, Needs, Solve
from wizard.redact import plain

LARGEST_FILE = 64_000
"""Maximum size in bytes of `lab.yaml`, and of each page."""

_FORMAT = yamlfile.Format(
    noun="a lab's file",
    error=LabError,
    largest=LARGEST_FILE,
    start="Start from an existing lab",
    advice={"pattern": "See the pattern for it in assets/lab.schema.json"},
)


def load(folder: Path) -> Lab:
    """Reads the lab in a folder.

    Raises:
        LabError: a file is missing, too large, or invalid.
    """
    path = folder / "lab.yaml"
    read = yamlfile.parse(yamlfile.text_of(path, _FORMAT), source=str(path), form=_FORMAT)
    yamlfile.check(read, _schema(), _FORMAT)
    data = read.data
    _visible(read, data, ())
    _placed_nowhere(read)
    steps: list[LabStep] = []
    for index, entry in enumerate(data["steps"]):
        if entry["id"] in {step.id for step in steps}:
            raise LabError(
                f"the step '{entry['id']}' occurs twice",
                where=read.where(("steps", index)),
                todo="Choose another id",
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
        begin=_fixtures(data.get("begin", {}).get("place", ())),
        begins=" ".join(data.get("begin", {}).get("says", "").split()),
        components=tuple(data.get("practice", {}).get("components", ())),
        hosts=tuple(data.get("practice", {}).get("hosts", ())),
        docker=data.get("practice", {}).get("docker", False),
        certificates=data.get("certificates", "ca"),
        source=data.get("source", ""),
        real_hosts=data.get("real_hosts", False),
        expects=" ".join(data.get("begin", {}).get("hosts", "").split()),
    )


def _placed_nowhere(read: yamlfile.Read) -> None:
    """Rejects options that a lab in containers cannot have, e.g. a fault or a plan of the engine.

    Raises:
        LabError: it has such an option.
    """
    data = read.data
    if not data.get("practice", {}).get("docker"):
        return
    found: list[yamlfile.Place] = [(key,) for key in ("begin", "follows", "real_hosts") if data.get(key)]
    found += [("practice", key) for key in ("components", "hosts") if data["practice"].get(key)]
    for index, step in enumerate(data["steps"]):
        found += [("steps", index, key) for key in ("fault", "solve") if key in step]
    for place in found:
        raise LabError(
            f"a lab in containers has no '{place[-1]}'",
            where=read.where(place),
            todo="Remove it, or remove docker: true",
        )


def _visible(read: yamlfile.Read, value: Any, place: yamlfile.Place) -> None:
    """Rejects invisible characters: people must see what is run.

    Raises:
        LabError: there is one.
    """
    if isinstance(value, str) and ("\t" in value or plain(value, LARGEST_FILE) != value):
        raise LabError(
            "the value has an invisible character",
            where=read.where(place),
            todo="Use plain letters and spaces",
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
        fault=_fixtures(entry.get("fault", ())),
        found=" ".join(entry.get("found", "").split()),
        needs=Needs(needs["of"], needs["version"]) if needs else None,
        checks=tuple(_check(one) for one in entry["check"]),
        hints=tuple(" ".join(hint.split()) for hint in entry["hints"]),
        solve=Solve(tuple(solve["protect"]), tuple(solve["steps"])) if solve else None,
        note=note,
    )


def _check(entry: Mapping[str, Any]) -> Check:
    ((kind, options),) = entry.items()
    return Check(kind, options.get("of", ""), {key: value for key, value in options.items() if key != "of"})


def _fixtures(entries: Sequence[Mapping[str, Any]]) -> tuple[Fixture, ...]:
    return tuple(Fixture(kind, options) for entry in entries for kind, options in entry.items())


def _commands(entries: Sequence[str | Mapping[str, Any]]) -> tuple[str, ...]:
    """Returns the commands for a practice host; a command that differs on real hosts has two forms."""
    forms = (entry if isinstance(entry, str) else entry.get("practice", "") for entry in entries)
    return tuple(form.rstrip("\n") for form in forms if form)


def _on_hosts(entries: Sequence[str | Mapping[str, Any]], host: str) -> Iterator[HostCommand]:
    """Yields the commands for real hosts."""
    for entry in entries:
        if isinstance(entry, str):
            yield HostCommand(entry.rstrip("\n"))
        elif "copy" in entry:
            copy = entry["copy"]
            yield HostCommand(
                "",
                copy=Copy(
                    source=copy["from"],
                    file=copy["file"],
                    target=copy.get("to", host),
                    name=copy.get("as", copy["file"]),
                    mode=copy.get("mode", ""),
                ),
            )
        elif "host" in entry or "on" in entry:
            text = entry.get("host") or entry.get("practice", "")
            yield HostCommand(text.rstrip("\n"), entry.get("on", ""))


def _page(folder: Path, read: yamlfile.Read, place: yamlfile.Place) -> str:
    """Reads a Markdown file of the lab: it must really be inside its folder, with links resolved."""
    name: Any = read.data
    for part in place:
        name = name[part]
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise LabError(
            f"'{name}' is outside the folder of the lab",
            where=read.where(place),
            todo="Copy the file into the folder",
        )
    return plain(yamlfile.text_of(path, _FORMAT).strip(), LARGEST_FILE)
