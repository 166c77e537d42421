"""Flags in a service's `command` or `entrypoint`, which may be a list or one string in any of YAML's styles.

Only the words of the flag change: quotes, folds and comments around them stay.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import Node, ScalarNode, SequenceNode

from wizard.config_files.compose.interpolation import escape, expand
from wizard.config_files.compose.project import words_of
from wizard.config_files.shell_syntax import find_flag, split
from wizard.config_files.yaml_edit import positions
from wizard.config_files.yaml_edit.document import Document, Path, text_of
from wizard.config_files.yaml_edit.editor import Block, Editor, Plain, Quoted, Value
from wizard.config_files.yaml_edit.libyaml import compose_nodes
from wizard.errors import ConfigError

SHELLS = ("sh", "bash", "ash", "dash")
_PLAIN = re.compile(r"[^\s\-?:,\[\]{}#&*!|>'\"%@`][^\s#]*|--?[^\s\-#][^\s#]*")


@dataclass(frozen=True, slots=True)
class Flags:
    """The flags for a program: values by flag name without dashes, as the program will see them."""

    wanted: Mapping[str, str]
    variables: Mapping[str, str]

    def missing_from(self, words: tuple[str, ...]) -> dict[str, str]:
        """The flags that `words` lack, or have with another value."""
        seen = [expand(word, self.variables) for word in words]
        return {name: value for name, value in self.wanted.items() if _value(seen, name) != [value]}

    def add_to(self, words: tuple[str, ...]) -> list[str]:
        """`words` (as written in a file) with every flag set, at its present place or at the end."""
        result = list(words)
        for name, value in self.missing_from(words).items():
            new = escape(f"--{name}={value}")
            places = find_flag(result, name)
            for number, (first, behind) in reversed(list(enumerate(places))):
                result[first:behind] = [] if number else [new]
            if not places:
                result.append(new)
        return result


def shell_script(words: tuple[str, ...]) -> bool:
    """Whether these words run a script in a shell, so that a flag at their end would not reach the program."""
    return bool(words) and words[0].rsplit("/", 1)[-1] in SHELLS


def set_flags(document: Document, editor: Editor, path: Path, node: Node, flags: Flags) -> None:
    """Sets flags in the list or string at `path`, which must be written only there.

    Raises:
        ConfigError: its layout allows no safe edit.
    """
    if isinstance(node, SequenceNode):
        _in_list(editor, path, node, flags)
    elif isinstance(node, ScalarNode):
        _in_text(document, editor, path, node, flags)


def word_list(words: list[str], *, like: Node | None = None) -> Value:
    """A new list of words, quoted like the items of `like` if that is a list."""
    return Block([item(word, quotes(like)) for word in words])


def _in_list(editor: Editor, path: Path, node: SequenceNode, flags: Flags) -> None:
    words = words_of(node) or ()
    if len(words) != len(node.value):
        raise ConfigError("the command has an item that is not text", todo="Edit this command yourself")
    for name, value in flags.missing_from(words).items():
        word = escape(f"--{name}={value}")
        places = find_flag(words, name)
        if not places:
            editor.append(path, item(word, quotes(node), flow=bool(node.flow_style)))
            continue
        first = places[0][0]
        editor.put((*path, first), item(word, node.value[first].style or "", flow=bool(node.flow_style)))
        gone = {index for start, behind in places for index in range(start, behind)} - {first}
        if gone:
            editor.remove_items(path, gone)


def _in_text(document: Document, editor: Editor, path: Path, node: ScalarNode, flags: Flags) -> None:
    *_, last = path
    slot = next(
        each for each in _slots(document, path[:-1]) if each.key is not None and each.key.value == last
    )
    written, wanted = document.text[slot.start : slot.end], words_of(node) or ()
    if not flags.missing_from(wanted):
        return
    for name, value in flags.missing_from(wanted).items():
        wanted = tuple(Flags({name: value}, flags.variables).add_to(wanted))
        written = _with_flag(written, node, name, escape(shlex.quote(f"--{name}={value}")))
    text = document.text[: slot.start] + written + document.text[slot.end :]
    try:
        value = text_of(_at(compose_nodes(text)[0], path))
    except YAMLError:
        value = ""
    if tuple(word.text for word in split(value, c_escapes=False)) != wanted:
        raise ConfigError(
            "this command is one string whose layout leaves no safe place for a flag",
            where=document.where(node),
            todo="Write the command as a list, one flag an item, then try again",
        )
    editor.rewrite(path, written, value)


def _with_flag(written: str, node: ScalarNode, name: str, new: str) -> str:
    """The scalar as in the file, with the flag replaced or added after the last word."""
    style = node.style or ""
    if style == "'":
        new = new.replace("'", "''")
    elif style == '"':
        new = new.replace("\\", "\\\\").replace('"', '\\"')
    present = re.compile(rf"(?<![\w-])--{re.escape(name)}(?:=|[ \t]+(?!-))[^\s'\"]*")
    if len(present.findall(written)) == 1:
        return present.sub(lambda _: new, written)
    if style in ("|", ">"):
        body = written.rstrip()
        lead = re.match(r"\s*", body.splitlines()[-1])
        assert lead is not None
        return f"{body}{positions.newline(written)}{lead.group()}{new}{written[len(body) :]}"
    if style in ("'", '"'):
        return f"{written[:-1].rstrip()} {new}{style}"
    return f"{written} {new}"


def item(word: str, style: str, *, flow: bool = False) -> Value:
    """A word as an item of a list, in these quotes; without quotes only if it reads the same.

    Args:
        word: the text.
        style: `'`, `"`, or ''.
        flow: whether the list is written `[a, b]`.
    """
    safe = _PLAIN.fullmatch(word) is not None and ": " not in word and not word.endswith(":")
    if flow and re.search(r"[,\[\]{}]", word):
        safe = False
    if not style and safe:
        return Plain(word)
    return Quoted(word, style or '"')


def quotes(node: Node | None) -> str:
    """The quotes around most items of a list."""
    if not isinstance(node, SequenceNode) or not node.value:
        return ""
    found = [each.style if isinstance(each, ScalarNode) else "" for each in node.value]
    styles: list[str] = [style if style in ("'", '"') else "" for style in found]
    return max(dict.fromkeys(reversed(styles)), key=styles.count)


def _value(words: list[str], flag: str) -> list[str]:
    """The values of a flag in a command line."""
    found = []
    for first, behind in find_flag(words, flag):
        found.append(words[first].partition("=")[2] if behind - first == 1 else words[behind - 1])
    return found


def _slots(document: Document, path: Path) -> list[positions.Slot]:
    node = _at(document.root, path)
    assert node is not None
    return positions.slots(document, node)


def _at(root: Node | None, path: Path) -> Node | None:
    """The node at a path that consists of keys only."""
    node = root
    for step in path:
        node = (
            next((value for key, value in node.value if key.value == step), None)
            if node is not None
            else None
        )
    return node
