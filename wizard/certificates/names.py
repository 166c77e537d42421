"""Parses names and addresses that a user typed into SANs; anything else is an error."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from typing import Final

from cryptography import x509

from wizard.certificates.reader import one_line
from wizard.errors import CertificateError

_LONGEST_LABEL: Final = 63
_LABEL: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)\Z")
# IDNA 2003 (Python) and IDNA 2008 (Go) encode these differently; a guess could name another host.
_AMBIGUOUS: Final = re.compile("[ßẞς\u200c\u200d]")


def general_names(names: Sequence[str]) -> list[x509.GeneralName]:
    """The SAN entries for `names`, in their order, without duplicates.

    Raises:
        CertificateError: a name is neither a host name nor a wildcard nor an address.
    """
    found: list[x509.GeneralName] = []
    for name in names:
        entry = _general_name(name)
        if entry not in found:
            found.append(entry)
    return found


def _general_name(name: str) -> x509.GeneralName:
    shown = one_line(name, 80)
    if not name or name != name.strip() or any(c.isspace() or not c.isprintable() for c in name):
        raise _name_error(
            f"“{shown}” is not a name: it is empty or contains spaces", "Write each name by itself"
        )
    if "://" in name:
        raise _name_error(f"“{shown}” is a URL", "Leave out the https://")
    bare = name[1:-1] if name.startswith("[") and name.endswith("]") else name
    try:
        return x509.IPAddress(ipaddress.ip_address(bare))
    except ValueError:
        pass
    if "/" in name:
        raise _name_error(f"“{shown}” contains a path or a network", "Write the name or address only")
    if ":" in name:
        raise _name_error(f"“{shown}” contains a port", "Leave out the port: certificates contain names only")
    return x509.DNSName(_ascii_name(name, shown))


def _ascii_name(name: str, shown: str) -> str:
    if _AMBIGUOUS.search(name):
        raise _name_error(
            f"“{shown}” has a letter that programs encode differently", "Write it in its xn-- form"
        )
    if any(len(label) > _LONGEST_LABEL for label in name.split(".")):
        raise _name_error(
            f"“{shown}” is not a host name: a part between dots has more than {_LONGEST_LABEL} characters",
            "Type a shorter name",
        )
    head, dot, rest = name.partition(".")
    wildcard = head == "*" and bool(dot)
    try:
        plain = (rest if wildcard else name).encode("idna").decode("ascii").lower().removesuffix(".")
    except UnicodeError as error:
        raise _name_error(f"“{shown}” is not a host name", "Check its spelling") from error
    if not plain or len(plain) > 250 or not all(_LABEL.match(label) for label in plain.split(".")):
        advice = (
            "A wildcard must be the whole left-most label: *.example.org"
            if "*" in name
            else "Use letters, digits, hyphens and dots"
        )
        raise _name_error(f"“{shown}” is not a host name", advice)
    # A top-level domain is never a number: such a text is a mistyped address.
    if plain.split(".")[-1].isdigit():
        raise _name_error(f"“{shown}” is neither an address nor a host name", "Check its numbers")
    return f"*.{plain}" if wildcard else plain


def _name_error(what: str, todo: str) -> CertificateError:
    return CertificateError(what, todo=todo)
