"""Labels for several services of one component on one host: their units. Pure.

The usual one has no label, so that what names it stays as it is; each further one is labelled with its unit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from wizard.components import component as find_component
from wizard.model import Service


def told_apart(services: Sequence[Service]) -> tuple[Service, ...]:
    """The same services, with units that no two of one component share.

    What nothing names (two processes that a script started) is named by its port.
    """
    seen = Counter((service.component, service.unit) for service in services)
    taken: set[tuple[str, str]] = set()
    found = []
    for service in services:
        unit = service.unit
        if seen[service.component, unit] > 1 and service.is_manual:
            unit = f"{service.unit}-{service.listen.rpartition(':')[2]}"
        number = 2
        while (service.component, unit) in taken:
            unit, number = f"{service.unit}-{number}", number + 1
        taken.add((service.component, unit))
        found.append(replace(service, unit=unit) if unit != service.unit else service)
    return tuple(found)


def label_instances(
    services: Iterable[Service],
    named: Mapping[str, Collection[str]] | None = None,
    meant: Callable[[Service], bool] = lambda _: True,
) -> tuple[Service, ...]:
    """The services of one host, each with its `instance`.

    Args:
        named: units that a stack names, by component. What it names without a unit is the usual one of the rest.
        meant: whether a service is what a stack means by the usual one of its component; such a one comes first.
    """
    found = tuple(services)
    wanted = {(component, unit) for component, units in (named or {}).items() for unit in units if unit}
    usual: dict[str, Service] = {}
    for service in sorted(found, key=lambda service: (not meant(service), _rank(service))):
        if (service.component, service.unit) not in wanted:
            usual.setdefault(service.component, service)
    return tuple(
        replace(service, instance="" if service is usual.get(service.component) else service.unit)
        for service in found
    )


def _rank(service: Service) -> tuple[bool, bool, int, int, str]:
    """The usual one comes first: that runs, by its unit's name, its port, in the end the alphabet."""
    known = find_component(service.component)
    by_name = known.units.index(service.unit) if service.unit in known.units else len(known.units)
    usual_port = service.listen.rpartition(":")[2] == str(known.default_port)
    # Of another daemon, or one that does not answer.
    unknown = service.kind == "container" and service.container is None
    return not service.active, unknown, by_name, int(not usual_port), service.unit
