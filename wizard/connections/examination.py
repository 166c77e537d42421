"""Examines files before a plan: whether each can be replaced, and which attributes a rename would lose.

It takes one round trip for any number of files if only root can change their folders: a check that their paths are
safe, then one call of each tool for all of them. If others can change a folder, each path is examined separately.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from wizard.connections import errors
from wizard.connections.attributes import ACL, Attributes, acl_value, immutable_error
from wizard.connections.path_script import refuse
from wizard.errors import HostError
from wizard.model import Examined

# The output of the tools: for a guarded path, folder and file are named relative to the open folder; for other paths,
# which nobody can exchange, the paths are absolute. $1: how many of the other arguments are folders.
_TOOLS = """
tools() {
  folders=$1
  shift
  printf '=lsattr\\n'
  lsattr -d -- "$@" 2>/dev/null
  shift "$folders"
  [ $# != 0 ] || return 0
  if command -v getfacl >/dev/null && command -v setfacl >/dev/null; then
    printf '=getfacl\\n'
    getfacl -snp -- "$@"
  else
    printf '=ls\\n'
    ls -ldn -- "$@"
  fi
  printf '=getfattr\\n'
  ! command -v getfattr >/dev/null || getfattr -h -d -m '^(user|trusted)[.]|^security[.]selinux$' -e hex --absolute-names -- "$@"
  return 0
}
"""
_PLACE = f"""{_TOOLS}
enter_parent "$1" || {{ [ -z "$guarded" ] || unsafe absent; exit 0; }}
case $entry in 8*) ;; *) name= ;; esac
if [ -z "$guarded" ]; then
  printf '=place\\n%s\\n%s' "${{at:-/}}" "$name"
else
  tools 1 . ${{name:+"./$name"}} 2>/dev/null
fi
"""
_ATTRIBUTES = f'{_TOOLS}\ntools "$@" 2>/dev/null\n'
_GUARDED = 3
"""Exit code of `_ALL_PATHS`: others than root can change a folder, so it has to be kept open while it is examined."""
# Checks all paths, then runs the tools for them. To save processes, `stat` is not called for names in the folder that
# is the working directory already, nor for missing folders below one that, like all above it, only root can change.
_ALL_PATHS = f"""{_TOOLS}
count=$# kept= last= sure=$nl
for path; do
  there=${{path%/*}}
  while [ -n "$there" ] && [ ! -e "$there" ] && [ ! -L "$there" ]; do there=${{there%/*}}; done
  if [ -n "$kept" ] && [ "${{path%/*}}" = "$kept" ] && [ ! -L "./${{path##*/}}" ]; then
    name=${{path##*/}}
    [ -f "./$name" ] || name=
  elif [ "$there" != "${{path%/*}}" ] && case $sure in *"$nl$there$nl"*) ;; *) false ;; esac; then
    printf '=nowhere\n\n\036'
    continue
  else
    kept= slow= reached=
    enter_parent "$path" && reached=1
    [ -z "$guarded" ] || exit {_GUARDED}
    [ -n "$slow" ] || sure=$sure$there$nl
    [ -n "$reached" ] || {{ printf '=nowhere\n\n\036'; continue; }}
    [ -n "$slow" ] || kept=$at
    case $entry in 8*) ;; *) name= ;; esac
  fi
  printf '=place\n%s\n%s\036' "${{at:-/}}" "$name"
  [ "$at" = "$last" ] || set -- "$@" "${{at:-/}}"
  last=$at
  [ -z "$name" ] || set -- "$@" "$at/$name"
