"""Texts of a lab's page (steps, commands, closing questions), and which actions it offers. Pure."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from textual.content import Content

from screens.state_styles import commands, hang, inline, safe, shell_note
from screens.widgets.gauge import gauge

if TYPE_CHECKING:
    from collections.abc import Set
    from pathlib import Path

    from textual.widget import Widget

    from wizard.labs import CheckResult, Lab, LabSession, LabStep


def entries(lab: Lab, done: Set[str], width: int, opened: int | None = None) -> list[tuple[Content, bool]]:
    """Returns the list on the left as (text, whether it is locked). The introduction is first, the end is last.

    Args:
        lab: the lab.
        done: ids of the finished steps.
        width: of a line in cells.
        opened: how many steps the instructor has opened for the class; None for all.
    """
    lines = [(Content.styled("About this lab", "bold"), False)]
    for number, step in enumerate(lab.steps, start=1):
        sign = Content.styled("✓ ", "bold $success") if step.id in done else Content(f"{number} ")
        shut = opened is not None and number > opened and step.id not in done
        title = Content(hang(step.title, width, 2))
        if shut:
            title = Content.assemble((title.plain, "$quiet"), ("\n  opens later", "$quiet italic"))
        lines.append((Content.assemble(sign, title), shut))
    ended = all(step.id in done for step in lab.steps)
    text = "Questions" if lab.questions else "The end"
    lines.append(
        (Content.styled(f"{'★' if ended else '·'} {text}", "$primary" if ended else "$quiet"), not ended)
    )
    return lines


def progress(lab: Lab, done: Set[str]) -> Content:
    """Returns how many steps are done, as a bar and a number."""
    count = sum(step.id in done for step in lab.steps)
    share = count / max(len(lab.steps), 1)
    colour = "$success" if share == 1 else "$primary"
    return Content.assemble(gauge(share, 8, colour, thick=True), f" {count} of {len(lab.steps)} done")


def page_title(lab: Lab, step: LabStep | None, *, at_start: bool) -> str:
    """Returns the title of a step's page, of the introduction, or of the end."""
    if step is None:
        return "About this lab" if at_start else "The end"
    return f"Step {lab.steps.index(step) + 1} of {len(lab.steps)}"


def line_width(pane: Widget) -> int:
    """Returns the columns for a line of commands in a pane, which may not be laid out yet."""
    return (pane.scrollable_content_region.width or pane.app.size.width - 32) - 1


def step_commands(session: LabSession, step: LabStep, *, broken: bool, width: int) -> Content:
    """Returns the commands of a step, each part with the terminal in which it is typed.

    Args:
        session: the lab.
        step: one of its steps.
        broken: whether the step's fault is in place; also true if it has none.
        width: columns of a line.
    """
    note = "# The fault is not in place yet: 'b' puts it there."
    parts = [] if broken else [Content.styled(note, "$warning")]
    for where, lines in step.stretches:
        lead = "On" if session.on_real_hosts else "Type this in"
        parts += [shell_note(f"{lead} {session.terminal(where)}:", width), commands(lines, width)]
    if answer := session.answer(step.id):
        parts += [shell_note("To repair it:", width), commands(answer, width)]
    return Content("\n").join(parts)


def preparation(session: LabSession, width: int) -> Content:
    """Returns what a person needs before the first step: the hosts, or how to set up the other terminal."""
    if session.on_real_hosts:
        text = f"On the hosts of {inline(session.where, 200)}. Open a terminal for each of them."
        return Content.styled(text, "$quiet")
    head = shell_note("Type this once in the other terminal, so that it finds the programs:", width)
    return Content("\n").join([head, commands([_setup_command(session)], width)])


def _setup_command(session: LabSession) -> str:
    return f". {shlex.quote(str(session.shell_file))}"


def commands_to_copy(session: LabSession, step: LabStep | None, *, at_start: bool) -> tuple[str, ...]:
    """Returns the commands on the screen, unwrapped.

    Args:
        session: the lab.
        step: the selected step; None for the introduction and for the end.
        at_start: whether the introduction is shown.
    """
    if step is not None and session.on_real_hosts:
        # Pasted together, the commands would all run on one host: each part names its host.
        parts = ((f"# On {session.terminal(where)}:", *lines) for where, lines in step.stretches)
        return tuple(line for part in parts for line in part)
    if step is not None:
        return (*step.commands, *session.answer(step.id))
    return (_setup_command(session),) if at_start and not session.on_real_hosts else ()


def is_offered(
    action: str, lab: Lab, step: LabStep | None, *, begun: Set[str], done: Set[str], at_end: bool = False
) -> bool:
    """Returns whether an action makes sense for the selected step.

    Args:
        action: the name of the action.
        lab: the lab.
        step: the selected step; None before the first and at the end.
        begun: ids of the steps whose fault is in place, or that have none.
        done: ids of the finished steps.
        at_end: whether the end of the lab is selected.
    """
    ended = all(each.id in done for each in lab.steps)
    if action in ("answers", "respond"):
        return at_end and bool(lab.questions)
    if action == "next":
        return not at_end and (ended or step is None or step is not lab.steps[-1])
    if action not in ("begin", "check", "hint", "solve", "jump"):
        return True
    if step is None:
        return False
    if action == "jump":
        before = lab.steps[: lab.steps.index(step)]
        return not step.fault and any(each.id not in done for each in before)
    if action == "begin":
        return bool(step.fault) and (step.id not in begun or step.id in done)
    if action == "hint":
        return step.id in begun and step.id not in done
    return action == "solve" or (step.id in begun and not (step.fault and step.id in done))


def next_words(lab: Lab, step: LabStep, done: Set[str]) -> str:
    """Returns where to go from a finished step: the end, the next step, or the first unfinished one."""
    left = [number for number, each in enumerate(lab.steps, start=1) if each.id not in done]
    if not left:
        return "all steps are done: 'end' goes to the end"
    return "'n' goes to the next step" if step is not lab.steps[-1] else f"step {left[0]} is left"


def check_text(result: CheckResult, *, after: str = "") -> Content:
    """Returns the result of a check: done, or what is missing and what to do.

    Args:
        result: of the check.
        after: where to go from a finished step.
    """
    if result.ok:
        what = f"{result.found} Now: {result.seen[0]}" if result.found and result.seen else result.what
        return Content.assemble(
            ("✓ done  ", "bold $success"),
            ("Found: ", "bold") if result.found else "",
            safe(what, 400),
            f"  ({after})" if after else "",
        )
    return Content.assemble(
        ("✗ not done  ", "bold $error"), safe(result.what, 600), "\n", safe(result.todo, 600)
    )


def report_text(path: Path) -> Content:
    """Returns the paths of the report, as Markdown and as a page."""
    page = inline(str(path.with_suffix(".html")), 400)
    return Content.assemble(
        ("✓ ", "bold $success"), f"Your report: {inline(str(path), 400)}\n  for a browser: {page}"
    )


def closing_text(lab: Lab, *, answers: bool) -> str:
    """Returns what the person can explain now; the project's own Markdown."""
    lines = [
        f"- **{question.ask}**" + (f"\n\n  {question.answer}\n" if answers else "")
        for question in lab.questions
    ]
    more = "" if answers else "**w** takes your answers, **a** shows ours. "
    question_lines = "\n".join(lines)
    questions = f"\n\n## Can you answer these?\n\n{question_lines}\n\n{more}" if lines else "\n\n"
    return f"{lab.outro}{questions}**o** writes a report to hand in."
