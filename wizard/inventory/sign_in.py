"""Sign-in at a front door in a stack file: parsed, checked, and written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wizard.errors import StackError
from wizard.model import SIGN_IN_PATH, FrontDoor, SignIn

_TEXTS = ("issuer", "client_id", "client_secret_file", "ca_file", "groups_claim", "session_hours")
_LISTS = ("email_domains", "groups", "scopes")


def read(entry: Mapping[str, Any] | None) -> SignIn | None:
    """Parses the settings of data that the schema has accepted; None without any."""
    if entry is None:
        return None
    found: dict[str, Any] = {key: entry[key] for key in _TEXTS if key in entry}
    found |= {key: tuple(entry[key]) for key in _LISTS if key in entry}
    claims = tuple((name, tuple(values)) for name, values in entry.get("claims", {}).items())
    return SignIn(claims=claims, **found)


def dump(settings: SignIn) -> dict[str, Any]:
    """Settings in the form that `read` accepts, without default values."""
    usual = SignIn()
    needed = ("issuer", "client_id", "client_secret_file")
    found: dict[str, Any] = {
        key: value
        for key in _TEXTS
        if (value := getattr(settings, key)) != getattr(usual, key) or key in needed
    }
    found |= {key: list(value) for key in _LISTS if (value := getattr(settings, key)) != getattr(usual, key)}
    if settings.claims:
        found["claims"] = {name: list(values) for name, values in settings.claims}
    return found


def check(door: FrontDoor, where: str) -> None:
    """Checks beyond the schema who may pass, and that programs can.

    Raises:
        StackError: the first error.
    """
    settings = door.sign_in
    if settings is None:
        return
    if not settings.issuer.startswith("https://"):
        raise StackError(
            f"the issuer {settings.issuer} is no https URL",
            where=where,
            todo="Use the URL that the OpenID provider shows as its issuer, e.g. https://id.example.net",
        )
    if "openid" not in settings.scopes:
        raise StackError(
            "without the scope openid, the OpenID provider says nothing of who signs in",
            where=where,
            todo="Add openid to scopes",
        )
    if not settings.email_domains and not settings.asked:
        raise StackError(
            f"every account of {settings.issuer} could pass the front door {door.name}",
            where=where,
            todo='Add email_domains, groups or claims to oidc; email_domains: ["*"] for every account',
        )
    if not door.machines and not door.client_cert:
        raise StackError(
            f"no program could pass the front door {door.name}, not even to verify it",
            where=where,
            todo="Add machines: {basic_auth: [USER]}, or machines: {client_cert: true}",
        )
    for route in door.routes:
        if f"{route.prefix}/".startswith(f"{SIGN_IN_PATH}/"):
            raise StackError(
                f"the front door {door.name} signs people in below {SIGN_IN_PATH}, and has a route there",
                where=where,
                todo=f"Use another path than {route.path}",
            )
