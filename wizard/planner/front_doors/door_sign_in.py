"""Sign-in at a front door through an OpenID provider: files, refusals, probes and hints. Pure."""

from __future__ import annotations

import posixpath
import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import replace
from urllib.parse import urlencode

from wizard import certificates
from wizard.errors import CertificateError, InputError
from wizard.front_doors import Registration, SignInClient
from wizard.model import (
    WORKSPACE,
    Change,
    ContentKind,
    Facts,
    FileState,
    ManualCommand,
    PlannedStep,
    Service,
    SignIn,
    Stack,
    StepKind,
    WriteFile,
)
from wizard.planner import credentials, manual_commands
from wizard.planner.front_doors import door_facts
from wizard.planner.front_doors.door_facts import HEAD, KnownDoor
from wizard.planner.service_actions import run_alone
from wizard.redact import Secret

_LONGEST = 4096
_UNIT_FOLDERS = (
    "/etc/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)


def secrets_file(known: KnownDoor) -> str:
    """The path of the file with client ID and secrets; '' if it cannot be known."""
    if known.proxy.sign_in is not None and known.proxy.sign_in.unit:
        found = re.search(r"^ExecStart=.*--config[= ](/\S+)", _unit(known), re.MULTILINE)
        return found[1] if found else ""
    return posixpath.join(known.proxy.home, f"{known.instance}-sign-in.conf")


def _unit(known: KnownDoor) -> str:
    """The unit of the program beside the proxy; '' without one."""
    found = (known.host.files.get(path) for path in _unit_files(known))
    return next((state.content.decode("utf-8", "replace") for state in found if state is not None), "")


def _unit_files(known: KnownDoor) -> tuple[str, ...]:
    unit = known.proxy.sign_in.unit if known.proxy.sign_in is not None else ""
    return tuple(f"{folder}/{unit}.service" for folder in _UNIT_FOLDERS) if unit else ()


def _rights(known: KnownDoor) -> tuple[int, str]:
    """Mode and group of the file with the secrets."""
    found = re.findall(r"^(Group|User)=(\S+)", _unit(known), re.MULTILINE)
    settings = dict(found)
    group = settings.get("Group") or settings.get("User", "root")
    return (0o640, group) if _unit_files(known) and group != "root" else (0o600, "root")


def helper(known: KnownDoor) -> Service | None:
    """The program beside the proxy (oauth2-proxy) as a service; None without one."""
    found = client_of(known)
    if found is None or not found[0].unit:
        return None
    return replace(
        known.service,
        component=found[0].title,
        unit=found[0].unit,
        config_file=secrets_file(known),
        listen="",
        program="",
        pid=0,
    )


def provider_ca(known: KnownDoor) -> str:
    """The path of the CA bundle that verifies the OpenID provider's certificate."""
    return posixpath.join(known.proxy.home, f"{known.instance}-provider-ca.crt")


def wanted_files(stack: Stack, facts: Facts) -> dict[str, tuple[str, ...]]:
    """The paths to read for front doors with sign-in, by host."""
    wanted: dict[str, tuple[str, ...]] = {}
    for known in door_facts.doors(stack, facts):
        found = client_of(known)
        if found is None:
            continue
        client, settings = found
        host_paths = [
            provider_ca(known),
            *(path for pair in client.needed for path in pair),
            *_unit_files(known),
        ]
        host_paths += [path for path in (secrets_file(known),) if path]
        host_paths += [path for path, _ in client.files]
        workspace_paths = [path for path in (settings.client_secret_file, settings.ca_file) if path]
        for host, paths in ((known.door.host, host_paths), (WORKSPACE, workspace_paths)):
            wanted[host] = (*wanted.get(host, ()), *paths)
    return wanted


def client_of(known: KnownDoor) -> tuple[SignInClient, SignIn] | None:
    """The program through which people sign in, and its settings; None if they have passwords."""
    if known.proxy.sign_in is None or known.door.sign_in is None:
        return None
    return known.proxy.sign_in, known.door.sign_in


def refuse_unfit(facts: Facts, doors: Iterable[KnownDoor]) -> None:
    """Refuses front doors at which people could not sign in.

    Raises:
        InputError: a proxy does not support it, a setting is missing, a file is unusable, or two need one program.
    """
    taken: dict[tuple[str, str], str] = {}
    for known in doors:
        _refuse_unfit(facts, known)
        beside = helper(known)
        place = known.door.host, beside.unit if beside is not None else known.key
        if place in taken:
            raise InputError(
                f"people sign in at {taken[place]} and {known.door.name} by one {place[1]}, which serves one name",
                where=known.door.key,
                todo="Use one front door with several paths",
            )
        taken[place] = known.door.name


def _refuse_unfit(facts: Facts, known: KnownDoor) -> None:
    door = known.door
    if door.sign_in is None:
        return
    if known.proxy.sign_in is None:
        raise InputError(
            f"people cannot sign in at an OpenID provider in {known.proxy.title}",
            where=door.key,
            todo="Use another proxy, or give people a password",
        )
    if door.site and known.proxy.shared is not None:
        raise InputError(
            f"people cannot sign in at an OpenID provider in a frontend of {known.proxy.title}'s that is there",
            where=door.key,
            todo="Leave `site` out and give the front door a port of its own, or give people a password",
        )
    lacking = [
        name for name in ("issuer", "client_id", "client_secret_file") if not getattr(door.sign_in, name)
    ]
    if lacking:
        raise InputError(
            f"people are to sign in at {door.name}, and {' and '.join(lacking)} of the OpenID provider are not set",
            where=door.key,
            todo=f"Register {door.callback} at the provider, and set what it then shows",
        )
    if not door.sign_in.email_domains and not door.sign_in.asked:
        raise InputError(
            f"every account of {door.sign_in.issuer} could pass the front door {door.name}",
            where=door.key,
            todo="Set the e-mail domains or groups that may pass; * as a domain for every account",
        )
    _refuse_lacking(known, known.proxy.sign_in, door.sign_in)
    client_secret(facts, door.sign_in)
    if door.sign_in.ca_file:
        try:
            certificates.chain(_provider_ca(facts, door.sign_in))
        except CertificateError as error:
            raise InputError(
                f"the CA of the OpenID provider cannot be used: {error.what}",
                where=door.sign_in.ca_file,
                todo="Name a file with the CA in PEM, or leave ca_file out",
            ) from error


def _refuse_lacking(known: KnownDoor, client: SignInClient, settings: SignIn) -> None:
    door, files = known.door, known.host.files
    absent = [
        source for path, source in client.needed if files.get(path) is None and files.get(source) is None
    ]
    if client.unit and not secrets_file(known):
        absent = [_unit_files(known)[0]]
    if absent:
        raise InputError(
            f"{known.proxy.title} on {door.host} lacks {client.title}, by which people sign in",
            where=f"{door.host}:{absent[0]}",
            todo=client.todo,
        )
    if settings.claims and not client.claims:
        raise InputError(
            f"{client.title} checks e-mail domains and groups, and no other claims",
            where=door.key,
            todo="Take claims out, or use groups with groups_claim",
        )
    present = files.get(secrets_file(known))
    if present is not None and not present.content.startswith(HEAD):
        raise InputError(
            f"{client.title} is configured already, by a file that Firescreen did not write",
            where=f"{door.host}:{secrets_file(known)}",
            todo="Rename it, then plan again",
        )


def client_secret(facts: Facts, settings: SignIn) -> Secret:
    """The client secret, without the line break at its end.

    Raises:
        InputError: the file is missing, others can read it, or its content is not a secret.
    """
    path = settings.client_secret_file
    state = facts.file(WORKSPACE, path)
    if state is None:
        raise InputError(
            "the file with the client secret does not exist",
            where=path,
            todo="Write the secret into it that the OpenID provider shows for this client, with mode 0600",
        )
    if state.mode & 0o077:
        raise InputError(
            f"others can read the client secret (mode {state.mode:04o})",
            where=path,
            todo=f"Run: chmod 600 {path}",
        )
    text = state.content.decode("utf-8", "replace").strip("\r\n")
    if not text or len(text) > _LONGEST or not text.isprintable() or text.startswith("exec:"):
        raise InputError(
            "the file does not hold one line with a client secret",
            where=path,
            todo="Write nothing but the secret into it",
        )
    return Secret(text)


def client_secrets(facts: Facts, doors: Iterable[KnownDoor]) -> tuple[Secret, ...]:
    """The client secrets to mask in all texts."""
    return tuple(
        client_secret(facts, known.door.sign_in) for known in doors if known.door.sign_in is not None
    )


def changes(facts: Facts, factory: credentials.CredentialFactory, known: KnownDoor) -> Iterator[Change]:
    """Plans the file with the secrets, and the provider's CA, on the host."""
    found = client_of(known)
    if found is None:
        return
    client, settings = found
    yield from _files(known, client)
    path = secrets_file(known)
    before = known.host.files.get(path)
    present_key = client.key(before.content.decode("utf-8", "replace")) if before is not None else ""
    key = present_key or factory.once(f"session-key:{known.key}", lambda: secrets.token_urlsafe(32))
    registration = Registration(
        settings=settings,
        callback=known.door.callback,
        secret=client_secret(facts, settings).reveal(),
        key=key,
        provider_ca=provider_ca(known) if settings.ca_file else "",
    )
    mode, group = _rights(known)
    after = FileState(client.secrets(registration).encode(), mode, "root", group)
    if before is None or (before.content, before.rights) != (after.content, after.rights):
        note = (
            f"Write {path} ({after.rights}) with the client secret and a random key of 32 bytes "
            "(openssl rand -base64 32), as the manual shows"
        )
        yield known.write(
            path,
            after,
            ContentKind.SIGN_IN_SECRET,
            why=f"By the client secret the OpenID provider knows {client.title}; others cannot read it.",
            by_hand=(ManualCommand(note=note),),
        )
    authority = _provider_ca(facts, settings)
    there_ca = known.host.files.get(provider_ca(known))
    if settings.ca_file and (there_ca is None or there_ca.content != authority):
        state = FileState(authority, 0o644, "root", "root")
        yield known.write(
            provider_ca(known),
            state,
            ContentKind.CERTIFICATE,
            why=f"{client.title} verifies the certificate of the OpenID provider against this CA.",
            by_hand=manual_commands.copy(settings.ca_file, provider_ca(known), state),
        )


def _files(known: KnownDoor, client: SignInClient) -> Iterator[Change]:
    """Yields the script with which the proxy queries the program beside it."""
    for path, text in client.files:
        before, after = known.host.files.get(path), FileState(text.encode(), 0o644, "root", "root")
        if before is None or before.content != after.content:
            yield known.write(
                path,
                after,
                ContentKind.PROXY_CONFIG,
                why=f"{known.proxy.title} asks {client.title} by it who is signed in.",
                by_hand=manual_commands.write_text(path, after),
            )


def restart(known: KnownDoor, changes: Iterable[Change]) -> tuple[PlannedStep, ...]:
    """Plans the restart by which the program beside the proxy reads its new settings, if one of its files changes."""
    service, kinds = (
        helper(known),
        {change.content_kind for change in changes if isinstance(change, WriteFile)},
    )
    if service is None or ContentKind.SIGN_IN_SECRET not in kinds:
        return ()
    run = run_alone(service, "restart")
    return (
        known.step(
            StepKind.FRONT_DOOR_RELOAD,
            step_id=f"{StepKind.FRONT_DOOR_RELOAD}:{known.door.host}/{service.unit}",
            title=f"Restart {service.unit}",
            why=f"{service.component} reads its settings when it starts.",
            changes=(run,),
        ),
    )


def location(known: KnownDoor) -> str:
    """A string in the Location header for visitors who are not signed in; '' if people have passwords."""
    if known.door.sign_in is None:
        return ""
    parameters = {"client_id": known.door.sign_in.client_id, "redirect_uri": known.door.callback}
    return urlencode({"response_type": "code", **parameters})


def hints(known: KnownDoor) -> Iterator[str]:
    """Yields what to register at the provider."""
    if known.door.sign_in is not None:
        door, issuer = known.door, known.door.sign_in.issuer
        yield (
            f"At {issuer}, the client {known.door.sign_in.client_id} needs the redirect URI {door.callback} and, for "
            f"signing out, the post-logout redirect URI {door.signed_out}"
        )


def _provider_ca(facts: Facts, settings: SignIn) -> bytes:
    state = facts.file(WORKSPACE, settings.ca_file) if settings.ca_file else None
    return state.content if state is not None else b""
