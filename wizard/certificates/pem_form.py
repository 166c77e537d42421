"""Whether Go finds what a PEM file holds: it is stricter than OpenSSL about where a block begins.

Source: encoding/pem of Go. A block counts only where its BEGIN line begins a line; a byte order mark or a blank in
front of it makes Go pass it over in silence, and go on with the next block or with none at all.
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
    """Why Go does not read all of these bytes as PEM, `what (what to do)` each; empty if it does."""
    return tuple(_faults(content))


def repair(content: bytes) -> bytes:
    """The same file once what `faults` names is put right, as far as that is a matter of form: to show what it holds."""
    if content.startswith(_UTF16):
        content = content.decode("utf-16", "replace").encode()
    if content[:1] == b"\x30":
        return content
    text = content.removeprefix(_MARK)
    return b"".join(line.lstrip(b" \t") for line in text.splitlines(keepends=True))


def is_key(content: bytes) -> bool:
    """Whether this is the file of a private key, without any certificate."""
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
