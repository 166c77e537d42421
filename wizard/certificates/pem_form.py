"""Whether Go finds the blocks of a PEM file: it is stricter than OpenSSL about where a block begins.

Source: Go's encoding/pem. A block counts only if BEGIN is at the beginning of a line. If a byte order mark or a blank
precedes it, Go silently skips the block and continues with the next one, or finds none at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_MARK: Final = b"\xef\xbb\xbf"
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")
_BEGIN: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,60})-----")
_KEY: Final = re.compile(rb"-----BEGIN (?:[A-Z0-9 ]{1,30} )?PRIVATE KEY-----")


def faults(content: bytes) -> tuple[str, ...]:
    """Why Go does not read all of these bytes as PEM, each as `what (what to do)`; empty if it does."""
    return tuple(_faults(content))


def repair(content: bytes) -> bytes:
    """The same file with the `faults` of its format repaired as far as possible, to show its contents."""
    if content.startswith(_UTF16):
        content = content.decode("utf-16", "replace").encode()
    if content[:1] == b"\x30":
        return content
    text = content.removeprefix(_MARK)
    return b"".join(line.lstrip(b" \t") for line in text.splitlines(keepends=True))


def is_key(content: bytes) -> bool:
    """Whether this is a file with a private key and no certificate."""
    return _KEY.search(content) is not None and b"-----BEGIN CERTIFICATE-----" not in content


def _faults(content: bytes) -> Iterator[str]:
    if content.startswith(_UTF16):
        yield "it is written in UTF-16, and Go reads no PEM in that (save it as UTF-8 without a byte order mark)"
        return
    if content[:1] == b"\x30":
        yield (
            "it is in DER form, and Prometheus and its exporters read only PEM "
            "(convert it: openssl x509 -inform DER -in FILE -out FILE.pem)"
        )
        return
    for found in _BEGIN.finditer(content):
        kind = found[1].decode("ascii")
        before = content[content.rfind(b"\n", 0, found.start()) + 1 : found.start()]
        if before == _MARK:
            yield (
                f"it begins with a byte order mark, so Go does not find the first block ({kind}) "
                "(remove it: sed -i '1s/^\\xEF\\xBB\\xBF//' FILE)"
            )
        elif before:
            yield (
                f"there is text before a BEGIN line ({kind}), so Go does not find that block "
                "(begin the line with -----BEGIN)"
            )
        if kind == "TRUSTED CERTIFICATE":
            yield (
                "it contains a TRUSTED CERTIFICATE, a format of OpenSSL that Go cannot read "
                "(convert it: openssl x509 -in FILE -out FILE.pem)"
            )
