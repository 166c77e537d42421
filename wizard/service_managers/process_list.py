"""Lists the processes of known components on a host, with their arguments and sockets, in one command.

Works without root and without `ps`, which small hosts do not have; says what runs a process (a systemd
unit, a container, another program, or nothing that would start it again).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wizard.components import Component, all_components
from wizard.connections.base import Connection
from wizard.service_managers import sockets

# The names arrive as arguments. Reading with the shell's own `read` forks nothing for the other processes. A supervisor
# is never process 1.
_SCRIPT = r"""
LC_ALL=C
names=" $* " any= nl='
'
listening() { sed -n 's/^ *[0-9]*: \([0-9A-F]*:[0-9A-F]*\) [0-9A-F:]* 0A [^ ]* [^ ]* [^ ]* *[0-9]* *[0-9]* *\([0-9]*\) .*/\1 ino:\2/p' "$1/tcp" "$1/tcp6" 2>/dev/null; }
# A process more costs a host a millisecond for each component; the shell's own words cost it nothing.
sockets() {
  open=$(ls -l "$1" 2>/dev/null)
  set -f
  IFS=$nl
  for line in $open; do
    case $line in *'socket:['*']') line=${line##*'socket:['}; printf '%s ' "${line%]}" ;; esac
  done
  unset IFS
  set +f
}
for d in /proc/[0-9]*; do
  c=
  { IFS= read -r c < "$d/comm"; } 2>/dev/null || continue
  case "$names" in *" $c "*) ;; *)
    case $c in docker-pr*|com.docker*|rootlessport*|rootlessp|conmon*|slirp4netns*|pasta*) printf '\035' ;; esac
    continue ;;
  esac
  p= inner=
  while read -r k v w; do case $k in PPid:) p=$v ;; NSpid:) inner=$w; break ;; esac; done 2>/dev/null < "$d/status"
  # In a container with a network of its own: what it listens on is its container's to say, and no supervisor of ours is
  # its parent. Each program that is not started here counts where fifty containers run.
  apart=
  if [ -n "$inner" ] && [ -r "$d/ns/net" ] && ! [ "$d/ns/net" -ef /proc/self/ns/net ]; then apart=1; fi
  [ "$p" = 1 ] || [ -n "$apart" ] ||
    case "$(tr '\0' ' ' 2>/dev/null < "/proc/$p/cmdline")" in */wizard/service_managers/supervisor.py* | */wizard/services/supervise.py*) continue ;; esac
  printf '\036%s\037%s\037' "${d#/proc/}" "$(stat -c '%U:%G:%u:%g' "$d" 2>/dev/null)"
  while IFS= read -r line; do printf '%s ' "$line"; done 2>/dev/null < "$d/cgroup"
  # A process with a number of its own in another namespace too is in a container.
  [ -z "$inner" ] || printf 'other-namespace '
  if [ -r "$d/ns/net" ] && ! [ "$d/ns/net" -ef /proc/self/ns/net ]; then printf 'other-network '; fi
  printf '\037%s\037' "$(readlink "$d/exe" 2>/dev/null)"
  # Its parents, the nearest first: who would start it again.
  for level in 1 2 3 4 5; do
    [ "${p:-0}" -gt 1 ] || break
    printf '%s\032' "$p"
    tr '\0' '\032' 2>/dev/null < "/proc/$p/cmdline"
    printf '\034'
    q=; while read -r k v; do [ "$k" = PPid: ] && q=$v && break; done 2>/dev/null < "/proc/$p/status"
    p=$q
  done
  # The sockets that it holds, and those that listen where its network is another than ours.
  printf '\037'
  [ -n "$apart" ] || sockets "$d/fd"
  printf '\037'
  if [ -z "$apart" ] && [ -r "$d/ns/net" ] && ! [ "$d/ns/net" -ef /proc/self/ns/net ]; then listening "$d/net"; fi
  printf '\037'
  tr '\0' '\037' < "$d/cmdline" 2>/dev/null
  any=1
