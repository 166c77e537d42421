"""The lab commands. Texts and results go to standard output, progress and errors to standard error."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wizard.cli import output
from wizard.cli.class_member import report_progress
from wizard.cli.lab_play import play
from wizard.cli.lab_selection import chosen_classroom, current_lab_id, on_hosts, open_session, open_step
from wizard.cli.lab_text import show_commands, show_end, show_step, step_number, wrap_markdown
from wizard.errors import InputError
from wizard.redact import plain

if TYPE_CHECKING:
    from wizard.labs import CheckResult, LabSession, LabStep
    from wizard.workspace import Workspace

lab_and_step = click.argument("named", metavar="[LAB] [STEP]", nargs=-1)
which = click.argument("lab_id", metavar="[LAB]", required=False, default="")


@click.group()
@click.pass_context
def lab(context: click.Context) -> None:
    """Exercises with checks and hints."""
    context.call_on_close(lambda: report_progress(context.obj))


@lab.command(name="list")
@on_hosts
@click.pass_obj
def list_labs(workspace: Workspace) -> None:
    """List the labs.

    \b
    Example:
      firescreen lab list
    """
    from wizard.labs import finished_labs, labs, packs
    from wizard.labs.classroom import progress_folder
    from wizard.practice import compose_project

    with output.print_errors():
        added = packs.names(workspace)
        for name in (name for name, ids in added.items() if not ids):
            output.say(f"The pack {name} can no longer be used. Remove it with: firescreen lab remove {name}")
        room = chosen_classroom(workspace)
        all_labs = labs(workspace.packs)
        marks = finished_labs.marks(progress_folder(workspace, room), all_labs)
        if room is not None:
            output.say(f"On the hosts of {plain(room.title)}. For the practice stack: --practice")
        for each in all_labs:
            mark = marks[each.id]
            how_far = mark.text
            if room is not None and not each.real_hosts:
                how_far = "on the practice stack only"
            elif each.docker and (missing := compose_project.why_unavailable()):
                how_far = f"skipped: {missing}"
            pack = next((f", from the pack {name}" for name, ids in added.items() if each.id in ids), "")
            output.show(f"{mark.sign} {each.id:20} {plain(each.title)} ({how_far}{pack})")


@lab.command()
@on_hosts
@lab_and_step
@click.option("--anew", is_flag=True, help="Discard another lab that is in progress")
@click.option("--jump", is_flag=True, help="Let Firescreen do the steps before STEP")
@click.pass_obj
def start(workspace: Workspace, named: tuple[str, ...], anew: bool, jump: bool) -> None:
    """Start or continue a lab, and show its current step, or STEP.

    Brings the practice stack to the beginning of the lab. A step of the lab 'faults' places its fault.

    \b
    Examples:
      firescreen lab start
      firescreen lab start node-tls
      firescreen lab start faults fault-3
      firescreen lab start node-tls 3 --jump
    """
    with output.print_errors():
        session, current = open_step(workspace, named, tools=True, anew=anew)
        if jump and current is not None:
            outcome = session.jump(current.id, output.progress())
            if outcome.error is not None:
                raise outcome.error
        click.secho(session.lab.title, bold=True)
        if current is None:
            show_end(session)
            return
        if current is session.lab.steps[0]:
            click.echo(f"\n{wrap_markdown(session.lab.intro)}")
        if not session.has_begun(current.id):
            session.begin(current.id)
            output.say("The fault is placed.")
        show_step(session, current)
        click.echo(output.as_typed("\nThen: firescreen lab check    (also: lab hint, lab solve, lab reset)"))


def _show_result(session: LabSession, step: LabStep, result: CheckResult) -> None:
    """Prints the result of a check; exits with 1 if the step is not done."""
    click.secho(f"{step_number(session, step)}  {step.title}", bold=True)
    for line in result.seen:
        output.show(f"  ✓ {line}")
    if not result.ok:
        output.show(f"  ✗ not done yet: {result.what}")
        output.show(f"    {output.as_typed(result.todo)}")
        sys.exit(1)


@lab.command()
@on_hosts
@lab_and_step
@click.pass_obj
def check(workspace: Workspace, named: tuple[str, ...]) -> None:
    """Check whether a step is done.

    STEP is a number or an id; the current step by default. Exit 1: not done yet.

    \b
    Examples:
      firescreen lab check
      firescreen lab check node-tls 2
    """
    with output.print_errors():
        from wizard.labs.environment import PATIENCE

        session, wanted = open_step(workspace, named)
        if wanted is None:
            click.echo("All steps are done.")
            return
        result = session.check(wanted.id, patience=PATIENCE, by_student=True)
        _show_result(session, wanted, result)
        if result.found:
            output.show(f"Found: {result.found}")
        following = session.current
        if following is None:
            show_end(session)
        else:
            show = output.as_typed("firescreen lab start")
            output.show(f"Done. Next: {following.title}    (show it: {show})")


@lab.command()
@on_hosts
@lab_and_step
@click.pass_obj
def hint(workspace: Workspace, named: tuple[str, ...]) -> None:
    """Show the next hint for a step.

    STEP is a number or an id; the current step by default. Each hint says more than the one before.

    \b
    Examples:
      firescreen lab hint
      firescreen lab hint node-tls 2
    """
    with output.print_errors():
        session, wanted = open_step(workspace, named)
        output.show(session.hint(wanted.id) if wanted else "All steps are done.")
        if wanted:
            show_commands(session.answer(wanted.id))


@lab.command()
@on_hosts
@lab_and_step
@click.pass_obj
def solve(workspace: Workspace, named: tuple[str, ...]) -> None:
    """Let Firescreen do a step, and earlier steps that are not done.

    STEP is a number or an id; the current step by default.

    \b
    Examples:
      firescreen lab solve
      firescreen lab solve node-tls 3
    """
    with output.print_errors():
        from wizard.labs.environment import PATIENCE

        session, wanted = open_step(workspace, named)
        if wanted is None:
            click.echo("All steps are done.")
            return
        outcome = session.solve(wanted.id, output.progress())
        if outcome.error is not None:
            raise outcome.error
        result = session.check(wanted.id, patience=PATIENCE)
        _show_result(session, wanted, result)


@lab.command()
@on_hosts
@which
@click.pass_obj
def reset(workspace: Workspace, lab_id: str) -> None:
    """Restore the hosts to the beginning of a lab.

    \b
    Example:
      firescreen lab reset node-tls
    """
    with output.print_errors():
        open_session(workspace, lab_id, tools=False).reset(output.progress())
        output.say("The hosts are as at the beginning of the lab.")


@lab.command()
@on_hosts
@click.argument("named", metavar="[LAB] NUMBER [TEXT]", nargs=-1, required=True)
@click.pass_obj
def answer(workspace: Workspace, named: tuple[str, ...]) -> None:
    """Write down your answer to a question of a lab.

    NUMBER counts the questions at the end of the lab. TEXT is your answer; standard input by default. An empty text
    deletes the answer. The report of the lab contains it.

    \b
    Example:
      firescreen lab answer 1 "The CA file lets Prometheus verify the server."
    """
    from wizard.labs import find, labs, state
    from wizard.labs.classroom import progress_folder

    with output.print_errors():
        lab_ids = {each.id for each in labs(workspace.packs)}
        arguments = list(named)
        lab_id = arguments.pop(0) if arguments[0] in lab_ids else current_lab_id(workspace)
        chosen = find(lab_id, workspace.packs)
        count = len(chosen.questions)
        path = progress_folder(workspace, chosen_classroom(workspace)) / f"{chosen.id}.json"
        now = state.load(path)
        if (
            not arguments
            or not arguments[0].isdecimal()
            or not 1 <= int(arguments[0]) <= count
            or len(arguments) > 2
        ):
            raise InputError(
                f"the lab '{chosen.id}' has the questions 1 to {count}",
                where=" ".join(named),
                todo=f"Run: firescreen lab answer {chosen.id} 1 'your answer'",
            )
        if now is None:
            raise InputError("this lab was not started", todo=f"Run: firescreen lab start {chosen.id}")
        question = chosen.questions[int(arguments[0]) - 1]
        if len(arguments) == 1 and sys.stdin.isatty():
            output.say(f"{plain(question.ask)} (end your answer with Ctrl+D)")
        text = arguments[1] if len(arguments) == 2 else sys.stdin.read(state.LONGEST_ANSWER)
        state.save(path, now.with_answer(question.ask, plain(text.strip(), state.LONGEST_ANSWER)))
        output.say("Saved. Make a report with: firescreen lab report")


@lab.command()
@on_hosts
@which
@click.option("--html", "as_page", is_flag=True, help="Write HTML instead of Markdown")
@click.option(
    "-o", "--output", "path", type=click.Path(path_type=Path), help="File to write; - for standard output"
)
@click.option("--name", default="", help="Your name, for the report")
@click.pass_obj
def report(workspace: Workspace, lab_id: str, as_page: bool, path: Path | None, name: str) -> None:
    """Write a report of a lab, and print its path.

    Without LAB, the report has all labs that were started.

    \b
    Examples:
      firescreen lab report
      firescreen lab report node-tls --html --name "A. Student"
    """
    from wizard.labs import find, labs
    from wizard.labs import report as reporting
    from wizard.labs.classroom import progress_folder

    with output.print_errors():
        wanted = (find(lab_id, workspace.packs),) if lab_id else labs(workspace.packs)
        states = progress_folder(workspace, chosen_classroom(workspace))
        written = reporting.gather(workspace, wanted, name=name, states=states)
        if not written.parts:
            raise InputError("no lab was started", todo=f"Run: firescreen lab start {lab_id}".rstrip())
        text = reporting.page(written) if as_page else reporting.markdown(written)
        if path == Path("-"):
            click.echo(text, nl=False)
            return
        usual = workspace.reports / f"lab-{lab_id or 'report'}{'.html' if as_page else '.md'}"
        click.echo(reporting.save(path or usual, text))


lab.add_command(play)
