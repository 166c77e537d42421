"""Finds the reverse proxies that run on a host, and reads their configurations with all included files."""

from __future__ import annotations

import fnmatch
import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any, Final

from wizard.config_files import proxies
from wizard.connections.base import Connection
from wizard.errors import HostError, UnreachableError
from wizard.model import Proxies, ProxyProgram

# A container's process has another file system: its PID namespace is another one, or not visible.
_SCRIPT: Final = r"""
own=
for d in /proc/[0-9]*; do
  c=
  { IFS= read -r c < "$d/comm"; } 2>/dev/null || continue
  case $c in nginx|apache2|httpd|caddy|haproxy|prometheus-expo|exporter_export) ;; *) continue ;; esac
  : "${own:=$(readlink /proc/self/ns/pid)}"
  other=$(readlink "$d/ns/pid" 2>/dev/null)
  case $other in ''|"$own") ;; *) continue ;; esac
  case "$(tr '\0\n' '  ' 2>/dev/null < "$d/cgroup")" in
  *docker*|*containerd*|*libpod*|*podman*|*kubepods*|*lxc.payload*) continue ;;
  esac
  printf '\036%s\037' "$c"
  tr '\0' '\037' < "$d/cmdline" 2>/dev/null
done
exit 0
"""
REQUEST: Final = (_SCRIPT,)
"""The first script that `discover` runs."""
_NAMES: Final[dict[str, ProxyProgram]] = {
    "nginx": "nginx",
    "apache2": "apache",
    "httpd": "apache",
    "caddy": "caddy",
    "haproxy": "haproxy",
    # The kernel keeps 15 characters of a name.
    "prometheus-expo": "exporter_exporter",
    "exporter_export": "exporter_exporter",
}
_OPTIONS: Final[dict[ProxyProgram, tuple[str, ...]]] = {
    "nginx": ("-c",),
    "apache": ("-f",),
    "caddy": ("--config", "-config"),
    "haproxy": ("-f", "--"),
    "exporter_exporter": ("-config.file", "--config.file"),
}
_ROUNDS: Final = 8
_MOST: Final = 300
"""The maximum number of files in one configuration."""


@dataclass(frozen=True, slots=True)
class _Running:
    program: ProxyProgram
    main: str
    """The configuration that its command line names, or ''."""
    words: tuple[str, ...] = ()
    """Its command line, if its flags determine where it listens."""


def discover(connection: Connection) -> Proxies:
    """The routes of all the reverse proxies that run on a host.

    Raises:
        UnreachableError: the connection was lost. Other configurations that cannot be read are listed in `unread`.
    """
    found = Proxies()
    for each in _running_proxies(connection):
        try:
            result = _unread_api_configuration(each) if "--resume" in each.words else _read(connection, each)
        except UnreachableError:
            raise
        except HostError as error:
            result = Proxies(
                unread=(f"{each.program} runs, and its configuration cannot be read: {error.what}",)
            )
        found = Proxies(
            routes=(*found.routes, *result.routes),
            sites=(*found.sites, *result.sites),
            unread=(*found.unread, *result.unread),
        )
    return replace(found, routes=tuple(replace(each, host=connection.name) for each in found.routes))


def _running_proxies(connection: Connection) -> tuple[_Running, ...]:
    ended = connection.run_script(*REQUEST, timeout=10)
    found = []
    for record in ended.stdout.split("\x1e")[1:]:
        name, *words = record.split("\x1f")
        program = _NAMES[name]
        # nginx overwrites its arguments with its title: they are in one word, after 'master process'.
        if words and words[0].startswith("nginx: "):
            if "master process" not in words[0]:
                continue
            words = words[0].split()
        flags = tuple(words) if program == "exporter_exporter" or "--resume" in words else ()
        found.append(_Running(program, _option_value(words, _OPTIONS[program]), flags))
    return tuple(dict.fromkeys(found))


def _option_value(words: Iterable[str], options: tuple[str, ...]) -> str:
    listed = list(words)
    for index, word in enumerate(listed[:-1]):
        if word in options:
            return listed[index + 1]
    joined = (word.partition("=")[2] for word in listed if word.partition("=")[0] in options)
    return next(joined, "")


def _unread_api_configuration(running: _Running) -> Proxies:
    reason = "runs with what its API was last given (--resume): only Caddyfiles are read"
    return Proxies(unread=(f"{running.program} {reason}",))


