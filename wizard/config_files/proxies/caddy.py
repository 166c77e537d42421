"""The routes of a Caddy: the reverse_proxy directives of its Caddyfile, with the site of each."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from wizard.config_files.proxies.included_files import DEEPEST, Files, included_paths, text, upstream
from wizard.model import ProxyRoute

_WORD: Final = re.compile(r'"(?:\\.|[^"\\])*"|`[^`]*`|\S+')
_ADDRESS: Final = re.compile(r"(?:(?P<scheme>https?)://)?(?P<name>[^:/\s]*)(?::(?P<port>\d+))?(?:/\S*)?")


@dataclass(frozen=True, slots=True)
class _Line:
    words: tuple[str, ...]
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class _Open:
    """An open block: the words before its brace."""

    words: tuple[str, ...]


def includes(content: bytes, folder: str) -> tuple[str, ...]:
    """The patterns that a file imports, absolute; the name of a snippet matches no file."""
    found = re.findall(r"^\s*import\s+(\S+)", text(content), re.MULTILINE)
    return tuple(posixpath.join(folder, each.strip("\"'")) for each in found)


def routes(main: str, files: Files) -> tuple[ProxyRoute, ...]:
    """One route per upstream of each reverse_proxy."""
    snippets, lines = _snippets(_lines(main, files, 0))
    found: list[ProxyRoute] = []
    stack: list[_Open] = []
    for each in _expand_snippets(lines, snippets):
        words = each.words
        if words == ("}",):
            if stack:
                stack.pop()
            continue
        opens = words[-1] == "{"
        bare = words[:-1] if opens else words
        if bare[:1] == ("reverse_proxy",):
            found += _proxy_routes(bare[1:], each, stack)
        elif bare[:1] == ("to",) and stack and stack[-1].words[:1] == ("reverse_proxy",):
            found += _proxy_routes((*stack[-1].words[1:], *bare[1:]), each, stack[:-1])
        elif bare[:1] == ("header_up",) and len(bare) > 2 and bare[1].lower() == "authorization":
            found = [
                replace(one, authorization=True) if (one.file, one.line) == _last_place(found) else one
                for one in found
            ]
        if opens:
            stack.append(_Open(bare))
    return tuple(found)


def _last_place(found: Sequence[ProxyRoute]) -> tuple[str, int]:
    return (found[-1].file, found[-1].line) if found else ("", 0)


def _proxy_routes(words: Sequence[str], line: _Line, stack: Sequence[_Open]) -> list[ProxyRoute]:
    sites = stack[0].words if stack else ("",)
    site = _ADDRESS.match(sites[0].rstrip(",")) if sites else None
    named_so = (site["name"] if site else "") or ""
    plain = bool(site) and site is not None and (site["scheme"] == "http" or site["port"] == "80")
    # A site without a name, or with a port only, is served without TLS; Caddy adds TLS to one with a name.
    tls = not plain and (bool(named_so) or (site is not None and site["scheme"] == "https"))
    port = int(site["port"]) if site and site["port"] else 443 if tls else 80
    path = next(
        (
            word.rstrip("*")
            for each in reversed(stack[1:])
            for word in each.words[1:]
            if word.startswith("/") and each.words[0] in ("handle", "handle_path", "route")
        ),
        "/",
    )
    found = []
    for word in words:
        if word.startswith("/"):
            path = word.rstrip("*")
            continue
        if word.startswith(("@", "*")):
            continue
        head, sign, tail = word.partition("://")
        scheme = "https" if head in ("https", "h2") and sign else "http"
        place = upstream(tail if sign else f"localhost{word}" if word.startswith(":") else word, scheme)
        if place:
            found.append(
                ProxyRoute(
                    host="",
                    program="caddy",
                    file=line.file,
                    line=line.line,
                    upstream=place,
                    scheme="https" if scheme == "https" else "http",
                    text=" ".join(line.words).removesuffix("{").strip(),
                    site="" if "*" in named_so or "{" in named_so else named_so,
                    port=port,
                    tls=tls,
                    path=path or "/",
                )
            )
    return found


def _lines(path: str, files: Files, depth: int) -> list[_Line]:
    content = files.get(path)
    if content is None or depth > DEEPEST:
        return []
    found: list[_Line] = []
    for number, raw in enumerate(text(content).splitlines(), 1):
        statement = re.sub(r"(?:^|(?<=\s))#.*", "", raw).strip()
        words = tuple(word.strip('"`') for word in _WORD.findall(statement))
        if not words:
            continue
        files_of = (
            included_paths(words[1], posixpath.dirname(path), files)
            if words[0] == "import" and words[1:]
            else ()
        )
        if files_of:
            for each in files_of:
                found += _lines(each, files, depth + 1)
        else:
            found.append(_Line(words, path, number))
    return found


def _snippets(lines: Sequence[_Line]) -> tuple[Mapping[str, tuple[_Line, ...]], list[_Line]]:
    """The snippets for `import NAME` (`(NAME) { … }` at the top of a file), and all other lines."""
    found: dict[str, tuple[_Line, ...]] = {}
    others: list[_Line] = []
    name, inside, depth = "", list[_Line](), 0
    for each in lines:
        if not depth and len(each.words) == 2 and each.words[1] == "{" and each.words[0].startswith("("):
            name, inside, depth = each.words[0].strip("()"), [], 1
            continue
        depth += (each.words[-1] == "{") - (each.words == ("}",))
        if not name:
            others.append(each)
        elif not depth:
            found[name], name = tuple(inside), ""
        else:
            inside.append(each)
    return found, others


def _expand_snippets(
    lines: Sequence[_Line], snippets: Mapping[str, tuple[_Line, ...]], depth: int = 0
) -> list[_Line]:
    found: list[_Line] = []
    for each in lines:
        part = snippets.get(each.words[1]) if each.words[0] == "import" and len(each.words) > 1 else None
        if part is not None and depth < DEEPEST:
            found += _expand_snippets(part, snippets, depth + 1)
        else:
            found.append(each)
    return found
