"""Long lines are wrapped at blanks; paths, URLs and commands stay whole."""

from __future__ import annotations

import io

import pytest

from wizard.cli.line_breaks import break_lines, columns, markdown, of_terminal


def test_a_line_is_wrapped_at_blanks_and_keeps_its_indent() -> None:
    assert break_lines("  ✓ mon1: one two three", 16) == "  ✓ mon1: one\n    two three"
    assert (
        break_lines("  where: /a/path/that/is/long, twice", 20)
        == "  where:\n  /a/path/that/is/long,\n  twice"
    )
    assert break_lines("one two", 7) == "one two"
    assert break_lines("one two", 0) == "one two"
    assert break_lines("a  table   line", 10, indent="    ") == "a  table\n    line"


@pytest.mark.parametrize(
    "command",
    [
        "firescreen recover --yes",
        "~/venv/bin/firescreen --workspace /tmp/work undo --yes",
        "`systemctl reload prometheus`",
    ],
)
def test_a_command_stays_whole(command: str) -> None:
    shown = break_lines(
        f"When that is corrected, and not before that moment: {command}. Then again", 60
    ).split("\n")
    assert any(command in line for line in shown)
    assert max(map(len, shown)) <= 60


def test_text_marked_as_a_command_stays_whole() -> None:
    assert break_lines("To stop the service, run: systemctl stop prometheus", 40) == (
        "To stop the service, run:\nsystemctl stop prometheus"
    )
    assert break_lines("The quoted `word stays open in this long line", 20).count("\n") == 2


def test_a_command_longer_than_a_line_gets_its_own_line() -> None:
    command = "firescreen --workspace /a/very/long/path/to/a/workspace verify"
    assert break_lines(f"Run: {command}", 30) == f"Run:\n{command}"


def test_markdown_is_wrapped_to_the_given_width() -> None:
    text = """\
# A title that is long

One line
and its second, which is longer.

- an item that is
  long
- and `a command`

| command | does | exit |
|---|---|---|
| `one \\| two` | this and that | 0 |

```sh
a line of code that is longer than all the others
```
"""
    assert (
        markdown(text, 24)
        == """\
# A title that is long

One line and its second,
which is longer.

- an item that is long
- and `a command`

`one | two`
    does: this and that
    exit: 0

```sh
a line of code that is longer than all the others
```
"""
    )
    assert markdown(text, 0) == text


def test_the_width_of_a_line_depends_on_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.delenv("COLUMNS", raising=False)
    assert (columns(stream), of_terminal(stream)) == (80, 0)
    monkeypatch.setenv("COLUMNS", "132")
    assert (columns(stream), of_terminal(stream)) == (132, 0)
    monkeypatch.setenv("COLUMNS", "x")
    assert columns(stream) == 80
