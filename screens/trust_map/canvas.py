"""The trust map as lines of text: a box for each host, and an arrow for each connection between them.

Drawn from data alone: the connections of a plan, and the probes that test them. Clients are on the left, servers on the
right; a heavy line is encrypted, a broken line is not; a sign and a word repeat what the colour says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.content import Content

from screens.state_styles import OUTCOME, came, fit, inline, place, tail

if TYPE_CHECKING:
    from wizard.model import Arrow, Attempt

NARROW = 90
"""Below this width (cells), the map is drawn with shorter text."""

HAND = "bold $block-cursor-foreground on $block-cursor-background"
HAND_NO_COLOUR = "bold reverse"


@dataclass(frozen=True, slots=True)
class Drawing:
    """The drawn map, and the line of each arrow in it."""

    lines: tuple[Content, ...]
    at: tuple[int, ...]
    """The line of each arrow, in the order of `order_arrows`."""


def order_arrows(arrows: Sequence[Arrow]) -> tuple[Arrow, ...]:
    """Returns the arrows in the order in which they are drawn: grouped by client, then by server."""
    client_hosts = list(dict.fromkeys(one.client_host for one in arrows))
    server_hosts = list(dict.fromkeys(one.server_host for one in arrows))
    clients = list(dict.fromkeys((one.client_host, one.client) for one in arrows))
    return tuple(
        sorted(
            arrows,
            key=lambda one: (
                client_hosts.index(one.client_host),
                clients.index((one.client_host, one.client)),
                server_hosts.index(one.server_host),
            ),
        )
    )


def mark(arrow: Arrow, attempt: Attempt | None) -> tuple[str, str, str]:
    """Returns (sign, word, colour) of an arrow: its probe's outcome, and whether the connection is protected."""
    if attempt is not None and attempt.excused:
        return "–", "was down before", "$warning"
    if attempt is not None and not attempt.ok:
        return "✗", "failed", "$error"
    if not arrow.encrypted and not arrow.local:
        return "●", "unprotected", "$error"
    if attempt is None:
        return "·", "not probed", "$secondary"
    return "✓", "verified", "$success"


def guards(arrow: Arrow, *, short: bool) -> str:
    """Returns the protection of an arrow: 'TLS + cert + password', or `short` 'TLS+cert+pw'."""
    parts = ["TLS" if arrow.encrypted else "plain"]
    if arrow.client_shows:
        parts.append("cert")
    if arrow.user:
        parts.append("pw" if short else "password")
    return ("+" if short else " + ").join(parts)


def draw(
    arrows: Sequence[Arrow],
    attempts: Mapping[str, Attempt],
    *,
    width: int,
    selected: int = -1,
    notes: bool = False,
    apart: bool = False,
    colourless: bool = False,
) -> Drawing:
    """Draws the map.

    Args:
        arrows: in the order of `order_arrows`.
        attempts: the outcome of each probe, by the probe's id.
        width: in cells; at least 60 to be readable.
        selected: index of the selected arrow, or -1.
        notes: whether the certificates are written below each arrow.
        apart: whether there is space between the boxes of two hosts.
        colourless: whether the selected arrow must be marked without a colour.
    """
    pen = _Pen.for_width(arrows, width, HAND_NO_COLOUR if colourless else HAND)
    lines: list[Content] = []
    at: list[int] = []
    before: Arrow | None = None
    for number, arrow in enumerate(arrows):
        if before is None or before.client_host != arrow.client_host:
            if before is not None:
                lines.append(pen.bottom())
            lines.append(pen.top(arrow))
        elif before.server_host != arrow.server_host:
            lines.extend(pen.between(arrow, apart=apart))
        same = before is not None and (before.client_host, before.client) == (arrow.client_host, arrow.client)
        at.append(len(lines))
        lines.append(pen.lane(arrow, attempts.get(arrow.probe), named=not same, selected=number == selected))
        if notes:
            lines.extend(pen.notes(arrow))
        before = arrow
    if before is not None:
        lines.append(pen.bottom())
    return Drawing(tuple(lines), tuple(at))


