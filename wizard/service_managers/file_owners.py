"""Finds out how a service can own its files: by its own user, a shared user, or systemd's dynamic user."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from wizard.connections.base import Connection
from wizard.service_managers.process_list import Process

_DYNAMIC = range(61184, 65520)
"""The user ids that systemd gives to units with DynamicUser=yes."""
_CREDENTIALS_SINCE = 247
"""The first version of systemd with LoadCredential=."""
_NOBODYS = ("nobody", "nogroup")
_MOST = 10

# The name of each process of that user or group, except those of the unit itself.
_OTHERS = r"""
for d in /proc/[0-9]*; do
  case "$(stat -c ' %U %G ' "$d" 2>/dev/null)" in *" $1 "*|*" $2 "*) ;; *) continue ;; esac
  case "$(cat "$d/cgroup" 2>/dev/null)" in *"/$3"*) continue ;; esac
  IFS= read -r name 2>/dev/null < "$d/comm" && printf '%s\n' "$name"
done | sort -u | head -n 20
"""


@dataclass(frozen=True, slots=True)
class Owner:
    """The values of the fields of `model.Service` with the same names."""

    dynamic: bool = False
    credentials: str = ""
    shared_with: tuple[str, ...] = ()


def credentials_folder(unit_id: str) -> str:
    """The folder into which systemd puts the credentials of a system unit."""
    return f"/run/credentials/{unit_id}"


def of_unit(connection: Connection, properties: Mapping[str, str], process: Process | None) -> Owner:
    """The facts about a unit's user; needs no command for a unit with a user of its own.

    Args:
        connection: the host.
        properties: the unit's properties from systemd.
        process: its main process, if it runs.
    """
    user = process.user if process else properties.get("User", "")
    group = process.group if process else properties.get("Group", "")
    if properties.get("DynamicUser") == "yes":
        dynamic = _is_dynamic(connection, user or properties["Id"].removesuffix(".service"))
        able = dynamic and _version(connection) >= _CREDENTIALS_SINCE
        return Owner(dynamic, credentials_folder(properties["Id"]) if able else "")
    if user in _NOBODYS or group in _NOBODYS:
        ended = connection.run_script(_OTHERS, user, group or user, properties["Id"], timeout=10)
        others = tuple(ended.stdout.split("\n")[:_MOST])
        return Owner(shared_with=tuple(each for each in others if each) or ("nothing at the moment",))
    return Owner()


def _is_dynamic(connection: Connection, user: str) -> bool:
    """Whether systemd allocated the user: if the user exists on the host, systemd uses that one."""
    number = user if user.isdecimal() else connection.run(["id", "-u", "--", user], timeout=5).stdout.strip()
    return not number.isdecimal() or int(number) in _DYNAMIC


def _version(connection: Connection) -> int:
    output = connection.run(["systemctl", "--version"], timeout=5).stdout
    match = re.match(r"systemd (\d+)", output)
    return int(match.group(1)) if match else 0
