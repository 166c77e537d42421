"""The client logins of a stack file: parsed, checked with the place of an error, and written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from wizard import yamlfile
from wizard.errors import StackError
from wizard.model import Authorization, ClientLogin, OAuth2, Stack

_PLACES = ("job", "alertmanagers", "remote_write", "remote_read")
_WAYS = ("oauth2", "authorization")


def check_entries(read: yamlfile.Read) -> None:
    """Checks that each entry has one place and one kind of login.

    Raises:
        StackError: for the first entry without.
    """
    for index, entry in enumerate(read.data.get("client_logins", ())):
        for keys, what in ((_PLACES, "place where Prometheus logs in"), (_WAYS, "way to log in")):
            given = [key for key in keys if key in entry]
            if len(given) != 1:
                raise StackError(
                    f"this entry has {' and '.join(given) or 'none of ' + ', '.join(keys)}, and needs one {what}",
                    where=read.where(("client_logins", index)),
                    todo="Keep one of them; a further place is an entry of its own"
                    if given
                    else "Add one of them",
                )


def read(entries: Iterable[Mapping[str, Any]]) -> tuple[ClientLogin, ...]:
    """Parses the client logins of data that the schema has accepted."""
    found = []
    for entry in entries:
        place = next(each for each in _PLACES if each in entry)
        way: OAuth2 | Authorization
        if "oauth2" in entry:
            more = dict(entry["oauth2"])
            more["scopes"] = tuple(more.get("scopes", ()))
            more["endpoint_params"] = tuple(more.get("endpoint_params", {}).items())
            way = OAuth2(**more)
        else:
            way = Authorization(**entry["authorization"])
        found.append(ClientLogin(host=entry["host"], place=place, name=str(entry[place]), way=way))  # type: ignore[arg-type]
    return tuple(found)


def dump(logins: Iterable[ClientLogin]) -> list[dict[str, Any]]:
    """Client logins in the form that `read` accepts, without default values."""
    found = []
    for each in logins:
        name: str | int = int(each.name) if each.place == "alertmanagers" else each.name
        entry: dict[str, Any] = {"host": each.host, each.place: name}
        if isinstance(each.way, OAuth2):
            way: dict[str, Any] = {
                "client_id": each.way.client_id,
                "client_secret_file": each.way.client_secret_file,
                "token_url": each.way.token_url,
            }
            way |= {"scopes": list(each.way.scopes)} if each.way.scopes else {}
            way |= {"endpoint_params": dict(each.way.endpoint_params)} if each.way.endpoint_params else {}
            way |= {"ca_file": each.way.ca_file} if each.way.ca_file else {}
        else:
            way = {"credentials_file": each.way.credentials_file}
            way |= {"type": each.way.type} if each.way.type != "Bearer" else {}
        entry[each.setting] = way
        found.append(entry)
    return found


def check(stack: Stack, read: yamlfile.Read) -> None:
    """Checks client logins beyond the schema.

    Raises:
        StackError: the first error.
    """
    seen: set[tuple[str, str, str]] = set()
    for index, login in enumerate(stack.client_logins):
        where = read.where(("client_logins", index))
        hosts = [each.host for each in stack.components if each.name == "prometheus"]
        if login.host not in hosts:
            raise StackError(
                f"there is no prometheus on {login.host} in components",
                where=where,
                todo=f"Add {{host: {login.host}, name: prometheus, protect: []}}, or name its host",
            )
        if (login.host, login.place, login.name) in seen:
            raise StackError(
                f"{login.place} {login.name} of {login.host} is listed twice",
                where=where,
                todo="Keep one of them",
            )
        seen.add((login.host, login.place, login.name))
        if isinstance(login.way, OAuth2) and not login.way.token_url.startswith("https://"):
            raise StackError(
                f"the client secret would be sent unencrypted to {login.way.token_url}",
                where=where,
                todo="Use the https URL of the token endpoint",
            )
