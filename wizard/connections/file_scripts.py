"""The fixed scripts for sh behind the file operations of a host: texts only, see `shell_connection`.

They begin with `held` of `path_script`, and use names inside the folder that it holds from there on.
"""

from __future__ import annotations

from wizard.connections.path_script import ABSENT, NOT_REGULAR, UNSAFE

OCCUPIED = 46
NO_TOOL = 47
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
NAMES = f"""
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
# is never written in, but a private one in it, which nobody else can enter or take to another place; so it is where
# `ls` says by a plus that a new file inherited a list. Its rights are final before its first byte.
_WRITE = f"""
path=$1 tag=$2 owner=$3 mode=$4 size=$5 uploaded=$6 text=$7 attributes=$8 identity=
umask 077
held "$path" || gone
staged=.$name.firescreen-$tag
deliver() {{
  held "$uploaded" && pour || exit 1
  # In a folder of the login's it is the login who empties it, over SFTP: a link there would lead root elsewhere.
  [ -n "$guarded" ] || : > "./$name"
}}
carry() {{
  set -f
  IFS=$nl
  for line in $attributes; do
    case $line in
      'acl '*) setfacl --set "${{line#acl }}" /dev/fd/3 ;;
      security.*) setfattr -n "${{line%% *}}" -v "${{line#* }}" /dev/fd/3 || : ;; # a label is the policy's to give
      *) setfattr -n "${{line%% *}}" -v "${{line#* }}" /dev/fd/3 ;;
    esac || exit {NO_TOOL}
  done
  unset IFS
  set +f
}}
make() {{
  [ ! -e "$1" ] && [ ! -L "$1" ] || rm -f -- "$1" || exit
  set -C
  exec 3> "$1"
  set +C
  trap 'exec 3>&-; rm -f -- "$new"; [ -z "$apart" ] || leave' EXIT
}}
is_listed() {{ case $(ls -ln -- "$1") in ??????????+*) ;; *) return 1 ;; esac; }}
fill() {{
  chown -- "$owner" /dev/fd/3 || exit
  [ -z "$attributes" ] || carry
  chmod -- "$mode" /dev/fd/3 || exit
  if [ -n "$uploaded" ]; then
    (deliver) >&3 || exit
  elif [ -n "$text" ]; then
    # By the shell itself, without a process; if it cannot, cat has the system's words for why.
    printf %s "$text" >&3 || printf %s "$text" | cat >&3 || exit
  else
    cat >&3 || exit
  fi
  [ -n "$text" ] || [ "$(stat -L -c %s /dev/fd/3)" = "$size" ] || exit {SHORT}
  exec 3>&-
  sync -- "$1" || exit
}}
leave() {{ cd -P .. && rmdir -- "./$staged+"; }}
apart=$guarded new=./$staged
if [ -z "$apart" ]; then
  make "$new"
  # Whom the folder's list lets read could have it open by now, and would read the rest.
  ! is_listed "$new" || {{ apart=1; exec 3>&-; rm -f -- "$new"; look_around; }}
fi
if [ -n "$apart" ]; then
  case $entry in '' | 8* | 4*) ;; *) exit {NOT_REGULAR} ;; esac
  private "$staged+"
  new=./new
  make "$new"
  ! is_listed "$new" || setfacl --set u::rw-,g::---,o::--- /dev/fd/3 || exit {NO_TOOL}
fi
fill "$new"
if [ -n "$apart" ]; then
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
  if [ -n "$any" ]; then
    :
  elif [ -z "$old_mode" ]; then
    [ ! -e "./$name" ] && [ ! -L "./$name" ] || return {CHANGED}
  else
    now=$(stat -c "$form" -- "./$name" 2>/dev/null)
    case $now in 8*) ;; *) return {CHANGED} ;; esac
    mode_of "$now"
    [ "$mode" = "$old_mode" ] || return {CHANGED}
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
REMOVE = """
held "$1" || exit 0
rm -f -- "./$name" || exit
case $name in
  .*.firescreen-*) [ ! -d "./$name+" ] || (look_around; private "$name+"; rm -f ./new; cd -P .. && rmdir -- "./$name+") || : ;;
esac
sync -- .
"""
MAKE_FOLDER = f"""
held "$1" || gone
case $entry in 4*) exit 0 ;; '') ;; *) exit {OCCUPIED} ;; esac
umask 077
rights() {{
  case $(ls -ldn "$1") in ??????????+*) setfacl -bk -- "$1" && chmod 700 -- "$1" || return ;; esac
  chown -- "$2" "$1" && chmod -- "$3" "$1"
}}
if [ -z "$guarded" ]; then
  mkdir -m 700 -- "./$name" || exit 1
  rights "./$name" "$2" "$3" && exit 0
else
  private "$name"
  rights . "$2" "$3" && exit 0
  cd -P ..
fi
rmdir -- "./$name"
exit 1
"""
REMOVE_FOLDER = f"""
held "$1" && [ -n "$entry" ] || exit 0
case $entry in 4*) ;; *) exit {OCCUPIED} ;; esac
[ -z "$(find "./$name" -mindepth 1 -maxdepth 1 -print -quit)" ] || exit {ABSENT}
exec rmdir -- "./$name"
"""
FOLDER_RIGHTS = """
held "$1" || gone
into_folder
chown -- "$2" . && chmod -- "$3" .
"""
