"""Files and folders that `chattr +i` or `+a` holds as they are: nobody can replace one, not even root."""

from __future__ import annotations

import array
import fcntl

from wizard.errors import HostError

_GET_FLAGS = 0x80086601
"""FS_IOC_GETFLAGS of Linux on 64 bits."""
_IMMUTABLE, _APPEND = 0x10, 0x20


def refuse(number: int, path: str) -> None:
    """Looks at an open file or folder of this machine.

    Raises:
        HostError: it is immutable, or may only grow.
    """
    flags = array.array("l", [0])
    try:
        fcntl.ioctl(number, _GET_FLAGS, flags)
    except (
        OSError
    ):  # a file system without such flags, a descriptor that only stands for a place, another system
        return
    if flags[0] & (_IMMUTABLE | _APPEND):
        raise error(path)


def error(path: str) -> HostError:
    """The error for such a file."""
    return HostError(
        "it cannot be replaced: it is immutable (chattr +i or +a)",
        where=path,
        todo=f"Look who set that and why (lsattr -d {path}), then run: chattr -ia {path}",
    )
