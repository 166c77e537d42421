"""The actions that are possible after a run has ended."""

from __future__ import annotations

from screens.run_state import RunState


def needs_recovery(state: RunState) -> bool:
    """Returns whether a host failed and could not be rolled back."""
    return any(row.state == "stuck" for row in state.hosts)


def actions_after(state: RunState) -> set[str]:
    """Returns the possible actions after an apply or a recovery has ended.

    A host that needs recovery is rolled back before anything else is done there.
    """
    if state.kind == "recover":
        return {"recover"} if state.result == "failed" else set()
    found = {"verification"} if state.attempts else set()
    if needs_recovery(state):
        found.add("recover")
    elif state.result not in ("proven", "applied", "nothing"):
        found.add("again")
    if state.run and state.result in ("failed", "applied", "changed", "partly"):
        found.add("undo")
    return found
