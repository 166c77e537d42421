"""Prometheus' logins as questions: to which servers it connects, how it logs in today, and how it will log in. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from wizard.components.base import numbers
from wizard.config_files.prometheus import client_logins as configured
from wizard.errors import ConfigError, InputError
from wizard.model import Authorization, ClientLogin, Facts, LoginPlace, OAuth2, Question, Setting, Stack
from wizard.planner import paths
from wizard.planner.client_endpoints import Place
from wizard.planner.client_facts import Client
from wizard.planner.client_logins import SINCE, names_of
from wizard.planner.path_answer import full_path
from wizard.redact import plain

PLACES: Final[tuple[LoginPlace, ...]] = ("job", "alertmanagers", "remote_write", "remote_read")
NOW: Final[Mapping[str, str]] = {
    "": "no login",
    "basic_auth": "user and password",
    "oauth2": "OAuth2",
    "authorization": "bearer token",
    "bearer_token": "bearer token",
    "bearer_token_file": "bearer token",
    "url": "user in the URL",
}
"""The titles of present logins, by the key in the configuration; for any other key, the key is the title."""
WAYS: Final[tuple[tuple[str, str], ...]] = (
    ("oauth2", "OAuth2: fetch a token with a client ID and secret"),
    ("authorization", "bearer token: send the token of a file"),
)
_URL = re.compile(r"https://[^\s\"\\?#@]+(\?[^\s\"\\#]*)?")
_TEXT = re.compile(r"[^\s\"\\]+")
_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9._-]*")
_TYPED = "Typed here, it is written to the file below. Leave it empty if the file has it already."
_RIGHTS = "Only root and Prometheus can read it after the run: mode 0640, group of Prometheus."
_DISCOVERY = "/.well-known/openid-configuration"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginCandidate:
    """A place where a Prometheus is a client, as shown for a choice."""

    host: str
    place: LoginPlace
    names: tuple[str, ...]
    """The names that a stack file may use for it; a new login gets the first."""
    how: str
    """The place's name for people: 'job api', 'alertmanagers 1'."""
    addresses: tuple[str, ...]
    """host:port of every server to which it connects."""
    now: str
    """How it logs in today, see `NOW`."""
    present: ClientLogin | None = None
    """Its present login with a token, if a stack file can express it."""
    obstacles: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Why a login is impossible, and what to do, by kind of login or setting; the key '' stands for both kinds."""
    folder: str = "/etc/prometheus"
    """The proposed folder for a file with its secret."""

    @property
    def name(self) -> str:
        """The name by which its login refers to it."""
        return self.names[0]

    @property
    def key(self) -> str:
        """The key of its login."""
        return f"{self.host}: {self.place} {self.name}"

    def login(self, stack: Stack) -> ClientLogin | None:
        """The login that the stack has for it; None to keep the present one."""
        return next((each for each in stack.client_logins if self.has(each)), None)

    def has(self, login: ClientLogin) -> bool:
        """Whether a login belongs to this place, by any of its names."""
        return (login.host, login.place) == (self.host, self.place) and login.name in self.names

    def file(self, way: str) -> str:
        """The proposed file for its secret."""
        stem = re.sub(r"[^A-Za-z0-9_-]+", "-", f"{self.place}-{self.name}").strip("-").lower()
        return posixpath.join(self.folder, f"{stem}.{'client-secret' if way == 'oauth2' else 'token'}")


def candidates(stack: Stack, facts: Facts) -> tuple[LoginCandidate, ...]:
    """The places where Prometheus servers of a stack are clients, in the order of their configurations."""
    found = []
    for client in paths.scrapers(stack, facts):
        try:
            places, texts = client.places(), client.texts
        except ConfigError:
            continue  # the planner reports the error with its place
        if not client.instance:
            found += [
                _candidate(client, each, texts.get(each.path or client.service.config_file, b""))
                for each in places
                if each.kind in PLACES
            ]
    return tuple(found)


def _candidate(client: Client, place: Place, content: bytes) -> LoginCandidate:
    host, kind, names = (
        client.host.spec.name,
        next(each for each in PLACES if each == place.kind),
        names_of(place),
    )
    return LoginCandidate(
        host=host,
        place=kind,
        names=names,
        how=place.how,
        addresses=place.addresses,
        now="basic_auth" if place.basic_auth else place.other_auth,
        present=_present(host, kind, names[0], _configured_login(content, place)),
        obstacles=_obstacles(client, place),
        folder=client.own_folder,
    )


def _configured_login(content: bytes, place: Place) -> tuple[str, Mapping[str, object]] | None:
    block = place.block
    try:
        return configured.login_at(content, (block.kind, block.index) if block else ("job", place.name))
    except ConfigError:
        return None


def _present(
    host: str, place: LoginPlace, name: str, found: tuple[str, Mapping[str, object]] | None
) -> ClientLogin | None:
    """The login of a configuration; None if its secret is inline, or a stack file lacks one of its settings."""
    if found is None:
        return None
    key, value = found
    texts = {name: str(each) for name, each in value.items() if isinstance(each, str)}
    file = texts.get("client_secret_file" if key == "oauth2" else "credentials_file", "")
    if not posixpath.isabs(file):
        return None
    way: OAuth2 | Authorization
    if key == "authorization":
        way = Authorization(credentials_file=file, type=texts.get("type", "Bearer"))
    else:
        scopes, more, tls = value.get("scopes"), value.get("endpoint_params"), value.get("tls_config")
        way = OAuth2(
            client_id=texts.get("client_id", ""),
            client_secret_file=file,
            token_url=texts.get("token_url", ""),
            scopes=tuple(map(str, scopes)) if isinstance(scopes, list) else (),
            endpoint_params=tuple((str(k), str(v)) for k, v in more.items())
            if isinstance(more, dict)
            else (),
            ca_file=str(tls.get("ca_file", "")) if isinstance(tls, dict) else "",
        )
    return ClientLogin(host=host, place=place, name=name, way=way)


def _obstacles(client: Client, place: Place) -> dict[str, tuple[str, str]]:
    found = {}
    version, path = client.service.version, place.path or client.service.config_file
    for setting, since in SINCE.items():
        if version and numbers(version) < numbers(since):
            what = f"Prometheus {version} does not know it, it came with {since}"
            found[setting] = (what, "Update Prometheus")
    if place.scheme == "http":
        what = f"{place.how} uses plain http, a token would be sent unencrypted"
        found[""] = (what, f"Secure it first, or set scheme: https in {path}")
    rival = "basic_auth" if place.basic_auth else place.other_auth
    if rival:
        # One of the two may replace itself, with other values.
        way = {"oauth2": "authorization", "authorization": "oauth2"}.get(rival, "")
        words = NOW.get(rival, rival)
        what = f"{place.how} logs in with {words} ({rival}), and only one way is allowed"
        found[way] = (what, f"Remove {rival} in {path}")
    return found


def questions(stack: Stack, candidate: LoginCandidate) -> Iterator[Question]:
    """Yields the questions about the login of one place."""
    login = candidate.login(stack)
    now = NOW.get(candidate.now, candidate.now)
    yield Question(
        setting=Setting("client_logins", "way", candidate.key),
        title=f"How Prometheus logs in at {candidate.how}",
        why="OAuth2 fetches a new token whenever one expires. A bearer token is sent as it stands in its file.",
        more=(
            "Where a company's sign-in is in front of the targets, they accept a token in place of a user and password. With "
            "OAuth2, Prometheus shows client ID and client secret at the token endpoint of the identity provider (grant type "
            "client_credentials). With a bearer token, it reads a token that you have from a file."
        ),
        kind="choice",
        default=login.setting if login is not None else "",
        choices=(("", f"keep as is: {now}"), *WAYS),
    )
    if login is not None:
        local = stack.host(candidate.host).connect == "local"
        for name, title, why, more, default in _texts("this machine" if local else candidate.host, login):
            yield Question(
                setting=Setting("client_logins", name, candidate.key),
                title=title,
                why=why,
                more=more or why,
                kind="secret" if name == "secret" else "text",
                default=default,
                priority="low" if name in ("endpoint_params", "type") else "high",
            )


def _texts(host: str, login: ClientLogin) -> Iterator[tuple[str, str, str, str, str]]:
    """Yields name, title, why, more and present answer of each question."""
    if isinstance(login.way, Authorization):
        yield from _token_texts(host, login.way)
    else:
        yield from _oauth2_texts(host, login.way)


def _token_texts(host: str, way: Authorization) -> Iterator[tuple[str, str, str, str, str]]:
    yield "secret", "Token", _TYPED, "It is shown in no plan, no log and no stack file.", ""
    yield (
        "secret_file",
        "File with the token",
        f"Full path on {host}. Prometheus reads the token there, and sends it as Authorization: {way.type}.",
        _RIGHTS,
        way.credentials_file,
    )
    words = "The word before the token. Nearly every server expects Bearer."
    yield "type", "Type of the token", words, "", way.type


def _oauth2_texts(host: str, way: OAuth2) -> Iterator[tuple[str, str, str, str, str]]:
    yield (
        "token_url",
        "Token URL",
        "The provider's token endpoint. The provider names it at /.well-known/openid-configuration.",
        "Prometheus asks there for a token, with client ID and secret, and again before the token expires.",
        way.token_url,
    )
    yield (
        "client_id",
        "Client ID",
        "What the provider calls this Prometheus. The client needs the grant type client_credentials.",
        "Register Prometheus there as a confidential client (a service account).",
        way.client_id,
    )
    more = "The provider shows it with the client ID. It is shown in no plan, no log and no stack file."
    yield "secret", "Client secret", _TYPED, more, ""
    yield (
        "secret_file",
        "File with the client secret",
        f"Full path on {host}. Prometheus reads the secret there whenever it needs a token.",
        _RIGHTS,
        way.client_secret_file,
    )
    yield (
        "scopes",
        "Scopes",
        "What the token is for, separated by spaces. Leave it empty if the provider needs none.",
        "The provider's documentation, or the owner of the target, names them.",
        " ".join(way.scopes),
    )
    yield (
        "ca_file",
        "CA of the token endpoint",
        f"Full path on {host}. Leave it empty if every system trusts the provider's certificate.",
        "The CA of the scrape job does not count at the token endpoint: they are two connections.",
        way.ca_file,
    )
    yield (
        "endpoint_params",
        "Further parameters of the token request",
        "Pairs such as audience=https://api.example.net, separated by spaces. Few providers need any.",
        "",
        " ".join(f"{key}={value}" for key, value in way.endpoint_params),
    )


def answer(stack: Stack, candidate: LoginCandidate, name: str, value: str) -> Stack:
    """The stack with one of these questions answered; an empty answer is stored too, see `missing_answers`.

    A typed secret is checked here, but the caller keeps it, in `Answers`.

    Raises:
        InputError: the value cannot be used.
    """
    login, text = candidate.login(stack), value.strip()
    if name == "way":
        return _with(stack, candidate, _initial_login(candidate, value) if value else None)
    if login is None:
        raise InputError(f"{plain(candidate.how)} keeps its login", todo="Choose how it is to log in")
    way = login.way
    if name == "secret":
        if any(not each.isprintable() for each in text):
            raise InputError("it has characters that cannot be typed", todo="Copy it from the provider again")
        return stack
    if isinstance(way, OAuth2):
        return _with(stack, candidate, replace(login, way=_oauth2(candidate, way, name, text)))
    if name == "type":
        if not _TYPE.fullmatch(text) or text.lower() == "basic":
            raise InputError(
                "this is not the type of a token", todo="Type Bearer, or what the server expects"
            )
        return _with(stack, candidate, replace(login, way=replace(way, type=text)))
    return _with(stack, candidate, replace(login, way=replace(way, credentials_file=full_path(text))))


def missing_answers(login: ClientLogin) -> dict[str, str]:
    """The settings that a login still lacks: the complaint by the question's name."""
    way = login.way
    found = {} if login.secret_file else {"secret_file": "a file is needed: Type its full path"}
    if isinstance(way, OAuth2):
        if not way.token_url:
            found["token_url"] = "the token URL is needed: Copy it from the provider"
        if not way.client_id:
            found["client_id"] = "the client ID is needed: Copy it from the provider"
    return found


