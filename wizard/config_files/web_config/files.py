"""Checks the certificate, the key and the client CA of a web configuration, in files or inline."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from wizard.config_files.web_config import pem
from wizard.config_files.web_config.pem import Read
from wizard.config_files.yaml_edit import fields
from wizard.config_files.yaml_edit.document import Document


def check(
    document: Document, tls: fields.Fields, read: Read | None, *, folder: str = "", ca: str = "client_ca"
) -> Iterator[str]:
    """Yields one sentence per error, as in `validation.check`.

    Args:
        tls: the section with their names.
        read: reads a file; None checks only inline contents.
        folder: the folder at which relative paths begin; '' skips them.
        ca: the setting for the CA, without `_file`: client_ca at a server, ca at a client.
    """
    contents: dict[str, bytes] = {}
    places: dict[str, str] = {}
    for kind in ("cert", "key", ca):
        key = f"{kind}_file"
        path = fields.value(tls, key)
        inline = fields.value(tls, kind)
        if inline and not path:
            # The content is never repeated in a message: it may be a key.
            contents[kind], places[kind] = inline.encode(), f"{_line(document, tls, kind)}: {kind}"
        elif path and read is not None and (folder or path.startswith("/")):
            places[kind] = f"{_line(document, tls, key)}: {key} {path}"
            content = read(posixpath.join(folder, path))
            if content is None:
                yield f"{places[kind]} does not exist (copy it there)"
            else:
                contents[kind] = content
    wrong = pem.bundle(contents[ca]) if ca in contents else ""
    if wrong:
        effect = "every client would be rejected" if ca == "client_ca" else "no server would be trusted"
        yield f"{places[ca]} {wrong}, so {effect} (copy the CA certificate there, in PEM form)"
    if "cert" in contents and "key" in contents:
        wrongs = pem.pair(contents["cert"], contents["key"])
        for kind, wrong in zip(("cert", "key"), wrongs, strict=True):
            if wrong:
                yield f"{places[kind]} {wrong} (copy certificate and key again, unencrypted PEM)"


def _line(document: Document, tls: fields.Fields, key: str) -> str:
    return f"line {tls[key][-1].start_mark.line + document.first_line}"
