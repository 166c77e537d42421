"""The matrix of the verification: rows are clients, columns targets, a cell the outcome of a probe.

If there are many targets, a cell has only sign and outcome; the text below the matrix describes the selected cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.text import Text
from textual.content import Content

from screens.state_styles import OUTCOME, came, fit, inline
from wizard.plurals import count_noun

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wizard.model import Attempt

ROWS = (
    "right client",
    "no TLS",
    "no CA",
    "no password",
    "wrong password",
    "no client certificate",
    "stranger's certificate",
    "another name",
)
"""The clients in the order of their rows; results arrive in any order."""

LAST = "Prometheus"
"""Prometheus' rows are the last, one for each job that scrapes the server; unnamed rows come before them."""

TOTAL = "as expected"
"""Name of the first row: how many of a target's probes ended as expected."""

FIRST, NARROW, WIDE = 23, 14, 40
"""Maximum width of the first column; minimum and maximum width of a target's column, in cells."""


def arrange(attempts: Sequence[Attempt]) -> tuple[list[tuple[str, dict[str, Attempt]]], list[str]]:
    """Returns rows of (client, {target: attempt}) in the order of `ROWS`, and the targets as they first appear.

    Two attempts of one client on one target get a row each: neither hides the other.
    """
    targets: list[str] = []
    rows: list[tuple[str, dict[str, Attempt]]] = []
    for attempt in attempts:
        probe = attempt.probe
        target = probe.server
        if target not in targets:
            targets.append(target)
        for client, found in rows:
            if client == probe.client and target not in found:
                found[target] = attempt
                break
        else:
            rows.append((probe.client, {target: attempt}))
    rows.sort(key=lambda row: _rank(row[0]))
    return rows, targets


def _rank(client: str) -> int:
    if client.startswith(LAST):
        return len(ROWS) + 1
    return ROWS.index(client) if client in ROWS else len(ROWS)


def widths(room: int, clients: Sequence[str], targets: Sequence[str]) -> tuple[int, tuple[int, ...]]:
    """Returns the widths of the first column and of each target's: names are never cut, the columns scroll instead.

    If there is room, the columns are equally wide.
    """
    first = min(max(len(each) for each in (TOTAL, *map(client_name, clients))), FIRST) + 1
    each = [max(NARROW, *(len(line) + 1 for line in _names(target))) for target in targets]
    same = (room - first) // max(len(each), 1)
    if each and same >= max(each):
        return first, (min(same, max(WIDE, *each)),) * len(each)
    return first, tuple(each)


def client_name(client: str) -> str:
    """Returns the name of a client in its row."""
    return inline(client.replace("certificate", "cert") if len(client) > FIRST else client, FIRST)


def _names(target: str) -> tuple[str, str]:
    host, _, component = target.partition("/")
    return inline(host, WIDE), inline(
        component.rpartition("/")[2], WIDE
    )  # the unit distinguishes further instances


def column_heading(target: str) -> Text:
    """Returns a column's heading in two lines: the host and the component."""
    return Text("\n".join(_names(target)))


def cell(attempt: Attempt | None, width: int, colours: Mapping[str, str]) -> Text:
    """Returns sign and outcome; if there is room, also what was expected and the meaning."""
    if attempt is None:
        return Text("·", style=colours["faint"])
    sign, colour = ("–", colours["warning"]) if attempt.excused else mark(attempt.ok, colours)
    got, expected = came(attempt.outcome), came(attempt.probe.expect)
    word = OUTCOME.get(attempt.outcome, "another answer")
    shown = got if got == expected else f"{expected} → {got}"
    head = Text.assemble((f"{sign} ", f"bold {colour}"))
    if word == got:
        word = ""  # would repeat the outcome
    for text, more in ((shown, f"  {word}" if word else ""), (shown, ""), (got, "")):
        if len(text) + len(more) + 3 <= width:
            return Text.assemble(head, text, (more, colour))
    return Text.assemble(head, fit(got, width - 3))


