"""Who this program runs as, and what users and groups are called."""

from __future__ import annotations

import grp
import os
import pwd


def account() -> tuple[str, str]:
    """Names (or, where there are none, numbers) of the user and group that this program runs as."""
    return user_name(os.geteuid()), group_name(os.getegid())


def user_name(uid: int) -> str:
    """A user's name, or the number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def group_name(gid: int) -> str:
    """A group's name, or the number where it has none."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
