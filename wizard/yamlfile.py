"""Reads Firescreen's own YAML files (stacks, labs); every error names file, line and what to do.

Nothing in a file is executed or converted to an object, the size of a file is limited, and an error about an unknown key
suggests the most similar known one.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml.error import FileMark, MarkedYAMLError, StringMark, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from wizard.errors import InputError

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError as SchemaMistake

MOST_NODES = 100_000
"""Maximum number of values: aliases can expand a small file to a huge one."""

Place: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Format:
    """A type of file, with the texts for its errors.

    Args:
        noun: what the file is, e.g. 'a stack file'.
        error: the exception for errors in it.
        largest: maximum size in bytes.
        start: what to do about an empty file.
        advice: what to write instead, by the keyword of the schema (oneOf, pattern …).
    """

    noun: str
    error: type[InputError]
    largest: int
    start: str
    advice: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Read:
    """The values of a file, with the line number of each place in them."""

    data: Any
    source: str
    lines: Mapping[Place, int]

    def where(self, place: Place) -> str:
        """`file:line` of a place, or of the nearest place around it."""
        line = next(
            (self.lines[place[:end]] for end in range(len(place), -1, -1) if place[:end] in self.lines), 1
        )
        return f"{self.source}:{line}"


def text_of(path: Path, form: Format) -> str:
    """Reads the text of a file.

    Raises:
        InputError: (`form.error`) the file is too large, not UTF-8, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            content = file.read(form.largest + 1)
            if len(content) > form.largest:
                size = path.stat().st_size
                raise form.error(f"the file has {size} bytes; {form.noun} has far fewer", where=str(path))
        # Like text mode: files from other systems may have other line ends.
        return content.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise form.error(
            f"byte {error.start} is not UTF-8 text", where=str(path), todo="Save the file as UTF-8"
        ) from error
    except OSError as error:
        raise form.error(
            f"the file cannot be read: {error.strerror or error}",
            where=str(path),
            todo="Check its name and who may read it",
        ) from error


def parse(text: str, *, source: str, form: Format) -> Read:
    """Parses a text; `source` is its name in messages.

    Raises:
        InputError: (`form.error`) the text is empty or not valid YAML, or has a duplicate key.
    """
    lines: dict[Place, int] = {}
    try:
        node = YAML(typ="safe").compose(StringIO(text))
        if node is None:
            raise form.error("the file is empty", where=source, todo=form.start)
        data = _Reader(source, lines, form.error).value(node, ())
    except MarkedYAMLError as error:
        mark = _mark(error)
        line = mark.line + 1 if mark else 1
        raise form.error(
            f"this is not valid YAML: {error.problem or error.context}",
            where=f"{source}:{line}",
            todo="Check the indentation and the colons around this line",
        ) from error
    except (YAMLError, RecursionError) as error:
        raise form.error(f"this is not valid YAML: {type(error).__name__}", where=source) from error
    return Read(data, source, lines)


def check(read: Read, schema: Mapping[str, Any], form: Format) -> None:
    """Validates the values with a JSON schema.

    Raises:
        InputError: (`form.error`) describes the most relevant mistake.
    """
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    mistake = best_match(Draft202012Validator(schema).iter_errors(read.data))
    if mistake is not None:
        raise _schema_error(mistake, read, form)


