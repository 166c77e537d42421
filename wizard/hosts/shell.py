"""The file operations of `model.Connection` by fixed scripts for sh, one call for each operation.

For every way to a machine that can run a program and feed it, and nothing more (sudo, a container's exec).

Promises: content travels on standard input and never in argv, a path is an argument of a script and never a part
of its text, and what is written is at no instant more open than its final mode.
"""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from wizard.errors import HostError
from wizard.hosts import failures, immutable
from wizard.hosts.attributes import ACL, Attributes, acl_text, acl_value
from wizard.hosts.path_script import ABSENT, FUNCTIONS, NOT_REGULAR, UNSAFE, refuse
from wizard.hosts.process import LIMIT, Ended
from wizard.model import FileState, PathInfo

_READ_LIMIT = 64 * 1024 * 1024
_OCCUPIED = 46
_FIXED = 52
_FOLDER_FIXED = 53
_NO_TOOL = 47
"""Exit code: what a file has besides its mode cannot be carried over."""
SHORT = 48
"""Exit code: fewer bytes arrived than were sent."""
CHANGED = 49
"""Exit code: the file is not the one that was to be replaced."""

READ = f"""
held "$1" || exit {ABSENT}
tell
"""
INFO = f"""
held "$1" && [ -n "$entry" ] || exit {ABSENT}
printf '%s\\n' "${{entry#* * * * }}"
"""
_NAMES = f"""
held "$1" || exit {ABSENT}
into_folder
exec find . -mindepth 1 -maxdepth 1 -printf '%f\\0'
"""
STAGED_NAME = """
held "$1" || gone
printf '%s\\n' "$at/.$name.firescreen-$2"
"""
# $1 path, $2 tag, $3 owner:group, $4 mode, $5 size, $6 a file that was uploaded or '', $7 the content or '',
# $8 attributes; where both are '' the content is on standard input. noclobber makes the shell open with O_EXCL where
# nothing stands or a regular file does, and without where anything else does: so that a folder that others can change
# is never written in, but a private one in it, which nobody else can enter or take to another place. Content comes
# first, into a file that is nobody's but root's; `ls` says its size, and by a plus whether it inherited a list.
_WRITE = f"""
path=$1 tag=$2 owner=$3 mode=$4 size=$5 uploaded=$6 text=$7 attributes=$8 identity=
umask 077
held "$path" || gone
staged=.$name.firescreen-$tag
deliver() {{
  held "$uploaded" && pour || exit 1
  [ -z "$guarded" ] || {{ rm -f -- "./$name"; exit; }}
  : > "./$name"
}}
carry() {{
  set -f
  IFS=$nl
  for line in $attributes; do
    case $line in
      'acl '*) setfacl --set "${{line#acl }}" /dev/fd/3 ;;
      *) setfattr -n "${{line%% *}}" -v "${{line#* }}" /dev/fd/3 ;;
    esac || exit {_NO_TOOL}
  done
  unset IFS
  set +f
}}
write() {{
  [ ! -e "$1" ] && [ ! -L "$1" ] || rm -f -- "$1" || exit
  set -C
  exec 3> "$1"
  set +C
  trap 'rm -f -- "$new"; [ -z "$guarded" ] || leave' EXIT
  if [ -n "$uploaded" ]; then
    (deliver) >&3 || exit
  elif [ -n "$text" ]; then
    # By the shell itself, without a process; if it cannot, cat has the system's words for why.
    printf %s "$text" >&3 || printf %s "$text" | cat >&3 || exit
  else
    cat >&3 || exit
  fi
  set -- "$1" $(ls -lnL /dev/fd/3)
  [ "$6" = "$size" ] || exit {SHORT}
  case $2 in *+) setfacl --set u::rw-,g::---,o::--- /dev/fd/3 || exit {_NO_TOOL} ;; esac
  chown -- "$owner" /dev/fd/3 || exit
  [ -z "$attributes" ] || carry
  chmod -- "$mode" /dev/fd/3 || exit
  exec 3>&-
  sync -- "$1" || exit
}}
leave() {{ cd -P .. && rmdir -- "./$staged+"; }}
if [ -z "$guarded" ]; then
  new=./$staged
  write "$new"
else
  case $entry in '' | 8* | 4*) ;; *) exit {NOT_REGULAR} ;; esac
  private "$staged+"
  new=./new
  write "$new"
  identity=$(stat -c %d:%i "$new") && mv -fT -- "$new" "../$staged" || exit
  leave
fi
trap - EXIT
"""
STAGE = _WRITE + 'printf \'%s\\n%s\\n\' "$at/$staged" "$identity"\n'
# Compared in the moment of the swap: `any` (not compared), or `old_mode` and `digest` of what is to be replaced ('' for
# nothing); `look`: whether to say what is there then, as `READ` says it.
_SWAP = f"""
replace() {{
  now=$(stat -c "$form" -- "./$name" 2>/dev/null)
  if [ -n "$any" ]; then
    :
  elif [ -z "$old_mode" ]; then
    [ -z "$now" ] || return {CHANGED}
  else
    case $now in 8*) ;; *) return {CHANGED} ;; esac
    [ "$(field 5 $now)" = "$old_mode" ] || return {CHANGED}
    entry=$now
    [ "$(digested)" = "$digest  -" ] || return {CHANGED}
  fi
  [ -z "$identity" ] || same "./$staged" || return {UNSAFE}
  mv -fT -- "./$staged" "./$name" && sync -- . || return
  [ -z "$identity" ] || same "./$name" || return {UNSAFE}
  [ -z "$labels" ] || [ -n "$guarded" ] || restorecon -- "$at/$name" || :
}}
digested() {{ if [ -n "$guarded" ]; then pour | sha256sum; else sha256sum < "./$name"; fi; }}
same() {{ [ "$(stat -c %d:%i -- "$1" 2>/dev/null)" = "$identity" ]; }}
replace || {{
  code=$?
  rm -f -- "./$staged"
  [ "$code" != {UNSAFE} ] || unsafe moved
  exit "$code"
}}
[ -n "$look" ] || exit 0
entry=$(stat -c "$form" -- "./$name" 2>/dev/null)
tell
"""
# $1 staged, $2 path, $3 identity of what was staged or '', $4 any, $5 labels, $6 mode, $7 digest, $8 look.
SWAP = f"""
staged=${{1##*/}} identity=$3 any=$4 labels=$5 old_mode=$6 digest=$7 look=$8
held "$2" || gone
{_SWAP}"""
# As for `STAGE`, then $9 labels, ${10} mode, ${11} digest, ${12} look.
PUT = f"""
any= labels=$9 old_mode=${{10}} digest=${{11}} look=${{12}}
{_WRITE}{_SWAP}"""
# A leftover of `STAGE` goes with its private folder.
_REMOVE = """
held "$1" || exit 0
rm -f -- "./$name" || exit
case $guarded$name in
  1.*.firescreen-*) [ ! -d "./$name+" ] || (private "$name+"; rm -f ./new; cd -P .. && rmdir -- "./$name+") || : ;;
esac
sync -- .
"""
_MAKE_FOLDER = f"""
held "$1" || gone
case $entry in 4*) exit 0 ;; '') ;; *) exit {_OCCUPIED} ;; esac
umask 077
mkdir -- "./$name" || exit 1
rights() {{
  case $(ls -ldn "$1") in ??????????+*) setfacl -bk -- "$1" || return ;; esac
  chown -- "$2" "$1" && chmod -- "$3" "$1"
}}
if [ -z "$guarded" ]; then
  rights "./$name" "$2" "$3" && exit 0
else
  private "$name"
  rights . "$2" "$3" && exit 0
  cd -P ..
fi
rmdir -- "./$name"
exit 1
"""
_REMOVE_FOLDER = f"""
held "$1" && [ -n "$entry" ] || exit 0
case $entry in 4*) ;; *) exit {_OCCUPIED} ;; esac
[ -z "$(find "./$name" -mindepth 1 -maxdepth 1 -print -quit)" ] || exit {ABSENT}
exec rmdir -- "./$name"
"""
# What a rename would drop, and what makes one impossible; as `getfacl` and `getfattr` say it.
EXAMINE = f"""
held "$1" || {{ [ -z "$guarded" ] || unsafe absent; exit 0; }}
set -f
IFS=$nl
for line in $(lsattr -d . ${{entry:+"./$name"}} 2>/dev/null); do
  case ${{line%% *}} in *[ia]*) case $line in *" .") exit {_FOLDER_FIXED} ;; *) exit {_FIXED} ;; esac ;; esac
done
unset IFS
set +f
case $entry in 8*) ;; *) exit 0 ;; esac
if command -v getfacl >/dev/null && command -v setfacl >/dev/null; then
  getfacl -scpn -- "./$name" || exit
else
  case $(ls -ldn -- "./$name") in ??????????+*) exit {_NO_TOOL} ;; esac
fi
! command -v getfattr >/dev/null || exec getfattr -h -d -m '^user[.]' -e hex -- "./$name"
"""
_FOLDER_RIGHTS = """
held "$1" || gone
into_folder
chown -- "$2" . && chmod -- "$3" .
"""

