"""Lists the processes of known components on a host, with their arguments and sockets, in one command.

It works without root and without `ps`, which small hosts lack. It also finds out who runs a process (a systemd unit, a
container, another program, or nothing that would start it again).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wizard.components import Component, all_components
from wizard.connections.base import Connection
from wizard.service_managers import sockets

# The names are arguments. The shell's own `read` starts no process for all the other processes. A supervisor is never
# process 1.
_SCRIPT = r"""
LC_ALL=C
names=" $* " any= nl='
'
listening() { sed -n 's/^ *[0-9]*: \([0-9A-F]*:[0-9A-F]*\) [0-9A-F:]* 0A [^ ]* [^ ]* [^ ]* *[0-9]* *[0-9]* *\([0-9]*\) .*/\1 ino:\2/p' "$1/tcp" "$1/tcp6" 2>/dev/null; }
# Starting a process takes the host a millisecond for each component; the shell's built-ins take none.
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
  # In a container with a network of its own: the container's engine reports its ports, and no supervisor of ours is its
  # parent. With fifty containers, each program that is not started here matters.
  apart=
  if [ -n "$inner" ] && [ -r "$d/ns/net" ] && ! [ "$d/ns/net" -ef /proc/self/ns/net ]; then apart=1; fi
  [ "$p" = 1 ] || [ -n "$apart" ] ||
    case "$(tr '\0' ' ' 2>/dev/null < "/proc/$p/cmdline")" in */wizard/service_managers/supervisor.py* | */wizard/services/supervise.py*) continue ;; esac
  printf '\036%s\037%s\037' "${d#/proc/}" "$(stat -c '%U:%G:%u:%g' "$d" 2>/dev/null)"
  while IFS= read -r line; do printf '%s ' "$line"; done 2>/dev/null < "$d/cgroup"
  # A process that also has a pid in another namespace is in a container.
  [ -z "$inner" ] || printf 'other-namespace '
  if [ -r "$d/ns/net" ] && ! [ "$d/ns/net" -ef /proc/self/ns/net ]; then printf 'other-network '; fi
  printf '\037%s\037' "$(readlink "$d/exe" 2>/dev/null)"
  # Its parents, the closest first: one of them would start it again.
  for level in 1 2 3 4 5; do
    [ "${p:-0}" -gt 1 ] || break
    printf '%s\032' "$p"
    tr '\0' '\032' 2>/dev/null < "/proc/$p/cmdline"
    printf '\034'
    q=; while read -r k v; do [ "$k" = PPid: ] && q=$v && break; done 2>/dev/null < "/proc/$p/status"
    p=$q
  done
  # Its open sockets, and the listening sockets of its network if that is another than ours.
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
# The pids in a unit, found without starting a process.
_MEMBERS = r"""
for d in /proc/[0-9]*; do
  while IFS= read -r group; do
    case $group in */"$1" | */"$1"/*) printf '%s\n' "${d#/proc/}"; break ;; esac
  done 2>/dev/null < "$d/cgroup"
done
exit 0
"""
PROXIES = r"docker-proxy|docker-pr|com\.docker|rootlessport|rootlessp|conmon|slirp4netns|pasta"
"""The beginnings of the names of container proxies; `_SCRIPT` has them too."""
_UNIT = re.compile(r"/([^/\s]+\.service)(?=[/\s]|$)")


@dataclass(frozen=True, slots=True)
class Parent:
    """A process that started another one, with its command line."""

    pid: int
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Process:
    """One running program: `unit` is the system unit to which it belongs, or ''."""

    pid: int
    component: str
    program: str
    arguments: tuple[str, ...]
    user: str
    group: str
    unit: str = ""
    container: bool = False
    parents: tuple[Parent, ...] = ()
    """The closest parent first, without process 1."""
    sockets: tuple[str, ...] = ()
    """address:port of each TCP socket on which it listens, `*` for all; () if they are not visible or it is `apart`."""
    apart: bool = False
    """Whether it is in a container with a network of its own, so that it listens at no address of this host."""


def find(connection: Connection, components: tuple[Component, ...] = ()) -> tuple[Process, ...]:
    """The running processes of `components` (by default all), by process id.

    Processes of practice stacks, whose parent is our own supervisor, do not count as services of this machine.
    """
    return look(connection, components)[0]


def request(components: tuple[Component, ...]) -> tuple[str, ...]:
    """The script that `look` runs, with its arguments."""
    return (_SCRIPT, *sorted({program[:_KEPT] for known in components for program in known.programs}))


def look(connection: Connection, components: tuple[Component, ...] = ()) -> tuple[tuple[Process, ...], bool]:
    """As `find`, and whether there is a process that listens for a container (see `PROXIES`)."""
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
    pid, owner, cgroup, executable, parents, inodes, own_listening, *words = record
    if words and words[-1] == "":
        words.pop()
    if not words:
        return None
    for component in known:
        if component.matches(words[0]) or component.matches(executable.removesuffix(" (deleted)")):
            user, group = _owner_names(owner)
            return Process(
                int(pid),
                component.name,
                executable.removesuffix(" (deleted)") or words[0],
                tuple(words[1:]),
                user or "root",
                group or "root",
                _unit_of(cgroup),
                bool(_CONTAINER.search(cgroup)),
                _parents(parents),
                sockets.open_addresses(
                    {**listening, **sockets.listening_sockets(own_listening)}, inodes.split()
                ),
                apart="other-namespace " in cgroup and "other-network " in cgroup,
            )
    return None


def _owner_names(owner: str) -> tuple[str, str]:
    """User and group from `name:group:uid:gid`; ids for those without a name on the host."""
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
    """The process for which a unit exists: only this one ends and starts with the unit.

    It is the unit's main process, or the only child of a shell (or of a program that changes to another user) if
    nothing else runs in the unit.

    Args:
        unit: the name with `.service`.
        pid: systemd's MainPID; 0 if there is none.
        running: the processes of components in the unit.
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
    """The system unit in the lines of /proc/PID/cgroup; '' for a user's own units."""
    if "/user.slice/" in cgroup:
        return ""
    found = _UNIT.findall(cgroup)
    return found[-1] if found else ""
