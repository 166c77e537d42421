"""The verdict on a verification: a banner, and how many probes ended as expected. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.content import Content

from screens.state_styles import describe_error, place, safe
from screens.widgets.cards import Card

if TYPE_CHECKING:
    from screens.run_state import RunState
    from wizard.model import Attempt


def verification_cards(attempts: Sequence[Attempt]) -> tuple[Card, ...]:
    """Returns how many probes succeeded as expected, and how many were rejected as expected."""
    wanted = [attempt for attempt in attempts if attempt.probe.wanted]
    unwanted = [attempt for attempt in attempts if not attempt.probe.wanted]
    failed = sum(attempt.failed for attempt in attempts)
    return (
        _share(wanted, "succeeded as expected"),
        _share(unwanted, "rejected as expected"),
        Card(str(failed), "failed", colour="$error" if failed else "$quiet"),
    )


def _share(attempts: Sequence[Attempt], label: str) -> Card:
    right = sum(not attempt.failed for attempt in attempts)
    colour = "$success" if right == len(attempts) else "$error"
    return Card(f"{right}/{len(attempts)}", label, colour=colour if attempts else "$quiet")


def tone(state: RunState) -> str:
    """Returns the style of the banner: 'running', 'good', 'part' or 'bad'."""
    if state.busy:
        return "running"
    if not state.attempts or any(attempt.failed for attempt in state.attempts):
        return "bad"
    if state.result in ("partly", "changed"):
        return "part"
    return "bad" if state.error is not None and state.result in ("rolled-back", "failed") else "good"


def verdict(state: RunState) -> Content:
    """Returns whether everything is as expected; if not, what is wrong and what to do."""
    right = sum(not attempt.failed for attempt in state.attempts)
    count = len(state.attempts)
    if state.busy:
        waits = state.lines[-1].text if state.lines else ""
        return Content.assemble(
            ("▸ ", "$primary bold"),
            f"verifying: {count} probes so far, {right} as expected. 'x' stops.",
            "\n  " if waits.startswith("waiting up to ") else "",
            safe(waits, 300) if waits.startswith("waiting up to ") else "",
        )
    if not count:
        return describe_error(state.error) if state.error else Content("No probe was made.")
    look = Content.styled("Enter on a cell shows the probe in detail.", "$quiet")
    if right == count and state.result == "partly":
        return _partly(state)
    if right == count and state.result == "changed":
        words = "'r' verifies what Prometheus reports, once it has scraped every target again."
        details = [describe_error(state.error)] if state.error else []
        head = Content.assemble(("◐ changed, not verified  ", "bold $warning"), words)
        return Content("\n").join([head, *details])
    if right == count and state.error is not None and state.result in ("rolled-back", "failed"):
        head = Content.assemble(
            ("✗ not verified  ", "bold $error"), "Something that worked before the run fails now."
        )
        return Content("\n").join([head, describe_error(state.error)])
    if right == count:
        unwanted = sum(not attempt.probe.wanted for attempt in state.attempts)
        words = f"{count} probes as expected: {count - unwanted} succeeded, {unwanted} were rejected."
        return Content.assemble(("✓ verified  ", "bold $success"), words)
    head = Content.assemble(("✗ not verified  ", "bold $error"), f"{count - right} of {count} probes failed.")
    return Content("\n").join([head, describe_error(state.error) if state.error else look])


def _partly(state: RunState) -> Content:
    """Returns that all probes are as expected, but that some hosts could not be changed."""
    left = [row for row in state.hosts if row.needs_attention]
    names = ", ".join(place(row.host) for row in left[:3]) + (
        f" and {len(left) - 3} more" if len(left) > 3 else ""
    )
    return Content.assemble(
        ("◐ partly verified  ", "bold $warning"),
        f"{len(state.attempts)} probes as expected. Not changed: {names}.",
    )
