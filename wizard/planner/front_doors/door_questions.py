"""Questions about front doors: the name for a host's reverse proxy, then who may log in. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import cast

from wizard.certificates.names import general_names
from wizard.components import component as find_component
from wizard.errors import CertificateError, InputError
from wizard.front_doors import Proxy, proxy
from wizard.model import (
    EXPORTERS,
    DoorRoute,
    Facts,
    FrontDoor,
    HostFacts,
    ProxyProgram,
    ProxySite,
    Question,
    Setting,
    SignIn,
    Stack,
)
from wizard.planner.front_doors import (
    backend_questions,
    door_choices,
    door_settings,
    exporter_door_questions,
    sign_in_questions,
)
from wizard.planner.front_doors.backend_questions import candidates, elsewhere
from wizard.plurals import join_words

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_ACCESS = (
    ("password", "user and password"),
    ("client_cert", "client certificate of your CA"),
    ("either", "either of them"),
)


def questions(stack: Stack, facts: Facts) -> Iterator[Question]:
    """Yields the questions about front doors: none for a host without a proxy, or with an unsuitable component."""
    yield from _of_sites(_without_exporters(stack), facts)
    yield from exporter_door_questions.questions(stack, facts)


def _without_exporters(stack: Stack) -> Stack:
    """The stack without exporter_exporter's front doors and the components behind them."""
    return replace(
        stack,
        front_doors=tuple(each for each in stack.front_doors if not each.serves_exporters),
        components=tuple(
            each
            for each in stack.components
            if not any(door.serves_exporters for door, _ in stack.doors_to(each.host, each.name))
        ),
    )


def _of_sites(stack: Stack, facts: Facts) -> Iterator[Question]:
    for spec in stack.hosts:
        host, own_doors = (
            facts.hosts.get(spec.name),
            [each for each in stack.front_doors if each.host == spec.name],
        )
        usable = door_choices.usable(host)
        if host is None or not usable or len(own_doors) > 1 or not _fits(stack, facts, host):
            continue
        first_proxy = usable[0][1]
        titles = [find_component(each.name).title for each in candidates(stack, spec.name)]
        served = join_words(titles) or ", ".join(each.key for each in elsewhere(stack, spec.name))
        closed = (
            "The components themselves listen on the loopback address alone, so that nobody passes the front door by"
            if titles
            else "The components themselves demand a client certificate, so that nobody passes the front door by"
        )
        # The form keeps a field of the same title when the proxy changes: with several proxies, the title names none.
        called, inside = (
            (first_proxy.title, f" in {first_proxy.title}") if len(usable) == 1 else ("The reverse proxy", "")
        )
        place = f"on {spec.name}" if len(stack.hosts) > 1 else "on this host"
        yield Question(
            setting=Setting("front_doors", "name", f"{spec.name}/{first_proxy.name}"),
            title=f"Name of a front door{inside} {place}",
            why=f"{called} serves {served} under one https name, and asks for the login. "
            "Leave it empty for none.",
            more=(
                f"{door_choices.running_sentence(usable)} {place}. With a name such as noc.example.net, each component "
                f"is served below a path of it: https://noc.example.net/prometheus and so on. {closed}. Other sites of "
                "the proxy stay as they are. The name must lead to this host in your DNS."
            ),
            kind="text",
            default=own_doors[0].name if own_doors else "",
        )
        # Named after the first proxy, whichever is chosen, so that the form keeps its fields and the focus.
        yield from (
            replace(each, setting=each.setting._replace(of=f"{spec.name}/{first_proxy.name}"))
            for door in own_doors
            for each in _of_door(stack, facts, host, door)
        )


def _of_door(stack: Stack, facts: Facts, host: HostFacts, door: FrontDoor) -> Iterator[Question]:
    yield from door_choices.questions(host, door)
    yield from _site(facts, door)
    yield _access(door)
    yield from sign_in_questions.questions(door)
    yield from backend_questions.questions(stack, facts, door)
    yield from door_settings.questions(facts, door)


def answer(stack: Stack, subject: str, name: str, value: str) -> Stack:
    """The stack with one of these questions answered.

    Args:
        subject: host/proxy.

    Raises:
        InputError: the value is not a DNS name, or not a way to log in.
    """
    host, _, program = subject.partition("/")
    if program == EXPORTERS:
        return exporter_door_questions.answer(stack, subject, name, value)
    answered = _apply_answer(_without_exporters(stack), host, program, name, value)
    components = {each.key: each for each in answered.components}
    return replace(
        answered,
        front_doors=(*answered.front_doors, *(each for each in stack.front_doors if each.serves_exporters)),
        components=tuple(components.get(each.key, each) for each in stack.components),
    )


