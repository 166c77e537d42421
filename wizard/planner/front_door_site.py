"""A front door's own files: certificate and key, users, client CA, and the configuration that names them. Pure."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

from wizard import passwords
from wizard.config_files import web_config
from wizard.front_doors import Door, Opening
from wizard.front_doors.settings import BLOCKED, HEADERS
from wizard.model import Change, ContentKind, Facts, FileState, PlannedStep, Stack, StepKind, UserSpec
from wizard.planner import credentials, manual_commands, paths, server_certificates
from wizard.planner.certificates import Pair
from wizard.planner.front_door_facts import HEAD, KnownDoor
from wizard.redact import Secret

LARGEST_COST = 8
"""A proxy computes bcrypt at every request, one page has a dozen, and nothing is served by that process meanwhile."""


@dataclass(frozen=True, slots=True)
class Site:
    """What a front door needs on its host besides its backends."""

    known: KnownDoor
    pair: Pair
    material: PlannedStep | None
    """Certificate, key, users, client CA: nothing reads them before `config` is taken."""
    config: PlannedStep | None


def plan_site(stack: Stack, facts: Facts, factory: credentials.CredentialFactory, known: KnownDoor) -> Site:
    """The files of one front door.

    Raises:
        CertificateError, InputError: the person's own certificate would not do.
    """
    server = known.server
    used = web_config.WebConfig(cert_file=known.shown[0], key_file=known.shown[1])
    pair = server_certificates.server_pair(stack, facts, factory, server, used)
    changes = [*pair.changes, *_passwords(facts, factory, known), *_client_ca(facts, factory, known)]
    material = None
    if changes:
        material = known.step(
            StepKind.SERVER_CERTIFICATE,
            title=f"Create certificate and users for {known.title}",
            why=(
                "The front door has a certificate for its name, and its own users: what is behind it has neither. Only "
                "root can read the key; the passwords are bcrypt hashes."
            ),
            changes=(
                *server.system_folder(known.proxy.home, why="All files of front doors are in one folder."),
                *changes,
            ),
        )
    return Site(known, pair, material, _config(known, pair))


def _passwords(facts: Facts, factory: credentials.CredentialFactory, known: KnownDoor) -> tuple[Change, ...]:
    """The users with their hashes; a hash that fits its password stays."""
    if not known.door.users:
        return ()
    before = known.host.files.get(known.passwords)
    there = _read(before.content) if before is not None else {}
    given = {each.user.name: each for each in factory.credentials()}
    lines = []
    for name in known.door.users:
        user, password = given[name].user, given[name].password
        kept = there.get(name, "")
        fits = bool(kept) and passwords.matches(password, kept)
        hashed = kept if fits else factory.once(f"door-hash:{name}", functools.partial(_hash, user, password))
        lines.append(f"{name}:{hashed}\n")
    after = FileState("".join(lines).encode(), 0o640, "root", known.proxy.password_group(known.main))
    if before is not None and (before.content, before.rights) == (after.content, after.rights):
        return ()
    by_hand = manual_commands.htpasswd(
        known.passwords,
        after,
        tuple(
            (name, _cost(given[name].user), paths.user_files(facts, given[name].user)[0])
            for name in known.door.users
        ),
    )
    written = known.write(
        known.passwords,
        after,
        ContentKind.PASSWORD_HASHES,
        why=f"{known.proxy.title} compares passwords with these bcrypt hashes.",
        by_hand=by_hand,
    )
    return (written,)


def _cost(user: UserSpec) -> int:
    return min(user.cost, LARGEST_COST)


def _hash(user: UserSpec, password: Secret) -> str:
    return passwords.hash_password(password, _cost(user))


def _read(content: bytes) -> Mapping[str, str]:
    pairs = (line.partition(":") for line in content.decode("utf-8", "replace").splitlines())
    return {name: hashed for name, sign, hashed in pairs if sign}


def _client_ca(facts: Facts, factory: credentials.CredentialFactory, known: KnownDoor) -> tuple[Change, ...]:
    if not known.door.client_cert:
        return ()
    before, ca = known.host.files.get(known.client_ca), factory.authority().certificate
    if before is not None and before.content == ca:
        return ()
    after = FileState(ca, 0o644, "root", "root")
    return (
        known.write(
            known.client_ca,
            after,
            ContentKind.CERTIFICATE,
            why=f"{known.proxy.title} verifies client certificates against your CA.",
            by_hand=manual_commands.copy(paths.ca_pair(facts)[0], known.client_ca, after),
        ),
    )


def _config(known: KnownDoor, pair: Pair) -> PlannedStep | None:
    text = known.proxy.render(_door(known, pair)).encode()
    assert text.startswith(HEAD)
    before = known.host.files.get(known.site)
    if before is not None and before.content == text:
        return None
    after = FileState(text, 0o644, "root", "root")
    return known.step(
        StepKind.FRONT_DOOR,
        title=f"Write the configuration of {known.title}",
        why=(
            f"A file of its own beside the other sites of {known.proxy.title}, which stay as they are. "
            f"{known.proxy.title} itself checks it before it is put in place, and reads it when it is reloaded."
        ),
        changes=(
            known.write(
                known.site,
                after,
                ContentKind.PROXY_CONFIG,
                why="It names certificate, users, and each path with what is behind it.",
                by_hand=manual_commands.text(known.site, after),
            ),
        ),
    )


def _door(known: KnownDoor, pair: Pair) -> Door:
    door = known.door
    closed = [path for each in door.block for path in BLOCKED[each]]
    return Door(
        name=door.name,
        port=door.port,
        ipv6=known.ipv6,
        version=known.service.version,
        certificate=pair.certificate_file,
        key=pair.key_file,
        openings=tuple(
            Opening(
                prefix=each.route.prefix,
                backend=each.address,
                blocked=tuple(f"{each.route.prefix}{path}" for path in closed),
            )
            for each in known.backends
        ),
        passwords=known.passwords if door.users else "",
        client_ca=known.client_ca if door.client_cert else "",
        max_body_size=door.max_body_size,
        hsts_days=door.hsts_days,
        headers=HEADERS if door.headers else (),
        timeout=door.timeout,
    )
