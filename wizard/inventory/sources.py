"""The sources of hosts: ~/.ssh/config, this machine's instances, lists of other programs, and typed names.

They are only read: no name is resolved and no connection is opened. An unreadable source has no hosts.
"""

from __future__ import annotations

import glob
import itertools
import json
import os
import re
import shlex
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from wizard.connections.subprocess_runner import run_bounded
from wizard.errors import HostError, InputError
from wizard.model import WORKSPACE, HostSpec
from wizard.redact import plain

_LARGEST = 1_000_000
"""The largest configuration file, in bytes."""
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,63}\$?")
_LONGEST_HOST = 254
_HOST = re.compile(rf"[A-Za-z0-9:][A-Za-z0-9._:%-]{{0,{_LONGEST_HOST - 1}}}")
_CLIENTS: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("incus",), ("/var/lib/incus/unix.socket", "/run/incus/unix.socket")),
    (("lxc", "/snap/bin/lxc"), ("/var/snap/lxd/common/lxd/unix.socket", "/var/lib/lxd/unix.socket")),
)
"""Clients and the sockets of their daemons. Without a daemon no client is run: Ubuntu's lxc would install one."""

_ENDS = (".yml", ".yaml", ".ini", ".json", ".cfg")
"""File name endings of host lists; a host may have any other name with a dot."""
_WAYS = ("ssh", "smart", "paramiko", "paramiko_ssh", "libssh", "local", "incus", "lxd")
"""The Ansible connections, by the last part of their name, that Firescreen supports too."""


@dataclass(frozen=True, slots=True)
class Instance:
    """A container or virtual machine in this machine's incus or LXD."""

    name: str
    running: bool


def ssh_names(config: Path | None = None) -> tuple[str, ...]:
    """The host names in an SSH configuration, in its order, without patterns and negations.

    Args:
        config: a file to read instead of ~/.ssh/config; a relative Include is resolved beside it.
    """
    path = config or Path("~/.ssh/config").expanduser()
    return tuple(dict.fromkeys(_names(path, path.parent, set())))


def _names(path: Path, home: Path, seen: set[Path]) -> list[str]:
    """`seen` has the files that were read already, so that a cycle of includes ends."""
    if path in seen:
        return []
    seen.add(path)
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST).decode("utf-8", "replace")
    except OSError:
        return []
    found: list[str] = []
    for line in text.splitlines():
        words = _words(line)
        keyword = words[0].lower() if words else ""
        if keyword == "host":
            found += [word for word in words[1:] if not set(word) & set("*?!")]
        elif keyword == "include":
            for word in words[1:]:
                for each in sorted(glob.glob(str(home / Path(word).expanduser()))):
                    found += _names(Path(each), home, seen)
    return found


def _words(line: str) -> list[str]:
    """Keyword and arguments; `Keyword=argument` and quotes are parsed as in ssh."""
    line = line.strip()
    if not line or line.startswith("#"):
        return []
    head = line.split("=", 1)
    if len(head) == 2 and not any(character.isspace() for character in head[0].strip()):
        line = f"{head[0]} {head[1]}"
    try:
        return shlex.split(line, comments=True)
    except ValueError:  # an unclosed quote: ssh rejects that line, and so do we
        return []


def instances() -> tuple[tuple[Instance, ...], str]:
    """This machine's instances, and why they cannot be listed ('' if they can, or if there is no client).

    Takes up to some 20 seconds if a daemon does not answer.
    """
    trouble = ""
    for clients, sockets in _CLIENTS:
        if not any(Path(socket).exists() for socket in sockets):
            continue
        found, reason = _list_instances(clients)
        if found:
            return found, ""
        trouble = trouble or reason
    return (), trouble


def _list_instances(clients: tuple[str, ...]) -> tuple[tuple[Instance, ...], str]:
    for client in clients:
        try:
            ended = run_bounded([client, "list", "--format", "json"], timeout=10)
        except HostError as error:
            return (), f"{client}: {error.what}"
        if ended.code == 127:
            continue
        if ended.code:
            error_text = plain(ended.stderr.decode("utf-8", "replace").strip().partition("\n")[0], 200)
            return (), f"{client}: {error_text or f'exit code {ended.code}'}"
        with suppress(ValueError, TypeError, KeyError, AttributeError):
            return tuple(
                Instance(str(one["name"]), str(one.get("status", "")).lower() == "running")
                for one in json.loads(ended.stdout)
            ), ""
        return (), f"{client}: it lists its instances in a way that is not understood"
    return (), ""


def file_of(text: str) -> Path | None:
    """The path that a person typed if it is a file with hosts; None if it is the name of a host."""
    path = Path(os.path.expanduser(text.strip()))
    is_file = text.strip().startswith(("/", "~/", "./", "../")) or path.suffix in _ENDS
    with suppress(OSError, ValueError):  # a text too long for a file name is not a file
        is_file = is_file or path.is_file()
    return path if is_file else None


