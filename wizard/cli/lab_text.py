"""The output of the lab commands: a step with its commands, and the end of a lab."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from wizard.cli import output

if TYPE_CHECKING:
    from wizard.labs import LabSession, LabStep


def step_number(session: LabSession, step: LabStep) -> str:
    """Returns the number of a step and of all steps in the lab, e.g. 2/4."""
    place = [each.id for each in session.lab.steps].index(step.id) + 1
    return f"{place}/{len(session.lab.steps)}"


def show_step(session: LabSession, step: LabStep) -> None:
    """Prints a step: its text, its commands, and where to type them."""
    click.secho(f"\n{step_number(session, step)}  {step.title}  (host {step.host})", bold=True)
    click.echo(f"\n{wrap_markdown(step.text)}")
    commands = (*step.commands, *session.answer(step.id))
    if session.on_real_hosts:
        for place, typed in step.stretches:
            click.echo(f"\nOn {session.terminal(place)}:\n")
            show_commands(typed)
    elif commands:
        click.echo(f"\nIn another terminal (run there once: . {shlex.quote(str(session.shell_file))}):\n")
        show_commands(commands)


def show_commands(typed: Iterable[str]) -> None:
    """Prints commands without indentation, so that here-documents can be copied."""
    for command in typed:
        click.secho(command, fg="cyan")


def wrap_markdown(markdown: str) -> str:
    """Wraps Markdown for a terminal of 80 columns."""
    paragraphs = []
    for paragraph in markdown.split("\n\n"):
        items = paragraph.split("\n- ") if paragraph.startswith("- ") else [paragraph]
        folded = [
            textwrap.fill(
                " ".join(item.removeprefix("- ").split()),
                78,
                initial_indent="- " if len(items) > 1 else "",
                subsequent_indent="  " if len(items) > 1 else "",
                break_long_words=False,
                break_on_hyphens=False,
            )
            for item in items
        ]
        paragraphs.append("\n".join(folded))
    return "\n\n".join(paragraphs)


def show_end(session: LabSession) -> None:
    """Prints the end of a lab and its questions."""
    click.echo(f"\n{wrap_markdown(session.lab.outro)}\n")
    for question in session.lab.questions:
        click.echo(
            f"{wrap_markdown('? ' + question.ask)}\n{textwrap.indent(wrap_markdown(question.answer), '  ')}\n"
        )
    click.echo(
        output.as_typed(
            "Write down an answer: firescreen lab answer NUMBER. Make a report: firescreen lab report"
        )
    )
