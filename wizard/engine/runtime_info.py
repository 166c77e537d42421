"""What a program reports of its configuration: whether and when it last loaded it.

Read from its own metrics.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from wizard import probes
from wizard.components import component as find_component
from wizard.model import Probe, Service
from wizard.service_managers.base import Loaded

_TELLING = ("prometheus", "blackbox_exporter")
# Its API reports the same to the second only, and two reloads may come within one.
_RELOAD = re.compile(
    rb"(?m)^(?:prometheus|blackbox_exporter)_config_last_reload_(successful|success_timestamp_seconds) (\S+)\r?$"
)


def reload_reader(
    service: Service, known: Sequence[Probe] = (), dial: probes.Dial | None = None
) -> Callable[[], Loaded | None] | None:
    """A function that reads a program's last reload; None for those that do not report it, and for unreachable ones.

    Args:
        service: the Prometheus.
        known: probes of the plan; the one that must get through has CA, user, password and certificate for it.
        dial: makes the connection of a service with a `forward`.
    """
    if service.component not in _TELLING or service.out_of_reach or not service.listen:
        return None
    path = find_component(service.component).metrics_path(service.flag)
    ways = [_plain(service, f"http://{service.listen}{path}")]
    for probe in known:
        if (
            probe.server == service.key
            and probe.wanted
            and probe.kind == "http"
            and probe.url.startswith("https:")
        ):
            root = probe.url.partition("://")[2].partition("/")[0]
            ways.append(replace(probe, url=f"https://{root}{path}", timeout=3.0))
            # Below its path at a front door, from the restart on.
            ways += [replace(probe, timeout=3.0)] if probe.url.endswith("/metrics") else []

    def ask() -> Loaded | None:
        found = (_read_reload(way, dial) for way in ways)
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


def _read_reload(probe: Probe, dial: probes.Dial | None) -> Loaded | None:
    bodies: list[bytes] = []
    attempt = probes.run(probe, dial=dial, whole=bodies.append)
    return _read(bodies[0]) if attempt.outcome == "200" and bodies else None


def _read(metrics: bytes) -> Loaded | None:
    found = dict(_RELOAD.findall(metrics))
    try:
        return Loaded(float(found[b"successful"]) == 1, found[b"success_timestamp_seconds"].decode())
    except (KeyError, ValueError):
        return None
