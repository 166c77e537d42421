"""Byte-keeping edits of grafana.ini: a setting is written at its present place or below its commented default.

Grafana reads the file with gopkg.in/ini.v1: `=` or `:` ends a key, `#` and `;` begin a comment. Of two
lines that set the same key the last one counts, and so does the last of two sections with one name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from wizard.errors import ConfigError

NAME = "grafana.ini"
_SECTION = re.compile(r"\s*\[([^\]]*)\]")
_LINE = re.compile(
    r"(?P<before>\s*(?P<key>[^=:\s][^=:]*?)\s*[=:][ \t]*)(?P<value>.*?)(?P<after>(?:\s+[#;].*)?\s*)$"
)
_DEFAULT = re.compile(r"\s*[#;]\s*(?P<key>\w+)\s*[=:]")
_TRUE = ("1", "t", "true", "y", "yes", "on")


@dataclass(frozen=True, slots=True)
class _Set:
    """A line that sets a key, or its commented default."""

    section: str
    key: str
    line: int
    value: str
    is_default: bool = False


def settings(content: bytes) -> dict[tuple[str, str], str]:
    """The values set in the file, by section and key, without quotes around them.

    A setting above all sections is in the section ''.
    """
    return {(each.section, each.key): each.value for each in _sets(_lines(content)) if not each.is_default}


def is_true(value: str) -> bool:
    """Whether Grafana takes a value as true."""
    return value.lower() in _TRUE


def with_settings(content: bytes, section: str, values: Mapping[str, str]) -> bytes:
    """The file with these settings in a section; a second call returns the same bytes.

    Raises:
        ConfigError: a line that must change continues on the next one, which is not supported.
    """
    for key, value in values.items():
        content = _with_setting(content, section, key, value)
    return content


def _with_setting(content: bytes, section: str, key: str, value: str) -> bytes:
    lines = _lines(content)
    present = [each for each in _sets(lines) if (each.section, each.key) == (section, key)]
    standing = [each for each in present if not each.is_default]
    if standing:
        last = standing[-1]
        if last.value == value:
            return content
        found = _LINE.match(lines[last.line])
        assert found is not None
        if found["value"].endswith("\\") or found["value"].startswith('"""'):
            raise ConfigError(
                f"[{section}] {key} goes on in the next line",
                where=f"{NAME}:{last.line + 1}",
                todo="Write it in one line, then plan again",
            )
        lines[last.line] = f"{found['before']}{value}{found['after']}"
    else:
        end = next((line[len(line.rstrip("\r\n")) :] for line in lines if line.endswith("\n")), "\n")
        _insert(lines, present, section, f"{key} = {value}", end)
    return "".join(lines).encode("utf-8", "surrogateescape")


def _insert(lines: list[str], defaults: list[_Set], section: str, text: str, end: str) -> None:
    """Inserts a line: below the commented default, at the beginning of the section, or with the section at the end."""
    heads = [
        at for at, line in enumerate(lines) if (head := _SECTION.match(line)) and head[1].strip() == section
    ]
    if not heads:
        if lines and not lines[-1].endswith("\n"):
            lines[-1] += end
        lines += [*([end] if lines else []), f"[{section}]{end}", f"{text}{end}"]
        return
    at = defaults[-1].line if defaults else heads[-1]
    if not lines[at].endswith("\n"):
        lines[at] += end
    lines.insert(at + 1, f"{text}{end}")


def _lines(content: bytes) -> list[str]:
    # Only \n ends a line in an INI file; Python's splitlines knows more line ends.
    return re.findall(r"[^\n]*\n|[^\n]+", content.decode("utf-8", "surrogateescape"))


def _sets(lines: list[str]) -> list[_Set]:
    found: list[_Set] = []
    section, goes_on = "", False
    for number, line in enumerate(lines):
        bare = line.strip().removeprefix("\ufeff")
        continued, goes_on = goes_on, bare.endswith("\\") and not bare.startswith(("#", ";"))
        if continued:
            continue
        head = _SECTION.match(bare)
        if head:
            section = head[1].strip()
        elif default := _DEFAULT.match(line):
            found.append(_Set(section, default["key"], number, "", is_default=True))
        elif bare and not bare.startswith(("#", ";")) and (assignment := _LINE.match(line)):
            found.append(_Set(section, assignment["key"], number, assignment["value"].strip().strip("\"'`")))
    return found
