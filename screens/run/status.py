"""The state of a run, drawn: its headline, a line a step, what the log shows, and how it ended. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content

from screens.state_styles import RESULT, STEP, at, commands, describe_error, hang, inline, safe

if TYPE_CHECKING:
    from screens.run_state import HostRow, RunState, StepState

NAMES = {"apply": "Run · 4 of 5", "undo": "Undo", "verify": "Verification · 5 of 5", "recover": "Recover"}
SHOWN_LINES = 60


def step_part(state: RunState) -> tuple[object, ...]:
    """The part of the state that the list of steps shows."""
    return (state.steps, state.current, state.busy)


def needs_recovery(state: RunState) -> bool:
    """Whether a host failed and could not be rolled back."""
    return any(row.state == "stuck" for row in state.hosts)


def colour(state: RunState) -> str:
    """The colour of the progress bar."""
    if state.phase != "finished":
        return "$warning" if state.activity == "putting back" else "$primary"
    return RESULT.get(state.result, RESULT["failed"])[2]


def headline(state: RunState) -> Content:
    """What is being done now, or how the run ended."""
    if state.phase == "finished":
        sign, word, colour = RESULT.get(state.result, RESULT["failed"])
        return Content.assemble((f"{sign} {word}", f"bold {colour}"))
    if state.phase == "stopping":
        return Content.assemble(
            ("▸ ", "$warning"), "stopping; the change in hand is finished first, then all is put back"
        )
    words = {"changing": "changing", "proving": "proving: each request as a client would make it"}
    step = state.step
    if state.activity == "putting back":
        return Content.assemble(("↶ ", "$warning bold"), "putting back what was there before")
    doing = (
        words[state.activity]
        if state.activity == "proving" or step is None
        else f"{inline(step.title)}, {at(step.host)}"
    )
    return Content.assemble(("▸ ", "$primary bold"), doing)


def log(state: RunState, row: HostRow | None) -> Content:
    """The last lines of the log, the commands that wait for the person above them.

    Args:
        state: the run; of the current step, where that has said something.
        row: the host whose lines are shown instead.
    """
    current = [line.text for line in state.lines if line.step == state.current]
    if row is not None:
        lines = list(row.lines)
    elif state.phase == "finished" and state.kind != "apply":
        lines = []
    else:
        lines = current if current and state.busy else [line.text for line in state.lines]
    text = Content("\n").join([safe(line, 500, "$quiet") for line in lines[-SHOWN_LINES:]])
    if not state.waiting:
        return text
    return Content.assemble(
        ("▸ Run these commands ", "bold $warning"),
        (f"{at(state.waiting_host)}:\n\n", "bold $warning"),
        commands(state.waiting.splitlines()),
        "\n\nFirescreen waits for the result… ('c' copies the commands, 'x' stops)\n\n",
        text,
    )


def step_line(step: StepState, *, current: bool, width: int) -> Content:
    """A step with its sign; the current one in bold."""
    sign, _, colour = STEP.get(step.state, STEP[""])
    style = "bold" if current else "$quiet" if not step.state else ""
    return Content.assemble((f"{sign} ", f"bold {colour}"), (hang(step.title, width, 2), style))


def ending(state: RunState) -> Content:
    """How the run ended: the error, what the keys do about it, and the summary."""
    parts: list[Content] = []
    if state.error is not None:
        parts.append(Content.styled(inline(state.error.title), "bold"))
        parts.append(describe_error(state.error))
    parts.extend(_what_keys_do(state))
    said = state.outcome.summary if state.outcome is not None else ()
    if not said and state.result in ("rolled-back", "cancelled", "undone"):
        said = ("What was there before is back, and the services run as before.",)
    sign, _, colour = RESULT.get(state.result, RESULT["failed"])
    if said:
        parts.append(Content.assemble((f"{sign} ", f"bold {colour}"), safe(said[0], 400)))
        parts.extend(safe(line, 400) for line in said[1:])
    return Content("\n").join(parts)


def _what_keys_do(state: RunState) -> list[Content]:
    """What a run in which some hosts failed amounts to, and what the keys do about it."""
    failed = sum(row.needs_attention for row in state.hosts)
    if state.result != "partly" or not failed:
        return []
    todo = "'t' plans again and does only what is missing."
    if needs_recovery(state):
        todo = "'r' puts back the hosts that could not be reached for it, once they are there again."
    return [
        Content.styled(
            f"Enter on a host above shows what happened there. {todo} 'u' puts back all the others too.",
            "$quiet",
        )
    ]
