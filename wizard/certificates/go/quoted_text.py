"""Text as Go prints it: `%q`, addresses, and ASCII-only lower case."""

from __future__ import annotations

import ipaddress
from typing import Final, TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_SHORT: Final = {
    "\a": r"\a",
    "\b": r"\b",
    "\f": r"\f",
    "\n": r"\n",
    "\r": r"\r",
    "\t": r"\t",
    "\v": r"\v",
    "\\": r"\\",
    '"': r"\"",
}


def quote(text: str) -> str:
    """The text in double quotes, with unprintable characters escaped."""
    if text.isascii() and text.isprintable() and "\\" not in text and '"' not in text:
        return f'"{text}"'
    return '"' + "".join(map(_escape, text)) + '"'


def lower(text: str) -> str:
    """Converts ASCII letters to lower case and keeps all others."""
    return (
        text.lower()
        if text.isascii()
        else text.encode("utf-8", "surrogatepass").lower().decode("utf-8", "surrogatepass")
    )


def address_text(octets: bytes) -> str:
    """The text of an address of 4 or 16 bytes; an IPv4-mapped IPv6 address is printed as IPv4."""
    return str(unmap(ipaddress.ip_address(octets)))


def unmap(address: Address) -> Address:
    """The IPv4 address of an IPv4-mapped IPv6 address, or the address itself."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def parsed_address(text: str) -> Address | None:
    """Parses an address, with or without a zone; None for any other text."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _escape(letter: str) -> str:
    known = _SHORT.get(letter)
    if known is not None:
        return known
    if letter.isprintable():
        return letter
    code = ord(letter)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not valid UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
