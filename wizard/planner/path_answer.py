"""A file's absolute path as an answer to a question, with an error for anything else. Pure."""

from __future__ import annotations

import posixpath
from typing import Final

from wizard.errors import InputError

_NAME: Final = 255
_PATH: Final = 4095
"""The longest file name and path that Linux accepts, in bytes: NAME_MAX and PATH_MAX of limits.h."""


def full_path(text: str) -> str:
    """The typed path, without blanks around it; '' for an empty answer.

    Raises:
        InputError: it is not an absolute path of a file.
    """
    path = text.strip()
    if not path:
        return ""
    if not path.isprintable():
        raise InputError("the path has a line break or another control character", todo="Type it without")
    if not posixpath.isabs(path):
        raise InputError("a full path is needed, from the root on", todo="Type a path that begins with /")
    if len(path.encode()) > _PATH or any(len(name.encode()) > _NAME for name in path.split("/")):
        raise InputError(
            f"the path is too long: a name has at most {_NAME} bytes, a path {_PATH}",
            todo="Type the path of a file that exists",
        )
    if path.endswith("/"):
        raise InputError("this is the path of a folder", todo="Type the path of a file in it")
    return path
