"""Adds one line to a site that a person wrote: an include of a file of ours. Every other byte stays as it is.

From text to text; the proxy's own checker tests the result.
"""

from __future__ import annotations

import fnmatch
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from wizard.config_files.proxies import apache
from wizard.config_files.proxies.nginx import TOKEN
from wizard.errors import InputError
from wizard.model import ProxyProgram

_APACHE_INCLUDE: Final = re.compile(
    r"^(?P<indent>[ \t]*)Include(?:Optional)?[ \t]+(?P<path>\"[^\"\n]+\"|[^\s\"]+)",
    re.MULTILINE | re.IGNORECASE,
)
_CADDY_IMPORT: Final = re.compile(r"^(?P<indent>[ \t]*)import[ \t]+(?P<path>\S+)", re.MULTILINE)
_NGINX_INCLUDE: Final = re.compile(r"include\s+(?P<path>\"[^\"]+\"|'[^']+'|[^\s;]+)\s*;")
_CADDY_TOKEN: Final = re.compile(
    r"""(?<!\S)\#[^\n]*|<<(?P<mark>\w+)\r?\n.*?\n[ \t]*(?P=mark)(?!\S)|"(?:\\.|[^"\\])*"|`[^`]*`|\n|[^\s]+""",
    re.DOTALL,
)


@dataclass(slots=True)
class _Block:
    """An open block: the words before its brace, and the directives directly in it."""

    words: tuple[str, ...]
    begins: int
    """Offset after its opening brace."""
    directives: list[tuple[str, ...]] = field(default_factory=list)


def with_include(
    program: ProxyProgram,
    content: bytes,
    *,
    name: str,
    port: int,
    path: str,
    prefixes: tuple[str, ...] = (),
    reserved: tuple[str, ...] = (),
) -> bytes:
    """The file of a site with a line that includes `path`; unchanged if it has that line.

    Args:
        program: the proxy.
        content: the file.
        name: DNS name of the site.
        port: port of the site.
        path: path of the file to include.
        prefixes: paths that the included file serves.
        reserved: further paths that it serves, below which the site must have none of its own.

    Raises:
        InputError: the file has no such site, or a directive in it would take precedence over the included ones.
    """
    text = content.decode("utf-8", "surrogateescape")
    edit = {"nginx": _nginx, "apache": _apache, "caddy": _caddy}.get(program)
    if edit is None:
        raise _missing_site(name, port)
    changed, directives = edit(text, name, port, path, prefixes)
    if changed != text:
        _refuse_taken(directives, reserved)
    return changed.encode("utf-8", "surrogateescape")


def _missing_site(name: str, port: int) -> InputError:
    return InputError(
        f"the file has no site with the name {name} on port {port}",
        todo="Name the file that holds the site, or leave `site` out: the front door then is a site of its own",
    )


def _refuse_taken(directives: Iterable[tuple[str, ...]], reserved: tuple[str, ...]) -> None:
    """Refuses a site that has directives of its own for what the included file adds."""
    for words in directives:
        directive = " ".join(words)
        if any(_is_below(word.strip("\"'^~=*$()"), reserved) for word in words):
            raise InputError(
                f"the site has `{directive}` itself, and people sign in below {reserved[0]}",
                todo="Move that path, or leave `site` out",
            )
        if reserved and words[0].lower().startswith("oidc"):
            raise InputError(
                f"people sign in at the site already (`{directive}`)",
                todo="Leave `site` out: the front door then has a name and a sign-in of its own",
            )


# -- nginx ---------------------------------------------------------------------------------------------------


_Said: TypeAlias = tuple[str, list[tuple[str, ...]]]
"""The text with the line, and the directives of the site."""


def _nginx(text: str, name: str, port: int, path: str, prefixes: tuple[str, ...]) -> _Said:
    for server in _servers(text):
        if not _has_name(server, name, port):
            continue
        if ("include", path) in server.directives:
            return text, server.directives
        for words in server.directives:
            if words[0] == "return":
                raise InputError(
                    f"the site answers everything itself (`{' '.join(words)};`), so no path can be put into it",
                    todo="Name a site that serves pages, or leave `site` out",
                )
            first = words[:2] in (("location", "="), ("location", "^~")) and words[-1] not in prefixes
            if first and _is_below(words[-1], prefixes):
                raise InputError(
                    f"the site has `{' '.join(words)}` itself, which comes before the front door's",
                    todo="Write the location without its modifier, or remove it, then plan again",
                )
        return _insert_line(text, server.begins, f"include {path};"), server.directives
    raise _missing_site(name, port)


