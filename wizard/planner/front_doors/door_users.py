"""The users of a front door with their password hashes, in an htpasswd file or in the proxy's configuration. Pure."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence

from wizard import passwords
from wizard.model import Change, ContentKind, Facts, FileState, UserSpec
from wizard.planner import credentials, manual_commands, paths
from wizard.planner.front_doors.door_facts import KnownDoor
from wizard.redact import Secret

_USER = re.compile(r"^\s*(?:user )?([^\s:]+)(?:[: ]| password )(\$2[abxy]\$\S+)$", re.MULTILINE)
LARGEST_COST = 8
"""A proxy computes bcrypt at every request, a page makes a dozen, and the process serves nothing else meanwhile."""


def hashes(factory: credentials.CredentialFactory, known: KnownDoor) -> tuple[tuple[str, str], ...]:
    """The users with their hashes; a hash that fits its password is kept."""
    if not known.door.users:
        return ()
    state = known.host.files.get(known.written if known.proxy.hashes_in_site else known.passwords)
    present = _read(state.content) if state is not None else {}
    given = {each.user.name: each for each in factory.credentials()}
    found = []
    for name in known.door.users:
        user, password = given[name].user, given[name].password
        kept = present.get(name, "")
        fits = bool(kept) and passwords.matches(password, kept)
        make = functools.partial(_hash, user, password)
        found.append((name, kept if fits else factory.once(f"door-hash:{name}", make)))
    return tuple(found)


def password_file(
    facts: Facts,
    factory: credentials.CredentialFactory,
    known: KnownDoor,
    hashed: Sequence[tuple[str, str]],
) -> tuple[Change, ...]:
    """Plans the file with the users, for a proxy that reads them from one."""
    if not hashed or known.proxy.hashes_in_site:
        return ()
    before = known.host.files.get(known.passwords)
    content = "".join(f"{name}:{each}\n" for name, each in hashed).encode()
    after = FileState(content, 0o640, "root", known.proxy.password_group(known.main))
    if before is not None and (before.content, before.rights) == (after.content, after.rights):
        return ()
    users = {each.user.name: each.user for each in factory.credentials()}
    typed = tuple((name, _cost(users[name]), paths.user_files(facts, users[name])[0]) for name, _ in hashed)
    written = known.write(
        known.passwords,
        after,
        ContentKind.PASSWORD_HASHES,
        why=f"{known.proxy.title} compares passwords with these bcrypt hashes.",
        by_hand=manual_commands.htpasswd(known.passwords, after, typed),
    )
    return (written,)


def _cost(user: UserSpec) -> int:
    return min(user.cost, LARGEST_COST)


def _hash(user: UserSpec, password: Secret) -> str:
    return passwords.hash_password(password, _cost(user))


def _read(content: bytes) -> Mapping[str, str]:
    """Parses users and hashes from a file of htpasswd (`user:hash`) or Caddy (`user hash`), one a line."""
    return dict(_USER.findall(content.decode("utf-8", "replace")))