def mistakes(read: Read, schema: Mapping[str, Any], form: Format) -> list[InputError]:
    """Errors for all mistakes that a JSON schema finds in the values, with one for each unknown key."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    found: list[InputError] = []
    for mistake in Draft202012Validator(schema).iter_errors(read.data):
        worst = best_match([mistake])
        assert worst is not None
        unknown: tuple[str | None, ...] = (None,)
        if worst.validator == "additionalProperties":
            part: Any = worst.schema
            instance: Any = worst.instance
            unknown = tuple(key for key in instance if key not in part["properties"])
        found += [_schema_error(worst, read, form, unknown=key) for key in unknown]
    return found


class _Reader:
    """Converts YAML nodes to plain values, and records the line of each place."""

    def __init__(self, source: str, lines: dict[Place, int], error: type[InputError]) -> None:
        self._source = source
        self._lines = lines
        self._error = error
        self._left = MOST_NODES

    def value(self, node: Node, place: Place) -> Any:
        """The plain value of a node.

        Raises:
            InputError: a key is duplicate or not a text, or there are too many values.
        """
        self._left -= 1
        line = node.start_mark.line + 1
        if self._left < 0:
            raise self._error("the file holds too many values", where=f"{self._source}:{line}")
        self._lines.setdefault(place, line)
        if isinstance(node, MappingNode):
            return self._mapping(node, place)
        if isinstance(node, SequenceNode):
            return [self.value(item, (*place, index)) for index, item in enumerate(node.value)]
        assert isinstance(node, ScalarNode)
        return _scalar(node)

    def _mapping(self, node: MappingNode, place: Place) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            where = f"{self._source}:{key_node.start_mark.line + 1}"
            if not isinstance(key_node, ScalarNode):
                raise self._error("a key has to be a plain text", where=where)
            key = str(key_node.value)
            if key in found:
                raise self._error(f"'{key}' is listed twice", where=where, todo="Keep one of them")
            self._lines[(*place, key)] = key_node.start_mark.line + 1
            found[key] = self.value(value_node, (*place, key))
        return found


def _scalar(node: ScalarNode) -> Any:
    tag = str(node.tag).rpartition(":")[2]
    if tag == "int":
        try:
            return int(node.value.replace("_", ""), 0)
        except ValueError:
            return node.value
    if tag == "bool":
        return node.value.lower() in ("true", "yes", "on")
    if tag == "null":
        return None
    return node.value


def _schema_error(
    mistake: SchemaMistake, read: Read, form: Format, *, unknown: str | None = None
) -> InputError:
    """The error for a mistake that the schema has found, with its line.

    Args:
        unknown: the unknown key to report; None for the first one.
    """
    place: Place = tuple(mistake.absolute_path)
    what, todo = mistake.message, form.advice.get(str(mistake.validator), "")
    name = _name(place)
    schema: Any = mistake.schema
    value: Any = mistake.validator_value
    instance: Any = mistake.instance
    if "propertyNames" in mistake.absolute_schema_path:
        place = (*place, str(instance))
    if mistake.validator == "additionalProperties":
        known = sorted(schema["properties"])
        unknown = unknown or next(key for key in instance if key not in known)
        place = (*place, unknown)
        near = difflib.get_close_matches(unknown, known, n=1)
        what = f"unknown key '{unknown}' in {name}"
        todo = f"Did you mean '{near[0]}'?" if near else f"Use one of: {', '.join(known)}"
    elif mistake.validator == "required":
        missing = next(key for key in value if key not in instance)
        what, todo = f"{name} lacks '{missing}'", f"Add '{missing}:'"
    elif mistake.validator == "enum":
        allowed = [str(choice) for choice in value if choice != ""]
        near = difflib.get_close_matches(str(instance), allowed, n=1)
        what = f"{name} cannot be '{instance}'"
        todo = f"Did you mean '{near[0]}'?" if near else f"Choose one of: {', '.join(allowed)}"
    elif mistake.validator == "const":
        what, todo = f"{name} is {instance!r}", f"Write {value}: this Firescreen reads no other version"
    elif mistake.validator == "type":
        what = f"{name} has to be {_article(str(value))}"
        todo = todo or ("Correct it" if place else "Name another file, or correct this one")
    elif mistake.validator == "pattern":
        origin = "://" in value
        what = f"'{instance}' cannot be {'an origin' if origin else 'a name'} here"
        todo = "Write scheme and name, as https://grafana.example.net" if origin else todo
    elif mistake.validator == "oneOf":
        what = f"{name} cannot be {instance!r}"
    elif mistake.validator in ("minimum", "maximum"):
        word = "at least" if mistake.validator == "minimum" else "at most"
        what = f"{name} is {instance}; it has to be {word} {value}"
    elif mistake.validator in ("minItems", "minProperties") and not instance:
        what, todo = f"{name} is empty", "Name at least one"
    elif mistake.validator in ("minItems", "maxItems", "minProperties", "maxProperties"):
        word = "at least" if str(mistake.validator).startswith("min") else "at most"
        what = f"{name} has {len(instance)} entries; it has to have {word} {value}"
    return form.error(what, where=read.where(place), todo=todo)


def _name(place: Place) -> str:
    if not place:
        return "the file"
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in place]
    return f"'{''.join(parts).lstrip('.')}'"


def _article(kind: str) -> str:
    words = {"object": "a mapping (key: value)", "array": "a list", "integer": "a whole number"}
    return words.get(kind, f"a {kind}")


def _mark(error: MarkedYAMLError) -> StringMark | FileMark | None:
    """The position to report: the start of an unclosed bracket, else the position where parsing stopped."""
    unclosed = str(error.context or "").startswith("while parsing a flow")
    mark: StringMark | FileMark | None = error.problem_mark or error.context_mark
    return error.context_mark if unclosed and error.context_mark else mark
