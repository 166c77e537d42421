"""Decodes PEM as Go does: skips damaged blocks and continues with the next one."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Final, NamedTuple

_BEGIN: Final = b"-----BEGIN "
_END: Final = b"\n-----END "
_DASHES: Final = b"-----"
_IGNORED: Final = b" \t\r\n"
_BLANKS: Final = b" \t"
_ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_PADS: Final = {0: (b"",), 2: (b"==",), 3: (b"=",)}


class Block(NamedTuple):
    """One block: its label, whether it has headers, and its content."""

    label: bytes
    has_headers: bool
    content: bytes


def blocks(pem: bytes) -> Iterator[Block]:
    """The blocks that Go finds in a PEM text, in their order."""
    place = 0
    while True:
        found = _next(pem, place)
        if found is None:
            return
        block, place = found
        yield block


def certificates(pem: bytes) -> Iterator[bytes]:
    """The contents of the blocks that Go accepts as certificates of a CA file (DER, not parsed yet)."""
    for block in blocks(pem):
        if block.label == b"CERTIFICATE" and not block.has_headers:
            yield block.content


def _next(pem: bytes, start: int) -> tuple[Block, int] | None:
    """The next block from `start` on, and where the search continues after it."""
    place = start
    while True:
        end = pem.find(_END, place)
        # At the start of the search, the line break before the END line may be missing.
        if pem.startswith(_END[1:], place) and place == start:
            end = place - 1
        if end < 0 and not (end == -1 and place == 0 and pem.startswith(_END[1:])):
            return None
        after = end + len(_END)
        begin = pem.rfind(_BEGIN, place, max(end, place))
        if begin < 0 or (begin > place and pem[begin - 1] != 0x0A):
            place = after
            continue
        block = _block(pem, begin, end, after)
        if block is not None:
            return block, _line_end(pem, after)
        place = after


def _block(pem: bytes, begin: int, end: int, after: int) -> Block | None:
    """The block between two lines that may be its BEGIN and END line; None if they are not."""
    first, place = _line(pem, begin + len(_BEGIN))
    if not first.endswith(_DASHES):
        return None
    label = first[: -len(_DASHES)]
    has_headers = False
    while place < len(pem):
        line, following = _line(pem, place)
        if b":" not in line:
            break
        has_headers, place = True, following
    else:
        return None
    if has_headers and end < place:
        return None
    if not pem.startswith(label + _DASHES, after) or _line(pem, after + len(label) + len(_DASHES))[0]:
        return None
    content = _decode(pem[place:end]) if end > place else b""
    return None if content is None else Block(label, has_headers, content)


def _line(pem: bytes, start: int) -> tuple[bytes, int]:
    """The line from `start` on without trailing blanks, and where the next line begins."""
    stop = pem.find(b"\n", start)
    if stop < 0:
        return pem[start:].rstrip(_BLANKS), len(pem)
    line = pem[start:stop]
    return line.removesuffix(b"\r").rstrip(_BLANKS), stop + 1


def _line_end(pem: bytes, start: int) -> int:
    return _line(pem, start)[1]


def _decode(text: bytes) -> bytes | None:
    """Decodes padded base64 in the standard alphabet, unused bits having any value; None for other text."""
    bare = text.translate(None, _IGNORED)
    letters = bare.rstrip(b"=")
    if letters.translate(None, _ALPHABET) or bare[len(letters) :] not in _PADS.get(len(letters) % 4, ()):
        return None
    try:
        return base64.b64decode(bare)
    except binascii.Error:
        return None
