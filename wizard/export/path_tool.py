"""The script that an exported playbook runs on a host where users other than root can change a folder.

Ansible's own modules open files by path, and a path can be replaced while they work. This script has the functions of
our own connections: it keeps folders open and uses names relative to them. `sh FILE look|read|put|folder|remove PATH
…`; `look` takes any number of paths and prints those in such folders.
"""

from __future__ import annotations

from wizard.connections.file_scripts import MAKE_FOLDER, REMOVE, STAGE, SWAP
from wizard.connections.path_script import ABSENT, FUNCTIONS

_STAGED = STAGE.rpartition("printf '%s\\n%s\\n'")[0]
_SWAPPED = SWAP.partition('enter_parent "$2" || exit_missing\n')[2]


def text() -> str:
    """Returns the script."""
    return f"""\
# Made by Firescreen: leads root to a file without being led astray. See write.yml.
LC_ALL=C.UTF-8
export LC_ALL
{FUNCTIONS}
case $(id -u) in 0) careful=1 ;; *) careful= ;; esac
bound=
! command -v timeout >/dev/null || bound=1
unsafe() {{
  echo "$path is left alone: it leads through ${{at:-/}}, a folder that others than root can change, to something that" \\
    "is not theirs ($1). Put a plain file there, or give the folder to root." >&2
  exit 50
}}
act=$1
shift
case $act in
look)
  for each do
    (
      enter_parent "$each" || {{ [ -z "$guarded" ] || unsafe absent; exit 0; }}
      [ -z "$guarded" ] || printf '%s\\n' "$each"
    ) || exit
  done
  ;;
read)
  enter_parent "$1" || exit_missing
  case $entry in '') exit {ABSENT} ;; esac
  print_content
  ;;
put)
  {_STAGED}
  any=1 labels= old_mode= digest= look=
  now=$(stat -c '%a %U %u %G %g %s' -- "./$staged")
  case ${{entry#* * * * }} in "$now "*)
    if [ "$(print_content | sha256sum)" = "$(sha256sum < "./$staged")" ]; then
      rm -f -- "./$staged"
      echo same
      exit 0
    fi ;;
  esac
  {_SWAPPED}
  ;;
folder)
  {MAKE_FOLDER}
  ;;
remove)
  {REMOVE}
  ;;
esac
"""
