"""The files of a reverse proxy's configuration, and the includes among them."""

from __future__ import annotations

import fnmatch
import posixpath
import re
from collections.abc import Mapping
from typing import Final

Files = Mapping[str, bytes]
"""The contents of the files by absolute path."""

CERTIFICATES: Final = (
    *("ssl_verify_client", "ssl_client_certificate", "ssl_trusted_certificate"),
    *("sslverifyclient", "sslcacertificatefile", "sslcacertificatepath"),
)
"""The directives by which a site requires client certificates, or names their CA; in lower case."""
OURS: Final = b"# Written by Firescreen"
"""The beginning of a file that Firescreen wrote."""
DEEPEST: Final = 12
"""The limit for nested includes; deeper ones are not followed."""
_HOST_PORT: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::\d{1,5})?")


def included_paths(pattern: str, folder: str, files: Files) -> tuple[str, ...]:
    """The files that an include names, sorted: a path or a pattern, relative to `folder`; for a folder, all its files."""
    path = posixpath.normpath(posixpath.join(folder, pattern))
    if path in files:
        return (path,)
    below = [each for each in files if fnmatch.fnmatchcase(each, path) and each.count("/") == path.count("/")]
    return tuple(sorted(below or [each for each in files if posixpath.dirname(each) == path]))


def text(content: bytes) -> str:
    """The text of a configuration file in whatever encoding."""
    return content.decode("utf-8", "replace")


def upstream(place: str, scheme: str) -> str:
    """host:port of an upstream; '' for a Unix socket and for an address that only the proxy can compute."""
    bare = place.partition("/")[0].strip("\"'")
    if not _HOST_PORT.fullmatch(bare):
        return ""
    if re.search(r":\d+$", bare):
        return bare
    return f"{bare}:{443 if scheme == 'https' else 80}"
