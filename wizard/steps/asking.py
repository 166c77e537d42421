"""The questions, as data: one schema for the screen, the command line and the stack file.

Every question has a default that can be taken without a thought, one line of why, and more for who asks.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, cast

from wizard import passwords
from wizard.errors import CertificateError, InputError, PasswordError
from wizard.model import ComponentSpec, Facts, Protection, Question, Stack, UserSpec
from wizard.redact import Secret, plain
from wizard.steps import layout
from wizard.steps.server import certificate_names
from wizard.trust.names import general_names

LEVELS: tuple[tuple[str, str, str], ...] = (
    ("", "leave it as it is", "Nothing about it is changed."),
    ("tls", "encrypted", "Nobody on the way can read or alter the answers; anyone may still ask."),
    (
        "tls+basic_auth",
        "encrypted + password",
        "Nobody can read along, and only who knows the password gets an answer.",
    ),
)


def questions(stack: Stack, facts: Facts) -> tuple[Question, ...]:
    """What to ask for this stack, in order; `default` is what the stack says now."""
    asked = [_level(stack, component) for component in stack.components]
    protected = [component for component in stack.components if component.protect]
    if not protected:
        return tuple(asked)
    if any("basic_auth" in component.protect for component in protected):
        asked += _user_questions(stack.users[0])
    asked.append(
        Question(
            key="certificates.issued_by",
            title="Where certificates come from",
            why="With a CA of your own, Prometheus needs one file, however many servers you add.",
            more=(
                "A certificate authority (CA) is a key that signs certificates. Prometheus is given the CA's "
                "certificate and from then on believes every server that the CA signed. Self-signed means that "
                "each server signs for itself, and Prometheus needs a copy of each certificate (this is what "
                "many walk-throughs do)."
            ),
            kind="choice",
            default=stack.certificates.issued_by,
            choices=(("ca", "my own CA"), ("self-signed", "self-signed, one for each server")),
        )
    )
    for server in layout.servers(stack, facts):
        asked.append(
            Question(
                key=f"components.{server.key}.names",
                title=f"Names and addresses of {server.spec.name} {_on(stack, server.spec.host)}",
                why="The certificate is good for these and for no other: they are what Prometheus asks for.",
                more=(
                    "A certificate lists the names and addresses it speaks for (SAN). Go programs, Prometheus "
                    "among them, look at nothing else: the old 'common name' does not count. Add every name under "
                    "which anyone will ask this server. Separate them with spaces or commas."
                ),
                kind="names",
                default=" ".join(certificate_names(facts, server)),
            )
        )
    asked += _certificate_questions(stack)
    return tuple(asked)


def _level(stack: Stack, component: ComponentSpec) -> Question:
    return Question(
        key=f"components.{component.key}.protect",
        title=f"How to protect {component.name} {_on(stack, component.host)}",
        why="Encrypted: nobody can read along, anyone may still ask. With a password, only who knows it is answered.",
        more=(
            "Encryption (TLS) alone keeps others from reading along and proves to Prometheus that it talks to "
            "the right server. A password (basic authentication) on top lets only those in who know it. A "
            "password without TLS would cross the network readably, so it is not offered."
        ),
        kind="choice",
        default="+".join(component.protect),
        choices=tuple((value, words) for value, words, _ in LEVELS),
    )


def _on(stack: Stack, host: str) -> str:
    """Where a component is, as a person says it."""
    return "on this machine" if stack.host(host).connect == "local" else f"on {host}"


def _user_questions(user: UserSpec) -> list[Question]:
    return [
        Question(
            key="users.name",
            title="User name",
            why="Prometheus introduces itself with this name.",
            more="Any name without a colon or a space. The servers write it down beside the password's hash.",
            kind="text",
            default=user.name,
            priority="low",
        ),
        Question(
            key="users.password",
            title="Password",
            why="Leave it empty and a strong one is made for you; Prometheus reads it from a file.",
            more=(
                "Only programs use this password, so nobody has to remember it: a generated one is best. It is "
                "kept in a file that only you can read, and Prometheus gets a copy. At most 72 bytes."
            ),
            kind="password",
            default="",
        ),
        Question(
            key="users.cost",
            title="Cost of the password's hash",
            why=f"How slow guessing is made. 10 takes {_cost(10)} here for each check, 12 takes {_cost(12)}.",
            more=(
                "bcrypt is slow on purpose; each step up doubles the time. Prometheus' servers check unknown "
                "users at cost 10, so with any other cost an attacker can tell by the time which users exist. "
                "Above 13, a check can outlast the scrape's time limit."
            ),
            kind="number",
            default=str(user.cost),
            priority="low",
        ),
    ]


def _cost(cost: int) -> str:
    seconds = passwords.cost_seconds(cost)
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _certificate_questions(stack: Stack) -> list[Question]:
    return [
        Question(
            key="certificates.days",
            title="Lifetime in days",
            why="When it is over, Prometheus refuses the server: renew before. A year is a good habit.",
            more="Some walk-throughs use 80 years. A lost key would stay useful for as long.",
            kind="number",
            default=str(stack.certificates.days),
            priority="low",
        ),
        Question(
            key="certificates.key",
            title="Kind of key",
            why="EC P-256 is small, fast and understood everywhere.",
            more="RSA is for very old clients; Ed25519 is modern, but some browsers do not know it.",
            kind="choice",
            default=stack.certificates.key,
            choices=(
                ("ec-p256", "EC P-256"),
                ("rsa-2048", "RSA 2048"),
                ("rsa-4096", "RSA 4096 (slow to make)"),
                ("ed25519", "Ed25519"),
            ),
            priority="low",
        ),
        Question(
            key="certificates.passphrase",
            title="Passphrase for the CA's key",
            why="Leave it empty to keep the key unencrypted in a folder that only you can read.",
            more="With a passphrase, nobody can sign with a stolen copy. It is asked for at each new certificate.",
            kind="password",
            default="",
            priority="low",
        ),
    ]


def answer(stack: Stack, key: str, value: str) -> Stack:
    """The stack with one question answered. Passwords are checked here but kept by the caller, in `Answers`.

    Raises:
        InputError: the value cannot be used; `what` and `todo` are for beside the question.
    """
    section, _, rest = key.partition(".")
    if section == "components":
        where, _, name = rest.rpartition(".")
        return _answer_component(stack, where, name, value)
    if section == "users":
        return _answer_user(stack, rest, value)
    if section == "certificates":
        return _answer_certificates(stack, rest, value)
    raise InputError(f"there is no question '{plain(key)}'")


def _answer_component(stack: Stack, where: str, name: str, value: str) -> Stack:
    fields: dict[str, Any]
    if name == "protect":
        if value not in {level for level, _, _ in LEVELS}:
            raise InputError(f"'{plain(value)}' is not a level", todo="choose one from the list")
        fields = {"protect": cast(tuple[Protection, ...], tuple(part for part in value.split("+") if part))}
    else:
        names = tuple(dict.fromkeys(value.replace(",", " ").split()))
        if not names:
            raise InputError("a certificate needs at least one name", todo="type a host name or an address")
        try:
            general_names(names)
        except CertificateError as error:
            raise InputError(error.what, todo=error.todo) from error
        fields = {"names": names}
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
    if name == "name":
        # It becomes a file name on both ends, so it is held tighter than basic authentication needs.
        if not re.fullmatch(r"[A-Za-z0-9_@+-][A-Za-z0-9._@+-]{0,63}", value):
            raise InputError("a user name here is letters, digits and . _ @ + -", todo="try: prometheus")
        user = replace(user, name=value)
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


def _answer_certificates(stack: Stack, name: str, value: str) -> Stack:
    fields: dict[str, Any]
    if name == "days":
        fields = {"days": _number(value, least=1, most=3650)}
    elif name == "passphrase":
        fields = {"passphrase": bool(value)}
    else:
        allowed = {"issued_by": ("ca", "self-signed"), "key": ("ec-p256", "rsa-2048", "rsa-4096", "ed25519")}
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
