"""Manual commands with short file names: first `cd` to the folder that most commands name, then relative names.

Only words of programs that open the file themselves are shortened: text in a configuration, in a flag of a service, or
in a command for another host keeps its full path.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence

_PROGRAMS = {"install", "openssl", "rm", "cat", "patch", "printf", "htpasswd", "sed", "tr", "head", "{", "}"}
_HERE = re.compile(r"<<\s*'(?P<end>\w+)'")
_PROGRAM = re.compile(r"(?:^|\n|[|;(]) *(?P<name>[^\s'\"\\|]+)")
_PATH = re.compile(r"(?<=[ \n])(?P<path>(?:/[\w.+@%-]+){2,})(?=[\s)]|$)")


def with_short_names(commands: Sequence[str]) -> tuple[str, ...]:
    """Returns the commands of a step after a `cd`, or unchanged if no folder makes them shorter."""
    folder = _folder(commands)
    if not folder:
        return tuple(commands)
    short = tuple("".join(_shorten_paths(command, folder)) for command in commands)
    return (shlex.join(["cd", folder]), *short)


def _folder(commands: Sequence[str]) -> str:
    """Returns the folder whose omission saves the most characters; '' for none. It exists before the step."""
    paths = [found["path"] for text in map(_code, commands) for found in _PATH.finditer(text)]
    made = {words[-1] for words in map(str.split, commands) if words[:2] == ["install", "-d"]}
    saved: Counter[str] = Counter()
    for path in paths:
        folder = posixpath.dirname(path)
        while folder.count("/") > 1:
            if not any(folder == each or folder.startswith(f"{each}/") for each in made):
                saved[folder] += len(folder) + 1
            folder = posixpath.dirname(folder)
    best = max(saved, key=lambda folder: (saved[folder], len(folder)), default="")
    return best if saved[best] > len(best) + len("cd ") else ""


def _parts(command: str) -> Iterator[tuple[bool, str]]:
    """Yields the lines of a command: (whether it is shell, text). A here-document is not shell."""
    end = ""
    for line in command.splitlines(keepends=True):
        yield not end, line
        if end:
            end = "" if line.rstrip("\n") == end else end
        elif found := _HERE.search(line):
            end = found["end"]


def _code(command: str) -> str:
    """Returns the part of a command in which file names may be shortened; '' for none."""
    shell = "".join(line for is_shell, line in _parts(command) if is_shell)
    joined = shell.replace("\\\n", " ")
    programs = {found["name"] for found in _PROGRAM.finditer(joined)}
    return shell if programs and programs <= _PROGRAMS and not _prints_a_path(joined) else ""


def _prints_a_path(shell: str) -> bool:
    """Returns whether a path is a text that `printf` prints."""
    return any(
        _PATH.search(re.sub(r"\$\([^)]*\)|[<>] \S+", "", line))
        for line in shell.split("\n")
        if line.startswith("printf")
    )


def _shorten_paths(command: str, folder: str) -> Iterator[str]:
    allowed = bool(_code(command))
    for is_shell, line in _parts(command):
        if not (allowed and is_shell):
            yield line
            continue
        yield _PATH.sub(lambda found: _below(found["path"], folder), line)


def _below(path: str, folder: str) -> str:
    return path.removeprefix(f"{folder}/")
