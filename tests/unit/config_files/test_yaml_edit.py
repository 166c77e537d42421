"""The functions that edit YAML keep the style of a file, and refuse ambiguous edits."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wizard.config_files import prometheus
from wizard.config_files.yaml_edit.document import compose, data
from wizard.config_files.yaml_edit.editor import Editor, Inline, Plain, load
from wizard.config_files.yaml_edit.emitter import flow, quote_scalar
from wizard.errors import ConfigError

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufeff"), max_size=30)


def edit(text: str, *calls: tuple[str, tuple[object, ...]]) -> str:
    editor = Editor(load(text.encode()))
    for name, arguments in calls:
        getattr(editor, name)(*arguments)
    return editor.apply().content.decode()


@pytest.mark.parametrize(
    ("before", "calls", "after"),
    [
        ("a: 1 # one\nb: 2\n", [("put", (("a",), "x"))], "a: x # one\nb: 2\n"),
        ("a: '1'\n", [("put", (("a",), "x"))], "a: 'x'\n"),
        ("a: &k old # c\n", [("put", (("a",), "new"))], "a: &k new # c\n"),
        (
            "a:\n   b: 1\n# c\nd: 2\n",
            [("insert", (("a",), {"new": "v"}))],
            "a:\n   b: 1\n   new: v\n# c\nd: 2\n",
        ),
        ("a: {b: 1}\n", [("insert", (("a",), {"new": "v w"}))], "a: {b: 1, new: 'v w'}\n"),
        ('{"a": 1}', [("insert", ((), {"new": {"m": "v"}}))], '{"a": 1, "new": {"m": "v"}}'),
        ("a:\n", [("insert", (("a",), {"new": "v"}))], "a:\n  new: v\n"),
        ("# only\n", [("insert", ((), {"new": "v"}))], "# only\nnew: v\n"),
        ("a: 1\nb: 2 # two\nc: 3\n", [("remove", (("b",),))], "a: 1\nc: 3\n"),
        ("- a: 1\n  b: 2\n", [("remove", ((0, "a"),))], "- b: 2\n"),
        ("{a: 1, b: 2, c: 3}", [("remove", (("b",),))], "{a: 1, c: 3}"),
        ("{a: 1, b: 2}", [("remove", (("b",),))], "{a: 1}"),
        ("a: 1\nb: 2", [("rename", (("b",), "c", "x"))], "a: 1\nc: x"),
        ("a:\n- 1\n# c\nb: 2\n", [("append", (("a",), "x"))], "a:\n- 1\n- x\n# c\nb: 2\n"),
        ("a:\n    - 1\n", [("append", (("a",), {"k": "v"}))], "a:\n    - 1\n    - k: v\n"),
        ("a: [1, 2]\n", [("append", (("a",), "x"))], "a: [1, 2, x]\n"),
        ("a: []  # none\n", [("append", (("a",), {"k": "v"}))], "a:  # none\n  - k: v\n"),
        ("a:\n  - 1\n", [("prepend", (("a",), Inline({"k": "v"})))], "a:\n  - {k: v}\n  - 1\n"),
        ("a: [1, 2, 3]", [("remove_items", (("a",), {1, 2}))], "a: [1]"),
        ("a:\n- 1 # one\n- 2\n", [("remove_items", (("a",), {0}))], "a:\n- 2\n"),
        ("a:\n  - b: 1 # c\n", [("double", (("a", 0),))], "a:\n  - b: 1 # c\n  - b: 1 # c\n"),
        ("a: true\n", [("put", (("a",), Plain("false")))], "a: false\n"),
        (
            "a: b\r\nc:\r\n    d: 1",
            [("insert", (("c",), {"e": "2x"}))],
            "a: b\r\nc:\r\n    d: 1\r\n    e: '2x'",
        ),
        # The deeper insertion comes first although it was requested last.
        (
            "a:\n  b: 1\n",
            [("insert", ((), {"new": "v"})), ("insert", (("a",), {"m": "w"}))],
            "a:\n  b: 1\n  m: w\nnew: v\n",
        ),
    ],
)
def test_an_edit_changes_only_the_expected_bytes(
    before: str, calls: list[tuple[str, tuple[object, ...]]], after: str
) -> None:
    assert edit(before, *calls) == after


@pytest.mark.parametrize(
    ("text", "name", "arguments", "words"),
    [
        ("a: &x {b: 1}\nc: *x\n", "insert", (("a",), {"new": "v"}), "used elsewhere"),
        ("a: &x {b: 1}\nc: *x\n", "insert", (("c",), {"new": "v"}), "is an alias"),
        ("a: &x old\nc: *x\n", "put", (("a",), "new"), "used elsewhere"),
        ("a: {b: 1}\n", "put", (("a",), "x"), "a single value was expected"),
        ("a: 1\n", "put", (("b",), "x"), "there is no 'b'"),
        ("a: 1\na: 2\n", "put", (("a",), "x"), "twice"),
        ("a:\n- 1\n", "remove_items", (("a",), {0}), "nothing would be left"),
        ("a:\n  b: 1\n", "remove", (("a", "b"),), "the only key"),
        ("- - 1\n  - 2\n", "remove_items", ((0,), {0}), "in the middle of a line"),
    ],
)
def test_ambiguous_edits_are_refused(text: str, name: str, arguments: tuple[object, ...], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        edit(text, (name, arguments))
    assert caught.value.where
    assert caught.value.todo


@pytest.mark.parametrize(
    ("content", "words", "where"),
    [
        (b"a: 1\nb: [\n", "not valid YAML", "x.yml:3"),
        (b"a: 1\n\tb: 2\n", "not valid YAML", "x.yml:2"),
        (b"a: 1\nb: \xff\n", "not UTF-8", "x.yml:2"),
        (b"\xff\xfea\x00", "not UTF-8", "x.yml:1"),
        (b"a: \x00", "not valid YAML", "x.yml"),
        (b"[" * 50_000, "nested", "x.yml"),
        (b"- " * 5_000, "nested", "x.yml"),
    ],
)
def test_invalid_yaml_is_refused_with_its_line(content: bytes, words: str, where: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        load(content, "x.yml")
    assert caught.value.where.startswith(where)


def test_a_yaml_alias_bomb_is_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 8)}]" for n in range(1, 12)]
    with pytest.raises(ConfigError, match="millions"):
        Editor(load("\n".join(lines).encode()))
    with pytest.raises(ConfigError, match="refers to the mapping"):
        Editor(load(b"a: &a {b: *a}"))


@given(TEXTS, st.sampled_from(["", "'", '"']))
def test_any_text_survives_quoting(text: str, style: str) -> None:
    assert data(compose(f"k: {quote_scalar(text, style=style)}\n"))["k"] == text
    assert data(compose(f"{{k: {flow([text, {text: text}])}}}"))["k"] == [text, {text: text}]


@settings(max_examples=150)
@given(
    indent=st.integers(0, 6),
    gap=st.integers(1, 4),
    step=st.integers(1, 6),
    quote=st.sampled_from(["", "'", '"']),
    comment=st.sampled_from(["", "  # it's: [a {comment", "\t# - x"]),
    blank=st.sampled_from(["", "\n", "   \n", "# column 0\n", "        # deep\n"]),
    ending=st.sampled_from(["\n", "\r\n"]),
    final=st.booleans(),
    before=st.integers(0, 2),
    after=st.integers(0, 2),
)
def test_a_job_in_any_style_is_secured_within_its_lines(
    indent: int,
    gap: int,
    step: int,
    quote: str,
    comment: str,
    blank: str,
    ending: str,
    final: bool,
    before: int,
    after: int,
) -> None:
    def job(name: str) -> str:
        keys = " " * (indent + 1 + gap)
        return (
            f"{' ' * indent}-{' ' * gap}job_name: {quote}{name}{quote}{comment}\n{blank}"
            f"{keys}tls_config:{comment}\n{keys}{' ' * step}server_name: {quote}x{quote}{comment}\n{blank}"
            f"{keys}static_configs: [{{targets: [{quote}{name}:1{quote}]}}]{comment}\n"
        )

    head = f"global: {{}}\n{blank}scrape_configs:{comment}\n{blank}"
    parts = [*(job(f"b{n}") for n in range(before)), job("it"), *(job(f"a{n}") for n in range(after))]
    text = (head + blank.join(parts) + blank).replace("\n", ending)
    text = text if final else text.rstrip()
    content = text.encode()

    result = prometheus.secure_job(content, job="it", scheme="https", ca_file="/ca.pem", username="u")

    assert prometheus.secure_job(result, job="it", scheme="https", ca_file="/ca.pem", username="u") == result
    index = before
    found = prometheus.jobs(result)
    assert [each for n, each in enumerate(found) if n < index] == list(prometheus.jobs(content)[:index])
    assert (found[index].scheme, found[index].tls) == ("https", {"server_name": "x", "ca_file": "/ca.pem"})
    # Removing the added lines restores the file, byte for byte.
    added = [
        f"ca_file: /ca.pem{ending}",
        f"scheme: https{ending}",
        f"basic_auth:{ending}",
        f"username: u{ending}",
    ]
    whole = result.decode() if final else result.decode() + ending
    lines = [line for line in whole.splitlines(keepends=True) if line.lstrip(" ") not in added]
    assert "".join(lines) == (text if final else text + ending)
