"""Front doors in the main configuration of their proxy: one step writes it for all of them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from wizard.errors import InputError
from wizard.model import ContentKind, FrontDoor, PlannedStep, StepKind
from wizard.planner import manual_commands
from wizard.planner.front_doors.door_facts import KnownDoor
from wizard.planner.front_doors.door_site import Site


def with_shared_files(sites: Sequence[Site]) -> tuple[Site, ...]:
    """The same sites; for proxies with one shared file, the first site has the step that writes it.

    Raises:
        InputError: two of them cannot share one port.
    """
    found = []
    written: set[tuple[str, str]] = set()
    for site in sites:
        known, shared = site.known, site.known.proxy.shared
        place = known.door.host, known.proxy.name
        if shared is None or place in written:
            found.append(site)
            continue
        written.add(place)
        same = [each for each in sites if (each.known.door.host, each.known.proxy.name) == place]
        _refuse_mixed_ports(same)
        try:
            text = shared.merged(known.main, [each.rendered for each in same])
        except InputError as error:
            raise InputError(error.what, where=f"{known.door.host}:{known.site}", todo=error.todo) from error
        found.append(replace(site, config=_shared_config(known, text)))
    return tuple(found)


def _refuse_mixed_ports(sites: Sequence[Site]) -> None:
    for site in sites:
        for other in (each.known.door for each in sites if each.known.door.port == site.known.door.port):
            door = site.known.door
            if _accepts_without_certificate(door) != _accepts_without_certificate(other):
                alone, asking = (other, door) if _accepts_without_certificate(door) else (door, other)
                raise InputError(
                    f"{alone.name} needs client certificates and {asking.name} does not, and {site.known.proxy.title} asks "
                    "all clients of a port alike",
                    where=alone.key,
                    todo=f"Give {alone.name} another port, e.g. port: 8443",
                )


def _accepts_without_certificate(door: FrontDoor) -> bool:
    """Whether people without a client certificate may pass, with a password or by signing in."""
    return bool(door.users or door.sign_in)


def _shared_config(known: KnownDoor, text: str) -> PlannedStep | None:
    before = known.host.files.get(known.site)
    content = text.encode("utf-8", "surrogateescape")
    if before is None or before.content == content:
        return None
    # Only its owner and group may read the users' hashes.
    after = replace(before, content=content, mode=before.mode & ~0o007)
    added = (
        "A few lines in a frontend, and one block at the end" if known.door.site else "One block at its end"
    )
    changed = known.write(
        known.site,
        after,
        ContentKind.PROXY_CONFIG,
        why=f"{added}; every other byte stays as it is. Others cannot read it, since it holds hashes.",
        by_hand=(
            *manual_commands.patch(known.site, before, after),
            *(manual_commands.rights(known.site, after) if after.mode != before.mode else ()),
        ),
    )
    return known.step(
        StepKind.FRONT_DOOR,
        title=f"Write the configuration of {known.title}",
        why=(
            f"{known.proxy.title} includes no other files: a block of its own, between two comments, stands below its other "
            f"sections. {known.proxy.title} itself checks the whole before it is put in place, and reads it when it is "
            "reloaded."
        ),
        changes=(changed,),
    )
