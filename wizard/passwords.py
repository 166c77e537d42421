"""Generates, rates and hashes the passwords of basic authentication, and measures the duration of a hash.

All exporters require bcrypt, which only uses the first 72 bytes; a longer password is therefore an error.
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

# Without l, I, O, o, 0, 1, which people confuse when they read a password aloud. Without characters that are special in
# YAML, a shell or a URL.
_LETTERS: Final = "".join(c for c in string.ascii_letters if c not in "lIoO")
_ALPHABET: Final = _LETTERS + "23456789"
_SHORTEST: Final = 23
_LONGEST: Final = 72
_HASH: Final = re.compile(r"\$2[abxy]?\$(?P<cost>\d\d)\$[./A-Za-z0-9]{53}\Z")
_COSTS: Final = range(4, 17)
_COMMON: Final = ("password", "passwort", "prometheus", "grafana", "exporter", "secret", "admin", "letmein")
_RUNS: Final = ("abcdefghijklmnopqrstuvwxyz", "01234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm")


def generate(length: int = 24) -> Secret:
    """Generates a random password of at least 128 bits, safe to paste into YAML, a shell and a URL.

    Raises:
        PasswordError: `length` is under 23 (too weak) or over 72 (too long for bcrypt).
    """
    if not _SHORTEST <= length <= _LONGEST:
        raise PasswordError(
            f"a generated password cannot have {length} characters",
            todo=f"Take {_SHORTEST} to {_LONGEST}",
        )
    # A letter first: YAML could read a text such as 2e34… as a number.
    first = secrets.choice(_LETTERS)
    return Secret(first + "".join(secrets.choice(_ALPHABET) for _ in range(length - 1)))


_MARKS: Final = (
    (b"\xef\xbb\xbf", "begins with a byte order mark (EF BB BF)"),
    (b"\xff\xfe", "is UTF-16 and not UTF-8"),
    (b"\xfe\xff", "is UTF-16 and not UTF-8"),
    (b"\x00\x00\xfe\xff", "is UTF-32 and not UTF-8"),
)
_TRIMMED: Final = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)
"""Characters that Go's strings.TrimSpace removes, with which Prometheus and Grafana read a password file."""


def decode(content: bytes, *, where: str = "", what: str = "password") -> Secret:
    """Decodes a secret from a file or standard input: one line of text, without its line end.

    Used for every secret that a person provides. Content that other programs might read differently is rejected and not
    repaired: a byte order mark, invalid UTF-8, control characters, a second line.

    Args:
        content: all bytes of the file.
        where: its path, for the error.
        what: its name in the error.

    Raises:
        PasswordError: the content is not one line of UTF-8 text.
    """
    again = f"Write the {what} again as one line of plain UTF-8: printf '%s' '…' > FILE"
    for mark, words in _MARKS:
        if content.startswith(mark):
            raise PasswordError(f"the {what} {words}", where=where, todo=again)
    if b"\0" in content:
        raise PasswordError(
            f"the {what} contains zero bytes: it is UTF-16, or no text at all", where=where, todo=again
        )
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise PasswordError(
            f"the {what} is not UTF-8: byte {error.start + 1} is {content[error.start]:02X} "
            "(Latin-1 or Windows-1252?)",
            where=where,
            todo=again,
        ) from error
    text = text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text
    lines = text.replace("\r\n", "\n").replace("\r", "\n").count("\n") + 1
    if lines > 1:
        raise PasswordError(
            f"the {what} has {lines} lines, and it is not clear which one is the password",
            where=where,
            todo=f"Leave the {what} alone in it, on one line",
        )
    return Secret(text)


def read(content: bytes, *, where: str = "") -> Secret:
    """Decodes a password from a file (see `decode`) and checks it (see `check`).

    Raises:
        PasswordError: the password cannot be used.
    """
    password = decode(content, where=where)
    try:
        check(password)
    except PasswordError as error:
        raise PasswordError(error.what, where=where, todo=error.todo) from error
    return password


def as_sent_by_prometheus(content: bytes) -> Secret:
    """The password that Prometheus sends from an existing password file; only for comparison with a hash.

    Invalid UTF-8 is kept as surrogates.
    """
    return Secret(content.decode("utf-8", "surrogateescape").strip(_TRIMMED))


def check(password: Secret) -> None:
    """Checks that a password works with bcrypt, curl and a password file.

    Raises:
        PasswordError: it is empty, has over 72 bytes, contains a control character or a byte order mark, or begins or
            ends with a space.
    """
    text = password.reveal()
    if not text:
        raise PasswordError("the password is empty", todo="Type one, or let one be generated")
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise PasswordError(
            "the password contains something that is not a character", todo="Type it again"
        ) from error
    if size > _LONGEST:
        raise PasswordError(
            f"the password has {size} bytes, and bcrypt looks at {_LONGEST} only", todo="Take a shorter one"
        )
    if "\ufeff" in text or "\ufffd" in text:
        raise PasswordError(
            "the password contains a byte order mark, or a character that stands for what could not be read",
            todo="Type it again",
        )
    if any(unicodedata.category(c) in ("Cc", "Zl", "Zp") for c in text):
        raise PasswordError(
            "the password contains a line break or another control character",
            todo="Type it without; a file must hold one line",
        )
    # Prometheus trims the content of a password file, so it would send a wrong password.
    if text != text.strip():
        raise PasswordError(
            "the password begins or ends with a space, which Prometheus removes", todo="Leave the space out"
        )


def strength(password: Secret) -> tuple[int, str]:
    """Rates a password: (0 to 4, hint); 0 can be guessed at once, 4 not within a lifetime.

    A simple estimate: the alphabet's size to the power of the length, with repetitions, sequences and common words
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

    Written with the prefix `$2y$` like `htpasswd -B` and Prometheus' documentation, so that hashes look alike; `$2b$` is
    the same algorithm, and the exporters accept both.

    Args:
        password: see `check`.
        cost: 4 to 16, normally 10: the exporters compare the password of unknown users with a dummy hash of cost 10, so
            any other cost reveals by its duration which users exist.

    Raises:
        PasswordError: the password or the cost cannot be used.
    """
    check(password)
    if cost not in _COSTS:
        raise PasswordError(
            f"a cost of {cost} cannot be used", todo="Take 10; beyond 16 a single login would take seconds"
        )
    hashed = bcrypt.hashpw(password.reveal().encode(), bcrypt.gensalt(cost))
    return "$2y$" + hashed.decode("ascii").removeprefix("$2b$")


def matches(password: Secret, hashed: str) -> bool:
    """Whether a password matches a bcrypt hash. Never raises.

    Also False if `hashed` is no bcrypt hash, or has a cost over 16, which would take too long.
    """
    found = _HASH.match(hashed)
    if found is None or int(found["cost"]) not in _COSTS:
        return False
    try:
        given = password.reveal().encode("utf-8", "surrogateescape")
        return bcrypt.checkpw(given, hashed.encode("ascii"))
    except ValueError:
        return False


def cost_seconds(cost: int) -> float:
    """Seconds for one comparison with a hash on this machine, from one measurement; each cost step doubles it."""
    return float(_seconds_at_eight() * 2.0 ** (cost - 8))


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
