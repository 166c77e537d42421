"""Inspects a lab that somebody else wrote, without running anything: every problem with file, line and what to do.

A valid lab hides nothing: all commands that it runs and files that it places can be read before.
"""

from __future__ import annotations

import difflib
import json
import re
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from wizard import assets, yamlfile
from wizard.errors import InputError, LabError
from wizard.labs import lab_file, placeholders, sandbox_policy, text_safety, yaml_subset
from wizard.labs.content import Fixture, Lab, LabStep
from wizard.practice import compose_project
from wizard.practice.record import FIRST, MORE, PORTS, PracticeHost, PracticeStack, dump
from wizard.redact import plain
from wizard.workspace import Workspace
from wizard.yamlfile import Place, Read

_ON_HOSTS = ("targets",)
"""Placeholders that are filled in on real hosts only."""
_PLACED = frozenset({"lab.password", "lab.hash"})
_BRACES = re.compile(r"\{\{([^{}\n]{1,80})\}\}")
_HTML = re.compile(r"<(?:!--|/?[A-Za-z][^<>\n]*>)")
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`", re.DOTALL)
_FORM = yamlfile.Format(
    noun="a lab's file",
    error=LabError,
    largest=lab_file.LARGEST_FILE,
    start="Start from an existing lab",
    advice={"pattern": "See assets/lab.schema.json for valid values"},
)


@dataclass(frozen=True, slots=True)
class Seen:
    """The result of an inspection: `lab` is None if it is unreadable; a person has to agree to `shows`."""

    lab: Lab | None
    problems: tuple[LabError, ...]
    shows: tuple[str, ...] = ()


def inspect(files: Mapping[str, bytes], *, folder: Path, source: Path, taken: Collection[str]) -> Seen:
    """Inspects one lab.

    Args:
        files: all files in its folder.
        folder: a folder with these files, written for the inspection.
        source: the folder of origin, for the messages.
        taken: ids that it cannot have.
    """
    texts, problems = _texts(files, source)
    lab_yaml = texts.get("lab.yaml")
    if lab_yaml is None:
        if "lab.yaml" not in files:
            problems.append(
                LabError("there is no lab.yaml in this folder", where=str(source), todo="Create it")
            )
        return Seen(None, tuple(problems))
    path = str(source / "lab.yaml")
    problems += yaml_subset.problems(lab_yaml, path)
    if problems:
        return Seen(None, tuple(problems))
    try:
        read = yamlfile.parse(lab_yaml, source=path, form=_FORM)
    except InputError as error:
        return Seen(None, (_own(error),))
    problems += map(_own, yamlfile.mistakes(read, _schema(), _FORM))
    if not problems:
        problems += _pages(read, files, source)
    problems += _signs(read, texts, source)
    if problems:
        return Seen(None, tuple(problems))
    try:
        lab = lab_file.load(folder)
    except LabError as error:
        where = error.where.replace(str(folder), str(source))
        return Seen(None, (LabError(error.what, where=where, todo=error.todo),))
    if lab.id in taken:
        problems.append(
            LabError(
                f"there is a lab '{lab.id}' already", where=read.where(("id",)), todo="Choose another id"
            )
        )
    if lab.id.isdecimal() or any(step.id.isdecimal() for step in lab.steps):
        where = read.where(("id",))
        problems.append(
            LabError("an id cannot be a number: numbers name steps", where=where, todo="Use a word")
        )
    problems += _html(texts, source)
    problems += _names(read, texts, source)
    problems += _empty(lab, read)
    return Seen(lab, tuple(problems), tuple(_describe_actions(lab, read.data)))


@cache
def _schema() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(assets.path("lab.schema.json").read_text(encoding="utf-8"))
    return found


def _own(error: InputError) -> LabError:
    todo = plain(error.todo, 300) or "See assets/labs/README.md for valid values"
    return LabError(plain(error.what, 300), where=plain(error.where, 400), todo=todo)


def _texts(files: Mapping[str, bytes], source: Path) -> tuple[dict[str, str], list[LabError]]:
    texts: dict[str, str] = {}
    problems = []
    for name, data in files.items():
        try:
            texts[name] = data.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
        except UnicodeDecodeError as error:
            line = data[: error.start].count(b"\n") + 1
            problems.append(
                LabError(
                    "this is not UTF-8 text", where=f"{source / name}:{line}", todo="Save the file as UTF-8"
                )
            )
    return texts, problems


def _strings(value: Any, place: Place = ()) -> Iterator[tuple[Place, str]]:
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _strings(inner, (*place, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _strings(inner, (*place, index))


def _line(read: Read, place: Place, text: str, number: int) -> str:
    """Returns `file:line` of a line within a value: the lines of a block begin one below its key."""
    name, _, first = read.where(place).rpartition(":")
    return f"{name}:{int(first) + (number if chr(10) in text.rstrip(chr(10)) else 0)}"


def _is_command(place: Place) -> bool:
    return len(place) >= 4 and place[0] == "steps" and place[2] in ("commands", "answer")


# -- invisible characters ----------------------------------------------------------------------------------


def _signs(read: Read, texts: Mapping[str, str], source: Path) -> list[LabError]:
    """Returns the problems with invisible or misleading characters, in values, in pages and between them."""
    found: dict[str, LabError] = {}
    for place, text in _strings(read.data):
        seek = text_safety.mistakable if _is_command(place) else text_safety.hidden
        for number, what, todo in seek(text):
            where = _line(read, place, text, number)
            found.setdefault(where, LabError(what, where=where, todo=todo))
        if "\t" in text and not _is_command(place):
            where = read.where(place)
            found.setdefault(where, LabError("the value has a tab", where=where, todo="Type spaces"))
        if place and place[-1] in ("title", "source", "ask", "says") and "\n" in text.strip():
            where = read.where(place)
            found.setdefault(where, LabError("this must be one line", where=where, todo="Fold it with >-"))
    for name, text in texts.items():
        for number, what, todo in text_safety.hidden(text):
            where = f"{source / name}:{number}"
            found.setdefault(where, LabError(what, where=where, todo=todo))
    return list(found.values())


def _html(texts: Mapping[str, str], source: Path) -> Iterator[LabError]:
    """Yields the problems with HTML in a page: HTML is not drawn, so that its content would be hidden."""
    for name, text in texts.items():
        if name == "lab.yaml":
            continue
        bare = _CODE.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), text)
        for number, line in enumerate(bare.split("\n"), start=1):
            if match := _HTML.search(line):
                yield LabError(
                    f"'{plain(match.group(), 40)}' is HTML, which is not shown",
                    where=f"{source / name}:{number}",
                    todo="Write Markdown; put literal text between `…`",
                )


# -- pages and names ---------------------------------------------------------------------------------------


def _pages(read: Read, files: Mapping[str, bytes], source: Path) -> Iterator[LabError]:
    places: list[Place] = [("intro",), ("outro",)]
    places += [("steps", index, "text") for index in range(len(read.data["steps"]))]
    named = {"lab.yaml"}
    for place in places:
        name: Any = read.data
        for part in place:
            name = name[part]
        named.add(name)
        if name not in files:
            near = difflib.get_close_matches(name, files, n=1)
            todo = f"Did you mean '{near[0]}'?" if near else "Write that page in Markdown"
            yield LabError(f"there is no page '{name}'", where=read.where(place), todo=todo)
        elif not files[name].strip():
            yield LabError(
                "the page is empty", where=str(source / name), todo="Write what the step is about, and why"
            )
    for name in sorted(files.keys() - named):
        near = difflib.get_close_matches(name, named, n=1)
        todo = (
            f"Did you mean to name it instead of '{near[0]}'?" if near else "Remove it, or name it as a page"
        )
        yield LabError(
            f"lab.yaml does not name the file '{plain(name, 80)}'", where=str(source / name), todo=todo
        )


def _names(read: Read, texts: Mapping[str, str], source: Path) -> Iterator[LabError]:
    """Yields the problems with hosts, components, placeholders and flags that do not exist."""
    hosts, there = _stand(read.data.get("practice", {}))
    placeholder_names = {name for name in there if name.partition(".")[0] in ("lab", *hosts)}
    for place, text in _strings(read.data):
        yield from (_of_command if _is_command(place) else _of_value)(
            read, place, text, hosts, placeholder_names
        )
    for name, text in texts.items():
        if name != "lab.yaml":
            for number, line in enumerate(text.split("\n"), start=1):
                yield from _placeholder_errors(line, placeholder_names, f"{source / name}:{number}")


def _stand(practice: Mapping[str, Any]) -> tuple[list[str], frozenset[str]]:
    """Returns the hosts that a lab has, and all valid placeholders."""
    if practice.get("docker"):
        nothing = dict.fromkeys(compose_project.SERVICES, "")
        project = compose_project.ComposeProject(folder="", compose="", addresses=nothing, versions={})
        return list(nothing), frozenset(placeholders.compose_values(project, ""))
    has = {*FIRST, *practice.get("components", ())}
    hosts = [
        name
        for name, (component, _) in PORTS.items()
        if name in practice.get("hosts", ()) or (name not in MORE and component in has)
    ]
    return hosts, _placeholders_there()


def _of_command(
    read: Read, place: Place, text: str, hosts: list[str], placeholder_names: Collection[str]
) -> Iterator[LabError]:
    key = place[-1]
    if key in ("on", "from", "to") and text not in (*hosts, "here"):
        yield _unknown("host", text, hosts, read.where(place))
    on_hosts = {f"{host}.{name}" for host in hosts for name in _ON_HOSTS} if key == "host" else set()
    yield from _placeholders(text, {*placeholder_names, *on_hosts}, read, place)


def _of_value(
    read: Read, place: Place, text: str, hosts: list[str], placeholder_names: Collection[str]
) -> Iterator[LabError]:
    key, placed = place[-1], "place" in place or "fault" in place
    components = {**PORTS, **compose_project.SERVICES}
    places = {f"{host}/{components[host][0]}" for host in hosts}
    if key == "of" and text not in places:
        yield _unknown("component", text, places, read.where(place))
    elif (key == "host" or (placed and key in ("on", "to")) or "not_on" in place) and text not in hosts:
        yield _unknown("host", text, hosts, read.where(place))
    elif key == "signed_by" and text.partition("/")[0] not in hosts:
        yield _unknown("host", text.partition("/")[0], hosts, read.where(place))
    elif key == "flag":
        try:
            sandbox_policy.flag(re.sub(r"\{\{[^}]*\}\}", "x", text), root="/x")
        except LabError as error:
            yield LabError(error.what, where=read.where(place), todo=error.todo)
    yield from _placeholders(text, {*placeholder_names, *(_PLACED if placed else ())}, read, place)


@cache
def _placeholders_there() -> frozenset[str]:
    """Returns all placeholders of a practice stack with every possible host."""
    with tempfile.TemporaryDirectory(prefix="firescreen-") as folder:
        workspace = Workspace(Path(folder))
        hosts = tuple(
            PracticeHost(
                name=name, address="", port=port, component=component, program="", version="", folder=""
            )
            for name, (component, port) in PORTS.items()
        )
        workspace.practice.mkdir()
        record = dump(PracticeStack(folder="", suite="", promtool="", hosts=hosts))
        (workspace.practice / "practice.json").write_text(record, encoding="utf-8")
        return frozenset(placeholders.practice_values(workspace))


def _placeholders(text: str, valid_names: Collection[str], read: Read, place: Place) -> Iterator[LabError]:
    for number, line in enumerate(text.split("\n"), start=1):
        yield from _placeholder_errors(line, valid_names, _line(read, place, text, number))


def _placeholder_errors(line: str, valid_names: Collection[str], where: str) -> Iterator[LabError]:
    """Yields an error for a placeholder that cannot be filled in, with the one that was probably meant."""
    for name in _BRACES.findall(line):
        meant = name.strip().lower()
        if name in valid_names or not re.fullmatch(r"[a-z][a-z0-9_-]*\.[a-z]+", meant):
            continue  # a template of another program, e.g. {{ $labels.instance }}
        yield _unknown("placeholder", name, valid_names, where)


def _unknown(kind: str, name: str, valid_names: Collection[str], where: str) -> LabError:
    similar = difflib.get_close_matches(name.strip().lower(), valid_names, n=1)
    todo = f"Did you mean '{similar[0]}'?" if similar else f"Known: {', '.join(sorted(valid_names)[:12])}"
    if kind != "placeholder":
        todo += "; add more with 'practice' in the lab's file"
    return LabError(f"there is no {kind} '{plain(name, 60)}' in this lab", where=where, todo=todo)


def _empty(lab: Lab, read: Read) -> Iterator[LabError]:
    """Yields steps that nobody can do: without a plan of the engine and without a command."""
    for index, step in enumerate(lab.steps):
        if not step.typed:
            yield LabError(
                f"the step '{step.id}' has no commands",
                where=read.where(("steps", index)),
                todo="Write what a person types: commands, or answer",
            )


# -- its actions -------------------------------------------------------------------------------------------


def _describe_actions(lab: Lab, data: Mapping[str, Any]) -> Iterator[str]:
    """Yields all commands that it runs and files that it places, in plain lines; placeholders are not filled in."""
    yield f"{lab.id}: {plain(lab.title, 300)}"
    if lab.begin:
        yield "  Before the first step, Firescreen places:"
        yield from _fixtures(lab.begin)
    for number, (step, entry) in enumerate(zip(lab.steps, data["steps"], strict=True), start=1):
        yield f"  {number}. {plain(step.title, 300)} ({step.host})"
        yield from _step(step, entry)


def _step(step: LabStep, entry: Mapping[str, Any]) -> Iterator[str]:
    if step.fault:
        yield "     Firescreen places a fault:"
        yield from _fixtures(step.fault)
    for command in (*entry.get("commands", ()), *entry.get("answer", ())):
        forms: Mapping[str, Any] = {"": command}
        if isinstance(command, dict):
            forms = {f"({name}) ": text for name, text in command.items()}
        for name, text in forms.items():
            words = text if isinstance(text, str) else json.dumps(text, ensure_ascii=False)
            first, *more_lines = plain(words.rstrip("\n"), 4000).split("\n")
            yield f"     $ {name}{first}"
            yield from (f"       {line}" for line in more_lines)


def _fixtures(fixtures: Sequence[Fixture]) -> Iterator[str]:
    for placed in fixtures:
        options = dict(placed.options)
        text = options.pop("text", "")
        described = ", ".join(
            f"{key} {json.dumps(value, ensure_ascii=False)}" for key, value in options.items()
        )
        yield f"     + {placed.kind}: {plain(described, 20_000)}"
        yield from (f"       | {line}" for line in plain(text, 8000).split("\n") if text)
