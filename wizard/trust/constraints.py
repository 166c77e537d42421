"""Name constraints: what a CA may be limited to. Rare in a lab, common in companies' own CAs."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from cryptography import x509

from wizard.trust.certificates import dns_names, extension, ip_names


def constraint_fault(parent: x509.Certificate, chain: Sequence[x509.Certificate]) -> str:
    """'' if `parent` may sign for the names of every certificate below it, otherwise Go's reason."""
    limits = extension(parent, x509.NameConstraints)
    if limits is None:
        return ""
    permitted, excluded = tuple(limits.permitted_subtrees or ()), tuple(limits.excluded_subtrees or ())
    for certificate in chain:
        for name in dns_names(certificate):
            fault = _dns_fault(name, permitted, excluded)
            if fault:
                return fault
        for address in ip_names(certificate):
            fault = _ip_fault(address, permitted, excluded)
            if fault:
                return fault
    return ""


def _dns_fault(name: str, permitted: Sequence[x509.GeneralName], excluded: Sequence[x509.GeneralName]) -> str:
    allowed = [entry.value for entry in permitted if isinstance(entry, x509.DNSName)]
    forbidden = [entry.value for entry in excluded if isinstance(entry, x509.DNSName)]
    for limit in forbidden:
        if _below(name, limit):
            return _words(f'DNS name "{name}" is excluded by constraint "{limit}"')
    if allowed and not any(_below(name, limit) for limit in allowed):
        return _words(f'DNS name "{name}" is not permitted by any constraint')
    return ""


def _ip_fault(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
    permitted: Sequence[x509.GeneralName],
    excluded: Sequence[x509.GeneralName],
) -> str:
    allowed = [entry.value for entry in permitted if isinstance(entry, x509.IPAddress)]
    forbidden = [entry.value for entry in excluded if isinstance(entry, x509.IPAddress)]
    for limit in forbidden:
        if _inside(address, limit):
            return _words(f'IP address "{address}" is excluded by constraint "{limit}"')
    if allowed and not any(_inside(address, limit) for limit in allowed):
        return _words(f'IP address "{address}" is not permitted by any constraint')
    return ""


def _inside(address: object, limit: object) -> bool:
    networks = (ipaddress.IPv4Network, ipaddress.IPv6Network)
    addresses = (ipaddress.IPv4Address, ipaddress.IPv6Address)
    return isinstance(limit, networks) and isinstance(address, addresses) and address in limit


def _below(name: str, limit: str) -> bool:
    name, limit = name.lower().rstrip("."), limit.lower()
    if not limit:
        return True
    if limit.startswith("."):
        return name.endswith(limit)
    return name == limit or name.endswith(f".{limit}")


def _words(reason: str) -> str:
    return f"a root or intermediate certificate is not authorized to sign for this name: {reason}"
