"""Texts as Go prints them: `%q`, addresses, and lower case that knows ASCII only."""

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
    """The text in double quotes, what cannot be seen as escapes."""
    if text.isascii() and text.isprintable() and "\\" not in text and '"' not in text:
        return f'"{text}"'
    return '"' + "".join(map(_escape, text)) + '"'


def lower(text: str) -> str:
    """ASCII letters in lower case, others as they are."""
    return (
        text.lower()
        if text.isascii()
        else text.encode("utf-8", "surrogatepass").lower().decode("utf-8", "surrogatepass")
    )


def address_text(octets: bytes) -> str:
    """An address of 4 or 16 octets; one of IPv4 that is written as IPv6 looks like IPv4."""
    return str(unmap(ipaddress.ip_address(octets)))


def unmap(address: Address) -> Address:
    """The IPv4 address that an IPv6 one holds, or the address itself."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def parsed_address(text: str) -> Address | None:
    """The address that the text is, with or without a zone; None for any other text."""
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
    if 0xDC80 <= code <= 0xDCFF:  # an octet that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