done
[ -z "$any" ] || { printf '\036\037'; ss -Hltne 2>/dev/null || listening /proc/net; }
exit 0
"""
# The kernel keeps 15 characters of a program's name.
_KEPT = 15
_CONTAINER = re.compile(
    r"other-namespace|docker|containerd|libpod|podman|crio|kubepods|lxc\.payload|machine\.slice/machine-"
)
_WRAPPERS = frozenset(
    (
        "sh",
        "bash",
        "dash",
        "ash",
        "ksh",
        "zsh",
        "busybox",
        "runuser",
        "su",
        "sudo",
        "setpriv",
        "tini",
        "dumb-init",
    )
)
# The pids in a unit, in the shell's own words.
_MEMBERS = r"""
for d in /proc/[0-9]*; do
  while IFS= read -r group; do
    case $group in */"$1" | */"$1"/*) printf '%s\n' "${d#/proc/}"; break ;; esac
  done 2>/dev/null < "$d/cgroup"
done
exit 0
"""
PROXIES = r"docker-proxy|docker-pr|com\.docker|rootlessport|rootlessp|conmon|slirp4netns|pasta"
"""The beginnings of their names; `_SCRIPT` has them too."""
_UNIT = re.compile(r"/([^/\s]+\.service)(?=[/\s]|$)")


@dataclass(frozen=True, slots=True)
class Parent:
    """A process that started another, with its own command line."""

    pid: int
    arguments: tuple[str, ...]


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
    parents: tuple[Parent, ...] = ()
    """The nearest first, without process 1."""
    sockets: tuple[str, ...] = ()
    """address:port of each TCP socket that it listens on, `*` for all; () where that cannot be seen, and where it is `apart`."""
    apart: bool = False
    """Whether it is in a container with a network of its own: nothing listens for it at this host's addresses."""


def find(connection: Connection, components: tuple[Component, ...] = ()) -> tuple[Process, ...]:
    """The running processes of `components` (of all, if none are named), by process id.

    Those of practice stacks, whose parent is our own supervisor, are nothing that this machine runs.
    """
    return look(connection, components)[0]


def request(components: tuple[Component, ...]) -> tuple[str, ...]:
    """The script that `look` runs, with its arguments."""
    return (_SCRIPT, *sorted({program[:_KEPT] for one in components for program in one.programs}))


def look(connection: Connection, components: tuple[Component, ...] = ()) -> tuple[tuple[Process, ...], bool]:
    """As `find`, and whether something runs that listens in place of a container (see `PROXIES`)."""
    known = components or all_components()
    ended = connection.run_script(*request(known), timeout=30)
    text = ended.stdout.replace("\x1d", "")
    records = [record.split("\x1f") for record in text.split("\x1e")[1:]]
    listening = sockets.listening_sockets("\n".join(record[1] for record in records if not record[0]))
    found = [
        process
        for record in records
        if record[0] and (process := _process(record, known, listening)) is not None
    ]
    return tuple(sorted(found, key=lambda process: process.pid)), len(text) < len(ended.stdout)


def _process(record: list[str], known: tuple[Component, ...], listening: Mapping[str, str]) -> Process | None:
    pid, owner, cgroup, executable, parents, held, own, *words = record
    if words and words[-1] == "":
        words.pop()
    if not words:
        return None
    for one in known:
        if one.matches(words[0]) or one.matches(executable.removesuffix(" (deleted)")):
            user, group = _owner_names(owner)
            return Process(
                int(pid),
                one.name,
                executable.removesuffix(" (deleted)") or words[0],
                tuple(words[1:]),
                user or "root",
                group or "root",
                _unit_of(cgroup),
                bool(_CONTAINER.search(cgroup)),
                _parents(parents),
                sockets.open_addresses({**listening, **sockets.listening_sockets(own)}, held.split()),
                apart="other-namespace " in cgroup and "other-network " in cgroup,
            )
    return None


def _owner_names(owner: str) -> tuple[str, str]:
    """User and group of `name:group:uid:gid`; a number where the host has no name for it."""
    names = [*owner.split(":"), "", "", "", ""][:4]
    user, group = (
        number if name == "UNKNOWN" else name for name, number in zip(names[:2], names[2:], strict=True)
    )
    return user, group


def _parents(text: str) -> tuple[Parent, ...]:
    found = []
    for each in text.split("\x1c"):
        pid, *words = each.split("\x1a")
        if pid.isdecimal():
            found.append(Parent(int(pid), tuple(words[:-1] if words and words[-1] == "" else words)))
    return tuple(found)


def main_process(connection: Connection, unit: str, pid: int, running: Sequence[Process]) -> Process | None:
    """Which of the processes a unit exists for: it alone ends and starts with the unit.

    That is the unit's main process, or the only child of a shell (or of a program that takes another user's rights)
    where nothing else runs in the unit.

    Args:
        unit: its name with `.service`.
        pid: systemd's MainPID; 0 where there is none.
        running: the components' processes in the unit.
    """
    for each in running:
        if each.pid == pid:
            return each
    if len(running) != 1 or not running[0].parents:
        return None
    (only,) = running
    parent = only.parents[0]
    name = posixpath.basename(parent.arguments[0]).lstrip("-") if parent.arguments else ""
    if parent.pid != pid or name not in _WRAPPERS:
        return None
    ended = connection.run_script(_MEMBERS, unit, timeout=10)
    return only if {int(word) for word in ended.stdout.split()} == {pid, only.pid} else None


def _unit_of(cgroup: str) -> str:
    """The system unit in the lines of /proc/PID/cgroup; a user's own units are none."""
    if "/user.slice/" in cgroup:
        return ""
    found = _UNIT.findall(cgroup)
    return found[-1] if found else ""
