"""Paths in a HAProxy frontend that a person wrote: a few lines of ours in it; every other byte stays as it is.

The lines only choose a backend of ours, which requires the login, so the frontend's own rules for its other paths apply
as before. From text to text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from wizard.errors import InputError
from wizard.front_doors.base import Door

_BEGIN: Final = "# Written by Firescreen, which undoes it too: paths of front doors."
_END: Final = "# End of the paths that Firescreen wrote."
_OURS: Final = re.compile(
    rf"^[ \t]*{re.escape(_BEGIN)}\r?\n.*?^[ \t]*{re.escape(_END)}(?:\r?\n|\Z)", re.MULTILINE | re.DOTALL
)
_SECTIONS: Final = frozenset(
    "global defaults frontend backend listen userlist peers resolvers mailers cache program http-errors ring "
    "log-forward log-profile fcgi-app crt-store traces acme".split()
)
COUNTER: Final = "track-sc2"
"""The last of a request's three counters, used by the rate limit; a frontend rarely uses that many."""
_PORT: Final = re.compile(r":(\d+)(?:-(\d+))?$")
_ANSWERS: Final = ("return", "deny", "reject", "auth", "redirect", "tarpit")
"""Actions of an http-request rule that, without a condition, keep all paths from their backends."""


@dataclass(slots=True)
class _Section:
    kind: str
    name: str
    mode: str
    lines: list[tuple[int, tuple[str, ...]]] = field(default_factory=list)
    """The offset and the words of each line that is not empty."""
    ends: int = 0
    """The offset after the last of these lines."""

    @property
    def is_theirs(self) -> bool:
        """Whether it accepts requests and is not a frontend of ours."""
        return self.kind in ("frontend", "listen") and not self.name.startswith("firescreen-")

    def listens(self, port: int) -> bool:
        """Whether it binds that port."""
        return any(words[0] == "bind" and _binds(words, port) for _, words in self.lines)

    def has_tls(self, port: int) -> bool:
        """Whether it has a certificate at that port."""
        return any(words[0] == "bind" and _binds(words, port) and "ssl" in words for _, words in self.lines)

    def mentions(self, name: str) -> bool:
        """Whether a line has the name as a word."""
        return any(name in (word.lower() for word in words) for _, words in self.lines)


def with_paths(main: str, doors: Sequence[Door]) -> str:
    """The configuration with the paths of exactly these front doors in the frontends with their names.

    Raises:
        InputError: there is no such frontend, or it cannot get the paths.
    """
    text = _OURS.sub("", main)
    places: dict[int, list[Door]] = {}
    for door in doors:
        places.setdefault(_place(text, door), []).append(door)
    for at, same in sorted(places.items(), reverse=True):
        text = _insert_lines(text, at, [line for door in same for line in _lines(door)])
    return text


def label(door: Door) -> str:
    """The prefix of our names."""
    return f"firescreen-{door.name}" + (f"-{door.port}" if door.port != 443 else "")


def backend_name(door: Door, address: str) -> str:
    """The name of the backend for host:port."""
    host, _, port = address.rpartition(":")
    place = "" if host == "127.0.0.1" else f"{re.sub(r'[^A-Za-z0-9.]', '-', host)}-"
    return f"{label(door)}-to-{place}{port}"


def _lines(door: Door) -> Iterator[str]:
    yield f"acl {label(door)} hdr(host) -i {door.name} {door.name}:{door.port}"
    for opening in door.openings:
        backend = backend_name(door, opening.backend)
        yield f"acl {backend} path {opening.prefix}"
        yield f"acl {backend} path_beg {opening.prefix}/"
        yield f"use_backend {backend} if {label(door)} {backend}"


def _place(text: str, door: Door) -> int:
    """The offset for the lines of a front door: before the first use_backend, or at the end of the frontend."""
    section = _frontend(text, door)
    for _, words in section.lines:
        verb = words[1:2] if words[0] == "http-request" else words[:1]
        always = "if" not in words and "unless" not in words
        if always and (words[0] == "redirect" or (words[0] == "http-request" and verb[0] in _ANSWERS)):
            raise InputError(
                f"the {section.kind} {section.name} answers everything itself (`{' '.join(words)}`), so no path can be put "
                "into it",
                todo="Give that rule a condition, or leave `site` out",
            )
    if door.rate_limit and any(COUNTER in words for _, words in section.lines):
        raise InputError(
            f"the {section.kind} {section.name} counts requests by {COUNTER} itself, as the rate limit would",
            todo="Leave rate_limit out, or use track-sc0 or track-sc1 there",
        )
    opened: list[int] = []
    for at, words in section.lines:
        if words[0] == ".if":
            opened.append(at)
        elif words[0] == ".endif" and opened:
            opened.pop()
        elif words[0] == "use_backend":
            # Lines under an .if of the configuration itself may not apply.
            return opened[0] if opened else at
    return section.ends


def _frontend(text: str, door: Door) -> _Section:
    frontends = [each for each in _sections(text) if each.is_theirs and each.listens(door.port)]
    by_name = [each for each in frontends if each.mentions(door.name)]
    found = frontends if len(frontends) == 1 else by_name
    if len(found) != 1:
        what = (
            f"{len(frontends)} frontends listen on port {door.port}, and {len(by_name) or 'none'} of them names {door.name}"
            if frontends
            else f"no frontend listens on port {door.port}"
        )
        raise InputError(
            what, todo="Correct the port, or leave `site` out and give the front door a port of its own"
        )
    (section,) = found
    if section.mode != "http" or not section.has_tls(door.port):
        raise InputError(
            f"the {section.kind} {section.name} passes port {door.port} on without reading it (mode {section.mode}, "
            f"{'with' if section.has_tls(door.port) else 'without'} TLS of its own)",
            todo="Name a port whose frontend has mode http and `bind … ssl`, or leave `site` out",
        )
    return section


def _sections(text: str) -> Iterator[_Section]:
    section = _Section("", "", "tcp")
    usual, named = "tcp", dict[str, str]()
    at = 0
    for line in text.splitlines(keepends=True):
        words = tuple(re.sub(r"(?<!\\)#.*", "", line).split())
        if words and words[0] in _SECTIONS:
            if section.kind:
                yield section
            mode = named.get(words[-1], usual) if "from" in words else usual
            section = _Section(
                words[0], words[1] if len(words) > 1 else "", "tcp" if words[0] == "defaults" else mode
            )
            section.ends = at + len(line)
        elif words:
            section.lines.append((at, words))
            section.ends = at + len(line)
            section.mode = words[1] if words[0] == "mode" and len(words) > 1 else section.mode
        if section.kind == "defaults":
            usual = named[section.name] = section.mode
        at += len(line)
    if section.kind:
        yield section


def _binds(words: Sequence[str], port: int) -> bool:
    for place in words[1].split(",") if len(words) > 1 else ():
        found = _PORT.search(place)
        if found is not None and int(found[1]) <= port <= int(found[2] or found[1]):
            return True
    return False


def _insert_lines(text: str, at: int, lines: Sequence[str]) -> str:
    """The text with lines of ours, with the indentation and line end of the line before them."""
    before = text[:at].splitlines(keepends=True)
    end = "\r\n" if before and before[-1].endswith("\r\n") else "\n"
    following = re.match(r"[ \t]+", text[at:]) or re.match(r"[ \t]+", before[-1] if before else "")
    indent = following[0] if following is not None else "    "
    gap = "" if text[:at].endswith("\n") else end
    ours = "".join(f"{indent}{line}{end}" for line in (_BEGIN, *lines, _END))
    return f"{text[:at]}{gap}{ours}{text[at:]}"