def read_inventory(path: Path, names: Collection[str]) -> tuple[HostSpec, ...]:
    """The hosts of an Ansible inventory (INI, YAML, JSON) or of a target list for Prometheus (file_sd).

    Passwords in it are not read: the person types what a login needs. Hosts with other connections than
    SSH, local or incus are left out.

    Args:
        path: the file; others beside it (group_vars, host_vars) are not read.
        names: names of existing hosts: new ones get others.

    Raises:
        InputError: the file cannot be read, or no host in it can be used.
    """
    from wizard.inventory import host_lists

    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise InputError(
            f"the list of hosts cannot be read: {error.strerror}",
            where=str(path),
            todo="Name a file: an Ansible inventory, or targets for Prometheus (file_sd)",
        ) from error
    if len(content) > _LARGEST or b"\0" in content:
        raise InputError(
            "this is no list of hosts", where=str(path), todo="Name an inventory or a file_sd file"
        )
    used_names = [*names]
    found = []
    for each in host_lists.read(content.decode("utf-8", "replace"), str(path)):
        spec = _spec(each.name, each.variables, used_names, str(path))
        if spec is not None:
            used_names.append(spec.name)
            found.append(spec)
    if not found:
        raise InputError(
            "there is no host in it that could be used",
            where=str(path),
            todo="Name an inventory or a file_sd file with hosts in it",
        )
    return tuple(found)


def _spec(name: str, variables: Mapping[str, str], names: Collection[str], source: str) -> HostSpec | None:
    """A host from Ansible's variables; None if Firescreen does not support its connection.

    Raises:
        InputError: a variable cannot be an address, a user or a port.
    """

    def first(*keys: str) -> str:
        return next((variables[key].strip() for key in keys if variables.get(key, "").strip()), "")

    way = first("ansible_connection").rpartition(".")[2] or "ssh"
    if way not in _WAYS:
        return None
    if way == "local":
        return HostSpec(name=free_name(name, names), connect="local", become=_become(variables))
    address = first("ansible_host", "ansible_ssh_host") or name
    user, port = first("ansible_user", "ansible_ssh_user"), first("ansible_port", "ansible_ssh_port") or "22"
    usable = _HOST.fullmatch(address) and (not user or _USER.fullmatch(user))
    if not usable or not (port.isdecimal() and 0 < int(port) < 65536):
        raise InputError(
            f"host {plain(name, 60)!r}: {plain(f'{user}@{address}:{port}', 100)!r} is no login",
            where=source,
            todo="Correct ansible_host, ansible_user or ansible_port there",
        )
    own = free_name(name, names)
    if way in ("incus", "lxd"):
        remote = first("ansible_incus_remote", "ansible_lxd_remote")
        instance = first("ansible_incus_host", "ansible_lxd_host") or address
        instance = f"{remote}:{instance}" if remote else instance
        return HostSpec(name=own, connect="incus", instance=instance)
    return HostSpec(
        name=own,
        connect="ssh",
        address="" if own == address else address,
        port=int(port),
        user=user,
        identity_file=first("ansible_ssh_private_key_file", "ansible_private_key_file"),
        known_hosts=_known_hosts(first("ansible_ssh_common_args")),
        become=_become(variables),
    )


def _known_hosts(arguments: str) -> str:
    """The known_hosts file in arguments of ssh, which Firescreen's own exports set; '' for the default one."""
    found = re.search(r"(?:^|\s)-o\s*[\"']?UserKnownHostsFile=([^\s\"']+)", arguments)
    return found.group(1) if found else ""


def _become(variables: Mapping[str, str]) -> str:
    """'sudo' if Ansible changes the user with sudo, which is its default."""
    becomes = variables.get("ansible_become", variables.get("ansible_sudo", "")).strip().lower() in (
        "true",
        "yes",
        "1",
        "on",
    )
    return (
        "sudo"
        if becomes and variables.get("ansible_become_method", "sudo").rpartition(".")[2] == "sudo"
        else ""
    )


def parse_host(text: str, names: Collection[str]) -> HostSpec:
    """The host that a person typed as `[user@]host[:port]`; an IPv6 address with a port needs brackets.

    Args:
        text: the typed text.
        names: names of existing hosts: the new one gets another.

    Raises:
        InputError: the text does not have that form.
    """
    words = text.strip().removeprefix("ssh ").removeprefix("ssh://").strip().rstrip("/")
    user, at, host_port = words.rpartition("@")
    host, port = _host_and_port(host_port)
    if not _HOST.fullmatch(host) or (at and not _USER.fullmatch(user)):
        raise InputError(
            _host_fault(words, host),
            todo="Type it as user@host or user@host:port, e.g. root@srv1.example.org:2222",
        )
    if port and not (port.isdecimal() and 0 < int(port) < 65536):
        raise InputError(f"{plain(port, 20)!r} is no port", todo="Type a number from 1 to 65535")
    name = free_name(host, names)
    return HostSpec(
        name=name,
        connect="ssh",
        address="" if name == host else host,
        port=int(port or 22),
        user=user,
    )


def _host_fault(words: str, host: str) -> str:
    """Why the typed text is not the name of a host."""
    if not words:
        return "no host was typed"
    shown = repr(plain(words, 80))
    if any(each.isspace() for each in words):
        return f"{shown} contains a blank, which no host name has"
    if not words.isascii():
        return f"{shown} contains a character that is not ASCII: write the name in its xn-- form"
    if len(host) > _LONGEST_HOST:
        return f"the host name has {len(host)} characters, and at most {_LONGEST_HOST} are possible"
    return f"{shown} names no host"


def _host_and_port(text: str) -> tuple[str, str]:
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        return host, port.removeprefix(":")
    host, _, port = text.partition(":")
    return (text, "") if ":" in port else (host, port)


def free_name(wanted: str, names: Collection[str]) -> str:
    """A name that a stack file accepts, as close as possible to the wanted one, and not in `names`."""
    name = re.sub(r"[^A-Za-z0-9._-]", "-", wanted).lstrip(".-_")[:56] or "host"
    used_names = {*names, WORKSPACE}
    others = (f"{name}-{number}" for number in itertools.count(2))
    return next(each for each in itertools.chain((name,), others) if each not in used_names)