def _apply_answer(stack: Stack, host: str, program: str, name: str, value: str) -> Stack:
    if name == "access":
        return _with_access(stack, host, value)
    if name in ("proxy", "grafana"):
        return replace(
            stack, front_doors=tuple(_with_program(each, host, name, value) for each in stack.front_doors)
        )
    if name in ("connection", "others"):
        return backend_questions.apply_answer(stack, host, name, value)
    if name == "site":
        return _with_site(stack, host, value)
    if name.startswith("sign_in."):
        return _signing_in(stack, host, name.removeprefix("sign_in."), value)
    if door_settings.is_one(name):
        doors = tuple(
            door_settings.apply_answer(each, name, value) if each.host == host else each
            for each in stack.front_doors
        )
        return replace(stack, front_doors=doors)
    return _with_door_name(stack, host, program, value)


def _with_door_name(stack: Stack, host: str, program: str, value: str) -> Stack:
    """The stack with a front door of that name, added if the host has none; an empty name removes it."""
    wanted = value.strip().lower().rstrip(".")
    others = tuple(each for each in stack.front_doors if each.host != host)
    present = next((each for each in stack.front_doors if each.host == host), None)
    if not wanted:
        return backend_questions.without(stack, present) if present is not None else stack
    _check_name(wanted)
    if present is not None:
        return replace(
            stack,
            front_doors=(
                *others,
                replace(present, name=wanted, site="" if wanted != present.name else present.site),
            ),
        )
    behind = {each.name for each in candidates(stack, host)}
    door = FrontDoor(
        host=host,
        proxy=cast(ProxyProgram, program),
        name=wanted,
        people=(stack.users[0].name,),
        routes=tuple(DoorRoute(to=each, path=f"/{each}") for each in sorted(behind, key=_order)),
    )
    if not behind:
        named = replace(stack, front_doors=(*others, door))
        return backend_questions.with_all_others(named, host)
    components = tuple(
        replace(each, protect=()) if each.host == host and each.name in behind else each
        for each in stack.components
    )
    return replace(stack, components=components, front_doors=(*others, door))


def _check_name(wanted: str) -> None:
    """Raises InputError for a name that no certificate can have, or by which no proxy can tell sites apart."""
    if not _NAME.fullmatch(wanted) or len(wanted) > 200:
        raise InputError("this is not a DNS name", todo="Type a name such as noc.example.net")
    try:
        general_names((wanted,))
    except CertificateError as error:
        raise InputError(error.what, todo=error.todo) from error


def _with_program(door: FrontDoor, host: str, name: str, value: str) -> FrontDoor:
    if door.host != host:
        return door
    if name == "proxy":
        return door_choices.with_proxy(door, value)
    return door_choices.with_grafana(door, value)


