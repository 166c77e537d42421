"""The result of a request: the verdict, where it fails, the certificates as boxes, what to do.

Every text from the network passes through `safe` or `inline`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from textual.content import Content

from screens.state_styles import commands, date, fit, hang, inline, safe

if TYPE_CHECKING:
    from wizard.diagnostics.catalogue import Diagnosis
    from wizard.engine.manual_probe import Answered
    from wizard.model import Attempt, CertificateSummary
    from wizard.probes import Target

_DAY = 86400
HEALTH = {"up": ("✓", "$success"), "down": ("✗", "$error")}
_NAME = re.compile(r"certificate is valid for|legacy Common Name|not valid for any names|cannot validate")


_FIRST = (
    ("Enter", "sends the request, which changes nothing"),
    ("F2", "requests the URL and parses the metrics, as a scrape does"),
    ("F3, F4", "ask the Prometheus at the URL: its targets, and `up`"),
    ("F5", "does not verify the certificate, as curl -k"),
    ("F6", "shows the handshake step by step, as curl -v"),
)
"""The keys and their descriptions, shown before anything was sent."""


def first_words() -> Content:
    """Returns what can be sent, and what a result shows."""
    rows = [
        Content.assemble((fit(key, 8), "bold $primary"), Content.styled(words, "$quiet"))
        for key, words in _FIRST
    ]
    explanation = (
        "A result has its cause, what to do, the curl command that does the same, and the certificates."
    )
    return Content("\n").join((*rows, Content(""), Content.styled(explanation, "$quiet")))


def answer(answered: Answered, *, width: int, handshake: bool, closer: Diagnosis | None = None) -> Content:
    """Returns the whole result, the most important first.

    Args:
        answered: the result.
        width: in cells.
        handshake: whether to show each step of the handshake, as curl's -v.
        closer: a more exact diagnosis, after checks on the hosts.
    """
    attempt = answered.attempt
    parts = [verdict(answered, width)]
    parts += [
        Content.assemble(("! ", "$warning bold"), hang(one.words, width, 2)) for one in answered.differences
    ]
    listed = answered.ok and answered.what != "page"
    if listed:
        parts += [_head("Targets"), table(answered.targets, width, answered.meanings)]
    found = closer or answered.diagnosis
    if found is not None:
        parts.append(_head("Diagnosis"))
        parts.append(Content(hang(found.cause, width, 0)))
        rows = (("Do", found.fix), ("Other side", found.other_end), ("To check", found.next))
        parts += [_row(title, words, width) for title, words in rows if words]
    parts += [_head("Command ('c' copies it)"), commands(answered.commands)]
    tls = attempt.tls
    if tls is not None and tls.chain:
        parts.append(_head("Certificates of the server"))
        parts += boxes(attempt, min(width, 90))
    if tls is not None and handshake:
        parts += [_head("Handshake"), Content(inline(f"{tls.version}  {tls.cipher}".strip() or "not agreed"))]
        parts += [Content(hang(step, width, 2)) for step in tls.steps]
    if attempt.timings:
        times = ",  ".join(f"{name} {seconds * 1000:.1f} ms" for name, seconds in attempt.timings.items())
        parts += [_head("Time"), Content(inline(times))]
    if attempt.body and not listed:
        lines = attempt.body.rstrip().splitlines()
        parts += [_head("Response, first lines"), *(safe(inline(line, width)) for line in lines[:8])]
    return Content("\n").join(parts)


def verdict(answered: Answered, width: int) -> Content:
    """Returns the outcome in a line (more if the reason is long)."""
    attempt = answered.attempt
    sign, colour = ("✓", "$success") if answered.ok else ("✗", "$error")
    words = {
        "200": "200: Prometheus can scrape it" if answered.ok else "200, but no metrics",
        "untrusted": "the server's certificate is not trusted",
        "refused": "rejected: the server does not accept the client certificate",
        "plain": "no TLS: the server answers plain HTTP",
        "error": "no answer",
        "other": "an unexpected answer",
    }.get(attempt.outcome, f"{attempt.outcome}: the server rejects the request")
    if answered.ok and answered.what != "page":
        bad, count = sum(one.health != "up" for one in answered.targets), len(answered.targets)
        words = f"{count} target{'' if count == 1 else 's'}, {f'{bad} not up' if bad else 'all up'}"
        if not count:
            words = "no targets" if answered.what == "targets" else "nothing scraped yet"
        if bad:
            sign, colour = "◐", "$warning"
    reason = f" · {attempt.reason}" if attempt.reason else ""
    return Content.assemble((f"{sign} ", f"bold {colour}"), (hang(f"{words}{reason}", width, 2), "bold"))


def table(targets: Sequence[Target], width: int, meanings: Mapping[str, str]) -> Content:
    """Returns a line for each target, and one below it for its error; targets that are not up come first."""
    rows: list[Content] = []
    room = max(width - 2, 40)
    for one in sorted(targets, key=lambda each: each.health == "up")[:500]:
        sign, colour = HEALTH.get(one.health, ("·", "$warning"))
        name = fit(one.job, min(24, room // 3))
        rows.append(
            Content.assemble(
                (f"{sign} {one.health:<8}", colour),
                name,
                " ",
                fit(one.instance or one.url, room - 10 - len(name)),
            )
        )
        if one.error:
            rows.append(Content.styled(f"  {hang(one.error, width, 2)}", "$error"))
            if one.error in meanings:
                rows.append(Content(f"  → {hang(meanings[one.error], width, 4)}"))
    if len(targets) > 500:
        rows.append(
            Content.styled(f"  … and {len(targets) - 500} more, all of them up or as above", "$quiet")
        )
    return Content("\n").join(rows)


def boxes(attempt: Attempt, width: int) -> list[Content]:
    """Returns the chain as boxes, the leaf first, each above the certificate that signed it."""
    chain = attempt.tls.chain if attempt.tls else ()
    at, why = wrong(attempt)
    lines: list[Content] = []
    for place, one in enumerate(chain):
        bad = why if place == at else ""
        lines += _box(
            one, "leaf" if place == 0 else "CA" if one.subject == one.issuer else "intermediate", width, bad
        )
        after = chain[place + 1] if place + 1 < len(chain) else None
        if one.subject == one.issuer:
            lines.append(_stem("self-signed", ""))
        elif after is None:
            lines += [
                _stem(f"signed by {inline(one.issuer, width - 20)}", ""),
                *_anchor(attempt, at, why, len(chain)),
            ]
        elif after.subject == one.issuer:
            lines.append(_stem("signed by", ""))
        else:
            lines.append(
                _stem(f"signed by {inline(one.issuer, 60)}, which is not the next certificate", "$warning")
            )
    return lines


def wrong(attempt: Attempt) -> tuple[int, str]:
    """Returns (position in the chain, reason) of the certificate that is not trusted; (-1, '') if all are.

    The position after the last one is the CA, which is in the CA file or missing there.
    """
    if attempt.outcome != "untrusted" or attempt.tls is None:
        return -1, ""
    chain, reason, now = attempt.tls.chain, attempt.reason, time.time()
    if "expired or is not yet valid" in reason:
        for place, one in enumerate(chain):
            if not one.not_before <= now <= one.not_after:
                return place, "expired" if now > one.not_after else "not valid yet"
        return len(chain), "expired or not valid yet"
    if _NAME.search(reason):
        return 0, "not valid for the requested name"
    if "unknown authority" in reason:
        last = chain[-1] if chain else None
        if last is not None and last.subject == last.issuer:
            return len(chain) - 1, "not in the CA file"
        return len(chain), "not in the CA file"
    return 0, "see the reason above"


def _box(certificate: CertificateSummary, kind: str, width: int, bad: str) -> list[Content]:
    colour = "$error" if bad else "$quiet"
    left = (certificate.not_after - time.time()) / _DAY
    until = (
        f"{date(certificate.not_after)} ({f'in {left:.0f} days' if left >= 0 else f'{-left:.0f} days ago'})"
    )
    title = fit(f"{kind}: {certificate.subject or 'no subject'}", min(width - 6, 60)).rstrip()
    head = Content.assemble(
        ("┌─ ", colour),
        (title, "bold"),
        (f" {'─' * max(width - 5 - Content(title).cell_length, 0)}┐", colour),
    )
    rows = [
        ("for", ", ".join(certificate.names) or "no name (no SAN)"),
        ("until", until),
        ("key", certificate.key),
    ]
    rows[2] = ("key", f"{certificate.key}; for {', '.join(certificate.usage) or 'any use'}")
    inside: list[tuple[str, str]] = []
    for name, words in rows:
        first, *more_lines = hang(words, width - 11, 0).split("\n")
        inside += [(f"{name:<6}", first), *((" " * 6, more) for more in more_lines)]
    lines = [
        Content.assemble(("│ ", colour), (name, "$quiet"), fit(words, width - 10), (" │", colour))
        for name, words in inside
    ]
    if bad:
        lines.append(
            Content.assemble(
                ("│ ", colour), (fit(f"✗ not trusted: {bad}", width - 4), "bold $error"), (" │", colour)
            )
        )
    foot = Content.styled(f"└──┬{'─' * (width - 5)}┘", colour)
    return [head, *lines, foot]


def _anchor(attempt: Attempt, at: int, why: str, place: int) -> list[Content]:
    if at == place:
        return [Content.assemble(("   ✗ ", "bold $error"), (f"this CA: {why}", "bold $error"))]
    if attempt.probe.insecure or attempt.outcome == "untrusted":
        return []
    return [Content.assemble(("   ✓ ", "$success"), "this CA is in the CA file")]


def _stem(words: str, colour: str) -> Content:
    return Content.assemble(("   ↓ ", "$quiet"), (words, colour or "$quiet"))


def _head(title: str) -> Content:
    return Content.assemble("\n", (title, "bold $primary"))


def _row(title: str, words: str, width: int) -> Content:
    return Content.assemble((f"{title:<11}", "$quiet"), hang(words, width, 11))