done
shift "$count"
[ $# = 0 ] || tools 0 "$@" 2>/dev/null
"""

_PLACE_MARK = "=place\n"
_ENTRY = re.compile(r"(?:user|group|mask|other):\d*:[r-][w-][x-]")
_OWN = re.compile(r"((?:user|trusted)\.[^=]+|security\.selinux)=0x([0-9a-f]*)")
_ESCAPED = re.compile(r"\\([0-7]{3})")


class ScriptHost(Protocol):
    """Runs fixed scripts on a host."""

    def scripts(self, script: str, paths: Sequence[str]) -> Iterable[tuple[int, bytes, str]]:
        """Runs a script once for each path; returns exit code, standard output and standard error."""
        ...

    def script(self, script: str, *arguments: str) -> tuple[int, bytes, str]:
        """Runs a script with its arguments; returns exit code, standard output and standard error."""
        ...


def examine(host: ScriptHost, paths: Sequence[str]) -> dict[str, Examined]:
    """See `Connection.examine`."""
    if not paths:
        return {}
    code, out, _ = host.script(_ALL_PATHS, *map(posixpath.normpath, paths))
    *places, tools = os.fsdecode(out).split("\x1e")
    if code or len(places) != len(paths):
        return _one_by_one(host, paths)
    output = _ToolOutput(tools)
    return {path: _file_result(path, place, output) for path, place in zip(paths, places, strict=True)}


def _one_by_one(host: ScriptHost, paths: Sequence[str]) -> dict[str, Examined]:
    """As `examine`, if a path is refused or leads through a folder that others can change."""
    found: dict[str, Examined] = {}
    places: dict[str, str] = {}
    for path, (code, out, err) in zip(paths, host.scripts(_PLACE, paths), strict=True):
        text = os.fsdecode(out)
        try:
            refuse(code, err, path)
            if code:
                raise errors.from_words(err, doing="look at", path=path)
            if text.startswith(_PLACE_MARK):
                places[path] = text
            else:
                found[path] = _result(path, (".", "."), _ToolOutput(text))
        except HostError as problem:
            found[path] = refusal(problem)
    if places:
        at = tuple(map(_place, places.values()))
        folders = tuple(dict.fromkeys(folder for folder, _ in at))
        files = tuple(dict.fromkeys(file for _, file in at if file))
        _, out, _ = host.script(_ATTRIBUTES, str(len(folders)), *folders, *files)
        tool_output = _ToolOutput(os.fsdecode(out))
        found |= {path: _file_result(path, text, tool_output) for path, text in places.items()}
    return {path: found[path] for path in paths}


def _place(text: str) -> tuple[str, str]:
    """Folder and file that a script found for a path; '' for no file."""
    at, _, name = text.removeprefix(_PLACE_MARK).partition("\n")
    return at, posixpath.join(at, name) if name else ""


def _file_result(path: str, place: str, output: _ToolOutput) -> Examined:
    if not place.startswith(_PLACE_MARK):  # its folder does not exist yet
        return _result(path, (".", "."), _ToolOutput(""))
    return _result(path, _place(place), output)


def refusal(problem: HostError) -> Examined:
    """The result for a path that cannot be examined or must not be written."""
    return Examined(problem=problem.what, where=problem.where, todo=problem.todo)


def _result(path: str, place: tuple[str, str], output: _ToolOutput) -> Examined:
    folder, file = place
    inside = folder == "."
    if inside:
        file = next((name for name in output.flags if name != "."), "") or next(iter(output.lists), "")
    if output.is_fixed(folder):
        return refusal(immutable_error(posixpath.dirname(path)))
    if output.is_fixed(file):
        return refusal(immutable_error(path))
    if file in output.marked:
        return refusal(no_tool(path))
    return Examined(attributes=output.attributes(file), guarded=inside)


def no_tool(path: str) -> HostError:
    """The error for a file whose ACL or attributes cannot be carried over for lack of tools."""
    return HostError(
        "it has an access control list or extended attributes that cannot be carried over",
        where=path,
        todo=f"Install getfacl and setfacl there (packages acl and attr), or remove the list: setfacl -b {path}",
    )


class _ToolOutput:
    """The output of `tools`, by path."""

    def __init__(self, text: str) -> None:
        parts = dict(_sections(text))
        self.flags: Mapping[str, str] = {
            path: flags
            for flags, _, path in (line.partition(" ") for line in parts.get("lsattr", ()))
            if path
        }
        self.lists = _files(parts.get("getfacl", ()))
        self._own = _files(parts.get("getfattr", ()))
        # `ls` shows a plus after the mode: there is an ACL, but no tool to read it.
        rows = (line.split(None, 8) for line in parts.get("ls", ()) if line[10:11] == "+")
        self.marked = {row[8] for row in rows if len(row) == 9}

    def is_fixed(self, path: str) -> bool:
        """Whether a file is immutable or append-only."""
        return bool(set("ia") & set(self.flags.get(path, "")))

    def attributes(self, path: str) -> Attributes:
        """The attributes of a file."""
        entries = [line for line in self.lists.get(path, ()) if _ENTRY.match(line)]
        found = [(ACL, acl_value("\n".join(entries)))] if entries else []
        found += [match.groups() for line in self._own.get(path, ()) if (match := _OWN.match(line))]  # type: ignore[misc]
        return tuple(found)


def _sections(text: str) -> Iterator[tuple[str, list[str]]]:
    for section in re.split(r"^=", text, flags=re.MULTILINE)[1:]:
        name, *lines = section.splitlines()
        yield name, lines


def _files(lines: Iterable[str]) -> dict[str, list[str]]:
    """The lines about each file, which follow its line `# file: …`."""
    found: dict[str, list[str]] = {}
    current: list[str] = []
    for line in lines:
        if line.startswith("# file: "):
            name = _ESCAPED.sub(lambda match: chr(int(match[1], 8)), line.removeprefix("# file: "))
            current = found.setdefault(name, [])
        else:
            current.append(line)
    return found
