"""Changes the stack by an answer, or says why the answer cannot be used."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from wizard import passwords
from wizard.certificates.names import general_names
from wizard.errors import CertificateError, InputError, PasswordError
from wizard.model import ComponentSpec, Protection, RateLimit, Setting, Stack, UserSpec
from wizard.planner.front_doors import door_questions
from wizard.planner.path_answer import full_path
from wizard.planner.questions import HEADERS, LEVELS
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

_LONGEST_USER = 64
_FILES = {"files.cert_file": "cert_file", "files.key_file": "key_file", "files.ca_file": "ca_file"}


def answer(stack: Stack, setting: Setting, value: str) -> Stack:
    """The stack with one question answered. Passwords are checked here, but the caller keeps them, in `Answers`.

    Raises:
        InputError: the value cannot be used; its `what` and `todo` are shown beside the question.
    """
    match setting.section:
        case "components":
            return _answer_component(stack, setting.of, setting.name, value)
        case "users":
            return _answer_user(stack, setting.name, value)
        case "certificates":
            return _answer_certificates(stack, setting.name, value)
        case "front_doors":
            return door_questions.answer(stack, setting.of, setting.name, value)
    others = tuple(key for key in stack.accept_broken if key != setting.of)
    return replace(stack, accept_broken=(*others, setting.of) if value else others)


def _answer_component(stack: Stack, where: str, name: str, value: str) -> Stack:
    if where not in {component.key for component in stack.components}:
        raise InputError(f"there is no component '{plain(where)}'")
    return replace(
        stack,
        components=tuple(
            replace(component, **_component_fields(component, name, value))
            if component.key == where
            else component
            for component in stack.components
        ),
    )


def _component_fields(component: ComponentSpec, name: str, value: str) -> dict[str, Any]:
    """The fields of a component's entry that an answer changes."""
    match name:
        case "protect":
            if value not in {level for level, _, _ in LEVELS}:
                raise InputError(f"'{plain(value)}' is not a level", todo="Choose one from the list")
            return {"protect": cast(tuple[Protection, ...], tuple(part for part in value.split("+") if part))}
        case "client_auth_type" | "min_version":
            if value not in _VALUES[name]:
                raise InputError(f"'{plain(value)}' cannot be chosen here", todo="Choose one from the list")
            return {name: value}
        case "files.cert_file" | "files.key_file" | "files.ca_file":
            return {"files": replace(component.files, **{_FILES[name]: full_path(value)})}
        case "headers":
            return {"headers": HEADERS if value else {}}
        case "rate_limit":
            return {"rate_limit": _rate_limit(value)}
    return {name: _names(value, needed=name == "names")}


def _names(value: str, *, needed: bool) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(value.replace(",", " ").split()))
    if not names and needed:
        raise InputError("a certificate needs at least one name", todo="Type a host name or an address")
    try:
        general_names(names)
    except CertificateError as error:
        raise InputError(error.what, todo=error.todo) from error
    return names


def _answer_user(stack: Stack, name: str, value: str) -> Stack:
    user = stack.users[0]
    if name == "more":
        names = [each for each in dict.fromkeys(value.replace(",", " ").split()) if each != user.name]
        users = {each.name: each for each in stack.users}
        more = tuple(users.get(each) or UserSpec(name=_user_name(each), cost=user.cost) for each in names)
        return replace(stack, users=(user, *more))
    if name == "name":
        stack = door_questions.rename_user(stack, user.name, _user_name(value))
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
    # The name becomes a file name on both ends, so the rules are stricter than those of basic authentication.
    if len(value) > _LONGEST_USER:
        raise InputError(
            f"a user name here has at most {_LONGEST_USER} characters", todo="Type a shorter name"
        )
    if not re.fullmatch(r"[A-Za-z0-9_@+-][A-Za-z0-9._@+-]*", value):
        raise InputError(
            "a user name here is letters, digits and . _ @ + -", todo="Type a name such as prometheus"
        )
    return value


def _rate_limit(value: str) -> RateLimit | None:
    if not value.strip():
        return None
    interval, _, burst = value.strip().partition(" ")
    if not re.fullmatch(r"([0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h))+", interval) or not burst.strip().isdigit():
        raise InputError("this is not an interval and a number", todo="Type both, e.g. 100ms 20")
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
            raise InputError(f"'{plain(value)}' cannot be chosen here", todo="Choose one from the list")
        fields = {name: value}
    return replace(stack, certificates=replace(stack.certificates, **fields))


def _number(value: str, *, least: int, most: int) -> int:
    try:
        number = int(value)
    except ValueError:
        raise InputError(
            f"'{plain(value, 40)}' is not a whole number", todo=f"Type a number from {least} to {most}"
        ) from None
    if not least <= number <= most:
        raise InputError(f"{plain(value, 40)} is out of range", todo=f"Type a number from {least} to {most}")
    return number
