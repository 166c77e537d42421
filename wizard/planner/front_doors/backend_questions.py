"""Questions about a front door's connections to its components, and about components of other hosts behind it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from wizard.components import component as find_component
from wizard.errors import InputError
from wizard.model import (
    RECOMMENDED,
    ComponentSpec,
    DoorRoute,
    Facts,
    FrontDoor,
    HostFacts,
    Protection,
    Question,
    Setting,
    Stack,
)
from wizard.redact import plain

OVER_TLS: Final[tuple[Protection, ...]] = ("tls", "client_cert")
"""The `protect` value of a component to which a front door connects over TLS."""
_CONNECTIONS = (
    ("loopback", "plain http on the loopback address"),
    ("tls", "TLS, with a client certificate of the proxy"),
)


def candidates(stack: Stack, host: str) -> tuple[ComponentSpec, ...]:
    """The components of a host that can be behind a front door."""
    return tuple(
        each
        for each in stack.components
        if each.host == host and not each.unit and not each.service and find_component(each.name).api_path
    )


def elsewhere(stack: Stack, host: str) -> tuple[ComponentSpec, ...]:
    """The components of other hosts that this host's front door can serve: not those behind another host's."""
    return tuple(
        each
        for spec in stack.hosts
        if spec.name != host
        for each in candidates(stack, spec.name)
        if all(door.host == host for door, _ in stack.doors_to(each.host, each.name))
    )


def fits(stack: Stack, host: HostFacts | None, spec: ComponentSpec) -> bool:
    """Whether a component can be put behind a front door.

    It must run as a service (in no container), and its flags must be editable. It must have no web configuration, unless
    it is a protected component behind a front door already.
    """
    service = host.service(spec.name) if host is not None else None
    return (
        service is not None
        and service.active
        and not service.is_manual
        and service.container is None
        and service.flags.kind in ("envfile", "dropin")
        and (not service.web_config or bool(spec.protect and stack.doors_to(spec.host, spec.name)))
    )


def questions(stack: Stack, facts: Facts, door: FrontDoor) -> Iterator[Question]:
    """Yields the questions for experts. They require a CA, since it issues the proxy's client certificate."""
    if stack.certificates.issued_by != "ca":
        return
    subject = f"{door.host}/{door.proxy}"
    own = [each for each in _behind(stack, door) if each.host == door.host]
    if own:
        yield Question(
            setting=Setting("front_doors", "connection", subject),
            title="How the front door asks the components of its host",
            why="On the loopback address nobody on the network can reach them; programs on this host still can.",
            more=(
                "With plain http on the loopback address, a component takes connections of its own host alone, and of every "
                "program there. With TLS it demands a client certificate: the proxy shows one that your CA issues, and "
                "Prometheus gets one of its own. Whoever has none is rejected, on this host too."
            ),
            kind="choice",
            default="tls" if all(each.protect for each in own) else "loopback",
            choices=_CONNECTIONS,
            priority="low",
        )
    others = _others(stack, facts, door)
    if others:
        yield Question(
            setting=Setting("front_doors", "others", subject),
            title="Components of other hosts behind the front door",
            why=f"Any of {', '.join(each.key for each in others)}. Leave it empty for none.",
            more=(
                "The proxy asks them over TLS: it verifies their certificate and shows a client certificate, without which "
                "they reject everybody but Prometheus, which gets one too. They are served below a path of the front door, "
                f"such as {door.root}/{others[0].host}/{others[0].name}."
            ),
            kind="names",
            default=" ".join(f"{route.host}/{route.to}" for route in door.routes if route.host),
            priority="low",
        )


def apply_answer(stack: Stack, host: str, name: str, value: str) -> Stack:
    """The stack with the answer to one of these questions.

    Raises:
        InputError: the answer is invalid.
    """
    return (_with_connection if name == "connection" else _with_others)(stack, host, value)


def _with_connection(stack: Stack, host: str, value: str) -> Stack:
    """The stack with the chosen connection (http or TLS) from the front door of a host to its components.

    Raises:
        InputError: the value is none of the choices.
    """
    if value not in dict(_CONNECTIONS):
        raise InputError(f"'{value}' cannot be chosen here", todo="Choose one from the list")
    behind = {each.key for door in stack.front_doors if door.host == host for each in _behind(stack, door)}
    protect = OVER_TLS if value == "tls" else ()
    return _with_protection(stack, {key for key in behind if key.startswith(f"{host}/")}, protect)


def _with_others(stack: Stack, host: str, value: str) -> Stack:
    """The stack with exactly these components of other hosts behind the front door of a host.

    Raises:
        InputError: one of them is not a component of another host, or is behind another front door.
    """
    keys = tuple(dict.fromkeys(re.split(r"[\s,]+", value.strip()))) if value.strip() else ()
    door = next(each for each in stack.front_doors if each.host == host)
    routes_by_key = {f"{route.host}/{route.to}": route for route in door.routes if route.host}
    choices = {each.key for each in elsewhere(stack, host)}
    for key in keys:
        if key not in choices:
            raise InputError(
                f"{plain(key, 80)} is no component of another host that can be behind this front door",
                todo=f"Type some of: {', '.join(sorted(choices))}",
            )
    routes = tuple(route for route in door.routes if not route.host)
    if not keys and not routes:
        raise InputError(
            f"the front door {door.name} would lead nowhere",
            todo=f"Type some of: {', '.join(sorted(choices))}; or leave its name empty",
        )
    added = tuple(routes_by_key.get(key) or _route(key) for key in keys)
    doors = tuple(
        replace(each, routes=(*routes, *added)) if each == door else each for each in stack.front_doors
    )
    left = _with_protection(stack, routes_by_key.keys() - set(keys), RECOMMENDED)
    return replace(_with_protection(left, set(keys), OVER_TLS), front_doors=doors)


def with_all_others(stack: Stack, host: str) -> Stack:
    """The stack with all components of other hosts behind the front door of a host without components.

    Raises:
        InputError: no other host has such a component.
    """
    return _with_others(stack, host, " ".join(each.key for each in elsewhere(stack, host)))


def _route(key: str) -> DoorRoute:
    host, _, name = key.partition("/")
    return DoorRoute(to=name, path=f"/{host}/{name}", host=host)


def without(stack: Stack, door: FrontDoor) -> Stack:
    """The stack without a front door; the components behind it get their own protection back."""
    behind = {each.key for each in _behind(stack, door)}
    doors = tuple(each for each in stack.front_doors if each != door)
    return replace(_with_protection(stack, behind, RECOMMENDED), front_doors=doors)


def _behind(stack: Stack, door: FrontDoor) -> tuple[ComponentSpec, ...]:
    keys = {(door.host_of(route), route.to) for route in door.component_routes}
    return tuple(each for each in stack.components if (each.host, each.name) in keys and not each.unit)


def _others(stack: Stack, facts: Facts, door: FrontDoor) -> tuple[ComponentSpec, ...]:
    others = elsewhere(stack, door.host)
    return tuple(each for each in others if fits(stack, facts.hosts.get(each.host), each))


def _with_protection(stack: Stack, keys: set[str], protect: tuple[Protection, ...]) -> Stack:
    return replace(
        stack,
        components=tuple(
            replace(each, protect=protect) if each.key in keys else each for each in stack.components
        ),
    )