def _servers(text: str) -> Iterator[_Block]:
    """Yields the server blocks of a file, in order."""
    stack: list[_Block] = []
    words: list[str] = []
    for found in TOKEN.finditer(text):
        token = found[0]
        if token.startswith("#"):
            continue
        if token == "{":
            if stack and words:
                stack[-1].directives.append(tuple(words))
            stack.append(_Block(tuple(words), found.end()))
            words = []
        elif token == "}":
            block = stack.pop() if stack else None
            words = []
            if block is not None and block.words == ("server",):
                yield block
        elif token == ";":
            if stack and words:
                stack[-1].directives.append(tuple(words))
            words = []
        else:
            words.append(token.strip("\"'") if token[0] in "\"'" else token)


def _has_name(server: _Block, name: str, port: int) -> bool:
    names = {word.lower() for each in server.directives if each[0] == "server_name" for word in each[1:]}
    listens = [each[1] for each in server.directives if each[0] == "listen" and len(each) > 1] or ["80"]
    ports = {int(at[1]) if (at := re.search(r"(?:^|:)(\d+)$", each)) else 80 for each in listens}
    return name in names and port in ports


def _is_below(path: str, prefixes: tuple[str, ...]) -> bool:
    return any(path == prefix or path.startswith(f"{prefix}/") for prefix in prefixes)


def _insert_line(text: str, begins: int, line: str) -> str:
    """The text with a line after an opening brace: on a line of its own, unless the block is on one line."""
    line_end = re.compile(r"[ \t]*(?:#[^\r\n]*)?(\r?\n)").match(text, begins)
    if line_end is None:
        return f"{text[:begins]} {line}{text[begins:]}"
    end = line_end[1]
    next_line = re.compile(r"(?:[ \t]*\r?\n)*([ \t]*)").match(text, line_end.end())
    indent = (next_line[1] if next_line is not None else "") or "    "
    return f"{text[: line_end.end()]}{indent}{line}{end}{text[line_end.end() :]}"


# -- Apache --------------------------------------------------------------------------------------------------


def _apache(text: str, name: str, port: int, path: str, prefixes: tuple[str, ...]) -> _Said:
    """Adds the line at the end of the virtual host: of several sections for a path, the last one counts."""
    del prefixes
    ports: set[int] = set()
    names: set[str] = set()
    offset, kept, inside = 0, "", False
    is_site, directives = False, list[tuple[str, ...]]()
    for line in text.splitlines(keepends=True):
        statement, kept = kept + line.strip(), ""
        if statement.endswith("\\"):
            kept, offset = statement[:-1], offset + len(line)
            continue
        lowered = statement.lower()
        words = lowered.strip("<>").split()
        if lowered.startswith("<virtualhost"):
            ports = {int(at[1]) if (at := re.search(r":(\d+)$", each)) else 80 for each in words[1:]}
            names, inside, is_site, directives = set(), True, False, []
        elif inside and words[:1] in (["servername"], ["serveralias"]):
            names |= {re.sub(r"^https?://|:\d+$", "", each) for each in words[1:]}
        elif inside and statement.split() in (["Include", path], ["IncludeOptional", path]):
            is_site = True
        elif lowered.startswith("</virtualhost"):
            if name in names and port in ports:
                end = "\r\n" if line.endswith("\r\n") else "\n"
                indent = re.match(r"[ \t]*", line)
                space = indent[0] if indent is not None else ""
                added = f"{text[:offset]}{space}    Include {path}{end}{text[offset:]}"
                return text if is_site else added, directives
            inside = False
        if words and not statement.startswith("#"):
            directives.append(tuple(re.sub(r"[<>\"]", " ", statement).split()))
        offset += len(line)
    raise _missing_site(name, port)


# -- Caddy ---------------------------------------------------------------------------------------------------


