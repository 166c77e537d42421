"""Finds out whether Caddy runs with another configuration than its Caddyfile: one set by its API, lost at a reload."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

from wizard.connections.base import Connection

# Caddy's own environment determines where it saves the configuration that it runs with, and the values of a Caddyfile's
# placeholders. None of it becomes an argument, which other users could read.
_SCRIPT: Final = r"""
program=$2 main=$3
pid=$(systemctl show --no-pager -p MainPID --value -- "$1.service")
[ "${pid:-0}" -gt 0 ] || exit 0
tr '\0' '\037' < "/proc/$pid/cmdline" || exit
while IFS= read -r -d '' each; do
  case ${each%%=*} in *[!A-Za-z0-9_]*|'') ;; *) export "$each" ;; esac
done < "/proc/$pid/environ"
saved=${XDG_CONFIG_HOME:-$HOME/.config}/caddy/autosave.json
printf '\036%s\036' "$saved"
cat "$saved" 2>/dev/null
printf '\036'
runuser -u caddy -- "$program" adapt --config "$main" --adapter caddyfile 2>/dev/null
"""


def other_than(connection: Connection, main: str, *, unit: str, program: str) -> str:
    """The path of the configuration with which Caddy runs; '' if it is the Caddyfile's, or if it cannot be found out.

    Args:
        connection: the connection to its host.
        main: the Caddyfile.
        unit: its systemd unit, without `.service`.
        program: the path of the executable.
    """
    ended = connection.run(["bash", "-c", _SCRIPT, "bash", unit, program, main], timeout=15)
    parts = ended.stdout.split("\x1e")
    if len(parts) != 4:
        return ""
    command_line, saved, running, adapted = parts[0].split("\x1f"), parts[1], _read(parts[2]), _read(parts[3])
    if "--resume" in command_line and running is not None:
        return saved
    named = _config_flag(command_line)
    if named and posixpath.normpath(named) != main:
        return named
    # Its environment in /proc lacks variables that it has read from an --envfile.
    if running is None or adapted is None or any(word.startswith("--envfile") for word in command_line):
        return ""
    persisted = adapted.get("admin", {}).get("config", {}).get("persist", True)
    return saved if persisted and running != adapted else ""


def _config_flag(words: Sequence[str]) -> str:
    for word, following in pairwise(words):
        if word in ("--config", "-config", "-c"):
            return following
    joined = (word.partition("=")[2] for word in words if word.startswith(("--config=", "-config=")))
    return next(joined, "")


def _read(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
