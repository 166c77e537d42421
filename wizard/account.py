"""The user and group of this process, and names of users and groups."""

from __future__ import annotations

import grp
import os
import pwd


def account() -> tuple[str, str]:
    """(user, group) of this process, by name or, without a name, by number."""
    return user_name(os.geteuid()), group_name(os.getegid())


def user_name(uid: int) -> str:
    """The name of a user, or the number if it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def group_name(gid: int) -> str:
    """The name of a group, or the number if it has none."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
