"""Access control lists and other extended attributes of files: what a rename would drop, and what forbids it.

`FileState.attributes` holds them as names and hexadecimal values, whatever way a host is reached: the list as the
kernel keeps it (`system.posix_acl_access`), all of `user.` and `trusted.`, and the label of SELinux. Where SELinux is
at work, restorecon sets the label that the policy has, after it.
"""

from __future__ import annotations

import array
import errno
import fcntl
import os
import re
import struct
from contextlib import suppress

from wizard.errors import HostError

ACL = "system.posix_acl_access"
_KEPT = ("user.", "trusted.", "security.selinux")
Attributes = tuple[tuple[str, str], ...]

_TAGS = {"user": (0x01, 0x02), "group": (0x04, 0x08), "mask": (0x10, 0x10), "other": (0x20, 0x20)}
"""Tag of an entry without and with a number, as in the kernel's posix_acl_xattr_header."""
_NONE = 0xFFFFFFFF
_VERSION = 2
_GET_FLAGS = 0x80086601
"""FS_IOC_GETFLAGS of Linux on 64 bits."""
_IMMUTABLE, _APPEND = 0x10, 0x20
_LINE = re.compile(r"(user|group|mask|other):(\d*):([r-])([w-])([x-])")


def acl_value(text: str) -> str:
    """The value of the attribute, from what `getfacl -cpn` prints."""
    entries = []
    for line in text.splitlines():
        if (found := _LINE.match(line)) is None:
            continue
        kind, number, *rights = found.groups()
        bits = sum(bit for bit, sign in zip((4, 2, 1), rights, strict=True) if sign != "-")
        tag = _TAGS[kind][bool(number)]
        entries.append((tag, bits, int(number) if number else _NONE))
    packed = b"".join(struct.pack("<HHI", *entry) for entry in sorted(entries, key=lambda e: (e[0], e[2])))
    return (struct.pack("<I", _VERSION) + packed).hex()


def acl_text(value: str) -> str:
    """What `setfacl --set` is given for the value of the attribute."""
    data = bytes.fromhex(value)[4:]
    names = {tag: kind for kind, tags in _TAGS.items() for tag in tags}
    found = []
    for tag, bits, number in struct.iter_unpack("<HHI", data):
        rights = "".join(sign if bits & bit else "-" for bit, sign in ((4, "r"), (2, "w"), (1, "x")))
        found.append(f"{names[tag]}:{'' if number == _NONE else number}:{rights}")
    return ",".join(found)


def read(number: int) -> Attributes:
    """Those of an open file of this machine."""
    if not hasattr(os, "listxattr"):
        return ()
    try:
        names = [name for name in sorted(os.listxattr(number)) if name == ACL or name.startswith(_KEPT)]
        return tuple((name, os.getxattr(number, name).hex()) for name in names)
    except OSError as problem:
        if problem.errno not in (errno.ENOTSUP, errno.EPERM, errno.ENODATA):
            raise
        return ()


def write(number: int, attributes: Attributes) -> None:
    """Gives them to an open file of this machine.

    Raises:
        OSError: the file system cannot keep them.
    """
    for name, value in attributes:
        try:
            os.setxattr(number, name, bytes.fromhex(value))
        except PermissionError:
            if not name.startswith("security."):
                raise  # a label is the policy's to give


def drop_inherited(number: int) -> None:
    """Takes from a new file or folder what the default list of its folder gave it: nobody is to read a key by that."""
    if not hasattr(os, "removexattr"):
        return
    for name in (ACL, "system.posix_acl_default"):
        with suppress(OSError):  # none, or a file system without
            os.removexattr(number, name)


def refuse_immutable(number: int, path: str) -> None:
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
        raise immutable_error(path)


def immutable_error(path: str) -> HostError:
    """The error for such a file."""
    return HostError(
        "it cannot be replaced: it is immutable (chattr +i or +a)",
        where=path,
        todo=f"Look who set that and why (lsattr -d {path}), then run: chattr -ia {path}",
    )
