"""A front door in a person's own site: the site includes one file of ours and stays as it was otherwise. Pure."""

from __future__ import annotations

import fnmatch
import posixpath
from collections.abc import Iterator
from dataclasses import replace

from wizard.config_files import proxies
from wizard.errors import InputError
from wizard.model import SIGN_IN_PATH, Change, ContentKind, Facts, FileState
from wizard.planner import manual_commands
from wizard.planner.certificates import Pair, needed_file, public
from wizard.planner.front_doors.door_facts import HEAD, PUBLIC_CAS, KnownDoor


def pair(known: KnownDoor) -> Pair:
    """The CA that verifies the site's certificate; the certificate itself belongs to the site's owner."""
    path = known.door.ca_file or PUBLIC_CAS
    trust = public(needed_file(known.host.files, known.door.host, path, "CA certificate"))
    return Pair("", "", b"", trust, own_ca=False, trust_file=path)


def refuse_unfit(facts: Facts, known: KnownDoor) -> None:
    """Refuses a site to which the routes cannot be added.

    Raises:
        InputError: the site is missing, or the proxy's main configuration does not include it.
    """
    door, main = known.door, known.service.config_file
    place = f"{door.host}:{door.site}"
    if door.site.endswith(".json"):
        raise InputError(
            f"{known.proxy.title} runs with a JSON configuration, and only Caddyfiles are edited",
            where=f"{door.host}:{main}",
            todo="Leave `site` out, or run Caddy with a Caddyfile",
        )
    if known.host.files.get(door.site) is None:
        raise InputError(
            "the site of the front door is not there",
            where=place,
            todo=f"Correct `site`{_same_name_sites(facts, known)}",
        )
    if known.proxy.shared is not None:
        if door.site != main:
            raise InputError(
                f"{known.proxy.title} reads {main} and no other file",
                where=place,
                todo=f"Use site: {main}",
            )
        return
    patterns = proxies.includes(known.proxy.name, main, known.main.encode("utf-8", "surrogateescape"))
    if door.site != main and not any(_matches(door.site, pattern) for pattern in patterns):
        raise InputError(
            f"the main configuration of {known.proxy.title} does not include this file itself, so that it cannot be "
            "checked before it is put in place",
            where=place,
            todo=f"Name the file as {main} includes it{_same_name_sites(facts, known)}",
        )
    _refuse_certificates(facts, known)
    there = known.host.files.get(known.include)
    if there is not None and not there.content.startswith(HEAD):
        raise InputError(
            "a file that Firescreen did not write is in the place of the front door's configuration",
            where=f"{door.host}:{known.include}",
            todo="Rename it, then plan again",
        )


def _refuse_certificates(facts: Facts, known: KnownDoor) -> None:
    """Refuses a site with client certificates of its own: it can require and verify only one kind."""
    found = facts.proxies.get(known.door.host)
    for site in found.sites if found is not None and known.door.client_cert else ():
        is_ours = (site.program, site.name.lower(), site.port) == (
            known.proxy.name,
            known.door.name,
            known.door.port,
        )
        if is_ours and site.certificates:
            raise InputError(
                f"the site {known.door.name} asks for client certificates of its own, or says whose they may be",
                where=f"{known.door.host}:{site.certificates}",
                todo="Use machines: {basic_auth: [USER]}, or leave `site` out and use a name of its own",
            )


def _same_name_sites(facts: Facts, known: KnownDoor) -> str:
    """The existing sites of that name as the end of a sentence; '' for none."""
    found = facts.proxies.get(known.door.host)
    places = [
        f"{each.file}:{each.line}"
        for each in (found.sites if found is not None else ())
        if each.name.lower() == known.door.name and each.program == known.proxy.name
    ]
    return (
        f"; a site with the name {known.door.name} is in {', '.join(dict.fromkeys(places))}" if places else ""
    )


def _matches(path: str, pattern: str) -> bool:
    return (
        path == pattern
        or posixpath.dirname(path) == pattern
        or (fnmatch.fnmatchcase(path, pattern) and path.count("/") == pattern.count("/"))
    )


def changes(known: KnownDoor, text: bytes, outside: bytes) -> Iterator[Change]:
    """Yields our files first, and last the line in the site that includes one of them.

    Args:
        text: the content of the included file.
        outside: the content outside of the site.

    Raises:
        InputError: the site has no place for the line.
    """
    from wizard.config_files.proxies import own_site

    present = known.host.files.get(known.outside) if known.outside else None
    needs_outside = known.door.rate_limit or (present is not None and present.content.startswith(HEAD))
    if needs_outside and (present is None or present.content != outside):
        after = FileState(outside, 0o644, "root", "root")
        yield known.write(
            known.outside,
            after,
            ContentKind.PROXY_CONFIG,
            why="What counts requests is declared outside of sites; nothing else stands in it.",
            by_hand=manual_commands.write_text(known.outside, after),
        )
    before = known.host.files.get(known.include)
    if before is None or before.content != text:
        closed = known.proxy.hashes_in_site
        after = FileState(text, 0o640 if closed else 0o644, "root", known.proxy.group if closed else "root")
        yield known.write(
            known.include,
            after,
            ContentKind.PROXY_CONFIG,
            why="It names the users, and each path with what is behind it.",
            by_hand=manual_commands.write_text(known.include, after),
        )
    site = known.host.files[known.site]
    assert site is not None
    try:
        content = own_site.with_include(
            known.proxy.name,
            site.content,
            name=known.door.name,
            port=known.door.port,
            path=known.include,
            prefixes=tuple(route.prefix for route in known.door.routes),
            reserved=(SIGN_IN_PATH,) if known.door.sign_in is not None else (),
        )
    except InputError as error:
        raise InputError(error.what, where=f"{known.door.host}:{known.site}", todo=error.todo) from error
    if content != site.content:
        after = replace(site, content=content)
        yield known.write(
            known.site,
            after,
            ContentKind.PROXY_CONFIG,
            why="One line more in the site; every other byte stays as it is.",
            by_hand=manual_commands.patch(known.site, site, after),
        )
