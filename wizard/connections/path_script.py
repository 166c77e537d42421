"""Shell functions that open a path as root without following links of other users: part of every fixed script.

`enter_parent PATH` makes the folder of a file the working directory, which nobody can exchange from then on, and sets
`name` (the file's name in it), `at` (the folder's path), `entry` (the `stat` line of the file, '' if there is none) and
`guarded` ('' if only root can change the folder). The scripts use names relative to that folder.

From a folder that an unprivileged user can change, no step leads to anything that belongs to another user; systemd
calls such a step an unsafe path transition. Following a link is such a step, too. Each opened folder is compared with
the `stat` before it was opened; if it was exchanged in between, the script ends without changing anything.

The functions are POSIX sh and need the tools of coreutils or BusyBox. A usual path, all of whose folders only root can
change, costs one process. A login that is not root (`careful` is empty) has no more rights than the owner of the
folders, so it simply follows links.
"""

from __future__ import annotations

from wizard.connections.safe_path import refusal
from wizard.errors import PathError, UnsafePathError

ABSENT = 44
"""Exit code of the scripts: there is no such file."""
NOT_REGULAR = 45
UNSAFE = 50
"""Exit code: the path is refused; standard error gives the reason, see `unsafe_path_error`."""
MOVED = 51

FUNCTIONS = rf"""
nl='
'
form='%f %u %h %d:%i %a %U %u %G %g %s %F'
staged=
unsafe() {{
  printf 'unsafe %s\n%s\n%s\n' "$1" "${{here#* * * * }}" "${{at:-/}}" >&2
  exit {UNSAFE}
}}
exit_missing() {{ printf '%s: %s\n' "$path" "${{lost:-No such file or directory}}" >&2; exit 1; }}
mode_of() {{ mode=${{1#* * * * }}; mode=${{mode%% *}}; }}
uid_of() {{ uid=${{1#* }}; uid=${{uid%% *}}; }}
id_of() {{ id=${{1#* * * }}; id=${{id%% *}}; }}
enter_parent() {{
  path=$1 guarded= entry= name= at= lost=
  LC_ALL=C # loading any other locale takes a fifth of the time of a small program
  [ -n "$careful" ] || {{ enter_resolved; return; }}
  rest=${{1#/}} trail= slow= seen=0
  set -- /
  while [ -n "$rest" ]; do
    part=${{rest%%/*}}
    case $rest in */*) rest=${{rest#*/}} ;; *) rest= ;; esac
    [ -z "$part" ] || {{ trail=$trail/$part; set -- "$@" "$trail"; }}
  done
  found=$(stat -c "$form" -- "$@" 2>/dev/null)
  set -f
  IFS=$nl
  for line in $found; do
    seen=$((seen + 1))
    case $line in
      4?[02468ace][014589cd]' 0 '*) ;;
      a*) slow=1 ;;
      *) [ "$seen" = $# ] || slow=1 ;;
    esac
    [ -z "$slow" ] || break
    [ "$seen" != $# ] || entry=$line
  done
  unset IFS
  set +f
  [ -z "$slow" ] || {{ walk; return; }}
  [ "$seen" -ge $(($# - 1)) ] || return 1
  at=${{trail%/*}} name=${{trail##*/}}
  : "${{name:=.}}"
  cd -P -- "${{at:-/}}" 2>/dev/null
}}
enter_resolved() {{
  real=$path
  [ ! -L "$path" ] || real=$(readlink -m -- "$path") || return
  at=${{real%/*}} name=${{real##*/}}
  : "${{name:=.}}"
  if ! cd -P -- "${{at:-/}}" 2>/dev/null; then
    [ ! -d "${{at:-/}}" ] || lost='Permission denied'
    [ ! -f "$at" ] || lost='Not a directory'
    return 1
  fi
  entry=$(stat -c "$form" -- "./$name" 2>/dev/null) || :
}}
check_folder() {{
  here=$(stat -c "$form" .)
  case $here in 4?[02468ace][014589cd]' 0 '*) guarded= ;; *) guarded=1 ;; esac
}}
# A folder of root's in which nobody can exchange what belongs to others, such as /tmp.
is_sticky() {{ case $here in 4[2367abef]??' 0 '*) ;; *) return 1 ;; esac; }}
walk() {{
  rest=$path at= entry= hops=0
  cd / || exit 1
  check_folder
  while :; do
    while :; do case $rest in /*) rest=${{rest#/}} ;; *) break ;; esac; done
    part=${{rest%%/*}}
    case $rest in */*) rest=${{rest#*/}} ;; *) rest= ;; esac
    case $part in
      '') name=. entry=$here; return 0 ;;
      .) continue ;;
      ..) enter ..; at=${{at%/*}}; continue ;;
    esac
    entry=$(stat -c "$form" -- "./$part" 2>/dev/null) || :
    case $entry in
      a*) follow; continue ;;
      4*) [ -z "$rest" ] || {{ enter "./$part"; at=$at/$part; continue; }} ;;
      '') [ -z "$rest" ] || return 1 ;;
      *) [ -z "$rest" ] || {{ lost='Not a directory'; return 1; }} ;;
    esac
    name=$part
    [ -z "$guarded" ] || check_hardlink
    return 0
  done
}}
enter() {{
  was=$here bound_to=$guarded
  cd -P -- "$1" 2>/dev/null || unsafe moved
  check_folder
  id_of "$here"
  new=$id
  id_of "$entry"
  [ "$1" = .. ] || [ "$new" = "$id" ] || {{ here=$was; unsafe moved; }}
  uid_of "$here"
  new=$uid
  uid_of "$was"
  [ -z "$bound_to" ] || [ "$new" = "$uid" ] || {{ here=$was; is_sticky || unsafe folder; check_folder; }}
}}
follow() {{
  hops=$((hops + 1))
  [ "$hops" -le 40 ] || {{ echo 'Too many levels of symbolic links' >&2; exit 1; }}
  if [ -n "$guarded" ]; then
    uid_of "$entry"
    new=$uid
    uid_of "$here"
    [ "$new" = "$uid" ] && [ "$uid" != 0 ] || unsafe link
  fi
  target=$(readlink -n -- "./$part" && printf x) || unsafe moved
  target=${{target%x}}
  case $target in
    /*) [ -z "$guarded" ] || unsafe link; at=; cd /; check_folder ;;
  esac
  rest=$target${{rest:+/$rest}}
}}
check_hardlink() {{
  uid_of "$here"
  new=$uid
  uid_of "$entry"
  case $entry in
    8*' '*' 1 '*:*) ;;
    8*) [ "$new" = "$uid" ] && [ "$uid" != 0 ] || unsafe hardlink ;;
  esac
}}
print_content() {{
  if [ -z "$guarded" ]; then cat -- "./$name"; return; fi
  id_of "$entry"
  ${{bound:+timeout -k 1 2}} sh -c 'exec 3< "$1" && [ "$(stat -L -c %d:%i /dev/fd/3)" = "$2" ] || exit {MOVED}
    exec cat <&3' sh "./$name" "$id"
  case $? in 0) ;; 1) return 1 ;; *) unsafe moved ;; esac
}}
print_file() {{
  case $entry in '') exit {ABSENT} ;; 8*) ;; *) exit {NOT_REGULAR} ;; esac
  printf '%s\n' "${{entry#* * * * }}"
  print_content
}}
into_folder() {{
  case $entry in '') exit {ABSENT} ;; 4*) ;; *) echo 'Not a directory' >&2; exit 1 ;; esac
  if [ -n "$guarded" ]; then enter "./$name"; else cd -P -- "./$name" || exit; fi
}}
enter_private() {{
  id_of "$here"
  mkdir -- "./$1" 2>/dev/null || [ -d "./$1" ] || mkdir -- "./$1" || exit 1
  is_private "$1" && return
  # A default ACL of the folder counts in place of the umask. Other programs than GNU mkdir set the mode by the name,
  # which may lead to something of another user by then.
  [ -z "$guarded" ] || case $(mkdir --version 2>/dev/null) in *'GNU coreutils'*) ;; *) unsafe moved ;; esac
  cd -P ..
  rmdir -- "./$1" 2>/dev/null
  mkdir -m 700 -- "./$1" 2>/dev/null || unsafe moved
  is_private "$1" || unsafe moved
}}
is_private() {{
  cd -P -- "./$1" 2>/dev/null || unsafe moved
  set -- $(stat -c '%u %a %d:%i' . ..)
  [ "$6" = "$id" ] || unsafe moved
  case "$1 $2" in '0 700' | '0 2700') ;; *) return 1 ;; esac
}}
"""
"""Function definitions. They use `careful` (not empty: the user is root) and `bound` (not empty: `timeout` exists)."""


def unsafe_path_error(code: int, stderr: str, path: str) -> UnsafePathError | None:
    """The error that `unsafe` reported, or None if the script ended for another reason."""
    if code != UNSAFE:
        return None
    kind, _, details = stderr.partition("unsafe ")[2].partition("\n")
    rights, _, folder = details.partition("\n")
    words = rights.split(" ")
    if len(words) < 4:
        words = ["700", "somebody else", "", "nobody"]
    mode, owner, uid, group = words[:4]
    owner = uid if owner == "UNKNOWN" else owner
    return refusal(
        kind,
        folder=folder.strip("\n"),
        mode=int(mode, 8),
        owner=owner,
        group=group,
        path=path,
        root=uid == "0",
    )


def refuse(code: int, stderr: str, path: str) -> None:
    """Raises the error for a script that refused its path.

    Raises:
        UnsafePathError: an unprivileged user could lead root to another file.
        PathError: there is something at the path that is not a regular file.
    """
    if (error := unsafe_path_error(code, stderr, path)) is not None:
        raise error
    if code == NOT_REGULAR:
        raise PathError("it is not a regular file", where=path, todo="Correct the path.")
