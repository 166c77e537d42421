"""People who sign in at a front door by an OpenID provider: files, what keeps them from it, probes and hints. Pure."""

from __future__ import annotations

import posixpath
import secrets
from collections.abc import Iterable, Iterator
from urllib.parse import urlencode

from wizard import certificates
from wizard.errors import CertificateError, InputError
from wizard.front_doors import SignInClient
from wizard.model import WORKSPACE, Change, ContentKind, Facts, FileState, ManualCommand, SignIn, Stack
from wizard.planner import credentials, front_door_facts, manual_commands
from wizard.planner.front_door_facts import KnownDoor
from wizard.redact import Secret

_LONGEST = 4096


def secrets_file(known: KnownDoor) -> str:
    """What a front door needs to be a client of an OpenID provider."""
    return posixpath.join(known.proxy.home, f"{known.instance}-sign-in.conf")


def provider_ca(known: KnownDoor) -> str:
    """What it checks the certificate of the OpenID provider against."""
    return posixpath.join(known.proxy.home, f"{known.instance}-provider-ca.crt")


def wanted_files(stack: Stack, facts: Facts) -> dict[str, tuple[str, ...]]:
    """Paths to read where people sign in, by host."""
    wanted: dict[str, tuple[str, ...]] = {}
    for known in front_door_facts.doors(stack, facts):
        found = client_of(known)
        if found is None:
            continue
        client, settings = found
        there = [secrets_file(known), provider_ca(known), *(path for pair in client.needed for path in pair)]
        here = [path for path in (settings.client_secret_file, settings.ca_file) if path]
        for host, paths in ((known.door.host, there), (WORKSPACE, here)):
            wanted[host] = (*wanted.get(host, ()), *paths)
    return wanted


def client_of(known: KnownDoor) -> tuple[SignInClient, SignIn] | None:
    """By what people sign in at a front door, and how; None where they have passwords."""
    if known.proxy.sign_in is None or known.door.sign_in is None:
        return None
    return known.proxy.sign_in, known.door.sign_in


def refuse_unfit(facts: Facts, known: KnownDoor) -> None:
    """What keeps people from signing in at a front door.

    Raises:
        InputError: its proxy cannot, a setting is missing, or a file of it cannot be used.
    """
    door = known.door
    if door.sign_in is None:
        return
    if known.proxy.sign_in is None:
        raise InputError(
            f"people cannot sign in at an OpenID provider in {known.proxy.title}",
            where=door.key,
            todo="Use Apache with mod_auth_openidc, or give people a password",
        )
    if door.site:
        raise InputError(
            f"people cannot sign in at an OpenID provider in a site that is there ({door.site})",
            where=door.key,
            todo="Use another name for the front door, or give people a password",
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
    for path, source in known.proxy.sign_in.needed:
        if known.host.files.get(path) is None and known.host.files.get(source) is None:
            raise InputError(
                f"{known.proxy.title} on {door.host} lacks {known.proxy.sign_in.title}, by which people sign in",
                where=f"{door.host}:{source}",
                todo=f"apt install {known.proxy.sign_in.package}",
            )
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


def client_secret(facts: Facts, settings: SignIn) -> Secret:
    """The secret of the client, without the line break at its end.

    Raises:
        InputError: there is none, others can read it, or it is none.
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
            todo=f"chmod 600 {path}",
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
    """What no text may show of them."""
    return tuple(
        client_secret(facts, known.door.sign_in) for known in doors if known.door.sign_in is not None
    )


def changes(facts: Facts, factory: credentials.CredentialFactory, known: KnownDoor) -> Iterator[Change]:
    """The file with the secrets, and the CA of the provider, on the host."""
    found = client_of(known)
    if found is None:
        return
    client, settings = found
    path = secrets_file(known)
    before = known.host.files.get(path)
    there = client.key(before.content.decode("utf-8", "replace")) if before is not None else ""
    key = there or factory.once(f"session-key:{known.key}", lambda: secrets.token_urlsafe(32))
    text = client.secrets(client_secret(facts, settings).reveal(), key)
    after = FileState(text.encode(), 0o600, "root", "root")
    if before is None or (before.content, before.rights) != (after.content, after.rights):
        note = (
            f"Write {path} ({after.rights}) with the client secret and a random key of 32 bytes "
            "(openssl rand -base64 32), as the manual shows"
        )
        yield known.write(
            path,
            after,
            ContentKind.SIGN_IN_SECRET,
            why=f"By the client secret the OpenID provider knows {client.title}; only root can read it.",
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


def location(known: KnownDoor) -> str:
    """What the address must hold to which a page leads that nobody is signed in for; '' where people have passwords."""
    if known.door.sign_in is None:
        return ""
    asked = {"client_id": known.door.sign_in.client_id, "redirect_uri": known.door.callback}
    return urlencode({"response_type": "code", **asked})


def hints(known: KnownDoor) -> Iterator[str]:
    """What is registered at the provider."""
    if known.door.sign_in is not None:
        door, issuer = known.door, known.door.sign_in.issuer
        yield f"At {issuer}, the client {known.door.sign_in.client_id} needs the redirect URI {door.callback}"
        yield f"and, for signing out, the post-logout redirect URI {door.signed_out}"


def _provider_ca(facts: Facts, settings: SignIn) -> bytes:
    state = facts.file(WORKSPACE, settings.ca_file) if settings.ca_file else None
    return state.content if state is not None else b""