def _read(connection: Connection, running: _Running) -> Proxies:
    program = running.program
    main, content = "", None
    for path in (running.main,) if running.main.startswith("/") else proxies.MAIN[program]:
        info = connection.stat(path)
        if info is not None and info.kind == "folder":
            return _folder(connection, program, path)
        state = connection.read(path) if info is not None else None
        if state is not None:
            main, content = path, state.content
            break
    if content is None:
        expected = running.main or " or ".join(proxies.MAIN[program])
        return Proxies(unread=(f"{program} runs, and its configuration is not at {expected}",))
    if program == "caddy" and main.endswith(".json"):
        return Proxies(unread=(f"caddy runs with {main}: only Caddyfiles are read",))
    files = {main: content, **_modules(connection, running)}
    new = [main]
    for _ in range(_ROUNDS):
        patterns = [each for path in new for each in proxies.includes(program, main, files[path])]
        new = []
        for path in dict.fromkeys(
            each for pattern in patterns for each in matching_files(connection, pattern)
        ):
            if path in files or len(files) >= _MOST:
                continue
            state = connection.read(path)
            if state is not None:
                files[path] = state.content
                new.append(path)
        if not new:
            break
    routes = proxies.routes(program, main, files)
    if running.words:
        routes = tuple(replace(each, **_listens(running.words)) for each in routes)
    return Proxies(routes=routes, sites=proxies.sites(program, main, files))


def _modules(connection: Connection, running: _Running) -> dict[str, bytes]:
    """The files of additional modules of an exporter_exporter."""
    folders = [value for name, value in _flags(running.words) if name == "config.dirs"]
    paths = [each for folder in folders for each in matching_files(connection, f"{folder}/*.y*ml")]
    return {path: state.content for path in paths if (state := connection.read(path)) is not None}


def _listens(words: tuple[str, ...]) -> dict[str, Any]:
    """Port and TLS of an exporter_exporter, by its flags: with TLS, the plain port is usually off (empty address)."""
    flags = dict(_flags(words))
    plain = flags.get("web.listen-address", ":9999")
    at = re.search(r":(\d+)$", plain or flags.get("web.tls.listen-address", ""))
    return {"port": int(at[1]), "tls": not plain} if at is not None else {}


def _flags(words: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """The flags of a Go program's command line, with their values: `-name=value` and `-name value`."""
    for word, following in zip_longest(words, words[1:], fillvalue=""):
        name, equals, value = word.lstrip("-").partition("=")
        if word.startswith("-"):
            yield name, value if equals or following.startswith("-") else following


def _folder(connection: Connection, program: ProxyProgram, folder: str) -> Proxies:
    """Reads a configuration that consists of all the files of a folder (HAProxy's -f)."""
    files = {}
    for name in connection.names(folder)[:_MOST]:
        path = posixpath.join(folder, name)
        state = connection.read(path) if name.endswith(".cfg") else None
        if state is not None:
            files[path] = state.content
    return Proxies(routes=proxies.routes(program, folder, files), sites=proxies.sites(program, folder, files))


def matching_files(connection: Connection, pattern: str) -> list[str]:
    """The files for a path, a pattern or a folder; any part may have wildcards."""
    if not re.search(r"[*?\[]", pattern):
        info = connection.stat(pattern)
        if info is None or info.kind == "other":
            return []
        if info.kind == "file":
            return [pattern]
        return [posixpath.join(pattern, name) for name in connection.names(pattern)]
    paths = ["/"]
    *parts, last = [part for part in pattern.split("/") if part]
    for part in parts:
        if not re.search(r"[*?\[]", part):
            paths = [posixpath.join(path, part) for path in paths]
            continue
        paths = [posixpath.join(path, name) for path in paths for name in _named_so(connection, path, part)][
            :_MOST
        ]
    found = [posixpath.join(path, name) for path in paths for name in _named_so(connection, path, last)]
    return [
        each for each in found[:_MOST] if (info := connection.stat(each)) is not None and info.kind == "file"
    ]


def _named_so(connection: Connection, folder: str, pattern: str) -> list[str]:
    """The names in a folder that match a pattern; as in the proxies, a wildcard does not match a leading dot."""
    names = fnmatch.filter(connection.names(folder), pattern)
    return [name for name in names if not name.startswith(".") or pattern.startswith(".")]
