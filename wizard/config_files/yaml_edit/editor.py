"""Byte-keeping edits of YAML: only the text between the marks that must change does.

An `Editor` collects edits of one document, and `apply` makes them together. It then parses the result
and refuses it unless it has exactly the intended content: a comment, an indent, a quote or a line end
elsewhere cannot change, and no alias can carry a change to a place that was not meant.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from wizard.config_files.yaml_edit import emitter, positions
from wizard.config_files.yaml_edit import style as _hand
from wizard.config_files.yaml_edit.document import Data, Document, Path, alias_ids, compose, data, load, null
from wizard.config_files.yaml_edit.emitter import Block, Inline, Plain, Quoted, Value
from wizard.config_files.yaml_edit.libyaml import without_anchors
from wizard.config_files.yaml_edit.positions import Slot, slots
from wizard.errors import ConfigError

__all__ = ["Block", "Document", "Editor", "Inline", "Path", "Plain", "Quoted", "Value", "load"]

_PROPERTIES = re.compile(r"(?:[&!]\S*\s+)*")


@dataclass(frozen=True, slots=True)
class _Splice:
    start: int
    end: int
    depth: int
    """At the same index the deeper block comes first; otherwise it would end up in the shallower one."""
    order: int
    text: str


class Editor:
    """Edits of one document, made together.

    A path is a tuple of mapping keys and sequence indices in the document before any edit.
    Every method raises `ConfigError` if the edit would change anything else.
    """

    def __init__(self, document: Document) -> None:
        self._document = document
        self._text = document.text
        self._splices: list[_Splice] = []
        self._expected = data(document)
        self._shared = alias_ids(document)

    def put(self, path: Path, value: Value) -> None:
        """Replaces the scalar, null or alias at `path`; present quotes are kept."""
        parent, slot = self._slot(path)
        if slot.alias or null(slot.node):
            self._fill(parent, slot, value)
        elif isinstance(slot.node, ScalarNode) and isinstance(value, (str, Plain, Quoted)):
            self._own(slot.node)
            self._replace_scalar(slot, value)
        else:
            raise self._refusal("a mapping or list stands where a single value was expected", slot.node)
        self._expect(path, lambda _: emitter.bare(value))

    def rewrite(self, path: Path, written: str, value: str) -> None:
        """Replaces the scalar at `path` by the YAML text `written`, which must parse as `value`."""
        _, slot = self._slot(path)
        self._own(slot.node)
        self._splice(slot.start, slot.end, written)
        self._expect(path, lambda _: value)

    def replace(self, path: Path, value: Value) -> None:
        """Replaces any node at `path` by `value`, with the comments within it."""
        parent, slot = self._slot(path)
        if not slot.alias:
            self._own(slot.node)
        self._fill(parent, slot, value)
        self._expect(path, lambda _: emitter.bare(value))

    def insert(self, path: Path, values: Mapping[str, Value]) -> None:
        """Adds keys at the end of the mapping at `path`, before the comments that follow it.

        A null there becomes a mapping; so does an empty document, whose path is ().
        """
        if not values:
            return
        if not path and null(self._document.root):
            self._append_text(emitter.mapping(values, column=0, style=_hand.style(self._document, None)))
            self._expected = emitter.bare(values)
            return
        node, slot = self._node(path)
        if slot is not None and null(node):
            self.put(path, values)
            return
        if not isinstance(node, MappingNode):
            raise self._refusal("a mapping was expected", node)
        if node.flow_style:
            self._insert_flow(node, emitter.flow(values, quote=_hand.key_quote(node))[1:-1])
        else:
            self._insert_block(node, values)
        self._expect(path, lambda old: {**old, **{key: emitter.bare(each) for key, each in values.items()}})

    def rename(self, path: Path, key: str, value: str) -> None:
        """Replaces key and value of the pair at `path`, in its place."""
        _, slot = self._slot(path)
        assert slot.key is not None
        self._splice(slot.key.start_mark.index, slot.key.end_mark.index, emitter.quote_scalar(key))
        if slot.alias:
            self._splice(slot.start, slot.end, emitter.quote_scalar(value))
        elif isinstance(slot.node, ScalarNode):
            self._own(slot.node)
            self._replace_scalar(slot, value)
        else:
            raise self._refusal("a single value was expected", slot.node)
        name = path[-1]
        self._expect(
            path[:-1],
            lambda old: {(key if k == name else k): (value if k == name else v) for k, v in old.items()},
        )

    def remove(self, path: Path) -> None:
        """Removes a key with its value and the comment on their lines."""
        parent, slot = self._slot(path)
        assert isinstance(parent, MappingNode) and slot.key is not None
        places = slots(self._document, parent)
        index = next(number for number, each in enumerate(places) if each.key is slot.key)
        if len(places) == 1:
            raise self._refusal("it is the only key of its mapping", slot.key)
        start = slot.key.start_mark.index
        if parent.flow_style:
            self._cut_flow([(positions.key_start(each), each.end) for each in places], {index})
        elif self._text[positions.line_start(self._text, start) : start].strip():
            self._splice(start, positions.key_start(places[index + 1]), "")
        else:
            self._splice(
                positions.line_start(self._text, start), positions.after_line(self._text, slot.end), ""
            )
        self._expect(path[:-1], lambda old: {k: v for k, v in old.items() if k != path[-1]})

    def append(self, path: Path, value: Value, *, spaced: bool = False) -> None:
        """Adds an item at the end of the list at `path`, with its dash at the same column as the others.

        A null or an empty list becomes a block. `spaced` adds a blank line before the new item.
        """
        node, slot = self._node(path)
        if slot is not None and null(node):
            self.put(path, [value])
        elif isinstance(node, SequenceNode) and not node.value and slot is not None:
            parent, _ = self._slot(path)
            self._fill(parent, slot, [value])
            self._expect(path, lambda _: [emitter.bare(value)])
        elif not isinstance(node, SequenceNode):
            raise self._refusal("a list was expected", node)
        elif node.flow_style:
            last = node.value[-1] if node.value else None
            self._insert_flow(node, emitter.flow(value, quote=_hand.key_quote(last)))
            self._expect(path, lambda old: [*old, emitter.bare(value)])
        else:
            self._append_block(node, value, spaced=spaced)
            self._expect(path, lambda old: [*old, emitter.bare(value)])

    def prepend(self, path: Path, value: Value) -> None:
        """Adds an item at the beginning of the list at `path`, which must not be empty."""
        node, _ = self._node(path)
        if not isinstance(node, SequenceNode) or not node.value:
            raise self._refusal("a list with at least one item was expected", node)
        if node.flow_style:
            first = slots(self._document, node)[0].start
            self._splice(first, first, emitter.flow(value, quote=_hand.key_quote(node.value[0])) + ", ")
        else:
            self._lone_dash(node, 0)
            at = positions.dash(self._document, node, 0)
            style = _hand.style(self._document, node, at=at)
            start = positions.line_start(self._text, at)
            self._splice(start, start, emitter.item(value, column=at - start, style=style))
        self._expect(path, lambda old: [emitter.bare(value), *old])

    def remove_items(self, path: Path, indices: Collection[int]) -> None:
        """Removes items of a list; in block style, at least one must stay."""
        node, _ = self._node(path)
        assert isinstance(node, SequenceNode)
        places = slots(self._document, node)
        if node.flow_style:
            self._cut_flow([(each.start, each.end) for each in places], set(indices))
        elif len(set(indices)) == len(places):
            raise self._refusal("nothing would be left of the list", node)
        else:
            for index in sorted(set(indices)):
                self._lone_dash(node, index)
                start = positions.line_start(self._text, positions.dash(self._document, node, index))
                self._splice(start, positions.after_line(self._text, places[index].end), "")
        self._expect(path, lambda old: [each for number, each in enumerate(old) if number not in indices])

    def double(self, path: Path, *, spaced: bool = False) -> None:
        """Adds a copy of a list item after it, byte for byte except for anchors, which only the original keeps.

        `spaced` adds a blank line between the two.
        """
        parent, slot = self._slot(path)
        assert isinstance(parent, SequenceNode) and isinstance(path[-1], int)
        index = path[-1]
        if slot.alias:
            raise self._refusal("it is an alias", slot.node)
        if parent.flow_style:
            self._splice(slot.end, slot.end, ", " + without_anchors(self._text[slot.start : slot.end]))
        else:
            self._lone_dash(parent, index)
            mark = positions.dash(self._document, parent, index)
            start = positions.line_start(self._text, mark)
            lines = without_anchors(self._text[start : positions.after_line(self._text, slot.end)])
            if not lines.endswith("\n"):
                lines += positions.newline(self._text)
            gap = positions.newline(self._text, start) if spaced else ""
            self._insert_lines(slot.end, gap + lines, depth=0, beyond=mark - start)
        self._expect(path[:-1], lambda old: [*old[: index + 1], *old[index:]])

    def apply(self) -> Document:
        """The document with all edits made, parsed again and compared with the intended content."""
        if not self._splices:
            return self._document
        pieces, cursor = [], 0
        for splice in sorted(self._splices, key=lambda each: (each.start, -each.depth, each.order)):
            if splice.start < cursor:
                raise self._refusal("two edits of the same lines get into each other's way", None)
            pieces += [self._text[cursor : splice.start], splice.text]
            cursor = splice.end
        text = "".join([*pieces, self._text[cursor:]])
        try:
            result = compose(
                text, name=self._document.name, mark=self._document.mark, first_line=self._document.first_line
            )
            content = data(result)
        except ConfigError as problem:
            raise ConfigError(
                f"the edit does not lead to valid YAML: {problem.what}",
                where=problem.where,
                todo="Edit this file yourself; it has not been changed",
            ) from problem
        if content != self._expected:
            raise ConfigError(
                "the edit would change more than what was asked for, through an anchor or an unusual layout",
                where=self._document.place(self._text.count("\n", 0, min(s.start for s in self._splices))),
                todo="Edit this file yourself; it has not been changed",
            )
        return result

    # -- finding ------------------------------------------------------------------------------------------

    def _node(self, path: Path) -> tuple[Node, Slot | None]:
        """The collection or null at `path`, which must not occur elsewhere by an alias."""
        if not path:
            assert self._document.root is not None
            return self._document.root, None
        _, slot = self._slot(path)
        if slot.alias:
            raise self._elsewhere(slot.node, path)
        self._own(slot.node)
        return slot.node, slot

    def _slot(self, path: Path) -> tuple[Node, Slot]:
        node = self._document.root
        slot: Slot | None = None
        for depth, step in enumerate(path):
            if slot is not None and slot.alias:
                raise self._elsewhere(slot.node, path[:depth])
            assert node is not None
            self._own(node)
            slot = positions.child(self._document, node, step)
            if slot is None:
                raise self._refusal(f"there is no {step!r} here", node)
            parent, node = node, slot.node
        assert slot is not None
        return parent, slot

    def _own(self, node: Node) -> None:
        if id(node) in self._shared:
            raise ConfigError(
                "this part is used elsewhere too, through an anchor and an alias, so that a change of it would "
                "change other places",
                where=self._document.where(node),
                todo="Write the values out where the alias stands, then try again",
            )

    def _elsewhere(self, node: Node, path: Path) -> ConfigError:
        return ConfigError(
            f"{'.'.join(map(str, path))} is an alias of another part of the file",
            where=self._document.where(node),
            todo="Write the values out where the alias stands, then try again",
        )

    def _refusal(self, what: str, node: Node | None) -> ConfigError:
        return ConfigError(
            f"this cannot be edited safely: {what}",
            where=self._document.where(node),
            todo="Edit it yourself; the file has not been changed",
        )

    def _lone_dash(self, node: SequenceNode, index: int) -> None:
        at = positions.dash(self._document, node, index)
        if self._text[positions.line_start(self._text, at) : at].strip():
            raise self._refusal("the list begins in the middle of a line", node)

    # -- writing ------------------------------------------------------------------------------------------

    def _splice(self, start: int, end: int, text: str, depth: int = 0) -> None:
        self._splices.append(_Splice(start, end, depth, len(self._splices), text))

    def _expect(self, path: Path, change: Callable[[Data], Data]) -> None:
        """Makes the change in the intended content, and copies on the way down, so that aliases elsewhere stay."""

        def change_copy(value: Data, rest: Path) -> Data:
            if not rest:
                return change(value)
            copy: Data = list(value) if isinstance(value, list) else dict(value)
            copy[rest[0]] = change_copy(value[rest[0]], rest[1:])
            return copy

        self._expected = change_copy(self._expected, path)

    def _replace_scalar(self, slot: Slot, value: str | Plain | Quoted) -> None:
        style = getattr(slot.node, "style", "") or ""
        text = emitter.quote_scalar(value, style=style) if isinstance(value, str) else emitter.flow(value)
        skipped = _PROPERTIES.match(self._text, slot.start, slot.end)
        start = skipped.end() if skipped and not style else slot.start
        self._splice(start, slot.end, text)

    def _fill(self, parent: Node, slot: Slot, value: Value) -> None:
        """Sets a value in place of nothing, a null or an alias."""
        block = emitter.deep(value)
        empty = slot.start == slot.end
        if not isinstance(parent, MappingNode) or parent.flow_style or not block:
            text = emitter.flow(value, quote=_hand.key_quote(parent))
            self._splice(slot.start, slot.end, (" " if empty else "") + text)
            return
        assert slot.key is not None
        key_end = slot.key.end_mark.index
        colon = self._text.index(":", key_end) + 1
        if not empty:
            self._splice(colon, slot.end, "")
        at = positions.column(self._document, parent)
        style = _hand.style(self._document, parent, at=slot.end)
        lines = emitter.pair("x", value, column=at, style=style)
        self._insert_lines(slot.end, lines[lines.index("\n") + 1 :], depth=at + 1)

    def _insert_flow(self, node: Node, text: str) -> None:
        if not node.value:
            end = node.end_mark.index - 1
            second = any(splice.start == splice.end == end for splice in self._splices)
            self._splice(end, end, ", " + text if second else text)
            return
        last = slots(self._document, node)[-1].end
        self._splice(last, last, ", " + text)

    def _insert_block(self, node: MappingNode, values: Mapping[str, Value]) -> None:
        end = positions.tail(self._document, node)
        at = positions.column(self._document, node)
        style = _hand.style(self._document, node, at=end)
        self._insert_lines(end, emitter.mapping(values, column=at, style=style), depth=at)

    def _append_block(self, node: SequenceNode, value: Value, *, spaced: bool) -> None:
        last = len(node.value) - 1
        self._lone_dash(node, last)
        mark = positions.dash(self._document, node, last)
        at = mark - positions.line_start(self._text, mark)
        end = slots(self._document, node)[-1].end
        style = _hand.style(self._document, node, at=end)
        lines = emitter.item(value, column=at, style=style, gap=_hand.gap(self._document, node))
        self._insert_lines(end, (style.newline if spaced else "") + lines, depth=at, beyond=at)

    def _insert_lines(self, end: int, lines: str, *, depth: int, beyond: int | None = None) -> None:
        """Inserts whole lines after the line of `end`; a missing last line end stays missing.

        With `beyond`, they go after the following comments that are indented deeper than that column.
        """
        at = positions.after_line(self._text, end)
        if beyond is not None:
            at = positions.after_comments(self._text, end, beyond)
        if at == len(self._text) and not self._text.endswith("\n"):
            ending = positions.newline(self._text)
            lines = ending + lines.removesuffix("\n").removesuffix("\r")
        self._splice(at, at, lines, depth)

    def _append_text(self, lines: str) -> None:
        text = self._text
        gap = "" if not text or text.endswith("\n") else positions.newline(text)
        self._splice(len(text), len(text), gap + lines)

    def _cut_flow(self, places: list[tuple[int, int]], gone: set[int]) -> None:
        runs: list[list[int]] = []
        for index in sorted(gone):
            if runs and runs[-1][-1] == index - 1:
                runs[-1].append(index)
            else:
                runs.append([index])
        for run in runs:
            first, last = run[0], run[-1]
            if last + 1 < len(places):
                self._splice(places[first][0], places[last + 1][0], "")
            else:
                self._splice(places[first - 1][1] if first else places[0][0], places[last][1], "")
