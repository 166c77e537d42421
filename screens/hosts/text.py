"""Texts about a host in the list: how it is reached, its state, and what a test would do or has found."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from textual.content import Content

from screens.state_styles import EXPOSURE, describe_error, fit, hang, inline, safe
from screens.widgets.badges import exposure_badges

if TYPE_CHECKING:
    from screens.state import HostEntry

FROM = {
    "here": "this machine",
    "practice": "practice",
    "ssh": "from ~/.ssh/config",
    "incus": "container on this machine",
    "added": "added",
    "stack": "in this stack",
}
RIGHTS = {
    "root": "as root",
    "sudo": "as root, with sudo",
    "none": "without root privileges: nothing can be changed there",
}
STATE = 24
"""Width of a host's state in cells."""
_LABEL = 9
_TEST = {
    "ssh": (
        "logs in as ssh does (config, keys, agent)",
        "asks before it trusts a new host key",
        "checks for root privileges",
    ),
    "incus": ("runs commands in the container, as root",),
    "local": ("checks for root privileges",),
}
"""The first action of a test, by how the host is reached."""
_SCAN = ("finds components, and probes each", "changes nothing")


_HOW = (
    ("a", "adds user@host or user@host:port", "over SSH, as ssh would"),
    ("", "or all hosts of a file", "Ansible or file_sd"),
    ("Enter", "tests the selected host", "changes nothing"),
    ("Space", "chooses it", "also several"),
    ("u", "uses the chosen hosts", "Home then shows them"),
    ("d", "removes an added host", "from this list alone"),
)
"""Key, description, and more about it."""


def how_it_goes(width: int) -> Content:
    """Returns how hosts are added, tested and chosen, for terminals with room for it."""
    lines = []
    for key, does, more in _HOW:
        head = Content.assemble((fit(key, 7), "bold $primary"), (fit(does, 34), ""))
        lines.append(Content.assemble(head, Content.styled(hang(more, width, head.cell_length), "$quiet")))
    return Content("\n").join(lines)


def display_name(entry: HostEntry) -> str:
    """Returns the name of the host on the screen."""
    return {"here": "this machine", "practice": "practice"}.get(entry.source, entry.name)


def line(entry: HostEntry, width: int, name: int) -> Content:
    """Returns a host's line: whether chosen, its name (at most `name` cells), how it is reached, its state."""
    way = width - 4 - name - STATE
    sign, words, colour = _state(entry)
    return Content.assemble(
        ("[✓] " if entry.taken else "    ", "bold $success"),
        (fit(display_name(entry), name), "bold"),
        (fit(_way(entry), way), "$quiet"),
        (fit(f"{sign} {words}", STATE), colour),
    )


def _way(entry: HostEntry) -> str:
    spec = entry.spec
    if spec.connect == "ssh" and entry.source != "ssh":
        port = f":{spec.port}" if spec.port != 22 else ""
        return (
            f"{spec.user}@{spec.address or spec.name}{port}"
            if spec.user
            else f"ssh {spec.address or spec.name}{port}"
        )
    if spec.connect == "incus" and spec.via:
        return f"container on {spec.via}"
    if entry.source == "here":
        return "no connection needed"
    if entry.source == "practice":
        return "real programs"
    return FROM[entry.source]


def _state(entry: HostEntry) -> tuple[str, str, str]:
    """Returns sign, text and colour of the host's state."""
    if entry.source == "practice":
        return "·", "Enter opens it", "$quiet"
    if entry.state != "known":
        return {
            "connecting": ("▸", "connecting…" if entry.note == "connecting…" else "testing…", "$primary"),
            "failed": ("✗", "test failed", "$error"),
        }.get(entry.state, ("·", entry.note or "not tested", "$quiet"))
    if not entry.components:
        return "–", "no component", "$quiet"
    if entry.rights == "none" and entry.spec.connect != "local":
        return "!", "no root privileges", "$warning"
    return _protection_state(entry)


