"""The fixed sh scripts behind the file operations on a host; `shell_connection` runs them.

They begin with `enter_parent` of `path_script`, and then use names relative to the folder that it has made the working
directory.
"""

from __future__ import annotations

from wizard.connections.path_script import ABSENT, NOT_REGULAR, UNSAFE

OCCUPIED = 46
NO_TOOL = 47
"""Exit code: there is no tool to carry over the ACL or the attributes of a file."""
SHORT = 48
"""Exit code: fewer bytes arrived than were sent."""
CHANGED = 49
"""Exit code: the file has changed since it was compared."""

READ = f"""
enter_parent "$1" || exit {ABSENT}
print_file
"""
INFO = f"""
enter_parent "$1" && [ -n "$entry" ] || exit {ABSENT}
printf '%s\\n' "${{entry#* * * * }}"
"""
NAMES = f"""
enter_parent "$1" || exit {ABSENT}
into_folder
exec find . -mindepth 1 -maxdepth 1 -printf '%f\\0'
"""
STAGED_NAME = """
enter_parent "$1" || exit_missing
printf '%s\\n' "$at/.$name.firescreen-$2"
"""
# $1 path, $2 tag, $3 owner:group, $4 mode, $5 size, $6 an uploaded file or '', $7 the content or '', $8 attributes;
# if $6 and $7 are '' the content is on standard input. The mode and owner of the file are final before its first byte.
#
# With noclobber the shell opens a file with O_EXCL if there is nothing or a regular file at its name, but without
# O_EXCL if there is anything else. So nothing is written directly in a folder that others can change, but in a private
# folder inside of it, which nobody else can enter or move. The same is done if the plus in the output of `ls` shows
# that a new file inherited an ACL.
_WRITE = f"""
path=$1 tag=$2 owner=$3 mode=$4 size=$5 uploaded=$6 text=$7 attributes=$8 identity=
umask 077
enter_parent "$path" || exit_missing
staged=.$name.firescreen-$tag
copy_upload() {{
  enter_parent "$uploaded" && print_content || exit 1
  # In a folder of the login's, the login empties the file itself, over SFTP: a link there could lead root elsewhere.
  [ -n "$guarded" ] || : > "./$name"
}}
set_attributes() {{
  set -f
  IFS=$nl
  for line in $attributes; do
    case $line in
      'acl '*) setfacl --set "${{line#acl }}" /dev/fd/3 ;;
      security.*) setfattr -n "${{line%% *}}" -v "${{line#* }}" /dev/fd/3 || : ;; # labels are set by the SELinux policy
      *) setfattr -n "${{line%% *}}" -v "${{line#* }}" /dev/fd/3 ;;
    esac || exit {NO_TOOL}
  done
  unset IFS
  set +f
}}
create_file() {{
  [ ! -e "$1" ] && [ ! -L "$1" ] || rm -f -- "$1" || exit
  set -C
  exec 3> "$1"
  set +C
  trap 'exec 3>&-; rm -f -- "$new"; [ -z "$apart" ] || leave_private' EXIT
}}
has_acl() {{ case $(ls -ln -- "$1") in ??????????+*) ;; *) return 1 ;; esac; }}
write_content() {{
  chown -- "$owner" /dev/fd/3 || exit
  [ -z "$attributes" ] || set_attributes
  chmod -- "$mode" /dev/fd/3 || exit
  if [ -n "$uploaded" ]; then
    (copy_upload) >&3 || exit
  elif [ -n "$text" ]; then
    # The shell writes it without a process; if that fails, cat prints the reason in the system's words.
    printf %s "$text" >&3 || printf %s "$text" | cat >&3 || exit
  else
    cat >&3 || exit
  fi
  [ -n "$text" ] || [ "$(stat -L -c %s /dev/fd/3)" = "$size" ] || exit {SHORT}
  exec 3>&-
  sync -- "$1" || exit
}}
leave_private() {{ cd -P .. && rmdir -- "./$staged+"; }}
apart=$guarded new=./$staged
if [ -z "$apart" ]; then
  create_file "$new"
  # Users whom the folder's ACL lets read may have opened the file by now, and could read what is written later.
  ! has_acl "$new" || {{ apart=1; exec 3>&-; rm -f -- "$new"; check_folder; }}
fi
if [ -n "$apart" ]; then
  case $entry in '' | 8* | 4*) ;; *) exit {NOT_REGULAR} ;; esac
  enter_private "$staged+"
  new=./new
  create_file "$new"
  ! has_acl "$new" || setfacl --set u::rw-,g::---,o::--- /dev/fd/3 || exit {NO_TOOL}
fi
write_content "$new"
if [ -n "$apart" ]; then
  identity=$(stat -c %d:%i "$new") && mv -fT -- "$new" "../$staged" || exit
  leave_private
fi
trap - EXIT
"""
STAGE = _WRITE + 'printf \'%s\\n%s\\n\' "$at/$staged" "$identity"\n'
# Compared just before the rename: nothing if `any` is set, else mode and SHA-256 of the current file with `old_mode`
# and `digest` ('' for no file). With `look` the new file is printed, as by `READ`.
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
    [ "$(print_digest)" = "$digest  -" ] || return {CHANGED}
  fi
  [ -z "$identity" ] || is_staged_file "./$staged" || return {UNSAFE}
  mv -fT -- "./$staged" "./$name" && sync -- . || return
  [ -z "$identity" ] || is_staged_file "./$name" || return {UNSAFE}
  [ -z "$labels" ] || [ -n "$guarded" ] || restorecon -- "$at/$name" || :
}}
print_digest() {{ if [ -n "$guarded" ]; then print_content | sha256sum; else sha256sum < "./$name"; fi; }}
is_staged_file() {{ [ "$(stat -c %d:%i -- "$1" 2>/dev/null)" = "$identity" ]; }}
replace || {{
  code=$?
  rm -f -- "./$staged"
  [ "$code" != {UNSAFE} ] || unsafe moved
  exit "$code"
}}
[ -n "$look" ] || exit 0
entry=$(stat -c "$form" -- "./$name" 2>/dev/null)
print_file
"""
# $1 staged, $2 path, $3 identity of the staged file or '', $4 any, $5 labels, $6 mode, $7 digest, $8 look.
SWAP = f"""
staged=${{1##*/}} identity=$3 any=$4 labels=$5 old_mode=$6 digest=$7 look=$8
enter_parent "$2" || exit_missing
{_SWAP}"""
# As for `STAGE`, then $9 labels, ${10} mode, ${11} digest, ${12} look.
PUT = f"""
any= labels=$9 old_mode=${{10}} digest=${{11}} look=${{12}}
{_WRITE}{_SWAP}"""
# A leftover of `STAGE` is removed together with its private folder.
REMOVE = """
enter_parent "$1" || exit 0
rm -f -- "./$name" || exit
case $name in
  .*.firescreen-*) [ ! -d "./$name+" ] || (check_folder; enter_private "$name+"; rm -f ./new; cd -P .. && rmdir -- "./$name+") || : ;;
esac
sync -- .
"""
MAKE_FOLDER = f"""
enter_parent "$1" || exit_missing
case $entry in 4*) exit 0 ;; '') ;; *) exit {OCCUPIED} ;; esac
umask 077
set_rights() {{
  case $(ls -ldn "$1") in ??????????+*) setfacl -bk -- "$1" && chmod 700 -- "$1" || return ;; esac
  chown -- "$2" "$1" && chmod -- "$3" "$1"
}}
if [ -z "$guarded" ]; then
  mkdir -m 700 -- "./$name" || exit 1
  set_rights "./$name" "$2" "$3" && exit 0
else
  enter_private "$name"
  set_rights . "$2" "$3" && exit 0
  cd -P ..
fi
rmdir -- "./$name"
exit 1
"""
REMOVE_FOLDER = f"""
enter_parent "$1" && [ -n "$entry" ] || exit 0
case $entry in 4*) ;; *) exit {OCCUPIED} ;; esac
[ -z "$(find "./$name" -mindepth 1 -maxdepth 1 -print -quit)" ] || exit {ABSENT}
exec rmdir -- "./$name"
"""
FOLDER_RIGHTS = """
enter_parent "$1" || exit_missing
into_folder
chown -- "$2" . && chmod -- "$3" .
"""
