"""Resolves names on a host with its own resolver (/etc/hosts, its name servers), all names at once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from wizard import endpoints
from wizard.connections.base import Connection
from wizard.errors import HostError

MOST = 512
"""Names that are resolved on one host; a target list may be longer, and each may cost a time-out."""

_PATIENCE = 4
_AT_ONCE = 32
_NAME = re.compile(r"[^\s\x00-\x1f\"'`$\\-][^\s\x00-\x1f\"'`$\\]{0,252}\Z")

# `getent ahosts` prints an address a line; of several names in one call it does not say which is whose.
_RESOLVE = f"""\
command -v getent >/dev/null 2>&1 || exit 127
bound=
if command -v timeout >/dev/null 2>&1; then bound='timeout {_PATIENCE}'; fi
set -f
running=0
for name do
  {{
    found=$($bound getent ahosts "$name" 2>/dev/null)
    code=$?
    printf '%s %s %s\\n' "$code" "$name" "$(echo $found | cut -c 1-1500)"
  }} &
  running=$((running + 1))
  if [ "$running" -ge {_AT_ONCE} ]; then wait; running=0; fi
done
wait
"""


@dataclass(frozen=True, slots=True)
class Resolution:
    """The answers of a host's resolver."""

    addresses: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """By canonical name; () for a name that it does not know. What was not answered in time is missing."""
    reason: str = ""
    """Why some or all of the names are missing, a clause, or ''."""


def resolve(connection: Connection, names: Sequence[str]) -> Resolution:
    """Resolves these names on a host; never raises where the host cannot."""
    possible = [name for name in names if _NAME.match(name)]
    asked = possible[:MOST]
    if not asked:
        return Resolution()
    bound = _PATIENCE * (len(asked) // _AT_ONCE + 1) + 10.0
    try:
        ended = connection.run(["sh", "-c", _RESOLVE, "sh", *asked], timeout=bound)
    except HostError as error:
        return Resolution(reason=f"names could not be resolved on {connection.name}: {error.what}")
    if ended.code == 127:
        return Resolution(reason=f"{connection.name} has no getent, so names cannot be resolved there")
    found: dict[str, tuple[str, ...]] = {}
    for line in ended.stdout.splitlines():
        code, _, rest = line.partition(" ")
        name, _, said = rest.partition(" ")
        if code == "0":
            listed = (str(address) for word in said.split() if (address := endpoints.parse_address(word)))
            found[name] = tuple(dict.fromkeys(listed))
        elif code == "2":  # getent's word for a key that is not found
            found[name] = ()
    silent = next((name for name in asked if name not in found), "")
    if silent:
        reason = f"the resolver of {connection.name} did not resolve {silent} within {_PATIENCE} s"
        return Resolution(found, reason)
    if len(possible) > MOST:
        return Resolution(
            found, f"{MOST} of the {len(possible)} names that {connection.name} uses were resolved"
        )
    return Resolution(found)
