"""Draws the diffs of a plan: by folder and file, with line numbers, syntax colours and changed words.

Side by side if two columns fit; a line that is too long is wrapped, and nothing is cut.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.content import Content

from screens.plan.diff_lines import DiffLine, parse_diff, side_by_side, without_base64
from screens.state_styles import inline, place
from screens.themes import CHIP_TEXT, NO_HOST
from screens.widgets.syntax import highlight
from wizard.redact import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wizard.model import Change, PlannedStep

SIDE_BY_SIDE = 100
"""From this width (cells) on, old and new are side by side."""
BOTH_NUMBERS = 70
"""From this width (cells) on, a line has both numbers."""
WHOLE_FILE = 100_000
"""So many lines around a change that the whole file is shown."""

_SIGNS = {"create": ("+", "created", "$success"), "remove": ("-", "removed", "$error")}
_STYLES = {
    "added": ("+", "$success", "on $added", "on $added-word"),
    "removed": ("-", "$error", "on $removed", "on $removed-word"),
    "same": (" ", "$quiet", "", ""),
}


@dataclass(frozen=True, slots=True)
class DiffOptions:
    """Options for drawing diffs."""

    width: int = 80
    whole: bool = False
    """Whether unchanged stretches and the base64 of certificates are shown too."""
    no_color: bool = False
    colours: Mapping[str, str] | None = None
    """The colour of each host."""


def diff_view(steps: Sequence[PlannedStep], options: DiffOptions) -> Content:
    """Returns what the steps change in which file, exactly; secrets as fingerprints."""
    parts: list[Content] = []
    before = ("", "")
    for step in steps:
        for change in step.changes:
            folder = change.host, _folder(change)
            lines = [_folder_heading(*folder, options)] if folder != before and folder[1] else []
            before = folder
            parts.append(Content("\n").join([*lines, *_change(change, options)]))
    return Content("\n\n").join(parts)


def _folder(change: Change) -> str:
    return posixpath.dirname(change.path) if change.kind not in ("restart", "reload") else ""


def _folder_heading(host: str, folder: str, options: DiffOptions) -> Content:
    """Returns the host's chip and the folder that contains the files below."""
    colour = (options.colours or {}).get(host, NO_HOST)
    chip = Content.styled(f" {place(host)} ", f"bold {CHIP_TEXT} on {colour}")
    return Content.assemble(chip, (f" {inline(folder, 300)}/", "$primary"))


def _change(change: Change, options: DiffOptions) -> Iterator[Content]:
    text = plain(change.diff(WHOLE_FILE if options.whole else 3), 200_000).expandtabs(8)
    if change.kind in ("restart", "reload"):
        yield Content.assemble(
            ("! ", "bold $warning"), (inline(change.title(), 200), "bold"), f" on {place(change.host)}"
        )
        for line in text.splitlines()[1:]:
            yield Content.styled(inline(line.removeprefix("! "), 400), "$quiet")
        return
    sign, word, colour = _SIGNS.get(
        change.kind, ("~", {"mode": "rights"}.get(change.kind, change.kind), "$warning")
    )
    name = posixpath.basename(change.path)
    if change.kind == "folder":
        yield Content.assemble(
            ("+ ", "bold $success"),
            (f"{inline(name, 200)}/", "bold"),
            f"  {text.partition('/  ')[2].strip()}",
        )
        return
    lines = parse_diff(text) if options.whole else without_base64(parse_diff(text))
    rights = "".join(
        line.text.removeprefix("mode and owner: ") for line in lines if line.text.startswith("mode and owner")
    )
    yield Content.assemble(
        (f"{sign} ", f"bold {colour}"),
        (inline(name, 200), "bold"),
        (f"  {word}", colour),
        (f"  {inline(rights, 100)}", "$quiet"),
    )
    shown = tuple(line for line in lines if not line.text.startswith("mode and owner"))
    paired = any(line.old for line in shown) and any(line.new for line in shown)
    if options.width >= SIDE_BY_SIDE and paired:
        yield from _beside(shown, options)
    else:
        yield from _below(shown, options)


def _below(lines: tuple[DiffLine, ...], options: DiffOptions) -> Iterator[Content]:
    digits = _digits(lines)
    for line in lines:
        if line.kind in ("fold", "note"):
            yield from _aside(line, options.width)
            continue
        numbers = (line.old, line.new) if options.width >= BOTH_NUMBERS else (line.new or line.old,)
        gutter = " ".join(f"{number or '':>{digits}}" for number in numbers)
        yield from _draw_line(line, gutter, options.width, options)


def _beside(lines: tuple[DiffLine, ...], options: DiffOptions) -> Iterator[Content]:
    digits, width = _digits(lines), (options.width - 3) // 2
    for old, new in side_by_side(lines):
        if old is not None and old.kind in ("fold", "note"):
            yield from _aside(old, options.width)
            continue
        left = list(_draw_line(old, f"{old.old:>{digits}}", width, options)) if old else []
        right = list(_draw_line(new, f"{new.new:>{digits}}", width, options)) if new else []
        blank = Content(" " * width)
        for row in range(max(len(left), len(right))):
            yield Content.assemble(
                left[row] if row < len(left) else blank,
                (" │ ", "$faint"),
                right[row] if row < len(right) else blank,
            )


def _aside(line: DiffLine, width: int) -> Iterator[Content]:
    """Yields a fold or a note across the page."""
    if line.kind == "fold":
        words = f"⋯ {line.text} "
        yield Content.assemble((words, "$quiet"), ("─" * max(width - len(words), 0), "$faint"))
    else:
        yield Content.styled(line.text, "bold $warning" if line.text.startswith("!") else _note(line.text))


def _note(text: str) -> str:
    return {"+": "$success", "-": "$error"}.get(text[:1], "$quiet")


def _draw_line(line: DiffLine, gutter: str, width: int, options: DiffOptions) -> Iterator[Content]:
    """Yields a line with its number and sign, wrapped if necessary, each part exactly `width` cells."""
    sign, colour, ground, mark = _STYLES[line.kind]
    text = highlight(line.text)
    for start, end in line.words:
        text = text.stylize("bold underline" if options.no_color else f"bold {mark}", start, end)
    room = max(width - len(gutter) - 3, 10)
    for number, start in enumerate(range(0, max(len(line.text), 1), room)):
        head = gutter if number == 0 else " " * len(gutter)
        part = text[start : start + room]
        padding = " " * max(width - len(head) - 3 - part.cell_length, 0)
        body = Content.assemble((f"{sign} ", f"bold {colour}"), part, padding)
        yield Content.assemble((f"{head} ", "$quiet"), body.stylize_before(ground) if ground else body)


def _digits(lines: tuple[DiffLine, ...]) -> int:
    return len(str(max((max(line.old, line.new) for line in lines), default=0)))
