"""Healthchecks that still succeed when a component requires TLS and a password, without a secret in them.

A healthcheck tests whether a program is alive. A program that answers 401 is, and so is one that ends a TLS handshake
because the client has no certificate: neither needs a password or a key in the Compose file.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from wizard.errors import ConfigError

_URL = re.compile(r"https?://[^\s'\"|;&)]+")
_ADDRESS = re.compile(r"https?://(?P<host>\[[^\]]*\]|[^/:]+)(?::(?P<port>\d+|\$\{?\w+\}?))?")
_PROGRAM = re.compile(r"(?:^|[\s;&|(/])(wget|curl|promtool)(?=\s)")
_STATUS = re.compile(r"40[01]|http_code")
_TODO = "Change the healthcheck yourself, so that it accepts the answer 401 over https"


@dataclass(frozen=True, slots=True, kw_only=True)
class Demands:
    """What a component will require of its clients."""

    tls: bool = False
    password: bool = False
    client_certificate: bool = False
    client_config: str = ""
    """Path in the container of an --http.config.file for promtool (with `password_file`); '' for none."""


def adapt_test(test: Sequence[str], demands: Demands) -> tuple[str, ...]:
    """The test of a healthcheck, changed so that the component's requirements do not make it fail.

    Args:
        test: has CMD, CMD-SHELL or NONE first, and its dollar signs are not doubled.
        demands: the component's requirements.

    Returns:
        The same test if it makes no HTTP request, or is right already.

    Raises:
        ConfigError: it makes an HTTP request in an unknown way.
    """
    words = tuple(test)
    if len(words) < 2 or words[0] not in ("CMD", "CMD-SHELL"):
        return words
    line = words[1] if words[0] == "CMD-SHELL" else shlex.join(words[1:])
    urls = list(dict.fromkeys(_URL.findall(line)))
    program = _PROGRAM.search(f" {line}")
    if program is not None and program[1] == "promtool":
        return _promtool(words, demands)
    if not urls or not (demands.tls or demands.password):
        return words
    if program is None or len(urls) > 1:
        raise ConfigError(
            f"the healthcheck {line!r} asks over HTTP in a way that cannot be changed safely", todo=_TODO
        )
    url = urls[0]
    new_url = re.sub(r"^http:", "https:", url) if demands.tls else url
    if demands.client_certificate:
        return _port_open(program[1], new_url)
    if demands.password:
        return words if _STATUS.search(line) and new_url == url else _any_answer(program[1], new_url, demands)
    return _over_tls(words, program[1], url, new_url)


def asks_by_promtool(test: Sequence[str]) -> bool:
    """Whether a test is `promtool check healthy` or `ready` without an --http.config.file."""
    line = " ".join(test[1:])
    return (
        re.search(r"promtool\s+check\s+(healthy|ready)\b", line) is not None
        and "--http.config.file" not in line
    )


def _over_tls(words: tuple[str, ...], program: str, url: str, new_url: str) -> tuple[str, ...]:
    """The same test over https, without verification: it connects to the program's own host."""
    option = "--no-check-certificate" if program == "wget" else "-k"
    options = ("--no-check-certificate",) if program == "wget" else ("-k", "--insecure")
    if words[0] == "CMD":
        changed = [new_url if word == url else word.replace(url, new_url) for word in words]
        if not any(word in options for word in words):
            at = next(index for index, word in enumerate(words) if word.rsplit("/", 1)[-1] == program)
            changed.insert(at + 1, option)
        return tuple(changed)
    line = words[1].replace(url, new_url)
    if not any(re.search(rf"(?<!\S){re.escape(word)}(?!\S)", line) for word in options):
        line = re.sub(rf"(^|[\s;&|(/]){program}(?=\s)", lambda found: f"{found[0]} {option}", line, count=1)
    return ("CMD-SHELL", line)


def _any_answer(program: str, url: str, demands: Demands) -> tuple[str, ...]:
    """A test that succeeds at 200 and 401."""
    if program == "wget":
        insecure = "--no-check-certificate " if demands.tls else ""
        return (
            "CMD-SHELL",
            f"wget {insecure}-S -O /dev/null {url} 2>&1 | grep -qE 'HTTP/1.[01] (200|401)'",
        )
    insecure = "-k " if demands.tls else ""
    return (
        "CMD-SHELL",
        f"curl {insecure}-s -m 5 -o /dev/null -w '%{{http_code}}' {url} | grep -qE '^(200|401)'",
    )


def _port_open(program: str, url: str) -> tuple[str, ...]:
    """A test that the port accepts connections: without a client certificate, no request is answered."""
    found = _ADDRESS.match(url)
    if found is None:
        raise ConfigError(f"the healthcheck asks {url}, whose port is not plain", todo=_TODO)
    host, port = found["host"].strip("[]"), found["port"] or "443"
    if program == "wget":
        return ("CMD-SHELL", f"nc -w 5 {host} {port} </dev/null")
    # The server ended the TLS handshake (35), or the connection right after it: seen on reading (56), sending (16, 55).
    return (
        "CMD-SHELL",
        f"curl -k -s -m 5 -o /dev/null {url}; case $? in 0|16|35|55|56) exit 0;; esac; exit 1",
    )


def _promtool(words: tuple[str, ...], demands: Demands) -> tuple[str, ...]:
    """`promtool check healthy` or `check ready` with the right address and --http.config.file."""
    line = words[1] if words[0] == "CMD-SHELL" else " ".join(words[1:])
    checked = re.search(r"promtool\s+check\s+(healthy|ready)\b", line)
    if checked is None:
        return words
    scheme = "https" if demands.tls else "http"
    given = re.search(r"--url(?:=|\s+)['\"]?(https?)(://[^\s'\"]+)", line)
    tail = given[2] if given else "://localhost:9090"
    if not (demands.tls or demands.password):
        return words
    present = re.search(r"--http\.config\.file(?:=|\s+)['\"]?([^\s'\"]+)", line)
    config = demands.client_config or (present[1] if present else "")
    if not config:
        raise ConfigError(
            "promtool in the healthcheck needs a file that says how to log in",
            todo="Give it one by --http.config.file, with password_file in it, or ask for an answer by wget",
        )
    if present and present[1] == config and f"{scheme}{tail}" in line:
        return words
    program = re.search(r"\S*promtool(?=\s)", line)
    assert program is not None
    return (
        "CMD",
        program.group(),
        "check",
        checked[1],
        f"--url={scheme}{tail}",
        f"--http.config.file={config}",
    )