_KINDS: dict[str, Literal["file", "folder"]] = {
    "regular file": "file",
    "regular empty file": "file",
    "directory": "folder",
}


class ShellFiles(ABC):
    """Files of a machine, by what its `run` can do. `host` is what messages call the machine."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._identities: dict[str, str] = {}

    @abstractmethod
    def run(
        self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = 30.0, limit: int = LIMIT
    ) -> Ended:
        """Runs `argv` there; HostError when it cannot be asked to, or when the time is over."""

    def bounded(self, argv: Sequence[str], timeout: float) -> list[str]:
        """`argv` with its bound held there: from here, what has other rights or runs elsewhere cannot be ended."""
        return ["timeout", "--kill-after=2", f"{timeout:g}", *argv]

    def refuse_late(self, argv: Sequence[str], code: int) -> None:
        """HostError if `code` says that the bound of `bounded` was met."""
        if code in (124, 137):
            raise HostError(
                f"{argv[0]} did not end in time and was stopped",
                where=self._host,
                todo="Look at what it waits for by running it in a terminal, then try again.",
            )

    def script(
        self, script: str, *arguments: str, stdin: bytes = b"", limit: int = LIMIT
    ) -> tuple[int, bytes, str]:
        """Exit code, standard output and standard error of a script for sh with its arguments; it is root's."""
        text = f"careful=1 bound=1\n{FUNCTIONS}{script}"
        ended = self.run(["sh", "-c", text, "sh", *arguments], stdin=stdin, limit=limit)
        return ended.code, ended.stdout, ended.stderr.decode("utf-8", "replace")

    def read(self, path: str) -> FileState | None:
        """See `model.Connection.read`."""
        code, out, err = self.script(READ, os.path.abspath(path), limit=_READ_LIMIT)
        if code == ABSENT:
            return None
        refuse(code, err, path)
        if code:
            raise failures.from_words(err, doing="read", path=path)
        head, _, content = out.partition(b"\n")
        if len(out) >= _READ_LIMIT:
            raise HostError("it is too large to be a configuration file", where=path)
        found = _info(head, path)
        # Kernel files say that they are empty.
        if found.size and found.size != len(content):
            raise _garbled(path)
        return FileState(content, found.mode, found.owner, found.group)

    def info(self, path: str) -> PathInfo | None:
        """See `model.Connection.info`."""
        code, out, err = self.script(INFO, os.path.abspath(path))
        if code == ABSENT:
            return None
        refuse(code, err, path)
        if code:
            raise failures.from_words(err, doing="look at", path=path)
        return _info(out.strip(), path)

    def names(self, folder: str) -> tuple[str, ...]:
        """See `model.Connection.names`."""
        code, out, err = self.script(_NAMES, os.path.abspath(folder))
        if code == ABSENT:
            return ()
        refuse(code, err, folder)
        if code:
            raise failures.from_words(err, doing="list", path=folder)
        return tuple(sorted(os.fsdecode(name) for name in out.split(b"\0") if name))

    def examine(self, paths: Iterable[str]) -> dict[str, Attributes]:
        """See `model.Connection.examine`."""
        wanted = tuple(dict.fromkeys(paths))
        found = {}
        for path, (code, out, err) in zip(wanted, self.scripts(EXAMINE, wanted), strict=True):
            refuse(code, err, path)
            if code in (_FIXED, _FOLDER_FIXED):
                raise immutable.error(path if code == _FIXED else os.path.dirname(path))
            if code == _NO_TOOL:
                raise _no_tool(path)
            if code:
                raise failures.from_words(err, doing="look at", path=path)
            found[path] = _attributes(out.decode("utf-8", "surrogateescape"))
        return found

    def scripts(self, script: str, paths: Sequence[str]) -> Iterator[tuple[int, bytes, str]]:
        """The answers of a script about each of several paths; elsewhere that is one round trip."""
        return (self.script(script, os.path.abspath(path)) for path in paths)

    def staged_name(self, path: str, *, tag: str) -> str:
        """See `model.Connection.staged_name`."""
        code, out, err = self.script(STAGED_NAME, os.path.abspath(path), tag)
        refuse(code, err, path)
        if code:
            raise failures.from_words(err, doing="look at", path=path)
        return os.fsdecode(out.removesuffix(b"\n"))

    def stage(self, path: str, state: FileState, *, tag: str) -> str:
        """See `model.Connection.stage`."""
        words = stage_words(path, state, tag)
        code, out, err = self.script(STAGE, *words, "", "", carried(state), stdin=state.content)
        refuse_write(code, err, state, path)
        return self.keep_identity(out)

    def keep_identity(self, said: bytes) -> str:
        """Takes what `STAGE` says: the temporary name, and by what its file is known again where that is needed."""
        staged, _, identity = os.fsdecode(said.removesuffix(b"\n")).rpartition("\n")
        self._identities[staged] = identity
        return staged

    def taken_identity(self, staged: str) -> str:
        """By what a staged file is known again: its device and number, or ''."""
        return self._identities.pop(staged, "")

    def commit(self, staged: str, path: str, *, labels: bool = False) -> None:
        """Renames onto the real file behind `path` and brings its folder onto the disk."""
        words = (staged, os.path.abspath(path), self.taken_identity(staged), "1", "1" if labels else "", "", "", "")
        code, _, err = self.script(SWAP, *words)
        refuse(code, err, path)
        if code:
            raise failures.from_words(replace_words(err), doing="replace", path=path)

    def remove(self, path: str) -> None:
        """Removes a file (of a link: what it leads to); no error if it is already gone."""
        code, _, err = self.script(_REMOVE, os.path.abspath(path))
        refuse(code, err, path)
        if code and "Not a directory" not in err:
            raise failures.from_words(err, doing="remove", path=path)

    def make_folder(self, path: str, *, mode: int, owner: str, group: str) -> None:
        """See `model.Connection.make_folder`."""
        code, _, err = self.script(_MAKE_FOLDER, os.path.abspath(path), f"{owner}:{group}", f"{mode:04o}")
        refuse(code, err, path)
        if code == _OCCUPIED:
            raise HostError(
                "a file stands where a folder is meant to be", where=path, todo="Move the file away."
            )
        if code:
            raise _account(err, owner, group, path) or failures.from_words(err, doing="make", path=path)

    def remove_folder(self, path: str) -> bool:
        """See `model.Connection.remove_folder`."""
        code, _, err = self.script(_REMOVE_FOLDER, os.path.abspath(path))
        refuse(code, err, path)
        if code == _OCCUPIED:
            raise HostError("it is a file, not a folder", where=path, todo="Correct the path.")
        if code and code != ABSENT:
            raise failures.from_words(err, doing="remove", path=path)
        return code == 0

    def set_folder_rights(self, path: str, *, mode: int, owner: str, group: str) -> None:
        """See `model.Connection.set_folder_rights`."""
        words = (os.path.abspath(path), f"{owner}:{group}", f"{mode:04o}")
        code, _, err = self.script(_FOLDER_RIGHTS, *words)
        refuse(code, err, path)
        if code:
            raise _account(err, owner, group, path) or failures.from_words(err, doing="change", path=path)


