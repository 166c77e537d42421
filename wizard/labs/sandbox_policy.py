"""Confines what a lab places to the practice stack: no program gets the path of a file elsewhere.

A lab may come from somebody else. A password_file that names a person's own key would send that key away, and a flag
can name a file to overwrite; so only a short list of flags is allowed, and a placed configuration may only name its own
files.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from wizard.errors import LabError

FLAGS = frozenset(
    {
        "--web.config",
        "--web.config.file",
        "--web.enable-lifecycle",
        "--web.external-url",
        "--web.route-prefix",
        "--web.telemetry-path",
        "--log.level",
    }
)
"""Flags that a lab may place, with a value or without."""
_COLLECTOR = re.compile(r"--(no-)?collector\.[a-z_]{1,40}")
_NAMES_FILES = re.compile(r"(?:^|_)files?$|^templates$")
_ENTRY = re.compile(r"\b(?:\w*_)?(?:files?|templates)[\"']?\s*:\s*[\"'\[]*([^\s\"',\]]+)")
_DIRECTIVES = frozenset(
    {"admin", "auto_https", "basic_auth", "basicauth", "default_bind", "handle", "handle_path", "header_up"}
    | {"redir", "respond", "reverse_proxy", "route", "tls", "}"}
)
_LOOPBACK = re.compile(r"(?:https?://)?127(?:\.\d{1,3}){3}(?::\d{1,5})?")
_USER = re.compile(r"[a-z]{1,30} \$2[aby]\$[./A-Za-z0-9$]+")
_HIDES = re.compile(r"\{\S|\S\{|[\\`]|<<")
"""Caddy's placeholders, which may name files and variables, and lines that continue elsewhere."""
_LISTED = re.compile(r"^\s*-\s+[\"']?([~/][^\s\"',]*)", re.MULTILINE)


def flag(text: str, *, root: str) -> None:
    """Rejects a flag, filled in, that is not in the list or names a file outside `root`.

    Raises:
        LabError: see above.
    """
    name, _, value = text.partition("=")
    if name not in FLAGS and not _COLLECTOR.fullmatch(text):
        raise LabError(
            f"a lab cannot place the flag '{name}'",
            todo=f"Use one of: {', '.join(sorted(FLAGS))}, and --collector.NAME",
        )
    if "file" in name:
        _inside(value, root)
    if "\n" in text:
        raise LabError(f"the flag '{name}' has more than one line", todo="Write one line")


def configuration(text: str, *, root: str) -> None:
    """Rejects a text, filled in, that names a file outside `root` which a program would read or write.

    Invalid YAML is accepted too, because a lab may break a file on purpose: it is checked line by line.

    Raises:
        LabError: see above.
    """
    try:
        names = list(_file_references(YAML(typ="safe").load(text), set(), named=False))
    except (YAMLError, RecursionError, ValueError):
        if re.search(r"\\[xuU]", text):
            raise LabError(
                "a placed file that is not YAML hides characters with a backslash",
                todo="Write the characters themselves",
            ) from None
        names = [match.group(1) for pattern in (_ENTRY, _LISTED) for match in pattern.finditer(text)]
    for name in names:
        _inside(name, root)


def proxy_configuration(text: str, *, root: str) -> None:
    """Rejects a Caddyfile that does more than forward from one practice host to another.

    Raises:
        LabError: see above.
    """
    lines = [line.split() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    wrong = next((" ".join(words) for words in lines if not _leads_on(words, root)), "")
    if not wrong and not any(words[0] == "default_bind" for words in lines):
        wrong = "no default_bind"
    if wrong:
        raise LabError(
            f"a lab cannot place a Caddyfile with '{wrong}'",
            todo="Use loopback addresses of the practice stack, and these directives: "
            f"{', '.join(sorted(_DIRECTIVES - {'}'}))}",
        )


def _leads_on(words: list[str], root: str) -> bool:
    """Returns whether a lab may place this line of a Caddyfile."""
    first, arguments = words[0], [word for word in words[1:] if word != "{"]
    if _HIDES.search(" ".join(words)):
        return False
    if _USER.fullmatch(" ".join(words)) or words == ["{"]:
        return True
    if first == "tls":
        for name in arguments:
            _inside(name, root)
    if first == "admin":
        return arguments == ["off"]
    if first in ("default_bind", "reverse_proxy"):
        return all(
            _LOOPBACK.fullmatch(word) or (word[0] in "/*" and first != "default_bind") for word in arguments
        )
    return first in _DIRECTIVES or bool(_LOOPBACK.fullmatch(first) and not arguments)


def _file_references(value: Any, seen: set[tuple[int, bool]], *, named: bool) -> Iterator[str]:
    """Yields the texts that name files; each node once, however often an alias repeats it."""
    if isinstance(value, str):
        if named:
            yield value
        yield from re.findall(r"\$__file\{([^}]*)\}", value)
    elif isinstance(value, dict | list) and (id(value), named) not in seen:
        seen.add((id(value), named))
        entries = value.items() if isinstance(value, dict) else ((None, each) for each in value)
        for key, inner in entries:
            own = isinstance(key, str) and bool(_NAMES_FILES.search(key))
            yield from _file_references(inner, seen, named=own or (named and isinstance(value, list)))


def _inside(name: str, root: str) -> None:
    path = posixpath.normpath(name)
    outside = name.startswith("/") and not path.startswith(f"{posixpath.normpath(root)}/")
    if outside or ".." in name.split("/") or name.startswith("~"):
        raise LabError(
            f"a lab names the file '{name}', which is not part of the practice stack",
            todo="Use files of the practice hosts: {{srv1.home}}/web.yml, or a name alone",
        )
