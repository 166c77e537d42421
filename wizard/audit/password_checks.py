"""Checks of passwords and hashes: whether they are sent unencrypted, guessable, or shared."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Final

from wizard import endpoints, passwords
from wizard.audit.config_settings import Setting, settings
from wizard.audit.report import Check, Severity
from wizard.audit.subjects import Evidence, Found, Seen, ServerView, Skipped, Unseen
from wizard.redact import Secret, plain

_HASH: Final = re.compile(r"\$2[abxy]?\$(\d\d)\$")
_COST: Final = 10
_DEAREST: Final = 12
"""Highest bcrypt cost of a hash that is tested: with a higher one, each guess would take seconds."""
_PUBLISHED: Final = {
    # From the documentation of Prometheus and of the exporter toolkit, from which people copy whole examples.
    "hNf2lSsxfm0.i4a.1kVpSOVyBCfIB51VRjgBUyv6kdnyTlgWj81Ay": "Prometheus' guide to basic authentication",
    "mDwo.lAisC94iLAyP81MCesa29IzH37oigHC/42V2pdJlUprsJPze": "the exporter toolkit's example",
    "hLqFl9jSjoAAy95Z/zw8Ye8wkdMBM8c5Bn1ptYqP/AXyV0.oy0S8m": "the exporter toolkit's example",
}
_COMMON: Final = ("password", "prometheus", "admin", "changeme", "secret")


def _hashes(server: ServerView) -> Iterator[tuple[str, Setting]]:
    """(user, setting with the hash) for each user of a server's web configuration."""
    state = server.host.read(server.service.web_config)
    if state is None:
        return
    for setting in settings(state.content):
        if setting.path[:1] == ("basic_auth_users",) and len(setting.path) == 2:
            yield str(setting.path[1]), setting


def _none(server: ServerView) -> Unseen | Skipped | None:
    """The result for a server without users, or whose web configuration is unreadable; None if it has users."""
    if server.web_problem:
        return Unseen(server.web_problem)
    return None if server.web is not None and server.web.users else Skipped()


def _in_clear(server: ServerView) -> Seen:
    if server.silent:
        yield Unseen(server.silent)
        return
    practice = server.host.facts.spec.connect == "practice"
    if server.exposure.password and not server.exposure.tls:
        yield Found(
            evidence=f"http://{server.service.listen} asks for a password without TLS",
            severity=server.spared,
            file=server.service.web_config,
        )
    for use in server.uses:
        if use.scheme != "http" or not use.has_credentials or use.place.kind == "module":
            continue
        here = endpoints.is_loopback(endpoints.split(use.address)[0]) and not practice
        spared: Severity | None = "low" if here else None
        yield Found(
            evidence=f"{use.where} sends its credentials to http://{plain(use.address, 100)}",
            file=use.file,
            line=use.line,
            severity=spared,
        )


def _guessable_passwords(server: ServerView) -> Seen:
    if instead := _none(server):
        yield instead
        return
    for user, setting in _hashes(server):
        found = _HASH.match(setting.text)
        source = _PUBLISHED.get(setting.text[7:])
        why = f"its hash is that of {source}" if source else ""
        if not why and found and int(found[1]) <= _DEAREST:
            why = _guess(setting.text, user)
        if why:
            yield Found(
                evidence=f"user {plain(user, 60)}: {why}",
                file=server.service.web_config,
                line=setting.line,
            )


@functools.lru_cache(512)
def _guess(hashed: str, user: str) -> str:
    """Which common password a hash belongs to, as a clause; '' if none. Cached, because many servers share hashes."""
    for guess in dict.fromkeys((*_COMMON, user)):
        if guess and passwords.matches(Secret(guess), hashed):
            return "the password is its own user name" if guess == user else "a common password"
    return ""


def _cost(server: ServerView) -> Seen:
    if instead := _none(server):
        yield instead
        return
    for user, setting in _hashes(server):
        found = _HASH.match(setting.text)
        if found and int(found[1]) != _COST:
            yield Found(
                evidence=f"the hash of user {plain(user, 60)} has cost {int(found[1])}",
                file=server.service.web_config,
                line=setting.line,
            )


def _one_for_all(seen: Evidence) -> Seen:
    by_hash: dict[str, list[tuple[ServerView, str, Setting]]] = {}
    for server in seen.servers:
        for user, setting in _hashes(server):
            by_hash.setdefault(setting.text, []).append((server, user, setting))
    protected = {server.service.component for server in seen.servers if server.web and server.web.users}
    if len(protected) < 2:
        yield Skipped()
        return
    for users in by_hash.values():
        if {server.service.component for server, _, _ in users} != protected:
            continue
        encrypted = all(server.exposure.tls for server, _, _ in users)
        for server, user, setting in users:
            yield Found(
                evidence=f"user {plain(user, 60)} has the same hash for {', '.join(sorted(protected))}",
                file=server.service.web_config,
                line=setting.line,
                severity="low" if encrypted else None,
                host=server.service.host,
                component=server.service.component,
                instance=server.service.instance,
            )


CHECKS: Final = (
    Check(
        id="AUT-01",
        severity="high",
        title="A password is sent over plain HTTP",
        means=("configuration", "wire"),
        looks_at="Requests each component by plain HTTP, and reads which clients send credentials to it by http.",
        why="Whoever is on the path reads the password with the first request.",
        remediation="Serve TLS, and let the clients use https",
        step="secure",
        look=_in_clear,
    ),
    Check(
        id="AUT-02",
        severity="high",
        title="The password is a published or a common one",
        means=("configuration",),
        looks_at="Compares the hashes of web configurations with those of published examples, and with six common "
        "passwords each. Nothing is sent.",
        why="The first who tries is accepted.",
        remediation="Set a new password: firescreen apply STACK --renew passwords",
        step="renew",
        look=_guessable_passwords,
    ),
    Check(
        id="AUT-03",
        severity="low",
        title="The cost of a hash tells which users exist",
        means=("configuration",),
        looks_at="Reads the bcrypt cost of each hash: 10 is the cost that the server uses for unknown users.",
        why="With another cost, a wrong password takes longer or shorter for a user that exists.",
        remediation="Hash the password with cost 10: firescreen hash",
        step="renew",
        look=_cost,
    ),
    Check(
        id="AUT-04",
        severity="medium",
        title="One password is used for all components",
        means=("configuration",),
        looks_at="Compares the hashes of all web configurations. Low where every one of these servers speaks TLS.",
        why="Who has it from one exporter's client can query Prometheus and silence alerts.",
        remediation="Give Prometheus and Alertmanager users of their own",
        scope="stack",
        look=_one_for_all,
    ),
)
