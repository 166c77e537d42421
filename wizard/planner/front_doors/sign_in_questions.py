"""Questions about sign-in at a front door: the OpenID provider's settings, and who may pass. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from wizard.errors import InputError
from wizard.model import FrontDoor, Question, Setting, SignIn
from wizard.planner.path_answer import full_path
from wizard.redact import plain

ACCESS = ("sign_in", "people sign in at an OpenID provider, programs send user and password")
_LABEL = "[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(\.{_LABEL})+")
_ISSUER = re.compile(r"https://[^\s\"\\?#@]+")
_CLIENT = re.compile(r"[^\s\"\\$]+")
_GROUP = re.compile(r"[^\"\\\x00-\x1f$%,]+")


def questions(door: FrontDoor) -> Iterator[Question]:
    """Yields the questions for a front door with sign-in."""
    settings = door.sign_in
    if settings is None:
        return
    for name, title, why, more, default in _texts(door, settings):
        yield Question(
            setting=Setting("front_doors", f"sign_in.{name}", f"{door.host}/{door.proxy}"),
            title=title,
            why=why,
            more=more,
            kind="text",
            default=default,
        )


def _texts(door: FrontDoor, settings: SignIn) -> Iterator[tuple[str, str, str, str, str]]:
    """Yields name, title, why, more and present answer of each question."""
    yield from (
        (
            "issuer",
            "Issuer of the OpenID provider",
            f"The provider has to know the redirect URI {door.callback}",
            (
                "Its URL as the provider shows it, e.g. https://id.example.net/realms/company. Register a web client with the "
                f"authorization code flow there, with the redirect URI {door.callback} and, for signing out, the post-logout "
                f"redirect URI {door.signed_out}."
            ),
            settings.issuer,
        ),
        (
            "client_id",
            "Client id",
            "The provider shows it, with the client secret, once the client is registered.",
            "What the provider calls this front door.",
            settings.client_id,
        ),
        (
            "client_secret_file",
            "File with the client secret",
            "Full path on this computer; only you may read it (chmod 600).",
            (
                "Write the client secret into a file, and nothing else. Firescreen copies it to the host, into a file that only "
                "root can read. It is in no plan, no log and no stack file."
            ),
            settings.client_secret_file,
        ),
        (
            "ca_file",
            "CA of the OpenID provider",
            "Full path on this computer; leave it empty if every system trusts the provider's certificate.",
            "A provider of a company often has a certificate of the company's own CA, which the host does not know.",
            settings.ca_file,
        ),
        (
            "email_domains",
            "E-mail domains that may pass",
            "Separated by spaces; * for every account of the provider.",
            "An account passes with an address of one of these domains. At a public provider, * lets everybody pass.",
            " ".join(settings.email_domains),
        ),
        (
            "groups",
            "Groups that may pass",
            "Separated by commas; leave it empty for all.",
            f"An account must be in one of them. The provider must send them in the claim {settings.groups_claim}.",
            ", ".join(settings.groups),
        ),
    )


def apply_answer(settings: SignIn, name: str, value: str) -> SignIn:
    """The settings with one of these questions answered; an empty answer is valid.

    Raises:
        InputError: the value cannot be used.
    """
    text = value.strip()
    if name == "email_domains":
        domains = tuple(dict.fromkeys(text.replace(",", " ").split()))
        for each in domains:
            if each != "*" and not _DOMAIN.fullmatch(each):
                raise InputError(
                    f"'{plain(each, 80)}' is not a domain", todo="Type domains such as example.net, or *"
                )
        return replace(settings, email_domains=domains)
    if name == "groups":
        groups = tuple(dict.fromkeys(each.strip() for each in text.split(",") if each.strip()))
        if not all(_GROUP.fullmatch(each) for each in groups):
            raise InputError(
                'a group has one of the signs " \\ $ % or a control character', todo="Use another group"
            )
        return replace(settings, groups=groups)
    if name in ("client_secret_file", "ca_file"):
        return _with(settings, name, full_path(text))
    if name == "issuer" and text and not (_ISSUER.fullmatch(text) and text.isprintable()):
        raise InputError("this is not an https URL", todo="Type a URL such as https://id.example.net")
    if name == "client_id" and text and not (_CLIENT.fullmatch(text) and text.isprintable()):
        raise InputError("this is not a client id", todo="Copy it from the provider")
    return _with(settings, name, text.removesuffix("/.well-known/openid-configuration"))


def _with(settings: SignIn, name: str, value: str) -> SignIn:
    return replace(settings, **{name: value})  # type: ignore[arg-type]
