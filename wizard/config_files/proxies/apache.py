"""The routes of an Apache: ProxyPass, rewriting with [P] and balancers, with the site of each."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from wizard.config_files.proxies.included_files import (
    CERTIFICATES,
    DEEPEST,
    OURS,
    Files,
    included_paths,
    text,
    upstream,
)
from wizard.model import ProxyRoute, ProxySite

_URL: Final = re.compile(r"(https?|wss?)://([^/\s\"'\]]+)", re.IGNORECASE)
_DEFINED: Final = re.compile(r"\$\{(\w+)\}")
_PASSES: Final = ("proxypass", "proxypassmatch", "rewriterule", "balancermember")


@dataclass(frozen=True, slots=True)
class _Line:
    name: str
    words: tuple[str, ...]
    file: str
    line: int
    text: str


@dataclass(slots=True)
class _Site:
    """The settings of the open sections."""

    name: str = ""
    port: int = 80
    tls: bool = False
    authorization: bool = False
    path: str = "/"
    found: list[ProxyRoute] = field(default_factory=list)


def includes(content: bytes, folder: str) -> tuple[str, ...]:
    """The patterns that a file includes, absolute; `folder` is the ServerRoot."""
    found = re.findall(r"^\s*Include(?:Optional)?\s+(\S+)", text(content), re.MULTILINE | re.IGNORECASE)
    return tuple(posixpath.join(folder, each.strip("\"'")) for each in found)


def sites(main: str, files: Files) -> tuple[ProxySite, ...]:
    """Every name of every virtual host."""
    found: list[ProxySite] = []
    port, named = 80, True
    first, inside, mine, everywhere = 0, False, "", ""
    for each in _lines(main, root(main), files, {}, 0):
        if each.name in CERTIFICATES and not files[each.file].startswith(OURS):
            place = f"{each.file}:{each.line}"
            mine, everywhere = (place, everywhere) if inside else (mine, place)
        elif each.name == "<virtualhost":
            port, named, begins = _port(each.words, 80), False, each
            first, inside, mine = len(found), True, ""
        elif each.name in ("servername", "serveralias"):
            named = True
            found += [_site(word.partition(":")[0], port, each) for word in each.words]
        elif each.name == "</virtualhost>":
            inside = False
            if not named:
                found.append(_site("", port, begins))
            found[first:] = [replace(one, certificates=mine) for one in found[first:]]
    return tuple(dict.fromkeys(replace(one, certificates=one.certificates or everywhere) for one in found))


def _site(name: str, port: int, at: _Line) -> ProxySite:
    return ProxySite(program="apache", name=name, port=port, file=at.file, line=at.line)


def routes(main: str, files: Files) -> tuple[ProxyRoute, ...]:
    """The routes of all directives that pass requests to a URL."""
    folder = root(main)
    defined: dict[str, str] = {}
    outside, found = _Site(), []
    site = outside
    listen = 0
    for each in _lines(main, folder, files, defined, 0):
        if each.name == "listen" and not listen:
            listen = _port(each.words, 80)
        if each.name == "<virtualhost":
            port = _port(each.words, listen or 80)
            site = _Site(port=port, tls=port == 443)
        elif each.name == "</virtualhost>":
            found += _of(site)
            site = outside
        else:
            _take(each, site)
    return (*_of(outside), *found)


def root(main: str) -> str:
    """The folder at which relative paths begin."""
    folder = posixpath.dirname(main)
    return posixpath.dirname(folder) if posixpath.basename(folder) == "conf" else folder


def _take(each: _Line, site: _Site) -> None:
    words = each.words
    match each.name:
        case "servername" if words:
            site.name = words[0].partition("://")[2] or words[0]
            site.name = site.name.partition(":")[0]
        case "sslengine" if words:
            site.tls = words[0].lower() == "on"
        case "requestheader":
            site.authorization |= [word.lower() for word in words[:2]] == ["set", "authorization"]
        case "<location" | "<locationmatch" if words:
            path = words[-1].rstrip(">").strip("\"'")
            site.path = path if path.startswith("/") else "/"
        case "</location>" | "</locationmatch>":
            site.path = "/"
        case name if name in _PASSES:
            if name == "rewriterule" and not re.search(r"\[(?:[^\]]*,)?P(?:,[^\]]*)?\]", each.text):
                return
            prefix = (
                words[0] if len(words) > 1 and words[0].startswith("/") and name != "balancermember" else ""
            )
            if target := _URL.search(each.text):
                scheme = "https" if target[1].lower() in ("https", "wss") else "http"
                place = upstream(target[2], scheme)
                if place:
                    site.found.append(
                        ProxyRoute(
                            host="",
                            program="apache",
                            file=each.file,
                            line=each.line,
                            upstream=place,
                            scheme=scheme,  # type: ignore[arg-type]
                            text=each.text,
                            path=prefix or site.path,
                        )
                    )


def _of(site: _Site) -> list[ProxyRoute]:
    return [
        replace(each, site=site.name, port=site.port, tls=site.tls, authorization=site.authorization)
        for each in site.found
    ]


def _port(words: tuple[str, ...], usual: int) -> int:
    found = re.search(r"(?:^|:)(\d+)>?$", words[0]) if words else None
    return int(found[1]) if found else usual


def _lines(path: str, folder: str, files: Files, defined: dict[str, str], depth: int) -> Iterator[_Line]:
    content = files.get(path)
    if content is None or depth > DEEPEST:
        return
    kept, first = "", 0
    for number, raw in enumerate(text(content).splitlines(), 1):
        first = first or number
        kept += raw
        if kept.endswith("\\"):
            kept = kept[:-1]
            continue
        statement = _DEFINED.sub(lambda one: defined.get(one[1], one[0]), kept.strip())
        kept, line, first = "", first, 0
        if not statement or statement.startswith("#"):
            continue
        words = _words(statement)
        name = words[0].lower()
        if name == "define" and len(words) > 1:
            defined[words[1]] = words[2] if len(words) > 2 else ""
        elif name in ("include", "includeoptional"):
            for pattern in words[1:]:
                for each in included_paths(pattern, folder, files):
                    yield from _lines(each, folder, files, defined, depth + 1)
        else:
            yield _Line(name, tuple(words[1:]), path, line, statement)


def _words(statement: str) -> list[str]:
    try:
        return shlex.split(statement, posix=True) or [statement]
    except ValueError:
        return statement.split()
