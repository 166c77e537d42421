"""What each level of protection means, as a small table: who reads the traffic, who is accepted, what clients need."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import wrap

from textual.content import Content

from screens.state_styles import fit


@dataclass(frozen=True, slots=True)
class Meaning:
    """The text for a level of protection."""

    name: str
    reads: str
    """Who can read the traffic."""
    gets_in: str
    """Who gets an answer."""
    needs: str
    """What a client needs."""


MEANINGS = {
    "": Meaning("none", "anyone on the way", "anyone", "nothing"),
    "basic_auth": Meaning("password only", "anyone on the way", "with the password", "user and password"),
    "tls": Meaning("TLS", "nobody", "anyone", "the CA certificate"),
    "tls+basic_auth": Meaning(
        "TLS + password", "nobody", "with the password", "the CA certificate, user and password"
    ),
    "tls+client_cert": Meaning(
        "mutual TLS", "nobody", "with a certificate", "the CA certificate and a client certificate"
    ),
    "tls+basic_auth+client_cert": Meaning(
        "mutual TLS + password",
        "nobody",
        "with both",
        "the CA certificate, a client certificate, user and password",
    ),
}
"""The texts by the level's value, as in a question's answer."""

LADDER = ("", "tls", "tls+basic_auth", "tls+client_cert", "tls+basic_auth+client_cert")
"""All levels, from none to mutual TLS with a password."""


def ladder(now: str, width: int) -> Content:
    """Returns all levels, one per line, the present one marked; what clients need is added if there is room.

    Args:
        now: the name of the present level.
        width: in cells, at least 60.
    """
    meanings = [MEANINGS[value] for value in LADDER]
    if now == "password only":
        meanings.insert(1, MEANINGS["basic_auth"])
    name, reads, gets_in, needs = (
        max(len(text) for text in texts) + 2
        for texts in (
            [f"  {each.name}" for each in meanings],
            ["reads the traffic", *(each.reads for each in meanings)],
            [each.gets_in for each in meanings],
            [each.needs for each in meanings],
        )
    )
    needs = needs if name + reads + gets_in + needs <= width else 0
    cells = ("  level", name), ("reads the traffic", reads), ("accepted", gets_in), ("clients need", needs)
    lines = [Content.styled("".join(fit(*cell) for cell in cells), "$quiet")]
    for each in meanings:
        here = each.name == now
        lines.append(
            Content.assemble(
                ("▸ " if here else "  ", "bold $primary"),
                (fit(each.name, name - 2), "bold" if here else ""),
                (fit(each.reads, reads), _colour(each.reads)),
                (fit(each.gets_in, gets_in), _colour(each.gets_in)),
                fit(each.needs, needs),
            )
        )
    return Content("\n").join(lines)


def _colour(who: str) -> str:
    return "$error" if who.startswith("anyone") else "$success"


def level_meaning(value: str, width: int, *, cost: str = "") -> Content:
    """Returns what a level means, a line for each question, wrapped to `width`.

    Args:
        value: the level.
        width: in cells.
        cost: what the change to it costs, a sentence or two; '' for nothing.
    """
    each = MEANINGS.get(value)
    if each is None:
        return Content("")
    rows = (
        ("Reads the traffic", each.reads, _colour(each.reads)),
        ("Accepted", each.gets_in, _colour(each.gets_in)),
        ("Clients need", each.needs, ""),
        *([("Costs", cost, "")] if cost else []),
    )
    label = max(len(title) for title, _, _ in rows) + 2
    lines = []
    for title, words, colour in rows:
        for count, part in enumerate(wrap(words, max(width - label, 10))):
            lines.append(Content.assemble((fit("" if count else title, label), "$quiet"), (part, colour)))
    return Content("\n").join(lines)
