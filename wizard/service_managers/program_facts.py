"""Finds out a program's version, flags and files on a host.

Root never runs a program that somebody else can replace; it runs as its owner then.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence

from wizard.components import Component
from wizard.connections.base import Connection
from wizard.errors import HostError
from wizard.model import Completed, Service
from wizard.service_managers import sockets

GOSSIP_PORT = "9094"
"""The default port of the gossip between Alertmanager's peers."""


def version(connection: Connection, program: str) -> str:
    """The version that the program prints for `--version`, e.g. '2.42.0+ds', or ''."""
    return version_in(_run_as_owner(connection, program, "--version"))


def version_in(output: str) -> str:
    """The version in a program's output for `--version`, or ''."""
    match = re.search(r"\bversion v?(\d+\.\d+(?:\.\d+)?[^\s,)]*)", output)
    return match.group(1) if match else ""


def config_file(
    connection: Connection, component: Component, program: str, arguments: tuple[str, ...], *, folder: str
) -> str:
    """The absolute path of its configuration file, or '' if it has none.

    Without the flag, the program's default applies, which `--help` prints: Debian's build has another one than
    upstream's. A relative path is relative to `folder`, the program's working directory.
    """
    if not component.config_flag:
        return ""
    path = flag(arguments, component.config_flag)
    if not path:
        output = _run_as_owner(connection, program, "--help")
        match = re.search(rf'--{re.escape(component.config_flag)}="([^"\n]+)"', output)
        path = match.group(1) if match else ""
    return posixpath.normpath(posixpath.join(folder.lstrip("!-") or "/", path)) if path else ""


def web_config(component: Component, arguments: tuple[str, ...], *, folder: str) -> str:
    """The absolute path of its web configuration, or ''; a relative one is in `folder`, where it was started."""
    names = dict.fromkeys(name for _, name in component.web_flags)
    path = next((found for name in names if (found := flag(arguments, name))), "")
    return posixpath.normpath(posixpath.join(folder.lstrip("!-") or "/", path)) if path else ""


def flag(arguments: tuple[str, ...], name: str) -> str:
    """The value of a flag, or ''."""
    return Service(host="", component="", manager="manual", unit="", arguments=arguments).flag(name)


def switch(arguments: tuple[str, ...], name: str) -> bool:
    """Whether a flag without a value is set."""
    return any(word in (f"--{name}", f"-{name}", f"--{name}=true") for word in arguments)


def listen(component: Component, arguments: tuple[str, ...]) -> str:
    """address:port at which a client on the host reaches it, by its flag or the component's default port.

    Only the web address counts, not Alertmanager's gossip. Of several addresses, the first usable one is returned.
    """
    name = "web.listen-address"
    addresses = [flag(arguments[index:], name) for index, word in enumerate(arguments) if name in word]
    return first_reachable(addresses) or f"127.0.0.1:{component.default_port}"


def served_at(component: Component, arguments: tuple[str, ...], open_sockets: Sequence[str]) -> str:
    """address:port at which a client on the host reaches it: the web socket among those that its process has open.

    The address may be set in the environment as well as by a flag, so only the sockets show where it really listens.

    Args:
        open_sockets: the addresses of those sockets; if there are none, the flag or the default port is used.
    """
    by_flag = listen(component, arguments)
    if not open_sockets:
        return by_flag
    for each in (by_flag, f":{component.default_port}"):
        matching = [socket for socket in open_sockets if sockets.port(socket) == sockets.port(each)]
        if matching:
            # The flag's own text is kept if it says more than an address, e.g. a host name.
            same = each is by_flag and not all(socket.startswith("[::]:") for socket in matching)
            return by_flag if same and _is_among(by_flag, matching) else sockets.client_address(matching[0])
    return sockets.client_address(web_sockets(component, arguments, open_sockets)[0])


def web_sockets(
    component: Component, arguments: tuple[str, ...], open_sockets: Sequence[str]
) -> tuple[str, ...]:
    """The listening sockets of a process that serve its web pages; all of them if none can be identified."""
    other_ports = {sockets.port(flag(arguments[at:], name)) for at, name in _other_addresses(arguments)}
    if component.cluster_flags and not other_ports:
        other_ports = {GOSSIP_PORT}
    return tuple(socket for socket in open_sockets if sockets.port(socket) not in other_ports) or tuple(
        open_sockets
    )


def _is_among(address: str, matching: Sequence[str]) -> bool:
    """Whether a flag's address is that of one of these sockets, or a host name."""
    host = address.rpartition(":")[0]
    numeric = bool(re.fullmatch(r"[0-9.]+|\[.*\]", host))
    return not numeric or any(socket.rpartition(":")[0] in (host, "*", "0.0.0.0") for socket in matching)  # noqa: S104


def _other_addresses(arguments: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """Flags for addresses other than the web address, e.g. for Alertmanager's gossip."""
    for at, word in enumerate(arguments):
        name = word.lstrip("-").partition("=")[0]
        if word.startswith("-") and name.endswith("listen-address") and name != "web.listen-address":
            yield at, name


def expand_arguments(connection: Connection, arguments: tuple[str, ...], *, folder: str) -> tuple[str, ...]:
    """Expands arguments from files as kingpin does: @FILE, one argument per line, `#` for comments.

    Args:
        folder: the program's working directory, for a relative name.
    """
    found: list[str] = []
    for at, word in enumerate(arguments):
        if word == "--":
            return (*found, *arguments[at:])
        text = _argument_file(connection, word, folder)
        found += [word] if text is None else [line for line in text.splitlines() if not line.startswith("#")]
    return tuple(found)


def argument_file(connection: Connection, arguments: tuple[str, ...], *, folder: str) -> str:
    """The absolute path of the only file from which arguments are read; '' for none or several."""
    paths = [
        posixpath.join(folder.lstrip("!-") or "/", word[1:])
        for word in arguments
        if _argument_file(connection, word, folder) is not None
    ]
    return paths[0] if len(paths) == 1 else ""


def _argument_file(connection: Connection, word: str, folder: str) -> str | None:
    if not word.startswith("@") or len(word) == 1:
        return None
    try:
        state = connection.read(posixpath.join(folder.lstrip("!-") or "/", word[1:]))
    except HostError:
        return None  # not readable without root
    return state.content.decode("utf-8", "surrogateescape") if state is not None else None


def first_reachable(addresses: Iterable[str]) -> str:
    """The first host:port for TCP among them, as a client on the host uses it; '' if there is none."""
    everywhere = ("", "0.0.0.0", "[::]", "*")  # noqa: S104 - compared with, not bound to
    for address in addresses:
        host, _, port = address.rpartition(":")
        # vsock://:9100 can only be reached from another machine.
        if port.isdecimal() and "/" not in host:
            return f"{'127.0.0.1' if host in everywhere else host}:{port}"
    return ""


def home(component: Component, web_config: str, configuration: str) -> str:
    """The folder for the web configuration: that of the present one, else of the configuration, else the usual one."""
    for path in (web_config, configuration):
        folder = posixpath.dirname(path)
        # Neither a folder that belongs to everybody nor one that sandboxing may hide.
        if re.match(r"/(etc|opt|srv|var/lib|usr/local)/.", folder):
            return folder
    return component.home


def _run_as_owner(connection: Connection, program: str, question: str) -> str:
    """Runs a program and returns its output; root runs a program of another user as that user."""
    info = connection.stat(program) if program.startswith("/") else None
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
