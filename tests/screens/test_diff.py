"""The diffs of a plan: line numbers, changed words, folds, two columns; nothing is cut, secrets stay fingerprints."""

from __future__ import annotations

import difflib

from screens.plan.diff_lines import parse_diff, side_by_side
from screens.plan.diff_view import DiffOptions, diff_view
from screens.widgets.syntax import highlight
from tests.screens import example_stack
from wizard.model import ContentKind, FileState, PlannedStep, StepKind, WriteFile

BEFORE = "".join(f"line {number}: x\n" for number in range(1, 41)) + "scheme: http\nlast: 1\n"
AFTER = BEFORE.replace("scheme: http\n", "scheme: https\nca_file: /etc/prometheus/ca.crt\n").replace(
    "line 3: x\n", ""
)


def step(before: str | None, after: str, *, secret: bool = False) -> PlannedStep:
    state = FileState(before.encode()) if before is not None else None
    change = WriteFile(
        host="srv1",
        path="/etc/prometheus/prometheus.yml",
        before=state,
        after=FileState(after.encode(), 0o640, "root", "prometheus"),
        why="",
        content_kind=ContentKind.PROMETHEUS_CONFIG,
        secret=secret,
    )
    return PlannedStep(
        id="job:x", kind=StepKind.SCRAPE_CONFIG, title="x", host="srv1", why="", changes=(change,)
    )


def unified(context: int = 3) -> str:
    lines = difflib.unified_diff(BEFORE.splitlines(), AFTER.splitlines(), "a", "b", lineterm="", n=context)
    return "\n".join(lines)


def test_each_line_has_its_number_in_both_files() -> None:
    lines = parse_diff(unified())
    old, new = BEFORE.splitlines(), AFTER.splitlines()
    assert all(line.text == old[line.old - 1] for line in lines if line.old)
    assert all(line.text == new[line.new - 1] for line in lines if line.new)
    assert [line.text for line in lines if line.kind == "removed"] == ["line 3: x", "scheme: http"]
    assert [line.text for line in lines if line.kind == "fold"] == ["31 unchanged lines"]
    assert not any(line.kind == "fold" for line in parse_diff(unified(1000))), "all of the file is shown"


def test_only_the_words_that_changed_are_marked() -> None:
    changed = {line.text: [line.text[slice(*span)] for span in line.words] for line in parse_diff(unified())}
    assert changed["scheme: http"] == ["http"]
    assert changed["scheme: https"] == ["https"]
    assert changed["line 3: x"] == [], "it is gone as a whole"


def test_the_base64_of_a_certificate_is_summarised() -> None:
    def pem(letter: str) -> str:
        body = "\n".join([letter * 64] * 9 + [f"{letter * 20}="])
        return f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n"

    renewed = step(pem("a"), pem("b") + "a_word: x\n")
    text = diff_view([renewed], DiffOptions(width=60)).plain
    assert "aaaa" not in text and "bbbb" not in text
    assert "10 lines of base64 removed" in text and "10 lines of base64 added" in text
    assert "13 + a_word: x" in text, "the lines keep their numbers"
    assert "bbbb" in diff_view([renewed], DiffOptions(width=60, whole=True)).plain


def test_old_and_new_lines_are_side_by_side_and_equal_lines_on_both_sides() -> None:
    rows = side_by_side(parse_diff(unified()))
    pair = next(row for row in rows if row[0] and row[0].text == "scheme: http")
    assert pair[1] is not None and pair[1].text == "scheme: https"
    alone = next(row for row in rows if row[1] and row[1].text.startswith("ca_file"))
    assert alone[0] is None
    assert all(one is other for one, other in rows if one and one.kind == "same")


def test_each_width_shows_every_character_within_it() -> None:
    for width in (34, 60, 80, 120, 180):
        text = diff_view([step(BEFORE, AFTER)], DiffOptions(width=width)).plain
        assert max(map(len, text.splitlines()[2:])) <= width
        assert "/etc/prometheus/\n~ prometheus.yml  edit  0644 root:root -> 0640 root:prometheus" in text
        assert "…" not in text
        assert (" │ " in text) == (width >= 100), "side by side where there is room"
    long = "key: " + "abc/" * 60
    narrow = diff_view([step(None, long + "\n")], DiffOptions(width=40)).plain
    assert "".join(line[4:].strip() for line in narrow.splitlines()[2:]) == long


def test_whole_files_are_shown_on_request() -> None:
    steps = [step(BEFORE, AFTER)]
    assert "line 20: x" not in diff_view(steps, DiffOptions()).plain
    assert "line 20: x" in diff_view(steps, DiffOptions(whole=True)).plain


def test_a_secret_stays_a_fingerprint_and_text_stays_text() -> None:
    text = diff_view([step("old-secret\n", "new-secret\n", secret=True)], DiffOptions()).plain
    assert "secret\n" not in text and "(content not shown)" in text
    strange = diff_view([step(None, "a: [b]bold[/b] \x1b[31m\n")], DiffOptions()).plain
    assert "[b]bold[/b]" in strange and "\x1b" not in strange


def test_keys_strings_and_comments_have_their_own_colours() -> None:
    def styles(line: str) -> dict[str, str]:
        content = highlight(line)
        return {content.plain[span.start : span.end]: str(span.style) for span in content.spans}

    assert styles("  scheme: https # so") == {"scheme": "$secondary", "# so": "italic $quiet"}
    assert styles('ARGS="--web.listen-address=:9100"') == {
        "ARGS": "$secondary",
        '"--web.listen-address=:9100"': "$success",
    }
    assert styles("--web.config.file=/x 30s") == {"--web.config.file": "$primary", "30s": "$warning"}
    assert styles("url: http://a.example:9090/#top") == {"url": "$secondary"}


def test_every_step_of_a_plan_is_drawn() -> None:
    text = diff_view(example_stack.steps(), DiffOptions(width=120)).plain
    for change in (change for step in example_stack.steps() for change in step.changes):
        assert change.path.rpartition("/")[2] in text
    assert text.count("! restart ") == 5