def stage_words(path: str, state: FileState, tag: str) -> tuple[str, str, str, str, str]:
    """The first arguments of `STAGE` and `PUT`."""
    size = str(len(state.content))
    return os.path.abspath(path), tag, f"{state.owner}:{state.group}", f"{state.mode:04o}", size


def carried(state: FileState) -> str:
    """The attributes as `STAGE` and `PUT` take them, a line each."""
    return "\n".join(
        f"acl {acl_text(value)}" if name == ACL else f"{name} 0x{value}" for name, value in state.attributes
    )


def refuse_write(code: int, stderr: str, state: FileState, path: str) -> None:
    """Raises what a failed `STAGE` means.

    Raises:
        HostError: see there.
    """
    refuse(code, stderr, path)
    if code == SHORT:
        raise HostError("it arrived there cut short", where=path, todo="Look for room on that disk (df -h).")
    if code == _NO_TOOL:
        raise _no_tool(path)
    if code:
        raise _owner(stderr, state.owner, state.group, path) or failures.from_words(
            stderr, doing="write", path=path
        )


def replace_words(stderr: str) -> str:
    """What mv says, with a folder in the way as the system words it."""
    return "Is a directory" if "cannot overwrite directory" in stderr else stderr


def _no_tool(path: str) -> HostError:
    return HostError(
        "it has an access control list or extended attributes that cannot be carried over",
        where=path,
        todo=f"Install getfacl and setfacl there (packages acl and attr), or remove the list: setfacl -b {path}",
    )


