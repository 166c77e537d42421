"""Reads from a program's own metrics whether and when it last loaded its configuration."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from wizard import probes
from wizard.components import component as find_component
from wizard.model import Probe, Service
from wizard.service_managers.base import Loaded

_REPORTING = ("prometheus", "blackbox_exporter")
# Not from the API of Prometheus: it reports the time in whole seconds, and two reloads may happen within one second.
_RELOAD = re.compile(
    rb"(?m)^(?:prometheus|blackbox_exporter)_config_last_reload_(successful|success_timestamp_seconds) (\S+)\r?$"
)


def reload_reader(
    service: Service, known: Sequence[Probe] = (), dial: probes.Dial | None = None
) -> Callable[[], Loaded | None] | None:
    """A function that reads a program's last reload; None if the program does not report it or is unreachable.

    Args:
        service: the Prometheus or blackbox exporter.
        known: probes of the plan; those expected to succeed have the CA and the credentials for the service.
        dial: opens the connection of a service with a `forward`.
    """
    if service.component not in _REPORTING or service.out_of_reach or not service.listen:
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
            # After the restart, its metrics may be below the path of a front door.
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
    attempt = probes.run(probe, dial=dial, on_body=bodies.append)
    return _read(bodies[0]) if attempt.outcome == "200" and bodies else None


def _read(metrics: bytes) -> Loaded | None:
    found = dict(_RELOAD.findall(metrics))
    try:
        return Loaded(float(found[b"successful"]) == 1, found[b"success_timestamp_seconds"].decode())
    except (KeyError, ValueError):
        return None
