"""What is wrong with the files that a web configuration names: the certificate, the key, the client CA."""

from __future__ import annotations

from collections.abc import Iterator

from wizard.configs import _fields, _pem
from wizard.configs._pem import Read
from wizard.configs._yaml import Document


def check(document: Document, tls: _fields.Fields, read: Read) -> Iterator[str]:
    """One sentence each, as in `_web_check.check`; paths that are not absolute are left out."""
    contents: dict[str, bytes] = {}
    for key in ("cert_file", "key_file", "client_ca_file"):
        path = _fields.value(tls, key)
        if not path.startswith("/"):
            continue
        content = read(path)
        if content is None:
            yield f"{_place(document, tls, key)} does not exist (copy it there)"
        else:
            contents[key] = content
    if "client_ca_file" in contents:
        wrong = _pem.bundle(contents["client_ca_file"])
        if wrong:
            yield (
                f"{_place(document, tls, 'client_ca_file')} {wrong}, so no client would be let in "
                "(copy the CA certificate there, in PEM form)"
            )
    if "cert_file" in contents and "key_file" in contents:
        wrongs = _pem.pair(contents["cert_file"], contents["key_file"])
        for key, wrong in zip(("cert_file", "key_file"), wrongs, strict=True):
            if wrong:
                yield f"{_place(document, tls, key)} {wrong} (copy certificate and key again, unencrypted PEM)"


def _place(document: Document, tls: _fields.Fields, key: str) -> str:
    line = tls[key][-1].start_mark.line + document.first_line
    return f"line {line}: {key} {_fields.value(tls, key)}"
