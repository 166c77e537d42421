"""Labels for several services of one component on one host: the names of their units. Pure.

The usual service has no label, so that its keys stay the same; each further one has its unit as label.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from wizard.components import component as find_component
from wizard.model import Service


def with_distinct_units(services: Sequence[Service]) -> tuple[Service, ...]:
    """The same services, with distinct units for all services of a component.

    Services without a name of their own (two processes that a script started) get their port as part of the name.
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
    """Sets the `instance` of each service of one host.

    Args:
        named: units that a stack names, by component. A component named without a unit is the usual one of the others.
            meant: whether the stack means this service by the usual one of its component; such a service comes first.
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
    """Order for the usual service: a running one first, then by unit name, port and finally alphabet."""
    known = find_component(service.component)
    by_name = known.units.index(service.unit) if service.unit in known.units else len(known.units)
    usual_port = service.listen.rpartition(":")[2] == str(known.default_port)
    # It belongs to another daemon, or to one that does not answer.
    unknown = service.kind == "container" and service.container is None
    return not service.active, unknown, by_name, int(not usual_port), service.unit
