"""Passwords that need no quoting, hashes that the exporters accept, and no exceptions for invalid ones."""

from __future__ import annotations

import re
import shlex
from urllib.parse import quote

import bcrypt
import pytest
from ruamel.yaml import YAML

from wizard import passwords
from wizard.errors import PasswordError
from wizard.redact import Secret


def test_generated_passwords_are_strong_and_need_no_quoting() -> None:
    made = [passwords.generate().reveal() for _ in range(300)]
    assert len(set(made)) == 300
    for text in made:
        assert len(text) == 24
        assert not set(text) & set("lIoO01")
        assert text == shlex.quote(text) == quote(text, safe="")
        assert YAML(typ="safe").load(f"a: {text}") == {"a": text}
    assert passwords.strength(Secret(made[0]))[0] == 4
    assert len(set("".join(made))) ** 23 > 2**128
    for length in (0, 22, 73):
        with pytest.raises(PasswordError):
            passwords.generate(length)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a\nb",
        "a\n",
        "a\x00b",
        "a\x1bb",
        "x" * 73,
        "ü" * 37,
        " a",
        "a ",
        "a\u2028b",
        "\ud800",
        "\ufeffa",
        "a\ufffdb",
    ],
)
def test_invalid_passwords_are_rejected(text: str) -> None:
    with pytest.raises(PasswordError) as refused:
        passwords.check(Secret(text))
    assert refused.value.todo
    with pytest.raises(PasswordError):
        passwords.hash_password(Secret(text), 4)


@pytest.mark.parametrize("text", ["a", "x" * 72, "ü" * 36, "pa ss:w#rd'\"\\"])
def test_a_hash_matches_its_password_only(text: str) -> None:
    hashed = passwords.hash_password(Secret(text), 4)
    assert re.fullmatch(r"\$2y\$04\$[./A-Za-z0-9]{53}", hashed)
    assert passwords.matches(Secret(text), hashed)
    assert not passwords.matches(Secret(text + "x"), hashed)


def test_matches_returns_false_for_invalid_input() -> None:
    good = bcrypt.hashpw(b"x", bcrypt.gensalt(4)).decode()
    assert passwords.matches(Secret("x"), good)
    bad = (
        "",
        "x",
        "$apr1$abc$def",
        good[:-1],
        good + "x",
        good.replace("$04$", "$99$"),
        "$2y$04$" + "ü" * 53,
    )
    for text in (*bad, good.replace("$04$", "$31$")):
        assert not passwords.matches(Secret("x"), text)
    for text in ("x" * 100, "a\x00b", "\ud800", ""):
        assert not passwords.matches(Secret(text), good)


def test_bcrypt_costs_are_checked_and_estimated() -> None:
    for cost in (-1, 3, 17, 99):
        with pytest.raises(PasswordError):
            passwords.hash_password(Secret("x"), cost)
    assert passwords.cost_seconds(12) == pytest.approx(4 * passwords.cost_seconds(10))
    assert passwords.cost_seconds(8) > 0


def test_strength_grows_and_gives_advice() -> None:
    ladder = ["", "aaaaaaaaaaaa", "prometheus1", "Tr0ub4dor&3", "correct horse battery staple"]
    scores = [passwords.strength(Secret(text))[0] for text in ladder]
    assert scores == sorted(scores)
    assert scores[0] == scores[1] == 0 and scores[2] <= 1 and scores[-1] >= 3
    assert all(passwords.strength(Secret(text))[1] for text in ladder)


@pytest.mark.parametrize(
    "text", ["$%'\"\\#:{}", "Grüße für Jörg", "a b", "#x", "-", "{{a}}", "${HOME}", "%s", "é", "ü" * 36]
)
@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_password_file_with_one_utf_8_line_is_read_unchanged(text: str, end: str) -> None:
    assert passwords.read(f"{text}{end}".encode()).reveal() == text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("\ufeffsecret\n".encode(), "begins with a byte order mark"),
        ("secret".encode("utf-16"), "is UTF-16"),
        ("secret".encode("utf-16-be"), "contains zero bytes"),
        ("secret".encode("utf-32"), "UTF-16 and not UTF-8"),
        ("Jörg".encode("latin-1"), "not UTF-8: byte 2 is F6"),
        (b"sec\0ret", "zero bytes"),
        (b"one\ntwo", "has 2 lines"),
        (b"one\n\n", "has 2 lines"),
        (b"\none\n", "has 2 lines"),
        (b"one\rtwo\r\n", "has 2 lines"),
        (b"one\r", "has 2 lines"),
        (b"one\ttwo", "control character"),
        (b" one\n", "begins or ends with a space"),
        ("one\u00a0\n".encode(), "begins or ends with a space"),
        (b"", "empty"),
        (b"\n", "empty"),
        (b"x" * 73, "73 bytes"),
        (("ü" * 37).encode(), "74 bytes"),
    ],
)
def test_an_ambiguous_password_file_is_rejected_with_its_path(content: bytes, words: str) -> None:
    with pytest.raises(PasswordError) as refused:
        passwords.read(content, where="/etc/pw")
    assert words in refused.value.what and refused.value.where == "/etc/pw"
    assert refused.value.todo[0].isupper() or refused.value.todo.startswith(("type", "take", "leave"))


@pytest.mark.parametrize(
    ("content", "goes"),
    [
        ("\ufeffsecret\n".encode(), "\ufeffsecret".encode()),
        ("Jörg\n".encode("latin-1"), "Jörg".encode("latin-1")),
        (b" secret \r\n", b"secret"),
        (b"\x1csecret", b"\x1csecret"),
    ],
)
def test_the_password_that_prometheus_sends_is_compared_byte_for_byte(content: bytes, goes: bytes) -> None:
    hashed = bcrypt.hashpw(goes, bcrypt.gensalt(4)).decode()
    assert passwords.matches(passwords.as_sent_by_prometheus(content), hashed)
    assert not passwords.matches(passwords.as_sent_by_prometheus(b"x" + content), hashed)
