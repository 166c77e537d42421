"""The routes of an HAProxy: the servers of its backends, with the frontend that uses each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from wizard.config_files.proxies.included_files import Files, text, upstream
from wizard.model import ProxyRoute

_SECTIONS = (
    "global",
    "defaults",
    "frontend",
    "backend",
    "listen",
    "userlist",
    "peers",
    "resolvers",
    "cache",
    "crt-store",
)


@dataclass(slots=True)
class _Section:
    kind: str
    name: str
    mode: str = "http"
    port: int = 80
    tls: bool = False
    authorization: bool = False
    acls: dict[str, tuple[str, str]] = field(default_factory=dict)
    """'host' or 'path' and the value of each ACL."""
    uses: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The conditions under which a backend is used; () for none."""
    servers: list[tuple[str, str, str, int, str]] = field(default_factory=list)
    """(host:port, scheme, file, line, text)"""


def includes(content: bytes, folder: str) -> tuple[str, ...]:
    """(): HAProxy's configuration is one file, or all files of a folder."""
    del content, folder
    return ()


def routes(main: str, files: Files) -> tuple[ProxyRoute, ...]:
    """One route per server of each backend; without a frontend, a backend's site has no name."""
    sections = list(_sections(main, files))
    found = []
    for each in sections:
        fronts = [one for one in sections if each.name in one.uses] or [each]
        front = fronts[0]
        conditions = [front.acls[name] for name in front.uses.get(each.name, ()) if name in front.acls]
        site = next((value for kind, value in conditions if kind == "host"), "")
        path = next((value for kind, value in conditions if kind == "path"), "/")
        for place, scheme, file, line, said in each.servers:
            found.append(
                ProxyRoute(
                    host="",
                    program="haproxy",
                    file=file,
                    line=line,
                    upstream=place,
                    scheme="tcp" if each.mode == "tcp" else "https" if scheme == "https" else "http",
                    text=said,
                    site=site,
                    port=front.port,
                    tls=front.tls,
                    path=path,
                    authorization=each.authorization or front.authorization,
                )
            )
    return tuple(found)


def _sections(main: str, files: Files) -> Iterator[_Section]:
    below = sorted(each for each in files if each.startswith(f"{main.rstrip('/')}/"))
    section = _Section("", "")
    usual = "http"
    for path in [main] if main in files else below:
        for number, raw in enumerate(text(files[path]).splitlines(), 1):
            words = re.sub(r"(?<!\\)#.*", "", raw).split()
            if not words:
                continue
            if words[0] in _SECTIONS:
                yield section
                section = _Section(words[0], words[1] if len(words) > 1 else "", mode=usual)
                continue
            _take(section, words, path, number, raw.strip())
            if section.kind == "defaults":
                usual = section.mode
    yield section


def _take_condition(section: _Section, name: str, test: str, more: list[str]) -> None:
    values = [each for each in more if not each.startswith("-")]
    lowered = test.lower()
    if values and ("hdr(host)" in lowered or "ssl_fc_sni" in lowered):
        section.acls[name] = ("host", values[0])
    elif values and lowered.startswith("path"):
        section.acls[name] = ("path", values[0])


def _conditions(section: _Section, words: list[str]) -> Iterator[str]:
    """Yields the names of the conditions after `use_backend`; one in braces is named by its text."""
    written: list[str] | None = None
    for word in words:
        if word == "{":
            written = []
        elif word == "}" and written:
            name = " ".join(written)
            _take_condition(section, name, written[0], written[1:])
            yield name
            written = None
        elif written is not None:
            written.append(word)
        elif word not in ("if", "||", "or"):
            yield word


def _take(section: _Section, words: list[str], path: str, number: int, said: str) -> None:
    match words:
        case ["mode", mode, *_]:
            section.mode = mode
        case ["bind", place, *more]:
            port = re.search(r":(\d+)$", place.partition(",")[0])
            section.port, section.tls = int(port[1]) if port else section.port, "ssl" in more
        case ["acl", name, test, *more]:
            _take_condition(section, name, test, more)
        case ["use_backend", name, *more]:
            section.uses[name] = tuple(_conditions(section, more))
        case ["default_backend", name, *_]:
            section.uses.setdefault(name, ())
        case ["http-request", verb, header, *_] if verb in ("set-header", "add-header"):
            section.authorization |= header.lower() == "authorization"
        case ["server", _, place, *more]:
            scheme = "https" if "ssl" in more else "http"
            target = upstream(place, scheme)
            if target:
                section.servers.append((target, scheme, path, number, said))
