"""Which server of the stack a target means, as seen from the host of the client. Pure.

A target is a name or an address with a port. It means a server if a connection from the client's host gets there: names
compare as in DNS, addresses by value, a loopback address is the client's host itself, and a name leads to the addresses
that the client host's own resolver returned (`HostFacts.resolved`). What is uncertain is reported, never guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from wizard import endpoints
from wizard.components import component as find_component
from wizard.endpoints import Address
from wizard.model import HostFacts, Service


@dataclass(frozen=True, slots=True)
class Listener:
    """The addresses at which a service accepts connections."""

    host: HostFacts
    service: Service

    @property
    def sockets(self) -> tuple[tuple[str, int], ...]:
        """(address, port) of each of its sockets; the address is '' if the socket listens on all addresses."""
        service = self.service
        own = self.host.spec.connect == "practice"
        return _sockets(service.component, service.arguments, service.sockets, service.listen, own=own)

    def accepts(self, address: Address, port: int) -> bool:
        """Whether one of its sockets accepts a connection to this address of its host."""
        for host, own in self.sockets:
            bound = endpoints.parse_address(host)
            if own != port:
                continue
            if not host or bound == address:
                return True
            if not address.is_loopback and address not in self._local:
                return True  # no address of an interface: NAT leads from there to any of them
            if bound is None and (address.is_loopback == endpoints.is_loopback(host)):
                return True  # it listens on a name, and only the host knows the address of that
        return False

    @property
    def _local(self) -> set[Address]:
        """The addresses of the host's interfaces."""
        return {address for name in self.host.names if (address := endpoints.parse_address(name))}


_LOOPBACK: set[Address] = {
    address for text in ("127.0.0.1", "::1") if (address := endpoints.parse_address(text)) is not None
}


@lru_cache(4096)
def _sockets(
    component: str, arguments: tuple[str, ...], open_sockets: tuple[str, ...], listen: str, *, own: bool
) -> tuple[tuple[str, int], ...]:
    # Its open sockets count more than its flags: the port may come from its environment, or from systemd.
    # In a practice stack each service has an address of its own; elsewhere `listen` may be the address seen from here.
    given = () if own else open_sockets or tuple(_flags(arguments, "web.listen-address"))
    found = []
    for host, port in map(endpoints.split, given):
        if port and "/" not in host:  # vsock://:9100 is not TCP
            found.append(("" if host in ("", "*") or endpoints.is_wildcard(host) else host, port))
    if found:
        return tuple(found)
    host, port = endpoints.split(listen)
    return ((host if own else "", port or find_component(component).default_port),)


def means(asker: HostFacts, address: str, listener: Listener, *, scheme: str = "") -> bool:
    """Whether host:port, as used by a client on the host `asker`, leads to this service.

    A name that leads to several hosts means none of them, and so does a name that nobody can resolve.
    """
    host, port = endpoints.split(address, scheme)
    if not host or port not in (own for _, own in listener.sockets):
        return False
    own = _own_names(listener.host)
    if not _may_mean(asker, host, listener.host, own):
        return False  # true for nearly all pairs in a large stack, which need no further check
    if _leads_elsewhere(asker, host, listener.host):
        return False
    literal = endpoints.parse_address(host)
    if literal is not None:
        return _reaches(asker, literal, listener, port)
    if endpoints.is_loopback(host) and host not in asker.resolved:
        return _is_same(asker, listener.host) and any(listener.accepts(each, port) for each in _LOOPBACK)
    if host in own:
        return True
    found = _addresses(asker, host)
    return (
        bool(found)
        and all(_belongs(asker, each, listener.host) for each in found)
        and any(_reaches(asker, each, listener, port) for each in found)
    )


