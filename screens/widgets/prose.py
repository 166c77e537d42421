"""Text that is wrapped readably: a long path after a slash, and a line below its label or bullet.

Textual breaks a word that is wider than its widget at any letter, so that a path looks like two names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.cells import cell_len
from textual.content import Content
from textual.visual import RenderOptions, Visual
from textual.widgets import Static

if TYPE_CHECKING:
    from textual.css.styles import RulesMap
    from textual.selection import Selection
    from textual.strip import Strip
    from textual.style import Style

_WORD = re.compile(r"\S+\s*")
# Blanks, a sign of its own, and up to three words followed by two blanks: wrapped lines are indented to the end of this
# match.
_HANG = re.compile(r"\s*(?:[^\w\s/<(\[] )?\s*(?:[\w-]+(?: [\w-]+){0,2} {2,}(?=\S))?")
_BREAKS = tuple(re.compile(each) for each in (r"(?<=/)(?=[^/])", r"(?<=[:=,@])", r"(?<=[-._])", r"(?<=.)"))
"""Where a word that is wider than a line is divided: the first kind of position whose parts fit is used."""
_MARK = "\u2060"
"""Marks a line end that is not in the text, for copying with the mouse; it takes no cell."""


class Prose(Static):
    """Plain text of any length."""

    def render(self) -> Visual:
        """Draws the text, wrapped to its width."""
        visual = self.visual
        return _Broken(visual) if isinstance(visual, Content) else visual

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """Returns the selected text without the line ends that were added."""
        visual = self.visual
        if not isinstance(visual, Content):
            return None
        shown = break_lines(visual, self.content_size.width, mark=_MARK).plain
        return re.sub(rf" *{_MARK}\n *", _joining_blank, selection.extract(shown)), "\n"


def _joining_blank(match: re.Match[str]) -> str:
    """Returns the text that a line end replaced: a blank, or nothing within a word."""
    return " " if match[0].startswith(" ") else ""


class _Broken(Visual):
    """A text that is wrapped again for each width."""

    def __init__(self, content: Content) -> None:
        self._content = content
        self._width, self._lines = -1, content

    def _at(self, width: int) -> Content:
        if width != self._width:
            self._width, self._lines = width, break_lines(self._content, width)
        return self._lines

    def render_strips(
        self, width: int, height: int | None, style: Style, options: RenderOptions
    ) -> list[Strip]:
        """Returns the lines."""
        return self._at(width).render_strips(width, height, style, options)

    def get_optimal_width(self, rules: RulesMap, container_width: int) -> int:
        """Returns the width of the longest line."""
        return self._content.get_optimal_width(rules, container_width)

    def get_minimal_width(self, rules: RulesMap) -> int:
        """Returns the width of the longest word."""
        return self._content.get_minimal_width(rules)

    def get_height(self, rules: RulesMap, width: int) -> int:
        """Returns the number of lines at this width."""
        return self._at(width).get_height(rules, width)


def break_lines(content: Content, width: int, *, mark: str = "") -> Content:
    """Wraps every line that is wider than `width`; `mark` is put before each added line end."""
    if width < 1 or all(cell_len(line) <= width for line in content.plain.split("\n")):
        return content
    lines: list[Content] = []
    for line in content.split("\n", allow_blank=True):
        if line.cell_length <= width:
            lines.append(line)
            continue
        found = _HANG.match(line.plain)
        hang = found.end() if found else 0
        if hang > width // 3:
            hang = min(len(line.plain) - len(line.plain.lstrip()), width // 3)
        first, *more = line.divide(list(_places(line.plain, width, hang)))
        parts = [first, *(Content.assemble(" " * hang, each) for each in more)]
        lines.append(Content(f"{mark}\n").join([each if mark else each.rstrip() for each in parts]))
    return Content("\n").join(lines)


def _places(line: str, width: int, hang: int) -> Iterator[int]:
    """Yields the offsets at which a line is wrapped."""
    column = len(line) - len(line.lstrip())
    room = width - hang
    for word in _WORD.finditer(line):
        text = word[0].rstrip()
        size = cell_len(text)
        if column + size > width:
            at = word.start()
            parts = [text] if size <= room else _parts(text, room)
            for part in parts:
                if column + cell_len(part) > width and column > hang:
                    yield at
                    column = hang
                column += cell_len(part)
                at += len(part)
        else:
            column += size
        column += len(word[0]) - len(text)


def _parts(word: str, room: int, kind: int = 0) -> list[str]:
    """Returns a word divided into parts that fit."""
    found: list[str] = []
    for part in _BREAKS[kind].split(word):
        is_small_enough = cell_len(part) <= room or kind == len(_BREAKS) - 1
        found += [part] if is_small_enough else _parts(part, room, kind + 1)
    return [each for each in found if each]
