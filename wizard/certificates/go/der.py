"""A strict DER reader that accepts and rejects exactly what Go's `cryptobyte` does.

It stops at the first fault. The caller gives the error message, because Go's messages depend on the caller too.
"""

from __future__ import annotations

import functools
from typing import Final, NamedTuple

BOOLEAN: Final = 0x01
INTEGER: Final = 0x02
BIT_STRING: Final = 0x03
OCTET_STRING: Final = 0x04
NULL: Final = 0x05
OBJECT_IDENTIFIER: Final = 0x06
UTF8_STRING: Final = 0x0C
NUMERIC_STRING: Final = 0x12
PRINTABLE_STRING: Final = 0x13
T61_STRING: Final = 0x14
IA5_STRING: Final = 0x16
UTC_TIME: Final = 0x17
GENERALIZED_TIME: Final = 0x18
BMP_STRING: Final = 0x1E
SEQUENCE: Final = 0x30
SET: Final = 0x31
_HIGH: Final = 0x1F
_INT64: Final = 8


class ParseError(ValueError):
    """Go cannot parse the certificate; the text is Go's."""


class Element(NamedTuple):
    """One element: its tag, its content, and all of its bytes."""

    tag: int
    content: bytes
    whole: bytes


class Reader:
    """Reads one element after the other from `data`."""

    __slots__ = ("_data", "_end", "_place")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0
        self._end = len(data)

    def __bool__(self) -> bool:
        return self._place < self._end

    def next_is(self, tag: int) -> bool:
        """Whether the next element has this tag."""
        return self._place < self._end and self._data[self._place] == tag

    def any(self, message: str) -> Element:
        """The next element, with any tag.

        Raises:
            ParseError: it is not valid DER; the message is `message`.
        """
        data, start = self._data, self._place
        left = self._end - start
        if left < 2 or data[start] & _HIGH == _HIGH:
            raise ParseError(message)
        length, header = data[start + 1], 2
        if length & 0x80:
            count = length & 0x7F
            header = 2 + count
            if not 0 < count <= 4 or left < header:
                raise ParseError(message)
            length = int.from_bytes(data[start + 2 : start + header], "big")
            # A length must be in its shortest form, without a leading zero.
            if length < 0x80 or length >> (count - 1) * 8 == 0:
                raise ParseError(message)
        if header + length > left:
            raise ParseError(message)
        stop = start + header + length
        self._place = stop
        return Element(data[start], data[start + header : stop], data[start:stop])

    def element(self, tag: int, message: str) -> Element:
        """The next element, which must have this tag.

        Raises:
            ParseError: it has another one; the message is `message`.
        """
        found = self.any(message)
        if found.tag != tag:
            raise ParseError(message)
        return found

    def content(self, tag: int, message: str) -> bytes:
        """The content of the next element, which must have this tag. Raises `ParseError`."""
        return self.element(tag, message).content

    def inside(self, tag: int, message: str) -> Reader:
        """A reader for the content of the next element, which must have this tag. Raises `ParseError`."""
        return Reader(self.element(tag, message).content)

    def optional(self, tag: int, message: str) -> bytes | None:
        """The content of the next element if it has this tag, otherwise None. Raises `ParseError`."""
        return self.element(tag, message).content if self.next_is(tag) else None

    def boolean(self, message: str) -> bool:
        """The value of the next element, a BOOLEAN (0 or 255). Raises `ParseError`."""
        content = self.content(BOOLEAN, message)
        if content not in (b"\x00", b"\xff"):
            raise ParseError(message)
        return content == b"\xff"

    def integer(self, message: str) -> int:
        """The value of the next element, an INTEGER of any size in its shortest form. Raises `ParseError`."""
        return _integer(self.content(INTEGER, message), message)

    def int64(self, message: str, tag: int = INTEGER) -> int:
        """The value of the next element, an INTEGER of at most 64 bits, signed. Raises `ParseError`."""
        content = self.content(tag, message)
        if len(content) > _INT64:
            raise ParseError(message)
        return _integer(content, message)

    def oid(self, message: str) -> bytes:
        """The content of the next element, an OBJECT IDENTIFIER with arcs below 2**31. Raises `ParseError`."""
        content = self.content(OBJECT_IDENTIFIER, message)
        if not _is_oid(content):
            raise ParseError(message)
        return content

    def bits(self, message: str) -> tuple[bytes, int]:
        """The next element, a BIT STRING: its bytes, and the number of padding bits. Raises `ParseError`."""
        content = self.content(BIT_STRING, message)
        if not content:
            raise ParseError(message)
        padding, octets = content[0], content[1:]
        if padding > 7 or (padding and not octets) or (octets and octets[-1] & ((1 << padding) - 1)):
            raise ParseError(message)
        return octets, padding


def right_aligned(bits: tuple[bytes, int]) -> bytes:
    """The bytes of a BIT STRING with its padding moved to the front."""
    octets, padding = bits
    if not padding:
        return octets
    return (int.from_bytes(octets, "big") >> padding).to_bytes(len(octets), "big")


def dotted_oid(oid: bytes) -> str:
    """The dotted form of an OBJECT IDENTIFIER's content."""
    arcs: list[int] = []
    value = 0
    for octet in oid:
        value = value << 7 | octet & 0x7F
        if not octet & 0x80:
            arcs.append(value)
            value = 0
    first = arcs[0]
    head = divmod(first, 40) if first < 80 else (2, first - 80)
    return ".".join(map(str, (*head, *arcs[1:])))


def encode_oid(text: str) -> bytes:
    """The content of an OBJECT IDENTIFIER from its dotted form."""
    first, second, *rest = map(int, text.split("."))
    found = bytearray()
    for arc in (first * 40 + second, *rest):
        septets = [arc & 0x7F]
        while arc := arc >> 7:
            septets.append(arc & 0x7F | 0x80)
        found += bytes(reversed(septets))
    return bytes(found)


@functools.lru_cache(1024)
def _is_oid(content: bytes) -> bool:
    if not content or content[-1] & 0x80:
        return False
    value = count = 0
    for octet in content:
        # Go's arcs have at most 31 bits and five bytes, and no leading zeros.
        if count == 5 or value >= 1 << 24 or (not count and octet == 0x80):
            return False
        value, count = value << 7 | octet & 0x7F, count + 1
        if not octet & 0x80:
            value = count = 0
    return True


def _integer(content: bytes, message: str) -> int:
    if not content:
        raise ParseError(message)
    if len(content) > 1 and (content[0], content[1] >> 7) in ((0, 0), (0xFF, 1)):
        raise ParseError(message)
    return int.from_bytes(content, "big", signed=True)
