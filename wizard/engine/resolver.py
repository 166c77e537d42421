"""Resolves names on a host with its own resolver (/etc/hosts, its name servers), all names at once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from wizard import endpoints
from wizard.connections.base import Connection
from wizard.errors import HostError

MOST = 512
"""Maximum number of names that are resolved on one host: a target list may be longer, and each may time out."""

_PATIENCE = 4
_AT_ONCE = 32
_NAME = re.compile(r"[^\s\x00-\x1f\"'`$\\-][^\s\x00-\x1f\"'`$\\]{0,252}\Z")

# One call per name: with several names, `getent ahosts` does not say which address belongs to which name.
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
    """The results from a host's resolver."""

    addresses: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The addresses by canonical name; () for an unknown name. Names that timed out are missing."""
    reason: str = ""
    """Why names are missing, as a clause; '' if none is."""


def resolve(connection: Connection, names: Sequence[str]) -> Resolution:
    """Resolves names on a host. Raises no HostError; `Resolution.reason` says what failed."""
    possible = [name for name in names if _NAME.match(name)]
    selected = possible[:MOST]
    if not selected:
        return Resolution()
    timeout = _PATIENCE * (len(selected) // _AT_ONCE + 1) + 10.0
    try:
        ended = connection.run(["sh", "-c", _RESOLVE, "sh", *selected], timeout=timeout)
    except HostError as error:
        return Resolution(reason=f"names could not be resolved on {connection.name}: {error.what}")
    if ended.code == 127:
        return Resolution(reason=f"{connection.name} has no getent, so names cannot be resolved there")
    found: dict[str, tuple[str, ...]] = {}
    for line in ended.stdout.splitlines():
        code, name, output = [*line.split(" ", 2), "", ""][:3]
        if code == "0":
            listed = (str(address) for word in output.split() if (address := endpoints.parse_address(word)))
            found[name] = tuple(dict.fromkeys(listed))
        elif code == "2":  # exit code of getent for a key that is not found
            found[name] = ()
    silent = next((name for name in selected if name not in found), "")
    if silent:
        reason = f"the resolver of {connection.name} did not resolve {silent} within {_PATIENCE} s"
        return Resolution(found, reason)
    if len(possible) > MOST:
        return Resolution(
            found, f"{MOST} of the {len(possible)} names that {connection.name} uses were resolved"
        )
    return Resolution(found)
