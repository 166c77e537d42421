"""The names and addresses that a machine answers to, from what it says of itself; no name server is asked."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
from contextlib import suppress

from wizard.connections.subprocess_runner import run_bounded


def host_names() -> tuple[str, ...]:
    """Names and addresses that this machine answers to, best first; asks no name server.

    The host's own name, its longer names from /etc/hosts, localhost, the addresses of its interfaces
    (link-local ones left out), 127.0.0.1 and, where the loopback has it, ::1.
    """
    hosts, links = "", b""
    with suppress(OSError), open("/etc/hosts", encoding="utf-8", errors="replace") as file:
        hosts = file.read()
    if shutil.which("ip", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin"):
        links = run_bounded(["ip", "-j", "addr", "show", "up"], timeout=5).stdout
    return names_from(socket.gethostname(), hosts=hosts, links=links)


def names_from(short: str, *, hosts: str, links: bytes, address: str = "") -> tuple[str, ...]:
    """What `host_names` gives, for any machine.

    Args:
        short: its own name.
        hosts: its /etc/hosts.
        links: what `ip -j addr show up` says there; may be empty.
        address: what it is reached by from here, if that is not itself.
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
    """What `ip -j addr` says, or the addresses of `hostname -I` in the same form."""
    try:
        found = json.loads(text or b"[]")
    except ValueError:
        words = re.findall(r"(?<!\S)[0-9a-fA-F.:]+(?!\S)", text.decode("ascii", "replace"))
        return [{"addr_info": [{"local": word, "scope": "global"} for word in words]}]
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []
