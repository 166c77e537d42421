"""The question whether exporter_exporter becomes the one open port of a host. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from wizard.components import component as find_component
from wizard.errors import InputError
from wizard.model import (
    EXPORTERS,
    EXPORTERS_PORT,
    RECOMMENDED,
    ComponentSpec,
    DoorRoute,
    Facts,
    FrontDoor,
    HostFacts,
    Protection,
    Question,
    Service,
    Setting,
    Stack,
)
from wizard.planner.front_doors.backend_questions import fits

_CHOICES = (
    ("", "no: each exporter keeps its own port"),
    ("yes", "yes: TLS and a client certificate at the one port"),
)


def questions(stack: Stack, facts: Facts) -> Iterator[Question]:
    """Yields one question per host with exporter_exporter and exporters that it could serve, if there is a CA."""
    for spec in stack.hosts:
        host, there = facts.hosts.get(spec.name), _door(stack, spec.name)
        service = _service(host)
        behind = candidates(stack, spec.name)
        if service is None or not behind or stack.certificates.issued_by != "ca":
            continue
        # exporter_exporter scrapes them by plain http: none may have a TLS configuration.
        if not all(fits(stack, host, replace(each, protect=())) for each in behind):
            continue
        port = there.port if there is not None else _port(service)
        names = " and ".join(each.name for each in behind)
        place = f"on {spec.name}" if len(stack.hosts) > 1 else "on this host"
        yield Question(
            setting=Setting("front_doors", f"exporters.{port}", f"{spec.name}/{EXPORTERS}"),
            title=f"One open port for the exporters {place}",
            why=f"exporter_exporter runs {place}: it can serve {names} at port {port}.",
            more=(
                "It gets a certificate of your CA, demands a client certificate, and asks each exporter by a module of its "
                "configuration. The exporters then listen on the loopback address alone. Prometheus asks at the one port: "
                "its jobs get metrics_path /proxy, the module, https, and rules that keep the label instance."
            ),
            kind="choice",
            default="yes" if there is not None else "",
            choices=_CHOICES,
        )


def answer(stack: Stack, subject: str, name: str, value: str) -> Stack:
    """The stack with this question answered.

    Args:
        subject: host/exporter_exporter.
        name: `exporters.PORT`.

    Raises:
        InputError: the value is none of the choices.
    """
    host = subject.partition("/")[0]
    if value not in dict(_CHOICES):
        raise InputError(f"'{value}' cannot be chosen here", todo="Choose one from the list")
    present = _door(stack, host)
    if bool(value) == (present is not None):
        return stack
    if present is not None:
        left = {route.to for route in present.routes}
        doors = tuple(each for each in stack.front_doors if each != present)
        return replace(_with_protection(stack, host, left, RECOMMENDED), front_doors=doors)
    behind = {each.name for each in candidates(stack, host)}
    door = FrontDoor(
        host=host,
        proxy=EXPORTERS,
        name=host.lower(),
        port=int(name.rpartition(".")[2]),
        client_cert=True,
        routes=tuple(DoorRoute(to=each) for each in sorted(behind)),
    )
    return replace(_with_protection(stack, host, behind, ()), front_doors=(*stack.front_doors, door))


def candidates(stack: Stack, host: str) -> tuple[ComponentSpec, ...]:
    """The exporters of a host that can be behind its one port: those not behind another front door."""
    return tuple(
        each
        for each in stack.components
        if each.host == host
        and not each.unit
        and not each.service
        and find_component(each.name).is_exporter
        and all(door.serves_exporters for door, _ in stack.doors_to(host, each.name))
    )


def _door(stack: Stack, host: str) -> FrontDoor | None:
    return next((each for each in stack.front_doors if each.host == host and each.serves_exporters), None)


def _service(host: HostFacts | None) -> Service | None:
    found = host.proxies if host is not None else ()
    return next((each for each in found if each.component == EXPORTERS and each.active), None)


def _port(service: Service) -> int:
    port = service.listen.rpartition(":")[2]
    return int(port) if port.isdecimal() else EXPORTERS_PORT


def _with_protection(stack: Stack, host: str, names: set[str], protect: tuple[Protection, ...]) -> Stack:
    return replace(
        stack,
        components=tuple(
            replace(each, protect=protect)
            if each.host == host and each.name in names and not each.unit
            else each
            for each in stack.components
        ),
    )
