"""The routes of an nginx: the proxy_pass directives of its configuration, with the site of each."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

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

TOKEN: Final = re.compile(
    r"""#[^\n]*|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[{};]|(?:\\.|\$\{[^}]*\}|[^\s{};"'#\\])+"""
)
_VARIABLE: Final = re.compile(r"\$\{?(\w+)\}?")
_PASSES: Final = ("proxy_pass", "grpc_pass")


@dataclass(frozen=True, slots=True)
class _Directive:
    name: str
    words: tuple[str, ...]
    file: str
    line: int
    block: tuple[_Directive, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Context:
    """The settings that apply to a directive at its place."""

    sites: tuple[str, ...] = ("",)
    port: int = 80
    tls: bool = False
    path: str = "/"
    stream: bool = False
    authorization: bool = False
    variables: Mapping[str, str]


def includes(content: bytes, folder: str) -> tuple[str, ...]:
    """The patterns that a file includes, absolute; `folder` is that of the main configuration."""
    found = re.findall(r"^[^#\n]*\binclude\s+([^;\s]+)\s*;", text(content), re.MULTILINE)
    return tuple(posixpath.join(folder, each.strip("\"'")) for each in found)


def routes(main: str, files: Files) -> tuple[ProxyRoute, ...]:
    """Every proxy_pass, even through an `upstream` block or a variable set beside it."""
    tree = _read(main, posixpath.dirname(main), files, 0)
    groups: dict[str, list[tuple[str, _Directive]]] = {}
    for each in _all(tree, "upstream"):
        name = each.words[0] if each.words else ""
        groups[name] = [(one.words[0], one) for one in each.block if one.name == "server" and one.words]
    return tuple(_walk(tree, _Context(variables={}), groups))


def sites(main: str, files: Files) -> tuple[ProxySite, ...]:
    """Every name of a server block, with each of its ports."""
    tree = _read(main, posixpath.dirname(main), files, 0)
    found = []
    everywhere = next(
        (place for http in _all(tree, "http") if (place := _certificates(http.block, files))), ""
    )
    for server in (each for http in _all(tree, "http") for each in _all(http.block, "server") if each.block):
        names = [word for each in server.block if each.name == "server_name" for word in each.words]
        listens = [each.words[0] for each in server.block if each.name == "listen" and each.words] or ["80"]
        ports = [int(port[1]) for each in listens if (port := re.search(r"(?:^|:)(\d+)$", each))]
        found += [
            ProxySite(
                program="nginx",
                name="" if name in ("_", '""') else name,
                port=port,
                file=server.file,
                line=server.line,
                certificates=_certificates(server.block, files) or everywhere,
            )
            for name in names or ["_"]
            for port in ports or [80]
        ]
    return tuple(dict.fromkeys(found))


def _certificates(block: Sequence[_Directive], files: Files) -> str:
    """The place, as file:line, where a block itself requires client certificates; '' for none."""
    found = (each for each in block if each.name in CERTIFICATES and not files[each.file].startswith(OURS))
    return next((f"{each.file}:{each.line}" for each in found), "")


def _walk(
    tree: Sequence[_Directive], context: _Context, groups: Mapping[str, Sequence[tuple[str, _Directive]]]
) -> Iterator[ProxyRoute]:
    variables = dict(context.variables)
    for each in tree:
        if each.name == "set" and len(each.words) == 2:
            variables[each.words[0].lstrip("$")] = each.words[1]
        if each.name == "proxy_set_header" and each.words[:1] and each.words[0].lower() == "authorization":
            context = replace(context, authorization=len(each.words) > 1 and bool(each.words[1]))
    context = replace(context, variables=variables)
    for each in tree:
        if each.name in _PASSES and each.words:
            yield from _pass(each, context, groups)
        elif each.name == "stream":
            yield from _walk(each.block, replace(context, stream=True), groups)
        elif each.name == "server" and each.block:
            yield from _walk(each.block, _server(each, context), groups)
        elif each.name == "location":
            yield from _walk(each.block, replace(context, path=_path(each.words, context.path)), groups)
        elif each.block and each.name != "upstream":
            yield from _walk(each.block, context, groups)


def _server(server: _Directive, context: _Context) -> _Context:
    names = [word for each in server.block if each.name == "server_name" for word in each.words]
    plain = tuple(name for name in names if not name.startswith(("~", "*", ".")) and name not in ("_", '""'))
    listens = [each.words for each in server.block if each.name == "listen" and each.words]
    first = listens[0] if listens else ("80",)
    port = re.search(r"(?:^|:)(\d+)$", first[0])
    # `ssl on` is the older form.
    old = any(each.name == "ssl" and each.words == ("on",) for each in server.block)
    return replace(
        context,
        sites=plain or ("",),
        port=int(port[1]) if port else 80,
        tls=old or "ssl" in first[1:],
    )


def _path(words: Sequence[str], above: str) -> str:
    """The path of a location; for a regular expression, the path of the surrounding block."""
    if not words or words[0] in ("~", "~*") or words[-1].startswith("@"):
        return above
    return words[-1] if words[-1].startswith("/") else above


def _pass(
    directive: _Directive, context: _Context, groups: Mapping[str, Sequence[tuple[str, _Directive]]]
) -> Iterator[ProxyRoute]:
    url = directive.words[0]
    for _ in range(4):  # a variable may contain another
        url = _VARIABLE.sub(lambda found: context.variables.get(found[1], found[0]), url)
    head, sign, tail = url.partition("://")
    scheme: Literal["http", "https", "tcp"] = (
        "tcp" if context.stream else "https" if head == "https" else "http"
    )
    place = (tail if sign else head).partition("/")[0]
    members = groups.get(place)
    found = [(place, directive)] if members is None else list(members)
    for address, line in found:
        target = upstream(address, scheme)
        if target:
            yield ProxyRoute(
                host="",
                program="nginx",
                file=directive.file,
                line=directive.line,
                upstream=target,
                scheme=scheme,
                text=f"{line.name} {' '.join(line.words)};"
                if members is not None
                else f"{directive.name} {url};",
                site=context.sites[0],
                port=context.port,
                tls=context.tls,
                path=context.path,
                authorization=context.authorization,
            )


def _read(path: str, folder: str, files: Files, depth: int) -> tuple[_Directive, ...]:
    """The directives of a file, with those of included files at the place of the include."""
    content = files.get(path)
    if content is None or depth > DEEPEST:
        return ()
    tokens = _tokens(text(content))
    return tuple(_block(tokens, path, folder, files, depth))


def _tokens(said: str) -> Iterator[tuple[str, int]]:
    line, last = 1, 0
    for found in TOKEN.finditer(said):
        line += said.count("\n", last, found.start())
        last = found.start()
        if not found[0].startswith("#"):
            yield found[0], line


def _block(
    tokens: Iterator[tuple[str, int]], path: str, folder: str, files: Files, depth: int
) -> list[_Directive]:
    found: list[_Directive] = []
    words: list[str] = []
    first = 0
    for token, line in tokens:
        if token == "}":
            break
        if token not in ("{", ";"):
            first = first if words else line
            words.append(token.strip("\"'") if token[0] in "\"'" else token)
            continue
        inner = tuple(_block(tokens, path, folder, files, depth)) if token == "{" else ()
        if words and words[0] == "include" and token == ";":
            for each in words[1:]:
                for name in included_paths(each, folder, files):
                    found += _read(name, folder, files, depth + 1)
        elif words:
            found.append(_Directive(words[0], tuple(words[1:]), path, first, inner))
        words = []
    return found


def _all(tree: Sequence[_Directive], name: str) -> Iterator[_Directive]:
    for each in tree:
        if each.name == name:
            yield each
        yield from _all(each.block, name)
