"""Long text: paths break after a slash, continued lines are indented, and copied text has no line ends of the screen."""

from __future__ import annotations

import pytest
from textual.app import App, ComposeResult
from textual.content import Content
from textual.geometry import Offset
from textual.selection import Selection

from screens.widgets.prose import Prose, break_lines

PATH = "/home/ada/.local/share/firescreen/practice/prometheus/etc/prometheus/prometheus.yml"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("short", ["short"]),
        ("two lines\nof text", ["two lines", "of text"]),
        (
            f"Where  srv1:{PATH}",
            [
                "Where  srv1:/home/ada/.local/share/",
                "       firescreen/practice/prometheus/",
                "       etc/prometheus/prometheus.yml",
            ],
        ),
        (
            f"{PATH} is there",
            [
                "/home/ada/.local/share/firescreen/",
                "practice/prometheus/etc/prometheus/",
                "prometheus.yml is there",
            ],
        ),
        ("• create /etc/prometheus/web-config-long", ["• create", "  /etc/prometheus/web-config-long"]),
        ("the words of a line go on in the next one", ["the words of a line go on in the next", "one"]),
        (
            "Do     Make room there, then try that again",
            ["Do     Make room there, then try that", "       again"],
        ),
        (
            f"# SHA-256  {'9C:' * 19}9C",
            [f"# SHA-256  {'9C:' * 9}", f"           {'9C:' * 9}", "           9C:9C"],
        ),
        ("x" * 45, ["x" * 38, "x" * 7]),
    ],
)
def test_lines_break_at_blanks_and_slashes(text: str, shown: list[str]) -> None:
    assert break_lines(Content(text), 38).plain.split("\n") == shown


async def test_copied_text_has_no_line_ends_of_the_screen() -> None:
    class Shown(App[None]):
        def compose(self) -> ComposeResult:
            yield Prose(Content(f"Where  {PATH}\nand some words that go on in the next line"), markup=False)

    app = Shown()
    async with app.run_test(size=(38, 12)):
        found = app.query_one(Prose).get_selection(Selection(Offset(0, 0), Offset(38, 11)))
    assert found == (f"Where  {PATH}\nand some words that go on in the next line", "\n")
