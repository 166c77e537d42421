"""The files of a reverse proxy's configuration, as they were read, and the includes among them."""

from __future__ import annotations

import fnmatch
import posixpath
import re
from collections.abc import Mapping
from typing import Final

Files = Mapping[str, bytes]
"""What was read, by absolute path."""

CERTIFICATES: Final = (
    *("ssl_verify_client", "ssl_client_certificate", "ssl_trusted_certificate"),
    *("sslverifyclient", "sslcacertificatefile", "sslcacertificatepath"),
)
"""The directives by which a site asks clients for certificates, or says whose it accepts; in small letters."""
OURS: Final = b"# Written by Firescreen"
"""How a file of ours begins."""
DEEPEST: Final = 12
"""Includes within includes; deeper ones are not followed."""
_HOST_PORT: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::\d{1,5})?")


def included_paths(pattern: str, folder: str, files: Files) -> tuple[str, ...]:
    """The files that an include names, sorted: a path or a pattern, relative to `folder`; a folder names all in it."""
    path = posixpath.normpath(posixpath.join(folder, pattern))
    if path in files:
        return (path,)
    below = [each for each in files if fnmatch.fnmatchcase(each, path) and each.count("/") == path.count("/")]
    return tuple(sorted(below or [each for each in files if posixpath.dirname(each) == path]))


def text(content: bytes) -> str:
    """The text of a configuration file, whatever its encoding."""
    return content.decode("utf-8", "replace")


def upstream(place: str, scheme: str) -> str:
    """host:port of an upstream; '' for a Unix socket and for what only the proxy can work out."""
    bare = place.partition("/")[0].strip("\"'")
    if not _HOST_PORT.fullmatch(bare):
        return ""
    if re.search(r":\d+$", bare):
        return bare
    return f"{bare}:{443 if scheme == 'https' else 80}"
