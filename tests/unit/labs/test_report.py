"""A student's report contains all steps and no secret, and no text in it is markup."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from wizard import labs
from wizard.errors import FirescreenError
from wizard.labs import report as reporting
from wizard.labs import state
from wizard.labs.report import Done, Part, Report
from wizard.workspace import Workspace

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "[text](javascript:alert(1))",
    "![x](http://192.0.2.1/x.png)",
    "http://192.0.2.1/x and www.example.org",
    "**bold** _slanted_ `code` ~~gone~~ __x__",
    "&lt;b&gt; &amp; &#60;",
    "# heading",
    "- item",
    "1. item",
    "> quoted",
    "--- ",
    "===",
    "a | b",
    "\\<b>\\[x](y)",
    "[x]: http://192.0.2.1",
    "```",
    "node_exporter --web.config.file=x",
]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A workspace in which the first lab was started."""
    made = Workspace(tmp_path / "w").ensure()
    known = state.LabState(started=1_700_000_000.0)
    known = known.with_step("metrics", done=1_700_000_100.0, hints=2, seen=("it answers everyone",))
    known = known.with_check("metrics", passed=True, message="it answers everyone", now=1_700_000_100.0)
    known = known.with_step("prometheus", done=1_700_000_200.0, solved=True)
    known = known.with_check("wire", passed=False, message="nothing was kept", now=1_700_000_300.0)
    known = known.with_answer(labs.find("look").questions[0].ask, "Because\nnobody closed it.")
    state.save(made.labs / "look.json", known)
    return made


def both(report: Report) -> Iterator[str]:
    yield reporting.markdown(report)
    yield reporting.page(report)


def test_each_step_shows_time_method_help_and_checks(workspace: Workspace) -> None:
    report = reporting.gather(workspace, labs.labs(), name=" Ada \n Lovelace ")
    assert [part.title for part in report.parts] == ["See what is unprotected"], "only what was begun"
    for text in both(report):
        for words in (
            "Ada Lovelace",
            "2 of 3, 1 by the student",
            "done by the student, 2023-11-1",
            ", 2 hints",
            "done by Firescreen, 2023-11-1",
            "not done",
            "it answers everyone",
            "not done yet, nothing was kept",
            "nobody closed it.",
            "(not answered)",
        ):
            assert words in text, words
    assert "> Because\n> nobody closed it." in reporting.markdown(report)


class Tags(HTMLParser):
    """Parses a page like a browser: its elements and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.attributes: set[tuple[str, str]] = set()
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Records an element."""
        self.found.add(tag)
        self.attributes |= {(tag, name) for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        """Records text."""
        self.words.append(data)


def hostile() -> Report:
    """A report in which every text contains harmful markup."""
    parts = tuple(
        Part(
            text,
            (("word", text),),
            (Done(text, True, text, (text, text)),),
            ((text, f"first\n{text}\n\n{text}"),),
        )
        for text in HOSTILE
    )
    return Report((("name", HOSTILE[0]),), parts)


def test_no_text_is_markup_in_html() -> None:
    page = Tags()
    whole = reporting.page(hostile())
    page.feed(whole)
    assert page.found == set(
        "html head meta title style body h1 h2 h3 dl dt dd ol ul li b span p blockquote".split()
    )
    assert {name for _, name in page.attributes} == {
        "lang",
        "charset",
        "http-equiv",
        "content",
        "name",
        "class",
    }
    assert "default-src 'none'" in whole and "<script" not in whole
    text = "".join(page.words)
    assert all(each in text for each in HOSTILE), "each can be read as it was typed"


def test_no_text_is_markup_in_markdown() -> None:
    ours = {"paragraph", "heading", "bullet_list", "ordered_list", "list_item", "blockquote"}
    tokens = MarkdownIt("gfm-like", {"html": True}).parse(reporting.markdown(hostile()))
    seen: list[str] = []
    for token in tokens:
        kind = token.type.removesuffix("_open").removesuffix("_close")
        assert kind in ours or token.type == "inline", token
        for child in token.children or ():
            bare = child.markup == "linkify" and child.type in ("link_open", "link_close")
            drawn = child.type in ("text", "text_special", "softbreak", "strong_open", "strong_close")
            assert bare or drawn, "an address that is typed may lead where it says, and nowhere else"
        if token.type == "inline":
            seen.append("".join(child.content for child in token.children or ()))
    for each in HOSTILE:
        wanted = " ".join(each.split())
        assert any(wanted in line for line in seen), each
    assert [token.tag for token in tokens].count("h2") == 2 * len(HOSTILE)


def test_no_secret_is_in_a_report(workspace: Workspace) -> None:
    workspace.users.mkdir()
    (workspace.users / "prometheus.password").write_text("correct-horse-battery")
    etc = workspace.practice / "srv1" / "etc" / "node_exporter"
    etc.mkdir(parents=True)
    (etc / "my.password").write_text("typed<by>hand&more\n")
    key = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMG\n-----END PRIVATE KEY-----"
    bcrypt = "$2y$10$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234"
    answer = f"{key}\nit is correct-horse-battery or typed<by>hand&more, {bcrypt}\npassword: hunter22hunter"
    path = workspace.labs / "look.json"
    known = state.load(path)
    assert known is not None
    known = known.with_answer(labs.find("look").questions[1].ask, answer)
    known = known.with_step("metrics", seen=("correct-horse-battery",))
    state.save(path, known.with_check("wire", passed=False, message=bcrypt, now=1e12))
    for text in both(reporting.gather(workspace, labs.labs(), name="correct-horse-battery")):
        for secret in ("correct-horse", "hand&", "hand&amp;", "MIGH", "uvwxABCD", "ABCDEFGHIJ", "hunter22"):
            assert secret not in text
        assert "•••" in text


def test_a_report_is_private_and_names_obstacles(tmp_path: Path) -> None:
    path = reporting.save(tmp_path / "new" / "r.md", "one")
    assert reporting.save(path, "two").read_text() == "two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["r.md"]
    with pytest.raises(FirescreenError) as caught:
        reporting.save(tmp_path / "new" / "r.md" / "x.md", "three")
    assert caught.value.todo


def test_a_check_is_recorded_when_its_result_is_new(tmp_path: Path) -> None:
    known = state.LabState(started=1.0)
    once = known.with_check("a", passed=False, message="no", now=100.0)
    assert once.with_check("a", passed=False, message="no", now=130.0) is once
    assert once.with_check("a", passed=False, message="no", now=170.0).step("a").checked == 170.0
    assert once.with_check("a", passed=True, message="yes", now=101.0).step("a").held
    assert known.with_answer("q", "x").with_answer("q", "").answers == {}
    assert len(known.with_answer("q", "x" * 9000).answers["q"]) == state.LONGEST_ANSWER


def test_the_state_of_an_older_version_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(
        '{"format": 1, "started": 5, "steps": {"a": {"done": 7.0, "solved": false, "hints": 1, "begun": 0.0, '
        '"seen": ["x"]}}, "runs": [], "beginning": {}}'
    )
    known = state.load(path)
    assert known is not None and known.step("a").hints == 1
    assert known.answers == {} and known.step("a").said == ""
