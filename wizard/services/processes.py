"""Which of the programs that we know run on a host, with their arguments, in one command.

Works without root and without `ps`, which small hosts do not have; says what runs a process (a systemd
unit, a container, or nothing that would start it again).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from wizard.components import Component, all_components
from wizard.model import Connection
from wizard.services import scripts

# The names arrive as arguments. Reading with the shell's own `read` forks nothing for the other processes. A supervisor
# is never process 1.
_SCRIPT = r"""
names=" $* "
for d in /proc/[0-9]*; do
  c=
  { IFS= read -r c < "$d/comm"; } 2>/dev/null || continue
  case "$names" in *" $c "*) ;; *)
    case $c in docker-pr*|com.docker*|rootlessport*|rootlessp|conmon*|slirp4netns*|pasta*) printf '\035' ;; esac
    continue ;;
  esac
  p=; while read -r k v; do [ "$k" = PPid: ] && p=$v && break; done 2>/dev/null < "$d/status"
  [ "$p" = 1 ] ||
    case "$(tr '\0' ' ' 2>/dev/null < "/proc/$p/cmdline")" in */wizard/services/supervise.py*) continue ;; esac
  printf '\036%s\037%s\037' "${d#/proc/}" "$(stat -c '%U:%G:%u:%g' "$d" 2>/dev/null)"
  while IFS= read -r line; do printf '%s ' "$line"; done 2>/dev/null < "$d/cgroup"
  printf '\037%s\037' "$(readlink "$d/exe" 2>/dev/null)"
  tr '\0' '\037' < "$d/cmdline" 2>/dev/null
done
exit 0
"""
# The kernel keeps 15 characters of a program's name.
_KEPT = 15
_CONTAINER = re.compile(r"docker|containerd|libpod|podman|crio|kubepods|lxc\.payload|machine\.slice/machine-")
PROXIES = r"docker-proxy|docker-pr|com\.docker|rootlessport|rootlessp|conmon|slirp4netns|pasta"
"""The beginnings of their names; `_SCRIPT` has them too."""
_UNIT = re.compile(r"/([^/\s]+\.service)(?=[/\s]|$)")


@dataclass(frozen=True, slots=True)
class Process:
    """One running program: `unit` is the system unit that it belongs to, or ''."""

    pid: int
    component: str
    program: str
    arguments: tuple[str, ...]
    user: str
    group: str
    unit: str = ""
    container: bool = False


def find(connection: Connection, components: tuple[Component, ...] = ()) -> tuple[Process, ...]:
    """The running processes of `components` (of all, if none are named), by process id.

    Those of practice stacks, whose parent is our own supervisor, are nothing that this machine runs.
    """
    return look(connection, components)[0]


def look(connection: Connection, components: tuple[Component, ...] = ()) -> tuple[tuple[Process, ...], bool]:
    """As `find`, and whether something runs that listens in place of a container (see `PROXIES`)."""
    known = components or all_components()
    names = sorted({program[:_KEPT] for one in known for program in one.programs})
    ended = scripts.run(connection, _SCRIPT, *names, timeout=10)
    text = ended.stdout.replace("\x1d", "")
    found = [process for record in text.split("\x1e")[1:] if (process := _process(record, known)) is not None]
    return tuple(sorted(found, key=lambda process: process.pid)), len(text) < len(ended.stdout)


def _process(record: str, known: tuple[Component, ...]) -> Process | None:
    pid, owner, cgroup, executable, *words = record.split("\x1f")
    if words and words[-1] == "":
        words.pop()
    if not words:
        return None
    for one in known:
        if one.matches(words[0]) or one.matches(executable.removesuffix(" (deleted)")):
            user, group = _named(owner)
            return Process(
                int(pid),
                one.name,
                executable.removesuffix(" (deleted)") or words[0],
                tuple(words[1:]),
                user or "root",
                group or "root",
                _unit_of(cgroup),
                bool(_CONTAINER.search(cgroup)),
            )
    return None


def _named(owner: str) -> tuple[str, str]:
    """User and group of `name:group:uid:gid`; a number where the host has no name for it."""
    names = [*owner.split(":"), "", "", "", ""][:4]
    user, group = (
        number if name == "UNKNOWN" else name for name, number in zip(names[:2], names[2:], strict=True)
    )
    return user, group


def _unit_of(cgroup: str) -> str:
    """The system unit in the lines of /proc/PID/cgroup; a user's own units are none."""
    if "/user.slice/" in cgroup:
        return ""
    found = _UNIT.findall(cgroup)
    return found[-1] if found else ""
