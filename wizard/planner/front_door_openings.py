"""What a front door leads to, as the template of its proxy needs it. Pure."""

from __future__ import annotations

from wizard.front_doors import Opening
from wizard.front_doors.settings import BLOCKED
from wizard.planner import front_door_client
from wizard.planner.front_door_facts import KnownDoor


def openings(known: KnownDoor) -> tuple[Opening, ...]:
    """What it leads to; a path below another one first, since most proxies take the first that fits."""
    closed = [path for each in known.door.block for path in BLOCKED[each]]
    found = [
        Opening(
            prefix=each.route.prefix,
            backend=each.address,
            tls=front_door_client.settings(known, each),
            blocked=tuple(f"{each.route.prefix}{path}" for path in closed),
        )
        for each in known.backends
    ]
    if known.grafana is not None:
        route = known.grafana.route
        found.append(
            Opening(
                prefix=route.prefix,
                backend=known.grafana.address,
                own_login=route.has_own_login,
                websocket=True,
            )
        )
    return tuple(sorted(found, key=lambda each: -each.prefix.count("/")))
