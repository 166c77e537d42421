"""Questions about a front door's settings beyond TLS and login, each with its purpose and its risks. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from wizard.errors import InputError
from wizard.front_doors import proxy
from wizard.front_doors.settings import SETTINGS, Hardening
from wizard.model import Facts, FrontDoor, Question, Setting

LIVE = "/etc/letsencrypt/live"
"""Where certbot keeps each name's certificate."""
SYSTEM_ROOTS = "/etc/ssl/certs/ca-certificates.crt"
_BLOCKS = {"block_lifecycle": "lifecycle", "block_admin_api": "admin_api"}
_LIMITS = {
    "max_body_size": (1, 10240),
    "hsts_days": (0, 3650),
    "timeout": (1, 86400),
    "rate_limit": (0, 100_000),
}
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?")
_YES_NO = (("yes", "yes"), ("no", "no"))


def questions(facts: Facts, door: FrontDoor) -> Iterator[Question]:
    """Yields the questions for experts about one front door; the defaults break as little as possible."""
    subject = f"{door.host}/{door.proxy}"
    host, reverse_proxy = facts.hosts.get(door.host), proxy(door.proxy)
    if host is not None and host.files.get(lets_encrypt(door.name)[0]) is not None:
        yield Question(
            setting=Setting("front_doors", "certificate", subject),
            title="Certificate of the front door",
            why="certbot keeps one of Let's Encrypt for this name on the host: browsers trust it without your CA.",
            more=(
                f"It is {LIVE}/{door.name}/fullchain.pem, the certificate with its chain: cert.pem alone lacks the chain, and "
                "clients would not trust it. A script in /etc/letsencrypt/renewal-hooks/deploy has the proxy take each "
                "renewed one."
            ),
            kind="choice",
            default="letsencrypt" if door.cert_file == lets_encrypt(door.name)[0] else "",
            choices=(("", "one of your own CA"), ("letsencrypt", "that of Let's Encrypt")),
        )
    for each in SETTINGS:
        if reverse_proxy is None or not reverse_proxy.cannot(each.name):
            yield _question(subject, door, each)


def _question(subject: str, door: FrontDoor, each: Hardening) -> Question:
    value = _value(door, each.name)
    switch = isinstance(value, bool)
    return Question(
        setting=Setting("front_doors", each.name, subject),
        title=each.title,
        why=each.why,
        more=f"{each.why} It can break: {each.breaks[:1].lower()}{each.breaks[1:]}"
        if each.breaks
        else each.why,
        kind="choice" if switch else "names" if each.name == "cors" else "number",
        default=("yes" if value else "no") if switch else str(value),
        choices=_YES_NO if switch else (),
        priority="low",
    )


def _value(door: FrontDoor, name: str) -> bool | int | str:
    if name in _BLOCKS:
        return _BLOCKS[name] in door.block
    if name == "cors":
        return " ".join(door.cors)
    value: bool | int = getattr(door, name)
    return value


def is_one(name: str) -> bool:
    """Whether a setting is one of these."""
    return name == "certificate" or any(each.name == name for each in SETTINGS)


def apply_answer(door: FrontDoor, name: str, value: str) -> FrontDoor:
    """The front door with one of these settings changed.

    Raises:
        InputError: the value is not valid.
    """
    if name == "certificate":
        return _with_certificate(door, value)
    if name == "cors":
        origins = tuple(dict.fromkeys(re.split(r"[\s,]+", value.strip()))) if value.strip() else ()
        for origin in origins:
            if not _ORIGIN.fullmatch(origin):
                raise InputError(
                    "this is not an origin",
                    todo="Type scheme and name alone, such as https://grafana.example.net",
                )
        return replace(door, cors=origins)
    if name in _LIMITS:
        least, most = _LIMITS[name]
        if not value.strip().isdecimal() or not least <= int(value) <= most:
            raise InputError(f"this is not a number from {least} to {most}", todo="Type a number")
        return replace(door, **{name: int(value)})  # type: ignore[arg-type]
    if value not in dict(_YES_NO):
        raise InputError("this is not yes or no", todo="Choose one from the list")
    if name == "headers":
        return replace(door, headers=value == "yes")
    block = {*door.block, _BLOCKS[name]} if value == "yes" else {*door.block} - {_BLOCKS[name]}
    return replace(door, block=tuple(each for each in _BLOCKS.values() if each in block))  # type: ignore[misc]


def lets_encrypt(name: str) -> tuple[str, str]:
    """certbot's paths for a name: certificate with chain, and key."""
    return f"{LIVE}/{name}/fullchain.pem", f"{LIVE}/{name}/privkey.pem"


def _with_certificate(door: FrontDoor, value: str) -> FrontDoor:
    if value not in ("", "letsencrypt"):
        raise InputError("this cannot be chosen here", todo="Choose one from the list")
    if not value:
        return replace(door, cert_file="", key_file="", ca_file="")
    certificate, key = lets_encrypt(door.name)
    return replace(door, cert_file=certificate, key_file=key, ca_file=SYSTEM_ROOTS)
