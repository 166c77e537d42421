"""Who this program runs as."""

from __future__ import annotations

import grp
import os
import pwd


def account() -> tuple[str, str]:
    """Names (or, where there are none, numbers) of the user and group that this program runs as."""
    try:
        user = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        user = str(os.geteuid())
    try:
        group = grp.getgrgid(os.getegid()).gr_name
    except KeyError:
        group = str(os.getegid())
    return user, group
