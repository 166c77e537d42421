"""Finds address and login of a host: in the stack file first, then in ~/.ssh/config as ssh itself reads it.

`ssh -G` evaluates the configuration, so that Match, Include, canonical names and the system's own file have the same
effect as for ssh. Without an ssh program, Paramiko reads ~/.ssh/config only.
"""

from __future__ import annotations

import os
import shlex
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from wizard.account import account
from wizard.connections.subprocess_runner import run_bounded
from wizard.errors import HostError
from wizard.model import HostSpec
from wizard.redact import plain

DEFAULT_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The address of a host and how to log in to it."""

    host: str
    """The host's name in messages and in `Access`."""
    address: str
    port: int
    user: str
    keys: tuple[Path, ...]
    """Private keys to try in this order; the files need not exist."""
    sure: bool
    """Whether the stack file names the first key."""
    only_these: bool
    """IdentitiesOnly: of the keys in the agent, use only these."""
    jumps: tuple[str, ...]
    """Jump hosts in their order, in the syntax of ProxyJump."""
    command: str
    """ProxyCommand with its tokens expanded, a command for sh, or ''."""
    known_hosts: tuple[Path, ...]
    """Files in which to look up host keys; an accepted key is added to the first."""
    hashed: bool
    """Whether names in known_hosts are hashed."""
    key_name: str
    """The name that known_hosts has for the host in place of its address (HostKeyAlias), or ''."""


def target(spec: HostSpec, *, config: Path | None = None) -> Target:
    """Resolves a host of the stack; settings in the stack file take precedence.

    Args:
        spec: the host; its address, or else its name, is looked up in the configuration.
        config: a file to read in place of ~/.ssh/config and the system's.

    Raises:
        HostError: the configuration cannot be read.
    """
    port = spec.port if spec.port != 22 else 0
    return _resolve(
        spec.name, spec.address or spec.name, user=spec.user, port=port, config=config,
        identity_file=spec.identity_file, known_hosts=spec.known_hosts,
    )  # fmt: skip


def jump_target(written: str, *, config: Path | None, known_hosts: str = "") -> Target:
    """Resolves one part of a ProxyJump: [user@]host[:port], or an ssh:// address."""
    user, _, rest = written.removeprefix("ssh://").rpartition("@")
    host, port = rest, ""
    if rest.startswith("["):
        host, _, port = rest[1:].partition("]")
        port = port.removeprefix(":")
    elif rest.count(":") == 1:
        host, _, port = rest.partition(":")
    if not host or (port and not port.isdecimal()):
        raise HostError(f"the ProxyJump {written!r} names no host", todo="Correct it in ~/.ssh/config.")
    return _resolve(host, host, user=user, port=int(port or 0), config=config, known_hosts=known_hosts)


def through(found: Target, jumps: tuple[str, ...]) -> Target:
    """The same target, reached through these jump hosts."""
    return replace(found, jumps=jumps, command="" if jumps else found.command)


def _resolve(
    name: str,
    alias: str,
    *,
    user: str,
    port: int,
    config: Path | None,
    identity_file: str = "",
    known_hosts: str = "",
) -> Target:
    if alias.startswith("-") or any(character.isspace() for character in alias):
        raise HostError(f"{alias!r} cannot be the name of a host", where=name, todo="Correct the stack file.")
    settings = _effective_settings(name, alias, user=user, port=port, config=config)

    def first(key: str, otherwise: str = "") -> str:
        value = settings.get(key, (otherwise,))[0]
        return otherwise if value.lower() == "none" else value

    address = first("hostname", alias)
    number = port or int(first("port", "22"))
    login = user or first("user", account()[0])
    tokens = {
        "h": address,
        "n": alias,
        "p": str(number),
        "r": login,
        "u": account()[0],
        "d": str(Path.home()),
    }
    files = (known_hosts,) if known_hosts else _words(settings, "userknownhostsfile", "~/.ssh/known_hosts")
    keys = (
        (identity_file,)
        if identity_file
        else tuple(key for key in settings.get("identityfile", ()) if key.lower() != "none")
    )
    if not keys and "identityfile" not in settings:
        keys = tuple(f"~/.ssh/{key}" for key in DEFAULT_KEYS)
    jumps = first("proxyjump")
    return Target(
        host=name,
        address=address,
        port=number,
        user=login,
        keys=tuple(dict.fromkeys(_path(key, tokens) for key in keys)),
        sure=bool(identity_file),
        only_these=first("identitiesonly").lower() in ("yes", "true"),
        jumps=tuple(part.strip() for part in jumps.split(",") if part.strip()),
        command="" if jumps else _expand_tokens(first("proxycommand"), tokens),
        known_hosts=tuple(
            _path(file, tokens)
            for file in (*files, *_words(settings, "globalknownhostsfile", "/etc/ssh/ssh_known_hosts"))
        ),
        hashed=first("hashknownhosts").lower() in ("yes", "true"),
        key_name=first("hostkeyalias"),
    )


def _words(settings: Mapping[str, Sequence[str]], key: str, otherwise: str) -> tuple[str, ...]:
    found = [word for line in settings.get(key, (otherwise,)) for word in shlex.split(line)]
    return tuple(word for word in found if word.lower() != "none")


def _expand_tokens(text: str, tokens: Mapping[str, str]) -> str:
    """Expands `%h` and similar tokens; `%%` is a percent sign."""
    parts = text.split("%%")
    for letter, value in tokens.items():
        parts = [part.replace(f"%{letter}", value) for part in parts]
    return "%".join(parts)


def _path(text: str, tokens: Mapping[str, str]) -> Path:
    return Path(_expand_tokens(text, tokens)).expanduser()


def _effective_settings(
    name: str, alias: str, *, user: str, port: int, config: Path | None
) -> dict[str, list[str]]:
    """The effective configuration for an alias: key in small letters -> its values."""
    argv = ["ssh", "-G"]
    argv += ["-F", str(config)] if config else []
    argv += ["-l", user] if user else []
    argv += ["-p", str(port)] if port else []
    ended = run_bounded([*argv, "--", alias], timeout=15)
    if ended.code == 127:
        return _without_ssh(name, alias, config)
    if ended.code:
        raise HostError(
            f"the SSH configuration cannot be used: {plain(ended.stderr.decode('utf-8', 'replace').strip(), 300)}",
            where=name,
            todo=f"Correct {config or '~/.ssh/config'}; `ssh -G {alias}` says the same.",
        )
    settings: dict[str, list[str]] = defaultdict(list)
    for line in ended.stdout.decode("utf-8", "replace").splitlines():
        key, _, value = line.partition(" ")
        settings[key.lower()].append(value)
    return dict(settings)


def _without_ssh(name: str, alias: str, config: Path | None) -> dict[str, list[str]]:
    import paramiko

    path = config or Path("~/.ssh/config").expanduser()
    if not os.path.exists(path):
        return {}
    try:
        found = paramiko.SSHConfig.from_path(str(path)).lookup(alias)
    except (paramiko.SSHException, ImportError, KeyError, ValueError, OSError) as problem:
        raise HostError(
            f"the SSH configuration cannot be used: {plain(str(problem), 300)}",
            where=name,
            todo=f"Correct {path}, or install the OpenSSH client.",
        ) from None
    settings: dict[str, Any] = dict(found)
    return {key: value if isinstance(value, list) else [value or "none"] for key, value in settings.items()}