@dataclass(frozen=True, slots=True)
class _Pen:
    """Draws the lines of one map in three columns of fixed width: client boxes, arrows, server boxes."""

    left: int
    middle: int
    right: int
    hand: str
    narrow: bool
    """Whether ports are left out; that of the selected arrow is shown below the map."""

    @classmethod
    def for_width(cls, arrows: Sequence[Arrow], width: int, hand: str) -> _Pen:
        """Makes columns as wide as their content; the arrows get the remaining width."""
        asking = [text for one in arrows for text in (place(one.client_host) + "  ", inline(one.client, 40))]
        narrow = width < NARROW
        servers = [
            text for one in arrows for text in (place(one.server_host) + "  ", _server(one, narrow=narrow))
        ]
        most = max((width - 30) // 2, 12)
        left = min(max((len(text) for text in asking), default=8) + 4, most)
        right = min(max((len(text) for text in servers), default=8) + 4, most)
        return cls(left, max(width - left - right, 12), right, hand, narrow)

    def top(self, arrow: Arrow) -> Content:
        """Draws the upper edges with the hosts' names."""
        return Content.assemble(
            _edge("╭", place(arrow.client_host), "╮", self.left),
            " " * self.middle,
            _edge("╭", place(arrow.server_host), "╮", self.right),
        )

    def bottom(self) -> Content:
        """Draws the lower edges."""
        return Content.assemble(
            _edge("╰", "", "╯", self.left), " " * self.middle, _edge("╰", "", "╯", self.right)
        )

    def between(self, arrow: Arrow, *, apart: bool) -> list[Content]:
        """Draws the lines between two servers' hosts of the same client."""
        left = Content.assemble(_box("", self.left), " " * self.middle)
        if not apart:
            return [Content.assemble(left, _edge("├", place(arrow.server_host), "┤", self.right))]
        return [
            Content.assemble(left, _edge("╰", "", "╯", self.right)),
            Content.assemble(left, _edge("╭", place(arrow.server_host), "╮", self.right)),
        ]

    def lane(self, arrow: Arrow, attempt: Attempt | None, *, named: bool, selected: bool) -> Content:
        """Draws the client, the arrow with its sign and text, and the server."""
        sign, _, colour = mark(arrow, attempt)
        line = "━" if arrow.encrypted else "╌"
        words = guards(arrow, short=self.narrow)
        head = self._head(f"{line} {sign} ", inline(arrow.how, 60), words)
        fill = line * max(self.middle - len(head) - 2, 0)
        style = self.hand if selected else colour
        return Content.assemble(
            ("│", "$quiet"),
            (fit(f" {inline(arrow.client, 40)}" if named else "", self.left - 2), "bold"),
            ("┝" if arrow.encrypted else "├", "$quiet"),
            (fit(f"{head}{fill}▶ ", self.middle), style),
            ("│", "$quiet"),
            (fit(f" {_server(arrow, narrow=self.narrow)}", self.right - 2), "bold" if selected else ""),
            ("│", "$quiet"),
        )

    def _head(self, start: str, how: str, words: str) -> str:
        """Returns sign, place and protection, as far as they fit before the arrowhead."""
        room = self.middle - len(start) - len(words) - 3
        for between in (" · ", " "):
            if len(how) + len(between) <= room:
                return f"{start}{how}{between}{words} "
        return f"{start}{fit(how, room - 1)} {words} " if room > 6 else f"{start}{words} "

    def notes(self, arrow: Arrow) -> list[Content]:
        """Draws below an arrow what each side presents."""
        shown = [text for text in (arrow.client_shows, arrow.user and f"user {arrow.user}") if text]
        texts = [f"  ◂ {arrow.server_shows}"] if arrow.encrypted and arrow.server_shows else []
        texts += [f"  ▸ {', '.join(shown)}"] if shown else []
        return [
            Content.assemble(_box("", self.left), (fit(text, self.middle), "$quiet"), _box("", self.right))
            for text in texts
        ]


def _server(arrow: Arrow, *, narrow: bool) -> str:
    """Returns the server, with its port if there is room and the client specifies one."""
    if narrow:
        return inline(arrow.server, 40)
    port = arrow.address.rpartition(":")[2]
    return f"{inline(arrow.server, 40)} :{port}" if port.isdigit() else inline(arrow.server, 40)


def _edge(start: str, name: str, end: str, width: int) -> Content:
    if not name:
        return Content.styled(f"{start}{'─' * (width - 2)}{end}", "$quiet")
    shown = fit(name, min(len(name), width - 5))
    edge_line = "─" * max(width - 5 - len(shown), 0)
    return Content.assemble(
        (f"{start}─ ", "$quiet"), (shown, "bold $primary"), (f" {edge_line}{end}", "$quiet")
    )


def _box(text: str, width: int) -> Content:
    return Content.assemble(("│", "$quiet"), fit(text, width - 2), ("│", "$quiet"))


def connection_text(arrow: Arrow, attempt: Attempt | None, *, width: int = 200) -> Content:
    """Returns a connection as text: client and server, its probe, and what each side presents and verifies.

    Args:
        arrow: the connection.
        attempt: the outcome of its probe, if it was probed.
        width: in cells; a longer path loses its beginning.
    """
    sign, word, colour = mark(arrow, attempt)
    ended = ""
    if attempt is not None:
        got = OUTCOME.get(attempt.outcome, inline(attempt.outcome, 20))
        ended = (
            f" ({got})"
            if attempt.ok
            else f": expected {came(attempt.probe.expect)}, got {came(attempt.outcome)}"
        )
    parts = [
        Content.assemble(
            (f"{inline(arrow.client, 40)} on {place(arrow.client_host)}", "bold"),
            " → ",
            (f"{inline(arrow.server, 40)} on {place(arrow.server_host)}", "bold"),
        ),
        Content.assemble(
            (f"{sign} {word}", f"bold {colour}"),
            ended,
            (f"   {inline(arrow.how, 60)}, {inline(arrow.address, 60)}", "$quiet"),
        ),
    ]
    if not arrow.encrypted:
        parts.append(
            Content(
                "Not encrypted: it stays on the loopback address of this host, where others cannot read it."
                if arrow.local
                else "Not encrypted: others on the network can read the traffic, or answer in the server's place."
            )
        )
    facts = (
        ("server shows", arrow.server_shows if arrow.encrypted else ""),
        ("checked with", arrow.client_checks if arrow.encrypted else ""),
        ("client shows", arrow.client_shows or ("no certificate" if arrow.encrypted else "")),
        ("checked with", arrow.server_checks if arrow.client_shows else ""),
        ("logs in as", f"{arrow.user}, with a password" if arrow.user else ""),
    )
    parts.extend(
        Content.assemble((f"{name:<14}", "$quiet"), _tail(inline(value, 300), width - 14))
        for name, value in facts
        if value
    )
    return Content("\n").join(parts)


def _tail(text: str, width: int) -> str:
    return tail(text, width) if text.startswith("/") else text


def summary(arrows: Sequence[Arrow], attempts: Mapping[str, Attempt]) -> Content:
    """Returns how many connections are in each state."""
    counted: dict[tuple[str, str, str], int] = {}
    for arrow in arrows:
        state = mark(arrow, attempts.get(arrow.probe))
        counted[state] = counted.get(state, 0) + 1
    states = [
        Content.styled(f"{sign} {count} {word}", f"bold {colour}")
        for (sign, word, colour), count in sorted(counted.items())
    ]
    head = f"{len(arrows)} connection{'s' * (len(arrows) != 1)}:  "
    return Content.assemble(head, Content("   ").join(states))