def _initial_login(candidate: LoginCandidate, way: str) -> ClientLogin:
    """The initial login of a kind: the present one, or an empty one with the proposed file."""
    for key in ("", way):
        if obstacle := candidate.obstacles.get(key):
            raise InputError(obstacle[0], todo=obstacle[1])
    if candidate.present is not None and candidate.present.setting == way:
        return candidate.present
    file = candidate.file(way)
    begun: OAuth2 | Authorization
    if way == "oauth2":
        begun = OAuth2(client_id="", client_secret_file=file, token_url="")
    elif way == "authorization":
        begun = Authorization(credentials_file=file)
    else:
        raise InputError(f"'{plain(way)}' cannot be chosen here", todo="Choose one from the list")
    return ClientLogin(host=candidate.host, place=candidate.place, name=candidate.name, way=begun)


def _with(stack: Stack, candidate: LoginCandidate, login: ClientLogin | None) -> Stack:
    """The stack with this login at the position of the old one."""
    logins, before = list(stack.client_logins), candidate.login(stack)
    place = logins.index(before) if before is not None else len(logins)
    logins[place : place + 1] = [login] if login is not None else []
    return replace(stack, client_logins=tuple(logins))


def _oauth2(candidate: LoginCandidate, way: OAuth2, name: str, text: str) -> OAuth2:
    match name:
        case "token_url":
            if text.endswith(_DISCOVERY):
                raise InputError(
                    "this is the provider's description", todo="Open it, and type its token_endpoint"
                )
            if text and not (_URL.fullmatch(text) and text.isprintable()):
                raise InputError(
                    "this is not an https URL", todo="Type a URL such as https://id.example.net/token"
                )
            return replace(way, token_url=text)
        case "client_id":
            if text and not (_TEXT.fullmatch(text) and text.isprintable()):
                raise InputError("this is not a client ID", todo="Copy it from the provider")
            return replace(way, client_id=text)
        case "scopes":
            scopes = tuple(dict.fromkeys(text.replace(",", " ").split()))
            if not text.isprintable() or not all(map(_TEXT.fullmatch, scopes)):
                raise InputError(
                    'a scope has one of the signs " \\ or a control character',
                    todo="Copy it from the provider",
                )
            return replace(way, scopes=scopes)
        case "ca_file":
            if text and (obstacle := candidate.obstacles.get("oauth2.tls_config")):
                raise InputError(
                    obstacle[0],
                    todo="Update Prometheus, or add this CA to those that its host trusts and leave this empty",
                )
            return replace(way, ca_file=full_path(text))
        case "endpoint_params":
            pairs = [each.partition("=") for each in text.split()]
            if not text.isprintable() or not all(key and sign and value for key, sign, value in pairs):
                raise InputError(
                    "this is not a list of pairs", todo="Type e.g. audience=https://api.example.net"
                )
            return replace(way, endpoint_params=tuple((key, value) for key, _, value in pairs))
    return replace(way, client_secret_file=full_path(text))