def total(column: Sequence[Attempt], colours: Mapping[str, str]) -> Text:
    """Returns how many of a target's probes ended as expected, and of how many."""
    right = sum(not attempt.failed for attempt in column)
    sign, colour = mark(right == len(column), colours)
    return Text.assemble((f"{sign} {right}/{len(column)}", f"bold {colour}"))


def mark(ok: bool, colours: Mapping[str, str]) -> tuple[str, str]:
    """Returns sign and colour of an expected or an unexpected outcome."""
    return ("✓", colours["success"]) if ok else ("✗", colours["error"])


def legend(attempts: Sequence[Attempt]) -> str:
    """Returns the meaning of the signs that occur."""
    signs = [
        ("✓ as expected", any(attempt.ok for attempt in attempts)),
        ("✗ failed", any(attempt.failed for attempt in attempts)),
        ("– does not count", any(attempt.excused for attempt in attempts)),
        ("· no probe", True),
    ]
    return "  ".join(words for words, there in signs if there)


def attempt_text(attempt: Attempt) -> Content:
    """Returns the selected probe as a sentence, at most two lines of 80 columns."""
    probe = attempt.probe
    sign, colour = (
        ("✓", "$success") if attempt.ok else ("–", "$warning") if attempt.excused else ("✗", "$error")
    )
    word = OUTCOME.get(attempt.outcome, "another answer")
    got = came(attempt.outcome)
    more = f" ({word})" if word != got else ""
    if attempt.ok:
        ended = f"{got}{more}, as expected"
    elif attempt.excused:
        ended = f"{got}, which does not count: {inline(attempt.excused, 200)}"
    else:
        ended = f"expected {came(probe.expect)}, got {got}{more}"
    return Content.assemble(
        (f"{sign} ", f"bold {colour}"),
        (f"{inline(probe.client, 40)} → {inline(probe.server, 120)}: ", "bold"),
        ended,
    )


def told_total(target: str, column: Sequence[Attempt]) -> Content:
    """Returns the total of a target as a sentence."""
    wrong = sum(attempt.failed for attempt in column)
    if wrong:
        return Content.assemble(
            ("✗ ", "bold $error"),
            (f"{inline(target)}: ", "bold"),
            f"{wrong} of {count_noun(len(column), 'probe')} failed",
        )
    return Content.assemble(
        ("✓ ", "bold $success"), (f"{inline(target)}: ", "bold"), f"all {len(column)} probes as expected"
    )


def ups(values: Sequence[tuple[str, tuple[str, ...]]], room: int) -> Content:
    """Returns the values of `up` for each instance, the oldest first; in columns if there are many instances.

    Args:
        values: (instance, 'up' or 'down', oldest first) of each.
        room: width in cells.
    """
    if not values:
        return Content("")
    scraped = sum(words[-1] == "up" for _, words in values)
    sign = ("✓ ", "bold $success") if scraped == len(values) else ("✗ ", "bold $error")
    head = Content.assemble(sign, f"{scraped} of {len(values)} targets are scraped")
    name = min(max(len(inline(instance, 30)) for instance, _ in values), 30) + 1
    columns = max(room // (name + 16), 1)
    entries = [_entry(instance, words, name) for instance, words in values]
    rows = -(-len(entries) // columns)
    lines = [head]
    for row in range(rows):
        parts = [entries[place] for place in range(row, len(entries), rows)]
        lines.append(Content("").join(parts))
    return Content("\n").join([*lines, Content("")])


def _entry(instance: str, words: tuple[str, ...], name: int) -> Content:
    sign = ("✓ ", "bold $success") if words[-1] == "up" else ("✗ ", "bold $error")
    shown = _digits(words[-5:])
    return Content.assemble(sign, (fit(instance, name), "bold"), shown, " " * (14 - shown.cell_length))


def _digits(words: Sequence[str]) -> Content:
    return Content(" ").join(
        Content.styled("1", "bold $success") if word == "up" else Content.styled("0", "bold $error")
        for word in words
    )
