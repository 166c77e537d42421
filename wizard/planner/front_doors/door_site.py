"""A front door's own files: certificate and key, users, client CA, and the configuration that names them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from wizard.config_files import web_config
from wizard.front_doors import Door, Opening
from wizard.front_doors.settings import BLOCKED, HEADERS
from wizard.model import Change, ContentKind, Facts, FileState, PlannedStep, Stack, StepKind, WriteFile
from wizard.planner import credentials, manual_commands, paths, server_certificates
from wizard.planner.certificates import Pair
from wizard.planner.front_doors import door_certificate, door_client, door_sign_in, door_users, own_site
from wizard.planner.front_doors.door_facts import HEAD, KnownDoor


@dataclass(frozen=True, slots=True)
class Site:
    """The files that a front door needs on its host, apart from its components."""

    known: KnownDoor
    pair: Pair
    material: PlannedStep | None
    """Certificate, key, users, client CA: nothing reads them before `config` is in place."""
    config: PlannedStep | None
    rendered: Door
    """The values from which its configuration is rendered."""
    restarts: bool = False
    """Whether the proxy must be restarted; a reload is not enough."""


def plan_site(
    stack: Stack,
    facts: Facts,
    factory: credentials.CredentialFactory,
    known: KnownDoor,
    *,
    first: bool,
    first_to_sign_in: bool,
    trusts: Mapping[str, bytes],
) -> Site:
    """Plans the files of one front door.

    Args:
        first: whether it is its proxy's first front door: that one gets the steps which all of them need.
        first_to_sign_in: whether it is its proxy's first front door with sign-in at an OpenID provider.
        trusts: PEM that verifies each component's certificate, by the component's key.

    Raises:
        CertificateError, InputError: the person's own certificate is not good for it.
    """
    server = known.server
    used = web_config.WebConfig(cert_file=known.shown[0], key_file=known.shown[1])
    if known.door.site:
        pair = own_site.pair(known)
    else:
        pair = server_certificates.server_pair(stack, facts, factory, server, used)
    hashes, client = door_users.hashes(factory, known), known.proxy.sign_in
    loaded = tuple(_module_changes(known, client.needed)) if client is not None and first_to_sign_in else ()
    changes = [
        *(_module_changes(known, known.proxy.needed) if first else ()),
        *loaded,
        *pair.changes,
        *door_certificate.bundle(known, pair),
        *door_users.password_file(facts, factory, known, hashes),
        *_client_ca(facts, factory, known),
        *door_client.changes(stack, facts, factory, known, trusts),
        *door_sign_in.changes(facts, factory, known),
        *door_certificate.hook(known, pair),
    ]
    material = None
    if changes:
        material = known.step(
            StepKind.SERVER_CERTIFICATE,
            title=f"Create {'users' if known.door.users else 'the login'} for {known.title}"
            if known.door.site
            else f"Create certificate and users for {known.title}",
            why="The front door has its own users; the passwords are bcrypt hashes."
            if known.door.site
            else (
                "The front door has a certificate for its name, and its own users: what is behind it has neither. Only "
                "root can read the key; the passwords are bcrypt hashes."
            ),
            changes=(
                *server.system_folder(known.proxy.home, why="All files of front doors are in one folder."),
                *changes,
            ),
        )
    door = _door(known, pair, hashes)
    config = None if known.proxy.shared is not None else _config(known, door, first=first)
    return Site(known, pair, material, config, door, restarts=bool(loaded))


def _module_changes(known: KnownDoor, files: Iterable[tuple[str, str]]) -> Iterator[Change]:
    """Plans the proxy modules that a front door needs and that the proxy's package leaves disabled."""
    for path, source in files:
        original = known.host.files.get(source)
        if known.host.files.get(path) is None and original is not None:
            after = FileState(original.content, 0o644, "root", "root")
            yield known.write(
                path,
                after,
                ContentKind.SERVICE_FLAGS,
                why=f"{known.proxy.title} loads this module from then on.",
                by_hand=manual_commands.copy_there(source, path, after),
            )


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


