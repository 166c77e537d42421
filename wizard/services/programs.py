"""Asks a program on a host about itself, and says what its arguments mean.

Promises: asking never hands root's rights to a program that somebody else can replace.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable

from wizard.components import Component
from wizard.model import Completed, Connection, Service


def version(connection: Connection, program: str) -> str:
    """Its version as `--version` prints it, e.g. '2.42.0+ds', or ''."""
    said = _ask(connection, program, "--version")
    match = re.search(r"\bversion v?(\d+\.\d+(?:\.\d+)?[^\s,)]*)", said)
    return match.group(1) if match else ""


def config_file(
    connection: Connection, component: Component, program: str, arguments: tuple[str, ...], *, folder: str
) -> str:
    """The absolute path of its configuration file, or '' if it has none.

    Without the flag, the program's own default counts: Debian's build has another than upstream's, and
    `--help` prints it. A relative path lies in `folder`, the program's working directory.
    """
    if not component.config_flag:
        return ""
    path = flag(arguments, component.config_flag)
    if not path:
        said = _ask(connection, program, "--help")
        match = re.search(rf'--{re.escape(component.config_flag)}="([^"\n]+)"', said)
        path = match.group(1) if match else ""
    return posixpath.normpath(posixpath.join(folder.lstrip("!-") or "/", path)) if path else ""


def web_config(component: Component, arguments: tuple[str, ...], *, folder: str) -> str:
    """The absolute path of its web configuration, or ''; a relative one lies in `folder`, where it was started."""
    names = dict.fromkeys(name for _, name in component.web_flags)
    path = next((found for name in names if (found := flag(arguments, name))), "")
    return posixpath.normpath(posixpath.join(folder.lstrip("!-") or "/", path)) if path else ""


def flag(arguments: tuple[str, ...], name: str) -> str:
    """The value of a flag, or ''."""
    return Service(host="", component="", manager="manual", unit="", arguments=arguments).flag(name)


def switch(arguments: tuple[str, ...], name: str) -> bool:
    """Whether a flag without a value is on."""
    return any(word in (f"--{name}", f"-{name}", f"--{name}=true") for word in arguments)


def listen(component: Component, arguments: tuple[str, ...]) -> str:
    """address:port as a client on the host reaches it, from the flag or the component's usual port.

    Only the web address counts; Alertmanager's port for its peers is another. Of several, the first.
    """
    name = "web.listen-address"
    given = [flag(arguments[index:], name) for index, word in enumerate(arguments) if name in word]
    return first_reachable(given) or f"127.0.0.1:{component.default_port}"


def first_reachable(addresses: Iterable[str]) -> str:
    """The first of them that is host:port for TCP, as a client on the host writes it; '' if none is."""
    everywhere = ("", "0.0.0.0", "[::]", "*")  # noqa: S104 - compared with, not bound to
    for address in addresses:
        host, _, port = address.rpartition(":")
        # vsock://:9100 is reached from another machine only.
        if port.isdecimal() and "/" not in host:
            return f"{'127.0.0.1' if host in everywhere else host}:{port}"
    return ""


def home(component: Component, web_config: str, configuration: str) -> str:
    """The folder for the web configuration: where one is already, beside the configuration, or the usual."""
    for path in (web_config, configuration):
        folder = posixpath.dirname(path)
        # Neither a folder that belongs to everybody nor one that a sandbox hides.
        if re.match(r"/(etc|opt|srv|var/lib|usr/local)/.", folder):
            return folder
    return component.home


def _ask(connection: Connection, program: str, question: str) -> str:
    """What the program prints; root asks a program of somebody else's as that user."""
    info = connection.info(program) if program.startswith("/") else None
    if info is None or info.kind != "file":
        return ""
    argv = [program, question]
    ended: Completed | None = None
    if info.owner != "root" or info.mode & 0o022:
        owner = info.owner if info.owner != "root" else "nobody"
        ended = connection.run(["runuser", "-u", owner, "--", *argv], timeout=10)
        if ended.code and connection.run(["id", "-u"], timeout=5).stdout.strip() == "0":
            return ""
    if ended is None or ended.code:
        ended = connection.run(argv, timeout=10)
    return ended.stdout + ended.stderr
