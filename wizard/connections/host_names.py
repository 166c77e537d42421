"""The names and addresses of a machine, as the machine itself reports them; queries no name server."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
from contextlib import suppress

from wizard.connections.subprocess_runner import run_bounded


def host_names() -> tuple[str, ...]:
    """The names and addresses of this machine, best first; queries no name server.

    They are the host name, longer names from /etc/hosts, localhost, the addresses of its interfaces (without link-local
    ones), 127.0.0.1 and, if the loopback interface has it, ::1.
    """
    hosts, links = "", b""
    with suppress(OSError), open("/etc/hosts", encoding="utf-8", errors="replace") as file:
        hosts = file.read()
    if shutil.which("ip", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin"):
        links = run_bounded(["ip", "-j", "addr", "show", "up"], timeout=5).stdout
    return names_from(socket.gethostname(), hosts=hosts, links=links)


def names_from(short: str, *, hosts: str, links: bytes, address: str = "") -> tuple[str, ...]:
    """As `host_names`, for any machine.

    Args:
        short: its host name.
        hosts: the content of its /etc/hosts.
        links: the output of `ip -j addr show up`; may be empty.
        address: the address at which this machine reaches it, if it is another machine.
    """
    longer = [
        word
        for words in (line.partition("#")[0].split()[1:] for line in hosts.splitlines())
        if short in words
        for word in words
        if "." in word and not word.startswith("localhost")
    ]
    found = [short, *longer, address, "localhost"]
    loopback = ["127.0.0.1"]
    for link in _interfaces(links):
        for each in link.get("addr_info", ()):
            text, scope = str(each.get("local", "")), each.get("scope")
            if scope == "global":
                found.append(text)
            elif text == "::1":
                loopback.append(text)
    return tuple(dict.fromkeys(filter(None, [*found, *loopback])))


def _interfaces(text: bytes) -> list[dict[str, list[dict[str, str]]]]:
    """Parses the output of `ip -j addr`, or of `hostname -I` into the same form."""
    try:
        found = json.loads(text or b"[]")
    except ValueError:
        words = re.findall(r"(?<!\S)[0-9a-fA-F.:]+(?!\S)", text.decode("ascii", "replace"))
        return [{"addr_info": [{"local": word, "scope": "global"} for word in words]}]
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []
