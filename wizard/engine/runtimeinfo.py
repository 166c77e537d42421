"""What Prometheus says over its API of the configuration that it runs with: whether and when it last loaded it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace

from wizard import probes
from wizard.components import component as find_component
from wizard.model import Probe, Service
from wizard.services.reloads import Loaded

_PATH = "/api/v1/status/runtimeinfo"


def asking(
    service: Service, known: Sequence[Probe] = (), dial: probes.Dial | None = None
) -> Callable[[], Loaded | None] | None:
    """Asks a Prometheus for its last reload, as it may be asked now; None for other components and out of reach.

    Args:
        service: the Prometheus.
        known: probes of the plan; the one that must get through has CA, user, password and certificate for it.
        dial: makes the connection of a service with a `forward`.
    """
    if service.component != "prometheus" or service.out_of_reach or not service.listen:
        return None
    prefix = find_component(service.component).prefix(service.flag)
    ways = [_plain(service, f"http://{service.listen}{prefix}{_PATH}")]
    for probe in known:
        mine = probe.host == service.host and probe.component == service.component
        if mine and probe.wanted and probe.kind == "http" and probe.url.startswith("https:"):
            root = probe.url.partition("://")[2].partition("/")[0]
            ways.append(replace(probe, url=f"https://{root}{prefix}{_PATH}", timeout=3.0))

    def ask() -> Loaded | None:
        found = (_loaded(way, dial) for way in ways)
        return next((each for each in found if each is not None), None)

    return ask


def _plain(service: Service, url: str) -> Probe:
    return Probe(
        id=f"reload/{service.host}/{service.component}",
        host=service.host,
        component=service.component,
        name="when it last read its configuration",
        client="this machine",
        expect="200",
        url=url,
        forward=service.forward,
        timeout=3.0,
    )


def _loaded(probe: Probe, dial: probes.Dial | None) -> Loaded | None:
    bodies: list[bytes] = []
    attempt = probes.run(probe, dial=dial, whole=bodies.append)
    if attempt.outcome != "200" or not bodies:
        return None
    try:
        data = json.loads(bodies[0])["data"]
        return Loaded(bool(data["reloadConfigSuccess"]), str(data["lastConfigTime"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