def _may_mean(asker: HostFacts, host: str, expected: HostFacts, own: frozenset[str]) -> bool:
    """Whether a name or address can mean a host at all; cheap, and a False is always right."""
    if host in own or endpoints.is_loopback(host) or endpoints.is_wildcard(host):
        return True
    leads = (host,) if endpoints.parse_address(host) is not None else asker.resolved.get(host, ())
    if not leads:
        return False
    if not own.isdisjoint(leads) or any(map(endpoints.is_loopback, leads)):
        return True
    names = (endpoints.canonical(text) for text in (expected.spec.address, expected.spec.name) if text)
    return any(not frozenset(asker.resolved.get(name, ())).isdisjoint(leads) for name in names)


def hosts_of(
    asker: HostFacts, address: str, hosts: Iterable[HostFacts]
) -> tuple[tuple[HostFacts, ...], bool]:
    """The hosts to which a target may lead, and whether it also has addresses that belong to none of them."""
    host, _ = endpoints.split(address)
    everyone = tuple(hosts)
    literal = endpoints.parse_address(host)
    found = (literal,) if literal is not None else _addresses(asker, host)
    if not found:
        by_name = tuple(each for each in everyone if host in _own_names(each))
        loopback = endpoints.is_loopback(host) and not by_name
        return (tuple(each for each in everyone if _is_same(asker, each)) if loopback else by_name), False
    owners = {owner.spec.name: owner for each in found for owner in everyone if _belongs(asker, each, owner)}
    strange = any(not any(_belongs(asker, each, owner) for owner in everyone) for each in found)
    return tuple(owners.values()), strange


def names_to_resolve(addresses: Iterable[str], hosts: Iterable[HostFacts]) -> tuple[str, ...]:
    """The names that the client host's resolver must resolve: those of its targets, and of the stack's hosts.

    Each appears once, the most important first: names about which nothing else is known.
    """
    names = [endpoints.split(address)[0] for address in addresses]
    everyone = tuple(hosts)
    known_names = {name for each in everyone for name in _own_names(each)}
    targets = dict.fromkeys(name for name in names if _is_name(name) and name != "localhost")
    others = [endpoints.canonical(text) for each in everyone for text in (each.spec.name, each.spec.address)]
    ordered = [name for name in targets if name not in known_names]
    if ordered:
        # Only for an unknown name does it matter to which addresses the stack's own names lead.
        ordered += [name for name in others if name and _is_name(name) and not endpoints.is_loopback(name)]
    return tuple(dict.fromkeys([*ordered, *(name for name in targets if name in known_names)]))


def _is_name(host: str) -> bool:
    return bool(host) and endpoints.parse_address(host) is None and not any(sign in host for sign in "%/$ ")


def _own_names(host: HostFacts) -> frozenset[str]:
    """The names and addresses of a host in the stack, as far as they mean that host on other hosts."""
    listens = (service.listen for service in host.services)
    texts = (host.spec.name, host.spec.address, *host.names)
    return _canonical(texts, tuple(listens), local=host.spec.connect == "practice")


@lru_cache(4096)
def _canonical(texts: tuple[str, ...], listens: tuple[str, ...], *, local: bool) -> frozenset[str]:
    names = {endpoints.canonical(text) for text in texts if text}
    names |= {host for host, _ in map(endpoints.split, listens) if host}
    # The hosts of a practice stack are loopback addresses, a different one each.
    return frozenset(name for name in names if local or not endpoints.is_loopback(name))


def _is_same(asker: HostFacts, host: HostFacts) -> bool:
    return asker.spec.name == host.spec.name


def _addresses(asker: HostFacts, name: str) -> tuple[Address, ...]:
    """The addresses to which the client host's resolver leads; link-local ones only if there are no others."""
    texts = asker.resolved.get(name)
    if not texts:
        return ()
    found = [address for text in texts if (address := endpoints.parse_address(text))]
    return tuple(address for address in found if not address.is_link_local) or tuple(found)


