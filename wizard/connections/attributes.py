"""Access control lists (ACLs) and other extended attributes of files: what a rename would lose, and what forbids it.

`FileState.attributes` holds them as names and hexadecimal values, the same for every kind of connection: the ACL as the
kernel stores it (`system.posix_acl_access`), everything in `user.` and `trusted.`, and the SELinux label. Where SELinux
is active, restorecon sets the label that the policy demands afterwards.
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
"""Tags of an entry without and with a user or group number, as in the kernel's posix_acl_xattr_header."""
_NONE = 0xFFFFFFFF
_VERSION = 2
_GET_FLAGS = 0x80086601
"""FS_IOC_GETFLAGS of 64-bit Linux."""
_IMMUTABLE, _APPEND = 0x10, 0x20
_LINE = re.compile(r"(user|group|mask|other):(\d*):([r-])([w-])([x-])")


def acl_value(text: str) -> str:
    """Converts the output of `getfacl -cpn` to the value of the ACL attribute."""
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
    """Converts the value of the ACL attribute to the argument of `setfacl --set`."""
    data = bytes.fromhex(value)[4:]
    names = {tag: kind for kind, tags in _TAGS.items() for tag in tags}
    found = []
    for tag, bits, number in struct.iter_unpack("<HHI", data):
        rights = "".join(sign if bits & bit else "-" for bit, sign in ((4, "r"), (2, "w"), (1, "x")))
        found.append(f"{names[tag]}:{'' if number == _NONE else number}:{rights}")
    return ",".join(found)


def read(number: int) -> Attributes:
    """Reads the attributes of an open file on this machine, given its descriptor."""
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
    """Sets attributes of an open file on this machine.

    Raises:
        OSError: the file system cannot keep them.
    """
    for name, value in attributes:
        try:
            os.setxattr(number, name, bytes.fromhex(value))
        except PermissionError:
            if not name.startswith("security."):
                raise  # labels are set by the SELinux policy


def drop_inherited(number: int) -> None:
    """Removes what a new file or folder inherited from its folder's default ACL, which could let others read a key."""
    if not hasattr(os, "removexattr"):
        return
    for name in (ACL, "system.posix_acl_default"):
        with suppress(OSError):  # there is none, or the file system has none
            os.removexattr(number, name)


def refuse_immutable(number: int, path: str) -> None:
    """Raises an error if an open file or folder on this machine is immutable.

    Raises:
        HostError: it is immutable, or may only grow.
    """
    flags = array.array("l", [0])
    try:
        fcntl.ioctl(number, _GET_FLAGS, flags)
    except OSError:  # no such flags on this file system, a descriptor opened with O_PATH, or another system
        return
    if flags[0] & (_IMMUTABLE | _APPEND):
        raise immutable_error(path)


def immutable_error(path: str) -> HostError:
    """The error for a file that is immutable or append-only."""
    return HostError(
        "it cannot be replaced: it is immutable (chattr +i or +a)",
        where=path,
        todo=f"Look who set that and why (lsattr -d {path}), then run: chattr -ia {path}",
    )