def _caddy(text: str, name: str, port: int, path: str, prefixes: tuple[str, ...]) -> _Said:
    del prefixes
    if text.lstrip().startswith(('{"', '{\r\n"', '{\n"')) or re.match(r"\s*\{\s*\"", text):
        raise InputError(
            "this is a JSON configuration, and only Caddyfiles are edited",
            todo="Leave `site` out, or write the site as a Caddyfile",
        )
    depth, words = 0, list[str]()
    block: _Block | None = None
    for found in _CADDY_TOKEN.finditer(f"{text}\n"):
        token = found[0]
        if token.startswith("#"):
            continue
        if token != "\n":
            words.append(token)
            if token == "{" and re.compile(r"[ \t]*(?:#[^\n]*)?\r?(?:\n|$)").match(text, found.end()):
                depth += 1
                if depth == 1:
                    block = _Block(tuple(words[:-1]), found.end())
                elif block is not None:
                    block.directives.append(tuple(words))
                words = []
            continue
        if words == ["}"]:
            depth -= 1
            if depth == 0 and block is not None and _is_site(block, name, port):
                there = ("import", path) in block.directives
                added = text if there else _insert_line(text, block.begins, f"import {path}")
                return added, block.directives
        elif depth > 0 and block is not None and words:
            block.directives.append(tuple(words))
        if not (depth == 0 and words and words[-1].endswith(",")):
            words = []
    raise _missing_site(name, port)


def _is_site(block: _Block, name: str, port: int) -> bool:
    for word in " ".join(block.words).replace(",", " ").split():
        found = re.fullmatch(r"(?:(https?)://)?([^:/\s]+)(?::(\d+))?(?:/\S*)?", word)
        if found is None or found[2].lower() != name:
            continue
        if (int(found[3]) if found[3] else 80 if found[1] == "http" else 443) == port:
            return True
    return False


# -- the whole configuration ---------------------------------------------------------------------------------


def substitute_include(
    program: ProxyProgram,
    main: str,
    content: bytes,
    *,
    old: str,
    new: str,
    listed: Callable[[str], list[str]],
) -> bytes | None:
    """A main configuration that includes one file instead of another; None if it does not include the other itself.

    Args:
        program: the proxy.
        main: path of the main configuration.
        content: its text.
        old: the path that it includes now.
        new: the path to include instead.
        listed: returns the files that an absolute pattern matches.
    """
    if program not in _WORDS:
        return None
    folder = apache.root(main) if program == "apache" else posixpath.dirname(main)
    text = content.decode("utf-8", "surrogateescape")
    done = False

    def instead(found: re.Match[str]) -> str:
        nonlocal done
        pattern = posixpath.normpath(posixpath.join(folder, found["path"].strip("\"'")))
        if pattern != old and not fnmatch.fnmatchcase(old, pattern) and posixpath.dirname(old) != pattern:
            return found[0]
        paths = [old] if pattern == old else listed(pattern)
        if old not in paths:
            return found[0]
        done = True
        replaced = [new if each == old else each for each in paths]
        return _SEPARATORS[program].join(_WORDS[program].format(each) for each in replaced)

    if program == "nginx":
        pieces, last = [], 0
        for span in _statements(text):
            pieces += [text[last : span[0]], _NGINX_INCLUDE.sub(instead, text[span[0] : span[1]])]
            last = span[1]
        changed = "".join([*pieces, text[last:]])
    else:
        changed = (_APACHE_INCLUDE if program == "apache" else _CADDY_IMPORT).sub(instead, text)
    return changed.encode("utf-8", "surrogateescape") if done else None


_WORDS: Final[Mapping[ProxyProgram, str]] = {
    "nginx": "include {};",
    "apache": "Include {}",
    "caddy": "import {}",
}
_SEPARATORS: Final[Mapping[ProxyProgram, str]] = {"nginx": " ", "apache": "\n", "caddy": "\n"}


def _statements(text: str) -> Iterator[tuple[int, int]]:
    """Yields the span of each `include …;` in an nginx configuration."""
    begins = -2  # offset at which one may begin; -1 within another statement
    for found in TOKEN.finditer(text):
        token = found[0]
        if token.startswith("#"):
            continue
        if token == "include" and begins == -2:
            begins = found.start()
        elif token in ";{}":
            if begins >= 0 and token == ";":
                yield begins, found.end()
            begins = -2
        elif begins == -2:
            begins = -1