_FATTR = re.compile(r"(user\.[^=]+)=0x([0-9a-f]*)")


def _attributes(text: str) -> Attributes:
    """From what `EXAMINE` prints."""
    entries = [line for line in text.splitlines() if re.match(r"(user|group|mask|other):", line)]
    found = [(ACL, acl_value("\n".join(entries)))] if entries else []
    found += [(name, value) for name, value in _FATTR.findall(text)]
    return tuple(found)


def _garbled(path: str) -> HostError:
    return HostError(
        "what came of it is not what it holds",
        where=path,
        todo="Look whether it is being written, or whether the login's start-up files leave something running that "
        "prints.",
    )


def _info(line: bytes, path: str) -> PathInfo:
    """From `stat -c '%a %U %u %G %g %s %F'`; who has no name is 'UNKNOWN' there."""
    words = line.decode("utf-8", "replace").split(" ", 6)
    if len(words) != 7 or not (words[0] + words[5]).isdigit():
        raise _garbled(path)
    mode, owner, uid, group, gid, size, kind = words
    return PathInfo(
        _KINDS.get(kind, "other"),
        int(mode, 8),
        uid if owner == "UNKNOWN" else owner,
        gid if group == "UNKNOWN" else group,
        int(size),
    )


def _account(stderr: str, owner: str, group: str, path: str) -> HostError | None:
    """The error for an owner that does not exist, as chown words it."""
    if "invalid user" in stderr:
        return failures.no_such_account("user", owner, path=path)
    if "invalid group" in stderr:
        return failures.no_such_account("group", group, path=path)
    return None


def _owner(stderr: str, owner: str, group: str, path: str) -> HostError | None:
    if "changing ownership" in stderr:
        return failures.cannot_give(owner, group, path=path)
    return _account(stderr, owner, group, path)
