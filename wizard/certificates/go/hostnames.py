"""Whether a certificate is valid for a name, and which domain names Go accepts."""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Sequence
from typing import Final

from wizard.certificates.go.certificate import Certificate
from wizard.certificates.go.quoted_text import Address, address_text, lower, parsed_address, unmap

_LABEL: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
# From this number on, names are only counted in the error.
_MANY: Final = 100


def hostname_fault(certificate: Certificate, name: str) -> str:
    """'' if the certificate is valid for `name` (host name, or address with or without brackets), or Go's message."""
    bare = name[1:-1] if len(name) > 2 and name[0] == "[" and name[-1] == "]" else name
    address = parsed_address(bare)
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
        address = ipaddress.IPv6Address(address.packed)
    if address is not None:
        wanted = unmap(address)
        if any(unmap(ipaddress.ip_address(octets)) == wanted for octets in certificate.addresses):
            return ""
        return _words(certificate, str(wanted), wanted)
    if _holds(certificate.dns_names, name):
        return ""
    return _words(certificate, name, None)


def matches_name(pattern: str, host: str) -> bool:
    """Whether a certificate with this DNS name is valid for the host.

    Labels are compared without regard to case; `*` can replace the whole left-most label, but not the whole name.
    """
    return _holds((pattern,), host)


def _holds(patterns: Sequence[str], host: str) -> bool:
    host = lower(host)
    usable = _is_hostname(host, pattern=False)
    trimmed = host.removesuffix(".")
    alike = {trimmed, f"*.{trimmed.partition('.')[2]}"}
    for pattern in patterns:
        text = lower(pattern)
        if text not in alike and text != host:
            continue
        if usable and _is_hostname(text, pattern=True):
            if text in alike and text.count(".") == trimmed.count("."):
                return True
        elif text == host and host not in ("", "."):
            return True
    return False


def _words(certificate: Certificate, host: str, address: Address | None) -> str:
    if not certificate.has_san and _same_labels(certificate.common_name, host):
        return "x509: certificate relies on legacy Common Name field, use SANs instead"
    if address is None:
        valid, kind = list(certificate.dns_names), "names"
    else:
        valid, kind = list(map(address_text, certificate.addresses)), "IP SANs"
        if not valid:
            return f"x509: cannot validate certificate for {host} because it doesn't contain any IP SANs"
    if len(valid) >= _MANY:
        return f"x509: certificate is valid for {len(valid)} {kind}, but none matched {host}"
    text = ", ".join(valid)
    if not text:
        return f"x509: certificate is not valid for any names, but wanted to match {host}"
    return f"x509: certificate is valid for {text}, not {host}"


def _same_labels(pattern: str, host: str) -> bool:
    wanted, given = lower(pattern).split("."), lower(host.removesuffix(".")).split(".")
    if not pattern or len(wanted) != len(given):
        return False
    return wanted[1:] == given[1:] and wanted[0] in ("*", given[0])


@functools.lru_cache(4096)
def _is_hostname(name: str, *, pattern: bool) -> bool:
    if not pattern:
        name = name.removesuffix(".")
    if not name or name == "*":
        return False
    head, *rest = name.split(".")
    if not (pattern and head == "*") and not _LABEL.fullmatch(head):
        return False
    return all(_LABEL.fullmatch(label) for label in rest)