def _belongs(asker: HostFacts, address: Address, host: HostFacts) -> bool:
    """Whether an address, used on the client's host, belongs to that host."""
    same = _is_same(asker, host)
    if address.is_loopback or address.is_unspecified:
        return str(address) in _own_names(host) if host.spec.connect == "practice" else same
    if not same and str(address) in asker.names:
        return False  # the client host's own, even if others have it too (172.17.0.1 of Docker)
    if str(address) in _own_names(host):
        return True
    # An address behind NAT, or of a VPN, belongs to the host if the client's host resolves the stack's name to it.
    spec = [endpoints.canonical(text) for text in (host.spec.address, host.spec.name) if text]
    return any(address in _addresses(asker, name) for name in spec)


def _reaches(asker: HostFacts, address: Address, listener: Listener, port: int) -> bool:
    """Whether the service accepts a connection from the client's host to that address and port."""
    if address.is_unspecified:  # Linux connects to loopback instead
        if _is_same(asker, listener.host) and listener.host.spec.connect != "practice":
            return any(listener.accepts(each, port) for each in _LOOPBACK if each.version == address.version)
        return False
    return _belongs(asker, address, listener.host) and listener.accepts(address, port)


def _leads_elsewhere(asker: HostFacts, host: str, expected: HostFacts) -> bool:
    """Whether the client host's resolver leads a name that the stack has for a host to none of its addresses.

    Only a loopback address on another host is certain. Other addresses may be NAT.
    """
    found = _addresses(asker, host)
    return (
        bool(found)
        and not _is_same(asker, expected)
        and all(each.is_loopback for each in found)
        and (expected.spec.connect != "practice")
    )


def _flags(arguments: tuple[str, ...], name: str) -> Iterator[str]:
    """Every value of a flag that may be given several times."""
    for index, argument in enumerate(arguments):
        head, sign, value = argument.partition("=")
        if head in (f"--{name}", f"-{name}"):
            if sign:
                yield value
            else:
                yield from arguments[index + 1 : index + 2]


@dataclass(frozen=True, slots=True)
class Doubt:
    """A target that may mean a service, but not for certain."""

    address: str
    kind: Literal["several", "unknown", "unresolved", "port"]
    """It leads to several hosts, to an address of no known host, nowhere, or to another port."""
    why: str
    """The same kind as a clause for a message."""


def doubtful(
    asker: HostFacts, addresses: Sequence[str], listener: Listener, hosts: Sequence[HostFacts]
) -> tuple[Doubt, ...]:
    """The targets of a client on the host `asker` that may mean a service, but not for certain."""
    found = (
        _doubt(asker, address, listener, hosts)
        for address in dict.fromkeys(addresses)
        if not means(asker, address, listener)
    )
    return tuple(each for each in found if each is not None)


def _doubt(asker: HostFacts, address: str, listener: Listener, hosts: Sequence[HostFacts]) -> Doubt | None:
    host, port = endpoints.split(address)
    owners, strange = hosts_of(asker, address, hosts)
    may_mean = any(_is_same(each, listener.host) for each in owners)
    shown = ", ".join(map(str, _addresses(asker, host))) or host
    if port not in (own for _, own in listener.sockets):
        if not may_mean or _is_served(port, listener.host):
            return None
        name = listener.host.spec.name
        return Doubt(address, "port", f"it leads to {name}, where nothing known listens on port {port}")
    if may_mean and (strange or len(owners) > 1):
        names = ", ".join(sorted(each.spec.name for each in owners)) + (" and others" if strange else "")
        return Doubt(
            address, "several", f"{host} leads to several hosts on {asker.spec.name} ({names}: {shown})"
        )
    if owners:
        return None
    if strange:
        if endpoints.parse_address(host) is not None or _is_same(asker, listener.host):
            return None  # another machine's address, like most targets of a partial stack
        return Doubt(address, "unknown", f"no host of the stack is known to have the address {shown}")
    unasked = asker.resolver if host not in asker.resolved else ""
    return Doubt(address, "unresolved", unasked or f"{host} does not resolve on {asker.spec.name}")


def _is_served(port: int, host: HostFacts) -> bool:
    """Whether a service found on the host listens on that port."""
    return any(port == own for service in host.services for _, own in Listener(host, service).sockets)