def rename_user(stack: Stack, old: str, new: str) -> Stack:
    """The stack with a user of its front doors renamed."""

    def users(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(new if each == old else each for each in names)

    return replace(
        stack,
        front_doors=tuple(
            replace(each, people=users(each.people), machines=users(each.machines))
            for each in stack.front_doors
        ),
    )


def _order(name: str) -> tuple[bool, str]:
    return name != "prometheus", name


def _site(facts: Facts, door: FrontDoor) -> Iterator[Question]:
    """Yields whether to add the routes to an existing site of that name; nothing if there is no such site."""
    found, reverse_proxy = facts.proxies.get(door.host), proxy(door.proxy)
    if found is None or reverse_proxy is None:
        return
    place = next((each for each in found.sites if _is_taken(facts, door, reverse_proxy, each)), None)
    if place is None:
        return
    lines, other = ("one more line", "name") if reverse_proxy.shared is None else ("a few more lines", "port")
    what = (
        "one more line, which includes a file of Firescreen's"
        if reverse_proxy.shared is None
        else "a few more lines"
    )
    yield Question(
        setting=Setting("front_doors", "site", f"{door.host}/{door.proxy}"),
        title=f"Put the paths into the site {door.name} that is there"
        if reverse_proxy.shared is None
        else f"Put the paths into the section of {reverse_proxy.title} that is there",
        why=f"{place.file}, line {place.line}, answers to this name already."
        if reverse_proxy.shared is None
        else f"A section of {place.file} listens on port {place.port} already, and takes all requests there.",
        more=(
            f"The site gets {what} with the paths and the login; every other byte stays as it is, and its other pages are "
            f"served as before. {reverse_proxy.title} checks the whole before anything is put in place. The site keeps its "
            f"certificate: it must have TLS. With no, choose another {other}."
        ),
        kind="choice",
        default=door.site,
        choices=(("", f"no: I choose another {other}"), (place.file, f"yes: {lines} in {place.file}")),
    )


def _is_taken(facts: Facts, door: FrontDoor, reverse_proxy: Proxy, site: ProxySite) -> bool:
    """Whether a person's site serves the name of a front door, or listens on its port."""
    if (site.program, site.port) != (door.proxy, door.port):
        return False
    shared = reverse_proxy.shared
    if shared is None:
        return site.name.lower() == door.name and site.file != reverse_proxy.site.format(name=door.instance)
    state = facts.hosts[door.host].files.get(site.file)
    text = state.content.decode("utf-8", "replace") if state is not None else ""
    return site.line not in shared.own_lines(text) and door.port in shared.others_ports(text)


def _with_site(stack: Stack, host: str, value: str) -> Stack:
    if value and not value.startswith("/"):
        raise InputError(f"'{value}' cannot be chosen here", todo="Choose one from the list")
    user = stack.users[0].name

    def with_value(door: FrontDoor) -> FrontDoor:
        if not value:
            return replace(door, site="")
        reverse_proxy = proxy(door.proxy)
        asks = door.client_cert and reverse_proxy is not None and reverse_proxy.certificates_inside
        door = replace(door, site=value, client_cert=asks, hsts_days=0)
        if asks or door.users:
            return door
        return replace(door, machines=(user,)) if door.sign_in is not None else replace(door, people=(user,))

    return replace(
        stack,
        front_doors=tuple(with_value(each) if each.host == host else each for each in stack.front_doors),
    )


def _access(door: FrontDoor) -> Question:
    reverse_proxy = proxy(door.proxy)
    # People cannot sign in (OpenID) at a HAProxy frontend that a person wrote.
    able = (
        reverse_proxy is not None
        and reverse_proxy.sign_in is not None
        and not (door.site and reverse_proxy.shared is not None)
    )
    signs_in = (sign_in_questions.ACCESS,) if able else ()
    now = (
        "sign_in"
        if door.sign_in is not None
        else "either"
        if door.users and door.client_cert
        else "client_cert"
        if door.client_cert
        else "password"
    )
    return Question(
        setting=Setting("front_doors", "access", f"{door.host}/{door.proxy}"),
        title="Who passes the front door",
        why="People usually log in with a password; programs can show a client certificate instead.",
        more=(
            "The front door asks before anything reaches a component. With a password, browsers ask for it. With a client "
            "certificate, people have to import one into their browser. With either, the one or the other is enough. "
            "People can also sign in with their account at an OpenID provider, where the proxy can: programs still send "
            "user and password."
        ),
        kind="choice",
        default=now,
        choices=(
            *(
                _ACCESS
                if not door.site or (reverse_proxy is not None and reverse_proxy.certificates_inside)
                else _ACCESS[:1]
            ),
            *signs_in,
        ),
    )


def _with_access(stack: Stack, host: str, value: str) -> Stack:
    if value not in dict((*_ACCESS, sign_in_questions.ACCESS)):
        raise InputError(f"'{value}' cannot be chosen here", todo="Choose one from the list")
    user = stack.users[0].name

    def with_value(door: FrontDoor) -> FrontDoor:
        if value == "sign_in":
            settings = door.sign_in or SignIn()
            return replace(
                door, sign_in=settings, people=(), machines=door.users or (user,), client_cert=False
            )
        door = replace(door, sign_in=None)
        people = () if value == "client_cert" else door.people or (user,)
        machines = () if value == "client_cert" else door.machines
        return replace(door, people=people, machines=machines, client_cert=value != "password")

    return replace(
        stack,
        front_doors=tuple(with_value(each) if each.host == host else each for each in stack.front_doors),
    )


def _signing_in(stack: Stack, host: str, name: str, value: str) -> Stack:
    doors = tuple(
        replace(each, sign_in=sign_in_questions.apply_answer(each.sign_in, name, value))
        if each.host == host and each.sign_in is not None
        else each
        for each in stack.front_doors
    )
    return replace(stack, front_doors=doors)


def _fits(stack: Stack, facts: Facts, host: HostFacts) -> bool:
    """Whether all candidates fit behind a front door: the host's components, or those of other hosts if it has none."""
    found = candidates(stack, host.spec.name)
    if not found and stack.certificates.issued_by == "ca":
        others = elsewhere(stack, host.spec.name)
        return bool(others) and all(
            backend_questions.fits(stack, facts.hosts.get(each.host), each) for each in others
        )
    return bool(found) and all(backend_questions.fits(stack, host, each) for each in found)
