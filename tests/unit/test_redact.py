"""Secrets are masked, and control characters are made visible."""

from __future__ import annotations

import pickle

import pytest

from wizard.redact import Secret, plain, redact

HASH = "$2y$10$nOtArEaLhAsHnOtArEaLhAsHnOtArEaLhAsHnOtArEaLhAsHn."
KEY = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMG\n-----END PRIVATE KEY-----"


def test_a_secret_is_hidden_in_every_representation() -> None:
    secret = Secret("canary-4711")
    assert "canary" not in f"{secret} {secret!r} {secret:>20} {[secret]}"
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    assert secret == Secret("canary-4711")
    assert secret != Secret("other")


@pytest.mark.parametrize(
    "text",
    [
        f"  prometheus: {HASH}",
        f"prometheus: '{HASH}'  # note",
        f"key:\n{KEY}\nrest",
        "-----BEGIN RSA PRIVATE KEY-----\nMIGHAgEAMBMG cut off",
        "password: canary",
        "    password: 'canary' # in clear",
        '  "password": "canary",',
        "{username: a, password: canary}",
        "credentials: canary",
        "https://user:canary@host:9090/x",
        "user:$apr1$canarysalt$canarycanarycanary1",
    ],
)
def test_hashes_keys_and_passwords_are_masked(text: str) -> None:
    shown = redact(text)
    for canary in (HASH[10:], "MIGHAgEAMBMG", "canary"):
        assert canary not in shown
    assert "•••" in shown


@pytest.mark.parametrize(
    "text",
    [
        "password_file: /etc/prometheus/p",
        "password: <secret>",
        "scheme: https",
        "passwords are hashed",
        "a: $2 b",
    ],
)
def test_text_without_secrets_is_unchanged(text: str) -> None:
    assert redact(text) == text


def test_a_known_secret_is_masked_anywhere() -> None:
    assert redact("it was canary-4711!", [Secret("canary-4711")]) == "it was •••!"


@pytest.mark.parametrize(
    ("secret", "text"),
    [
        ("s", "+ /etc/prometheus/tls/ca-bundle.pem (srv1, systems)"),
        ("s", "--web.config.file=/srv/s/web.yml -s s.example.net"),
        ("prometheus", "# srv1: /etc/prometheus/prometheus.yml of prometheus-node-exporter"),
    ],
)
def test_letters_of_a_short_secret_stay_in_paths_and_words(secret: str, text: str) -> None:
    assert redact(text, [Secret(secret)]) == text
    assert redact(f"sent '{secret}' to b", [Secret(secret)]) == "sent '•••' to b"


def test_a_long_secret_is_masked_within_words() -> None:
    assert redact("x=Kq7vN3pWz8RtYb2MdKq7;y", [Secret("Kq7vN3pWz8RtYb2MdKq7")]) == "x=•••;y"


def test_control_and_direction_characters_are_visible_and_length_is_bounded() -> None:
    hostile = "\x1b[31mred\x1b]52;c;aGk=\x07 \x1b]8;;http://x\x1b\\l \u202eabc\u2066 \x9b2J \r\b"
    shown = plain(hostile)
    assert not any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in shown)
    assert "\u202e" not in shown
    assert "\u2066" not in shown
    assert plain("keep\nlines\tand tabs") == "keep\nlines\tand tabs"
    assert len(plain("x" * 1_000_000)) < 2100
