"""The stack file, `firescreen.yaml`: read with the place of every mistake, and written back.

The JSON Schema in `assets/firescreen.schema.json` is the one description of the format: editors can use it,
and this loader does. A mistake names file, line and, for an unknown key, the nearest known one.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from wizard import assets, yamlfile
from wizard.errors import StackError
from wizard.model import CertificateSpec, ComponentSpec, HostSpec, Stack, UserSpec

LARGEST_FILE = 1_000_000
"""Bytes; a stack of thousands of hosts stays far below."""

_FORMAT = yamlfile.Format(
    noun="a stack file",
    error=StackError,
    largest=LARGEST_FILE,
    start="start from the example in the README",
    advice={
        "oneOf": "write generate, prompt, or {file: PATH}",
        "pattern": "use letters, digits, dots and hyphens",
    },
)


def load(path: Path) -> Stack:
    """The stack that a file describes.

    Raises:
        StackError: the file cannot be read, is not YAML, or says something that cannot be done. Nothing has
            been touched.
    """
    return parse(yamlfile.text_of(path, _FORMAT), source=str(path))


def parse(text: str, *, source: str) -> Stack:
    """The stack that a text describes; `source` names it in messages.

    Raises:
        StackError: see `load`.
    """
    read = yamlfile.parse(text, source=source, form=_FORMAT)
    yamlfile.check(read, _validator(), _FORMAT)
    stack = _stack(read.data, source)
    _check_references(stack, read)
    return stack


def dump(stack: Stack) -> str:
    """The stack as the text of a stack file; `parse` of it gives the same stack."""
    hosts: dict[str, Any] = {}
    for host in stack.hosts:
        entry: dict[str, Any] = {"connect": host.connect}
        for key in ("address", "user", "identity_file", "known_hosts", "become", "instance"):
            if getattr(host, key):
                entry[key] = getattr(host, key)
        if host.os != "linux":
            entry["os"] = host.os
        if host.port != HostSpec(name="", connect="").port:
            entry["port"] = host.port
        hosts[host.name] = entry
    components = []
    for component in stack.components:
        entry = {"host": component.host, "name": component.name, "protect": list(component.protect)}
        if component.names:
            entry["names"] = list(component.names)
        if component.service:
            entry["service"] = component.service
        components.append(entry)
    users: dict[str, Any] = {}
    for user in stack.users:
        users[user.name] = {
            "password": {"file": user.file} if user.password == "file" else user.password,
            "cost": user.cost,
        }
    certificates = stack.certificates
    document = {
        "version": 1,
        "hosts": hosts,
        "certificates": {
            "issued_by": certificates.issued_by,
            "key": certificates.key,
            "days": certificates.days,
            "passphrase": certificates.passphrase,
        },
        "components": components,
        "users": users,
    }
    out = StringIO()
    yaml: Any = YAML(typ="safe")
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False
    yaml.dump(document, out)
    return out.getvalue()


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(json.loads(assets.path("firescreen.schema.json").read_text(encoding="utf-8")))


def _stack(data: Mapping[str, Any], source: str) -> Stack:
    """The typed stack of data that the schema has accepted."""
    users = tuple(_users(data.get("users", {"prometheus": {}})))
    return Stack(
        hosts=tuple(HostSpec(name=name, **fields) for name, fields in data["hosts"].items()),
        components=tuple(
            ComponentSpec(
                host=entry["host"],
                name=entry["name"],
                protect=tuple(entry.get("protect", ())),
                names=tuple(entry.get("names", ())),
                service=entry.get("service", ""),
            )
            for entry in data["components"]
        ),
        certificates=CertificateSpec(**data.get("certificates", {})),
        users=users,
        source=source,
    )


def _users(users: Mapping[str, Mapping[str, Any]]) -> Iterator[UserSpec]:
    for name, fields in users.items():
        password = fields.get("password", "generate")
        cost = fields.get("cost", 10)
        if isinstance(password, dict):
            yield UserSpec(name=name, password="file", file=password["file"], cost=cost)
        else:
            yield UserSpec(name=name, password=password, cost=cost)


def _check_references(stack: Stack, read: yamlfile.Read) -> None:
    """What a schema cannot see: names that point nowhere, things named twice, things not built yet.

    Raises:
        StackError: the first such mistake.
    """
    from wizard.components import all_components

    names = [host.name for host in stack.hosts]
    known = {component.name for component in all_components()}
    seen: set[str] = set()
    for index, component in enumerate(stack.components):
        where = read.where(("components", index))
        if component.host not in names:
            near = difflib.get_close_matches(component.host, names, n=1)
            raise StackError(
                f"there is no host '{component.host}'",
                where=where,
                todo=f"did you mean '{near[0]}'?" if near else f"known hosts: {', '.join(names)}",
            )
        if component.name not in known:
            near = difflib.get_close_matches(component.name, known, n=1)
            raise StackError(
                f"there is no component '{component.name}'",
                where=where,
                todo=f"did you mean '{near[0]}'?" if near else f"known: {', '.join(sorted(known))}",
            )
        if component.key in seen:
            raise StackError(f"{component.key} stands twice", where=where, todo="keep one of them")
        seen.add(component.key)
        if "client_cert" in component.protect:
            raise StackError(
                "client certificates are not built yet in this version",
                where=where,
                todo="use protect: [tls, basic_auth] for now",
            )
        if "basic_auth" in component.protect and "tls" not in component.protect:
            raise StackError(
                "a password without TLS would cross the network readably",
                where=where,
                todo="use protect: [tls, basic_auth]",
            )
    for host in stack.hosts:
        if host.connect == "manual" and not host.address:
            raise StackError(
                f"host '{host.name}' lacks 'address'",
                where=read.where(("hosts", host.name)),
                todo="add the name or address under which it is asked",
            )
        if host.connect in ("ssh", "incus"):
            raise StackError(
                f"host '{host.name}': connecting by {host.connect} is not built yet in this version",
                where=read.where(("hosts", host.name)),
                todo="run Firescreen on that host with connect: local",
            )
    if stack.certificates.issued_by in ("shared", "files"):
        raise StackError(
            f"certificates issued_by '{stack.certificates.issued_by}' is not built yet in this version",
            where=read.where(("certificates", "issued_by")),
            todo="use ca or self-signed",
        )
