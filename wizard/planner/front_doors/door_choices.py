"""Questions: in which reverse proxy the front door is, and whether Grafana is behind it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import cast

from wizard.errors import InputError
from wizard.front_doors import Proxy, proxy
from wizard.model import GRAFANA, DoorRoute, FrontDoor, HostFacts, ProxyProgram, Question, Service, Setting
from wizard.plurals import join_words

_GRAFANA = (
    ("", "no"),
    ("own", "yes: people log in at Grafana as before"),
    ("door", "yes: the front door asks for a login too"),
)


def usable(host: HostFacts | None) -> tuple[tuple[Service, Proxy], ...]:
    """The running reverse proxies of a host that can be front doors, the usual one first."""
    found = (
        (each, proxy(each.component)) for each in (host.proxies if host is not None else ()) if each.active
    )
    return tuple((service, known) for service, known in found if known is not None and not known.exporters)


def running_sentence(there: Sequence[tuple[Service, Proxy]]) -> str:
    """The beginning of a sentence that says which of them run."""
    running = join_words([f"{known.title} {service.version}" for service, known in there])
    return f"{running} {'runs' if len(there) == 1 else 'run'}"


def questions(host: HostFacts, door: FrontDoor) -> Iterator[Question]:
    """Yields the questions for a host with several proxies, and for one with Grafana."""
    subject, there = f"{door.host}/{door.proxy}", usable(host)
    if len(there) > 1:
        yield Question(
            setting=Setting("front_doors", "proxy", subject),
            title="Reverse proxy of the front door",
            why=f"{join_words([each.title for _, each in there])} run on this host.",
            more=(
                "The front door is one more site of the reverse proxy that you choose; the others stay as they are. Choose the "
                "one that holds the port of the front door: two programs cannot listen on the same port."
                + "".join(
                    f" {known.title} cannot do {key}: {why}."
                    for _, known in there
                    for key, why in known.lacks
                )
            ),
            kind="choice",
            default=door.proxy,
            choices=tuple((known.name, f"{known.title} {service.version}") for service, known in there),
        )
    if host.grafana_server is not None and host.grafana_server.service.active:
        yield Question(
            setting=Setting("front_doors", "grafana", subject),
            title="Put Grafana behind the front door",
            why=f"Grafana runs on this host too: it would be served below the path /{GRAFANA} of this name.",
            more=(
                "root_url, serve_from_sub_path and http_addr in grafana.ini are set, and Grafana is restarted; it then listens on "
                "the loopback address alone. People log in at Grafana as before. If the front door asks too, it does so first, "
                "and programs that send Grafana a token cannot pass, since both use the Authorization header."
            ),
            kind="choice",
            default=(door.grafana.login or "own") if door.grafana is not None else "",
            choices=_GRAFANA,
        )


def with_proxy(door: FrontDoor, value: str) -> FrontDoor:
    """The front door in another proxy; settings that the proxy does not support get their default.

    Raises:
        InputError: the host has no such proxy.
    """
    new_proxy = proxy(value)
    if new_proxy is None:
        raise InputError(f"'{value}' cannot be chosen here", todo="Choose one from the list")
    if new_proxy.name == door.proxy:
        return door
    door = replace(door, proxy=cast(ProxyProgram, value), site="", port=new_proxy.only_port or door.port)
    if new_proxy.cannot("rate_limit"):
        door = replace(door, rate_limit=0)
    return door


def with_grafana(door: FrontDoor, value: str) -> FrontDoor:
    """The front door with or without Grafana behind it.

    Raises:
        InputError: the value is none of the choices.
    """
    if value not in dict(_GRAFANA):
        raise InputError(f"'{value}' cannot be chosen here", todo="Choose one from the list")
    if not value:
        return replace(door, routes=door.component_routes)
    path = door.grafana.path if door.grafana is not None else f"/{GRAFANA}"
    route = DoorRoute(to=GRAFANA, path=path, login="door" if value == "door" else "")
    return replace(door, routes=(*door.component_routes, route))
