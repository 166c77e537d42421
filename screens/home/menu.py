"""Home's menu: what to do next, in three groups; the recommended entry is on top, with the reason."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.content import Content
from textual.widgets.option_list import Option

from screens.state_styles import fit, inline
from screens.widgets.gauge import days_left, expiry_colour
from wizard.plurals import join_words

if TYPE_CHECKING:
    from screens.state import Session
    from wizard.engine import Exposure

WHOLE = 5
"""Number of components in the whole practice stack."""

# name: (key, title, what it is for)
MENU = {
    "secure": ("s", "Secure this machine", "choose, review, then apply"),
    "practise": ("p", "Practise", "real programs, no risk"),
    "whole": ("w", "Practise with the whole stack", "five components, wired up"),
    "trust": ("t", "Trust map", "who connects to whom"),
    "logins": ("g", "Log in by token", "OAuth2, bearer tokens"),
    "lab": ("l", "Follow a lab", "type it, checked as you go"),
    "inventory": ("c", "Certificates and users", "what exists, until when"),
    "audit": ("f", "Audit", "what is open, weak or due"),
    "history": ("h", "History", "past runs, and undo"),
    "hosts": ("o", "Other hosts", "over SSH, in containers"),
    "leave": ("b", "Back to this machine", "your hosts stay as they are"),
}
PRACTISING = {
    "secure": ("s", "Secure the practice stack", "choose, review, then apply"),
    "whole": ("w", "Practise with the whole stack", "three more components join"),
    "leave": ("b", "Back to this machine", "practice keeps running"),
    "stop": ("e", "End practice", "removes its folders"),
}
GROUPS = {
    "Secure": ("secure", "trust", "logins", "hosts"),
    "Learn": ("practise", "whole", "lab"),
    "Look after": ("audit", "inventory", "history", "leave", "stop"),
}
_GROUP = 12
_TITLE = 31


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The entry to begin with, and why; `short` is the reason for small terminals."""

    entry: str
    reason: str
    short: str
    colour: str


def entries(session: Session) -> tuple[str, ...]:
    """Returns the names of the entries that make sense now, grouped, the recommended entry's group first."""
    wanted = set(_offered_entries(session))
    first = recommendation(session).entry
    groups = sorted(GROUPS.values(), key=lambda names: first not in names)
    return tuple(
        name for names in groups for name in sorted(names, key=lambda each: each != first) if name in wanted
    )


def _offered_entries(session: Session) -> tuple[str, ...]:
    found = session.scan.exposures if session.scan is not None else ()
    logins = ("logins",) if any(row.component == "prometheus" for row in found) else ()
    if session.place == "practice":
        small = session.scan is not None and len(found) < WHOLE
        more = ("whole",) if small else ()
        return ("secure", "trust", *logins, *more, "lab", "audit", "inventory", "history", "leave", "stop")
    if session.place in ("file", "hosts"):
        return ("secure", "trust", *logins, "hosts", "leave", "lab", "audit", "inventory", "history")
    trust = ("trust", *logins) if found else ()
    return ("secure", *trust, "practise", "whole", "lab", "audit", "inventory", "history", "hosts")


def recommendation(session: Session) -> Recommendation:
    """Recommends securing unprotected components, checking silent ones, renewing what expires soon, or practising."""
    rows = session.scan.exposures if session.scan else ()
    lacking = sum(row.state == "open" for row in rows)
    partly = sum(row.state == "partly" for row in rows)
    many = f"{len(rows)} component{'s' * (len(rows) != 1)}"
    if lacking:
        reason = f"{lacking} of {many} {'is' if lacking == 1 else 'are'} unprotected"
        return Recommendation("secure", reason, f"{lacking} of {len(rows)} unprotected", "$error")
    if partly:
        reason = f"{partly} of {many} {'lacks' if partly == 1 else 'lack'} some protection"
        return Recommendation("secure", reason, f"{partly} of {len(rows)} partly protected", "$warning")
    if silent := sum(row.state == "down" for row in rows):
        does = f"{'does' if silent == 1 else 'do'} not answer"
        return Recommendation(
            "audit", f"{silent} of {many} {does}", f"{silent} of {len(rows)} {does}", "$warning"
        )
    if away := [each.host for each in session.scan.remarks if each.id == "host-away"] if session.scan else []:
        words = f"{join_words(away)} {'is' if len(away) == 1 else 'are'} unreachable"
        short = words if len(away) == 1 else f"{len(away)} hosts are unreachable"
        return Recommendation("hosts", inline(words, 40), short, "$warning")
    if soon := [row for row in rows if row.valid_until and _expires_soon(row)]:
        row = min(soon, key=lambda each: each.valid_until)
        left = days_left(row.valid_until - time.time())
        words = "has expired" if left == "expired" else f"expires in {left}"
        return Recommendation("inventory", f"A certificate {words}", f"a certificate {words}", "$warning")
    if rows:
        return Recommendation(
            "trust", "All is secured: see who checks what", "see what each side checks", "$success"
        )
    if session.place == "here" and session.scan is not None:
        return Recommendation(
            "practise", "Nothing is installed here", "nothing is installed here", "$success"
        )
    return Recommendation("secure", "", "", "$quiet")


def _expires_soon(row: Exposure) -> bool:
    return expiry_colour(row.valid_until - time.time(), row.valid_until - row.valid_from) != "$success"


def options(
    session: Session, *, roomy: bool, labs: tuple[int, int] = (0, 0), without: frozenset[str] = frozenset()
) -> list[Option]:
    """Returns the entries of the menu.

    Args:
        roomy: two lines for each entry and a heading for each group; otherwise one line with the group beside it.
        labs: how many labs were finished, and of how many.
        without: entries that are left out and only have their keys.
    """
    found: list[Option] = []
    first, before = recommendation(session), ""
    for name in entries(session):
        if name in without:
            continue
        group = next(group for group, names in GROUPS.items() if name in names)
        if roomy and group != before:
            gap = "\n" if found else ""
            mark = " · recommended" if first.reason and first.entry in GROUPS[group] else ""
            title = Content.assemble(
                gap, (group, "bold not italic $secondary"), (mark, "not italic $primary")
            )
            found.append(Option(title, disabled=True))
        shown = _entry(
            name,
            session,
            first if name == first.entry else None,
            "" if group == before else group,
            roomy=roomy,
            labs=labs,
        )
        found.append(Option(shown, id=name))
        before = group
    return found


def _entry(
    name: str,
    session: Session,
    first: Recommendation | None,
    group: str,
    *,
    roomy: bool,
    labs: tuple[int, int],
) -> Content:
    key, title, words = {**MENU, **PRACTISING}[name] if session.place == "practice" else MENU[name]
    if name == "secure" and session.place in ("file", "hosts"):
        title = "Secure these hosts"
    if name == "lab" and labs[0]:
        words = f"{labs[0]} of {labs[1]} labs finished"
    colour = "$quiet"
    if first is not None and first.reason:
        words, colour = first.reason if roomy else first.short, first.colour
    if roomy:
        return Content.assemble((f" {key}  ", "bold $primary"), (title, "bold"), "\n    ", (words, colour))
    return Content.assemble(
        (fit(group, _GROUP), "bold $secondary"),
        (f"{key}  ", "bold $primary"),
        (fit(title, _TITLE), "bold"),
        (words, colour),
    )
