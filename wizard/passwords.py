"""Makes, weighs and hashes the passwords of basic authentication, and says what a hash costs here.

bcrypt is what every exporter demands; it looks at 72 bytes and no more, so longer passwords are refused.
"""

from __future__ import annotations

import functools
import math
import re
import secrets
import string
import time
import unicodedata
from typing import Final

import bcrypt

from wizard.errors import PasswordError
from wizard.redact import Secret

# No l, I, O, o, 0, 1: people read these to each other. No sign that YAML, a shell or a URL reads.
_LETTERS: Final = "".join(c for c in string.ascii_letters if c not in "lIoO")
_ALPHABET: Final = _LETTERS + "23456789"
_SHORTEST: Final = 23
_LONGEST: Final = 72
_HASH: Final = re.compile(r"\$2[abxy]?\$(?P<cost>\d\d)\$[./A-Za-z0-9]{53}\Z")
_COSTS: Final = range(4, 17)
_COMMON: Final = ("password", "passwort", "prometheus", "grafana", "exporter", "secret", "admin", "letmein")
_RUNS: Final = ("abcdefghijklmnopqrstuvwxyz", "01234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm")


def generate(length: int = 24) -> Secret:
    """A random password of at least 128 bits, safe to paste into YAML, a shell and a URL.

    Raises:
        PasswordError: `length` is under 23 (too weak) or over 72 (too long for bcrypt).
    """
    if not _SHORTEST <= length <= _LONGEST:
        raise PasswordError(
            f"a generated password cannot have {length} characters",
            todo=f"take {_SHORTEST} to {_LONGEST}",
        )
    # A letter first: YAML could take a text such as 2e34… for a number.
    first = secrets.choice(_LETTERS)
    return Secret(first + "".join(secrets.choice(_ALPHABET) for _ in range(length - 1)))


def check(password: Secret) -> None:
    """Whether bcrypt, curl and a password file can all carry it.

    Raises:
        PasswordError: it is empty, over 72 bytes, holds a control character, or begins or ends with a space.
    """
    text = password.reveal()
    if not text:
        raise PasswordError("the password is empty", todo="type one, or let one be generated")
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise PasswordError(
            "the password holds something that is not a character", todo="type it again"
        ) from error
    if size > _LONGEST:
        raise PasswordError(
            f"the password has {size} bytes, and bcrypt looks at {_LONGEST} only", todo="take a shorter one"
        )
    if any(unicodedata.category(c) in ("Cc", "Zl", "Zp") for c in text):
        raise PasswordError(
            "the password holds a line break or another control character",
            todo="type it without; a file must hold one line",
        )
    # Prometheus trims what it reads from a password file, and then nobody gets in.
    if text != text.strip():
        raise PasswordError(
            "the password begins or ends with a space, which Prometheus cuts off", todo="leave the space out"
        )


def strength(password: Secret) -> tuple[int, str]:
    """How hard it is to guess, 0 (at once) to 4 (not within a lifetime), and what to do about it.

    A plain estimate: the alphabet's size to the power of the length, with repeats, runs and common words
    counted as one character each.
    """
    text = password.reveal()
    if not text:
        return 0, "type a password, or let one be generated"
    bits = _effective_length(text) * math.log2(_alphabet_size(text))
    score = sum(bits >= limit for limit in (28, 45, 60, 80))
    hints = (
        "guessed within seconds: let one be generated",
        "weak: make it much longer, or let one be generated",
        "fair: a few more words or characters would make it good",
        "good; a generated one would be stronger still",
        "strong",
    )
    return score, hints[score]


def hash_password(password: Secret, cost: int = 10) -> str:
    """The bcrypt hash for `basic_auth_users`.

    Written as `$2y$`, as `htpasswd -B` and Prometheus' own documentation show it, so that what a person
    compares looks alike; `$2b$` is the same algorithm, and the exporters take both.

    Args:
        password: see `check`.
        cost: 4 to 16; 10 unless there is a reason, because the exporters' decoy for unknown users has cost 10
            and any other cost tells by its duration which users exist.

    Raises:
        PasswordError: the password or the cost cannot be used.
    """
    check(password)
    if cost not in _COSTS:
        raise PasswordError(
            f"a cost of {cost} cannot be used", todo="take 10; beyond 16 a single login would take seconds"
        )
    hashed = bcrypt.hashpw(password.reveal().encode(), bcrypt.gensalt(cost))
    return "$2y$" + hashed.decode("ascii").removeprefix("$2b$")


def matches(password: Secret, hashed: str) -> bool:
    """Whether `hashed` is that password's. Never raises.

    False as well for what is not a bcrypt hash, and for costs over 16, whose answer would take too long.
    """
    found = _HASH.match(hashed)
    if found is None or int(found["cost"]) not in _COSTS:
        return False
    try:
        return bcrypt.checkpw(password.reveal().encode(), hashed.encode("ascii"))
    except ValueError:
        return False


def cost_seconds(cost: int) -> float:
    """Seconds that one check of a hash takes on this machine, from one measurement: each step doubles it."""
    return float(_seconds_at_eight() * 2.0 ** (cost - 8))


def valid_user(name: str) -> bool:
    """Whether basic authentication can carry that user name: not empty, no colon, no control character."""
    return bool(name) and ":" not in name and name == name.strip() and name.isprintable()


@functools.cache
def _seconds_at_eight() -> float:
    salt = bcrypt.gensalt(8)
    begin = time.perf_counter()
    bcrypt.hashpw(b"measured", salt)
    return time.perf_counter() - begin


def _effective_length(text: str) -> int:
    lowered = text.lower()
    for word in _COMMON:
        lowered = lowered.replace(word, "\0")
    length = 0
    for index, character in enumerate(lowered):
        if index and (character == lowered[index - 1] or _follows(lowered[index - 1], character)):
            continue
        length += 1
    return min(length, 2 * len(set(lowered)))


def _follows(one: str, other: str) -> bool:
    pair = one + other
    return any(pair in run or pair in run[::-1] for run in _RUNS)


def _alphabet_size(text: str) -> int:
    kinds = (
        (26, str.islower),
        (26, str.isupper),
        (10, str.isdigit),
        (33, lambda c: c.isascii() and not c.isalnum()),
        (100, lambda c: not c.isascii()),
    )
    return max(2, sum(size for size, belongs in kinds if any(belongs(c) for c in text)))
