"""The stack file, `firescreen.yaml`: parsed with the place of every error, and written.

The JSON Schema in `assets/firescreen.schema.json` is the only description of the format, for editors and for this
loader. An error names file, line and, for an unknown key, the nearest known one.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from wizard import assets, yamlfile
from wizard.errors import InputError, StackError
from wizard.inventory import client_logins, front_doors
from wizard.model import (
    SSH_PORT,
    CertificateSpec,
    ComponentSpec,
    HostSpec,
    OwnFiles,
    RateLimit,
    Stack,
    UserSpec,
)

LARGEST_FILE = 1_000_000
"""Bytes; a stack of thousands of hosts is far smaller."""

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
    """The stack of a file.

    Raises:
        StackError: the file cannot be read, is not YAML, or has settings that are impossible. Nothing has
            been changed.
    """
    return parse(yamlfile.text_of(path, _FORMAT), source=str(path))


def parse(text: str, *, source: str) -> Stack:
    """The stack of a text; `source` is its name in messages.

    Raises:
        StackError: see `load`.
    """
    read = yamlfile.parse(text, source=source, form=_FORMAT)
    yamlfile.check(read, _schema(), _FORMAT)
    client_logins.check_entries(read)
    stack = _stack(read.data, source)
    _check_references(stack, read)
    return stack


def dump(stack: Stack) -> str:
    """The stack as the text of a stack file; `parse` returns an equal stack."""
    hosts: dict[str, Any] = {}
    for host in stack.hosts:
        entry: dict[str, Any] = {"connect": host.connect}
        for key in ("address", "user", "identity_file", "known_hosts", "become", "instance", "via"):
            if getattr(host, key):
                entry[key] = getattr(host, key)
        if host.os != "linux":
            entry["os"] = host.os
        if host.port != SSH_PORT:
            entry["port"] = host.port
        hosts[host.name] = entry
    components = []
    for component in stack.components:
        entry = {"host": component.host, "name": component.name, "protect": list(component.protect)}
        if component.names:
            entry["names"] = list(component.names)
        named = ("unit", "service", "project", "container")
        entry |= {key: value for key in named if (value := getattr(component, key))}
        entry |= _dump_component(component)
        components.append(entry)
    users: dict[str, Any] = {}
    for user in stack.users:
        users[user.name] = {
            "password": {"file": user.file} if user.password == "file" else user.password,
            "cost": user.cost,
        }
    certificates = stack.certificates
    document: dict[str, Any] = {
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
    if stack.front_doors:
        document["front_doors"] = front_doors.dump(stack.front_doors)
    if stack.client_logins:
        document["client_logins"] = client_logins.dump(stack.client_logins)
    if stack.accept_broken:
        document["accept_broken"] = list(stack.accept_broken)
    out = StringIO()
    yaml: Any = YAML(typ="safe")
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False
    yaml.dump(document, out)
    return out.getvalue()


def write(stack: Stack, path: Path) -> None:
    """Writes a stack to a new file.

    Raises:
        InputError: the file exists already, or cannot be written.
    """
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(dump(stack))
    except FileExistsError as error:
        raise InputError("the file exists already", where=str(path), todo="Choose another name") from error
    except OSError as error:
        words = f"the stack file cannot be written: {error.strerror}"
        raise InputError(words, where=str(path), todo="Name a file in a folder that is there") from error


@cache
def _schema() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(assets.path("firescreen.schema.json").read_text(encoding="utf-8"))
    return found


def _stack(data: Mapping[str, Any], source: str) -> Stack:
    """The typed stack from data that the schema has accepted."""
    users = tuple(_users(data.get("users", {"prometheus": {}})))
    return Stack(
        hosts=tuple(HostSpec(name=name, **fields) for name, fields in data["hosts"].items()),
        components=tuple(
            ComponentSpec(
                host=entry["host"],
                name=entry["name"],
                protect=tuple(entry.get("protect", ())),
                names=tuple(entry.get("names", ())),
                unit=entry.get("unit", "").removesuffix(".service"),
                service=entry.get("service", ""),
                project=entry.get("project", ""),
                container=entry.get("container", ""),
                client_auth_type=entry.get("client_auth_type", "RequireAndVerifyClientCert"),
                client_allowed_sans=tuple(entry.get("client_allowed_sans", ())),
                min_version=entry.get("min_version", ""),
                headers=entry.get("headers", {}),
                rate_limit=RateLimit(**entry["rate_limit"]) if "rate_limit" in entry else None,
                cluster_tls=entry.get("cluster_tls", False),
                files=OwnFiles(**entry.get("files", {})),
            )
            for entry in data["components"]
        ),
        certificates=CertificateSpec(**data.get("certificates", {})),
        users=users,
        source=source,
        accept_broken=tuple(data.get("accept_broken", ())),
        front_doors=front_doors.read(data.get("front_doors", ())),
        client_logins=client_logins.read(data.get("client_logins", ())),
    )


def _dump_component(component: ComponentSpec) -> dict[str, Any]:
    """The settings of a component without default values."""
    entry: dict[str, Any] = {}
    usual = ComponentSpec(host="", name="")
    for key in ("client_auth_type", "client_allowed_sans", "min_version", "headers", "cluster_tls"):
        value = getattr(component, key)
        if value != getattr(usual, key):
            entry[key] = list(value) if isinstance(value, tuple) else value
    if component.headers:
        entry["headers"] = dict(component.headers)
    if component.rate_limit is not None:
        entry["rate_limit"] = asdict(component.rate_limit)
    files = {key: path for key, path in asdict(component.files).items() if path}
    return {**entry, "files": files} if files else entry


def _users(users: Mapping[str, Mapping[str, Any]]) -> Iterator[UserSpec]:
    for name, fields in users.items():
        password = fields.get("password", "generate")
        cost = fields.get("cost", 10)
        if isinstance(password, dict):
            yield UserSpec(name=name, password="file", file=password["file"], cost=cost)
        else:
            yield UserSpec(name=name, password=password, cost=cost)


def _check_references(stack: Stack, read: yamlfile.Read) -> None:
    """Checks the stack beyond the schema: undefined names, duplicates, and features that do not exist yet.

    Raises:
        StackError: the first error.
    """
    from wizard.components import all_components

    names = [host.name for host in stack.hosts]
    component_names = {component.name for component in all_components()}
    seen: set[str] = set()
    for index, component in enumerate(stack.components):
        where = read.where(("components", index))
        if component.host not in names:
            near = difflib.get_close_matches(component.host, names, n=1)
            raise StackError(
                f"there is no host '{component.host}'",
                where=where,
                todo=f"Did you mean '{near[0]}'?" if near else f"Use one of: {', '.join(names)}",
            )
        if component.name not in component_names:
            near = difflib.get_close_matches(component.name, component_names, n=1)
            raise StackError(
                f"there is no component '{component.name}'",
                where=where,
                todo=f"Did you mean '{near[0]}'?"
                if near
                else f"Use one of: {', '.join(sorted(component_names))}",
            )
        if component.key in seen:
            raise StackError(
                f"{component.key} is listed twice",
                where=where,
                todo="Keep one of them; where the host has several, name the unit of each further one (unit: …)",
            )
        seen.add(component.key)
        _check_component(stack, component, where)
        if "basic_auth" in component.protect and "tls" not in component.protect:
            raise StackError(
                "basic_auth without TLS would send the password unencrypted",
                where=where,
                todo="Use protect: [tls, basic_auth]",
            )
    _check_hosts(stack, read)
    front_doors.check(stack, read)
    client_logins.check(stack, read)


def _check_hosts(stack: Stack, read: yamlfile.Read) -> None:
    """Checks that a host's settings fit together, and that the names in them exist.

    Raises:
        StackError: the first error.
    """
    names = [host.name for host in stack.hosts]
    for host in stack.hosts:
        if host.connect == "manual" and not host.address:
            raise StackError(
                f"host '{host.name}' lacks 'address'",
                where=read.where(("hosts", host.name)),
                todo="Add the name or address of the host",
            )
        if host.via and host.connect != "incus":
            raise StackError(
                f"host '{host.name}': 'via' is for an incus instance on another host",
                where=read.where(("hosts", host.name)),
                todo="For a host behind another one, use ProxyJump in ~/.ssh/config",
            )
        if host.via and (host.via == host.name or host.via not in names):
            near = difflib.get_close_matches(host.via, names, n=1)
            raise StackError(
                f"there is no host '{host.via}' that could contain '{host.name}'",
                where=read.where(("hosts", host.name)),
                todo=f"Did you mean '{near[0]}'?" if near else f"Use one of: {', '.join(names)}",
            )


def _check_component(stack: Stack, component: ComponentSpec, where: str) -> None:
    """Checks that a component's settings fit together.

    Raises:
        StackError: the first error.
    """
    if component.unit and stack.host(component.host).connect == "manual":
        raise StackError(
            "'unit' needs a connection to its host, and this host has `connect: manual`",
            where=where,
            todo="Leave 'unit' out, or name each program's host with an entry of its own",
        )
    if (component.project or component.container) and component.service != "docker":
        raise StackError(
            "'project' and 'container' are for a component in a container",
            where=where,
            todo="Add service: docker",
        )
    if "client_cert" in component.protect and "tls" not in component.protect:
        raise StackError(
            "client_cert needs TLS: a client certificate is sent in the TLS handshake",
            where=where,
            todo="Use protect: [tls, client_cert]",
        )
    if component.client_allowed_sans and "client_cert" not in component.protect:
        raise StackError(
            "client_allowed_sans needs client_cert in protect",
            where=where,
            todo="Add client_cert to protect",
        )
    tuned = component.min_version or component.headers or component.rate_limit or component.cluster_tls
    if tuned and not component.protect:
        raise StackError(
            f"{component.key} has settings for its web configuration, but no protection",
            where=where,
            todo="Add protect: [tls]",
        )
    if component.cluster_tls and component.name != "alertmanager":
        raise StackError("cluster_tls is a setting of Alertmanager only", where=where, todo="Leave it out")
    if stack.certificates.issued_by == "files" and component.protect and not component.files.cert_file:
        raise StackError(
            f"certificates.issued_by is files, but {component.key} names no files",
            where=where,
            todo="Add files: {cert_file: /…, key_file: /…, ca_file: /…}",
        )