def _config(known: KnownDoor, door: Door, *, first: bool) -> PlannedStep | None:
    if known.door.site:
        return _in_own_site(known, door)
    text = known.proxy.render(door).encode()
    assert text.startswith(HEAD)
    before, changes = known.host.files.get(known.site), []
    if before is None or before.content != text:
        closed = known.proxy.hashes_in_site
        after = FileState(text, 0o640 if closed else 0o644, "root", known.proxy.group if closed else "root")
        changes.append(
            known.write(
                known.site,
                after,
                ContentKind.PROXY_CONFIG,
                why="It names certificate, users, and each path with what is behind it.",
                by_hand=manual_commands.write_text(known.site, after),
            )
        )
    if first:
        changes += _import(known)
    if not changes:
        return None
    return known.step(
        StepKind.FRONT_DOOR,
        title=f"Write the configuration of {known.title}",
        why=(
            f"A file of its own beside the other sites of {known.proxy.title}, which stay as they are. "
            f"{known.proxy.title} itself checks it before it is put in place, and reads it when it is reloaded."
        ),
        changes=changes,
    )


def _in_own_site(known: KnownDoor, door: Door) -> PlannedStep | None:
    assert known.proxy.render_inside is not None  # the reader of the stack file has checked this
    text = known.proxy.render_inside(door).encode()
    assert text.startswith(HEAD)
    outside = known.proxy.render_outside(door).encode() if known.proxy.render_outside is not None else b""
    changes: tuple[Change, ...] = tuple(own_site.changes(known, text, outside))
    if not changes:
        return None
    if known.proxy.hashes_in_site:  # there is no file of users, whose step would make the folder
        folder = known.server.system_folder(
            known.proxy.home, why="All files of front doors are in one folder."
        )
        changes = (*folder, *changes)
    return known.step(
        StepKind.FRONT_DOOR,
        title=f"Put the routes into the site {known.title}",
        why=(
            f"Its configuration {known.site} includes a file of Firescreen's with one more line. {known.proxy.title} itself "
            "checks both before the line is put in place, and reads them when it is reloaded."
            + (
                " From then on it asks every client for a certificate, and serves those without as before."
                * bool(door.client_ca)
            )
        ),
        changes=changes,
    )


def _import(known: KnownDoor) -> Iterator[WriteFile]:
    """Plans the line by which the main configuration includes front doors, if it is missing."""
    line, path = known.proxy.import_line, known.service.config_file
    before = known.host.files.get(path)
    if not line or before is None or line in known.main.splitlines():
        return
    gap = b"" if not before.content or before.content.endswith(b"\n") else b"\n"
    after = replace(before, content=before.content + gap + f"\n{line}\n".encode())
    yield known.write(
        path,
        after,
        ContentKind.PROXY_CONFIG,
        why="One line at its end; every other byte stays as it is.",
        by_hand=manual_commands.patch(path, before, after),
    )


def _door(known: KnownDoor, pair: Pair, hashes: Sequence[tuple[str, str]]) -> Door:
    door = known.door
    return Door(
        name=door.name,
        port=door.port,
        ipv6=known.ipv6,
        version=known.service.version,
        certificate=pair.certificate_file,
        key=pair.key_file,
        bundle=known.bundle,
        openings=_sorted_openings(known),
        passwords=known.passwords if door.users else "",
        hashes=tuple(hashes),
        client_ca=known.client_ca if door.client_cert else "",
        max_body_size=door.max_body_size,
        hsts_days=door.hsts_days,
        headers=HEADERS if door.headers else (),
        timeout=door.timeout,
        sign_in=door.sign_in,
        callback=door.callback,
        signed_out=door.signed_out,
        secrets=door_sign_in.secrets_file(known),
        provider_ca=door_sign_in.provider_ca(known)
        if door.sign_in is not None and door.sign_in.ca_file
        else "",
        rate_limit=door.rate_limit,
        cors=door.cors,
        inside=bool(door.site),
    )


def _sorted_openings(known: KnownDoor) -> tuple[Opening, ...]:
    """The routes, the longest path first, since most proxies take the first match."""
    closed = [path for each in known.door.block for path in BLOCKED[each]]
    found = [
        Opening(
            prefix=each.route.prefix,
            backend=each.address,
            tls=door_client.settings(known, each),
            blocked=tuple(f"{each.route.prefix}{path}" for path in closed),
        )
        for each in known.backends
    ]
    if known.grafana is not None:
        route = known.grafana.route
        found.append(
            Opening(
                prefix=route.prefix,
                backend=known.grafana.address,
                own_login=route.has_own_login,
                websocket=True,
            )
        )
    return tuple(sorted(found, key=lambda each: -each.prefix.count("/")))
