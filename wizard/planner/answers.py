"""Takes an answer into the stack, or says why it cannot be used."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from wizard import passwords
from wizard.certificates.names import general_names
from wizard.errors import CertificateError, InputError, PasswordError
from wizard.model import Protection, RateLimit, Stack, UserSpec
from wizard.planner.questions import ACCEPT_BROKEN, HEADERS, LEVELS
from wizard.redact import Secret, plain

_VALUES: Mapping[str, tuple[str, ...]] = {
    "client_auth_type": (
        "RequireAndVerifyClientCert",
        "VerifyClientCertIfGiven",
        "RequireAnyClientCert",
        "RequestClientCert",
    ),
    "min_version": ("", "TLS12", "TLS13"),
}


def answer(stack: Stack, key: str, value: str) -> Stack:
    """The stack with one question answered. Passwords are checked here but kept by the caller, in `Answers`.

    Raises:
        InputError: the value cannot be used; `what` and `todo` are for beside the question.
    """
    section, _, rest = key.partition(".")
    if section == "components":
        files, dot, name = rest.rpartition(".files.")
        where, _, name = (files, "", f"files.{name}") if dot else rest.rpartition(".")
        return _answer_component(stack, where, name, value)
    if section == "users":
        return _answer_user(stack, rest, value)
    if section == "certificates":
        return _answer_certificates(stack, rest, value)
    if section == ACCEPT_BROKEN:
        others = tuple(key for key in stack.accept_broken if key != rest)
        return replace(stack, accept_broken=(*others, rest) if value else others)
    raise InputError(f"there is no question '{plain(key)}'")


def _answer_component(stack: Stack, where: str, name: str, value: str) -> Stack:
    fields: dict[str, Any]
    if name == "protect":
        if value not in {level for level, _, _ in LEVELS}:
            raise InputError(f"'{plain(value)}' is not a level", todo="choose one from the list")
        fields = {"protect": cast(tuple[Protection, ...], tuple(part for part in value.split("+") if part))}
    elif name in ("client_auth_type", "min_version"):
        if value not in _VALUES[name]:
            raise InputError(f"'{plain(value)}' cannot be chosen here", todo="choose one from the list")
        fields = {name: value}
    elif name.startswith("files."):
        if value and not value.startswith("/"):
            raise InputError("a full path is needed, from the root on", todo="e.g. /etc/ssl/node.crt")
        here = next((component for component in stack.components if component.key == where), None)
        fields = {"files": replace(here.files, **{name.removeprefix("files."): value})} if here else {}
    elif name == "headers":
        fields = {"headers": HEADERS if value else {}}
    elif name == "rate_limit":
        fields = {"rate_limit": _rate_limit(value)}
    else:
        names = tuple(dict.fromkeys(value.replace(",", " ").split()))
        if not names and name == "names":
            raise InputError("a certificate needs at least one name", todo="type a host name or an address")
        try:
            general_names(names)
        except CertificateError as error:
            raise InputError(error.what, todo=error.todo) from error
        fields = {"names" if name == "names" else "client_allowed_sans": names}
    if where not in {component.key for component in stack.components}:
        raise InputError(f"there is no component '{plain(where)}'")
    return replace(
        stack,
        components=tuple(
            replace(component, **fields) if component.key == where else component
            for component in stack.components
        ),
    )


def _answer_user(stack: Stack, name: str, value: str) -> Stack:
    user = stack.users[0]
    if name == "more":
        names = [each for each in dict.fromkeys(value.replace(",", " ").split()) if each != user.name]
        known = {each.name: each for each in stack.users}
        more = tuple(known.get(each) or UserSpec(name=_user_name(each), cost=user.cost) for each in names)
        return replace(stack, users=(user, *more))
    if name == "name":
        user = replace(user, name=_user_name(value))
    elif name == "cost":
        user = replace(user, cost=_number(value, least=4, most=15))
    elif name == "password":
        if value:
            try:
                passwords.check(Secret(value))
            except PasswordError as error:
                raise InputError(error.what, todo=error.todo) from error
        user = replace(user, password="prompt" if value else "generate")
    return replace(stack, users=(user, *stack.users[1:]))


def _user_name(value: str) -> str:
    # It becomes a file name on both ends, so it is held tighter than basic authentication needs.
    if not re.fullmatch(r"[A-Za-z0-9_@+-][A-Za-z0-9._@+-]{0,63}", value):
        raise InputError("a user name here is letters, digits and . _ @ + -", todo="try: prometheus")
    return value


def _rate_limit(value: str) -> RateLimit | None:
    if not value.strip():
        return None
    interval, _, burst = value.strip().partition(" ")
    if not re.fullmatch(r"([0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h))+", interval) or not burst.strip().isdigit():
        raise InputError("this is not an interval and a number", todo="e.g. 100ms 20")
    return RateLimit(interval, _number(burst.strip(), least=1, most=1_000_000))


def _answer_certificates(stack: Stack, name: str, value: str) -> Stack:
    fields: dict[str, Any]
    if name == "days":
        fields = {"days": _number(value, least=1, most=3650)}
    elif name == "passphrase":
        fields = {"passphrase": bool(value)}
    else:
        allowed = {
            "issued_by": ("ca", "self-signed", "shared", "files"),
            "key": ("ec-p256", "rsa-2048", "rsa-4096", "ed25519"),
        }
        if value not in allowed.get(name, ()):
            raise InputError(f"'{plain(value)}' cannot be chosen here", todo="choose one from the list")
        fields = {name: value}
    return replace(stack, certificates=replace(stack.certificates, **fields))


def _number(value: str, *, least: int, most: int) -> int:
    try:
        number = int(value)
    except ValueError:
        raise InputError(f"'{plain(value)}' is not a whole number", todo=f"from {least} to {most}") from None
    if not least <= number <= most:
        raise InputError(f"{number} is out of range", todo=f"from {least} to {most}")
    return number