def _protection_state(entry: HostEntry) -> tuple[str, str, str]:
    """Returns the protection of the components on the host."""
    many = len(entry.exposures)
    for state, words in (("open", "unprotected"), ("partly", "partial"), ("down", "not answering")):
        count = sum(one.state == state for one in entry.exposures)
        if count:
            sign, _, colour = EXPOSURE[state]
            return sign, f"{count} of {many} {words}", colour
    return "✓", f"{many} of {many} secured", "$success"


def detail(entry: HostEntry, instances: str, *, no_color: bool) -> Content:
    """Returns the details of the selected host."""
    if entry.source == "practice":
        return Content(
            "A Prometheus and a node_exporter on this machine, without root, to try everything first. Enter opens it. "
            "It cannot be combined with real hosts."
        )
    lines = [_connection_text(entry)]
    if entry.state == "connecting":
        lines.append(
            Content.assemble(
                ("▸ ", "bold $primary"), inline(entry.note), ("   Escape stops the test.", "$quiet")
            )
        )
    if entry.user:
        lines.append(_login(entry))
    if entry.error:
        lines.append(describe_error(entry.error))
        lines += [Content.assemble(("Why    ", "$quiet"), safe(line, 400)) for line in entry.advice]
    elif entry.state == "" and not entry.user:
        lines.append(_test(entry))
    name = max((len(one.key.partition("/")[2]) for one in entry.exposures), default=0) + 2
    for one in entry.exposures:
        sign, word, colour = EXPOSURE[one.state]
        lines.append(
            Content.assemble(
                (fit(one.key.partition("/")[2], name), "bold"),
                (fit(f"{sign} {word}", 15), colour),
                exposure_badges(one, no_color=no_color),
                "\n  ",
                (inline(f"{one.address} · {one.words.removeprefix(f'{word}: ')}", 200), "$quiet"),
            )
        )
    if entry.state == "known" and not entry.components:
        lines.append(Content("No Prometheus component was found on this host."))
    if entry.source == "here" and instances:
        lines.append(Content.styled(f"Containers cannot be listed: {inline(instances, 240)}", "$quiet"))
    return Content("\n").join(lines)


def _connection_text(entry: HostEntry) -> Content:
    """Returns the command that connects to the host, and why the host is listed."""
    spec, command = entry.spec, ""
    if spec.connect == "ssh":
        command = shlex.join(spec.ssh())
    elif spec.connect == "incus":
        command = f"incus exec {shlex.quote(spec.instance or spec.name)} -- sh"
        command += f", on {spec.via}" if spec.via else ""
    where = FROM[entry.source] if command and entry.source != "added" else ""
    reached = command or "directly, without a login"
    return Content.assemble(
        (fit("Reached", _LABEL), "$quiet"), inline(reached, 200), (f"  {where}", "$quiet")
    )


def _test(entry: HostEntry) -> Content:
    """Returns that the host was not tested, and the single actions of a test."""
    parts = [
        Content.assemble((fit("State", _LABEL), "$quiet"), f"· {entry.note or 'not tested'}"),
        Content(""),
    ]
    parts.append(Content.styled("Enter tests the host. A test", "bold"))
    points = (*_TEST.get(entry.spec.connect, ()), *_SCAN)
    parts += [Content.assemble(("  · ", "$quiet"), point) for point in points]
    return Content("\n").join(parts)


def _login(entry: HostEntry) -> Content:
    words = RIGHTS.get(entry.rights, "")
    if entry.rights == "none" and entry.spec.connect == "local":
        words = "without root privileges; Firescreen uses sudo for changes"
    elif entry.rights == "none" and entry.state == "connecting":
        words = "not root"
    colour = "$warning" if entry.rights == "none" else "$success"
    sign = "! " if entry.rights == "none" else "✓ "
    user = f"as {entry.user}, " if entry.rights == "none" else ""
    return Content.assemble(
        (fit("Login", _LABEL), "$quiet"), (sign, f"bold {colour}"), inline(f"{user}{words}", 160)
    )
